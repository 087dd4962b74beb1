//! Seeds every torrent whose file lies in a directory, beside its data:
//! `cargo run --example seed -- DIRECTORY`.

use std::env::args;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bitwren::{Client, Config, EventKind, Metainfo, TorrentConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = args().nth(1).ok_or("usage: seed DIRECTORY")?;
    let client = Client::start(Config::default().dht(true))?;
    let events = client.events();
    let mut torrents = Vec::new();
    for entry in Path::new(&dir).read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "torrent") {
            let metainfo = Arc::new(Metainfo::from_bytes(&std::fs::read(&path)?)?);
            torrents.push(client.add(metainfo, TorrentConfig::default().dir(&dir).seed_only(true))?);
        }
    }
    println!("{} torrents on port {}", torrents.len(), client.port());
    let mut running = torrents.len();
    while running > 0 {
        let event = events.recv()?;
        match event.what {
            EventKind::PeerConnected { peer, .. } => println!("{}: {peer} connected", event.torrent),
            EventKind::Failed { why, .. } => eprintln!("{}: {why}", event.torrent),
            EventKind::Stopped => running -= 1,
            _ => {}
        }
    }
    Ok(())
}
