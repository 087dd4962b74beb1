//! When storage fails: a full disk is waited out, anything else ends the torrent with its reason.
//!
//! The disk thread holds the block that failed. The foreman lets everyone go, and once the last is
//! gone asks the disk to try that block again, with a back-off; when it is written, work goes on.

use std::time::Duration;

use super::Foreman;
use crate::engine::disk::writer::ToDisk;
use crate::error::{Error, ErrorKind};
use crate::event::EventKind;
use crate::moment::Moment;
use crate::storage::names::StoredAs;
use crate::violation::DisconnectReason;

/// The first wait before a retry; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A storage failure being waited out.
pub(super) struct Trouble {
    next_try: Moment,
    wait: Duration,
    asked: bool,
}

impl Trouble {
    /// When to try again.
    pub(super) fn next_try(&self) -> Moment {
        // While the disk has been asked, its answer is what is waited for.
        if self.asked { Moment::from_micros(u64::MAX) } else { self.next_try }
    }
}

impl Foreman {
    pub(super) fn on_write_failed(&mut self, error: &Error) {
        if error.kind() != ErrorKind::DiskFull {
            return self.fail(error);
        }
        let now = self.now();
        let wait = self.trouble.as_ref().map_or(FIRST_WAIT, |trouble| (trouble.wait * 2).min(LONGEST_WAIT));
        let news = self.trouble.is_none();
        self.trouble = Some(Trouble { next_try: now + wait, wait, asked: false });
        if news {
            if let Some(active) = &mut self.active {
                active.dismiss_all(DisconnectReason::Shutdown);
                active.saving.wanted_now();
            }
            self.tell(EventKind::StorageFailed { kind: error.kind(), why: error.to_string() });
        }
    }

    /// A piece lost blocks to a failing disk: it begins anew.
    pub(super) fn on_dropped(&mut self, piece: u32) {
        if let Some(active) = &mut self.active {
            active.picker.lost_blocks(piece);
        }
    }

    /// A file lies elsewhere than the torrent says: told now, and remembered with the next state.
    pub(super) fn on_stored_as(&mut self, renamed: StoredAs) {
        if let Some(active) = &mut self.active {
            active.saving.dirty = true;
        }
        let StoredAs { file: index, path, why } = renamed;
        self.tell(EventKind::StoredAs { index, path, why: why.to_string() });
    }

    /// Asks the disk to try again, when it is time and nobody's blocks are still under way.
    pub(super) fn retry_when_due(&mut self, now: Moment) {
        let Some(trouble) = &mut self.trouble else { return };
        let empty = self.active.as_ref().is_some_and(|active| active.connected.is_empty());
        if trouble.next_try() > now {
            return;
        }
        if !empty {
            trouble.next_try = now + Duration::from_millis(200);
            return;
        }
        trouble.asked = true;
        let _ = self.setup.client.disk.send(ToDisk::Retry(self.setup.key));
    }

    pub(super) fn on_recovered(&mut self) {
        if self.trouble.take().is_some() {
            self.tell(EventKind::StorageRecovered);
            self.work();
        }
    }

    /// What a peer asked for could not be read: the data changed behind our back.
    pub(super) fn on_read_failed(&mut self, error: &Error) {
        self.fail(error);
    }

    /// The torrent cannot go on.
    pub(super) fn fail(&mut self, error: &Error) {
        if self.failed {
            return;
        }
        self.failed = true;
        self.trouble = None;
        self.rest();
        let now = self.now();
        self.show(now);
        self.tell(EventKind::Failed { kind: error.kind(), why: error.to_string() });
    }
}
