//! `share` to everyone: the URL it prints is all that they are given. libtorrent takes what curl fetched
//! from there; the others take the URL. It ends by itself when all four have everything.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::bitwren::Bitwren;
use crate::clients::{Aria2, Client, Libtorrent, Running, Task, Transmission, at, next_port, tail};
use crate::foreign::libtorrent;
use crate::network::{PATIENCE, Share, TestNetwork, next_ip};
use crate::report::Report;
use crate::support::child::{Child, bitwren, run};
use crate::support::content::Recipe;

pub fn all(network: &TestNetwork, report: &Report) {
    let line = format!("{:<12} -> {:<12} by share, for 4", "bitwren", "everyone");
    if report.wants(&line) {
        report.transfer(&line, || show(network));
    }
}

fn show(network: &TestNetwork) -> Result<Duration, String> {
    let files = [("one.bin", 5 << 20), ("zwei/größe.bin", 3_000_001)];
    let torrent = Recipe::multi("to be shared", &files).make();
    let data = network.scratch.dir("shared");
    torrent.write_to(&data);
    let (ip, port, peer_port) =
        (next_ip(false).to_string(), next_port().to_string(), next_port().to_string());
    let mut command = bitwren(&network.scratch.dir("home"), &["share", "--for", "4", "--bind", &ip]);
    command.args(["--port", &port, "--peer-port", &peer_port, "to be shared"]).current_dir(&data);
    let sharing = Child::spawn(&mut command);
    let begun = Instant::now();
    let line = sharing.wait_for_line(PATIENCE, |line| line.starts_with("bitwren get http://"));
    let url = line.trim_start_matches("bitwren get ").to_owned();
    let file = network.scratch.path().join("fetched.torrent");
    run(Command::new("curl").args(["-sSf", &url, "-o"]).arg(&file)).expect(0);
    let info_hash = run(libtorrent::command().arg("hash").arg(&file)).expect(0).stdout.trim().to_owned();
    let share = &Share { torrent, file, info_hash, data };
    let fetched = share.file.to_str().unwrap();
    let everyone: [(&dyn Client, &str); 4] =
        [(&Libtorrent, fetched), (&Aria2, &url), (&Transmission, &url), (&Bitwren, &url)];
    let mut getting: Vec<Box<dyn Running>> = everyone
        .iter()
        .map(|(client, word)| client.start(network, &Task::leech(share, at(next_ip(false)), *word)))
        .collect();
    for at in 0..getting.len() {
        let dir = getting[at].wait_complete(share);
        dir.and_then(|dir| share.torrent.compare(&dir)).map_err(|error| {
            let all: String = getting.iter().map(|one| one.said()).collect();
            format!("{error}\n{all}{}", tail("share", &sharing.said()))
        })?;
    }
    match sharing.end_within(PATIENCE) {
        Some(ended) if ended.code == Some(0) => Ok(begun.elapsed()),
        ended => Err(format!("share ended with {ended:?}\n{}", tail("share", &sharing.said()))),
    }
}
