use std::collections::BTreeMap;

use super::*;

const START: Moment = Moment::from_secs(1000);
const SEED: Flags = Flags(Flags::SEED);

fn at(host: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([203, 0, (host >> 8) as u8, host as u8]), 6881)
}

fn six(host: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]), 6881)
}

/// An exchange in virtual time, which checks every message against what was told before.
struct World {
    exchange: Exchange,
    now: Moment,
    told: BTreeMap<PeerKey, Vec<SocketAddr>>,
    last: BTreeMap<PeerKey, Moment>,
    wakes: u32,
}

impl World {
    fn new() -> World {
        World {
            exchange: Exchange::new(),
            now: START,
            told: BTreeMap::new(),
            last: BTreeMap::new(),
            wakes: 0,
        }
    }

    fn joins(&mut self, key: u32, addr: SocketAddr) {
        self.exchange.appears(PeerKey(key), addr, self.now);
        self.exchange.takes(PeerKey(key), addr.ip(), self.now);
    }

    fn leaves(&mut self, key: u32, parted: Option<Flags>) {
        self.exchange.leaves(PeerKey(key), parted, self.now);
        self.told.remove(&PeerKey(key));
        self.last.remove(&PeerKey(key));
    }

    /// Time passes; the messages meanwhile.
    fn pass(&mut self, secs: u64) -> Vec<(u32, PexMessage)> {
        let end = self.now + Duration::from_secs(secs);
        let mut said = Vec::new();
        while let Some(due) = self.exchange.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.wakes += 1;
            for (key, message) in self.exchange.messages(|_| Flags(Flags::REACHABLE), self.now) {
                self.check(key, &message);
                said.push((key.0, message));
            }
            assert!(self.exchange.deadline().is_none_or(|next| next > self.now), "it spins");
        }
        self.now = end;
        said
    }

    fn check(&mut self, key: PeerKey, message: &PexMessage) {
        assert!(message.added.len() <= MAX_SENT && message.dropped.len() <= MAX_SENT);
        assert!(!message.added.is_empty() || !message.dropped.is_empty());
        if let Some(last) = self.last.insert(key, self.now) {
            assert!(self.now - last >= MIN_INTERVAL, "more than one a minute");
        }
        let told = self.told.entry(key).or_default();
        for addr in &message.dropped {
            let at = told.iter().position(|known| known == addr);
            told.remove(at.unwrap_or_else(|| panic!("{addr} was never added")));
        }
        for (addr, _) in &message.added {
            assert!(!told.contains(addr), "{addr} is added twice");
            assert!(!message.dropped.contains(addr), "{addr} both ways");
            told.push(*addr);
        }
    }

    fn knows(&self, key: u32) -> Vec<SocketAddr> {
        let mut known = self.told.get(&PeerKey(key)).cloned().unwrap_or_default();
        known.sort();
        known
    }
}

#[test]
fn all_are_told_of_all_others_and_then_it_is_quiet() {
    let mut world = World::new();
    (0..4).for_each(|n| world.joins(n, if n == 3 { six(3) } else { at(n as u16) }));
    let said = world.pass(10);
    assert_eq!(said.len(), 4);
    assert_eq!(world.knows(0), [at(1), at(2), six(3)]);
    assert_eq!(world.knows(3), [at(0), at(1), at(2)]);
    assert!(said.iter().all(|(_, message)| message.added.iter().all(|(_, f)| *f == Flags(Flags::REACHABLE))));
    assert_eq!(world.wakes, 1, "one wake-up for all of them");
    assert_eq!(world.exchange.deadline(), None, "nothing changes, no thread wakes");
}

#[test]
fn changes_wait_for_their_minute() {
    let mut world = World::new();
    world.joins(1, at(1));
    world.joins(2, at(2));
    world.pass(10);
    world.joins(3, at(3));
    world.leaves(2, None);
    // The newcomer hears at once, the other when its minute is over.
    let said = world.pass(20);
    assert_eq!(said.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [3]);
    assert_eq!(world.knows(3), [at(1)]);
    let said = world.pass(60);
    let want = PexMessage { added: vec![(at(3), Flags(Flags::REACHABLE))], dropped: vec![at(2)] };
    assert_eq!(said, [(1, want)]);
    assert_eq!((world.exchange.gone.len(), world.exchange.deadline()), (0, None));
}

#[test]
fn who_comes_and_goes_between_is_never_mentioned() {
    let mut world = World::new();
    world.joins(1, at(1));
    world.joins(2, at(2));
    world.pass(10);
    world.joins(3, at(3));
    world.leaves(3, None);
    world.leaves(2, None);
    world.joins(4, at(2));
    let said = world.pass(200);
    assert!(said.iter().all(|(key, _)| *key == 4), "{said:?}");
    assert_eq!((world.knows(1), world.knows(4)), (vec![at(2)], vec![at(1)]));
    world.leaves(4, None);
    assert_eq!(world.pass(100), [(1, PexMessage { added: vec![], dropped: vec![at(2)] })]);
}

#[test]
fn many_are_told_fifty_at_a_time_and_not_all_the_same() {
    let mut world = World::new();
    (0..120).for_each(|n| world.joins(n, at(n as u16)));
    let said = world.pass(10);
    assert!(said.len() == 120 && said.iter().all(|(_, message)| message.added.len() == MAX_SENT));
    assert_ne!(world.knows(0), world.knows(60));
    world.pass(140);
    assert_eq!(world.knows(0).len(), 119);
    (1..120).for_each(|n| world.leaves(n, None));
    let said = world.pass(200);
    assert_eq!(said.iter().map(|(_, message)| message.dropped.len()).collect::<Vec<_>>(), [50, 50, 19]);
    assert!(world.exchange.gone.is_empty());
}

#[test]
fn only_what_the_other_could_call_is_told() {
    let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
    let mut world = World::new();
    let peers = ["127.0.0.1:1", "192.168.1.2:2", "203.0.113.3:3", "[fe80::1]:4", "[2001:db8::5]:5"];
    peers.iter().zip(0..).for_each(|(peer, key)| world.joins(key, addr(peer)));
    // No port to be called at.
    world.joins(9, addr("203.0.113.9:0"));
    world.pass(10);
    assert_eq!(world.knows(0), [addr("192.168.1.2:2"), addr("203.0.113.3:3"), addr("[2001:db8::5]:5")]);
    assert_eq!(world.knows(1), [addr("203.0.113.3:3"), addr("[2001:db8::5]:5")]);
    assert_eq!(world.knows(2), [addr("[2001:db8::5]:5")]);
    assert_eq!(world.knows(9), [addr("203.0.113.3:3"), addr("[2001:db8::5]:5")]);
}

#[test]
fn seeds_a_seed_parted_with_are_told_once_and_dropped_after() {
    let mut world = World::new();
    world.exchange.appears(PeerKey(1), at(1), world.now);
    world.leaves(1, Some(SEED));
    world.joins(2, at(2));
    assert_eq!(world.pass(10), [(2, PexMessage { added: vec![(at(1), SEED)], dropped: vec![] })]);
    assert_eq!(world.pass(60), [(2, PexMessage { added: vec![], dropped: vec![at(1)] })]);
    assert_eq!((world.exchange.deadline(), world.exchange.gone.len()), (None, 0));
    // Later peers are told of it too; the number kept is bounded.
    for n in 100..160 {
        world.exchange.appears(PeerKey(n), at(n as u16), world.now);
        world.leaves(n, Some(SEED));
    }
    assert_eq!(world.exchange.recent.len(), MAX_RECENT);
    world.joins(200, at(200));
    world.pass(10);
    assert_eq!(world.knows(200).len(), MAX_RECENT + 1);
    // Where enough are connected, they alone are told.
    let mut world = World::new();
    (0..30).for_each(|n| world.joins(n, at(n as u16)));
    world.leaves(29, Some(SEED));
    world.pass(10);
    assert_eq!(world.knows(0).len(), 28);
}

#[test]
fn turning_it_off_and_on_again_brings_no_second_message() {
    let mut world = World::new();
    world.joins(1, at(1));
    world.joins(2, at(2));
    world.pass(10);
    for _ in 0..50 {
        world.exchange.refuses(PeerKey(1));
        world.exchange.takes(PeerKey(1), at(1).ip(), world.now);
    }
    assert_eq!(world.pass(100), []);
    world.exchange.refuses(PeerKey(1));
    world.joins(3, at(3));
    assert!(world.pass(100).iter().all(|(key, _)| *key != 1));
    world.exchange.takes(PeerKey(1), at(1).ip(), world.now);
    world.pass(10);
    assert_eq!(world.knows(1), [at(2), at(3)]);
}

/// An hour of coming and going: each knows exactly which peers are connected, and nothing is left behind.
#[test]
fn in_the_end_all_know_which_peers_are_connected() {
    let mut random = crate::random::Random::seeded(11);
    let mut world = World::new();
    let (mut there, mut next) = (Vec::new(), 0);
    for _ in 0..720 {
        if there.len() < 5 || (there.len() < 40 && random.below(2) == 0) {
            // Some come back under the same address.
            let addr = at(random.below(60) as u16);
            if !there.iter().any(|(_, other)| *other == addr) {
                world.joins(next, addr);
                there.push((next, addr));
                next += 1;
            }
        } else {
            let (key, _) = there.swap_remove(random.below(there.len() as u64) as usize);
            world.leaves(key, (random.below(3) == 0).then_some(SEED));
        }
        world.pass(5);
    }
    world.pass(300);
    for (key, own) in &there {
        let mut others: Vec<_> = there.iter().map(|(_, addr)| *addr).filter(|addr| addr != own).collect();
        others.sort();
        assert_eq!(world.knows(*key), others, "peer {key}");
    }
    assert!(world.exchange.gone.is_empty());
    assert_eq!(world.exchange.deadline(), None);
    assert!(world.wakes <= 3900 / 5, "{} wake-ups", world.wakes);
}
