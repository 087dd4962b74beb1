//! Transfers over opentracker, by HTTP and by UDP, single- and multi-file, and over IPv6 from a peer
//! given by hand: every program seeds to us, and we to every program.

use std::time::Instant;

use crate::bitwren::{self, Bitwren};
use crate::clients::{Client, Libtorrent, Running, Stranger, Task, at};
use crate::network::{Share, TestNetwork, Transport, next_ip};
use crate::report::Report;

pub fn all(network: &TestNetwork, report: &Report, strangers: &[&dyn Stranger]) {
    downloads(network, report, strangers);
    downloads_over_ipv6(network, report, strangers);
    uploads(network, report, strangers);
    uploads_over_ipv6(network, report);
}

/// Every client seeds; we download from each alone, and from all of them together.
fn downloads(network: &TestNetwork, report: &Report, clients: &[&dyn Stranger]) {
    let mut shares: Vec<(String, Share, Vec<usize>)> = Vec::new();
    for transport in [Transport::Http, Transport::Udp] {
        for kind in ["single", "multi"] {
            for (index, client) in clients.iter().enumerate() {
                let line = format!("{:<12} -> {:<12} {transport:<4} {kind}", client.name(), "bitwren");
                shares.push((
                    line,
                    network.share(kind, &recipe_name(client.name(), transport, kind), transport),
                    vec![index],
                ));
            }
        }
        for kind in ["large", "multi"] {
            let line = format!("{:<12} -> {:<12} {transport:<4} {kind}", "all three", "bitwren");
            shares.push((
                line,
                network.share(kind, &recipe_name("all", transport, kind), transport),
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
            running.extend(client.seed(network, &its));
        }
    }
    for (line, share, who) in &shares {
        report.transfer(line, || {
            if !network.wait_seeds(share, who.len()) {
                return Err(format!("the tracker never saw {} seeds\n{}", who.len(), said(&running)));
            }
            let begun = Instant::now();
            bitwren::get(network, share, &[]).map_err(|error| format!("{error}\n{}", said(&running)))?;
            Ok(begun.elapsed())
        });
    }
}

/// The same over IPv6, the peer given by hand: opentracker knows IPv4 alone.
fn downloads_over_ipv6(network: &TestNetwork, report: &Report, clients: &[&dyn Stranger]) {
    for client in clients {
        let line = format!("{:<12} -> {:<12} ipv6 single", client.name(), "bitwren");
        if !report.wants(&line) {
            continue;
        }
        let share = network.share("single", &format!("{}-ipv6", client.name()), Transport::None);
        let address = at(next_ip(true));
        let running = client.start(network, &Task::seed(&share, address));
        report.transfer(&line, || {
            if !network.wait_listening(address) {
                return Err(format!("nobody listens at {address}\n{}", running.said()));
            }
            let begun = Instant::now();
            bitwren::get(network, &share, &["--peer", &address.to_string()])
                .map_err(|error| format!("{error}\n{}", running.said()))?;
            Ok(begun.elapsed())
        });
    }
}

/// We seed; every client downloads from us alone.
fn uploads(network: &TestNetwork, report: &Report, clients: &[&dyn Stranger]) {
    let mut shares: Vec<(String, Share, usize)> = Vec::new();
    for (index, client) in clients.iter().enumerate() {
        for transport in [Transport::Http, Transport::Udp] {
            for kind in ["single", "multi"] {
                let line = format!("{:<12} -> {:<12} {transport:<4} {kind}", "bitwren", client.name());
                let name = format!("to-{}", recipe_name(client.name(), transport, kind));
                shares.push((line, network.share(kind, &name, transport), index));
            }
        }
    }
    shares.retain(|(line, ..)| report.wants(line));
    if shares.is_empty() {
        return;
    }
    let ours: Vec<&Share> = shares.iter().map(|(_, share, _)| share).collect();
    let seeding = bitwren::seed(network, &ours, &[]);
    for (index, client) in clients.iter().enumerate() {
        let its: Vec<&(String, Share, usize)> = shares.iter().filter(|(.., who)| *who == index).collect();
        if its.is_empty() {
            continue;
        }
        for (.., share, _) in &its {
            network.wait_seeds(share, 1);
        }
        let begun = Instant::now();
        let wanted: Vec<&Share> = its.iter().map(|(_, share, _)| share).collect();
        let mut download = client.download(network, &wanted);
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
fn uploads_over_ipv6(network: &TestNetwork, report: &Report) {
    let line = format!("{:<12} -> {:<12} ipv6 single", "bitwren", "libtorrent");
    if !report.wants(&line) {
        return;
    }
    let share = network.share("single", "to-libtorrent-ipv6", Transport::None);
    let address = at(next_ip(true));
    let seeding = Bitwren.start(network, &Task::seed(&share, address));
    report.transfer(&line, || {
        if !network.wait_listening(address) {
            return Err(format!("bitwren does not listen at {address}\n{}", seeding.said()));
        }
        let begun = Instant::now();
        let task = Task::leech(&share, at(next_ip(true)), share.file.to_str().unwrap());
        let mut download = Libtorrent.start_with(network, &task, &[address]);
        let dir = download.wait_complete(&share).and_then(|dir| share.torrent.compare(&dir));
        dir.map_err(|error| format!("{error}\n{}{}", download.said(), seeding.said()))?;
        Ok(begun.elapsed())
    });
}

fn recipe_name(client: &str, transport: Transport, kind: &str) -> String {
    format!("{client}-{transport}-{kind}")
}

fn said(running: &[Box<dyn Running>]) -> String {
    running.iter().map(|client| client.said()).collect()
}
