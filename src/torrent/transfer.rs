//! What connected peers do: reports turned into decisions, work handed out, verdicts booked.

use super::action::{Action, Actions};
use super::host::Host;
use super::state::{Stage, Torrent};
use super::swarm::Swarm;
use crate::event::EventKind;
use crate::job::{PeerKey, Verdict};
use crate::moment::Moment;
use crate::orders::{Order, Report};
use crate::violation::{DisconnectReason, Violation};

impl Torrent {
    /// A connection reports.
    pub(super) fn on_report(&mut self, key: PeerKey, report: Report, now: Moment, host: &mut impl Host) {
        let Some(peer) = self.swarm.connected.get_mut(&key) else { return };
        // What holds whether the pieces are known or not.
        match report {
            Report::ExtensionHandshake(handshake) => {
                return self.on_extension_handshake(key, *handshake, now, host);
            }
            Report::Exchanged(exchange) => return self.on_exchanged(key, &exchange, now),
            Report::Choking(choking) => peer.choking = choking,
            Report::Interested(interested) => peer.interested = interested,
            _ => {}
        }
        if let Stage::FetchingMetadata(fetching) = &mut self.stage {
            return fetching.on_report(&mut self.swarm, key, &report, now);
        }
        let Some(active) = self.stage.active_mut() else { return };
        active.note_pieces(key, &report, now);
        let picker = &mut active.picker;
        match report {
            Report::Has(set) => picker.has(key, set),
            Report::Have(piece) => picker.gains(key, piece),
            Report::Lost(piece) => picker.loses(key, piece),
            Report::WantsBlocks(blocks) => picker.wants_blocks(key, blocks),
            Report::Returned(lease) => picker.returned(key, lease),
            Report::Snubbed(snubbed) => {
                peer.snubbed = snubbed;
                picker.snubbed(key, snubbed);
            }
            Report::AllowedFast(piece) => picker.allowed_fast(key, piece),
            Report::Suggested(piece) => picker.suggested(key, piece),
            Report::Choking(choking) => picker.choking(key, choking),
            Report::Interested(_) => active.rethink = true,
            // Late words about what is long there.
            Report::MetadataBlock(..) | Report::MetadataRejected(_) => {}
            // Seen to already.
            Report::ExtensionHandshake(_) | Report::Exchanged(_) => {}
        }
        let wanted = active.picker.interesting(key);
        if wanted && !peer.wanted {
            peer.wanted = true;
            self.out.push(Action::Order(key, Order::Interested(true)));
        }
        if active.finished && (peer.upload_only || active.picker.is_seed(key)) {
            peer.close(key, DisconnectReason::BothSeeds, &mut self.out);
        }
    }

    /// Hands out what can be handed out now.
    pub(super) fn assign(&mut self) {
        let Some(active) = self.stage.active_mut() else { return };
        for (key, job) in active.picker.assign() {
            // Where the connection has ended meanwhile, its leases return with it.
            if self.swarm.connected.contains_key(&key) {
                self.out.push(Action::Order(key, Order::Take(job)));
            }
        }
    }

    /// A piece is complete, for better or worse.
    pub(super) fn on_verdict(&mut self, verdict: &Verdict, now: Moment, host: &mut impl Host) {
        let Some(active) = self.stage.active_mut() else { return };
        let blame = active.picker.verdict(verdict);
        if !verdict.good {
            for culprit in blame.culprits {
                if let Some(peer) = self.swarm.connected.get_mut(&culprit) {
                    let why = DisconnectReason::Violation(Violation::CorruptPiece);
                    peer.close(culprit, why, &mut self.out);
                }
            }
            let bytes = u64::from(active.pieces.length(verdict.piece));
            self.corrupt += bytes;
            host.wasted(bytes);
            let contributors = verdict.contributors.len() as u32;
            return self.out.tell(EventKind::PieceFailed { index: verdict.piece, contributors });
        }
        self.out.push(Action::Verified(verdict.piece));
        if active.wanted.has(verdict.piece) {
            active.verified_bytes += u64::from(active.pieces.length(verdict.piece));
        }
        active.saving.dirty = true;
        // Seeds hear of it when there is something else to say to them, or once a second.
        for &key in self.swarm.connected.keys().filter(|key| !active.picker.is_seed(**key)) {
            self.out.push(Action::Wake(key));
        }
        self.out.tell(EventKind::Piece { index: verdict.piece });
        active.files_done.verified(&active.metainfo, verdict.piece, |index| {
            self.out.tell(EventKind::FileDone { index });
        });
        if active.picker.is_finished() && active.changes.is_idle() && !active.finished {
            self.finish(now, host);
        }
    }

    /// Everything wanted is there.
    pub(super) fn finish(&mut self, now: Moment, host: &mut impl Host) {
        let Some(active) = self.stage.active_mut() else { return };
        // What another program took away takes verified bytes with it: better to know now.
        if let Err(error) = host.check_holes(active.picker.have()) {
            return self.fail(&error);
        }
        active.finished = true;
        self.out.push(Action::SettleFiles);
        // A program that ends now needs no state, and syncing everything would only delay it.
        if self.setup.config.seed {
            active.saving.wanted_now();
        }
        active.next_tick = Some(now);
        let took = now - active.started;
        self.swarm.peers.seeding(true);
        if active.super_seed.is_none() {
            self.swarm.tell_upload_only(&mut self.out);
        }
        if active.picker.have().is_full() {
            self.out.push(Action::AnnounceCompleted);
        }
        self.out.tell(EventKind::Finished { took });
    }
}

impl Swarm {
    /// Peers learn that nothing more is wanted, unless that is a secret (BEP 16).
    fn tell_upload_only(&self, out: &mut Actions) {
        self.connected.keys().for_each(|&key| out.push(Action::Order(key, Order::UploadOnly(true))));
    }
}
