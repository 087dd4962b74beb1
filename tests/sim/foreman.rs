//! The foreman of a node: the twin of the engine's `torrent`, decision for decision.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bitwren::PeerId;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{PeerKey, Verdict};
use bitwren::internals::moment::Moment;
use bitwren::internals::orders::{Order, Report};
use bitwren::internals::peer::session::{Introduction, Session, Setup};
use bitwren::internals::peer::upload::UploadQueue;
use bitwren::internals::storage::write_queue::News;
use bitwren::internals::swarm::choker::PeerView;
use bitwren::internals::swarm::duplicates::{self, Keep, Link};
use bitwren::internals::swarm::pex::Exchange;
use bitwren::internals::wire::extended::{ExtendedHandshake, Extensions};
use bitwren::internals::wire::handshake::Handshake;
use bitwren::internals::wire::pex::{Flags, PexMessage};
use bitwren::{DisconnectReason, Violation};
use bitwren::{Error, ErrorKind};

use super::liar;
use super::net::{Event, Net, Thread};
use super::node::{Common, Life, Node, ToDisk, ToForeman};
use super::worker::Worker;

const BATCH: usize = 257;
const ORDERS: usize = 256;
const TICK: Duration = Duration::from_secs(1);
const IDLE_TICK: Duration = Duration::from_secs(10);
const FIRST_TICK: Duration = Duration::from_millis(300);
const SETTLED: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const SAVE_EVERY: Duration = Duration::from_secs(30);
const FEW: usize = 10;
/// Calls at a time.
const CALLS: u32 = 20;
/// How long a call that nobody answers takes to fail.
pub const CONNECT: Duration = Duration::from_secs(10);

/// A connected peer, as the engine has it.
pub struct Peer {
    pub addr: SocketAddr,
    pub node: usize,
    incoming: bool,
    id: PeerId,
    upload_only: bool,
    since: Moment,
    interested: bool,
    choking: bool,
    choked: bool,
    snubbed: bool,
    wanted: bool,
    received: u64,
    sent: u64,
    down_rate: u64,
    up_rate: u64,
    pub leaving: bool,
}

/// A full disk is waited out.
pub struct Trouble {
    next_try: Moment,
    wait: Duration,
    asked: bool,
}

impl Life {
    fn order(&mut self, key: PeerKey, order: Order) {
        if let Some(peer) = self.connected.get_mut(&key) {
            peer.leaving |= matches!(order, Order::Close(_));
        }
        let Some(worker) = self.workers.get_mut(&key) else { return };
        if worker.orders.len() >= ORDERS {
            worker.deaf = true;
        } else {
            worker.orders.push_back(order);
        }
    }

    fn order_all(&mut self, order: &Order) {
        let keys: Vec<PeerKey> = self.connected.keys().copied().collect();
        keys.into_iter().for_each(|key| self.order(key, order.clone()));
    }

    fn is_working(&self) -> bool {
        !self.failed && self.trouble.is_none()
    }

    fn choke_due(&self) -> Option<Moment> {
        if self.rethink {
            return Some(Moment::START);
        }
        self.connected.values().any(|peer| peer.interested).then(|| self.choker.deadline())
    }

    fn dial_due(&self, most: u32, now: Moment) -> Option<Moment> {
        let room = self.connected.len() as u32 + self.calling < most && self.calling < CALLS;
        if room { self.peers.deadline(now) } else { None }
    }

    fn save_due(&self) -> Option<Moment> {
        match () {
            _ if self.saving.is_some() || !self.dirty => None,
            _ if self.save_now => Some(Moment::START),
            _ => Some(self.saved + SAVE_EVERY),
        }
    }

    fn deadline(&self, most: u32, now: Moment) -> Option<Moment> {
        let trouble = self.trouble.as_ref().filter(|trouble| !trouble.asked);
        let mut due = vec![
            self.next_tick,
            trouble.map(|trouble| trouble.next_try),
            self.save_due(),
            self.tiers.deadline(),
        ];
        if self.is_working() {
            due.push(self.choke_due());
            due.push(self.dial_due(most, now));
            due.push(self.exchange.as_ref().and_then(Exchange::deadline));
            due.push(self.super_seed.as_ref().and_then(|seed| seed.deadline()));
        }
        due.into_iter().flatten().min()
    }
}

impl Node {
    /// The foreman wakes.
    pub fn foreman(&mut self, common: &Common, net: &mut Net) {
        for _ in 0..BATCH {
            let Some(message) = self.life.as_mut().and_then(|life| life.inbox.pop_front()) else { break };
            self.hear(message, common, net);
        }
        self.follow_up(common, net);
        let (most, now) = (self.plan.max_peers, net.now);
        let Some(life) = &self.life else { return };
        let deadline = if life.inbox.is_empty() { life.deadline(most, now) } else { Some(now) };
        let ordered = |worker: &Worker| !worker.orders.is_empty() || worker.deaf;
        let woken: Vec<PeerKey> =
            life.workers.iter().filter(|(_, worker)| ordered(worker)).map(|(&key, _)| key).collect();
        if let Some(deadline) = deadline {
            self.wake(Thread::Foreman, deadline.since(now), net);
        }
        woken.into_iter().for_each(|key| self.wake(Thread::Worker(key), Duration::ZERO, net));
    }

    fn hear(&mut self, message: ToForeman, common: &Common, net: &mut Net) {
        let now = net.now;
        let Some(life) = &mut self.life else { return };
        match message {
            ToForeman::Report(key, report) => self.on_report(key, report, common, now),
            ToForeman::Arrived { link, end, incoming, handshake } => {
                self.on_arrival((link, end), incoming, handshake, common, net);
            }
            ToForeman::DialFailed(addr, why) => {
                life.calling -= 1;
                life.peers.ended(addr, why, now);
            }
            ToForeman::Gone(key, why) => self.on_gone(key, why, common, net),
            ToForeman::Disk(News::Verdict(verdict)) => self.on_verdict(&verdict, common, net),
            ToForeman::Disk(News::Failed(error)) => self.on_write_failed(&error, net),
            ToForeman::Disk(News::Dropped(piece)) => {
                life.picker.lost_blocks(piece);
                life.ledger.close(piece);
            }
            // The disks made up here have no names.
            ToForeman::Disk(News::StoredAs(_)) => {}
            ToForeman::Disk(News::Recovered) => {
                life.trouble = None;
                life.next_tick = Some(now + TICK);
            }
            ToForeman::ReadFailed(error) => self.fail(&error, net),
            ToForeman::Saved => {}
            ToForeman::Tracker(tracker, Ok(answer)) => {
                life.tiers.answered(tracker, &answer, now);
                Node::found(life, &answer.peers, now);
                if answer.external_ip.is_some() && !std::mem::replace(&mut life.located, true) {
                    life.peers.located(self.addr);
                }
            }
            ToForeman::Tracker(tracker, Err(failure)) => {
                life.tiers.failed(tracker, &failure, now);
            }
        }
    }

    fn follow_up(&mut self, common: &Common, net: &mut Net) {
        self.feed(net);
        if self.life.as_ref().is_some_and(|life| life.is_working()) {
            self.dial(net);
            self.choke_when_due(net.now);
            self.exchange_when_due(net.now);
        }
        self.announce(net);
        self.retry_when_due(net);
        self.save_when_due(net);
        self.tick_when_due(net.now);
        self.feed(net);
        if self.life.as_ref().is_some_and(|life| life.is_working()) {
            self.show_pieces(net.now);
        }
        let _ = common;
    }

    fn on_report(&mut self, key: PeerKey, report: Report, common: &Common, now: Moment) {
        let Some(life) = &mut self.life else { return };
        if let Some(seed) = &mut life.super_seed {
            match &report {
                Report::Has(set) => seed.has(key, set, now),
                Report::Have(piece) => seed.gains(key, *piece, now),
                Report::Interested(interested) => seed.interested(key, *interested),
                _ => {}
            }
        }
        let Some(peer) = life.connected.get_mut(&key) else { return };
        let picker = &mut life.picker;
        match report {
            Report::Has(set) => picker.has(key, set),
            Report::Have(piece) => picker.gains(key, piece),
            Report::Lost(piece) => picker.loses(key, piece),
            Report::Introduced(handshake) => return self.on_introduced(key, *handshake, now),
            Report::Exchanged(exchange) => return self.on_exchanged(key, &exchange, now),
            Report::WantsBlocks(blocks) => picker.hungry(key, blocks),
            Report::Returned(lease) => {
                life.ledger.returned(key, lease);
                picker.returned(key, lease);
            }
            Report::Snubbed(snubbed) => {
                peer.snubbed = snubbed;
                picker.snubbed(key, snubbed);
            }
            Report::AllowedFast(piece) => picker.allowed_fast(key, piece),
            Report::Suggested(piece) => picker.suggested(key, piece),
            Report::Choking(choking) => {
                peer.choking = choking;
                picker.choking(key, choking);
            }
            Report::Interested(interested) => {
                peer.interested = interested;
                life.rethink = true;
            }
            Report::MetadataBlock(..) | Report::MetadataRejected(_) => {}
            Report::Violation(misdeed) => life.order(key, Order::Close(DisconnectReason::Violation(misdeed))),
        }
        let wanted = life.picker.interesting(key);
        let finished = life.finished;
        let Some(peer) = life.connected.get_mut(&key) else { return };
        let over = finished && (peer.upload_only || life.picker.is_seed(key));
        let news = wanted && !peer.wanted;
        peer.wanted |= wanted;
        if news {
            life.order(key, Order::Interested(true));
        }
        if over {
            life.order(key, Order::Close(DisconnectReason::BothSeeds));
        }
        let _ = common;
    }

    fn feed(&mut self, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        for (key, job) in life.picker.feed() {
            net.tell(|| {
                let (piece, range) = (job.claim.piece().index(), job.claim.range());
                format!("node {}: {key:?} gets {:?}: {range:?} of piece {piece}", self.plan.name, job.lease)
            });
            let piece = job.claim.piece().index();
            assert!(!life.picker.have().has(piece), "piece {piece} is verified and fetched again");
            life.ledger.leased(key, &job);
            life.order(key, Order::Take(job));
        }
    }

    fn on_verdict(&mut self, verdict: &Verdict, common: &Common, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        let blame = life.picker.verdict(verdict);
        life.ledger.close(verdict.piece);
        if !verdict.good {
            for culprit in blame.culprits {
                if let Some(peer) = life.connected.get(&culprit) {
                    assert!(
                        self.plan.twist.is_some() || !common.honest[peer.node],
                        "honest node {} is blamed for piece {}",
                        peer.node,
                        verdict.piece
                    );
                }
                life.order(culprit, Order::Close(DisconnectReason::Violation(Violation::CorruptPiece)));
            }
            return;
        }
        assert!(life.ledger.proved.has(verdict.piece), "counted before it was proved");
        life.journal.push(verdict.piece);
        life.dirty = true;
        let news: Vec<PeerKey> =
            life.connected.keys().copied().filter(|&key| !life.picker.is_seed(key)).collect();
        for key in news {
            if life.workers.get(&key).is_some_and(|worker| worker.orders.is_empty()) {
                life.order(key, Order::HaveLog);
            }
        }
        if life.picker.is_finished() && !life.finished {
            life.finished = true;
            life.save_now = true;
            life.next_tick = Some(net.now);
            life.peers.seeding(true);
            if life.super_seed.is_none() {
                life.order_all(&Order::UploadOnly(true));
            }
            life.tiers.completed(net.now);
            assert!(self.disk.is_whole(), "finished, and not whole");
            self.completed = true;
            net.tell(|| format!("node {} has finished", self.plan.name));
        }
    }

    fn on_write_failed(&mut self, error: &Error, net: &mut Net) {
        if error.kind() != ErrorKind::DiskFull {
            return self.fail(error, net);
        }
        let now = net.now;
        let Some(life) = &mut self.life else { return };
        let wait = life.trouble.as_ref().map_or(FIRST_WAIT, |trouble| (trouble.wait * 2).min(LONGEST_WAIT));
        let news = life.trouble.is_none();
        life.trouble = Some(Trouble { next_try: now + wait, wait, asked: false });
        if news {
            life.order_all(&Order::Close(DisconnectReason::Shutdown));
            life.save_now = true;
        }
    }

    fn retry_when_due(&mut self, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        let empty = life.connected.is_empty();
        let Some(trouble) = life.trouble.as_mut().filter(|trouble| !trouble.asked) else { return };
        if trouble.next_try > net.now {
            return;
        }
        if !empty {
            trouble.next_try = net.now + Duration::from_millis(200);
            return;
        }
        trouble.asked = true;
        life.to_disk.push_back(ToDisk::Retry);
        self.wake(Thread::Disk, Duration::ZERO, net);
    }

    fn save_when_due(&mut self, net: &mut Net) {
        let who = self.who();
        let Some(life) = &mut self.life else { return };
        if life.save_due().is_none_or(|due| due > net.now) {
            return;
        }
        life.saved = net.now;
        (life.dirty, life.save_now) = (false, false);
        life.saving = Some(life.picker.have().clone());
        let takes = Duration::from_micros(500 + net.dice.below(400_000));
        net.after(takes, Event::Saved(who));
    }

    fn choke_when_due(&mut self, now: Moment) {
        let Some(life) = &mut self.life else { return };
        if life.choke_due().is_none_or(|due| due > now) {
            return;
        }
        let (picker, workers) = (&life.picker, &life.workers);
        let view = |(key, peer): (&PeerKey, &Peer)| PeerView {
            key: *key,
            interested: peer.interested,
            upload_only: peer.upload_only || picker.is_seed(*key),
            choked: peer.choked,
            snubbed: peer.snubbed,
            received: workers.get(key).map_or(peer.received, |worker| worker.received),
            sent: workers.get(key).map_or(peer.sent, |worker| worker.sent),
            since: peer.since,
        };
        let peers: Vec<PeerView> = life.connected.iter().map(view).collect();
        let slots = life.choker.slots();
        for (key, choke) in life.choker.decide(&peers, life.finished, now, &mut life.dice) {
            if let Some(peer) = life.connected.get_mut(&key) {
                peer.choked = choke;
            }
            life.order(key, Order::Choke(choke));
        }
        let served = life.connected.values().filter(|peer| !peer.choked && peer.interested).count();
        assert!(served <= slots.max(life.choker.slots()), "{served} are served, with {slots} slots");
        life.rethink = false;
    }

    fn tick_when_due(&mut self, now: Moment) {
        let Some(life) = &mut self.life else { return };
        if life.next_tick.is_none_or(|due| due > now) {
            return;
        }
        let elapsed = now - life.measured;
        life.measured = now;
        let mut moved = false;
        let keys: Vec<PeerKey> = life.connected.keys().copied().collect();
        for key in keys {
            let Some(peer) = life.connected.get_mut(&key) else { continue };
            let (received, sent) = life
                .workers
                .get(&key)
                .map_or((peer.received, peer.sent), |worker| (worker.received, worker.sent));
            moved |= received != peer.received || sent != peer.sent;
            peer.down_rate = smooth(peer.down_rate, received - peer.received, elapsed);
            peer.up_rate = smooth(peer.up_rate, sent - peer.sent, elapsed);
            let before = std::mem::replace(&mut peer.received, received);
            peer.sent = sent;
            if let Some(seed) = &mut life.super_seed {
                seed.sent(key, sent, now);
            }
            if peer.down_rate > 0 {
                life.peers.delivered(peer.addr);
            }
            life.picker.rate(key, peer.down_rate);
            if received == before {
                life.picker.quiet(key);
            }
            let over = life.finished && (peer.upload_only || life.picker.is_seed(key));
            let wanted = life.picker.interesting(key);
            let news = std::mem::replace(&mut peer.wanted, wanted) != wanted;
            if over {
                life.order(key, Order::Close(DisconnectReason::BothSeeds));
            }
            if news {
                life.order(key, Order::Interested(wanted));
            }
        }
        life.picker.turn();
        life.ledger.turns += 1;
        let working = life.is_working();
        let nobody_soon = life.peers.deadline(now).is_none_or(|due| due > now + IDLE_TICK);
        let lonely = working && !life.finished && life.connected.len() < FEW && nobody_soon;
        if lonely {
            life.tiers.want_peers(now);
        }
        life.next_tick = if moved || !life.finished && !life.connected.is_empty() {
            Some(now + TICK)
        } else {
            let looks = !life.connected.is_empty() || working && !life.finished;
            looks.then_some(now + IDLE_TICK)
        };
    }

    fn show_pieces(&mut self, now: Moment) {
        let Some(life) = &mut self.life else { return };
        let Some(seed) = &mut life.super_seed else { return };
        let shows = seed.show(now);
        let over = seed.is_over();
        for shown in shows.chunk_by(|(one, _), (other, _)| one == other) {
            let pieces: Arc<[u32]> = shown.iter().map(|(_, piece)| *piece).collect();
            life.order(shown[0].0, Order::Show(pieces));
        }
        if over {
            life.super_seed = None;
            let all: Arc<[u32]> = life.picker.have().iter().collect();
            life.order_all(&Order::Show(all));
        }
    }

    fn announce(&mut self, net: &mut Net) {
        let (who, node) = (self.who(), self.at);
        let Some(life) = &mut self.life else { return };
        while let Some(call) = life.tiers.poll(net.now) {
            let wait = net.latency(node, node);
            net.after(wait, Event::Announce(who, Box::new(call)));
        }
    }

    fn dial(&mut self, net: &mut Net) {
        let (who, ours, most) = (self.who(), self.addr, self.plan.max_peers);
        let Some(life) = &mut self.life else { return };
        while life.dial_due(most, net.now).is_some_and(|due| due <= net.now) {
            let Some(addr) = life.peers.next_dial(net.now) else { return };
            life.calling += 1;
            life.next_port = life.next_port.checked_add(1).unwrap_or(10_000);
            let from = SocketAddr::new(ours.ip(), life.next_port);
            net.after(Duration::ZERO, Event::Ring(who, from, addr));
        }
    }

    /// A connection asks to be let in.
    fn on_arrival(
        &mut self,
        (link, end): (usize, usize),
        incoming: bool,
        handshake: Handshake,
        common: &Common,
        net: &mut Net,
    ) {
        let now = net.now;
        let (addr, node) = (net.links[link].ends[end].peer, net.links[link].ends[1 - end].who.node);
        let refused = self.refusal(addr, incoming, &handshake, common, now);
        let Some(life) = &mut self.life else { return };
        life.calling -= u32::from(!incoming);
        if let Some(why) = refused {
            net.tell(|| format!("node {}: does not let in node {node}: {why}", self.plan.name));
            if !incoming {
                life.peers.ended(addr, why, now);
            }
            return net.reset(link);
        }
        let key = PeerKey(life.next_key);
        life.next_key += 1;
        if !incoming {
            life.peers.connected(addr, now);
            if let Some(exchange) = &mut life.exchange {
                exchange.appears(key, addr, now);
            }
        }
        life.picker.join(key);
        let have = match &mut life.super_seed {
            Some(seed) => {
                seed.join(key, now);
                Bitfield::empty(common.pieces.count())
            }
            None => liar::claims(self.plan.twist, life.picker.have().clone()),
        };
        let introduction = (handshake.extended() && !self.plan.plain).then(|| Introduction {
            handshake: ExtendedHandshake {
                m: Extensions { ut_pex: Extensions::OURS.ut_pex.filter(|_| common.pex), ..Extensions::OURS },
                port: Some(self.addr.port()),
                reqq: Some(UploadQueue::BOUND as u32),
                your_ip: Some(addr.ip()),
                upload_only: (life.finished && life.super_seed.is_none()).then_some(true),
                metadata_size: Some(common.metainfo.info_bytes().len() as u64),
                ..Default::default()
            },
            metainfo: common.metainfo.clone(),
        });
        let setup = Setup {
            pieces: common.pieces,
            info_hash: common.metainfo.info_hash(),
            peer_ip: addr.ip(),
            fast: handshake.fast() && !self.plan.plain,
            introduction,
            have,
            request_cap: Setup::REQUEST_CAP,
        };
        let worker = Worker::new((link, end), Session::new(setup, now), life.journal.len(), common, net);
        life.workers.insert(key, worker);
        life.pool.connections.set(life.pool.connections.get() + 1);
        net.links[link].ends[end].key = Some(key);
        let peer = Peer {
            addr,
            node,
            incoming,
            id: handshake.peer_id,
            upload_only: false,
            since: now,
            interested: false,
            choking: true,
            choked: true,
            snubbed: false,
            wanted: false,
            received: 0,
            sent: 0,
            down_rate: 0,
            up_rate: 0,
            leaving: false,
        };
        life.connected.insert(key, peer);
        if life.connected.len() == 1 {
            life.next_tick = Some(now + FIRST_TICK);
        }
        net.tell(|| format!("node {}: {key:?} is node {node}", self.plan.name));
        self.wake(Thread::Worker(key), Duration::ZERO, net);
        self.wake(Thread::Reader(key), Duration::ZERO, net);
    }

    fn refusal(
        &mut self,
        addr: SocketAddr,
        incoming: bool,
        handshake: &Handshake,
        common: &Common,
        now: Moment,
    ) -> Option<DisconnectReason> {
        let ours = common.ids[self.at];
        let life = self.life.as_mut()?;
        if !life.is_working() {
            return Some(DisconnectReason::Shutdown);
        }
        if handshake.peer_id == ours {
            return Some(DisconnectReason::Ourselves);
        }
        let new = Link { addr, incoming, id: handshake.peer_id, since: now };
        let link =
            |peer: &Peer| Link { addr: peer.addr, incoming: peer.incoming, id: peer.id, since: peer.since };
        let keeps = life.connected.iter().map(|(&key, old)| (key, duplicates::keep(link(old), new, ours)));
        for (key, keep) in keeps.collect::<Vec<_>>() {
            match keep {
                Keep::Both => {}
                Keep::Old => return Some(DisconnectReason::Duplicate),
                Keep::New => life.order(key, Order::Close(DisconnectReason::Duplicate)),
            }
        }
        let full = life.connected.len() as u32 >= self.plan.max_peers;
        let is_idle = |peer: &&Peer| {
            let may_move = peer.wanted && !peer.choking || peer.interested && !peer.choked;
            peer.down_rate + peer.up_rate == 0 && !may_move && !peer.leaving && now - peer.since >= SETTLED
        };
        let mut outranked = None;
        if full {
            let idle = life.connected.values().filter(is_idle).map(|peer| peer.addr);
            let least = life.peers.outranked(addr, idle);
            let same = |peer: &Peer| Some(peer.addr) == least;
            outranked = life.connected.iter().find(|(_, peer)| same(peer)).map(|(&key, _)| key);
        }
        if full && outranked.is_none() {
            return Some(DisconnectReason::Crowded);
        }
        if incoming && !life.peers.accepted(addr, now) {
            return Some(DisconnectReason::Crowded);
        }
        if let Some(key) = outranked {
            life.order(key, Order::Close(DisconnectReason::Crowded));
        }
        None
    }

    fn on_gone(&mut self, key: PeerKey, why: DisconnectReason, common: &Common, net: &mut Net) {
        let now = net.now;
        let Some(life) = &mut self.life else { return };
        let Some(peer) = life.connected.remove(&key) else { return };
        if let DisconnectReason::Violation(misdeed) = why {
            let fair = self.plan.twist.is_some() || !common.honest[peer.node];
            assert!(fair, "honest node {} is banned by node {}: {misdeed}", peer.node, self.at);
            *net.stats.bans.entry(misdeed.to_string()).or_default() += 1;
        }
        let seed = life.picker.is_seed(key);
        life.picker.leave(key);
        life.ledger.leaves(key);
        if let Some(super_seed) = &mut life.super_seed {
            super_seed.leave(key);
        }
        if let Some(exchange) = &mut life.exchange {
            let parted = matches!(why, DisconnectReason::BothSeeds | DisconnectReason::Crowded);
            exchange.leaves(key, parted.then(|| flags(&peer, seed)), now);
        }
        life.peers.ended(peer.addr, why, now);
        life.rethink |= peer.interested;
    }

    fn on_introduced(&mut self, key: PeerKey, handshake: ExtendedHandshake, now: Moment) {
        let Some(life) = &mut self.life else { return };
        let Some(peer) = life.connected.get_mut(&key) else { return };
        let ip = peer.addr.ip();
        if let Some(upload_only) = handshake.upload_only {
            life.rethink |= peer.interested && peer.upload_only != upload_only;
            peer.upload_only = upload_only;
        }
        let over = life.finished && peer.upload_only;
        if let Some(port) = handshake.port.filter(|_| peer.incoming) {
            let listens = SocketAddr::new(ip, port);
            life.peers.listening_port(peer.addr, port, now);
            if let Some(exchange) = &mut life.exchange {
                exchange.appears(key, listens, now);
            }
        }
        match (&mut life.exchange, handshake.m.ut_pex) {
            (Some(exchange), Some(0)) => exchange.refuses(key),
            (Some(exchange), Some(_)) => exchange.takes(key, ip, now),
            _ => {}
        }
        if over {
            life.order(key, Order::Close(DisconnectReason::BothSeeds));
        }
        // Liars included: the engine wants several to agree.
        if handshake.your_ip == Some(self.addr.ip()) && !std::mem::replace(&mut life.located, true) {
            life.peers.located(self.addr);
        }
    }

    fn on_exchanged(&mut self, key: PeerKey, exchange: &PexMessage, now: Moment) {
        let Some(life) = &mut self.life else { return };
        let Some(peer) = life.connected.get(&key).filter(|_| life.exchange.is_some()) else { return };
        let by = peer.addr.ip();
        exchange.dropped.iter().for_each(|&addr| life.peers.unheard(addr, by));
        for &(addr, flags) in &exchange.added {
            life.peers.heard(addr, flags.is_seed(), by, now);
        }
    }

    fn exchange_when_due(&mut self, now: Moment) {
        let Some(life) = &mut self.life else { return };
        let Some(exchange) = &mut life.exchange else { return };
        if exchange.deadline().is_none_or(|due| due > now) {
            return;
        }
        let (connected, picker) = (&life.connected, &life.picker);
        let flags = |key: PeerKey| {
            connected.get(&key).map_or(Flags::default(), |peer| flags(peer, picker.is_seed(key)))
        };
        for (key, message) in exchange.messages(flags, now) {
            life.order(key, Order::Exchange(Arc::new(message)));
        }
    }
}

fn flags(peer: &Peer, seed: bool) -> Flags {
    let flag = |flag, set: bool| if set { flag } else { 0 };
    Flags(flag(Flags::SEED, seed || peer.upload_only) | flag(Flags::REACHABLE, !peer.incoming))
}

fn smooth(rate: u64, moved: u64, elapsed: Duration) -> u64 {
    let latest = (u128::from(moved) * 1_000_000 / elapsed.as_micros().max(1)) as u64;
    if rate == 0 { latest } else { (rate * 2 + latest) / 3 }
}
