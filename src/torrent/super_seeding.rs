//! Which pieces a super-seed shows to which peer (BEP 16), and when it becomes an ordinary seed.

use std::sync::Arc;

use super::action::Action;
use super::rates::SPREAD_TICK;
use super::state::{Active, Torrent};
use crate::bitfield::Bitfield;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::{Order, OurPieces, Report};

impl Torrent {
    /// Shows to each peer what a super-seed is to show now.
    pub(super) fn show_pieces(&mut self, now: Moment) {
        let Some(active) = self.stage.active_mut() else { return };
        let Some(super_seed) = &mut active.super_seed else { return };
        let shows = super_seed.show(now);
        if !shows.is_empty() && super_seed.is_spreading(now) {
            active.next_tick = active.next_tick.into_iter().chain([now + SPREAD_TICK]).min();
        }
        // One order for all that a peer is shown: its queue is short.
        for shown in shows.chunk_by(|(one, _), (other, _)| one == other) {
            let Some(&(key, _)) = shown.first() else { continue };
            if self.swarm.connected.contains_key(&key) {
                let pieces = shown.iter().map(|(_, piece)| *piece).collect();
                self.out.push(Action::Order(key, Order::Show(pieces)));
            }
        }
        if super_seed.is_over() {
            self.end_super_seeding();
            if !self.setup.config.fast_first_copy {
                self.out.note("there is another seed; super-seeding ends".to_owned());
            }
        }
    }

    /// From now on every peer sees every piece.
    pub(super) fn end_super_seeding(&mut self) {
        let Some(active) = self.stage.active_mut() else { return };
        if active.super_seed.take().is_none() {
            return;
        }
        let all: Arc<[u32]> = active.picker.have().iter().collect();
        for &key in self.swarm.connected.keys() {
            self.out.push(Action::Order(key, Order::Show(all.clone())));
        }
    }
}

impl Active {
    /// The pieces that a connection is told are ours.
    pub(super) fn ours(&self) -> OurPieces {
        let have = match &self.super_seed {
            Some(_) => Bitfield::empty(self.pieces.count()),
            None => self.picker.have().clone(),
        };
        OurPieces { have, upload_only: self.finished && self.super_seed.is_none() }
    }

    /// Lets the super-seed know what a peer reports to have, or to want.
    pub(super) fn note_pieces(&mut self, key: PeerKey, report: &Report, now: Moment) {
        let Some(super_seed) = &mut self.super_seed else { return };
        match report {
            Report::Has(set) => super_seed.has(key, set, now),
            Report::Have(piece) => super_seed.gains(key, *piece, now),
            Report::Interested(interested) => super_seed.interested(key, *interested),
            _ => {}
        }
    }
}
