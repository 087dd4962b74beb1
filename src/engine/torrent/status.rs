//! Where the torrent stands, for other threads: a snapshot that the torrent's thread renews, and counters
//! that are read as they are.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::counters::Counters;
use crate::lock::lock;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::snapshot::{Phase, Progress};
use crate::torrent::Torrent;

/// The shown side of a torrent.
pub(crate) struct TorrentStatus {
    counters: Arc<Counters>,
    clock: Clock,
    shown: Mutex<Shown>,
    left: AtomicU64,
    checked: AtomicU32,
    moved: AtomicU64,
    ended: AtomicBool,
}

/// The snapshot, and from when it is.
#[derive(Default)]
struct Shown {
    progress: Progress,
    at: Moment,
    /// When payload last moved.
    moved: Option<Moment>,
}

impl TorrentStatus {
    /// A torrent of which nothing is known yet.
    pub(crate) fn new(counters: Arc<Counters>, clock: Clock) -> Self {
        TorrentStatus {
            counters,
            clock,
            shown: Mutex::default(),
            left: AtomicU64::new(0),
            checked: AtomicU32::new(0),
            moved: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// The torrent has released everything; its thread only reports the end.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether it has: then it can be added anew.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Its metainfo is known now.
    pub(crate) fn describe(&self, metainfo: &Metainfo) {
        let pieces = metainfo.pieces();
        self.lock().progress = Progress {
            total: pieces.total(),
            wanted: pieces.total(),
            pieces_total: pieces.count(),
            metadata: metainfo.info_bytes().len() as u32,
            metadata_total: metainfo.info_bytes().len() as u32,
            ..Progress::default()
        };
        self.set_left(pieces.total());
    }

    /// The snapshot, with the counters as they are this moment.
    pub(crate) fn progress(&self) -> Progress {
        let now = self.clock.now();
        let (mut progress, since, moved) = {
            let shown = self.lock();
            (shown.progress.clone(), now - shown.at, shown.moved)
        };
        // A torrent with nothing to do does not wake up to tell the time.
        match progress.phase {
            Phase::Downloading => progress.elapsed += since,
            Phase::Seeding => progress.seeding_for += since,
            _ => {}
        }
        progress.idle = moved.map(|moved| now - moved);
        progress.downloaded = Counters::read(&self.counters.downloaded);
        progress.uploaded = Counters::read(&self.counters.uploaded);
        progress.wasted = Counters::read(&self.counters.wasted);
        progress.moved = self.moved.load(Ordering::Relaxed);
        progress.checked = self.checked.load(Ordering::Relaxed);
        progress
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        lock(&self.shown)
    }

    /// The torrent begins with this.
    pub(crate) fn begins(&self, phase: Phase) {
        self.lock().progress.phase = phase;
    }

    /// The torrent's thread renews the snapshot.
    pub(crate) fn renew(&self, torrent: &Torrent, now: Moment) {
        let shown = &mut *self.lock();
        torrent.show(&mut shown.progress, now);
        (shown.at, shown.moved) = (now, torrent.moved());
    }

    /// Bytes that trackers are told are left: of the whole torrent, as BEP 3 has it.
    pub(crate) fn set_left(&self, left: u64) {
        self.left.store(left, Ordering::Relaxed);
    }

    /// Bytes left.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// A move of the files begins.
    pub(crate) fn begin_move(&self) {
        self.moved.store(0, Ordering::Relaxed);
    }

    /// More bytes were moved.
    pub(crate) fn count_moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A check of the existing data begins.
    pub(crate) fn begin_check(&self) {
        self.checked.store(0, Ordering::Relaxed);
    }

    /// One more piece of the existing data was hashed.
    pub(crate) fn count_checked(&self) {
        self.checked.fetch_add(1, Ordering::Relaxed);
    }
}
