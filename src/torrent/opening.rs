//! The data was checked: what there is, which peers are known and what is lacking, and the torrent opens.

use std::time::Duration;

use super::action::Action;
use super::admission::FIRST_TICK;
use super::doubts::Doubts;
use super::files_done::FilesDone;
use super::host::Host;
use super::input::Opened;
use super::priorities;
use super::save_schedule::Saving;
use super::state::{Active, Reopening, Stage, Torrent};
use crate::bitfield::Bitfield;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::pieces::Pieces;
use crate::random::Random;
use crate::swarm::choker::Choker;
use crate::swarm::picker::Picker;
use crate::swarm::superseed::{Manner, SuperSeed};

impl Torrent {
    /// The data was checked: the torrent opens.
    pub(super) fn on_checked(&mut self, outcome: Result<Opened>, now: Moment, host: &mut impl Host) {
        let Stage::Checking(early) = &self.stage else { return };
        let metainfo = early.metainfo.clone();
        let reopening = self.reopening.take().unwrap_or_default();
        let mut opened = match outcome {
            Ok(opened) => opened,
            Err(error) => {
                self.fail(&error);
                return self.make_changes(now);
            }
        };
        std::mem::take(&mut opened.notes).into_iter().for_each(|what| self.out.note(what));
        let renamed = std::mem::take(&mut opened.renamed);
        renamed.into_iter().for_each(|renamed| self.on_stored_as(renamed));
        let of = metainfo.pieces().count();
        self.out.tell(EventKind::Checked { have: opened.have.count(), of });
        let config = &self.setup.config;
        if config.seed_only && !opened.is_complete() {
            if !config.partial || opened.have.count() == 0 {
                self.fail(&nothing_to_seed(&metainfo, &opened.have));
                return self.make_changes(now);
            }
            // Nothing but the existing pieces is wanted.
            opened.wanted = opened.have.clone();
        }
        let was_finished = reopening.finished;
        self.open(opened, reopening, now, host);
        match self.stage.is_finished() {
            // What was told once is not news.
            true if was_finished => {}
            true => self.out.tell(EventKind::Finished { took: Duration::ZERO }),
            false => self.out.tell(EventKind::Started),
        }
        // One that seeds may have to wait for that.
        self.settle_slot(now, host);
        self.work(now);
        if !self.swarm.connected.is_empty() {
            self.look_at(now + FIRST_TICK);
        }
        self.teach();
        self.make_changes(now);
    }

    /// Connections from before learn of the pieces.
    fn teach(&mut self) {
        let Some(active) = self.stage.active() else { return };
        let ours = active.ours();
        for (&key, _) in self.swarm.connected.iter().filter(|(_, peer)| peer.leaving.is_none()) {
            self.out.push(Action::Learn { key, ours: ours.clone() });
        }
    }

    fn open(&mut self, opened: Opened, reopening: Reopening, now: Moment, host: &mut impl Host) {
        let Stage::Checking(early) = std::mem::replace(&mut self.stage, Stage::Ended(None)) else { return };
        let metainfo = early.metainfo.clone();
        let pieces = metainfo.pieces();
        // A state that this session saved counts its bytes already.
        let before = reopening.before.unwrap_or((opened.uploaded, opened.downloaded));
        let mut saving = Saving::new(opened.keeps_state, before, self.setup.save_every);
        if opened.proved && self.setup.config.seed {
            // The next start is to be spared the hashing, which may have taken hours.
            saving.dirty = true;
            saving.wanted_now();
        }
        let files_done = FilesDone::new(&metainfo, &opened.have);
        let there = opened.wanted.iter().filter(|piece| opened.have.has(*piece));
        let verified_bytes = pieces.bytes_of(there);
        let mut picker = Picker::new(
            pieces,
            opened.have,
            opened.wanted.clone(),
            self.setup.config.sequential,
            Random::seeded(self.random.next_u64()),
        );
        picker.set_priorities(priorities::of_pieces(&metainfo, &self.setup.config));
        let finished = picker.is_finished();
        if !finished {
            self.out.push(Action::ExpectBlocks(picker.have().clone()));
        }
        let max_peers = self.setup.config.max_peers;
        let max_connections = host.take_memory(pieces.count(), max_peers);
        if max_connections < max_peers.min(self.setup.max_connections) / 2 {
            self.out.note(format!(
                "at most {max_connections} connections, because {} pieces take most of the memory that the client may \
                 use",
                pieces.count()
            ));
        }
        let slots = self.setup.config.upload_slots.map(|slots| slots as usize);
        self.stage = Stage::Open(Box::new(Active {
            metainfo,
            pieces,
            super_seed: self.super_seed(pieces, picker.have()),
            picker,
            choker: Choker::new(slots, pieces.piece_length()),
            rethink: !self.swarm.connected.is_empty(),
            files_done,
            changes: Doubts::new(pieces.count()),
            saving,
            trouble: None,
            finished,
            holds_every_file: opened.holds_every_file,
            has_chosen_names: opened.has_chosen_names,
            started: reopening.started.unwrap_or(now),
            next_tick: None,
            counted: if reopening.started.is_some() { host.transferred().sent } else { 0 },
            counted_at: now,
            wanted_bytes: pieces.bytes_of(opened.wanted.iter()),
            verified_bytes,
            unchecked: 0,
            wanted: opened.wanted,
        }));
        self.swarm.peers.keep_for(max_connections);
        self.swarm.peers.forget_failures(now);
        self.swarm.peers.seeding(finished);
        self.swarm.limit(max_connections, &mut self.out);
        self.meet(now);
    }

    /// The peers that are connected already may be asked for pieces, and looked at soon.
    fn meet(&mut self, now: Moment) {
        let Some(active) = self.stage.active_mut() else { return };
        self.swarm.measured = now;
        for (&key, peer) in self.swarm.connected.iter_mut() {
            active.enters(key, now);
            peer.measure_from(now);
            if !peer.choking {
                active.picker.choking(key, false);
            }
        }
    }

    /// What hides from peers that everything is here, where that is asked for.
    pub(super) fn super_seed(&mut self, pieces: Pieces, have: &Bitfield) -> Option<SuperSeed> {
        let config = &self.setup.config;
        let manner = if config.fast_first_copy { Manner::Spread } else { Manner::Thrift };
        let hides = (config.super_seed || config.fast_first_copy) && have.is_full();
        hides.then(|| SuperSeed::new(pieces, manner, &mut self.random))
    }
}

fn nothing_to_seed(metainfo: &Metainfo, have: &Bitfield) -> Error {
    let (of, name) = (metainfo.pieces().count(), metainfo.name());
    let lacking = of - have.count();
    let partial = if have.count() > 0 { ", or seed what is there with --partial" } else { "" };
    let context = format!(
        "{lacking} of {of} pieces of {name} are not there; download them first, or give the directory that has \
         them{partial}"
    );
    Error::new(ErrorKind::Checksum, context)
}
