//! What is shown of a torrent: what it is doing and how far it is, its peers, files and pieces.
//!
//! Changes nothing but the notes that it shows. [`Torrent::show`] costs a pass over the connected peers, and no
//! allocation: it is called after every step.

use std::sync::Arc;

use super::host::Host;
use super::state::{Active, Stage, Step, Torrent};
use super::swarm::Peer;
use crate::config::Priority;
use crate::error::Error;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::snapshot::{Failure, FileSnapshot, PeerSnapshot, PeersBySource, Phase, PiecesSnapshot, Progress};
use crate::tracker::report::TrackerEvent;

impl Torrent {
    /// What it is doing.
    pub fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Stopping(_) | Stage::Ended(_) => Phase::Stopped,
            Stage::Failed(_) => Phase::Failed,
            Stage::Closing(closing) if closing.step == Step::Moving => Phase::Moving,
            Stage::Closing(_) => Phase::Checking,
            Stage::Waiting(_) | Stage::Checking(_) if self.reopening.is_some() => Phase::Checking,
            _ if self.paused => Phase::Paused,
            Stage::FetchingMetadata(_) => Phase::FetchingMetadata,
            _ if self.is_queued() => Phase::Queued,
            Stage::Waiting(_) | Stage::Checking(_) => Phase::Checking,
            Stage::Open(active) if active.trouble.is_some() => Phase::Stalled,
            Stage::Open(active) if active.finished => Phase::Seeding,
            Stage::Open(_) => Phase::Downloading,
        }
    }

    /// Renews what is shown of it; the byte counters are the driver's.
    pub fn show(&self, progress: &mut Progress, now: Moment) {
        progress.phase = self.phase();
        (progress.down_rate, progress.up_rate) = (self.down.rate(), self.up.rate());
        progress.peers = self.swarm.count();
        (progress.unchoked, progress.sending, progress.receiving) = (0, 0, 0);
        progress.sources = PeersBySource::default();
        for peer in self.swarm.connected.values() {
            progress.unchoked += u32::from(!peer.choking);
            progress.sending += u32::from(peer.down.rate() > 0);
            progress.receiving += u32::from(peer.up.rate() > 0);
            progress.sources.count(peer.source);
        }
        progress.corrupt = self.corrupt;
        progress.error.clone_from(&self.error);
        progress.tracker_error.clone_from(&self.tracker_error);
        progress.tracker_warning.clone_from(&self.tracker_warning);
        let counts = self.swarm.peers.counts();
        (progress.known, progress.blocked) = (counts.known, counts.blocked);
        if let Stage::FetchingMetadata(fetching) = &self.stage {
            return fetching.show(progress);
        }
        let Some(active) = self.stage.active() else { return };
        let picker = &active.picker;
        progress.pieces = picker.have().count();
        progress.wanted = active.wanted_bytes;
        progress.verified = active.verified_bytes;
        progress.seeds = picker.seeds();
        progress.saved = active.saving.is_saved();
        (progress.uploaded_before, progress.downloaded_before) = active.saving.before;
        progress.unchecked = active.unchecked;
        let running = now - active.started;
        if active.finished {
            progress.seeding_for = running.saturating_sub(progress.elapsed);
        } else {
            progress.elapsed = running;
        }
    }

    /// When payload was last seen to move.
    pub fn moved(&self) -> Option<Moment> {
        self.moved
    }

    /// Remembers what trackers said last.
    pub(super) fn note_tracker(&mut self, event: &TrackerEvent) {
        match event {
            TrackerEvent::Answered { warning, .. } => {
                self.tracker_error = None;
                self.tracker_warning = warning.as_deref().map(Arc::from);
            }
            TrackerEvent::Failed { why, .. } => self.tracker_error = Some(why.as_str().into()),
            TrackerEvent::Peers(_) | TrackerEvent::Silent { .. } | TrackerEvent::ExternalIp(_) => {}
        }
    }

    /// The connected peers, but for those that were told to go.
    pub fn peers(&self, host: &impl Host) -> Vec<PeerSnapshot> {
        let active = self.stage.active();
        let snapshot = |(&key, peer): (&PeerKey, &Peer)| PeerSnapshot {
            addr: peer.addr,
            id: peer.id,
            client: peer.client.clone(),
            incoming: peer.incoming,
            source: peer.source,
            encryption: peer.encryption,
            pieces: active.map_or(0, |active| active.picker.held_by(key)),
            down_rate: peer.down.rate(),
            up_rate: peer.up.rate(),
            downloaded: host.transferred_with(key).received,
            uploaded: host.transferred_with(key).sent,
            interested: peer.interested,
            choking: peer.choking,
            interesting: peer.wanted,
            choked: peer.choked,
            snubbed: peer.snubbed,
            optimistic: active.is_some_and(|active| active.choker.is_optimistic(key)),
            upload_only: peer.upload_only,
        };
        let staying = self.swarm.connected.iter().filter(|(_, peer)| peer.leaving.is_none());
        staying.map(snapshot).collect()
    }

    /// Its pieces, once the data was checked.
    pub fn pieces(&self) -> Option<PiecesSnapshot> {
        self.stage.active().map(Active::pieces)
    }

    /// Its files, once the data was checked.
    pub fn files(&self) -> Option<Vec<FileSnapshot>> {
        let active = self.stage.active()?;
        let (pieces, have) = (active.pieces, active.picker.have());
        let config = &self.setup.config;
        let selected = config.selected(active.metainfo.files().len());
        let mut priorities = vec![Priority::Normal; active.metainfo.files().len()];
        for &(index, priority) in &config.file_priorities {
            priorities.get_mut(index as usize).into_iter().for_each(|of_file| *of_file = priority);
        }
        let snapshot = |(index, file): (u32, crate::metainfo::File<'_>)| {
            let range = file.offset..file.offset + file.length;
            let covering = pieces.covering(range.clone()).filter(|piece| have.has(*piece));
            let bytes = |piece| {
                let piece = pieces.range(piece);
                piece.end.min(range.end).saturating_sub(piece.start.max(range.start))
            };
            FileSnapshot {
                length: file.length,
                completed: covering.map(bytes).sum(),
                wanted: selected.as_ref().is_none_or(|selected| selected.has(index)),
                priority: priorities.get(index as usize).copied().unwrap_or_default(),
            }
        };
        Some((0..).zip(active.metainfo.files().iter()).map(snapshot).collect())
    }
}

impl Active {
    fn pieces(&self) -> PiecesSnapshot {
        let (picker, count) = (&self.picker, self.pieces.count());
        let at_hand = |piece: &u32| !picker.have().has(*piece) && picker.availability(*piece) > 0;
        PiecesSnapshot {
            count,
            have: picker.have().as_bytes().to_vec(),
            availability: (0..count).map(|piece| picker.availability(piece)).collect(),
            desired_available: self.pieces.bytes_of(self.wanted.iter().filter(at_hand)),
        }
    }
}

/// As it is shown.
pub(super) fn failure(error: &Error) -> Failure {
    Failure { kind: error.kind(), why: error.to_string().into() }
}
