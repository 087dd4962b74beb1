//! The data was checked: what there is, who is known and what is lacking, and the torrent opens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::closing::Saving;
use super::files_done::FilesDone;
use super::{Active, Foreman};
use crate::bitfield::Bitfield;
use crate::engine::calls::Calls;
use crate::engine::context::TorrentShared;
use crate::engine::disk::checker;
use crate::engine::disk::writer::ToDisk;
use crate::engine::runtime::ledger::Share;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::moment::Moment;
use crate::pieces::Pieces;
use crate::random::Random;
use crate::storage::assembly::Assembly;
use crate::storage::files::Files;
use crate::swarm::choker::Choker;
use crate::swarm::peers::PeerList;
use crate::swarm::pex::Exchange;
use crate::swarm::picker::Picker;
use crate::swarm::superseed::{Manner, SuperSeed};

/// How long an address is not called whose connection is to come over from the magnet link.
const COMES_OVER: Duration = Duration::from_secs(5);

impl Foreman {
    /// The data was checked: the torrent opens.
    pub(super) fn on_checked(&mut self, outcome: Result<checker::Outcome>) {
        self.check = None;
        let mut outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return self.fail(&error),
        };
        for what in outcome.notes.iter().cloned() {
            self.tell(EventKind::Note { what });
        }
        outcome.files.take_renamed().into_iter().for_each(|renamed| self.on_stored_as(renamed));
        let of = self.metainfo.pieces().count();
        self.tell(EventKind::Checked { have: outcome.have.count(), of });
        let config = &self.setup.config;
        if config.seed_only && !outcome.is_complete() {
            if !config.partial || outcome.have.count() == 0 {
                return self.fail(&self.nothing_to_seed(&outcome.have));
            }
            // What is there is all that is wanted.
            outcome.wanted = outcome.have.clone();
        }
        self.open(outcome);
        if self.finished {
            self.tell(EventKind::Finished { took: Duration::ZERO });
        } else {
            self.tell(EventKind::Started);
        }
        self.work();
    }

    fn nothing_to_seed(&self, have: &Bitfield) -> Error {
        let (of, name) = (self.metainfo.pieces().count(), self.metainfo.name());
        let lacking = of - have.count();
        let partial = if have.count() > 0 { ", or seed what is there with --partial" } else { "" };
        let context = format!(
            "{lacking} of {of} pieces of {name} are not there; download them first, or give the directory that has \
             them{partial}"
        );
        Error::new(ErrorKind::Checksum, context)
    }

    fn open(&mut self, outcome: checker::Outcome) {
        let now = self.now();
        let pieces = self.metainfo.pieces();
        let mut saving =
            Saving::new(outcome.resume, (outcome.uploaded, outcome.downloaded), self.setup.save_every);
        if outcome.proved && self.setup.config.seed {
            // The next start is to be spared the hashing, which may have taken hours.
            saving.dirty = true;
            saving.wanted_now();
        }
        let files_done = FilesDone::new(&self.metainfo, &outcome.have);
        let there = outcome.wanted.iter().filter(|piece| outcome.have.has(*piece));
        let verified_bytes = bytes_of(&pieces, there);
        let picker = Picker::new(
            pieces,
            outcome.have,
            outcome.wanted.clone(),
            self.setup.config.sequential,
            Random::seeded(self.random.next_u64()),
        );
        self.finished = picker.is_finished();
        if !self.finished {
            self.open_disk(outcome.files.clone(), picker.have());
        }
        let share = Share::take(&self.setup.client, pieces.count(), self.setup.config.max_peers);
        let usual = self.setup.config.max_peers.min(self.setup.client.budget.connections);
        if share.connections < usual / 2 {
            let what = format!(
                "at most {} connections, because {} pieces take most of the memory that the client may use",
                share.connections,
                pieces.count()
            );
            self.tell(EventKind::Note { what });
        }
        let exchanges = self.setup.client.pex && !self.metainfo.is_private();
        let slots = self.setup.config.upload_slots.map(|slots| slots as usize);
        self.active = Some(Active {
            shared: self.share(outcome.files),
            peers: self.known_peers(share.connections, now),
            super_seed: self.super_seed(picker.have()),
            picker,
            choker: Choker::new(slots, pieces.piece_length()),
            rethink: false,
            connected: HashMap::new(),
            exchange: exchanges.then(Exchange::new),
            calls: Calls::new(share.connections, now),
            share,
            announcer: None,
            files_done,
            saving,
            started: now,
            measured: now,
            counted: 0,
            counted_at: now,
            wanted_bytes: bytes_of(&pieces, outcome.wanted.iter()),
            verified_bytes,
            wanted: outcome.wanted,
        });
    }

    /// What every thread of the torrent needs.
    fn share(&self, files: Arc<Files>) -> Arc<TorrentShared> {
        Arc::new(TorrentShared {
            client: self.setup.client.clone(),
            key: self.setup.key,
            metainfo: self.metainfo.clone(),
            pieces: self.metainfo.pieces(),
            files,
            foreman: self.sender.clone(),
            counters: self.counters.clone(),
            journal: Default::default(),
            down: self.down.clone(),
            up: self.up.clone(),
        })
    }

    /// The disk thread is to expect blocks.
    fn open_disk(&self, files: Arc<Files>, have: &Bitfield) {
        let assembly = Box::new(Assembly::new(files, have.clone()));
        // It outlives every foreman.
        let _ = self.setup.client.disk.send(ToDisk::Open(self.setup.key, assembly, self.sender.clone()));
    }

    /// Everybody who was heard of, or dealt with, before.
    fn known_peers(&mut self, connections: u32, now: Moment) -> PeerList {
        let (private, random) = (self.metainfo.is_private(), Random::seeded(self.random.next_u64()));
        let peers = match self.handed.take() {
            Some(handed) => handed.of_torrent(private, now),
            None => PeerList::new(private, random),
        };
        let mut peers = peers.for_connections(connections);
        for (source, addr) in self.early.drain(..) {
            peers.add(addr, source, now);
        }
        for addr in self.parked.iter().flat_map(|(addrs, _)| addrs) {
            peers.put_off(*addr, now + COMES_OVER);
        }
        peers.seeding(self.finished);
        peers
    }

    /// What hides from peers that everything is here, where that is asked for.
    fn super_seed(&mut self, have: &Bitfield) -> Option<SuperSeed> {
        let config = &self.setup.config;
        let manner = if config.fast_first_copy { Manner::Spread } else { Manner::Thrift };
        let hides = (config.super_seed || config.fast_first_copy) && have.is_full();
        hides.then(|| SuperSeed::new(self.metainfo.pieces(), manner, &mut self.random))
    }
}

/// Bytes in these pieces together.
fn bytes_of(pieces: &Pieces, indices: impl Iterator<Item = u32>) -> u64 {
    indices.map(|piece| u64::from(pieces.length(piece))).sum()
}
