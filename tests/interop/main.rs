//! The binary and real programs, every byte compared: transmission, aria2 and libtorrent as seeders, alone
//! and together, and as downloaders, over opentracker by HTTP and by UDP, single- and multi-file, IPv4 and
//! IPv6; by magnet links without any tracker; with our tracker, and from `share`. What `create` makes is
//! held against what others make, and a seed to what it must not do.
//!
//! `make interop` installs what is needed and runs this. It runs as root, in a network namespace of its
//! own, which reaches nothing outside; the namespace ends with it. One line a transfer; a transfer that
//! fails is told with what everyone said, and the others still run. Arguments choose transfers whose
//! line holds one of them.

#[path = "../foreign/mod.rs"]
mod foreign;
#[path = "../support/mod.rs"]
// Each target compiles this on its own and uses the part it needs.
#[allow(dead_code)]
mod support;

mod bitwren;
mod clients;
mod dht;
mod discovery;
mod making;
mod report;
mod seeding;
mod sharing;
mod trackers;
mod transfers;
mod world;

use std::process::ExitCode;
use std::time::Instant;

use clients::{Aria2, Libtorrent, Stranger, Transmission};
use report::Report;
use world::World;

fn main() -> ExitCode {
    if let Some(code) = world::enter_namespace() {
        return code;
    }
    let report = Report::of(std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect());
    let begun = Instant::now();
    let world = World::new();
    let strangers: [&dyn Stranger; 3] = [&Transmission, &Aria2, &Libtorrent];
    transfers::all(&world, &report, &strangers);
    making::all(&world, &report);
    seeding::all(&world, &report);
    sharing::all(&world, &report);
    trackers::all(&world, &report);
    discovery::all(&world, &report);
    report.end(begun.elapsed())
}
