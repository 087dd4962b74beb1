//! Files that another program changes under a node: the looks at them, and the hashing again, as the
//! engine's threads do both. Whether a file has changed the real watch says.

use std::time::Duration;

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::moment::Moment;
use bitwren::internals::pieces::BlockRef;
use bitwren::internals::storage::state::Stamp;
use bitwren::internals::storage::watch::Known;
use bitwren::internals::torrent::{ChangedFile, Input, Rechecked};
use bitwren::{Error, ErrorKind};

use super::net::{Event, Net};
use super::node::{Common, Life, Message, Node};

/// What each file looked like; nothing where it was not there.
type Stamps = Vec<(u32, Option<Stamp>)>;

/// Changed files that are hashed again.
pub struct Recheck {
    /// The files, and whether all of each was verified.
    files: Vec<(u32, bool)>,
    pieces: Bitfield,
    /// Once it has begun: what each file looked like, and the pieces that were right then.
    begun: Option<(Stamps, Bitfield)>,
}

impl Node {
    /// Looks at the files that were sent from since then, or at all.
    pub fn look(&mut self, since: Option<Moment>, net: &mut Net) {
        let changed = self.disk.changed_since(since);
        if !changed.is_empty() {
            net.tell(|| format!("node {}: files {changed:?} were changed", self.plan.name));
            self.send(Message::FilesChanged(changed), net);
        }
    }

    pub fn looks(&mut self, since: Moment, net: &mut Net) {
        self.look(Some(since), net);
    }

    /// The file of a block that is about to be sent, where another program changed it.
    pub fn changed_at(&self, block: BlockRef, now: Moment) -> Option<u32> {
        self.files_of(block).into_iter().find(|&file| self.disk.has_changed(file, now))
    }

    /// The file in which a block could not be read because it is not there.
    pub fn lacking_at(&self, block: BlockRef, error: &Error) -> Option<u32> {
        let lacking = self.files_of(block).into_iter().find(|_| error.kind() == ErrorKind::NotFound)?;
        self.disk.state().watch.lacks(lacking);
        Some(lacking)
    }

    fn files_of(&self, block: BlockRef) -> Vec<u32> {
        let start = self.disk.offset(block.piece) + block.begin as usize;
        self.disk.files_at(start..start + block.length as usize)
    }

    /// Wrong bytes go out, of a file that was not looked at since another program changed it: whoever gets
    /// them may well ban us.
    pub fn sends_wrong(&self, block: BlockRef, now: Moment, common: &Common) {
        assert!(self.disk.state().changes > 0, "it serves wrong bytes");
        let files = self.files_of(block);
        let seen = files.iter().all(|&file| self.disk.is_seen(file));
        assert!(!seen, "{block:?} is served from files that were seen to be changed");
        let overdue = files.iter().all(|&file| self.disk.is_look_overdue(file, now));
        assert!(!overdue, "{block:?} is served from files that were not looked at since they were changed");
        common.honest[self.at].set(false);
    }

    /// The torrent is told of files that were found changed, but for those that are hashed again already.
    pub fn files_changed(&mut self, files: Vec<u32>, common: &Common, net: &mut Net) {
        let Some(life) = &self.life else { return };
        let is_news = |file: &u32| {
            !life.rechecking.contains(file) && self.disk.state().watch.state(*file) == Known::Changed
        };
        let of = |file| ChangedFile { file, pieces: self.disk.pieces_of(file) };
        let changed: Vec<ChangedFile> = files.into_iter().filter(is_news).map(of).collect();
        if !changed.is_empty() {
            self.handle(Input::FilesChanged(changed), None, common, net);
        }
    }

    /// Files are to be hashed again, after those that came before.
    pub fn begin_recheck(&mut self, files: Vec<(u32, bool)>, pieces: Bitfield, net: &mut Net) {
        let who = self.who();
        let Some(life) = &mut self.life else { return };
        life.rechecking.extend(files.iter().map(|(file, _)| file));
        life.rechecks.push_back(Recheck { files, pieces, begun: None });
        if life.rechecks.len() == 1 {
            let within = Duration::from_micros(20 + net.dice.below(50_000));
            net.after(within, Event::Recheck(who));
        }
    }

    /// The hashing of the first of them begins, or ends: a piece counts as it was at either time.
    pub fn recheck(&mut self, net: &mut Net) {
        let who = self.who();
        let right = |pieces: &Bitfield| {
            let mut right = Bitfield::empty(pieces.len());
            pieces
                .iter()
                .filter(|&piece| self.disk.is_right(piece))
                .for_each(|piece| _ = right.insert(piece));
            right
        };
        let Some(Life { rechecks, ledger, .. }) = self.life.as_deref_mut() else { return };
        let Some(first) = rechecks.front_mut() else { return };
        let Some((stamps, before)) = first.begun.take() else {
            let look = |&(file, whole): &(u32, bool)| (file, self.disk.look_anew(file, whole));
            first.begun = Some((first.files.iter().map(look).collect(), right(&first.pieces)));
            let takes = Duration::from_micros(20 + net.dice.below(600_000));
            return net.after(takes, Event::Recheck(who));
        };
        let (after, pieces) = (right(&first.pieces), first.pieces.clone());
        let mut found = Bitfield::empty(pieces.len());
        for piece in pieces.iter() {
            let then = if net.dice.below(2) == 0 { &before } else { &after };
            if then.has(piece) {
                found.insert(piece);
                ledger.prove(piece);
                self.disk.state().verified.insert(piece);
            }
            if after.has(piece) {
                self.disk.state().changed.remove(piece);
            }
        }
        let state = self.disk.state();
        for (file, stamp) in &stamps {
            stamp.iter().for_each(|stamp| state.watch.rehashed(*file, stamp));
            let whole = first.files.contains(&(*file, true)) && stamp.is_some();
            let known = !whole || state.watch.state(*file) != Known::Nothing;
            assert!(known, "file {file} was hashed again, and no look at it will show another change");
        }
        drop(state);
        rechecks.pop_front();
        if !rechecks.is_empty() {
            net.after(Duration::from_micros(20), Event::Recheck(who));
        }
        let files = stamps.iter().map(|(file, stamp)| (*file, stamp.is_none())).collect();
        self.send(Message::Rechecked(Rechecked { files, pieces, right: found }), net);
    }

    /// The torrent is told what came of it, and of what was changed again meanwhile.
    pub fn rechecked(&mut self, rechecked: Rechecked, common: &Common, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        net.tell(|| format!("node {}: hashed again: {rechecked:?}", self.plan.name));
        rechecked.files.iter().for_each(|(file, _)| _ = life.rechecking.remove(file));
        self.handle(Input::Rechecked(Box::new(Ok(rechecked))), None, common, net);
        self.files_changed((0..common.metainfo.files().len() as u32).collect(), common, net);
    }
}
