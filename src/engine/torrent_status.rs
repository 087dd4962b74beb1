//! Where the torrent stands, for whoever asks from another thread: a snapshot the foreman renews,
//! and counters that are read as they are.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::runtime::counters::Counters;
use crate::event::Progress;
use crate::metainfo::Metainfo;
use crate::moment::Moment;

/// The shown side of a torrent.
pub(crate) struct TorrentStatus {
    counters: Arc<Counters>,
    progress: Mutex<Progress>,
    left: AtomicU64,
    checked: AtomicU32,
    meter: Mutex<Meter>,
    ended: AtomicBool,
}

#[derive(Default)]
struct Meter {
    at: Moment,
    downloaded: u64,
    uploaded: u64,
    down_rate: u64,
    up_rate: u64,
}

impl TorrentStatus {
    /// A torrent of which nothing is known yet.
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        TorrentStatus {
            counters,
            progress: Mutex::default(),
            left: AtomicU64::new(0),
            checked: AtomicU32::new(0),
            meter: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// The torrent has let go of everything; its thread has no more to do than to tell so.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether it has: then it can be added anew.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// What it is made of is known now.
    pub(crate) fn describe(&self, metainfo: &Metainfo) {
        let pieces = metainfo.pieces();
        *self.lock() = Progress {
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
        let mut progress = self.lock().clone();
        progress.downloaded = Counters::read(&self.counters.downloaded);
        progress.uploaded = Counters::read(&self.counters.uploaded);
        progress.wasted = Counters::read(&self.counters.wasted);
        progress.checked = self.checked.load(Ordering::Relaxed);
        progress
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The foreman renews the snapshot.
    pub(crate) fn renew(&self, renew: impl FnOnce(&mut Progress)) {
        let mut progress = self.lock();
        renew(&mut progress);
        let meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        (progress.down_rate, progress.up_rate) = (meter.down_rate, meter.up_rate);
    }

    /// Bytes that trackers are told are left: of the whole torrent, as BEP 3 has it.
    pub(crate) fn set_left(&self, left: u64) {
        self.left.store(left, Ordering::Relaxed);
    }

    /// Bytes left.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// One more piece of the existing data was hashed.
    pub(crate) fn count_checked(&self) {
        self.checked.fetch_add(1, Ordering::Relaxed);
    }

    /// Measures the rates since the last time; whether anything moves.
    pub(crate) fn measure(&self, now: Moment) -> bool {
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        let (down, up) = (Counters::read(&self.counters.downloaded), Counters::read(&self.counters.uploaded));
        let micros = (now - meter.at).as_micros().max(1) as u64;
        let follow = |rate: u64, moved: u64| {
            let latest = (u128::from(moved) * 1_000_000 / u128::from(micros)) as u64;
            // Half of each new second: a few seconds' memory, and none once nothing moves.
            if rate == 0 || latest == 0 { latest } else { (rate + latest) / 2 }
        };
        meter.down_rate = follow(meter.down_rate, down - meter.downloaded);
        meter.up_rate = follow(meter.up_rate, up - meter.uploaded);
        (meter.at, meter.downloaded, meter.uploaded) = (now, down, up);
        meter.down_rate > 0 || meter.up_rate > 0
    }
}
