//! Running worlds: one, or one that is expected to fail made as small as it can be found to be.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};

use super::net::Stats;
use super::path::Weather;
use super::plan::Plan;
use super::world::World;

/// How long to look for a smaller world that fails as well.
const SHRINK: Duration = Duration::from_secs(60);

thread_local! {
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What came of a world: its counts and the hash of all that happened, or what was violated.
pub struct Outcome {
    pub result: Result<Stats, String>,
    pub hash: u64,
    pub trace: Vec<String>,
}

/// Panics of worlds are kept rather than printed.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let said = SAID.with(|said| match &mut *said.borrow_mut() {
                Some(said) => {
                    *said = info.to_string();
                    true
                }
                None => false,
            });
            if !said {
                usual(info);
            }
        }));
    });
}

/// Runs a world to its end.
pub fn run(plan: &Plan, traced: bool) -> Outcome {
    keep_panics();
    SAID.with(|said| *said.borrow_mut() = Some(String::new()));
    let mut world = World::new(plan, traced);
    let done = catch_unwind(AssertUnwindSafe(|| world.run()));
    let said = SAID.with(|said| said.borrow_mut().take()).unwrap_or_default();
    let trace = world.net.trace.take().into_iter().flatten().collect();
    let hash = world.net.hash;
    // What is left of a world that failed in the middle of something is not torn down.
    if done.is_err() {
        std::mem::forget(world);
    }
    Outcome { result: done.map_err(|_| said), hash, trace }
}

/// Takes away from a plan what it does not need to fail.
fn shrink(plan: Plan, why: &str) -> Plan {
    let begun = Instant::now();
    let mut least = plan;
    // At the same place, lest it be another failure.
    let place = why.lines().next();
    let same = |result: Result<Stats, String>| result.is_err_and(|why| why.lines().next() == place);
    let fails = |plan: &Plan| begun.elapsed() < SHRINK && same(run(plan, false).result);
    loop {
        let before = (least.nodes.len(), least.faults.len(), least.total);
        for part in [2, 4, 8, usize::MAX] {
            least.faults = without(&least.faults, part, |faults| fails(&Plan { faults, ..least.clone() }));
            least.nodes = without(&least.nodes, part, |nodes| {
                let has_seed = nodes.iter().any(|node| node.has == 100 && node.twist.is_none());
                has_seed && fails(&Plan { nodes, ..least.clone() })
            });
        }
        let smaller = Plan { total: least.total / 2 + 1, ..least.clone() };
        if smaller.total < least.total && fails(&smaller) {
            least = smaller;
        }
        let clear = Plan { weather: Weather::CLEAR, ..least.clone() };
        if least.weather != Weather::CLEAR && fails(&clear) {
            least = clear;
        }
        if before == (least.nodes.len(), least.faults.len(), least.total) || begun.elapsed() >= SHRINK {
            return least;
        }
    }
}

/// A list without as many of its parts (so many in all) as can be done without.
fn without<T: Clone>(list: &[T], parts: usize, mut fails: impl FnMut(Vec<T>) -> bool) -> Vec<T> {
    let mut kept = list.to_vec();
    let size = kept.len().div_ceil(parts).max(1);
    let mut at = 0;
    while at < kept.len() {
        let mut fewer = kept.clone();
        fewer.drain(at..(at + size).min(kept.len()));
        if fails(fewer.clone()) {
            kept = fewer;
        } else {
            at += size;
        }
    }
    kept
}

/// A world that must go well. Where it does not, tells the least one found that does not either, and
/// how it ended.
pub fn holds(plan: &Plan) -> Result<Outcome, String> {
    let outcome = run(plan, false);
    let Err(why) = &outcome.result else { return Ok(outcome) };
    let least = shrink(plan.clone(), why);
    let again = run(&least, true);
    let why_least = again.result.err().unwrap_or_default();
    Err(format!(
        "seed {}: {why}\n\nThe least world found that fails: {why_least}\n{least:#?}\n\nIts last steps:\n{}\n",
        plan.seed,
        again.trace.join("\n")
    ))
}
