//! A property: every lease ends exactly once, whatever the peer does.

use std::collections::{HashMap, HashSet};

use bitwren::internals::random::Random;

use super::*;

/// What the far side of the property test knows.
struct Mirror {
    /// Blocks that the session waits for, as told by what it said and reported.
    open: HashSet<BlockRef>,
    live: HashMap<LeaseId, Arc<Claim>>,
    given: Vec<(LeaseId, Arc<Claim>)>,
    allowed: HashSet<u32>,
    choking: bool,
}

impl Mirror {
    /// Takes in all that was said and reported, in the order that it counts.
    fn look(&mut self, world: &mut OneSession, queue: &mut Vec<BlockRef>, seed: u64) {
        for report in world.reports() {
            match report {
                Report::Returned(lease) => {
                    let claim =
                        self.live.remove(&lease).unwrap_or_else(|| panic!("seed {seed}: {lease:?} twice"));
                    let still = |block: &BlockRef| {
                        self.live.values().any(|other| {
                            other.piece().index() == block.piece
                                && other.requested().contains(&(block.begin / BLOCK))
                        })
                    };
                    let index = claim.piece().index();
                    self.open.retain(|block| {
                        block.piece != index
                            || !claim.requested().contains(&(block.begin / BLOCK))
                            || still(block)
                    });
                }
                Report::Choking(choking) => self.choking = choking,
                _ => {}
            }
        }
        for message in world.said() {
            match message {
                Message::Request(block) => {
                    assert!(!self.choking || self.allowed.contains(&block.piece), "seed {seed}: choked");
                    assert!(self.open.insert(block), "seed {seed}: {block:?} is outstanding already");
                    queue.push(block);
                }
                Message::Cancel(block) => {
                    self.open.remove(&block);
                    // Half of them come too late.
                    if block.begin % 2 == 0 {
                        queue.retain(|queued| *queued != block);
                    }
                }
                _ => {}
            }
        }
        assert_eq!(self.open.len(), world.session.outstanding(), "seed {seed}");
        assert!(self.open.len() <= 60, "seed {seed}: past the cap");
    }
}

/// Whatever the peer does, and whatever other peers deliver: no block is outstanding twice, the cap holds,
/// and every lease ends exactly once: it is returned, or all of it has arrived.
#[test]
fn every_lease_ends_exactly_once() {
    for seed in 0..160 {
        let mut random = Random::seeded(seed);
        let fast = seed % 2 == 0;
        let mut world = OneSession::with(fast, Bitfield::empty(PIECES), 60);
        let mut mirror = Mirror {
            open: HashSet::new(),
            live: HashMap::new(),
            given: Vec::new(),
            allowed: HashSet::new(),
            choking: true,
        };
        let mut queue = Vec::new();
        let open: Vec<_> = (0..PIECES).map(open).collect();
        world.hears(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec()));
        let steps = 600;
        for _ in 0..steps {
            mirror.look(&mut world, &mut queue, seed);
            let piece = random.below(6) as u32;
            match random.below(40) {
                0 => {
                    world.hears(Message::Choke);
                    if fast {
                        for block in queue.split_off(0) {
                            if mirror.allowed.contains(&block.piece) {
                                queue.push(block);
                            } else {
                                mirror.look(&mut world, &mut Vec::new(), seed);
                                world.hears(Message::Reject(block));
                            }
                        }
                    } else if random.below(2) == 0 {
                        queue.clear();
                    }
                }
                1..=4 => world.hears(Message::Unchoke),
                5 if fast => {
                    world.hears(Message::AllowedFast(piece));
                    mirror.allowed.insert(piece);
                }
                6..=13 => {
                    // Leases that overlap, as in an endgame, among them.
                    let piece = &open[piece as usize];
                    let from = random.below(u64::from(piece.blocks())) as u32;
                    let to = from + 1 + random.below(u64::from(piece.blocks() - from)) as u32;
                    let (lease, claim) = world.give(piece, from..to);
                    mirror.live.insert(lease, claim.clone());
                    mirror.given.push((lease, claim));
                }
                14 => {
                    if let Some((_, claim)) = mirror.given.last() {
                        claim.cut(random.below(10) as u32);
                    }
                }
                15..=17 => {
                    // Another peer delivers.
                    let piece = &open[piece as usize];
                    piece.receive(random.below(u64::from(piece.blocks())) as u32);
                }
                18 => {
                    let end = world.now + Duration::from_millis(random.below(14_000));
                    let mut over = false;
                    while world.session.deadline() <= end && !over {
                        world.now = world.now.max(world.session.deadline());
                        over = world.session.on_time(world.now).is_err();
                        mirror.look(&mut world, &mut queue, seed);
                    }
                    world.now = world.now.max(end);
                    if over {
                        break;
                    }
                }
                19 if fast && !queue.is_empty() => {
                    let block = queue.swap_remove(random.below(queue.len() as u64) as usize);
                    world.hears(Message::Reject(block));
                    mirror.open.remove(&block);
                }
                _ => {
                    world.now = world.now + Duration::from_micros(random.below(30_000));
                    if !queue.is_empty() {
                        let at =
                            if random.below(8) == 0 { random.below(queue.len() as u64) as usize } else { 0 };
                        let block = queue.remove(at);
                        let had = open[block.piece as usize].has(block.begin / BLOCK);
                        let receipt = world.session.on_block(block, world.now).unwrap();
                        assert_eq!(
                            receipt,
                            if had { BlockOutcome::Duplicate } else { BlockOutcome::Ours },
                            "seed {seed}"
                        );
                        mirror.open.remove(&block);
                    }
                }
            }
        }
        mirror.look(&mut world, &mut queue, seed);
        world.session.end();
        mirror.look(&mut world, &mut queue, seed);
        assert_eq!(world.session.outstanding(), 0);
        for (lease, claim) in &mirror.given {
            let whole = claim.range().all(|block| claim.piece().has(block));
            assert!(
                whole || !mirror.live.contains_key(lease),
                "seed {seed}: {lease:?} of piece {} ended in silence",
                claim.piece().index()
            );
        }
    }
}
