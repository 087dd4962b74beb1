//! The thread of a torrent: it tells the real [`Torrent`] what has happened, late as a thread is, and
//! carries out its actions on the simulated disk, network and trackers. It decides nothing.

use std::net::SocketAddr;
use std::time::Duration;

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::have_log::HaveLog;
use bitwren::internals::job::PeerKey;
use bitwren::internals::moment::Moment;
use bitwren::internals::orders::{Order, OurPieces, Report};
use bitwren::internals::peer::session::{ExtensionSetup, Session, Setup};
use bitwren::internals::peer::upload::UploadQueue;
use bitwren::internals::random::Random;
use bitwren::internals::storage::assembly::Assembly;
use bitwren::internals::storage::write_queue::{WriteEvent, WriteQueue};
use bitwren::internals::torrent::{Action, Host, Input, Join, Opened};
use bitwren::internals::tracker::report::TrackerEvent;
use bitwren::internals::tracker::tiers::{Policy, Tiers};
use bitwren::internals::tracker::{Answer, Failure};
use bitwren::internals::wire::extended::{ExtendedHandshake, Extensions};
use bitwren::internals::wire::handshake::Handshake;
use bitwren::{DisconnectReason, Encryption, ErrorKind, EventKind, Phase, Violation};

use super::checks::Ledger;
use super::liar;
use super::net::{Call, Event, Net, Thread};
use super::node::{Admitted, Common, Life, Message, Node, ToDisk};
use super::plan::Twist;
use super::promises::Since;
use super::worker::Worker;

/// Messages taken in before what follows from them is decided, as in the engine.
const BATCH: usize = 257;
/// Orders that may wait for a connection, as in the engine.
const MAX_ORDERS: usize = 256;

/// A connection that asks to be let in.
pub struct Joining {
    link: usize,
    end: usize,
    incoming: bool,
    handshake: Handshake,
}

impl Node {
    /// The torrent's thread wakes: it takes in what is there, settles, and sleeps until the deadline.
    pub fn torrent(&mut self, common: &Common, net: &mut Net) {
        if let Some(life) = self.life.as_mut().filter(|life| life.inbox.is_empty()) {
            life.watched.wakes(net.now);
        }
        for _ in 0..BATCH {
            let Some(message) = self.life.as_mut().and_then(|life| life.inbox.pop_front()) else { break };
            match message {
                Message::Input(input) => self.handle(input, None, common, net),
                Message::FilesChanged(files) => self.files_changed(files, common, net),
                Message::Rechecked(rechecked) => self.rechecked(rechecked, common, net),
                Message::Join { link, end, incoming, handshake } => {
                    let addr = net.links[link].ends[end].peer;
                    let (id, extended) = (handshake.peer_id, handshake.extended());
                    let encryption = net.links[link].encryption;
                    let join = Join { addr, incoming, id, extended, encryption };
                    self.handle(
                        Input::Joined(join),
                        Some(Joining { link, end, incoming, handshake }),
                        common,
                        net,
                    );
                }
            }
        }
        self.handle(Input::Settle, None, common, net);
        let now = net.now;
        let Some(life) = &self.life else { return };
        self.check_settled(life, now);
        self.watch(now);
        self.look_at_peers(now);
        let Some(life) = &self.life else { return };
        let deadline = if life.inbox.is_empty() { life.torrent.deadline(now) } else { Some(now) };
        if let Some(deadline) = deadline {
            self.wake(Thread::Torrent, deadline.since(now), net);
        }
    }

    /// Takes in one input and carries out what follows, until the torrent gives nothing.
    pub fn handle(&mut self, input: Input, mut joining: Option<Joining>, common: &Common, net: &mut Net) {
        let asked = joining.is_some();
        let Some(life) = &mut self.life else { return };
        let reloads = matches!(input, Input::Filter(_));
        let hangs_up = match &input {
            Input::Gone(key, DisconnectReason::Lost) if life.torrent.have().is_some() => {
                let stays = life.admitted.get(key).is_some_and(|peer| !peer.leaving);
                stays && life.host.transferred_with(*key).sent > 0
            }
            _ => false,
        };
        life.book(&input, net.now);
        let Life { torrent, host, .. } = &mut **life;
        torrent.handle(input, net.now, host);
        while let Some(action) = self.life.as_mut().and_then(|life| life.torrent.poll_action()) {
            let ends = matches!(action, Action::HangUp(_) | Action::Order(_, Order::Close(_)));
            assert!(!reloads || !ends, "a connection ends because addresses are blocked from now on");
            self.act(action, &mut joining, common, net);
        }
        if let Some(life) = self.life.as_ref().filter(|_| hangs_up) {
            life.watched.check_looks(net.now);
        }
        assert!(!asked || joining.is_none() || self.life.is_none(), "a join is not answered");
    }

    /// Carries out one action.
    fn act(&mut self, action: Action, joining: &mut Option<Joining>, common: &Common, net: &mut Net) {
        let (who, node, now) = (self.who(), self.at, net.now);
        let Some(life) = &mut self.life else { return };
        match action {
            Action::Accept { key, ours } => {
                let joining = joining.take().expect("accepts one that does not ask");
                self.accept(key, ours, joining, common, net);
            }
            Action::Refuse(why) => {
                let joining = joining.take().expect("refuses one that does not ask");
                if why == DisconnectReason::Duplicate {
                    let caller = net.links[joining.link].ends[1 - joining.end].who.node;
                    let mut there =
                        life.admitted.iter().filter(|(_, peer)| peer.node == caller && !peer.leaving);
                    let kept = there.next().and_then(|(key, _)| life.workers.get(key));
                    kept.into_iter().for_each(|kept| net.closes_duplicate(joining.link, kept.link));
                }
                net.tell(|| format!("node {}: refuses link {}: {why}", self.plan.name, joining.link));
                net.reset(joining.link);
            }
            Action::Order(key, order) => {
                let closed = life.workers.get(&key).map(|worker| worker.link);
                if let (Order::Close(DisconnectReason::Duplicate), Some(closed), Some(new)) =
                    (&order, closed, &joining)
                {
                    net.closes_duplicate(closed, new.link);
                }
                self.order(key, order, common, net)
            }
            Action::Wake(key) => self.wake(Thread::Worker(key), Duration::ZERO, net),
            Action::HangUp(key) => {
                if let Some(worker) = life.workers.get(&key) {
                    let (link, end) = (worker.link, worker.end);
                    net.reset(link);
                    net.links[link].ends[end].hung_up = true;
                    self.wake(Thread::Reader(key), Duration::ZERO, net);
                }
            }
            Action::Forget(key) => {
                let peer = life.admitted.remove(&key);
                assert!(peer.is_some(), "{key:?} is forgotten twice");
                if let Some((addr, peer)) = peer.and_then(|peer| peer.listens.map(|addr| (addr, peer))) {
                    life.host.dials.parts(addr, peer.had_all);
                }
                life.host.forget(key);
                life.ledger.leaves(key);
            }
            Action::Dial(addr, encrypts) => {
                assert!(life.online && !life.paused, "it dials, and is to rest");
                let known = life.admitted.values().any(|peer| peer.listens == Some(addr));
                assert!(!known, "it dials {addr} again, which it is connected to");
                assert!(!life.filter.blocks(addr.ip()), "it dials {addr}, which is blocked");
                let seeds = life.torrent.phase() == Phase::Seeding;
                life.host.dials.begins(addr, encrypts, seeds, now);
                life.next_port = life.next_port.checked_add(1).unwrap_or(10_000);
                let from = SocketAddr::new(self.addr.ip(), life.next_port);
                net.after(Duration::ZERO, Event::Ring(who, Call { from, addr, encrypts }));
            }
            Action::Verified(piece) => {
                assert!(life.ledger.proved.has(piece), "counted before it was proved");
                life.log.append(piece);
                life.watched.logged.insert(piece);
                life.unsaved.get_or_insert(now);
            }
            Action::CloseFiles => {
                assert!(life.admitted.is_empty(), "files are closed while connections have them");
                life.online = false;
                life.host.offline();
                life.log = HaveLog::default();
            }
            Action::Configure(_) | Action::MoveFiles(_) => {}
            Action::Check { .. } => {
                let takes = Duration::from_micros(500 + net.dice.below(200_000));
                net.after(takes, Event::Surveyed(who));
            }
            Action::CancelCheck => {}
            Action::Lost(piece) => {
                assert!(self.disk.state().changes > 0, "piece {piece} is lost, and no file was changed");
                life.log.append_lost(piece);
                life.watched.logged.remove(piece);
                life.ledger.proved.remove(piece);
                self.disk.state().verified.remove(piece);
            }
            Action::Recheck { files, pieces } => self.begin_recheck(files, pieces, net),
            Action::Refetch(pieces) => self.tell_disk(ToDisk::Lost(pieces), net),
            Action::Learn { key, ours } => {
                let order = Order::Learn { ours: Box::new(ours), cursor: life.log.end() };
                self.order(key, order, common, net);
            }
            Action::LoadMetadata => self.tell(Input::MetadataLoaded(self.metadata.clone()), net),
            Action::MetadataKnown { metainfo, .. } => {
                assert_eq!(metainfo.info_bytes(), common.metainfo.info_bytes(), "false metadata is believed");
                net.stats.fault("metadata found");
                life.online = false;
                life.host.offline();
            }
            Action::SaveMetadata => self.metadata = Some(common.metainfo.info_bytes().to_vec()),
            Action::LookForChanges { within } => {
                life.watched.files_looked_at = Some(now);
                let since = Moment::START + now.since(Moment::START).saturating_sub(within);
                net.after(Duration::from_micros(200), Event::Look(who, since));
            }
            Action::ExpectBlocks(have) => {
                life.write_queue = Some(WriteQueue::new(Box::new(Assembly::new(self.disk.clone(), have))));
            }
            Action::RetryWrite => {
                assert!(
                    life.admitted.is_empty(),
                    "the disk is tried while connections have blocks under way"
                );
                self.tell_disk(ToDisk::Retry, net)
            }
            Action::CloseDisk => self.tell_disk(ToDisk::Close, net),
            Action::SettleFiles => {
                assert!(self.disk.is_whole(), "finished, and not whole");
                self.completed = true;
                life.watched.unannounced = life.torrent.have().is_some_and(Bitfield::is_full);
                net.tell(|| format!("node {} has finished", self.plan.name));
            }
            Action::Save { have, uploaded, downloaded } => {
                let before = self.saved_bytes;
                assert!(uploaded >= before.0 && downloaded >= before.1, "the counts of a state go back");
                life.unsaved = None;
                assert_eq!(Some(&have), life.torrent.have(), "a state does not say what is had");
                life.saving.push_back((have, (uploaded, downloaded)));
                let takes = Duration::from_micros(500 + net.dice.below(400_000));
                net.after(takes, Event::Saved(who));
            }
            Action::RemoveState => {
                assert!(self.disk.is_whole(), "the state is removed, and not everything is there");
                life.unsaved = None;
                self.disk.state().claimed = Bitfield::empty(common.pieces.count());
                self.saved_bytes = (0, 0);
                self.tell(Input::StateRemoved(Ok(())), net);
            }
            Action::Online => {
                life.online = true;
                life.host.online();
                if life.tiers.is_none() {
                    life.announcing += 1;
                    let (tiers, refused) =
                        Tiers::new(&common.tiers, Policy::default(), Random::seeded(life.dice.next_u64()));
                    assert!(refused.is_empty());
                    life.tiers = Some(tiers);
                }
                self.announce(net);
            }
            Action::Offline { within } => self.go_offline(within, net),
            Action::AnnounceCompleted => {
                life.watched.unannounced = false;
                life.tiers.iter_mut().for_each(|tiers| tiers.completed(now));
                self.announce(net);
            }
            Action::WantPeers | Action::Reannounce => {
                life.tiers.iter_mut().for_each(|tiers| tiers.want_peers(now));
                self.announce(net);
            }
            Action::ReleaseSlot => {
                let next = life.host.release_slot();
                next.into_iter().for_each(|next| net.after(Duration::ZERO, Event::Granted(next)));
            }
            Action::ExternalIp(_) => {}
            Action::Event(what) => self.on_event(&what, net),
            Action::Ended => {
                net.tell(|| format!("node {node} has ended"));
                self.ended(net);
            }
        }
    }

    fn on_event(&mut self, what: &EventKind, net: &mut Net) {
        let who = self.who();
        match what {
            EventKind::Failed { kind, why } => {
                let state = self.disk.state();
                assert!(state.errors + state.changes > 0, "node {} fails for nothing: {why}", self.plan.name);
                drop(state);
                assert_ne!(*kind, ErrorKind::DiskFull);
                net.tell(|| format!("node {} fails: {why}", self.plan.name));
                // Its user sees that, and starts it again.
                let wait = Duration::from_millis(3_000 + net.dice.below(60_000));
                net.after(wait, Event::Restart(who));
            }
            EventKind::SeedingDone { why } => {
                net.stats.fault("seed limits reached");
                net.tell(|| format!("node {} has seeded enough: {why:?}", self.plan.name));
                let limited = self.plan.seeds_for.is_some() || self.plan.seeds_ratio.is_some();
                assert!(limited && self.completed, "it ends without a limit");
                self.check_limit(*why, net.now);
                self.ends(net);
            }
            EventKind::Queued => net.stats.fault("torrents queued"),
            _ => {}
        }
    }

    fn accept(
        &mut self,
        key: PeerKey,
        ours: Option<OurPieces>,
        joining: Joining,
        common: &Common,
        net: &mut Net,
    ) {
        let Joining { link, end, incoming, handshake } = joining;
        let now = net.now;
        let (addr, node) = (net.links[link].ends[end].peer, net.links[link].ends[1 - end].who.node);
        let content = ours.is_some().then_some(common);
        let upload_only = ours.as_ref().is_some_and(|ours| ours.upload_only);
        let have = ours.map(|ours| liar::claims(self.plan.twist, ours.have)).unwrap_or_default();
        let extension_setup =
            handshake.extended().then(|| self.extension_setup(addr, common.pex, content, upload_only));
        let Some(life) = &mut self.life else { return };
        assert!(life.online && !life.paused, "it lets a connection in, and is to rest");
        let setup = Setup {
            pieces: content.map(|common| common.pieces),
            info_hash: common.metainfo.info_hash(),
            peer_ip: addr.ip(),
            fast: handshake.fast() && !self.plan.plain,
            extension_setup: extension_setup.flatten(),
            have,
            request_cap: Setup::REQUEST_CAP,
        };
        if !incoming {
            let encryption = net.links[link].encryption;
            net.stats.fault(match encryption {
                Encryption::None => "connections made in plain",
                Encryption::Handshake => "connections made with an encrypted handshake",
                _ => "connections made with RC4",
            });
            life.host.dials.reached(addr, encryption);
        }
        let worker = Worker::new((link, end), Session::new(setup, now), life.log.end(), common, net);
        life.workers.insert(key, worker);
        let twice = life.admitted.values().any(|peer| peer.node == node && !peer.leaving);
        assert!(!twice, "it keeps two connections with node {node}");
        let admitted = Admitted {
            node,
            ip: addr.ip(),
            listens: (end == 0).then_some(addr),
            interested: false,
            choking: true,
            had_all: false,
            wanted: false,
            wants_blocks: false,
            upload_only: false,
            snubbed: false,
            choked: true,
            useless: None,
            leaving: false,
            since: Since::default(),
        };
        let known = life.admitted.insert(key, admitted);
        assert!(known.is_none(), "{key:?} is a name twice");
        life.pool.connections.set(life.pool.connections.get() + 1);
        net.links[link].ends[end].key = Some(key);
        net.tell(|| format!("node {}: {key:?} is node {node}", self.plan.name));
        self.wake(Thread::Worker(key), Duration::ZERO, net);
        self.wake(Thread::Reader(key), Duration::ZERO, net);
    }

    /// Its extension handshake, with the metadata where it knows that.
    pub fn extension_setup(
        &self,
        to: SocketAddr,
        pex: bool,
        content: Option<&Common>,
        upload_only: bool,
    ) -> Option<ExtensionSetup> {
        if self.plan.plain {
            return None;
        }
        let metainfo = content.map(|common| common.metainfo.clone());
        let gives = self.plan.twist != Some(Twist::NoMetadata);
        let m = Extensions {
            ut_pex: Extensions::OURS.ut_pex.filter(|_| pex),
            ut_metadata: Extensions::OURS.ut_metadata.filter(|_| gives),
            ..if metainfo.is_some() { Extensions::OURS } else { Extensions::default() }
        };
        let handshake = ExtendedHandshake {
            m,
            port: Some(self.addr.port()),
            reqq: Some(UploadQueue::BOUND as u32),
            your_ip: Some(to.ip()),
            encryption: self.plan.encryption.is_preferred().then_some(true),
            upload_only: upload_only.then_some(true),
            metadata_size: metainfo.as_ref().map(|metainfo| metainfo.info_bytes().len() as u64),
            ..Default::default()
        };
        Some(ExtensionSetup { handshake, metainfo })
    }

    fn order(&mut self, key: PeerKey, order: Order, common: &Common, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        let admitted = life.admitted.get_mut(&key).expect("an order for one that is not there");
        match &order {
            Order::Close(why) => {
                admitted.leaving = true;
                let banned = matches!(why, DisconnectReason::Violation(_));
                if *why == DisconnectReason::Violation(Violation::FalseMetadata) {
                    net.stats.fault("banned for false metadata");
                }
                let fair = self.plan.twist.is_some() || !banned || !common.honest[admitted.node].get();
                assert!(fair, "honest node {} is banned by node {}: {why}", admitted.node, self.at);
            }
            Order::Take(job) => {
                let (piece, range) = (job.claim.piece().index(), job.claim.range());
                net.tell(|| {
                    format!(
                        "node {}: {key:?} gets {:?}: {range:?} of piece {piece}",
                        self.plan.name, job.lease
                    )
                });
                let have = life.torrent.have().expect("work before the data was checked");
                assert!(!have.has(piece), "piece {piece} is verified and fetched again");
                life.ledger.leased(key, job, net.now);
                admitted.wants_blocks = false;
            }
            Order::Choke(choke) => {
                admitted.choked = *choke;
                life.watched.chose_served = true;
            }
            Order::Interested(interested) => admitted.wanted = *interested,
            _ => {}
        }
        let Some(worker) = life.workers.get_mut(&key) else { return };
        if worker.orders.len() >= MAX_ORDERS {
            worker.deaf = true;
        } else {
            worker.orders.push_back(order);
        }
        self.wake(Thread::Worker(key), Duration::ZERO, net);
    }

    fn tell_disk(&mut self, what: ToDisk, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        life.to_disk.push_back(what);
        self.wake(Thread::Disk, Duration::ZERO, net);
    }

    /// Connections are turned away and trackers are told, for as long as they may take.
    fn go_offline(&mut self, within: Duration, net: &mut Net) {
        let who = self.who();
        let Some(life) = &mut self.life else { return };
        life.online = false;
        life.watched.farewells += 1;
        life.host.offline();
        let Some(mut tiers) = life.tiers.take() else { return self.tell(Input::TrackersStopped, net) };
        tiers.stop();
        while let Some(call) = tiers.poll(net.now) {
            net.after(Duration::from_millis(20), Event::Announce(who, life.announcing, Box::new(call)));
        }
        life.announcing += 1;
        let takes = Duration::from_millis(20 + net.dice.below(2_500)).min(within);
        net.after(takes, Event::TrackersStopped(who));
    }

    /// Makes the announces that are due, and wakes for the next.
    pub fn announce(&mut self, net: &mut Net) {
        let (who, node) = (self.who(), self.at);
        let Some(life) = &mut self.life else { return };
        let Some(tiers) = &mut life.tiers else { return };
        while let Some(call) = tiers.poll(net.now) {
            let wait = net.latency(node, node);
            net.after(wait, Event::Announce(who, life.announcing, Box::new(call)));
        }
        if let Some(due) = tiers.deadline().filter(|due| *due > net.now) {
            self.wake(Thread::Announcer, due.since(net.now), net);
        }
    }

    /// What came of an announce.
    pub fn on_announced(
        &mut self,
        announcing: u32,
        tracker: usize,
        result: Result<Answer, Failure>,
        net: &mut Net,
    ) {
        let now = net.now;
        let Some(life) = self.life.as_mut().filter(|life| life.announcing == announcing) else { return };
        let Some(tiers) = &mut life.tiers else { return };
        match result {
            Ok(answer) => {
                tiers.answered(tracker, &answer, now);
                let address = answer.external_ip.map(TrackerEvent::ExternalIp);
                let peers = (!answer.peers.is_empty()).then_some(TrackerEvent::Peers(answer.peers));
                for event in address.into_iter().chain(peers) {
                    self.tell(Input::Tracker(event), net);
                }
            }
            Err(failure) => _ = tiers.failed(tracker, &failure, now),
        }
        self.announce(net);
    }

    /// The data was looked at.
    pub fn surveyed(&mut self, common: &Common, net: &mut Net) {
        let have = self.disk.survey();
        let count = common.pieces.count();
        let Some(life) = &mut self.life else { return };
        net.tell(|| format!("node {} begins with {} of {count} pieces", self.plan.name, have.count()));
        let proved = have.count() > self.disk.state().claimed.count();
        self.completed |= have.is_full();
        life.ledger = Ledger::new(have.clone());
        let (uploaded, downloaded) = self.saved_bytes;
        // A state that this session saved has its bytes already.
        let before = if life.verifying { life.watched.uploaded_before } else { uploaded };
        life.watched.begins(&have, before);
        let opened = Opened {
            wanted: Bitfield::full(count),
            have,
            proved,
            keeps_state: true,
            uploaded,
            downloaded,
            notes: Vec::new(),
            renamed: Vec::new(),
            holds_every_file: true,
            has_chosen_names: false,
        };
        self.tell(Input::Checked(Box::new(Ok(opened))), net);
    }

    /// The torrent has ended by itself, in time: nothing of it stays.
    fn ended(&mut self, net: &mut Net) {
        let Some(life) = &self.life else { return };
        let ends_by = life.ends_by.expect("it ends, and was not told to");
        assert!(net.now <= ends_by, "node {} ends too late", self.plan.name);
        self.check_ended(life, net.now);
        let Some(life) = &mut self.life else { return };
        let restart = life.restart.take();
        self.die(false, net);
        if let Some(wait) = restart {
            net.after(wait, Event::Start(self.at));
        }
    }
}

impl Life {
    /// Notes what is about to be told, for the checks.
    fn book(&mut self, input: &Input, now: Moment) {
        match input {
            Input::Report(key, Report::Returned(lease)) => self.ledger.returned(*key, *lease),
            Input::Report(key, report) => {
                let Some(peer) = self.admitted.get_mut(key) else { return };
                match report {
                    Report::Interested(interested) => peer.interested = *interested,
                    Report::Snubbed(snubbed) => peer.snubbed = *snubbed,
                    Report::Choking(choking) => peer.choking = *choking,
                    Report::Exchanged(exchange) => {
                        exchange.dropped.iter().for_each(|addr| self.host.dials.forget(*addr));
                    }
                    Report::WantsBlocks(blocks) => peer.wants_blocks = *blocks > 0,
                    Report::ExtensionHandshake(said) => {
                        peer.upload_only = said.upload_only.unwrap_or(peer.upload_only);
                        let port = said.port.filter(|_| peer.listens.is_none());
                        peer.listens = port.map(|port| SocketAddr::new(peer.ip, port)).or(peer.listens);
                        if let Some(addr) = peer.listens {
                            self.host.dials.is_there(addr, said.encryption == Some(true));
                        }
                    }
                    _ => {}
                }
            }
            Input::SlotGranted => self.host.granted(self.torrent.phase() == Phase::Queued),
            Input::TrackersStopped => self.watched.farewells -= 1,
            Input::Disk(WriteEvent::Verdict(verdict)) => {
                self.ledger.close(verdict.piece);
                if let (false, [culprit]) = (verdict.good, &verdict.contributors[..]) {
                    self.watched.convicts.push(*culprit);
                }
            }
            Input::Disk(WriteEvent::Dropped(piece)) => self.ledger.close(*piece),
            Input::Joined(join) if !join.incoming => self.host.dials.ends(join.addr),
            Input::DialFailed(addr, _) => {
                self.host.dials.ends(*addr);
                // It may have connected to us meanwhile.
                if self.admitted.values().all(|peer| peer.listens != Some(*addr)) {
                    self.host.dials.failed(*addr, now);
                }
            }
            // One that had no metadata may have data.
            Input::Checked(_) => {
                self.verifying = false;
                self.host.dials.forget_all();
            }
            Input::Filter(filter) => {
                self.filter = filter.clone();
                self.host.dials.forget_all();
            }
            Input::Pause => self.paused = true,
            Input::Change(_) => self.verifying = true,
            Input::Resume => self.paused = false,
            _ => {}
        }
    }
}
