//! A node of the DHT among strangers who send anything, in virtual time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bitwren::InfoHash;
use bitwren::internals::dht::{Family, Node, NodeId, Setup};
use bitwren::internals::moment::Moment;
use bitwren::internals::random::Random;
use bitwren::internals::tracker::compact;
use bitwren::internals::wire::krpc::{self, Body, Packet, Query, Response};

use super::Script;

struct SimulatedNetwork {
    node: Node,
    setup: Setup,
    now: Moment,
    /// Questions the node asked: whom, and by which transaction.
    asked: Vec<(SocketAddr, Vec<u8>)>,
    lookups: usize,
    ended: usize,
}

pub fn node(data: &[u8]) {
    let mut script = Script::new(data);
    let family = if script.bit() { Family::V6 } else { Family::V4 };
    let setup = Setup { family, read_only: script.bit(), id: script.bit().then_some(NodeId([5; 20])) };
    let now = Moment::from_secs(1);
    let node = Node::new(setup.clone(), Random::seeded(u64::from(script.byte())), now);
    let mut world = SimulatedNetwork { node, setup, now, asked: Vec::new(), lookups: 0, ended: 0 };
    while !script.is_over() {
        world.step(&mut script);
        world.look();
    }
    world.run_out();
}

impl SimulatedNetwork {
    /// An address of one of few strangers, most of them public, some of them no one's.
    fn address(&self, script: &mut Script<'_>) -> SocketAddr {
        let [kind, host] = script.array();
        let port = if kind & 0x30 == 0x30 { u16::from(host) } else { 6881 };
        let ip = match (self.setup.family, kind % 8) {
            (_, 0) => IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)),
            (_, 1) => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into())),
            (Family::V4, _) => IpAddr::V4(Ipv4Addr::new(20 + kind % 8, host, host ^ kind, host)),
            (Family::V6, _) => IpAddr::V6(Ipv6Addr::new(0x2001, host.into(), kind.into(), 1, 2, 3, 4, 5)),
        };
        SocketAddr::new(ip, port)
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let now = self.now;
        match script.below(9) {
            0 => {
                let from = self.address(script);
                self.node.on_packet(from, script.bytes(), now);
            }
            1 => self.ask(script),
            2 | 3 => self.answer(script),
            4 => {
                let hash = InfoHash::from_bytes([script.byte(); 20]);
                let port = script.bit().then_some(6881);
                self.lookups += 1;
                self.node.lookup(hash, port, now);
            }
            5 => {
                let routers = [self.address(script), self.address(script)];
                self.node.bootstrap(&routers, now);
            }
            6 => {
                let addr = self.address(script);
                match script.below(3) {
                    0 => self.node.on_external_ip(addr.ip(), now),
                    1 => self.node.load(&[(NodeId(script.array()), addr)]),
                    _ => self.node.ping(addr, now),
                }
            }
            7 => {
                self.now = now + Duration::from_millis(u64::from(script.byte()) * 40);
                self.node.on_time(self.now);
            }
            _ => self.wait(),
        }
    }

    /// A stranger asks something.
    fn ask(&mut self, script: &mut Script<'_>) {
        let from = self.address(script);
        let id = [script.byte(); 20];
        let hash = InfoHash::from_bytes([script.byte(); 20]);
        let query = match script.below(4) {
            0 => Query::Ping,
            1 => Query::FindNode([script.byte(); 20]),
            2 => Query::GetPeers(hash),
            _ => Query::Announce { info_hash: hash, port: script.bit().then_some(9), token: script.bytes() },
        };
        let packet = krpc::encode_query(b"aa", &id, &query, script.bit());
        self.node.on_packet(from, &packet, self.now);
    }

    /// One that was asked answers, or someone else in its name.
    fn answer(&mut self, script: &mut Script<'_>) {
        let Some(last) = self.asked.len().checked_sub(1) else { return };
        let (addr, transaction) = self.asked[last - script.byte() as usize % (last + 1)].clone();
        let from = if script.below(8) == 7 { self.address(script) } else { addr };
        let nodes = (0..script.below(20)).map(|_| ([script.byte(); 20], self.address(script)));
        let mut nodes: Vec<_> = nodes.collect();
        nodes.retain(|(_, addr)| addr.is_ipv4() == from.is_ipv4());
        let peers = (0..script.below(4)).map(|_| self.address(script)).collect();
        let token = script.bit().then(|| script.bytes());
        let response = Response { id: [script.byte(); 20], nodes, peers, token };
        let ours = self.address(script);
        let to = if ours.is_ipv4() == from.is_ipv4() { ours } else { from };
        let packet = krpc::encode_response(&transaction, to, &response);
        self.node.on_packet(from, &packet, self.now);
    }

    /// Nothing happens until something is due.
    fn wait(&mut self) {
        self.now = self.now.max(self.node.deadline());
        // One that is both late and lost is looked at twice.
        for _ in 0..3 {
            self.node.on_time(self.now);
        }
        assert!(self.node.deadline() > self.now, "it is never done");
    }

    /// What must hold after every step.
    fn look(&mut self) {
        let out: Vec<_> = self.node.outgoing().collect();
        assert!(out.len() <= 512, "{} packets at once", out.len());
        for (to, packet) in out {
            assert!(packet.len() <= 1500, "{} bytes in one packet", packet.len());
            assert!(Family::of(to.ip()) == self.setup.family && to.port() != 0);
            match Packet::decode(&packet).expect("it sends what can be read").body {
                Body::Query(..) => {
                    let read = Packet::decode(&packet).expect("again");
                    self.asked.push((to, read.transaction.to_vec()));
                }
                Body::Response(_) | Body::Error(_) => assert!(!self.setup.read_only),
                Body::BadQuery(_) => panic!("it asks badly"),
            }
        }
        let keep = self.asked.len().saturating_sub(300);
        self.asked.drain(..keep);
        let stats = self.node.stats();
        assert!(stats.lookups <= 32 && stats.good <= stats.known && stats.known <= 8 * 161);
        let found: Vec<_> = self.node.found().collect();
        self.ended += found.iter().filter(|found| found.done).count();
        assert!(self.ended <= self.lookups, "a lookup ended twice");
        assert!(self.node.state().iter().all(|(_, addr)| compact::is_usable(addr)));
    }

    /// When nobody says anything any more, every lookup comes to its end.
    fn run_out(&mut self) {
        for _ in 0..2_000 {
            if self.node.stats().lookups == 0 {
                break;
            }
            self.wait();
            self.look();
        }
        self.look();
        assert_eq!(self.ended, self.lookups, "a lookup never ended");
    }
}
