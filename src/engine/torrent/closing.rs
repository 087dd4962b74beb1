//! Saving what is verified, and ending: workers first, then trackers and disk, the state last.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::Foreman;
use crate::engine::disk::writer::ToDisk;
use crate::engine::inbox::ToForeman;
use crate::engine::runtime::counters::Counters;
use crate::engine::runtime::shutdown::Patience;
use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::moment::Moment;
use crate::storage;
use crate::storage::resume::{Resume, Snapshot, Uncommitted};
use crate::violation::DisconnectReason;

/// When and where the resume state is saved.
pub(super) struct Saving {
    resume: Option<Resume>,
    /// Payload bytes sent and received in all sessions before.
    before: (u64, u64),
    every: Duration,
    last: Moment,
    /// Something was verified since the last save.
    pub(super) dirty: bool,
    now: bool,
    running: bool,
    /// The last save failed, which was told.
    failing: bool,
}

impl Saving {
    pub(super) fn new(resume: Option<Resume>, before: (u64, u64), every: Duration) -> Self {
        Saving {
            resume,
            before,
            every,
            last: Moment::START,
            dirty: false,
            now: false,
            running: false,
            failing: false,
        }
    }

    /// Whether a state on disk says what is verified.
    pub(super) fn is_saved(&self) -> bool {
        self.resume.is_some() && !(self.dirty || self.running || self.failing)
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
        if self.resume.is_none() || self.running || !self.dirty {
            None
        } else if self.now {
            Some(Moment::START)
        } else {
            Some(self.last + self.every)
        }
    }
}

impl Foreman {
    /// Saves on a thread of its own, when it is time: syncing may take long, and writing goes on.
    pub(super) fn save_when_due(&mut self, now: Moment) {
        let Some(active) = &mut self.active else { return };
        if active.saving.due().is_none_or(|due| due > now) {
            return;
        }
        active.saving.last = now;
        let Some(snapshot) = self.snapshot() else { return };
        let sender = self.sender.clone();
        let keeping = move || {
            let outcome = snapshot.commit();
            // A foreman that has ended meanwhile saves once more itself.
            let _ = sender.send(ToForeman::Saved(outcome));
        };
        if let (Ok(_), Some(active)) = (threads::spawn("resume-save", keeping), &mut self.active) {
            (active.saving.running, active.saving.dirty, active.saving.now) = (true, false, false);
        }
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        let active = self.active.as_mut()?;
        let resume = active.saving.resume.as_mut()?;
        let (up, down) = (Counters::read(&self.counters.uploaded), Counters::read(&self.counters.downloaded));
        let (sent, received) = active.saving.before;
        // A state may say anything.
        let (sent, received) = (sent.saturating_add(up), received.saturating_add(down));
        Some(resume.snapshot(active.picker.have(), sent, received))
    }

    pub(super) fn on_saved(&mut self, outcome: std::result::Result<(), Uncommitted>) {
        let Some(active) = &mut self.active else { return };
        active.saving.running = false;
        match outcome {
            Ok(()) => active.saving.failing = false,
            // A file that vanished or could not be synced takes verified bytes with it.
            Err(Uncommitted::Data(error))
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::FileIo) =>
            {
                self.fail(&error);
            }
            Err(uncommitted) => {
                // Nothing is lost but time: what is not claimed is hashed again. What is only seeded may
                // well lie where nothing can be written: that is not tried again and again.
                active.saving.dirty |= !self.setup.config.seed_only;
                self.not_saved(&uncommitted.into());
            }
        }
    }

    /// Tells that the state was not saved, once until it works again.
    fn not_saved(&mut self, error: &Error) {
        let Some(active) = &mut self.active else { return };
        if !std::mem::replace(&mut active.saving.failing, true) {
            self.tell(EventKind::Note { what: format!("the resume state was not saved: {error}") });
        }
    }

    /// The end: everyone leaves, trackers are told, the disk drains, the state is saved.
    pub(super) fn end(mut self) {
        if let Some(check) = self.check.take() {
            check.cancel();
        }
        self.hide();
        self.setup.registry.remove(self.metainfo.info_hash());
        let patience = self.setup.client.ending.patience(self.now());
        let farewell = self.farewell(&patience);
        self.let_go(&patience);
        let (done, drained) = bounded(0);
        let _ = self.setup.client.disk.send(ToDisk::Close(self.setup.key, done));
        // Answered by hanging up; verdicts that the disk still had are booked while it drains.
        loop {
            let timeout = patience.disk - self.now();
            crossbeam_channel::select! {
                recv(drained) -> _ => break,
                recv(*self.inbox) -> message => if let Ok(ToForeman::Verdict(verdict)) = message {
                    self.on_verdict(&verdict);
                },
                default(timeout) => break,
            }
        }
        while let Ok(message) = self.inbox.try_recv() {
            if let ToForeman::Verdict(verdict) = message {
                self.on_verdict(&verdict);
            }
        }
        self.keep_count(self.now());
        self.save_last(&patience);
        // Whoever did not go in time gives back his place all the same.
        self.setup.client.connected.with(|places| places.end(self.setup.key));
        self.setup.client.calling.with(|places| places.end(self.setup.key));
        if let Some(farewell) = farewell {
            let _ = farewell.join();
        }
        if let Some(active) = &self.active {
            active.shared.files.release();
        }
        let now = self.now();
        self.show(now);
        self.standing.end();
        self.tell(EventKind::Stopped);
    }

    /// Tells the trackers, on a thread of its own.
    fn farewell(&mut self, patience: &Patience) -> Option<JoinHandle<()>> {
        let announcer = self.active.as_mut().and_then(|active| active.announcer.take());
        let announcer = announcer.or(self.announcer.take())?;
        let budget = patience.farewell - self.now();
        threads::spawn("stopped-announce", move || announcer.stop(budget)).ok()
    }

    /// Waits until every worker has gone, for as long as there is patience.
    fn let_go(&mut self, patience: &Patience) {
        if let Some(active) = &mut self.active {
            active.dismiss_all(DisconnectReason::Shutdown);
        }
        let mut until = patience.goodbyes;
        while let Some(active) = self.active.as_ref().filter(|active| !active.connected.is_empty()) {
            match self.inbox.recv_timeout(until - self.now()) {
                // Whoever comes now is turned away by the answer's sender being dropped.
                Ok(ToForeman::Arrived(_)) => {}
                Ok(message @ (ToForeman::Gone(..) | ToForeman::Verdict(_))) => self.take_in(message),
                Ok(_) => {}
                Err(_) if until < patience.workers => {
                    active.hang_up_all();
                    until = patience.workers;
                }
                Err(_) => return,
            }
        }
    }

    /// The last save, or none where a whole download needs no state any more. The disk may take
    /// longer than anyone wants to wait; what is then not claimed is hashed again.
    fn save_last(&mut self, patience: &Patience) {
        let Some(active) = &mut self.active else { return };
        let whole = self.finished && active.picker.have().is_full();
        // What lies in the part file alone is lost with it, and with the state the knowledge of it.
        let whole = whole && active.shared.files.holds_every_file();
        // Nothing but the state finds files again under names that the user chose.
        let chosen = active.shared.files.has_chosen_names();
        let removes = whole && !chosen && !self.setup.config.seed && !self.failed;
        let keeping: Box<dyn FnOnce() -> Result<()> + Send> = if removes {
            let resume = active.saving.resume.take();
            let (config, info_hash) = (self.setup.config.clone(), self.metainfo.info_hash());
            let files = active.shared.files.clone();
            Box::new(move || {
                if let Some(resume) = resume {
                    resume.remove()?;
                    storage::info_file::remove(&config.dir, config.state_dir.as_deref(), info_hash)?;
                }
                files.remove_part()
            })
        } else if active.saving.dirty || active.saving.running || (whole && chosen) {
            let Some(snapshot) = self.snapshot() else { return };
            Box::new(move || Ok(snapshot.commit()?))
        } else {
            return;
        };
        let (done, kept) = bounded(1);
        let outcome = threads::spawn("resume-save", move || drop(done.send(keeping()))).and_then(|_| {
            let late = |_| Err(Error::new(ErrorKind::Timeout, "the disk did not answer in time"));
            kept.recv_timeout(patience.saved - self.now()).unwrap_or_else(late)
        });
        let Some(active) = &mut self.active else { return };
        match outcome {
            Ok(()) => {
                (active.saving.dirty, active.saving.running, active.saving.failing) = (false, false, false);
            }
            Err(error) if removes => {
                self.tell(EventKind::Note { what: format!("the resume state was not removed: {error}") });
            }
            Err(error) => self.not_saved(&error),
        }
    }
}
