//! The thread that opens the data of torrents ([`opened`]) and hashes again what other programs changed
//! ([`recheck`](crate::storage::recheck)): either may take hours, and a torrent must be told to stop meanwhile.
//!
//! One thread does so for all torrents of a client, one after the other, in the order they were
//! added. Hashing one uses every core there is and reads a disk in order; a client that starts with
//! hundreds of torrents would else make hundreds of threads with a buffer each, and the allocator
//! would never give that memory back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, unbounded};

use crate::config::TorrentConfig;
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::storage::fd_cache::FdCache;
use crate::storage::files::Files;
use crate::storage::opened::{self, Hashing, OpenedFiles};
use crate::storage::recheck::{Recheck, Rechecked};

/// A torrent to open, and the settings for that.
pub(crate) struct Opening {
    pub(crate) metainfo: Arc<Metainfo>,
    pub(crate) config: TorrentConfig,
    pub(crate) fds: Arc<FdCache>,
    /// Whether all data is hashed, whatever the resume state says.
    pub(crate) hash_all: bool,
    /// To hash on; 0 for one a core.
    pub(crate) threads: usize,
    /// Called for each piece that was hashed.
    pub(crate) on_checked: Box<dyn Fn() + Send + Sync>,
    /// Called with the outcome, unless the check was cancelled before it began.
    pub(crate) on_done: Box<dyn FnOnce(Result<OpenedFiles>) + Send>,
}

type Task = Box<dyn FnOnce() + Send>;

/// The thread, as the client holds it; it ends when this is dropped.
pub(crate) struct Checker(Sender<Task>);

impl Checker {
    /// Starts it.
    ///
    /// # Errors
    /// As [`threads::spawn`].
    pub(crate) fn start() -> Result<Checker> {
        let (sender, tasks) = unbounded::<Task>();
        threads::spawn("check", move || tasks.iter().for_each(|task| task()))?;
        Ok(Checker(sender))
    }

    /// Asks for a torrent's data to be opened, which begins when earlier requests have ended.
    pub(crate) fn open(&self, opening: Opening) -> Check {
        let stop = Arc::new(AtomicBool::new(false));
        let check = Check { stop: stop.clone() };
        self.ask(move || {
            if !stop.load(Ordering::Relaxed) {
                let Opening { metainfo, config, fds, hash_all, threads, on_checked, on_done } = opening;
                let hashing = Hashing { all: hash_all, threads, on_checked: &*on_checked, stop: &stop };
                on_done(opened::open(metainfo, &config, fds, &hashing));
            }
        });
        check
    }

    /// Asks for files that another program changed to be hashed again.
    pub(crate) fn recheck(&self, recheck: Recheck, on_done: impl FnOnce(Result<Rechecked>) + Send + 'static) {
        self.ask(move || on_done(recheck.run()));
    }

    /// Asks for a check of the files that were sent from since then; `on_changed` gets those that another
    /// program changed, if there are any.
    pub(crate) fn look(
        &self,
        files: Arc<Files>,
        since: Moment,
        on_changed: impl FnOnce(Vec<u32>) + Send + 'static,
    ) {
        self.ask(move || {
            let changed = files.changed(Some(since));
            if !changed.is_empty() {
                on_changed(changed);
            }
        });
    }

    fn ask(&self, task: impl FnOnce() + Send + 'static) {
        // The thread lives as long as the client, which outlives its torrents.
        let _ = self.0.send(Box::new(task));
    }
}

/// A check that is asked for or under way.
pub(crate) struct Check {
    stop: Arc<AtomicBool>,
}

impl Check {
    /// Ends it early.
    pub(crate) fn cancel(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
