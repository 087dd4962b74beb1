//! The thread of a torrent: it waits for a message or a deadline, tells the [`Torrent`] what has happened,
//! and carries out what that decides ([`driver`]).
//!
//! It waits in one place, and never waits for a connection: orders are tried, and a connection whose
//! queue is full is given up. Decides nothing itself.

mod discovery;
mod driver;
mod status;
mod trackers;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use self::driver::{Driver, Origin};
pub(crate) use self::status::TorrentStatus;
use super::conn::listener::Registry;
use super::context::ClientShared;
use super::inbox::{self, TorrentInbox, TorrentMessage, TorrentSender};
use super::runtime::events::EventSender;
use super::runtime::threads;
use super::runtime::threads::Waited;
use crate::config::TorrentConfig;
use crate::error::Result;
use crate::id::TorrentKey;
use crate::metainfo::{Magnet, Metainfo};
use crate::random::Random;
use crate::storage::fd_cache::FdCache;
pub(crate) use crate::torrent::check_selection;
use crate::torrent::{self, Input, Torrent};

/// Messages taken in before what follows from them is decided.
const BATCH: usize = 256;
/// How long to wait where nothing is due.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// What a torrent is started with, besides what it is made of, which may not be known yet.
pub(crate) struct Setup {
    pub(crate) key: TorrentKey,
    pub(crate) config: TorrentConfig,
    pub(crate) client: Arc<ClientShared>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) teller: EventSender,
    pub(crate) fds: Arc<FdCache>,
    pub(crate) hash_threads: usize,
    pub(crate) save_every: Duration,
    pub(crate) random: Random,
}

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
    let machine = Torrent::new(machine_setup(&setup), metainfo.clone());
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
    let machine = Torrent::of_magnet(machine_setup(&setup), magnet.clone(), now);
    start_with(machine, setup, Origin::Magnet(magnet, found))
}

fn start_with(torrent: Torrent, setup: Setup, origin: Origin) -> Result<Started> {
    let (sender, inbox) = inbox::inbox();
    let (client, key) = (setup.client.clone(), setup.key);
    let driver = Driver::new(setup, origin, sender.clone());
    let status = driver.status();
    let mut body = TorrentThread { torrent, driver, inbox };
    // Here and not on its own thread: slots go in the order in which torrents are added.
    body.handle(Input::Start);
    let thread =
        threads::spawn_waited("torrent", move || body.run()).inspect_err(|_| client.active.release(key))?;
    Ok(Started { inbox: sender, status, thread })
}

fn machine_setup(setup: &Setup) -> torrent::Setup {
    let client = &setup.client;
    torrent::Setup {
        config: setup.config.clone(),
        peer_id: client.peer_id,
        port: client.port,
        pex: client.pex,
        has_queue: client.active.is_limited(),
        max_metadata: client.budget.metadata,
        max_connections: client.budget.connections,
        save_every: setup.save_every,
        random: setup.random.clone(),
    }
}

struct TorrentThread {
    torrent: Torrent,
    driver: Driver,
    inbox: TorrentInbox,
}

impl TorrentThread {
    /// To the end.
    fn run(mut self) {
        self.settle();
        while !self.driver.has_ended() {
            self.wait();
            self.settle();
        }
    }

    /// Waits for one message or the next deadline, and takes in what else is there.
    fn wait(&mut self) {
        let now = self.driver.now();
        let timeout = self.torrent.deadline(now).map_or(LONG, |deadline| deadline.since(now));
        if let Ok(message) = self.inbox.recv_timeout(timeout) {
            self.take_in(message);
            for _ in 0..BATCH {
                let Ok(message) = self.inbox.try_recv() else { break };
                self.take_in(message);
            }
        }
    }

    fn settle(&mut self) {
        self.handle(Input::Settle);
        self.driver.show(&self.torrent);
    }

    fn take_in(&mut self, message: TorrentMessage) {
        match message {
            TorrentMessage::Input(input) => self.handle(input),
            TorrentMessage::Join(request) => {
                let join = self.driver.joins(request);
                self.handle(Input::Joined(join));
            }
            TorrentMessage::Checked(outcome) => {
                let outcome = outcome.map(|outcome| self.driver.opened(outcome));
                self.handle(Input::Checked(Box::new(outcome)));
                if !self.torrent.is_open() {
                    self.driver.close_files();
                }
            }
            TorrentMessage::FilesChanged(files) => self.files_changed(files),
            TorrentMessage::Rechecked(outcome) => {
                let outcome = outcome.map(|outcome| self.driver.rechecked(outcome));
                self.handle(Input::Rechecked(Box::new(outcome)));
                // Some may have changed again meanwhile.
                self.files_changed(self.driver.changed_files());
            }
            TorrentMessage::SetLimits { down, up } => self.driver.set_limits(down, up),
            // The asker may have given up waiting.
            TorrentMessage::Peers(answer) => _ = answer.try_send(self.torrent.peers(&self.driver)),
        }
    }

    /// Files are not what they were when they were known to be right.
    fn files_changed(&mut self, files: Vec<u32>) {
        let changed = self.driver.doubted(files);
        if !changed.is_empty() {
            self.handle(Input::FilesChanged(changed));
        }
    }

    /// Takes in one input, and carries out what follows from it.
    fn handle(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next {
            self.torrent.handle(input, self.driver.now(), &mut self.driver);
            while let Some(action) = self.torrent.poll_action() {
                self.driver.carry_out(action, &self.torrent);
            }
            next = self.driver.answer();
        }
    }
}
