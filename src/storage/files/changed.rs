//! Changes among the files: which of them another program changed since they were known to be right.
//!
//! A look costs one call of the system, and is taken when a block of the file is about to be sent and the
//! last look is a while ago, or when a state is saved. Nothing here waits, or writes.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::Files;
use crate::bitfield::Bitfield;
use crate::error::Result;
use crate::moment::Moment;
use crate::storage::layout::Place;
use crate::storage::state::Stamp;
use crate::storage::watch::Known;

impl Files {
    /// Whether a file, of which a block is about to be sent, has changed since it was known to be right.
    /// Looks at it where the last look is a while ago.
    pub fn has_changed(&self, index: u32, file: &File, now: Moment) -> bool {
        let before = self.watch.before(index);
        match self.watch.state(index) {
            Known::Nothing => false,
            Known::Changed | Known::Rehashed => true,
            // What cannot be looked at can hardly be read, which tells more.
            Known::Looks => {
                self.watch.is_due(index, now)
                    && file.metadata().is_ok_and(|found| {
                        // One that was removed, or replaced, is open still. Another thread may have found it first.
                        self.watch.differs(index, before, (found.nlink() > 0).then(|| Stamp::from(&found)))
                            || self.watch.state(index) == Known::Changed
                    })
            }
        }
    }

    /// The file that was found to be missing, or too short, where the byte at `offset` of the torrent
    /// should be; it counts as changed from now on.
    pub fn found_lacking(&self, offset: u64) -> Option<u32> {
        let segment = self.layout().segments(offset, 1).next()?;
        match segment.place {
            Place::Pad => None,
            Place::Part => Some(self.part()),
            Place::File => {
                self.watch.lacks(segment.file);
                Some(segment.file)
            }
        }
    }

    /// Whether a file was found changed and is not being hashed again. For the part file that is not known,
    /// and true is assumed.
    pub fn counts_as_changed(&self, index: u32) -> bool {
        index == self.part() || self.watch.state(index) == Known::Changed
    }

    /// All the files that count as changed.
    pub fn count_as_changed(&self) -> Vec<u32> {
        (0..self.part()).filter(|&index| self.watch.state(index) == Known::Changed).collect()
    }

    /// The files that are not what they were, of those that were sent from since `since`, or of all.
    pub fn changed(&self, since: Option<Moment>) -> Vec<u32> {
        let known = |index: &u32| self.watch.state(*index) == Known::Looks;
        let sent = |index: &u32| since.is_none_or(|since| self.watch.looked_at(*index, since));
        let files = (0..self.part()).filter(known).filter(sent);
        // A file that cannot be looked at is not reported.
        let differs = |&index: &u32| {
            let before = self.watch.before(index);
            self.stat(index)
                .is_ok_and(|found| self.watch.differs(index, before, found.as_ref().map(Stamp::from)))
        };
        files.filter(differs).collect()
    }

    /// The pieces that reach into a file, or into the part file.
    pub fn pieces_of(&self, index: u32) -> Bitfield {
        let (layout, pieces) = (self.layout(), self.layout().metainfo().pieces());
        let mut touched = Bitfield::empty(pieces.count());
        let is_part = index == self.part();
        let files = layout
            .files()
            .iter()
            .zip(0..)
            .filter(|&(_, file)| if is_part { layout.place(file) == Place::Part } else { file == index });
        for piece in files.flat_map(|(file, _)| pieces.covering(file.offset..file.offset + file.length)) {
            touched.insert(piece);
        }
        touched
    }

    /// The stamp of a file; none if it does not exist. To be called before it is hashed again. If it is
    /// `whole`, so that we write nothing to it meanwhile, no block of it is sent until [`Files::rehashed`].
    ///
    /// # Errors
    /// [`ErrorKind::FileOpen`] if it cannot be looked at.
    pub fn look_anew(&self, index: u32, whole: bool) -> Result<Option<Stamp>> {
        // The open descriptor may belong to another file by now.
        self.close();
        let stamp = self.stat(index)?.as_ref().map(Stamp::from);
        match stamp.is_some() && whole {
            true => self.watch.rehash(index),
            false => self.watch.give_up(index),
        }
        Ok(stamp)
    }

    /// A file was hashed again. Its expected stamp from now on is the one from before.
    pub fn rehashed(&self, index: u32, stamp: Option<&Stamp>) {
        stamp.into_iter().for_each(|stamp| self.watch.rehashed(index, stamp));
    }

    /// A file is whole, was synced or looked at, and looks like this.
    pub(in crate::storage) fn know_whole(&self, index: u32, stamp: &Stamp, verified: &Bitfield) {
        let (layout, pieces) = (self.layout(), self.layout().metainfo().pieces());
        let Some(file) = layout.files().get(index as usize) else { return };
        if pieces.covering(file.offset..file.offset + file.length).all(|piece| verified.has(piece)) {
            self.watch.know(index, stamp);
        }
    }
}

#[cfg(test)]
mod tests;
