//! Downloads one torrent: `cargo run --example download -- FILE.torrent [DIRECTORY]`.

use std::env::args;
use std::error::Error;
use std::sync::Arc;

use bitwren::{Client, Config, EventKind, Metainfo, TorrentConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let file = args().nth(1).ok_or("usage: download FILE.torrent [DIRECTORY]")?;
    let dir = args().nth(2).unwrap_or_else(|| ".".to_owned());
    let metainfo = Arc::new(Metainfo::from_bytes(&std::fs::read(file)?)?);

    let client = Client::start(Config::default().dht(!metainfo.is_private()))?;
    let events = client.events();
    // Without seeding the torrent stops by itself when it is complete.
    client.add(metainfo, TorrentConfig::default().dir(dir).seed(false))?;
    for event in &events {
        match event.what {
            EventKind::Checked { have, of } => println!("{have} of {of} pieces exist already"),
            EventKind::Finished { took } => println!("complete after {took:?}"),
            EventKind::StorageFailed { why, .. } => eprintln!("waiting: {why}"),
            EventKind::Failed { why, .. } => return Err(why.into()),
            EventKind::Stopped => break,
            _ => {}
        }
    }
    client.shutdown();
    Ok(())
}
