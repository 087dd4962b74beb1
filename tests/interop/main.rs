//! Transfers between the binary and real programs, every byte compared: transmission, aria2 and
//! libtorrent as seeders, alone and together, and as downloaders, over opentracker by HTTP and by UDP,
//! single- and multi-file, IPv4 and IPv6, by .torrent and by magnet link.
//!
//! `make interop` installs what is needed and runs this. It runs as root, in a network namespace of its
//! own, which reaches nothing outside; the namespace ends with it. One line a transfer; a transfer that
//! fails is told with what everyone said, and the others still run. Arguments choose transfers whose
//! line holds one of them.

#[path = "../support/mod.rs"]
mod support;

mod bitwren;
mod clients;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clients::{Aria2, Client, Libtorrent, Transmission};
use support::content::Recipe;
use world::{Share, Transport, World};

const MIB: usize = 1 << 20;

fn main() -> ExitCode {
    if let Some(code) = world::enter_namespace() {
        return code;
    }
    let report = Report {
        only: std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect(),
        ..Report::default()
    };
    let begun = Instant::now();
    let world = World::new();
    let clients: [&dyn Client; 3] = [&Transmission, &Aria2, &Libtorrent];
    downloads(&world, &report, &clients);
    downloads_over_ipv6(&world, &report, &clients);
    downloads_by_magnet(&world, &report, &clients);
    uploads(&world, &report, &clients);
    uploads_over_ipv6(&world, &report);
    uploads_by_magnet(&world, &report);
    report.end(begun.elapsed())
}

/// The files of a torrent of one kind, with an empty one among them or not.
fn recipe(kind: &str, name: &str, with_empty: bool) -> Recipe {
    match kind {
        "single" => Recipe::single(&format!("{name}.bin"), 12 * MIB + 12_345).piece_length(256 << 10),
        "multi" => {
            let mut files = vec![
                ("first file.txt", 10_000),
                ("deep/er/second.bin", 5 * MIB + 1),
                ("deep/third.bin", 3 * MIB - 7),
                ("grüße/世界.dat", 777_777),
                ("last", 1),
            ];
            if with_empty {
                files.push(("empty", 0));
            }
            Recipe::multi(name, &files).piece_length(64 << 10)
        }
        "large" => Recipe::single(&format!("{name}.bin"), 48 * MIB).piece_length(512 << 10),
        other => unreachable!("no kind of torrent is called {other}"),
    }
}

/// Every client seeds; we download from each alone, and from all of them together.
fn downloads(world: &World, report: &Report, clients: &[&dyn Client]) {
    let mut shares: Vec<(String, Share, Vec<usize>)> = Vec::new();
    for transport in [Transport::Http, Transport::Udp] {
        for kind in ["single", "multi"] {
            for (index, client) in clients.iter().enumerate() {
                let line = format!("{:<12} -> {:<12} {transport:<4} {kind}", client.name(), "bitwren");
                shares.push((
                    line,
                    world.share(kind, &recipe_name(client.name(), transport, kind), transport),
                    vec![index],
                ));
            }
        }
        for kind in ["large", "multi"] {
            let line = format!("{:<12} -> {:<12} {transport:<4} {kind}", "all three", "bitwren");
            shares.push((
                line,
                world.share(kind, &recipe_name("all", transport, kind), transport),
                vec![0, 1, 2],
            ));
        }
    }
    shares.retain(|(line, ..)| report.wants(line));
    let mut running = Vec::new();
    for (index, client) in clients.iter().enumerate() {
        let its: Vec<&Share> =
            shares.iter().filter(|(.., who)| who.contains(&index)).map(|(_, share, _)| share).collect();
        if !its.is_empty() {
            running.extend(client.seed(world, &its));
        }
    }
    for (line, share, who) in &shares {
        report.transfer(line, || {
            if !world.wait_seeds(share, who.len()) {
                return Err(format!("the tracker never saw {} seeds\n{}", who.len(), said(&running)));
            }
            let begun = Instant::now();
            bitwren::get(world, share, &[]).map_err(|error| format!("{error}\n{}", said(&running)))?;
            Ok(begun.elapsed())
        });
    }
}

/// The same over IPv6, the peer given by hand: opentracker knows IPv4 alone.
fn downloads_over_ipv6(world: &World, report: &Report, clients: &[&dyn Client]) {
    for client in clients {
        let line = format!("{:<12} -> {:<12} ipv6 single", client.name(), "bitwren");
        if !report.wants(&line) {
            continue;
        }
        let share = world.share("single", &format!("{}-ipv6", client.name()), Transport::None);
        let (running, address) = client.seed_ipv6(world, &share);
        report.transfer(&line, || {
            if !world.wait_listening(address) {
                return Err(format!("nobody listens at {address}\n{}", running.said()));
            }
            let begun = Instant::now();
            bitwren::get(world, &share, &["--peer", &address.to_string()])
                .map_err(|error| format!("{error}\n{}", running.said()))?;
            Ok(begun.elapsed())
        });
    }
}

/// The same by a magnet link that names the peer and nothing else.
fn downloads_by_magnet(world: &World, report: &Report, clients: &[&dyn Client]) {
    for client in clients {
        let line = format!("{:<12} -> {:<12} magnet single", client.name(), "bitwren");
        if !report.wants(&line) {
            continue;
        }
        let share = world.share("single", &format!("{}-magnet", client.name()), Transport::None);
        let (running, address) = client.seed_ipv6(world, &share);
        report.transfer(&line, || {
            if !world.wait_listening(address) {
                return Err(format!("nobody listens at {address}\n{}", running.said()));
            }
            let begun = Instant::now();
            let link = format!("magnet:?xt=urn:btih:{}&x.pe={address}", share.info_hash);
            bitwren::get_by(world, &share, link.as_ref(), &[])
                .map_err(|error| format!("{error}\n{}", running.said()))?;
            Ok(begun.elapsed())
        });
    }
}

/// We seed; every client downloads from us, and from nobody else.
fn uploads(world: &World, report: &Report, clients: &[&dyn Client]) {
    let mut shares: Vec<(String, Share, usize)> = Vec::new();
    for (index, client) in clients.iter().enumerate() {
        for transport in [Transport::Http, Transport::Udp] {
            for kind in ["single", "multi"] {
                let line = format!("{:<12} -> {:<12} {transport:<4} {kind}", "bitwren", client.name());
                let name = format!("to-{}", recipe_name(client.name(), transport, kind));
                shares.push((line, world.share(kind, &name, transport), index));
            }
        }
    }
    shares.retain(|(line, ..)| report.wants(line));
    if shares.is_empty() {
        return;
    }
    let ours: Vec<&Share> = shares.iter().map(|(_, share, _)| share).collect();
    let seeding = bitwren::seed(world, &ours, &[]);
    for (index, client) in clients.iter().enumerate() {
        let its: Vec<&(String, Share, usize)> = shares.iter().filter(|(.., who)| *who == index).collect();
        if its.is_empty() {
            continue;
        }
        for (.., share, _) in &its {
            world.wait_seeds(share, 1);
        }
        let begun = Instant::now();
        let wanted: Vec<&Share> = its.iter().map(|(_, share, _)| share).collect();
        let mut download = client.download(world, &wanted);
        for (line, share, _) in &its {
            report.transfer(line, || {
                let dir = download.wait_complete(share).and_then(|dir| share.torrent.compare_filled(&dir));
                dir.map_err(|error| format!("{error}\n{}--- bitwren\n{}", download.said(), seeding.said()))?;
                Ok(begun.elapsed())
            });
        }
    }
}

/// libtorrent alone can be given an IPv6 peer by hand.
fn uploads_over_ipv6(world: &World, report: &Report) {
    let line = format!("{:<12} -> {:<12} ipv6 single", "bitwren", "libtorrent");
    if !report.wants(&line) {
        return;
    }
    let share = world.share("single", "to-libtorrent-ipv6", Transport::None);
    let port = world.free_port();
    let address = std::net::SocketAddr::new(world::ipv6(1), port);
    let seeding = bitwren::seed(world, &[&share], &["--port", &port.to_string()]);
    report.transfer(&line, || {
        if !world.wait_listening(address) {
            return Err(format!("bitwren does not listen at {address}\n{}", seeding.said()));
        }
        let begun = Instant::now();
        let mut download = Libtorrent.download_from(world, &share, address);
        let dir = download.wait_complete(&share).and_then(|dir| share.torrent.compare(&dir));
        dir.map_err(|error| format!("{error}\n{}--- bitwren\n{}", download.said(), seeding.said()))?;
        Ok(begun.elapsed())
    });
}

/// All that libtorrent knows of the torrent is its info-hash and us.
fn uploads_by_magnet(world: &World, report: &Report) {
    let line = format!("{:<12} -> {:<12} magnet multi", "bitwren", "libtorrent");
    if !report.wants(&line) {
        return;
    }
    let share = world.share("multi", "to-libtorrent-magnet", Transport::None);
    let port = world.free_port();
    let address = std::net::SocketAddr::new(world::ipv4(1), port);
    let seeding = bitwren::seed(world, &[&share], &["--port", &port.to_string()]);
    report.transfer(&line, || {
        // One socket listens for both address families.
        if !world.wait_listening(std::net::SocketAddr::new(world::ipv6(1), port)) {
            return Err(format!("bitwren does not listen at {address}\n{}", seeding.said()));
        }
        let begun = Instant::now();
        let mut download = Libtorrent.download_by_magnet(world, &share, address);
        let dir = download.wait_complete(&share).and_then(|dir| share.torrent.compare_filled(&dir));
        dir.map_err(|error| format!("{error}\n{}--- bitwren\n{}", download.said(), seeding.said()))?;
        Ok(begun.elapsed())
    });
}

fn recipe_name(client: &str, transport: Transport, kind: &str) -> String {
    format!("{client}-{transport}-{kind}")
}

fn said(running: &[Box<dyn clients::Running>]) -> String {
    running.iter().map(|client| client.said()).collect()
}

/// What was transferred, and what was not.
#[derive(Default)]
struct Report {
    only: Vec<String>,
    results: Mutex<(u32, Vec<String>)>,
}

impl Report {
    fn wants(&self, line: &str) -> bool {
        let plain = line.split_whitespace().collect::<Vec<_>>().join(" ");
        self.only.is_empty() || self.only.iter().any(|word| plain.contains(word))
    }

    /// One transfer: its line and how long it took.
    fn transfer(&self, line: &str, work: impl FnOnce() -> Result<Duration, String>) {
        // Whoever waits in vain panics and says for what.
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".to_owned()))
        });
        let mut results = self.results.lock().unwrap();
        match result {
            Ok(took) => {
                println!("ok    {line:<45} {:>7.2} s", took.as_secs_f64());
                results.0 += 1;
            }
            Err(why) => {
                println!("FAIL  {line}\n{why}");
                results.1.push(line.to_owned());
            }
        }
    }

    fn end(self, took: Duration) -> ExitCode {
        let (good, bad) = self.results.into_inner().unwrap();
        println!("{good} transfers right, {} wrong, {:.0} s", bad.len(), took.as_secs_f64());
        bad.iter().for_each(|line| println!("wrong: {line}"));
        if bad.is_empty() && good > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
