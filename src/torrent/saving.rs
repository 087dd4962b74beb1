//! Saving what is verified, and what was sent.
//!
//! Invariant: a state claims a piece only after its verdict; the driver syncs the data before it writes
//! the claim.

use super::action::{Action, Actions};
use super::host::Host;
use super::state::{Active, Torrent};
use crate::error::{Error, ErrorKind, Result};
use crate::moment::Moment;
use crate::storage::resume::Uncommitted;

impl Active {
    /// Saves what is verified now, if a state is kept.
    fn save(&mut self, host: &impl Host, out: &mut Actions) {
        let saving = &mut self.saving;
        if !saving.keeps {
            return;
        }
        let bytes = host.transferred();
        // A state may say anything.
        let uploaded = saving.before.0.saturating_add(bytes.sent);
        let downloaded = saving.before.1.saturating_add(bytes.received);
        saving.running += 1;
        (saving.dirty, saving.now) = (false, false);
        out.push(Action::Save { have: self.picker.have().clone(), uploaded, downloaded });
    }

    /// Saves before the files are closed for a while. False where there is nothing to say, or it failed before.
    pub(super) fn save_for_now(&mut self, now: Moment, host: &impl Host, out: &mut Actions) -> bool {
        let saves = self.saving.dirty && self.saving.keeps && !self.saving.failing;
        if saves {
            self.saving.last = now;
            self.save(host, out);
        }
        saves
    }

    /// The last save, or none if a complete download needs no state any longer.
    pub(super) fn save_last(&mut self, seeds: bool, failed: bool, host: &impl Host, out: &mut Actions) {
        // The part file and the state are removed with the download: bytes that are only in the part file
        // would be lost.
        let whole = self.finished && self.picker.have().is_full() && self.holds_every_file;
        // Nothing but the state finds files again under names that the user chose.
        if whole && !self.has_chosen_names && !seeds && !failed {
            self.saving.running += 1;
            self.saving.keeps = false;
            out.push(Action::RemoveState);
        } else if self.saving.dirty || self.saving.is_running() || (whole && self.has_chosen_names) {
            self.save(host, out);
        }
    }

    /// The last save takes too long; pieces it does not claim are hashed again at the next start.
    pub(super) fn save_too_late(&mut self, out: &mut Actions) {
        let error = Error::new(ErrorKind::Timeout, "the disk did not answer in time");
        match self.saving.keeps {
            true => self.saving.failed(&error, out),
            false => out.note(format!("the resume state was not removed: {error}")),
        }
    }
}

impl Torrent {
    /// Saves, when it is time.
    pub(super) fn save_when_due(&mut self, now: Moment, host: &impl Host) {
        let Some(active) = self.stage.active_mut() else { return };
        if active.saving.due().is_some_and(|due| due <= now) {
            active.saving.last = now;
            active.save(host, &mut self.out);
        }
    }

    pub(super) fn on_saved(&mut self, outcome: std::result::Result<(), Uncommitted>) {
        let (is_over, is_closing) = (self.stage.is_over(), self.is_closing());
        let Some(active) = self.stage.active_mut() else { return };
        active.saving.ended();
        match outcome {
            Ok(()) => active.saving.failing = false,
            // A file that vanished or could not be synced takes verified bytes with it.
            Err(Uncommitted::Data(error))
                if !is_over
                    && !is_closing
                    && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::FileIo) =>
            {
                self.fail(&error);
            }
            Err(uncommitted) => {
                // Only time is lost: pieces the state does not claim are hashed again. Data that is only
                // seeded may well lie where nothing can be written: saving is not tried again and again.
                active.saving.dirty |= !self.setup.config.seed_only;
                active.saving.failed(&uncommitted.into(), &mut self.out);
            }
        }
    }

    pub(super) fn on_state_removed(&mut self, outcome: Result<()>) {
        let Some(active) = self.stage.active_mut() else { return };
        active.saving.ended();
        if let Err(error) = outcome {
            self.out.note(format!("the resume state was not removed: {error}"));
        }
    }

    /// Has what was sent saved with the state, where a ratio over all sessions needs it or there is a state
    /// already.
    pub(super) fn keep_count(&mut self, now: Moment, host: &impl Host) {
        let Some(active) = self.stage.active_mut() else { return };
        let sent = host.transferred().sent;
        let counts = self.setup.config.seed_ratio.is_some() || active.saving.has_history();
        if sent > active.counted && counts {
            active.saving.dirty = true;
        }
        (active.counted, active.counted_at) = (sent, now);
    }
}
