//! What connected peers do: reports turned into decisions, work handed out, verdicts booked.

use super::{Foreman, admission::Peer};
use crate::engine::runtime::counters::Counters;
use crate::event::EventKind;
use crate::job::{PeerKey, Verdict};
use crate::moment::Moment;
use crate::orders::{Order, Report};
use crate::storage::hole_check;
use crate::violation::{DisconnectReason, Violation};

impl Foreman {
    /// A worker reports.
    pub(super) fn on_report(&mut self, key: PeerKey, report: Report) {
        let finished = self.finished;
        let now = self.now();
        let Some(active) = &mut self.active else { return };
        active.note_pieces(key, &report, now);
        let Some(peer) = active.connected.get_mut(&key) else { return };
        let picker = &mut active.picker;
        match report {
            Report::Has(set) => picker.has(key, set),
            Report::Have(piece) => picker.gains(key, piece),
            Report::Lost(piece) => picker.loses(key, piece),
            Report::Introduced(handshake) => return self.on_introduced(key, *handshake),
            Report::Exchanged(exchange) => return self.on_exchanged(key, &exchange),
            Report::WantsBlocks(blocks) => picker.hungry(key, blocks),
            Report::Returned(lease) => picker.returned(key, lease),
            Report::Snubbed(snubbed) => {
                peer.snubbed = snubbed;
                picker.snubbed(key, snubbed);
            }
            Report::AllowedFast(piece) => picker.allowed_fast(key, piece),
            Report::Suggested(piece) => picker.suggested(key, piece),
            Report::Choking(choking) => {
                peer.choking = choking;
                picker.choking(key, choking);
            }
            Report::Interested(interested) => {
                peer.interested = interested;
                active.rethink = true;
            }
            Report::Violation(misdeed) => peer.order(Order::Close(DisconnectReason::Violation(misdeed))),
        }
        let wanted = active.picker.interesting(key);
        if wanted && !peer.wanted {
            peer.wanted = true;
            peer.order(Order::Interested(true));
        }
        if finished && (peer.upload_only || active.picker.is_seed(key)) {
            peer.order(Order::Close(DisconnectReason::BothSeeds));
        }
    }

    /// Hands out what can be handed out now.
    pub(super) fn feed(&mut self) {
        let Some(active) = &mut self.active else { return };
        for (key, job) in active.picker.feed() {
            // A worker that is gone reports so, and its leases return with it.
            if let Some(peer) = active.connected.get_mut(&key) {
                peer.order(Order::Take(job));
            }
        }
        active.drop_deaf();
    }

    /// A piece is complete, for better or worse.
    pub(super) fn on_verdict(&mut self, verdict: &Verdict) {
        let Some(active) = &mut self.active else { return };
        let blame = active.picker.verdict(verdict);
        if !verdict.good {
            let bytes = u64::from(active.shared.pieces.length(verdict.piece));
            Counters::add(&self.counters.wasted, bytes);
            for culprit in blame.culprits {
                if let Some(peer) = active.connected.get_mut(&culprit) {
                    peer.order(Order::Close(DisconnectReason::Violation(Violation::CorruptPiece)));
                }
            }
            let contributors = verdict.contributors.len() as u32;
            return self.tell(EventKind::PieceFailed { index: verdict.piece, contributors });
        }
        active.shared.journal.append(verdict.piece);
        if active.wanted.has(verdict.piece) {
            active.verified_bytes += u64::from(active.shared.pieces.length(verdict.piece));
        }
        active.saving.dirty = true;
        // Those who have everything hear of it when there is something else to say, or once a second.
        let picker = &active.picker;
        for (_, peer) in active.connected.iter_mut().filter(|(key, _)| !picker.is_seed(**key)) {
            nudge(peer);
        }
        let mut whole = Vec::new();
        active.files_done.verified(&active.shared.metainfo, verdict.piece, |file| whole.push(file));
        let finished = active.picker.is_finished();
        self.tell(EventKind::Piece { index: verdict.piece });
        whole.into_iter().for_each(|index| self.tell(EventKind::FileDone { index }));
        if finished && !self.finished {
            self.finish();
        }
    }

    /// Everything wanted is there.
    fn finish(&mut self) {
        let now = self.now();
        let Some(active) = &mut self.active else { return };
        // What another program took away takes verified bytes with it: better to know now.
        if let Err(error) = hole_check::check(&active.shared.files, active.picker.have()) {
            return self.fail(&error);
        }
        self.finished = true;
        active.shared.files.settle();
        // A program that ends now needs no state, and syncing everything would only delay it.
        if self.setup.config.seed {
            active.saving.wanted_now();
        }
        self.next_tick = Some(now);
        let took = now - active.started;
        self.standing.set_left(active.left());
        active.peers.seeding(true);
        active.tell_upload_only();
        if let Some(announcer) = active.announcer.as_ref().filter(|_| active.picker.have().is_full()) {
            announcer.completed();
        }
        self.show(now);
        self.tell(EventKind::Finished { took });
    }

    /// Renews the snapshot that others see.
    pub(super) fn show(&mut self, now: Moment) {
        let phase = self.phase();
        let finished = self.finished;
        let Some(active) = &self.active else {
            return self.standing.renew(|progress| progress.phase = phase);
        };
        self.standing.set_left(active.left());
        self.standing.renew(|progress| {
            let picker = &active.picker;
            progress.phase = phase;
            progress.pieces = picker.have().count();
            progress.wanted = active.wanted_bytes;
            progress.verified = active.verified_bytes;
            progress.peers = active.connected.len() as u32;
            progress.seeds = picker.seeds();
            progress.unchoked = active.connected.values().filter(|peer| !peer.choking).count() as u32;
            progress.known = active.peers.counts().known;
            progress.saved = active.saving.is_saved();
            progress.uploaded_before = active.saving.sent_before();
            let running = now - active.started;
            if finished {
                progress.seeding_for = running.saturating_sub(progress.elapsed);
            } else {
                progress.elapsed = running;
            }
        });
    }
}

impl super::Active {
    /// Bytes of the whole torrent that are not there.
    pub(super) fn left(&self) -> u64 {
        let (pieces, have) = (self.shared.pieces, self.picker.have());
        let last = pieces.count().saturating_sub(1);
        let short = if have.has(last) { u64::from(pieces.piece_length() - pieces.length(last)) } else { 0 };
        pieces.total() - (u64::from(have.count()) * u64::from(pieces.piece_length()) - short)
    }
}

/// Wakes a worker to read the journal; one that has orders waiting is about to be awake anyway.
pub(super) fn nudge(peer: &mut Peer) {
    if peer.orders.is_empty() {
        peer.order(Order::HaveLog);
    }
}
