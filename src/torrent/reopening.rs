//! How a torrent's files are closed and opened anew while it runs: to hash everything again, because other files
//! are wanted than before, or because the data is elsewhere.
//!
//! Connections end first, then the disk writes what they left and the state is saved, as when the torrent stops;
//! trackers are told nothing. Then the data is checked as at a start, also while the torrent is paused, and it
//! goes on where it was. A change that comes meanwhile is made after that.
//!
//! Invariant: no file is closed while a connection or the disk may still use it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use super::action::Action;
use super::change::Change;
use super::host::Host;
use super::priorities;
use super::state::{Active, Closing, Early, Reopening, Stage, Step, Torrent};
use crate::bitfield::Bitfield;
use crate::error::Result;
use crate::event::EventKind;
use crate::metainfo::File;
use crate::moment::Moment;
use crate::storage::layout::Layout;
use crate::violation::DisconnectReason;

/// How long connections have to end by themselves.
const HANG_UP: Duration = Duration::from_secs(1);
/// Changes that wait for one another at most.
const MAX_CHANGES: usize = 64;

impl Change {
    /// The same for a torrent of which there are no files: none is to be moved.
    fn of_none(self) -> Change {
        match self {
            Change::Move(to) => Change::Locate(to),
            change => change,
        }
    }
}

impl Torrent {
    /// Makes a change: at once where no file has to be closed for it.
    pub(super) fn on_change(&mut self, change: Change, now: Moment, host: &mut impl Host) {
        match &self.stage {
            Stage::Stopping(_) | Stage::Ended(_) => {}
            Stage::FetchingMetadata(_) if change == Change::Verify => {}
            Stage::FetchingMetadata(_) => self.make(change.of_none()),
            Stage::Waiting(_) if matches!(change, Change::Move(_)) => {
                self.changes.push(change);
                self.close_files(now);
            }
            Stage::Waiting(_) => {
                if change == Change::Verify {
                    self.reopening.get_or_insert_default();
                }
                self.make(change);
            }
            Stage::Open(active) if self.changes.is_empty() && self.is_live(active, &change) => {
                self.make(change);
                self.want_chosen(now, host);
            }
            Stage::Open(_) | Stage::Failed(_) if self.metainfo.is_some() => {
                self.changes.push(change);
                self.close_files(now);
            }
            Stage::Checking(_) | Stage::Closing(_) if self.changes.len() < MAX_CHANGES => {
                self.changes.push(change);
            }
            _ => {}
        }
    }

    /// Closes the files if a change waits for it.
    pub(super) fn make_changes(&mut self, now: Moment) {
        if !self.changes.is_empty() && matches!(self.stage, Stage::Open(_) | Stage::Failed(_)) {
            self.close_files(now);
        }
    }

    fn close_files(&mut self, now: Moment) {
        let failed = self.stage.has_failed();
        let mut active = std::mem::replace(&mut self.stage, Stage::Ended(None)).into_active();
        if let Some(active) = &mut active {
            active.trouble = None;
        }
        self.error = None;
        // It does not seed for the time.
        self.limits.watch(false, now);
        self.swarm.dismiss_all(DisconnectReason::Shutdown, &mut self.out);
        let step = Step::Connections { hung_up: false };
        self.stage = Stage::Closing(Box::new(Closing {
            active,
            failed,
            step,
            hang_up: now + HANG_UP,
            changes: VecDeque::new(),
        }));
    }

    /// Goes on with closing the files as far as it can go now.
    pub(super) fn close_on(&mut self, now: Moment, host: &impl Host) {
        while let Stage::Closing(closing) = &mut self.stage {
            match closing.step {
                Step::Connections { hung_up } if !self.swarm.connected.is_empty() => {
                    if !hung_up && closing.hang_up <= now {
                        closing.step = Step::Connections { hung_up: true };
                        self.swarm.connected.keys().for_each(|&key| self.out.push(Action::HangUp(key)));
                    }
                    return;
                }
                Step::Connections { .. } => {
                    closing.step = Step::Disk { closed: false };
                    self.out.push(Action::CloseDisk);
                }
                Step::Disk { closed: false } => return,
                Step::Disk { closed: true } => closing.step = Step::Save,
                Step::Save | Step::Trackers => {
                    let active = closing.active.as_mut();
                    let saves = active.is_some_and(|active| {
                        active.saving.is_running()
                            || !closing.failed && active.save_for_now(now, host, &mut self.out)
                    });
                    if saves {
                        return;
                    }
                    self.end_closing();
                }
                Step::Change => {
                    let Some(change) = closing.changes.pop_front() else { return self.reopen() };
                    match change {
                        Change::Move(to) => {
                            closing.step = Step::Moving;
                            self.out.push(Action::MoveFiles(to));
                            return;
                        }
                        change => self.make(change),
                    }
                }
                Step::Moving => return,
            }
        }
    }

    /// When closing goes on if nothing else happens.
    pub(super) fn closing_due(&self) -> Option<Moment> {
        match &self.stage {
            Stage::Closing(closing) if closing.step == (Step::Connections { hung_up: false }) => {
                Some(closing.hang_up)
            }
            _ => None,
        }
    }

    /// The data was checked last: it is to be checked anew.
    fn reopen(&mut self) {
        if let Some(metainfo) = self.metainfo.clone() {
            self.stage = Stage::Waiting(Early { metainfo });
        }
    }

    /// Files were moved, or not.
    pub(super) fn on_moved(&mut self, outcome: Result<PathBuf>) {
        let Stage::Closing(closing) = &mut self.stage else { return };
        if closing.step != Step::Moving {
            return;
        }
        closing.step = Step::Change;
        match outcome {
            Ok(dir) => {
                self.make(Change::Locate(dir.clone()));
                self.out.tell(EventKind::Moved { dir });
            }
            Err(error) => self.out.tell(EventKind::NotMoved { why: error.to_string() }),
        }
    }

    /// No thread uses the files any longer: they are closed, and the changes are made.
    fn end_closing(&mut self) {
        let Stage::Closing(closing) = &mut self.stage else { return };
        closing.step = Step::Change;
        closing.changes = std::mem::take(&mut self.changes).into();
        let active = closing.active.take();
        self.out.push(Action::CloseFiles);
        let mut reopening = Reopening::default();
        if let Some(active) = active {
            reopening.before = Some(active.saving.before);
            reopening.started = Some(active.started);
            reopening.finished = active.finished;
        }
        self.reopening = Some(reopening);
    }

    /// The settings are those after this change.
    fn make(&mut self, change: Change) {
        let config = &mut self.setup.config;
        match &change {
            Change::Verify => {
                self.reopening.iter_mut().for_each(|reopening| reopening.hash_all = true);
                return;
            }
            Change::Files { select, priorities } => {
                config.select.clone_from(select);
                config.file_priorities.clone_from(priorities);
            }
            Change::Locate(dir) => config.dir.clone_from(dir),
            // Known as soon as it is done.
            Change::Move(_) => return,
        }
        self.out.push(Action::Configure(change));
    }

    /// Whether all data is to be hashed in the next check.
    pub(super) fn hashes_all(&self) -> bool {
        self.reopening.as_ref().is_some_and(|reopening| reopening.hash_all)
    }

    /// Whether a change can be made with the files as they are open: every file that is wanted anew is kept as
    /// itself, none that is not wanted would come to be for its neighbours' sake, and a torrent that was complete
    /// still is.
    fn is_live(&self, active: &Active, change: &Change) -> bool {
        let Change::Files { select, .. } = change else { return false };
        if self.setup.config.select == *select {
            return true;
        }
        let Ok(layout) = Layout::new(active.metainfo.clone(), select.as_deref()) else { return false };
        let (wanted, have) = (layout.wanted(), active.picker.have());
        let is_begun = |file: File<'_>| {
            let mut covering = active.pieces.covering(file.offset..file.offset + file.length);
            covering.any(|piece| have.has(piece) || active.picker.is_open(piece))
        };
        let mut stored = (0..).zip(active.metainfo.files().iter()).filter(|(_, file)| file.is_stored());
        active.holds_every_file
            && active.changes.is_idle()
            && !(active.finished && wanted.iter().any(|piece| !have.has(piece)))
            && stored.all(|(index, file)| layout.is_selected(index) || is_begun(file))
    }

    /// Other files are wanted from now on, as the settings say.
    fn want_chosen(&mut self, now: Moment, host: &mut impl Host) {
        let Stage::Open(active) = &mut self.stage else { return };
        let config = &self.setup.config;
        if let Ok(layout) = Layout::new(active.metainfo.clone(), config.select.as_deref()) {
            let have = active.picker.have();
            // What a complete torrent lost since is not wanted.
            let is_lossy = active.finished && layout.wanted().iter().any(|piece| !have.has(piece));
            if active.changes.is_idle() && !is_lossy {
                active.want(layout.wanted().clone());
            }
        }
        active.picker.set_priorities(priorities::of_pieces(&active.metainfo, config));
        active.next_tick = Some(now);
        if active.picker.is_finished() && active.changes.is_idle() && !active.finished {
            self.finish(now, host);
        }
    }
}

impl Active {
    /// These pieces are wanted from now on.
    fn want(&mut self, wanted: Bitfield) {
        let have = self.picker.have();
        self.verified_bytes = self.pieces.bytes_of(wanted.iter().filter(|piece| have.has(*piece)));
        self.wanted_bytes = self.pieces.bytes_of(wanted.iter());
        self.picker.set_wanted(wanted.clone());
        self.wanted = wanted;
    }
}
