//! The slot of a torrent among those that download at a time, and what it waits for until it has one.
//!
//! A torrent needs a slot as long as there is something to download, from the check of its data on. One
//! that receives nothing for a while goes on, but yields its slot to another.

use std::time::Duration;

use super::action::Action;
use super::host::Host;
use super::state::{ActiveSlot, Stage, Torrent};
use crate::event::EventKind;
use crate::moment::Moment;
use crate::violation::DisconnectReason;

/// How long a torrent may receive nothing before it yields its slot.
const STALLED: Duration = Duration::from_secs(60);

impl Torrent {
    /// Whether it waits for a slot.
    pub(super) fn is_queued(&self) -> bool {
        self.slot == ActiveSlot::Waiting
    }

    /// Asks for a slot if one is needed and not asked for yet.
    pub(super) fn ask_slot(&mut self, now: Moment, host: &mut impl Host) {
        if !self.needs_slot() || self.slot != ActiveSlot::None {
            return;
        }
        if host.ask_slot() {
            self.slot = held(now, host);
        } else {
            self.slot = ActiveSlot::Waiting;
            // Its turn may be hours away.
            self.swarm.dismiss_all(DisconnectReason::Shutdown, &mut self.out);
            self.out.tell(EventKind::Queued);
        }
    }

    /// Whether there is nothing to download or check now.
    fn is_idle(&self) -> bool {
        let fetching = matches!(self.stage, Stage::FetchingMetadata(_));
        self.paused || fetching || self.stage.is_finished() || self.stage.has_failed() || self.stage.is_over()
    }

    fn needs_slot(&self) -> bool {
        !self.is_idle() && !self.setup.config.seed_only
    }

    /// Asks for a slot, gives it back, and has the data checked when it is had.
    pub(super) fn settle_slot(&mut self, now: Moment, host: &mut impl Host) {
        let needed = self.needs_slot();
        match self.slot {
            ActiveSlot::None if needed => {
                self.ask_slot(now, host);
                self.work(now);
            }
            ActiveSlot::Waiting | ActiveSlot::Held(..) | ActiveSlot::Yielded if !needed => {
                self.release_slot()
            }
            ActiveSlot::Held(_, bytes) if bytes != host.transferred().received || !self.is_open() => {
                self.slot = held(now, host);
            }
            ActiveSlot::Held(since, _) if self.setup.has_queue && since + STALLED <= now => {
                self.out.push(Action::ReleaseSlot);
                self.slot = ActiveSlot::Yielded;
            }
            _ => {}
        }
        if !self.is_idle() && !self.is_queued() {
            self.check();
        }
    }

    pub(super) fn release_slot(&mut self) {
        if self.slot != ActiveSlot::None {
            self.out.push(Action::ReleaseSlot);
            self.slot = ActiveSlot::None;
        }
    }

    /// A slot came free and is ours.
    pub(super) fn on_slot(&mut self, now: Moment, host: &mut impl Host) {
        if self.is_queued() {
            self.slot = held(now, host);
            self.work(now);
        }
    }

    /// When to see whether nothing has come for too long.
    pub(super) fn slot_due(&self) -> Option<Moment> {
        match self.slot {
            ActiveSlot::Held(since, _) if self.setup.has_queue => Some(since + STALLED),
            _ => None,
        }
    }

    /// Has the data that is there checked, unless that was begun.
    fn check(&mut self) {
        if let Stage::Waiting(_) = self.stage {
            self.stage = match std::mem::replace(&mut self.stage, Stage::Ended(None)) {
                Stage::Waiting(early) => Stage::Checking(early),
                stage => stage,
            };
            self.out.tell(EventKind::Checking);
            self.out.push(Action::Check);
        }
    }
}

fn held(now: Moment, host: &impl Host) -> ActiveSlot {
    ActiveSlot::Held(now, host.transferred().received)
}
