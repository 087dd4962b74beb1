//! How threads get on with one another: a claim cut while it is worked off, leases that end at any
//! moment, clients started and stopped in the midst of everything.
//!
//! Three ways of looking. Every interleaving of small programs is tried, call by call, with the real
//! claim and the real piece: each of their calls takes effect at once, so that this is all there is to
//! try. Real threads run many small rounds, each of whose steps is put off a little as a seed has it
//! (`SEED=`, `ROUNDS=`): under ThreadSanitizer (`make tsan`) and Miri (`make miri`) the same rounds are
//! held to the memory model. And whole clients are ended at moments that a seed chooses.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::alone::alone;
use crate::support::content::{BLOCK, Dice, Recipe};
use crate::support::extension::{info, lend, lend_rightly};
use crate::support::peer::Peer;
use crate::support::proc;
use crate::support::scratch::Scratch;
use bitwren::internals::job::{Claim, LeaseId, OpenPiece, PieceJob};
use bitwren::{Client, Config, Magnet, Metainfo, TorrentConfig};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

/// Longer than anything here takes.
const HANGING: Duration = Duration::from_secs(60);

fn given(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Puts a thread off a little, by a seed.
struct Nudge(Dice);

impl Nudge {
    fn of(seed: u64, thread: u64) -> Nudge {
        let mut dice = Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ thread << 17);
        dice.roll();
        Nudge(dice)
    }

    fn here(&mut self) {
        match self.0.below(8) {
            0 => std::thread::yield_now(),
            1 | 2 if !cfg!(miri) => (0..self.0.below(300)).for_each(|_| std::hint::spin_loop()),
            _ => {}
        }
    }
}

/// Runs `round` for every seed; it is given up where it hangs.
fn rounds(usual: u64, round: impl Fn(u64) + Send + Sync + 'static) {
    let (first, count) = (given("SEED", 1), given("ROUNDS", if cfg!(miri) { 3 } else { usual }));
    let (done, ended) = bounded(0);
    let now = Arc::new(AtomicU64::new(first));
    let at = now.clone();
    let all = std::thread::spawn(move || {
        let _done: Sender<()> = done;
        for seed in first..first + count {
            at.store(seed, Ordering::Relaxed);
            round(seed);
        }
    });
    let mut before = None;
    while ended.recv_timeout(HANGING).is_err_and(|error| error.is_timeout()) {
        let seed = Some(now.load(Ordering::Relaxed));
        assert!(seed != before || cfg!(miri), "the round of SEED={seed:?} hangs");
        before = seed;
    }
    if all.join().is_err() {
        panic!("the round of SEED={} failed", now.load(Ordering::Relaxed));
    }
}

// Every interleaving.

/// What one of several may do next with a claim; each step is one call.
#[derive(Clone)]
enum Doer {
    /// Takes from the front and receives what it took, until nothing is left.
    Works {
        claim: Arc<Claim>,
        took: Option<u32>,
    },
    /// Cuts so much from the back, and then works that off.
    Cuts {
        claim: Arc<Claim>,
        blocks: u32,
    },
    /// Blocks that it was asked for besides arrive, from another peer.
    Duplicates(Vec<u32>),
    Done,
}

/// What came of one interleaving.
#[derive(Default)]
struct Seen {
    won: Vec<u32>,
    requested: Vec<u32>,
    cut: Vec<Range<u32>>,
}

impl Doer {
    fn step(self, piece: &Arc<OpenPiece>, seen: &mut Seen) -> Doer {
        let mut receive = |block| {
            if piece.receive(block) {
                seen.won.push(block);
            }
        };
        match self {
            Doer::Works { claim, took: Some(block) } => {
                receive(block);
                Doer::Works { claim, took: None }
            }
            Doer::Works { claim, took: None } => match claim.take() {
                Some(block) => {
                    seen.requested.push(block);
                    Doer::Works { claim, took: Some(block) }
                }
                None => Doer::Done,
            },
            Doer::Cuts { claim, blocks } => match claim.cut(blocks) {
                Some(range) => {
                    seen.cut.push(range.clone());
                    Doer::Works { claim: Arc::new(Claim::new(piece.clone(), range)), took: None }
                }
                None => Doer::Done,
            },
            Doer::Duplicates(mut blocks) => match blocks.pop() {
                Some(block) => {
                    receive(block);
                    Doer::Duplicates(blocks)
                }
                None => Doer::Done,
            },
            Doer::Done => Doer::Done,
        }
    }

    fn is_done(&self) -> bool {
        matches!(self, Doer::Done)
    }
}

/// Runs the doers in the order that `choices` begins with, and whatever comes first from there on. How
/// many could have gone on at each step.
fn run_in_order(
    choices: &mut Vec<usize>,
    make: &dyn Fn() -> (Arc<OpenPiece>, Vec<Doer>),
) -> (Vec<usize>, Seen) {
    let (piece, mut doers) = make();
    let (mut open, mut seen) = (Vec::new(), Seen::default());
    loop {
        let able: Vec<usize> = (0..doers.len()).filter(|&n| !doers[n].is_done()).collect();
        if able.is_empty() {
            assert_eq!(piece.missing(), piece.blocks() - seen.won.len() as u32);
            return (open, seen);
        }
        if choices.len() == open.len() {
            choices.push(0);
        }
        let chosen = able[choices[open.len()]];
        open.push(able.len());
        let doer = std::mem::replace(&mut doers[chosen], Doer::Done);
        doers[chosen] = doer.step(&piece, &mut seen);
    }
}

/// Every interleaving, one after the other; how many there are.
fn every_order(make: &dyn Fn() -> (Arc<OpenPiece>, Vec<Doer>), check: impl Fn(&Seen)) -> u64 {
    let (mut choices, mut count) = (Vec::new(), 0);
    loop {
        let (open, seen) = run_in_order(&mut choices, make);
        check(&seen);
        count += 1;
        // The next in order: the last step at which another could still have gone first.
        while choices.last().is_some_and(|last| last + 1 == open[choices.len() - 1]) {
            choices.pop();
        }
        match choices.last_mut() {
            Some(last) => *last += 1,
            None => return count,
        }
    }
}

fn assert_shared_rightly(seen: &Seen, blocks: u32) {
    let all: Vec<u32> = (0..blocks).collect();
    let sorted = |list: &[u32]| {
        let mut list = list.to_vec();
        list.sort_unstable();
        list
    };
    assert_eq!(sorted(&seen.won), all, "each is won once");
    let requested = sorted(&seen.requested);
    assert!(requested.windows(2).all(|two| two[0] < two[1]), "none is asked for twice: {requested:?}");
    let mut cut = BTreeSet::new();
    assert!(seen.cut.iter().cloned().flatten().all(|block| cut.insert(block)), "{:?}", seen.cut);
}

#[test]
fn every_order_of_a_session_and_two_that_cut() {
    let count = every_order(
        &|| {
            let piece = Arc::new(OpenPiece::new(0, 4));
            let claim = Arc::new(Claim::new(piece.clone(), 0..4));
            let cuts = |blocks| Doer::Cuts { claim: claim.clone(), blocks };
            let doers = vec![Doer::Works { claim: claim.clone(), took: None }, cuts(2), cuts(1)];
            (piece, doers)
        },
        |seen| assert_shared_rightly(seen, 4),
    );
    println!("{count} interleavings");
    assert!(count > 1_000, "{count}");
}

#[test]
fn every_order_of_a_session_one_that_cuts_and_blocks_from_elsewhere() {
    let count = every_order(
        &|| {
            let piece = Arc::new(OpenPiece::new(0, 4));
            let claim = Arc::new(Claim::new(piece.clone(), 0..4));
            let works = Doer::Works { claim: claim.clone(), took: None };
            (piece, vec![works, Doer::Cuts { claim, blocks: 2 }, Doer::Duplicates(vec![1, 3])])
        },
        |seen| assert_shared_rightly(seen, 4),
    );
    println!("{count} interleavings");
    assert!(count > 1_000, "{count}");
}

// Threads.

/// What workers say to who leases.
enum Said {
    WantsBlocks(usize),
    Returned(usize, LeaseId),
}

/// Takes leases and works them off, or gives them back half done; ends when no more come.
fn work(me: usize, jobs: &Receiver<PieceJob>, say: &Sender<Said>, won: &Sender<u32>, mut nudge: Nudge) {
    let hungry = || say.send(Said::WantsBlocks(me)).is_ok();
    if !hungry() {
        return;
    }
    for job in jobs {
        let patience = nudge.0.below(12);
        let mut taken = Vec::new();
        for _ in 0..patience {
            nudge.here();
            let Some(block) = job.claim.take() else { break };
            taken.push(block);
        }
        // What was asked for comes or, after a choke, does not.
        for block in taken {
            nudge.here();
            if nudge.0.below(5) > 0 && job.claim.piece().receive(block) {
                won.send(block).unwrap();
            }
        }
        nudge.here();
        if say.send(Said::Returned(me, job.lease)).is_err() || say.send(Said::WantsBlocks(me)).is_err() {
            return;
        }
    }
}

/// Leases a piece to workers until all of it is there: fresh blocks first, then cut from who has many.
fn lease_out(piece: &Arc<OpenPiece>, workers: &[Sender<PieceJob>], said: &Receiver<Said>, nudge: &mut Nudge) {
    let mut leases: Vec<Option<(usize, Arc<Claim>)>> = Vec::new();
    let mut hungry = Vec::new();
    while piece.missing() > 0 {
        match said.recv().unwrap() {
            Said::WantsBlocks(who) => hungry.push(who),
            Said::Returned(who, LeaseId(lease)) => {
                let ended = leases[lease as usize].take().expect("a lease ends once");
                assert_eq!(ended.0, who);
            }
        }
        nudge.here();
        while let Some(who) = hungry.pop() {
            let held: Vec<Range<u32>> = leases.iter().flatten().map(|(_, claim)| claim.range()).collect();
            assert!(
                (0..piece.blocks())
                    .all(|block| held.iter().filter(|range| range.contains(&block)).count() < 2)
            );
            let free = |block: &u32| !piece.has(*block) && held.iter().all(|range| !range.contains(block));
            let range = match (0..piece.blocks()).find(free) {
                Some(first) => {
                    let end = (first..piece.blocks()).take_while(free).last().unwrap() + 1;
                    first..end.min(first + 1 + nudge.0.below(u64::from(end - first)) as u32)
                }
                // What was cut is the cutter's, and no longer in the other's range.
                None => {
                    match leases.iter().flatten().find_map(|(_, claim)| claim.cut(claim.unrequested() / 2)) {
                        Some(range) => range,
                        None => {
                            hungry.push(who);
                            break;
                        }
                    }
                }
            };
            let claim = Arc::new(Claim::new(piece.clone(), range));
            let job = PieceJob { lease: LeaseId(leases.len() as u64), claim: claim.clone() };
            leases.push(Some((who, claim)));
            workers[who].send(job).unwrap();
        }
    }
}

#[test]
fn leases_of_a_piece_among_threads() {
    rounds(1_500, |seed| {
        let mut dice = Dice::new(seed);
        let blocks = 1 + dice.below(100) as u32;
        let piece = Arc::new(OpenPiece::new(0, blocks));
        let (say, said) = bounded(8);
        let (won, wins) = unbounded();
        let (workers, inboxes): (Vec<_>, Vec<_>) = (0..1 + dice.below(4)).map(|_| unbounded()).unzip();
        std::thread::scope(|scope| {
            for (me, jobs) in inboxes.into_iter().enumerate() {
                let (say, won, nudge) = (say.clone(), won.clone(), Nudge::of(seed, me as u64));
                scope.spawn(move || work(me, &jobs, &say, &won, nudge));
            }
            lease_out(&piece, &workers, &said, &mut Nudge::of(seed, 99));
            // The dropped queues are the end of the workers.
            drop((workers, said, won));
        });
        let mut got: Vec<u32> = wins.try_iter().collect();
        got.sort_unstable();
        assert_eq!(got, (0..blocks).collect::<Vec<_>>(), "each block is won once");
    });
}

// Clients.

/// Names of the library's threads in this process.
fn threads() -> Vec<String> {
    let names = proc::thread_names("/proc/self").into_iter();
    names.filter(|name| name.starts_with("bw-")).collect()
}

/// Whatever is under way, a client ends, and all its threads with it.
#[test]
#[cfg_attr(miri, ignore = "sockets")]
fn clients_end_at_any_moment_and_leave_no_thread() {
    // The threads of other tests' clients would be counted along.
    alone(module_path!(), "clients_end_at_any_moment_and_leave_no_thread", end_clients_at_any_moment);
}

fn end_clients_at_any_moment() {
    let torrent = Arc::new(Recipe::single("moment", 40 * BLOCK as usize + 7).make());
    let metainfo = Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap());
    let scratch = Scratch::new("moments");
    let peers: Vec<Peer> = (0..3)
        .map(|n| {
            Peer::start(&torrent, move |talk| {
                if n == 2 {
                    // It hangs up now and then.
                    talk.answer([0; 8])?;
                    talk.open_up()?;
                    for _ in 0..talk.remote()?.port() % 9 {
                        let block = talk.next_request()?;
                        talk.send_block(block)?;
                    }
                    return Ok(());
                }
                let size = info(&talk.torrent).len() as u64;
                lend(talk, size, lend_rightly)
            })
        })
        .collect();
    let addresses: Vec<SocketAddr> = peers.iter().map(|peer| peer.address).collect();
    let root = scratch.path().to_owned();
    rounds(150, move |seed| {
        let mut dice = Dice::new(seed);
        dice.roll();
        let moment = |dice: &mut Dice| std::thread::sleep(Duration::from_micros(dice.below(6_000)));
        let dir = root.join(seed.to_string());
        let config = Config::default().bind(Some([127, 0, 0, 1].into())).port(0).port_required(true);
        let client = Client::start(config.dht(dice.below(2) == 0).dht_nodes(Vec::<String>::new())).unwrap();
        let settings = TorrentConfig::default().dir(dir.clone()).use_trackers(false).peers(addresses.clone());
        let handle = match dice.below(2) {
            0 => client.add(metainfo.clone(), settings),
            _ => client.add_magnet(Magnet::new(metainfo.info_hash()), settings),
        }
        .unwrap();
        for _ in 0..dice.below(4) {
            moment(&mut dice);
            match dice.below(4) {
                0 => handle.pause(),
                1 => handle.resume(),
                2 => drop(handle.peers()),
                _ => handle.set_limits(dice.below(2) << 20, 0),
            }
        }
        moment(&mut dice);
        if dice.below(3) == 0 {
            handle.remove();
        }
        let whole = handle.progress().is_finished();
        let begun = Instant::now();
        client.shutdown();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        // Detached threads end by themselves.
        while !threads().is_empty() {
            assert!(begun.elapsed() < HANGING / 3, "left: {:?}", threads());
            std::thread::sleep(Duration::from_micros(200));
        }
        if whole {
            torrent.assert_complete(&dir);
        }
        let _ = std::fs::remove_dir_all(dir);
    });
}
