//! Waiting for what no event tells: another program's port, file or answer.

use std::time::{Duration, Instant};

/// Asks until there is an answer, 50 ms apart, or patience has run out: most programs can be asked but do not
/// call back.
#[allow(dead_code)] // The long suites use it.
pub fn until<T>(patience: Duration, ask: impl Fn() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
