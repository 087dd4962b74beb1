//! The process that is watched: a client that does what it is told by lines on standard input and tells
//! what happens by lines on standard output, an info-hash and a word each. It ends with its input.
//!
//! It keeps nothing but a handle on each torrent that runs, so that what grows is the library's.

use std::collections::HashMap;
use std::io::{BufRead, Write, stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bitwren::{Client, Config, EventKind, Events, Magnet, Metainfo, Torrent, TorrentConfig};

pub fn run() -> ExitCode {
    let nodes = std::env::var("NODES").unwrap_or_default();
    let config = Config::default()
        .bind(Some([127, 0, 0, 1].into()))
        .port(0)
        .max_active(4)
        .save_every(Duration::from_secs(2))
        .dht(true)
        .dht_nodes(nodes.split_whitespace())
        .lsd(cfg!(feature = "sys"));
    let client = Client::start(config).unwrap();
    let events = client.events();
    println!("port {}", client.port());
    let printer = std::thread::spawn(move || tell(&events));
    let mut torrents = HashMap::new();
    for line in stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Err(error) = obey(&client, &mut torrents, &words) {
            println!("error {line}: {error}");
        }
    }
    client.shutdown();
    printer.join().unwrap();
    ExitCode::SUCCESS
}

fn obey(client: &Client, torrents: &mut HashMap<String, Torrent>, words: &[&str]) -> bitwren::Result<()> {
    let settings = |dir: &str| TorrentConfig::default().dir(dir);
    match *words {
        ["add", hash, file, dir] => {
            let metainfo = Arc::new(Metainfo::from_bytes(&std::fs::read(file).unwrap())?);
            torrents.insert(hash.to_owned(), client.add(metainfo, settings(dir))?);
        }
        ["magnet", hash, link, dir] => {
            torrents.insert(hash.to_owned(), client.add_magnet(Magnet::parse(link)?, settings(dir))?);
        }
        ["heap"] => {
            crate::heap::trim();
            let (bytes, blocks) = crate::heap::living();
            println!("heap {bytes} {blocks}");
        }
        ["limits", down, up] => client.set_limits(number(down), number(up)),
        [word, hash, ref more @ ..] => {
            let torrent = &torrents[hash];
            match (word, more) {
                ("pause", _) => torrent.pause(),
                ("resume", _) => torrent.resume(),
                ("peer", [peer]) => torrent.add_peer(peer.parse().unwrap()),
                ("limit", [down, up]) => torrent.set_limits(number(down), number(up)),
                ("show", _) => println!("{hash} shows {:?} {:?}", torrent.progress(), torrent.peers()),
                ("remove", _) => {
                    torrent.remove();
                    torrents.remove(hash);
                }
                _ => panic!("{words:?}"),
            }
        }
        _ => panic!("{words:?}"),
    }
    Ok(())
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

/// Tells every event until there are no more.
fn tell(events: &Events) {
    for event in events {
        let what = match event.what {
            EventKind::Failed { why, .. } => format!("failed {why}"),
            what => {
                let shown = format!("{what:?}");
                shown.split([' ', '{']).next().unwrap_or_default().to_lowercase()
            }
        };
        if writeln!(stdout(), "{} {what}", event.torrent).is_err() {
            return;
        }
    }
}
