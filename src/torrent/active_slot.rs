//! The slot of a torrent among those that download or seed at a time, and what it waits for until it has one.
//!
//! A torrent needs a slot as long as there is something to download, from the check of its data on, and one of
//! another kind while it seeds, where those that seed are limited. One that moves nothing for a while goes on, but
//! yields its slot to another.

use std::time::Duration;

use super::action::Action;
use super::host::Host;
use super::state::{ActiveSlot, Stage, Torrent};
use crate::event::EventKind;
use crate::host::active_queue::Lane;
use crate::moment::Moment;
use crate::violation::DisconnectReason;

/// How long a torrent may receive nothing before it yields its slot, and how long one that seeds may send nothing.
const STALLED: Duration = Duration::from_secs(60);
const STALLED_SEED: Duration = Duration::from_secs(600);

impl Torrent {
    /// Whether it waits for a slot.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self.slot, ActiveSlot::Waiting(_))
    }

    /// Asks for a slot if one is needed and not asked for yet.
    pub(super) fn ask_slot(&mut self, now: Moment, host: &mut impl Host) {
        let Some(lane) = self.needed_slot() else { return };
        if self.slot != ActiveSlot::None {
            return;
        }
        if host.ask_slot(lane) {
            self.slot = held(lane, now, host);
            return;
        }
        self.slot = ActiveSlot::Waiting(lane);
        // Its turn may be hours away.
        match lane {
            Lane::Download => self.swarm.dismiss_all(DisconnectReason::Shutdown, &mut self.out),
            Lane::Seed => self.rest(),
        }
        self.out.tell(EventKind::Queued);
    }

    /// Whether there is nothing to download or check now.
    fn is_idle(&self) -> bool {
        let fetching = matches!(self.stage, Stage::FetchingMetadata(_));
        self.paused || fetching || self.stage.is_finished() || self.stage.has_failed() || self.stage.is_over()
    }

    /// The slot that it needs now, if it needs one.
    fn needed_slot(&self) -> Option<Lane> {
        let seeds = self.stage.is_finished()
            && !(self.paused || self.stage.has_failed() || self.stage.is_over() || self.is_closing());
        if seeds {
            return self.setup.has_seed_queue.then_some(Lane::Seed);
        }
        (!self.is_idle() && !self.setup.config.seed_only).then_some(Lane::Download)
    }

    /// The limits of the queues are there from now on, or not.
    pub(super) fn on_queues(&mut self, downloads: bool, seeds: bool) {
        (self.setup.has_queue, self.setup.has_seed_queue) = (downloads, seeds);
    }

    /// Asks for a slot, gives it back, and has the data checked when it is had.
    pub(super) fn settle_slot(&mut self, now: Moment, host: &mut impl Host) {
        if self.reopening.is_some() {
            // Its files are opened anew, paused or not; the slot stays as it is.
            return self.check();
        }
        let needed = self.needed_slot();
        if self.slot != ActiveSlot::None && self.slot.lane() != needed {
            let waited = self.is_queued();
            self.release_slot();
            if waited && needed.is_none() {
                // What it waited for is not limited any longer.
                self.work(now);
            }
        }
        match self.slot {
            ActiveSlot::None if needed.is_some() => {
                let was_seeding = needed == Some(Lane::Seed) && self.is_working();
                self.ask_slot(now, host);
                if !was_seeding {
                    self.work(now);
                }
            }
            ActiveSlot::Held(lane, _, bytes) if bytes != moved(lane, host) || !self.is_open() => {
                self.slot = held(lane, now, host);
            }
            ActiveSlot::Held(lane, since, _) if self.yields(lane) && since + stalled(lane) <= now => {
                self.out.push(Action::ReleaseSlot);
                self.slot = ActiveSlot::Yielded(lane);
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
        if let ActiveSlot::Waiting(lane) = self.slot {
            self.slot = held(lane, now, host);
            self.work(now);
        }
    }

    /// Whether others may wait for a slot of this lane.
    fn yields(&self, lane: Lane) -> bool {
        match lane {
            Lane::Download => self.setup.has_queue,
            Lane::Seed => self.setup.has_seed_queue,
        }
    }

    /// When to see whether nothing has come for too long.
    pub(super) fn slot_due(&self) -> Option<Moment> {
        match self.slot {
            ActiveSlot::Held(lane, since, _) if self.yields(lane) => Some(since + stalled(lane)),
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
            self.out.push(Action::Check { hash_all: self.hashes_all() });
        }
    }
}

impl ActiveSlot {
    fn lane(self) -> Option<Lane> {
        match self {
            ActiveSlot::None => None,
            ActiveSlot::Waiting(lane) | ActiveSlot::Held(lane, ..) | ActiveSlot::Yielded(lane) => Some(lane),
        }
    }
}

fn held(lane: Lane, now: Moment, host: &impl Host) -> ActiveSlot {
    ActiveSlot::Held(lane, now, moved(lane, host))
}

/// Bytes that show that a slot is of use.
fn moved(lane: Lane, host: &impl Host) -> u64 {
    match lane {
        Lane::Download => host.transferred().received,
        Lane::Seed => host.transferred().sent,
    }
}

fn stalled(lane: Lane) -> Duration {
    match lane {
        Lane::Download => STALLED,
        Lane::Seed => STALLED_SEED,
    }
}
