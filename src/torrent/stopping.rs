//! How a torrent ends: connections first, then the disk, the state last, and trackers beside all of it.
//!
//! Every step has a deadline after which it is given up. Invariant: a torrent that was told to end has ended
//! by the last of them, even if nothing answers.

use std::time::Duration;

use super::action::Action;
use super::host::Host;
use super::state::{Stage, Step, Stopping, Torrent};
use crate::event::EventKind;
use crate::moment::Moment;
use crate::violation::DisconnectReason;

/// How often the count of sent bytes is saved while seeding, if it counts.
const COUNT_EVERY: Duration = Duration::from_secs(300);

impl Torrent {
    /// The end begins.
    pub(super) fn stop(&mut self, now: Moment, host: &mut impl Host) {
        if self.stage.is_over() {
            return;
        }
        let deadlines = host.shutdown_deadlines(now);
        if let Stage::Checking(_) = self.stage {
            self.out.push(Action::CancelCheck);
        }
        self.release_slot();
        self.go_offline(deadlines.trackers - now);
        let failed = self.stage.has_failed();
        let active = std::mem::replace(&mut self.stage, Stage::Ended(None)).into_active();
        self.swarm.dismiss_all(DisconnectReason::Shutdown, &mut self.out);
        let step = Step::Connections { hung_up: false };
        self.stage = Stage::Stopping(Box::new(Stopping { active, failed, step, deadlines }));
    }

    pub(super) fn on_disk_closed(&mut self) {
        let step = match &mut self.stage {
            Stage::Stopping(stopping) => &mut stopping.step,
            Stage::Closing(closing) => &mut closing.step,
            _ => return,
        };
        if let Step::Disk { closed } = step {
            *closed = true;
        }
    }

    /// Goes on with the end as far as it can go now.
    pub(super) fn stop_on(&mut self, now: Moment, host: &mut impl Host) {
        while let Stage::Stopping(stopping) = &mut self.stage {
            let is_late = stopping.deadline() <= now;
            match stopping.step {
                Step::Connections { hung_up } if !self.swarm.connected.is_empty() => {
                    if !is_late {
                        return;
                    }
                    if hung_up {
                        self.close_disk();
                    } else {
                        // A connection's thread may be writing to a peer that does not read.
                        stopping.step = Step::Connections { hung_up: true };
                        self.swarm.connected.keys().for_each(|&key| self.out.push(Action::HangUp(key)));
                    }
                }
                Step::Connections { .. } => self.close_disk(),
                Step::Disk { closed: false } if !is_late => return,
                Step::Disk { .. } => self.save_last(now, host),
                Step::Save if stopping.is_saving() && !is_late => return,
                Step::Save => {
                    let late = stopping.active.as_mut().filter(|active| active.saving.is_running());
                    late.into_iter().for_each(|active| active.save_too_late(&mut self.out));
                    stopping.step = Step::Trackers;
                }
                Step::Trackers if self.trackers_stopping > 0 && !is_late => return,
                Step::Trackers | Step::Change | Step::Moving => {
                    self.stage = Stage::Ended(stopping.active.take());
                    self.out.push(Action::Ended);
                }
            }
        }
    }

    /// What connections left is written; verdicts that the disk still has are booked meanwhile.
    fn close_disk(&mut self) {
        self.to(Step::Disk { closed: false });
        self.out.push(Action::CloseDisk);
    }

    fn save_last(&mut self, now: Moment, host: &mut impl Host) {
        self.keep_count(now, host);
        let failed = self.stage.has_failed();
        if let Some(active) = self.stage.active_mut() {
            active.save_last(self.setup.config.seed, failed, host, &mut self.out);
        }
        self.to(Step::Save);
    }

    fn to(&mut self, step: Step) {
        if let Stage::Stopping(stopping) = &mut self.stage {
            stopping.step = step;
        }
    }
}

impl Torrent {
    /// Ends the torrent if it has seeded enough.
    pub(super) fn stop_when_enough(&mut self, now: Moment, host: &mut impl Host) {
        self.limits.watch(self.stage.is_finished() && self.is_working(), now);
        let sent = host.transferred().sent;
        let Some(active) = self.stage.active() else { return };
        if sent > active.counted && now - active.counted_at >= COUNT_EVERY {
            self.keep_count(now, host);
        }
        let Some(active) = self.stage.active() else { return };
        let sent = active.saving.sent_before().saturating_add(sent);
        if let Some(why) = self.limits.reached(sent, active.wanted_bytes, now) {
            self.out.tell(EventKind::SeedingDone { why });
            match self.setup.config.pause_when_seeded {
                true => self.pause(),
                false => self.stop(now, host),
            }
        }
    }
}
