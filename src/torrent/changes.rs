//! Files that another program changed while the torrent was offered: doubted, hashed again, and what is
//! right no longer is lost.
//!
//! While a file is hashed again its pieces are neither offered nor wanted. Those that are wrong are then
//! downloaded again; not where the torrent was complete, since the change may be what the user wants: the
//! rest of it is seeded on.
//!
//! Invariant: a piece that is doubted is neither had nor asked for, and is hashed once more.

use std::time::Duration;

use super::action::{Action, Actions};
use super::host::Host;
use super::input::{ChangedFile, Rechecked};
use super::state::{Active, Stage, Torrent};
use super::swarm::Swarm;
use crate::bitfield::Bitfield;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::violation::DisconnectReason;

/// How often a file is hashed again in one session; one that goes on changing is given up.
const MAX_RECHECKS_PER_FILE: u32 = 8;

/// With more pieces lost or found right at once, peers are hung up on rather than told of each.
const MAX_CHANGES_TOLD: u32 = 2_000;

/// The least time between two looks because a peer left.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Pieces sent within this time may be why a peer disconnects.
const SENT_WITHIN: Duration = Duration::from_secs(60);

impl Torrent {
    /// Files are not what they were: nothing of them is offered until they were hashed again.
    pub(super) fn on_files_changed(&mut self, changed: Vec<ChangedFile>, now: Moment, host: &mut impl Host) {
        let Stage::Open(active) = &mut self.stage else { return };
        let mut pieces = Bitfield::empty(active.pieces.count());
        let (mut files, mut given_up) = (Vec::new(), Vec::new());
        for ChangedFile { file, pieces: touched } in changed {
            let (have, doubted) = (active.picker.have(), &active.changes.doubted);
            let whole = active.finished || touched.iter().all(|piece| have.has(piece) || doubted.has(piece));
            let mut own = Bitfield::empty(pieces.len());
            touched.iter().filter(|&piece| have.has(piece)).for_each(|piece| _ = own.insert(piece));
            if own.count() == 0 {
                continue;
            }
            own.iter().for_each(|piece| _ = pieces.insert(piece));
            let times = active.changes.files.get(&file).map_or(0, |(times, _)| *times);
            active.changes.files.insert(file, (times + 1, own));
            match times < MAX_RECHECKS_PER_FILE {
                true => files.push((file, whole)),
                false => given_up.push(file),
            }
        }
        if pieces.count() == 0 {
            return;
        }
        let (finished, metainfo) = (active.finished, active.metainfo.clone());
        active.doubt(&pieces, &mut self.swarm, &mut self.out);
        self.end_super_seeding();
        match given_up.first() {
            None => self.out.push(Action::Recheck { files, pieces }),
            Some(&file) if !finished => self.fail(&goes_on_changing(&metainfo, file)),
            // Other changed files are given up with these.
            Some(_) => {
                let all = files.into_iter().map(|(file, _)| file).chain(given_up);
                let right = Bitfield::empty(pieces.len());
                let lost = Rechecked { files: all.map(|file| (file, false)).collect(), pieces, right };
                self.on_rechecked(Ok(lost), now, host);
            }
        }
    }

    /// Changed files were hashed again.
    pub(super) fn on_rechecked(&mut self, outcome: Result<Rechecked>, now: Moment, host: &mut impl Host) {
        let Rechecked { files, pieces, right } = match outcome {
            Ok(rechecked) => rechecked,
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Err(error) => return self.fail(&error),
        };
        let Stage::Open(active) = &mut self.stage else { return };
        active.settle_doubt(&pieces, &right, &mut self.swarm, &mut self.out);
        active.saving.dirty = true;
        active.saving.wanted_now();
        for &(index, gone) in &files {
            let Some((_, own)) = active.changes.files.get_mut(&index) else { continue };
            let own = std::mem::replace(own, Bitfield::empty(0));
            let lost = own.iter().filter(|&piece| !right.has(piece)).count() as u32;
            let what = EventKind::FileChanged { index, gone, lost, of: own.count(), again: !active.finished };
            self.out.tell(what);
        }
        if !active.changes.is_idle() {
            return;
        }
        if active.finished && active.picker.have().count() == 0 {
            let error = nothing_left(&active.metainfo, files.iter().all(|&(_, gone)| gone));
            self.fail(&error);
        } else if !active.finished && active.picker.is_finished() {
            self.finish(now, host);
        }
    }
}

impl Active {
    /// A connection was lost. Should it be for a bad piece that we sent, the file may show it.
    pub(super) fn look_for_changes(&mut self, now: Moment, out: &mut Actions) {
        if self.changes.looked.is_none_or(|looked| now >= looked + LOOK_EVERY) {
            self.changes.looked = Some(now);
            out.push(Action::LookForChanges { within: SENT_WITHIN });
        }
    }

    /// These pieces, which are there, are neither offered nor wanted from now on.
    fn doubt(&mut self, pieces: &Bitfield, swarm: &mut Swarm, out: &mut Actions) {
        for piece in pieces.iter() {
            self.changes.doubted.insert(piece);
            if self.wanted.has(piece) {
                self.verified_bytes -= u64::from(self.pieces.length(piece));
            }
            self.files_done.lost(&self.metainfo, piece);
        }
        self.picker.set_wanted(self.undoubted());
        pieces.iter().for_each(|piece| self.picker.lose(piece));
        if pieces.count() > MAX_CHANGES_TOLD {
            return swarm.dismiss_all(DisconnectReason::PiecesLost, out);
        }
        pieces.iter().for_each(|piece| out.push(Action::Lost(piece)));
        swarm.wake_all(out);
    }

    /// The doubted `pieces` that are `right` count again. The others are to be downloaded, or, if the torrent
    /// was complete, are no longer wanted.
    fn settle_doubt(&mut self, pieces: &Bitfield, right: &Bitfield, swarm: &mut Swarm, out: &mut Actions) {
        let many = right.count() > MAX_CHANGES_TOLD;
        let mut lost = Vec::new();
        for piece in pieces.iter() {
            if !self.changes.doubted.remove(piece) {
                continue;
            }
            let length = u64::from(self.pieces.length(piece));
            if right.has(piece) {
                self.picker.regain(piece);
                self.verified_bytes += if self.wanted.has(piece) { length } else { 0 };
                self.files_done.verified(&self.metainfo, piece, |_| {});
                if !many {
                    out.push(Action::Verified(piece));
                }
            } else if !self.finished {
                lost.push(piece);
            } else if self.wanted.remove(piece) {
                self.wanted_bytes -= length;
            }
        }
        self.picker.set_wanted(self.undoubted());
        if !lost.is_empty() {
            out.push(Action::Refetch(lost));
        }
        match many {
            true => swarm.dismiss_all(DisconnectReason::PiecesLost, out),
            false => swarm.wake_all(out),
        }
    }

    fn undoubted(&self) -> Bitfield {
        let mut wanted = self.wanted.clone();
        self.changes.doubted.iter().for_each(|piece| _ = wanted.remove(piece));
        wanted
    }
}

fn goes_on_changing(metainfo: &Metainfo, file: u32) -> Error {
    let path = metainfo.files().get(file as usize).map(|file| file.path()).unwrap_or_default();
    let path = path.to_string_lossy().replace(char::is_control, "?");
    let context = format!("{path} is changed again and again by another program; stop that and start again");
    Error::new(ErrorKind::FileIo, context)
}

fn nothing_left(metainfo: &Metainfo, gone: bool) -> Error {
    let (kind, what) = match gone {
        true => (ErrorKind::NotFound, "removed"),
        false => (ErrorKind::Checksum, "changed"),
    };
    let name = metainfo.name();
    let context = format!(
        "nothing of {name} is right any more: it was {what} while it was seeded; download it again, or put it back"
    );
    Error::new(kind, context)
}
