//! A few threads that share one task until it is done or one of them fails.
//!
//! The caller's thread is one of them, so the work gets done even where the system gives no other.

use std::thread;

use crate::error::Result;

/// Enough for hashing with its buffers on the heap, and for a modest callback.
const STACK: usize = 128 * 1024;

/// How many threads for `asked`, where 0 is one a core; never more than there are `parts`.
fn size(asked: usize, parts: u32) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let threads = if asked == 0 { cores() } else { asked };
    threads.clamp(1, 256).min(parts.max(1) as usize)
}

/// Runs `work` on `threads` threads at once, each of which takes its share from a source they have in common,
/// and returns when all have ended. The first error in the order of the threads wins.
pub(super) fn run(threads: usize, parts: u32, work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    let work = &work;
    thread::scope(|scope| {
        let helpers: Vec<_> = (1..size(threads, parts))
            .map_while(|number| {
                let named = thread::Builder::new().name(format!("hash {number}")).stack_size(STACK);
                named.spawn_scoped(scope, work).ok()
            })
            .collect();
        let mut outcome = work();
        for helper in helpers {
            let theirs = helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome = outcome.and(theirs);
        }
        outcome
    })
}
