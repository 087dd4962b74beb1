//! When storage fails: a full disk is waited out, anything else ends the torrent with its reason.
//!
//! The disk holds the block that failed. Every connection is closed, and once the last is gone the disk is
//! asked to try that block again, with a back-off; when it is written, work goes on.

use std::time::Duration;

use super::action::Action;
use super::snapshots::failure;
use super::state::{Torrent, Trouble};
use crate::error::{Error, ErrorKind};
use crate::event::EventKind;
use crate::moment::Moment;
use crate::storage::names::StoredAs;
use crate::violation::DisconnectReason;

/// The first wait before a retry; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const MAX_WAIT: Duration = Duration::from_secs(30);
/// How long connections have to end before it is looked again.
const CONNECTIONS_END: Duration = Duration::from_millis(200);

impl Torrent {
    pub(super) fn on_write_failed(&mut self, error: &Error, now: Moment) {
        if error.kind() != ErrorKind::DiskFull {
            return self.fail(error);
        }
        let Some(active) = self.stage.active_mut() else { return };
        let wait = active.trouble.as_ref().map_or(FIRST_WAIT, |trouble| (trouble.wait * 2).min(MAX_WAIT));
        let before = active.trouble.replace(Trouble { next_try: now + wait, wait, asked: false });
        if before.is_none() {
            self.swarm.dismiss_all(DisconnectReason::Shutdown, &mut self.out);
            active.saving.wanted_now();
            self.error = Some(failure(error));
            self.out.tell(EventKind::StorageFailed { kind: error.kind(), why: error.to_string() });
        }
    }

    /// A piece lost blocks to a failing disk: it begins anew.
    pub(super) fn on_dropped(&mut self, piece: u32) {
        if let Some(active) = self.stage.active_mut() {
            active.picker.lost_blocks(piece);
        }
    }

    /// A file lies elsewhere than the torrent says: told now, and remembered with the next state.
    pub(super) fn on_stored_as(&mut self, renamed: StoredAs) {
        if let Some(active) = self.stage.active_mut() {
            active.saving.dirty = true;
        }
        let StoredAs { file: index, path, why } = renamed;
        self.out.tell(EventKind::StoredAs { index, path, why: why.to_string() });
    }

    /// Asks the disk to try again, when it is time and no connection can have blocks under way.
    pub(super) fn retry_when_due(&mut self, now: Moment) {
        let Some(active) = self.stage.active_mut() else { return };
        let Some(trouble) = active.trouble.as_mut().filter(|trouble| trouble.next_try() <= now) else {
            return;
        };
        if self.swarm.connected.is_empty() {
            trouble.asked = true;
            self.out.push(Action::RetryWrite);
        } else {
            trouble.next_try = now + CONNECTIONS_END;
        }
    }

    pub(super) fn on_recovered(&mut self, now: Moment) {
        if self.stage.active_mut().is_some_and(|active| active.trouble.take().is_some()) {
            self.error = None;
            self.out.tell(EventKind::StorageRecovered);
            self.work(now);
        }
    }
}
