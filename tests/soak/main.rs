//! The long run: one client for an hour (`make soak MINUTES=60`) or five minutes (`make soak-ci`), whose
//! torrents are added as files and links, paused, resumed, limited, removed with and without their data,
//! while peers come, go, lie, hang and reset and trackers fail in every way. Every download that
//! completes is compared byte for byte.
//!
//! The client is a process of its own, looked at from outside through `/proc`. It goes round by round:
//! bustle, then rest, when every torrent is removed. At rest it must be back at the descriptors and the
//! threads it started with, exactly; and neither at rest nor in bustle may its memory grow once it is
//! warm. What happens is rolled from a seed, which is printed; when it happens is up to the machine.
//!
//! Words: `minutes=60`, `seed=1`.

#[path = "../support/mod.rs"]
// Each target compiles this on its own and uses the part it needs.
#[allow(dead_code)]
mod support;

mod client;
mod heap;
mod peers;
mod puppet;
mod torrents;
mod trackers;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use torrents::Soak;

/// How long a round is, until it comes to rest.
const BUSTLE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let (mut minutes, mut seed) = (60.0, u64::from(std::process::id()));
    for word in std::env::args().skip(1) {
        let known = match word.split_once('=') {
            None if word == "client" => return client::run(),
            Some(("minutes", value)) => value.parse().map(|value| minutes = value).is_ok(),
            Some(("seed", "")) => true,
            Some(("seed", value)) => value.parse().map(|value| seed = value).is_ok(),
            _ => false,
        };
        if !known {
            eprintln!("soak: {word}: not understood; there are minutes= and seed=");
            return ExitCode::FAILURE;
        }
    }
    println!("soak: {minutes} minutes, seed {seed}");
    let begun = Instant::now();
    let mut soak = Soak::new(seed);
    let start = soak.start();
    while begun.elapsed().as_secs_f64() < minutes * 60.0 {
        soak.bustle(BUSTLE);
        soak.rest(start);
    }
    // A heap takes longer than the fifth of five minutes to find its shape.
    let slack = if minutes < 30.0 { 2 << 20 } else { 1 << 20 };
    let verdict = soak.end(start, slack);
    println!("{} s in all", begun.elapsed().as_secs());
    match verdict {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("FAILED, seed {seed}: {why}");
            ExitCode::FAILURE
        }
    }
}
