//! Many nodes in one thread, in virtual time: which nodes and peers are found, and what liars can do.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Family, Node, NodeId, Setup};
use crate::id::InfoHash;
use crate::moment::Moment;
use crate::random::Random;

/// How a node of the world behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Dead,
    /// Answers every question with nodes that do not exist, all of them near the target.
    Liar,
}

struct World {
    nodes: BTreeMap<SocketAddr, (Kind, Node)>,
    /// Packets under way, by arrival time and a number to tell them apart: sender, receiver, bytes.
    network: BTreeMap<(Moment, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    now: Moment,
    sent: u64,
    /// Nodes that received an announce.
    announced: Vec<SocketAddr>,
    random: Random,
}

fn address(n: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from(0x1000_0000 + n * 257).into(), 6881)
}

impl World {
    /// A world of `many` nodes; `dead` and `liars` are percentages.
    fn new(many: u32, dead: u64, liars: u64, seed: u64) -> World {
        let mut random = Random::seeded(seed);
        let mut nodes = BTreeMap::new();
        for n in 0..many {
            let addr = address(n);
            let id = NodeId::secure(addr.ip(), &mut random);
            let setup = Setup { family: Family::V4, read_only: false, id: Some(id) };
            let kind = match random.below(100) {
                _ if n < 2 => Kind::Good,
                dice if dice < dead => Kind::Dead,
                dice if dice < dead + liars => Kind::Liar,
                _ => Kind::Good,
            };
            nodes.insert(addr, (kind, Node::new(setup, Random::seeded(random.next_u64()), Moment::START)));
        }
        World { nodes, network: BTreeMap::new(), now: Moment::START, sent: 0, announced: Vec::new(), random }
    }

    /// All nodes join through the first one, one after the other.
    fn join(&mut self) {
        for n in 1..self.nodes.len() as u32 {
            let now = self.now;
            self.with(n, |node| node.bootstrap(&[address(0)], now));
            self.run(Duration::from_millis(200));
        }
        self.run(Duration::from_secs(20));
    }

    fn with<T>(&mut self, n: u32, body: impl FnOnce(&mut Node) -> T) -> T {
        let told = body(&mut self.nodes.get_mut(&address(n)).unwrap().1);
        self.collect(address(n));
        told
    }

    /// Puts what a node has to send on its way.
    fn collect(&mut self, from: SocketAddr) {
        let Some((kind, node)) = self.nodes.get_mut(&from) else { return };
        let dead = *kind == Kind::Dead;
        for (to, packet) in node.outgoing() {
            self.sent += 1;
            if packet.windows(13).any(|part| part == b"announce_peer") {
                self.announced.push(to);
            }
            let delay = Duration::from_millis(20 + self.random.below(80));
            if !dead {
                self.network.insert((self.now + delay, self.sent), (from, to, packet));
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let step = (self.now + Duration::from_millis(500)).min(end);
            while let Some(entry) = self.network.first_entry().filter(|entry| entry.key().0 <= step) {
                let ((at, _), (from, to, packet)) = entry.remove_entry();
                self.now = self.now.max(at);
                self.receive(from, to, &packet);
            }
            self.now = step;
            self.tick();
        }
    }

    fn receive(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) {
        let Some((kind, node)) = self.nodes.get_mut(&to) else { return };
        match *kind {
            Kind::Dead => return,
            Kind::Liar if packet.ends_with(b"1:y1:qe") => {
                let (lie, at) = (lie(packet, &mut self.random), self.now + Duration::from_millis(30));
                self.network.insert((at, self.random.next_u64()), (to, from, lie));
            }
            _ => node.on_packet(from, packet, self.now),
        }
        self.collect(to);
    }

    /// Every node does what is due.
    fn tick(&mut self) {
        let due = self.nodes.iter().filter(|(_, (_, node))| node.deadline() <= self.now);
        for addr in due.map(|(addr, _)| *addr).collect::<Vec<_>>() {
            if let Some((_, node)) = self.nodes.get_mut(&addr) {
                node.on_time(self.now);
            }
            self.collect(addr);
        }
    }

    /// The first good node from `n` on.
    fn good(&self, n: u32) -> u32 {
        (n..).find(|n| self.nodes[&address(*n)].0 == Kind::Good).unwrap()
    }

    /// Looks up a torrent from a node: what it finds, and whether the lookup ended.
    fn look(&mut self, n: u32, info_hash: InfoHash, announce: Option<u16>) -> (Vec<SocketAddr>, bool) {
        let now = self.now;
        self.with(n, |node| node.lookup(info_hash, announce, now));
        self.run(Duration::from_secs(30));
        let found: Vec<super::Found> = self.with(n, |node| node.found().collect());
        let done = found.iter().any(|found| found.done);
        (found.into_iter().flat_map(|found| found.peers).collect(), done)
    }
}

/// Eight made-up nodes, all near to the target of the query.
fn lie(packet: &[u8], random: &mut Random) -> Vec<u8> {
    let message = crate::wire::krpc::Packet::decode(packet).unwrap();
    let target = match message.body {
        crate::wire::krpc::Body::Query(_, crate::wire::krpc::Query::FindNode(target)) => target,
        crate::wire::krpc::Body::Query(_, crate::wire::krpc::Query::GetPeers(hash)) => *hash.as_bytes(),
        _ => [7; 20],
    };
    let nodes = (0..8).map(|_| {
        let addr = SocketAddr::new(Ipv4Addr::from(0x5000_0000 + random.below(1 << 24) as u32).into(), 1);
        (NodeId(target).near(120, random).0, addr)
    });
    let response = crate::wire::krpc::Response { id: [9; 20], nodes: nodes.collect(), ..Default::default() };
    crate::wire::krpc::encode_response(message.transaction, address(0), &response)
}

#[test]
fn what_one_announces_all_find() {
    let mut world = World::new(300, 0, 0, 1);
    world.join();
    let hash = InfoHash::from_bytes([0x5a; 20]);
    let (found, done) = world.look(17, hash, Some(7000));
    assert!(done && found.is_empty());
    let mut announced = address(17);
    announced.set_port(7000);
    for n in [3, 99, 150, 222, 299] {
        let (found, done) = world.look(n, hash, None);
        assert!(done && found.contains(&announced), "node {n} found {found:?}");
    }
}

#[test]
fn the_dead_and_a_few_liars_do_not_stop_a_lookup() {
    let mut world = World::new(300, 20, 10, 2);
    world.join();
    let hash = InfoHash::from_bytes([0xc3; 20]);
    let seeder = world.good(40);
    world.look(seeder, hash, Some(7000));
    let mut announced = address(seeder);
    announced.set_port(7000);
    let right = (0..10).filter(|n| {
        let n = world.good(100 + n * 15);
        world.look(n, hash, None).0.contains(&announced)
    });
    assert!(right.count() >= 9);
}

#[test]
fn among_a_thousand_the_nearest_are_found_in_few_steps() {
    let mut world = World::new(1_000, 20, 10, 5);
    world.join();
    let (mut right, mut all, mut worst) = (0, 0, 0);
    for n in 0..12u8 {
        let hash = InfoHash::from_bytes([n.wrapping_mul(53) ^ 0x6b; 20]);
        let mut living: Vec<(SocketAddr, NodeId)> = world
            .nodes
            .iter()
            .filter(|(_, (kind, _))| *kind == Kind::Good)
            .map(|(addr, (_, node))| (*addr, node.id()))
            .collect();
        living.sort_by_key(|(_, id)| id.distance(&NodeId(*hash.as_bytes())));
        let from = world.good(u32::from(n) * 71 + 20);
        let nearest: Vec<SocketAddr> =
            living.iter().map(|(addr, _)| *addr).filter(|addr| *addr != address(from)).take(8).collect();
        let sent = world.sent;
        world.announced.clear();
        assert!(world.look(from, hash, Some(7000)).1, "it came to no end");
        // Its own questions, the answers to them, and what others did meanwhile.
        worst = worst.max(world.sent - sent);
        right += nearest.iter().filter(|addr| world.announced.contains(addr)).count();
        all += nearest.len();
    }
    assert!(right * 100 >= all * 90, "{right} of the {all} nearest were found");
    assert!(worst < 200, "{worst} packets for one lookup");
}

#[test]
fn an_idle_table_sleeps() {
    let mut world = World::new(60, 0, 0, 3);
    world.join();
    // No traffic between two rounds of refreshing.
    world.run(Duration::from_secs(16 * 60));
    let (before, deadline) = (world.sent, world.with(5, |node| node.deadline()));
    assert!(deadline > world.now + Duration::from_secs(60), "{deadline:?} {:?}", world.now);
    world.run(Duration::from_secs(60));
    assert_eq!(world.sent, before);
    assert!(world.with(5, |node| node.stats().good) >= 8);
}

#[test]
fn no_node_is_asked_for_an_answer_that_goes_elsewhere() {
    let setup = Setup { family: Family::V4, read_only: false, id: None };
    let mut node = Node::new(setup, Random::seeded(4), Moment::START);
    // An unrequested answer, and an announce with a token of another address.
    node.on_packet(address(1), b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t4:aaaa1:y1:re", Moment::START);
    assert_eq!(node.stats().known, 0);
    node.on_packet(
        address(1),
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        Moment::START,
    );
    let out: Vec<_> = node.outgoing().collect();
    assert!(
        out.iter().any(|(to, packet)| *to == address(1) && packet.ends_with(b"1:t2:aa1:v4:bw\0\x011:y1:ee"))
    );
}

/// Behind a proxy the address of a router is not known: it is the first that answers.
#[test]
fn a_router_known_by_its_name_answers_from_another_address_and_that_is_kept() {
    for (router, counts) in [("240.0.0.1:6881", true), ("192.0.2.9:6881", false)] {
        let setup = Setup { family: Family::V4, read_only: true, id: None };
        let mut node = Node::new(setup, Random::seeded(4), Moment::START);
        node.bootstrap(&[router.parse().unwrap()], Moment::START);
        let (to, packet) = node.outgoing().next().unwrap();
        assert_eq!(to, router.parse().unwrap());
        let at = packet.windows(5).position(|part| part == b"1:t4:").unwrap() + 5;
        let head = b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t4:";
        let answer = [&head[..], &packet[at..at + 4], b"1:y1:re"].concat();
        node.on_packet(address(1), &answer, Moment::START);
        assert_eq!(node.stats().good == 1, counts);
        node.lookup(InfoHash::from_bytes([1; 20]), None, Moment::START);
        assert_eq!(node.outgoing().any(|(to, _)| to == address(1)), counts);
    }
}

/// An attacker that has seen some questions of a node, or knows its seed, still cannot forge an answer to
/// another.
#[test]
fn the_numbers_of_questions_do_not_follow_from_the_seed() {
    let numbers = |seed: u64| {
        let setup = Setup { family: Family::V4, read_only: false, id: None };
        let mut node = Node::new(setup, Random::seeded(seed), Moment::START);
        (1..=100).for_each(|n| node.ping(address(n), Moment::START));
        let number = |packet: &[u8]| {
            let at = packet.windows(5).position(|part| part == b"1:t4:").unwrap() + 5;
            <[u8; 4]>::try_from(&packet[at..at + 4]).unwrap()
        };
        node.outgoing().map(|(_, packet)| number(&packet)).collect::<Vec<_>>()
    };
    for seed in 0..50 {
        let (one, other) = (numbers(seed), numbers(seed));
        assert_eq!((one.len(), other.len()), (100, 100));
        assert!(one.iter().zip(&other).all(|(one, other)| one != other), "seed {seed}");
    }
}
