//! What a node owes to each of its peers and to the other torrents of its client, looked at once a second:
//! interest in what it lacks and in nothing else, work for those that would send blocks, a turn for those that
//! wait to be served, and the places that other torrents lack.
//!
//! Seen from outside, as in `watched`.

use std::collections::BTreeSet;
use std::time::Duration;

use bitwren::Phase;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::moment::Moment;

use super::node::{Due, Life, Node};

/// How often all of this is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After which time interest follows what there is.
const INTEREST: Duration = Duration::from_secs(12);
/// How long a peer that rejected blocks, or was lent a piece alone, may be asked for none.
const NO_WORK: Duration = Duration::from_secs(30);
/// How long a torrent may keep places that another torrent of its client lacks.
const PLACES: Duration = Duration::from_secs(12);
/// The longest turn of a peer that is served by a seed, and the time between two looks at that.
const TURN: Duration = Duration::from_secs(190);

/// Since when something is not as it should be with a peer.
#[derive(Debug, Default)]
pub struct Since {
    interest: Due,
    idle: Due,
    /// And how many turns of others may come first.
    waits: Option<(Moment, u32)>,
}

/// A time that goes on while something holds.
fn since(due: &mut Due, holds: bool, now: Moment) -> Moment {
    *due = if holds { due.or(Some(now)) } else { None };
    due.unwrap_or(now)
}

/// Whether one set has a piece that the other lacks.
fn has_more(one: &Bitfield, other: &Bitfield) -> bool {
    one.as_bytes().iter().zip(other.as_bytes()).any(|(one, other)| one & !other != 0)
}

impl Life {
    /// Pieces that are begun and have blocks that no peer was asked for, and whether any peer was asked for any.
    fn free(&self) -> (BTreeSet<u32>, bool) {
        let mut free = BTreeSet::new();
        let mut is_busy = false;
        for (index, (piece, blocks)) in self.ledger.open_pieces() {
            is_busy |= blocks.iter().any(|&block| !piece.has(block));
            let is_free = |block: u32| !piece.has(block) && !blocks.contains(&block);
            let begun = piece.missing() < piece.blocks();
            if begun && (0..piece.blocks()).any(is_free) {
                free.insert(index);
            }
        }
        (free, is_busy)
    }
}

impl Node {
    /// Looks at all of it, where it is time to.
    pub fn look_at_peers(&mut self, now: Moment) {
        let (slow, slots) = (self.slowest_nap(), self.plan.slots.unwrap_or(2) as u32);
        let changed = self.disk.state().changes > 0;
        let Some(life) = self.life.as_deref_mut().filter(|life| life.watched.looks <= now) else { return };
        life.watched.looks = now + LOOK_EVERY;
        let phase = life.torrent.phase();
        let works = life.online && matches!(phase, Phase::Downloading | Phase::Seeding);
        let owes = life.host.owes() > life.admitted.values().filter(|peer| peer.leaving).count() as u32;
        let owes = since(&mut life.watched.owes, works && owes, now);
        assert!(now <= owes + PLACES + slow, "it keeps places that another torrent of its client lacks");
        let Some(have) = life.torrent.have().filter(|_| works).cloned() else { return };
        let (free, is_busy) = life.free();
        let waiting = |life: &Life| life.admitted.values().filter(|peer| peer.interested).count() as u32;
        let queue = waiting(life);
        for (key, peer) in &mut life.admitted {
            let Some(worker) = life.workers.get(key) else { continue };
            let theirs = worker.conversation.session().has();
            let gives = has_more(theirs, &have);
            let wrong =
                peer.wanted && !gives || !peer.wanted && gives && phase == Phase::Downloading && !changed;
            let wrong = since(&mut peer.since.interest, wrong && !peer.leaving, now);
            let told = if peer.wanted { "" } else { "not " };
            assert!(now <= wrong + INTEREST + slow, "{key:?} is {told}told that it has what is lacked");
            // What it could send is not under way from it or any other.
            let lacks = |piece: u32| theirs.has(piece) && !have.has(piece);
            let begins = || (0..have.len()).any(|piece| lacks(piece) && !life.ledger.is_whole(piece));
            let idle = phase == Phase::Downloading
                && peer.wants_blocks
                && !(peer.choking || peer.snubbed || peer.leaving)
                && life.rechecking.is_empty()
                && (free.iter().any(|&piece| lacks(piece)) || !is_busy && begins());
            let idle = since(&mut peer.since.idle, idle, now);
            assert!(now <= idle + NO_WORK + slow, "{key:?} would send blocks, and is asked for none");
            let waits = phase == Phase::Seeding
                && peer.interested
                && peer.choked
                && !(peer.leaving || peer.upload_only || theirs.is_full());
            peer.since.waits = peer.since.waits.or(Some((now, queue))).filter(|_| waits);
            if let Some((since, ahead)) = peer.since.waits {
                let by = since + TURN * (ahead / slots + 1) + slow;
                assert!(now <= by, "{key:?} waits for its turn behind {ahead} since {since:?}");
            }
        }
    }
}
