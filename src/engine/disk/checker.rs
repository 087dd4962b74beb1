//! The beginning of a torrent: what is on disk is surveyed, what no state vouches for is hashed,
//! off the foreman's thread so that it can be told to stop meanwhile.
//!
//! One thread checks for all torrents of a client, one after the other, in the order they were
//! added. Hashing one uses every core there is and reads a disk in order; a client that starts with
//! hundreds of torrents would else make hundreds of threads with a buffer each, and the allocator
//! would never give that memory back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, unbounded};

use crate::bitfield::Bitfield;
use crate::config::{Allocation, Existing, TorrentConfig};
use crate::engine::inbox::{TorrentMessage, TorrentSender};
use crate::engine::runtime::threads;
use crate::engine::torrent::{Setup, TorrentStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::storage::fd_cache::FdCache;
use crate::storage::files::Files;
use crate::storage::layout::Layout;
use crate::storage::resume::{Resume, Uncommitted};
use crate::storage::state::Stamp;
use crate::storage::{links, renaming, survey, verify};

/// What a torrent begins with.
pub(crate) struct Outcome {
    pub(crate) files: Arc<Files>,
    pub(crate) have: Bitfield,
    pub(crate) wanted: Bitfield,
    /// Some of it was hashed just now, and no state says so yet.
    pub(crate) proved: bool,
    /// Nothing where no state is to be kept.
    pub(crate) resume: Option<Resume>,
    /// Payload bytes of all sessions before.
    pub(crate) uploaded: u64,
    pub(crate) downloaded: u64,
    /// What could not be done as asked, each a line.
    pub(crate) notes: Vec<String>,
}

/// The thread that checks, as the client holds it; it ends when this is dropped.
pub(crate) struct Checker(Sender<Task>);

impl Checker {
    /// Starts it.
    ///
    /// # Errors
    /// As [`threads::spawn`].
    pub(crate) fn start() -> Result<Checker> {
        let (sender, tasks) = unbounded::<Task>();
        threads::spawn("check", move || {
            for task in tasks {
                // A torrent that has ended wants no outcome.
                match task {
                    Task::Check(task) if !task.stop.load(Ordering::Relaxed) => {
                        let torrent = task.foreman.clone();
                        let _ = torrent.send(TorrentMessage::Checked(Box::new(task.run())));
                    }
                    Task::Check(_) => {}
                    Task::Recheck(recheck, torrent) => {
                        let _ = torrent.send(TorrentMessage::Rechecked(Box::new(recheck.run())));
                    }
                    Task::Look(files, since, torrent) => {
                        let changed = files.changed(Some(since));
                        if !changed.is_empty() {
                            let _ = torrent.send(TorrentMessage::FilesChanged(changed));
                        }
                    }
                }
            }
        })?;
        Ok(Checker(sender))
    }
}

impl Checker {
    /// Asks for files to be hashed again that another program changed.
    pub(crate) fn recheck(&self, recheck: Recheck, torrent: TorrentSender) {
        // The thread lives as long as the client, which outlives its torrents.
        let _ = self.0.send(Task::Recheck(recheck, torrent));
    }

    /// Asks for a look at the files that were sent from since then.
    pub(crate) fn look(&self, files: Arc<Files>, since: Moment, torrent: TorrentSender) {
        let _ = self.0.send(Task::Look(files, since, torrent));
    }
}

/// What the thread is asked for.
enum Task {
    Check(Box<CheckTask>),
    Recheck(Recheck, TorrentSender),
    Look(Arc<Files>, Moment, TorrentSender),
}

/// Files that another program changed, to be hashed again.
pub(crate) struct Recheck {
    pub(crate) files: Arc<Files>,
    /// Which they are, and whether all of the file was verified, so that nothing of it is to be written.
    pub(crate) changed: Vec<(u32, bool)>,
    /// The pieces that were right before.
    pub(crate) pieces: Bitfield,
    pub(crate) threads: usize,
    /// Ends it early.
    pub(crate) stop: Arc<AtomicBool>,
}

/// What came of that.
pub(crate) struct Rechecked {
    /// The files, and what each looked like before it was hashed; nothing where it was not there.
    pub(crate) files: Vec<(u32, Option<Stamp>)>,
    /// The pieces that were hashed, and those of them that are right.
    pub(crate) pieces: Bitfield,
    pub(crate) right: Bitfield,
}

impl Recheck {
    fn run(self) -> Result<Rechecked> {
        let Recheck { files, changed, pieces, threads, stop } = self;
        let look = |(index, whole)| files.look_anew(index, whole).map(|stamp| (index, stamp));
        let looked = changed.into_iter().map(look).collect::<Result<_>>()?;
        let right = verify::check(&files, &pieces, threads, &|_| {}, &stop)?.right;
        Ok(Rechecked { files: looked, pieces, right })
    }
}

/// A check that is asked for or under way.
pub(crate) struct Check {
    stop: Arc<AtomicBool>,
}

impl Check {
    /// Asks for it; the foreman is told the outcome when its turn has come.
    pub(crate) fn start(
        setup: &Setup,
        metainfo: Arc<Metainfo>,
        standing: Arc<TorrentStatus>,
        foreman: TorrentSender,
    ) -> Check {
        let stop = Arc::new(AtomicBool::new(false));
        let task = CheckTask {
            metainfo,
            config: setup.config.clone(),
            fds: setup.fds.clone(),
            threads: setup.hash_threads,
            standing,
            stop: stop.clone(),
            foreman,
        };
        // The checker lives as long as the client, which outlives its foremen.
        let _ = setup.client.checker.0.send(Task::Check(Box::new(task)));
        Check { stop }
    }

    /// Ends it early.
    pub(crate) fn cancel(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct CheckTask {
    metainfo: Arc<Metainfo>,
    config: TorrentConfig,
    fds: Arc<FdCache>,
    threads: usize,
    standing: Arc<TorrentStatus>,
    stop: Arc<AtomicBool>,
    foreman: TorrentSender,
}

impl CheckTask {
    fn run(self) -> Result<Outcome> {
        let config = &self.config;
        let names = renaming::known(&self.metainfo, config)?;
        let layout = Layout::new(self.metainfo, config.select.as_deref())?.with_names(names)?;
        let wanted = layout.wanted().clone();
        let allocation = if config.seed_only { Allocation::Sparse } else { config.allocation };
        let files = Arc::new(Files::open(&config.dir, layout, self.fds, allocation));
        if !config.seed_only {
            files.keep_others_out()?;
        }
        let mut survey = survey::survey(&files, config)?;
        let stateless = survey.stateless.take();
        let may_be_there = |piece| survey.known.has(piece) || survey.suspect.has(piece);
        let stateless = unless_complete(stateless, config.seed_only || wanted.iter().all(may_be_there))?;
        let progress = |_| self.standing.count_checked();
        let right = match config.existing {
            Existing::Trust => survey.suspect.clone(),
            _ => verify::check(&files, &survey.suspect, self.threads, &progress, &self.stop)?.right,
        };
        let mut have = survey.conclude(&right)?;
        let mut proved = config.existing != Existing::Trust && right.count() > 0;
        let is_complete = |have: &Bitfield| wanted.iter().all(|piece| have.has(piece));
        let mut notes: Vec<String> = survey.warning.take().into_iter().collect();
        let stateless = unless_complete(stateless, config.seed_only || is_complete(&have))?;
        notes.extend(stateless.map(|error| format!("no resume state is kept: {error}")));
        let changes = !config.seed_only && !is_complete(&have);
        if changes {
            // What was not selected before and is now need not be fetched again.
            let mut moved = files.take_from_part()?;
            have.iter().for_each(|piece| _ = moved.remove(piece));
            let right = verify::check(&files, &moved, self.threads, &|_| {}, &self.stop)?.right;
            right.iter().for_each(|piece| proved |= have.insert(piece));
            notes.extend(survey.lost(&files, &have));
        }
        let complete = is_complete(&have);
        let (uploaded, downloaded) = (survey.uploaded, survey.downloaded);
        let mut resume = survey.resume.take();
        if complete || config.seed_only && config.partial {
            files.see_none_writes()?;
        }
        if !config.seed_only {
            // What an earlier run left is in nobody's way.
            let tidied = resume.as_ref().map_or(Ok(()), Resume::tidy);
            notes.extend(survey.remove_former_part(&files).and(tidied).err().map(|error| error.to_string()));
            if !complete {
                files.take(&survey.strangers, config.state_dir.as_deref(), config.existing, &self.stop)?;
            }
            // Before the first write: it marks the files as ours, should we be killed before the
            // first piece is verified.
            if let Some(resume) = resume.as_mut().filter(|_| changes) {
                match resume.snapshot(&have, uploaded, downloaded).commit() {
                    // A disk that is full is waited for, as it is later. Until the state is saved the next
                    // start judges the files by their bytes.
                    Err(Uncommitted::State(error)) if error.kind() == ErrorKind::DiskFull => {
                        notes.push(format!("the resume state was not saved: {error}"));
                    }
                    outcome => outcome?,
                }
            }
            // Where all pieces are there an empty file may yet be missing, or another be too long.
            notes.extend(files.prepare(config.existing, complete)?);
            notes.extend(links::make(&files));
            if complete {
                files.settle();
            }
        }
        Ok(Outcome { files, have, wanted, proved, resume, uploaded, downloaded, notes })
    }
}

/// Passes on why no state can be kept, or fails with it where there is something to download.
fn unless_complete(stateless: Option<Error>, complete: bool) -> Result<Option<Error>> {
    match stateless {
        Some(error) if !complete => Err(error),
        stateless => Ok(stateless),
    }
}
