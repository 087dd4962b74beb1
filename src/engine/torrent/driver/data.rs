//! The data of a torrent on disk: it is opened and written, hashed again where other programs changed it, and
//! its state is saved.
//!
//! Never waits for the disk: the disk thread, the checker and threads that save do the work, and answer
//! through the torrent's inbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::config::TorrentConfig;
use crate::engine::context::{Content, TorrentContext};
use crate::engine::disk::checker::{Check, Opening};
use crate::engine::disk::writer::ToDisk;
use crate::engine::inbox::TorrentMessage;
use crate::engine::runtime::threads;
use crate::error::{ErrorKind, Result};
use crate::moment::Moment;
use crate::storage::assembly::Assembly;
use crate::storage::recheck::{self, Recheck};
use crate::storage::resume::{Resume, Uncommitted};
use crate::storage::{hole_check, info_file};
use crate::torrent::{ChangedFile, Input, Rechecked};

/// The data of the torrent, and the work under way on it.
pub(super) struct Data {
    context: Arc<TorrentContext>,
    /// Threads to hash on; 0 for one a core.
    hash_threads: usize,
    /// What the torrent is made of, once the data was checked.
    content: Option<Arc<Content>>,
    /// Where the state is saved, if it is kept.
    resume: Option<Resume>,
    /// The check that is asked for or under way.
    check: Option<Check>,
    /// Changed files that are being hashed again, and what ends that early.
    rechecking: BTreeSet<u32>,
    stop_rechecks: Arc<AtomicBool>,
}

impl Data {
    pub(super) fn new(context: Arc<TorrentContext>, hash_threads: usize) -> Data {
        Data {
            context,
            hash_threads,
            content: None,
            resume: None,
            check: None,
            rechecking: BTreeSet::new(),
            stop_rechecks: Arc::default(),
        }
    }

    /// What the torrent is made of, once the data was checked.
    pub(super) fn content(&self) -> Option<&Arc<Content>> {
        self.content.as_ref()
    }

    /// Asks for the data to be opened.
    pub(super) fn open(&mut self, opening: Opening) {
        self.check = Some(self.context.client.checker.open(opening));
    }

    /// Ends the check early.
    pub(super) fn cancel_check(&mut self) {
        self.check.take().iter().for_each(Check::cancel);
    }

    /// The data was opened.
    pub(super) fn opened(&mut self, content: Option<Content>, resume: Option<Resume>) {
        (self.check, self.resume, self.content) = (None, resume, content.map(Arc::new));
    }

    /// The torrent has no use for its files.
    pub(super) fn close(&mut self) {
        (self.content, self.resume) = (None, None);
    }

    /// Blocks are to come; these pieces are there.
    pub(super) fn expect_blocks(&self, have: Bitfield) {
        let Some(content) = &self.content else { return };
        let assembly = Box::new(Assembly::new(content.files.clone(), have));
        self.to_disk(ToDisk::Open(self.context.key, assembly, self.context.inbox.clone()));
    }

    /// Blocks of these pieces are to come again.
    pub(super) fn refetch(&self, pieces: Vec<u32>) {
        self.to_disk(ToDisk::Lost(self.context.key, pieces));
    }

    /// The block that could not be written is tried again.
    pub(super) fn retry_write(&self) {
        self.to_disk(ToDisk::Retry(self.context.key));
    }

    /// Stops writing blocks.
    pub(super) fn close_disk(&self) {
        self.to_disk(ToDisk::Close(self.context.key, self.context.inbox.clone()));
    }

    fn to_disk(&self, message: ToDisk) {
        // The disk's thread outlives every torrent.
        let _ = self.context.client.disk.send(message);
    }

    /// The torrent no longer writes.
    pub(super) fn settle(&self) {
        self.content.iter().for_each(|content| content.files.settle());
    }

    /// Looks whether the files still hold these pieces.
    ///
    /// # Errors
    /// Where another program took some of it away.
    pub(super) fn check_holes(&self, have: &Bitfield) -> Result<()> {
        self.content.as_ref().map_or(Ok(()), |content| hole_check::check(&content.files, have))
    }

    /// The files that another program changed, as far as is known.
    pub(super) fn changed_files(&self) -> Vec<u32> {
        self.content.as_ref().map_or(Vec::new(), |content| content.files.count_as_changed())
    }

    /// Files that were found changed, as the torrent needs to know them; not those that are looked at already.
    pub(super) fn doubted(&self, files: Vec<u32>) -> Vec<ChangedFile> {
        let Some(content) = &self.content else { return Vec::new() };
        let doubted = files
            .into_iter()
            .filter(|index| !self.rechecking.contains(index) && content.files.counts_as_changed(*index));
        doubted.map(|file| ChangedFile { file, pieces: content.files.pieces_of(file) }).collect()
    }

    /// Has these files hashed again, of which these pieces were right.
    pub(super) fn recheck(&mut self, changed: Vec<(u32, bool)>, pieces: Bitfield) {
        let Some(content) = &self.content else { return };
        self.rechecking.extend(changed.iter().map(|(file, _)| file));
        let (files, stop) = (content.files.clone(), self.stop_rechecks.clone());
        let recheck = Recheck { files, changed, pieces, threads: self.hash_threads, stop };
        let sender = self.context.inbox.clone();
        self.context.client.checker.recheck(recheck, move |outcome| {
            let _ = sender.send(TorrentMessage::Rechecked(Box::new(outcome)));
        });
    }

    /// Changed files were hashed again; the next state records their stamps.
    pub(super) fn rechecked(&mut self, outcome: recheck::Rechecked) -> Rechecked {
        let recheck::Rechecked { files, pieces, right } = outcome;
        for &(file, stamp) in &files {
            self.rechecking.remove(&file);
            self.resume.iter_mut().for_each(|resume| resume.renew(file, stamp));
        }
        let files = files.into_iter().map(|(file, stamp)| (file, stamp.is_none())).collect();
        Rechecked { files, pieces, right }
    }

    /// Has a look at the files that were sent from within this time.
    pub(super) fn look_for_changes(&self, within: Duration) {
        let Some(content) = &self.content else { return };
        let now = self.context.client.clock.now();
        let since = Moment::START + now.since(Moment::START).saturating_sub(within);
        let (files, sender) = (content.files.clone(), self.context.inbox.clone());
        self.context.client.checker.look(files, since, move |changed| {
            let _ = sender.send(TorrentMessage::FilesChanged(changed));
        });
    }

    /// Saves on a thread of its own: syncing may take long, and writing goes on. The answer, if there is one
    /// at once.
    pub(super) fn save(&mut self, have: &Bitfield, uploaded: u64, downloaded: u64) -> Option<Input> {
        let snapshot = self.resume.as_mut()?.snapshot(have, uploaded, downloaded);
        let sender = self.context.inbox.clone();
        let files = self.content.as_ref().map(|content| content.files.clone());
        let saving = move || {
            let mut outcome = snapshot.commit();
            // The disk is awake: a good time to look for changes by other programs.
            let mut changed = files.as_ref().map_or(Vec::new(), |files| files.changed(None));
            if let (Err(Uncommitted::Data(error)), Some(files)) = (&outcome, &files)
                && error.kind() == ErrorKind::NotFound
                && !files.count_as_changed().is_empty()
            {
                // The state says nothing of those; they are hashed again.
                changed = files.count_as_changed();
                outcome = Ok(());
            }
            if !changed.is_empty() {
                let _ = sender.send(TorrentMessage::FilesChanged(changed));
            }
            // A torrent that has ended meanwhile did not want to wait for it.
            let _ = sender.send(Input::Saved(outcome).into());
        };
        let error = threads::spawn("resume-save", saving).err()?;
        Some(Input::Saved(Err(Uncommitted::State(error))))
    }

    /// Removes the saved state, on a thread of its own. Returns the answer, if there is one at once.
    pub(super) fn remove_state(&mut self, config: &TorrentConfig) -> Option<Input> {
        let files = self.content.as_ref()?.files.clone();
        let resume = self.resume.take();
        let (sender, info_hash) = (self.context.inbox.clone(), self.context.info_hash);
        let (dir, state_dir) = (config.dir.clone(), config.state_dir.clone());
        let remove = move || {
            if let Some(resume) = resume {
                resume.remove()?;
                info_file::remove(&dir, state_dir.as_deref(), info_hash)?;
            }
            files.remove_part()
        };
        let removing = move || drop(sender.send(Input::StateRemoved(remove()).into()));
        let error = threads::spawn("resume-save", removing).err()?;
        Some(Input::StateRemoved(Err(error)))
    }

    /// The torrent has ended.
    pub(super) fn end(&mut self) {
        self.content.iter().for_each(|content| content.files.release());
        self.stop_rechecks.store(true, Ordering::Relaxed);
    }
}
