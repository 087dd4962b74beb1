//! Our tracker, by HTTP and by UDP, with none of our peers: one of the others seeds, and the other two
//! download, all from whom the tracker names.

use std::time::{Duration, Instant};

use crate::clients::{Aria2, Client, Libtorrent, Running, Task, Transmission, at};
use crate::network::{PATIENCE, TestNetwork, next_ip};
use crate::report::Report;
use crate::support::child::{Child, bitwren};

pub fn all(network: &TestNetwork, report: &Report) {
    let strangers: [&dyn Client; 3] = [&Transmission, &Aria2, &Libtorrent];
    let mut cases = Vec::new();
    for scheme in ["http", "udp"] {
        for (index, seeder) in strangers.iter().enumerate() {
            let line = format!("{:<12} -> {:<12} {scheme} by our tracker", seeder.name(), "the others");
            cases.push((line, scheme, index));
        }
    }
    cases.retain(|(line, ..)| report.wants(line));
    if cases.is_empty() {
        return;
    }
    let tracker = at(next_ip(false));
    let (ip, port) = (tracker.ip().to_string(), tracker.port().to_string());
    let home = network.scratch.dir("home");
    let running = Child::spawn(&mut bitwren(&home, &["tracker", "-v", "--bind", &ip, "--port", &port]));
    running.wait_for_line(PATIENCE, |line| line.contains("udp://"));
    let show = |scheme: &str, index: usize| -> Result<Duration, String> {
        let name = format!("tracked {scheme} {index}");
        let share = &network.make("small", &name, &format!("{scheme}://{tracker}/announce"));
        let seeding = strangers[index].start(network, &Task::seed(share, at(next_ip(false))));
        if !network.wait_seeds_at(tracker, share, 1) {
            return Err(format!("the tracker never saw the seed\n{}{}", seeding.said(), running.said()));
        }
        let begun = Instant::now();
        let word = share.file.to_str().unwrap();
        let others = strangers.iter().enumerate().filter(|(other, _)| *other != index);
        let mut leeching: Vec<Box<dyn Running>> = others
            .map(|(_, client)| client.start(network, &Task::leech(share, at(next_ip(false)), word)))
            .collect();
        for at in 0..leeching.len() {
            let dir = leeching[at].wait_complete(share);
            dir.and_then(|dir| share.torrent.compare_filled(&dir)).map_err(|error| {
                let all: String = leeching.iter().map(|one| one.said()).collect();
                format!("{error}\n{all}{}{}", seeding.said(), running.said())
            })?;
        }
        Ok(begun.elapsed())
    };
    std::thread::scope(|scope| {
        for (line, scheme, index) in &cases {
            scope.spawn(|| report.transfer(line, || show(scheme, *index)));
        }
    });
}
