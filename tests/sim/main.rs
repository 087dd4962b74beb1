//! The simulated world: many nodes of the real core in one thread, in virtual time, among faults and
//! liars of every kind, with what the design promises asserted after every step.
//!
//! `cargo test` runs a few worlds; `make sim SEED= N=` runs `N` of them from the seed `SEED` on. The
//! same seed gives the same world, step for step. A failure prints its seed, the least world that was
//! found to fail as well, and the last steps of that. What was found so is a scenario of its own.

mod changes;
mod checks;
mod dials;
mod disk;
mod driver;
mod host;
mod liar;
mod net;
mod node;
mod path;
mod plan;
mod promises;
mod scenarios;
mod served;
mod shaking;
mod trial;
mod watched;
mod worker;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use net::Stats;
use plan::Plan;

/// A number from the environment.
fn given(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        _ => usual,
    }
}

/// Whatever goes wrong, and however peers lie.
#[test]
fn every_world_keeps_its_promises() {
    let (first, count) = (given("SEED", 1), given("N", 16));
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let (sum, failed) = (Mutex::new(Stats::default()), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get().min(8));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || failed.lock().unwrap().len() >= 3 {
                        return;
                    }
                    let started = Instant::now();
                    match trial::holds(&Plan::of(seed)) {
                        Ok(outcome) => sum.lock().unwrap().add(&outcome.result.unwrap()),
                        Err(why) => failed.lock().unwrap().push(why),
                    }
                    if std::env::var_os("TIMES").is_some() {
                        println!("{seed} {} nodes {:?}", Plan::of(seed).nodes.len(), started.elapsed());
                    }
                }
            });
        }
    });
    println!("{}in {:.1} s", sum.into_inner().unwrap(), begun.elapsed().as_secs_f64());
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A run is its seed, and nothing else.
#[test]
fn the_same_seed_gives_the_same_world() {
    let hashes: Vec<u64> = (0..6)
        .map(|seed| {
            let plan = Plan::sized(1000 + seed, 2 + 3 * seed as usize);
            let hash = trial::run(&plan, false).hash;
            assert_eq!(trial::run(&plan, seed % 2 == 0).hash, hash, "seed {}", plan.seed);
            hash
        })
        .collect();
    assert!((1..hashes.len()).all(|at| !hashes[..at].contains(&hashes[at])), "seeds differ in nothing");
}
