//! When the resume state is saved: a while after a piece was verified, or at once if it must not wait.

use std::time::Duration;

use super::action::Actions;
use crate::error::Error;
use crate::moment::Moment;

/// When the resume state is saved.
#[derive(Debug)]
pub(super) struct Saving {
    /// Whether a state is kept at all.
    pub(super) keeps: bool,
    /// Payload bytes sent and received in all sessions before.
    pub(super) before: (u64, u64),
    every: Duration,
    pub(super) last: Moment,
    /// Something was verified since the last save.
    pub(super) dirty: bool,
    pub(super) now: bool,
    /// Saves that were not answered yet.
    pub(super) running: u32,
    /// The last save failed, which was told.
    pub(super) failing: bool,
}

impl Saving {
    pub(super) fn new(keeps: bool, before: (u64, u64), every: Duration) -> Self {
        let last = Moment::START;
        Saving { keeps, before, every, last, dirty: false, now: false, running: 0, failing: false }
    }

    /// Whether a state on disk says what is verified.
    pub(super) fn is_saved(&self) -> bool {
        self.keeps && !(self.dirty || self.is_running() || self.failing)
    }

    /// Whether a save is under way.
    pub(super) fn is_running(&self) -> bool {
        self.running > 0
    }

    /// Payload bytes sent in all sessions before.
    pub(super) fn sent_before(&self) -> u64 {
        self.before.0
    }

    /// Whether there were sessions before, or there is something of this one.
    pub(super) fn has_history(&self) -> bool {
        self.before != (0, 0) || self.last > Moment::START
    }

    /// Save at the next opportunity.
    pub(super) fn wanted_now(&mut self) {
        self.now = true;
    }

    /// When to save, if there is anything to.
    pub(super) fn due(&self) -> Option<Moment> {
        if !self.keeps || self.is_running() || !self.dirty {
            None
        } else if self.now {
            Some(Moment::START)
        } else {
            Some(self.last + self.every)
        }
    }

    /// A save has ended.
    pub(super) fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// The state was not saved: told once, until it works again.
    pub(super) fn failed(&mut self, error: &Error, out: &mut Actions) {
        if !std::mem::replace(&mut self.failing, true) {
            out.note(format!("the resume state was not saved: {error}"));
        }
    }
}
