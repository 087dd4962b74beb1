//! Starts the thread of a torrent.

use std::sync::{Arc, OnceLock};

use super::TorrentThread;
use super::driver::Driver;
use super::setup::{Origin, Setup};
use super::status::TorrentStatus;
use crate::engine::inbox::{self, TorrentSender};
use crate::engine::runtime::threads::{self, Waited};
use crate::error::Result;
use crate::metainfo::{Magnet, Metainfo};
use crate::torrent::{Input, Torrent};

/// A started torrent, as the client holds it.
pub(crate) struct Started {
    pub(crate) inbox: TorrentSender,
    pub(crate) status: Arc<TorrentStatus>,
    pub(crate) thread: Waited,
}

/// Starts the thread of a torrent.
///
/// # Errors
/// As [`threads::spawn`].
pub(crate) fn start(setup: Setup, metainfo: Arc<Metainfo>) -> Result<Started> {
    let machine = Torrent::new(setup.of_machine(), metainfo.clone());
    start_with(machine, setup, Origin::Metainfo(metainfo))
}

/// Starts the thread of a torrent of which only a magnet link is known. `found` is set when the rest is.
///
/// # Errors
/// As [`threads::spawn`].
pub(crate) fn start_magnet(
    setup: Setup,
    magnet: Magnet,
    found: Arc<OnceLock<Arc<Metainfo>>>,
) -> Result<Started> {
    let now = setup.client.clock.now();
    let machine = Torrent::of_magnet(setup.of_machine(), magnet.clone(), now);
    start_with(machine, setup, Origin::Magnet(magnet, found))
}

fn start_with(torrent: Torrent, setup: Setup, origin: Origin) -> Result<Started> {
    let (sender, inbox) = inbox::inbox();
    let (client, key) = (setup.client.clone(), setup.key);
    let driver = Driver::new(setup, origin, sender.clone());
    let status = driver.status();
    let mut body = TorrentThread::new(torrent, driver, inbox);
    client.active.enter(key);
    // Here and not on its own thread: slots go in the order in which torrents are added.
    body.handle(Input::Start);
    let thread =
        threads::spawn_waited("torrent", move || body.run()).inspect_err(|_| client.active.leave(key))?;
    Ok(Started { inbox: sender, status, thread })
}
