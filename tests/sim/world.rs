//! The world: nodes, network and trackers put together, what happens to them one after the other,
//! and when all is well.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bitwren::DisconnectReason::{self, EncryptionRefused, PlainRefused};
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::digest::sha1;
use bitwren::internals::id::own_peer_id;
use bitwren::internals::moment::Moment;
use bitwren::internals::peer::attempts;
use bitwren::internals::random::Random;
use bitwren::internals::torrent::Input;
use bitwren::internals::tracker::tiers::AnnounceDue;
use bitwren::internals::tracker::{Answer, Event as Announced, Failure, Retry};
use bitwren::internals::wire::handshake::Handshake;
use bitwren::metainfo::build::{Content, Entry, Torrent};
use bitwren::{Blocklist, Metainfo};

use super::disk::Disk;
use super::host::Client;
use super::net::{Call, Event, Net, Stats, Thread, Who};
use super::node::{Common, Life, Message, Node};
use super::plan::{Mood, Plan, What};
use super::shaking::shake;

/// Once the last fault is over, everyone honest has everything within this virtual time: a torrent's
/// bytes at the pace of its slowest line, and two of the longest pauses that failures lead to.
pub const LIVENESS: Duration = Duration::from_secs(2 * 3600);

pub struct World {
    plan: Plan,
    pub net: Net,
    nodes: Vec<Node>,
    common: Common,
    /// How each tracker is just now.
    trackers: Vec<Mood>,
    /// Who announced when. Trackers tell one another (BEP 12).
    announced: Vec<(SocketAddr, Moment)>,
    /// When the last fault is over.
    calm: Moment,
}

/// How long a dial that is not answered takes to fail.
const CONNECT: Duration = Duration::from_secs(10);

/// Where a node listens.
fn address(name: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::from([11, 7, (name >> 8) as u8, name as u8]), 6881)
}

impl World {
    pub fn new(plan: &Plan, traced: bool) -> World {
        let mut dice = Random::seeded(plan.seed ^ 0x7007);
        let truth: Vec<u8> =
            (0..plan.total.div_ceil(8)).flat_map(|_| dice.next_u64().to_le_bytes()).collect();
        let truth = Arc::new(truth[..plan.total as usize].to_vec());
        let hashes = truth.chunks(plan.piece_length as usize).flat_map(sha1).collect();
        let each = plan.total / plan.files;
        let length = |nth: u64| if nth + 1 == plan.files { plan.total - nth * each } else { each };
        let entry = |nth: u64| Entry::new([format!("file {nth}")], length(nth));
        let content = match plan.files {
            1 => Content::File { length: plan.total },
            files => Content::Directory((0..files).map(entry).collect()),
        };
        let torrent = Torrent::new("world", content, plan.piece_length, hashes).encode().unwrap();
        let metainfo = Arc::new(Metainfo::from_bytes(&torrent).unwrap());
        let pieces = metainfo.pieces();
        // The first two trackers are one tier.
        let url = |nth: usize| format!("http://tracker{nth}.sim/announce");
        let urls: Vec<String> = (0..plan.trackers).map(url).collect();
        let (first, rest) = urls.split_at(urls.len().min(2));
        let tiers = std::iter::once(first.to_vec()).chain(rest.iter().map(|url| vec![url.clone()]));
        let common = Common {
            pieces,
            tiers: tiers.collect(),
            pex: plan.pex,
            honest: plan.nodes.iter().map(|node| Cell::new(node.twist.is_none())).collect(),
            ids: plan.nodes.iter().map(|_| own_peer_id(&mut dice)).collect(),
            metainfo,
        };
        let mut net = Net::new(plan, traced);
        let mut clients: BTreeMap<u32, Rc<RefCell<Client>>> = BTreeMap::new();
        let nodes = plan.nodes.iter().enumerate().map(|(at, node)| {
            let disk = Disk::new(common.metainfo.clone(), truth.clone());
            let has = |dice: &mut Random| dice.below(100) < node.has;
            (0..pieces.count()).filter(|_| has(&mut dice)).for_each(|piece| disk.plant(piece));
            net.at(node.joins, Event::Start(at));
            net.stats.liars += u64::from(node.twist.is_some());
            Node {
                plan: node.clone(),
                at,
                addr: address(node.name),
                disk: Arc::new(disk),
                lives: 0,
                life: None,
                starved: false,
                was_starved: false,
                disk_slower: 1,
                hangs: None,
                filter: Arc::default(),
                completed: false,
                client: clients
                    .entry(node.client)
                    .or_insert_with(|| Client::new(plan.max_connections, plan.max_active))
                    .clone(),
                saved_bytes: (0, 0),
                metadata: None,
            }
        });
        let nodes: Vec<Node> = nodes.collect();
        let mut calm = plan.nodes.iter().map(|node| node.joins).max().unwrap_or_default();
        for (at, fault) in plan.faults.iter().enumerate() {
            net.at(fault.at, Event::Fault(at));
            net.at(fault.at + fault.lasts, Event::Over(at));
            calm = calm.max(fault.at + fault.lasts);
        }
        (net.stats.worlds, net.stats.nodes) = (1, nodes.len() as u64);
        let trackers = vec![Mood::Honest; plan.trackers];
        World { plan: plan.clone(), net, nodes, common, trackers, announced: Vec::new(), calm }
    }

    /// Runs until everyone honest has everything.
    pub fn run(&mut self) -> Stats {
        while let Some(event) = self.net.pop() {
            self.happen(event);
            if self.net.now >= self.calm && self.is_well() {
                break;
            }
            assert!(self.net.now <= self.calm + LIVENESS, "{}", self.complaint());
        }
        assert!(self.is_well(), "nothing happens any more; {}", self.complaint());
        self.net.stats.virtual_secs = self.net.now.as_micros() / 1_000_000;
        std::mem::take(&mut self.net.stats)
    }

    fn is_well(&self) -> bool {
        self.nodes.iter().all(|node| !node.is_honest() || node.completed)
    }

    fn complaint(&self) -> String {
        let lacking = self.nodes.iter().filter(|node| node.is_honest() && !node.completed);
        let told: Vec<String> = lacking
            .map(|node| {
                let state = |life: &Life| {
                    let have = life.torrent.have().map(Bitfield::count);
                    format!("{:?} with {have:?} pieces, {} peers", life.torrent.phase(), life.admitted.len())
                };
                format!("node {}: {:?}", node.plan.name, node.life.as_deref().map(state))
            })
            .collect();
        format!("not complete in time: {}", told.join(", "))
    }

    fn node(&mut self, name: u32) -> Option<usize> {
        self.plan.nodes.iter().position(|node| node.name == name)
    }

    /// All nodes of the client of this one.
    fn of_client(&self, at: usize) -> Vec<usize> {
        let client = self.nodes[at].plan.client;
        let mates = self.nodes.iter().filter(|node| node.plan.client == client);
        mates.map(|node| node.at).collect()
    }

    fn alive(&self, who: Who) -> bool {
        let node = &self.nodes[who.node];
        node.life.is_some() && node.lives == who.life
    }

    fn happen(&mut self, event: Event) {
        let World { net, nodes, common, .. } = self;
        match event {
            Event::Start(at) => nodes[at].start(common, net),
            Event::Wake(who, thread) => {
                if self.alive(who) {
                    let World { net, nodes, common, .. } = self;
                    net.note(who.node as u64);
                    nodes[who.node].woken(thread, common, net);
                }
            }
            Event::Line(at) => {
                if let Some((who, key)) = net.line(at) {
                    if self.alive(who) {
                        self.nodes[who.node].wake(Thread::Uploader(key), Duration::ZERO, &mut self.net);
                    }
                }
            }
            Event::Arrive(link, end, bytes) => {
                if !net.links[link].open {
                    // What was under way when it ended may or may not have come first.
                    return;
                }
                net.note(bytes.len() as u64);
                net.links[link].ends[end].inbox.push(&bytes);
                self.readable(link, end);
            }
            Event::Hangup(link, end) => {
                net.links[link].ends[end].hung_up = true;
                self.readable(link, end);
            }
            Event::Ring(who, call) => self.ring(who, call),
            Event::Rung(who, addr, answer) => self.rung(who, addr, answer),
            Event::Announce(who, announcing, call) => self.announced(who, announcing, *call),
            Event::Answered(who, announcing, tracker, answer) => {
                if self.alive(who) {
                    self.nodes[who.node].on_announced(announcing, tracker, *answer, &mut self.net);
                }
            }
            Event::TrackersStopped(who) => {
                if self.alive(who) {
                    self.nodes[who.node].tell(Input::TrackersStopped, &mut self.net);
                }
            }
            Event::Surveyed(who) => {
                if self.alive(who) {
                    self.nodes[who.node].surveyed(&self.common, &mut self.net);
                }
            }
            Event::Restart(who) => {
                if self.alive(who) {
                    self.nodes[who.node].remove(Some(Duration::from_secs(1)), &mut self.net);
                }
            }
            Event::Granted(at) => self.nodes[at].tell(Input::SlotGranted, &mut self.net),
            Event::Saved(who) => {
                if self.alive(who) {
                    self.nodes[who.node].saved(&mut self.net);
                }
            }
            Event::Look(who, since) => {
                if self.alive(who) {
                    self.nodes[who.node].looks(since, &mut self.net);
                }
            }
            Event::Recheck(who) => {
                if self.alive(who) {
                    self.nodes[who.node].recheck(&mut self.net);
                }
            }
            Event::IsToHaveEnded(who) => {
                assert!(
                    !self.alive(who),
                    "node {} was told to end, and has not",
                    self.nodes[who.node].plan.name
                );
            }
            Event::Fault(at) => self.fault(at),
            Event::Over(at) => self.over(at),
        }
    }

    fn readable(&mut self, link: usize, end: usize) {
        let World { net, nodes, .. } = self;
        let (who, key) = (net.links[link].ends[end].who, net.links[link].ends[end].key);
        let node = &mut nodes[who.node];
        if let Some(key) = key.filter(|_| node.life.is_some() && node.lives == who.life) {
            node.wake(Thread::Reader(key), Duration::ZERO, net);
        }
    }

    fn handshake(&self, at: usize) -> Handshake {
        let mut ours = Handshake::ours(self.common.metainfo.info_hash(), self.common.ids[at]);
        if self.nodes[at].plan.plain {
            ours.reserved = [0; 8];
        }
        Handshake::decode(&ours.encode()).unwrap()
    }

    /// A call goes out: somebody is there and can be reached, or not.
    fn ring(&mut self, who: Who, Call { from, addr, encrypts }: Call) {
        let called = self.nodes.iter().position(|node| node.addr == addr);
        let World { net, nodes, .. } = self;
        let reached = called.filter(|&at| !nodes[at].plan.firewalled && net.reaches(who.node, at));
        let Some(at) = reached else {
            return net.after(CONNECT, Event::Rung(who, addr, Err(DisconnectReason::Unreachable)));
        };
        let trip = net.latency(who.node, at) + net.latency(at, who.node);
        if !nodes[at].life.as_ref().is_some_and(|life| life.online) {
            return net.after(trip, Event::Rung(who, addr, Err(DisconnectReason::Unreachable)));
        }
        let (caller, called) = (&nodes[who.node].plan, &nodes[at]);
        let mut trips = Duration::ZERO;
        let shaken = attempts::reach(
            caller.encryption,
            encrypts,
            || true,
            |encrypted| {
                trips += trip;
                // A connection that is not let in looks like one that is cut off.
                let is_blocked = called.filter.blocks(from.ip());
                let refused = if encrypted { EncryptionRefused } else { PlainRefused };
                let shaken = if is_blocked { Err(refused) } else { shake(caller, &called.plan, encrypted) };
                shaken.inspect_err(|_| net.stats.fault("handshakes cut off"))
            },
        );
        let link = shaken.map(|encryption| net.connect((who, from), (called.who(), addr), encryption));
        net.after(trips, Event::Rung(who, addr, link));
    }

    /// Both have shaken hands, or the call has failed.
    fn rung(&mut self, who: Who, addr: SocketAddr, answer: Result<usize, DisconnectReason>) {
        if !self.alive(who) {
            return;
        }
        let World { net, nodes, .. } = self;
        nodes[who.node].life.iter_mut().for_each(|life| life.host.dialed());
        let link = match answer {
            Ok(link) if net.links[link].open => link,
            failed => {
                let why = failed.err().unwrap_or(DisconnectReason::Lost);
                return nodes[who.node].tell(Input::DialFailed(addr, why), net);
            }
        };
        let called = net.links[link].ends[1].who;
        let hands = (self.handshake(called.node), self.handshake(who.node));
        let World { net, nodes, .. } = self;
        let [ours, theirs] = [(0, false, hands.0), (1, true, hands.1)]
            .map(|(end, incoming, handshake)| Message::Join { link, end, incoming, handshake });
        nodes[who.node].send(ours, net);
        if nodes[called.node].lives == called.life {
            nodes[called.node].send(theirs, net);
        }
    }

    fn announced(&mut self, who: Who, announcing: u32, call: AnnounceDue) {
        let World { net, nodes, trackers, announced: known, .. } = self;
        // The call names the tracker by its place among those of the node; the URL says which it is.
        let nth: usize = call.url.as_str()[14..15].parse().unwrap();
        let addr = nodes[who.node].addr;
        let moods = [Mood::Honest, Mood::Vanished, Mood::Refuses, Mood::Lies, Mood::Forgets];
        let mood = match trackers[nth] {
            Mood::Fickle => moods[net.dice.below(5) as usize],
            mood => mood,
        };
        known.retain(|(other, at)| *other != addr && net.now - *at < Duration::from_secs(45 * 60));
        let mut peers: Vec<SocketAddr> = known.iter().map(|(other, _)| *other).collect();
        if call.event != Announced::Stopped {
            known.push((addr, net.now));
        }
        net.dice.shuffle(&mut peers);
        peers.truncate(100);
        let nobody = |net: &mut Net| SocketAddr::new(IpAddr::from([12, 0, 0, net.dice.below(250) as u8]), 1);
        let quick = Duration::from_millis(20 + net.dice.below(400));
        let hours = Some(Duration::from_secs(2 * 3600));
        let (wait, answer) = match mood {
            Mood::Honest | Mood::Fickle => {
                (quick, Ok(Answer { peers, external_ip: Some(addr.ip()), ..Answer::default() }))
            }
            Mood::Vanished => (Duration::from_secs(15), Err(Failure::new("no answer"))),
            Mood::Refuses => {
                let retry = Some(Retry::After(Duration::from_secs(60 * net.dice.below(20))));
                (quick, Err(Failure { retry, ..Failure::new("not now") }))
            }
            Mood::Lies => {
                let peers = (0..30).map(|_| nobody(net)).chain([addr]).collect();
                (quick, Ok(Answer { peers, ..Answer::default() }))
            }
            Mood::Forgets => (quick, Ok(Answer { interval: hours, ..Answer::default() })),
        };
        net.after(wait, Event::Answered(who, announcing, call.tracker, Box::new(answer)));
    }

    fn fault(&mut self, at: usize) {
        let (fault, now) = (self.plan.faults[at], self.net.now);
        self.net.tell(|| format!("fault: {:?} for {:?}", fault.what, fault.lasts));
        let pick = |net: &Net, nth: u64| {
            let open = net.open_links(None);
            open.get((nth % open.len().max(1) as u64) as usize).copied()
        };
        let at_of = |world: &mut World, name: u32| world.node(name);
        let done = match fault.what {
            What::Cut(nth) => pick(&self.net, nth).map(|link| {
                self.net.reset(link);
                "connections cut"
            }),
            What::Stall(nth) => pick(&self.net, nth).map(|link| {
                // Both ways: TCP stands still where what it sends is not acknowledged.
                (0..2).for_each(|end| self.net.stall(link, end, fault.lasts));
                "connections stalled"
            }),
            What::Partition(bits) => {
                self.net.split(bits, fault.lasts);
                Some("partitions")
            }
            What::Tracker(nth, mood) => self.trackers.get_mut(nth).map(|tracker| {
                *tracker = mood;
                "trackers' moods"
            }),
            What::CutAll(name) => at_of(self, name).map(|at| {
                let links = self.net.open_links(Some(at));
                links.into_iter().for_each(|link| self.net.reset(link));
                "nodes cut off"
            }),
            What::Freeze(name) => at_of(self, name).map(|at| {
                self.net.freeze(at, fault.lasts);
                "nodes frozen"
            }),
            // All torrents of a client are one program.
            What::Crash(name, power) => at_of(self, name).map(|at| {
                for at in self.of_client(at) {
                    self.nodes[at].die(power, &mut self.net);
                    if power {
                        self.nodes[at].disk.lose_power(&mut self.net.dice);
                    }
                }
                if power { "power cuts" } else { "kills" }
            }),
            What::Pause(name) => at_of(self, name).map(|at| {
                self.nodes[at].tell(Input::Pause, &mut self.net);
                "pauses"
            }),
            What::Verify(name) => at_of(self, name).map(|at| {
                let verify = Box::new(bitwren::internals::torrent::Change::Verify);
                self.nodes[at].tell(Input::Change(verify), &mut self.net);
                "verifies"
            }),
            What::Remove(name) => at_of(self, name).map(|at| {
                self.nodes[at].remove(None, &mut self.net);
                "removals"
            }),
            What::Shutdown(name) => at_of(self, name).map(|at| {
                for at in self.of_client(at) {
                    self.nodes[at].remove(None, &mut self.net);
                }
                "shutdowns of a client"
            }),
            What::Change(name, nth, change) => at_of(self, name).and_then(|at| {
                self.nodes[at].disk.change(nth, change, now).then_some("files changed by another program")
            }),
            What::DiskFull(name) => at_of(self, name).map(|at| {
                self.nodes[at].disk.state().full = true;
                "full disks"
            }),
            What::WriteFails(name, nth) => at_of(self, name).map(|at| {
                self.nodes[at].disk.state().write_fails = Some((nth, false));
                "EIO on the nth write"
            }),
            What::WriteTears(name, nth) => at_of(self, name).map(|at| {
                self.nodes[at].disk.state().write_fails = Some((nth, true));
                "torn writes"
            }),
            What::ReadFails(name, nth) => at_of(self, name).map(|at| {
                self.nodes[at].disk.state().read_fails = Some(nth);
                "EIO on the nth read"
            }),
            What::DiskSlow(name, times) => at_of(self, name).map(|at| {
                self.nodes[at].disk_slower = times;
                "slow disks"
            }),
            What::Sluggish(name) => at_of(self, name).map(|at| {
                (self.nodes[at].starved, self.nodes[at].was_starved) = (true, true);
                "starved threads"
            }),
            What::Blocks(name, bits) => at_of(self, name).map(|at| {
                self.blocks(at, bits);
                "address filters reloaded"
            }),
            What::Names(name, source) => at_of(self, name).map(|at| {
                let of_others = self.nodes.iter().filter(|node| node.at != at);
                let addrs = of_others.map(|node| node.addr).collect();
                self.nodes[at].tell(Input::Found(source, addrs), &mut self.net);
                "addresses named by the DHT and by LSD"
            }),
            What::Hang(name, hang) => at_of(self, name).map(|at| {
                self.nodes[at].hangs = Some(hang);
                "hanging threads"
            }),
        };
        done.into_iter().for_each(|name| self.net.stats.fault(name));
    }

    /// From now on a node blocks these others: a bit stands for each, but for the first seed.
    fn blocks(&mut self, at: usize, bits: u64) {
        let blocked =
            self.plan.nodes.iter().filter(|node| node.name > 0 && bits >> (node.name % 64) & 1 == 1);
        let list: String = blocked.map(|node| format!("{}\n", address(node.name).ip())).collect();
        let filter = Arc::new(Blocklist::read(list.as_bytes()).unwrap().filter);
        self.nodes[at].filter = filter.clone();
        self.nodes[at].tell(Input::Filter(filter), &mut self.net);
    }

    fn over(&mut self, at: usize) {
        match self.plan.faults[at].what {
            What::Tracker(nth, _) => {
                if let Some(tracker) = self.trackers.get_mut(nth) {
                    *tracker = Mood::Honest;
                }
            }
            What::Crash(name, _) => {
                let mates = self.node(name).map(|at| self.of_client(at)).unwrap_or_default();
                for at in mates {
                    self.nodes[at].start(&self.common, &mut self.net);
                }
            }
            What::Pause(name) => {
                if let Some(at) = self.node(name) {
                    self.nodes[at].tell(Input::Resume, &mut self.net);
                }
            }
            What::Remove(name) | What::Shutdown(name) => {
                let ended = match self.plan.faults[at].what {
                    What::Shutdown(_) => self.node(name).map(|at| self.of_client(at)).unwrap_or_default(),
                    _ => self.node(name).into_iter().collect(),
                };
                for at in ended {
                    self.nodes[at].start(&self.common, &mut self.net);
                    let life = self.nodes[at].life.iter_mut().filter(|life| life.ends_by.is_some());
                    life.for_each(|life| life.restart = Some(Duration::ZERO));
                }
            }
            What::Blocks(name, _) => {
                if let Some(at) = self.node(name) {
                    self.blocks(at, 0);
                }
            }
            What::Hang(name, _) => {
                if let Some(at) = self.node(name) {
                    self.nodes[at].hangs_no_longer(&mut self.net);
                }
            }
            What::DiskFull(name)
            | What::WriteFails(name, _)
            | What::WriteTears(name, _)
            | What::ReadFails(name, _)
            | What::DiskSlow(name, _)
            | What::Sluggish(name) => {
                if let Some(at) = self.node(name) {
                    let node = &mut self.nodes[at];
                    (node.disk_slower, node.starved) = (1, false);
                    let mut disk = node.disk.state();
                    (disk.full, disk.write_fails, disk.read_fails) = (false, None, None);
                }
            }
            _ => {}
        }
    }
}
