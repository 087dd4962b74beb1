//! Downloads a magnet link and prints the progress each second:
//! `cargo run --example magnet -- 'magnet:?xt=…' [DIRECTORY]`.

use std::env::args;
use std::error::Error;
use std::time::Duration;

use bitwren::{Client, Config, EventKind, Magnet, Phase, RecvTimeoutError, TorrentConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let magnet: Magnet = args().nth(1).ok_or("usage: magnet LINK [DIRECTORY]")?.parse()?;
    let dir = args().nth(2).unwrap_or_else(|| ".".to_owned());

    let client = Client::start(Config::default().dht(true))?;
    let events = client.events();
    let torrent = client.add_magnet(magnet, TorrentConfig::default().dir(dir).seed(false))?;
    loop {
        match events.recv_timeout(Duration::from_secs(1)).map(|event| event.what) {
            Ok(EventKind::Metadata { name, .. }) => println!("this is {name}"),
            Ok(EventKind::Failed { why, .. }) => return Err(why.into()),
            Ok(EventKind::Stopped) => break,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => {
                let now = torrent.progress();
                match now.phase {
                    Phase::FetchingMetadata => println!("fetching metadata from {} peers", now.peers),
                    phase => {
                        println!("{phase:?}: {}/{} bytes, {} B/s", now.verified, now.wanted, now.down_rate)
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
