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
mod network;
mod report;
mod seeding;
mod sharing;
mod trackers;
mod transfers;

use std::process::ExitCode;
use std::time::Instant;

use clients::{Aria2, Libtorrent, Stranger, Transmission};
use network::TestNetwork;
use report::Report;

fn main() -> ExitCode {
    if let Some(code) = network::enter_namespace() {
        return code;
    }
    let report = Report::of(std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect());
    let begun = Instant::now();
    let network = TestNetwork::new();
    let strangers: [&dyn Stranger; 3] = [&Transmission, &Aria2, &Libtorrent];
    transfers::all(&network, &report, &strangers);
    making::all(&network, &report);
    seeding::all(&network, &report);
    sharing::all(&network, &report);
    trackers::all(&network, &report);
    discovery::all(&network, &report);
    report.end(begun.elapsed())
}
