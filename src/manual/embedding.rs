//! Embedding: how to download, seed and watch torrents from a program.
//!
//! Three types carry the API: a [`Client`](crate::Client) owns the threads and the port, a
//! [`Torrent`](crate::Torrent) is a handle on one transfer, and [`Events`](crate::Events) receives
//! milestones. Everything is blocking and can be used from any thread. The examples in
//! `tests/examples` are complete programs.
//!
//! # Download a torrent
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use bitwren::{Client, Config, EventKind, Metainfo, TorrentConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metainfo = Arc::new(Metainfo::from_bytes(&std::fs::read("debian.torrent")?)?);
//! let client = Client::start(Config::default())?;
//! let events = client.events();
//! client.add(metainfo, TorrentConfig::default().dir("downloads").seed(false))?;
//! for event in &events {
//!     match event.what {
//!         EventKind::Finished { took } => println!("complete after {took:?}"),
//!         EventKind::Failed { why, .. } => return Err(why.into()),
//!         EventKind::Stopped => break,
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With `seed(false)` a torrent stops by itself when it is complete. An interrupted download resumes:
//! state is saved beside the data, and [`TorrentConfig::state_dir`](crate::TorrentConfig::state_dir)
//! moves it elsewhere.
//!
//! # Magnet links and progress
//!
//! Progress is polled, so that a slow reader costs nothing:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use bitwren::{Client, Config, Magnet, Phase, RecvTimeoutError, TorrentConfig};
//!
//! # fn main() -> bitwren::Result<()> {
//! let magnet: Magnet = "magnet:?xt=urn:btih:000102030405060708090a0b0c0d0e0f10111213".parse()?;
//! let client = Client::start(Config::default().dht(true))?;
//! let events = client.events();
//! let torrent = client.add_magnet(magnet, TorrentConfig::default().dir("downloads"))?;
//! loop {
//!     match events.recv_timeout(Duration::from_secs(1)) {
//!         Ok(event) => println!("{:?}", event.what),
//!         Err(RecvTimeoutError::Timeout) => {}
//!         Err(_) => break,
//!     }
//!     let progress = torrent.progress();
//!     println!("{} of {} bytes, {} bytes/s", progress.verified, progress.wanted, progress.down_rate);
//!     if matches!(progress.phase, Phase::Seeding | Phase::Failed | Phase::Stopped) {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Limits
//!
//! ```
//! use std::time::Duration;
//!
//! use bitwren::{Config, TorrentConfig};
//!
//! let config = Config::default()
//!     .max_memory(16 << 20) // bytes for everything but piece hashes and file lists
//!     .max_peers(50)
//!     .up_limit(1 << 20) // bytes per second
//!     .seed_time(Duration::from_secs(3600));
//! config.validate()?;
//! TorrentConfig::default().select(vec![0, 2]).seed_ratio(1.5).validate()?;
//! # Ok::<(), bitwren::Error>(())
//! ```
//!
//! # Changes while it runs
//!
//! A [`Torrent`](crate::Torrent) is changed without being added anew. What needs its files to be closed ends its
//! connections for a moment; the rest is done at once.
//!
//! ```no_run
//! use bitwren::{Client, Priority, QueueMove, Torrent};
//!
//! # fn change(client: &Client, torrent: &Torrent) -> bitwren::Result<()> {
//! torrent.set_files(&[Some(Priority::High), None, Some(Priority::Normal)])?;
//! torrent.set_trackers(vec![vec!["udp://tracker.example:6969".to_owned()]])?;
//! torrent.move_to("/mnt/disk"); // EventKind::Moved or EventKind::NotMoved reports the outcome
//! torrent.verify();
//! client.set_max_active(3, 10); // downloads and seeds at a time
//! client.move_in_queue(&[torrent.info_hash()], QueueMove::Top);
//! for tracker in torrent.trackers().unwrap_or_default() {
//!     println!("{} {:?}: {:?}", tracker.url, tracker.state, tracker.last.map(|last| last.result));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Blocked addresses
//!
//! ```no_run
//! use std::fs::File;
//!
//! use bitwren::{Blocklist, Client, Config};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let list = Blocklist::read(File::open("list.p2p.gz")?)?;
//! let client = Client::start(Config::default().filter(list.filter))?;
//! // Later; peers that are connected stay.
//! let home = "192.168.0.0/16".parse()?;
//! client.set_filter(Blocklist::read(File::open("list.p2p.gz")?)?.filter.except(&home));
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! An [`Error`](crate::Error) has a [kind](crate::ErrorKind) to act on and a line to show. A torrent
//! reports what happens later as events: [`EventKind::Failed`](crate::EventKind::Failed) ends it,
//! [`EventKind::StorageFailed`](crate::EventKind::StorageFailed) makes it wait until the disk works
//! again. What peers do wrong never fails a torrent.
//!
//! # Ending
//!
//! Dropping the client, or [`Client::shutdown`](crate::Client::shutdown), saves the state, announces
//! `stopped` and returns within a second, whatever hangs. Events already queued can still be received.
