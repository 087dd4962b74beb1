//! Opening the data of a torrent: existing data is surveyed, pieces that no state vouches for are hashed, and
//! the files are taken. The result is what a session begins with.
//!
//! Invariant: when this returns, no file was written that may belong to another, and if something is to be
//! downloaded, a state marks the files as ours.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::fd_cache::FdCache;
use super::files::Files;
use super::layout::Layout;
use super::resume::{Resume, Uncommitted};
use super::{links, renaming, survey, verify};
use crate::bitfield::Bitfield;
use crate::config::{Allocation, Existing, TorrentConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::metainfo::Metainfo;

/// The data of a torrent as a session begins.
pub struct OpenedFiles {
    /// Its files.
    pub files: Arc<Files>,
    /// Pieces that are there and right.
    pub have: Bitfield,
    /// Pieces of the files that are selected.
    pub wanted: Bitfield,
    /// Some of it was hashed just now, and no state says so yet.
    pub proved: bool,
    /// Where the state is saved; nothing where none is kept.
    pub resume: Option<Resume>,
    /// Payload bytes of all sessions before.
    pub uploaded: u64,
    /// As [`uploaded`](OpenedFiles::uploaded).
    pub downloaded: u64,
    /// What could not be done as asked, each a line.
    pub notes: Vec<String>,
}

/// How existing data is hashed.
pub struct Hashing<'a> {
    /// Whether all of it is, whatever the resume state and the settings say.
    pub all: bool,
    /// The number of threads; 0 for one per core.
    pub threads: usize,
    /// Called for each piece that was hashed.
    pub on_checked: &'a (dyn Fn() + Sync),
    /// Ends it early.
    pub stop: &'a AtomicBool,
}

/// Opens the data of a torrent for a session under these settings.
///
/// # Errors
/// Why the torrent cannot begin; [`ErrorKind::Interrupted`] if it was ended early.
pub fn open(
    metainfo: Arc<Metainfo>,
    config: &TorrentConfig,
    fds: Arc<FdCache>,
    hashing: &Hashing<'_>,
) -> Result<OpenedFiles> {
    let &Hashing { all, threads, on_checked, stop } = hashing;
    let names = renaming::known(&metainfo, config)?;
    let layout = Layout::new(metainfo, config.select.as_deref())?.with_names(names)?;
    let wanted = layout.wanted().clone();
    let allocation = if config.seed_only { Allocation::Sparse } else { config.allocation };
    let files = Arc::new(Files::open(&config.dir, layout, fds, allocation));
    if !config.seed_only {
        files.keep_others_out()?;
    }
    let mut survey = survey::survey(&files, config)?;
    if all {
        survey.trust_nothing();
    }
    let stateless = survey.stateless.take();
    let may_be_there = |piece| survey.known.has(piece) || survey.suspect.has(piece);
    let stateless = unless_complete(stateless, config.seed_only || wanted.iter().all(may_be_there))?;
    let progress = |_| on_checked();
    let right = match config.existing {
        Existing::Trust if !all => survey.suspect.clone(),
        _ => verify::check(&files, &survey.suspect, threads, &progress, stop)?.right,
    };
    let mut have = survey.conclude(&right)?;
    let mut proved = (all || config.existing != Existing::Trust) && right.count() > 0;
    let is_complete = |have: &Bitfield| wanted.iter().all(|piece| have.has(piece));
    let mut notes: Vec<String> = survey.warning.take().into_iter().collect();
    let stateless = unless_complete(stateless, config.seed_only || is_complete(&have))?;
    notes.extend(stateless.map(|error| format!("no resume state is kept: {error}")));
    let changes = !config.seed_only && !is_complete(&have);
    if changes {
        // Bytes of files that were not selected before and are now need not be fetched again.
        let mut moved = files.take_from_part()?;
        have.iter().for_each(|piece| _ = moved.remove(piece));
        let right = verify::check(&files, &moved, threads, &|_| {}, stop)?.right;
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
        // What an earlier run left is in the way of none.
        let tidied = resume.as_ref().map_or(Ok(()), Resume::tidy);
        notes.extend(survey.remove_former_part(&files).and(tidied).err().map(|error| error.to_string()));
        if !complete {
            files.take(&survey.strangers, config.state_dir.as_deref(), config.existing, stop)?;
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
    Ok(OpenedFiles { files, have, wanted, proved, resume, uploaded, downloaded, notes })
}

/// Passes on why no state can be kept, or fails with it if something is to be downloaded.
fn unless_complete(stateless: Option<Error>, complete: bool) -> Result<Option<Error>> {
    match stateless {
        Some(error) if !complete => Err(error),
        stateless => Ok(stateless),
    }
}
