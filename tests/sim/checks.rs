//! The invariants, asserted after every step: what the design promises, seen from outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{LeaseId, OpenPiece, PeerKey, PieceJob};
use bitwren::internals::moment::Moment;
use bitwren::internals::orders::{Order, Report};
use bitwren::internals::peer::session::{Session, Setup};
use bitwren::internals::peer::upload::UploadQueue;
use bitwren::internals::torrent::Input;

use super::node::{Common, Life, Message, Node, SAVE_EVERY};
use super::served::Served;

/// How long those that hold a block have before a third is asked for it.
const TURN: Duration = Duration::from_secs(1);

/// The leases that are live, and the pieces that are proved.
pub struct Ledger {
    leases: BTreeMap<LeaseId, (PeerKey, PieceJob)>,
    newest: Option<LeaseId>,
    /// When each was given.
    given: BTreeMap<LeaseId, Moment>,
    /// Pieces that have leases, or had some, and no verdict.
    open: BTreeMap<u32, Arc<OpenPiece>>,
    /// Right on disk, as the disk itself has been seen to hold.
    pub proved: Bitfield,
    /// The same, and what was so before another program changed it.
    ever: Bitfield,
}

impl Ledger {
    pub fn new(proved: Bitfield) -> Ledger {
        Ledger {
            leases: BTreeMap::new(),
            newest: None,
            given: BTreeMap::new(),
            open: BTreeMap::new(),
            ever: proved.clone(),
            proved,
        }
    }

    /// The piece is right on disk. False where that is known.
    pub fn prove(&mut self, piece: u32) -> bool {
        self.ever.insert(piece);
        self.proved.insert(piece)
    }

    pub fn leased(&mut self, peer: PeerKey, job: &PieceJob, now: Moment) {
        self.given.insert(job.lease, now);
        assert!(self.newest < Some(job.lease), "{:?} is given twice", job.lease);
        self.newest = Some(job.lease);
        self.open.insert(job.claim.piece().index(), job.claim.piece().clone());
        self.leases.insert(job.lease, (peer, job.clone()));
    }

    pub fn returned(&mut self, peer: PeerKey, lease: LeaseId) {
        if let Some((holder, _)) = self.leases.remove(&lease) {
            assert_eq!(holder, peer, "{lease:?} is returned by another");
        }
    }

    /// The piece has a verdict, or is lost: its leases end.
    pub fn close(&mut self, piece: u32) {
        self.leases.retain(|_, (_, job)| job.claim.piece().index() != piece);
        self.open.remove(&piece);
    }

    /// The pieces that are begun, each with the blocks of it that are in live leases.
    pub fn open_pieces(&self) -> BTreeMap<u32, (&OpenPiece, Vec<u32>)> {
        let mut open: BTreeMap<u32, (&OpenPiece, Vec<u32>)> =
            self.open.iter().map(|(&index, piece)| (index, (&**piece, Vec::new()))).collect();
        for (_, job) in self.leases.values() {
            let piece = open.get_mut(&job.claim.piece().index());
            piece.into_iter().for_each(|(_, blocks)| blocks.extend(job.claim.range()));
        }
        open
    }

    /// Whether all of a piece has come, and its verdict has not.
    pub fn is_whole(&self, piece: u32) -> bool {
        self.open.get(&piece).is_some_and(|piece| piece.missing() == 0)
    }

    pub fn leaves(&mut self, peer: PeerKey) {
        self.leases.retain(|_, (holder, _)| *holder != peer);
    }
}

impl Node {
    /// What must hold for a node whenever a thread of it goes back to sleep.
    pub fn check(&self) {
        let Some(life) = &self.life else { return };
        let ended = life.inbox.iter().filter(|told| matches!(told, Message::Input(Input::Gone(..)))).count();
        // Each connection that ended may have left a buffer with the disk.
        life.pool.check(ended + life.to_disk.len() + 1);
        for (key, worker) in &life.workers {
            assert!(
                worker.conversation.session().outstanding() <= Setup::REQUEST_CAP as usize,
                "{key:?}: too many requests"
            );
            assert!(
                worker.conversation.session().uploads() <= UploadQueue::BOUND,
                "{key:?}: too many uploads"
            );
            assert!(worker.orders.len() <= 256);
        }
        let staying = life.admitted.values().filter(|peer| !peer.leaving).count();
        assert!(staying as u32 <= self.plan.max_peers, "too many connections");
        self.check_leases();
    }

    /// What must hold when the torrent has settled.
    pub fn check_settled(&self, life: &Life, now: Moment) {
        assert_eq!(life.host.entered as usize, life.admitted.len(), "places taken and connections");
        let rests = life.paused || life.ends_by.is_some();
        assert!(!rests || !life.online, "it is to rest, and is online");
        assert!(!rests || life.admitted.values().all(|peer| peer.leaving), "it rests, and keeps connections");
        self.check_watched(life, now);
        let due =
            life.unsaved.filter(|_| life.saving.is_empty() && life.ends_by.is_none() && !life.verifying);
        if let Some(since) = due {
            let wakes = life.torrent.deadline(now);
            let by = since + SAVE_EVERY;
            assert!(
                wakes.is_some_and(|wakes| wakes <= by.max(now)),
                "unsaved since {since:?}, wakes {wakes:?}"
            );
            assert!(now <= by + self.slowest_nap(), "unsaved since {since:?}");
        }
    }

    /// Every live lease with blocks that are missing is with its one holder, or on its way there or
    /// back; no block is with more than two but where the others had time enough.
    fn check_leases(&self) {
        let Some(life) = &self.life else { return };
        let mut held: BTreeMap<(u32, u32), Vec<(LeaseId, PeerKey)>> = BTreeMap::new();
        for (&lease, (peer, job)) in &life.ledger.leases {
            let piece = job.claim.piece();
            let mut missing = job.claim.range().filter(|&block| !piece.has(block)).peekable();
            if missing.peek().is_none() {
                continue;
            }
            missing.for_each(|block| held.entry((piece.index(), block)).or_default().push((lease, *peer)));
            let worker = life.workers.get(peer);
            let holds = worker.is_some_and(|worker| {
                worker.conversation.session().leases().any(|held| held == lease)
                    || worker
                        .orders
                        .iter()
                        .any(|order| matches!(order, Order::Take(job) if job.lease == lease))
            });
            let ends = || {
                life.inbox.iter().any(|told| match told {
                    Message::Input(Input::Report(by, Report::Returned(returned))) => {
                        by == peer && *returned == lease
                    }
                    Message::Input(Input::Gone(gone, _)) => gone == peer,
                    _ => false,
                })
            };
            let deaf = worker.is_some_and(|worker| worker.deaf);
            assert!(
                holds || deaf || ends(),
                "node {}: {lease:?} of {peer:?} ended in silence",
                self.plan.name
            );
        }
        for (block, mut holders) in held {
            let mut keys: Vec<PeerKey> = holders.iter().map(|(_, key)| *key).collect();
            keys.sort_unstable();
            assert!(keys.windows(2).all(|two| two[0] != two[1]), "{block:?} is twice with one of {keys:?}");
            holders.sort_unstable();
            // Beyond two only once those there are had a whole second.
            let given: Vec<Moment> = holders.iter().map(|(lease, _)| life.ledger.given[lease]).collect();
            let late = given.windows(2).skip(1).all(|two| two[1] >= two[0] + TURN);
            assert!(late, "{block:?} is with {holders:?}, given at {given:?}");
        }
    }
}

/// What an honest session says is looked at: it tells of nothing that is not proved, and asks for
/// nothing that it has. What the peer is told of is noted.
pub fn said(
    bytes: &[u8],
    ledger: &Ledger,
    session: &Session,
    told: &mut Bitfield,
    served: &mut Served,
    common: &Common,
) {
    let proved = &ledger.ever;
    let mut rest = bytes;
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let (body, after) = after.split_at(u32::from_be_bytes(*head) as usize);
        rest = after;
        let number = || u32::from_be_bytes(*body[1..].first_chunk().unwrap());
        match body.first() {
            Some(0) => served.chokes(),
            Some(4) => {
                assert!(proved.has(number()), "have {} before it is proved", number());
                told.insert(number());
            }
            Some(5) => {
                *told = Bitfield::from_bytes(body[1..].to_vec(), common.pieces.count()).unwrap();
                assert!(told.iter().all(|piece| proved.has(piece)), "a bitfield of what is not proved");
            }
            Some(6) => assert!(session.has().has(number()), "a request for what the peer lacks"),
            Some(14) => {
                assert!(proved.is_full(), "have all, and it has not");
                *told = Bitfield::full(common.pieces.count());
            }
            Some(17) => served.allows(number()),
            _ => {}
        }
    }
}
