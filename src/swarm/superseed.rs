//! Which piece to show to which peer while super-seeding (BEP 16): so that the first seed of a torrent sends
//! hardly more than one copy of it before the others can do without.
//!
//! A super-seed seems to have nothing. To each peer it shows one piece, one that no peer has and that is
//! shown to no other, and the next only once another peer has told that it has the first: it was passed on. A
//! peer that cannot pass on (no other is connected) is shown several at once ([`AHEAD`]). One that keeps its
//! pieces to itself, or finds no taker, waits [`PATIENCE`] for the next.
//!
//! Once every piece is in the swarm, only peers that get nothing for that long are shown anything, the rarest
//! piece first: the others get it from one another. Another seed ends it ([`SuperSeed::is_over`]).
//!
//! If all peers want the same at the same time on a fast network, waiting for each piece to be passed on
//! would be slow. [`Manner::Spread`] shows each peer several pieces at once, as many as it takes and passes
//! on within moments, and ends as soon as every piece is in the swarm, or only those shown to dawdlers are
//! not: what the first seed can give from then on is welcome, copy or not.
//!
//! Pure: the pieces of peers and the time come in, pieces to show go out. Never does: serving, or choosing
//! which peers are served.
//!
//! Invariant: a piece is shown to a peer at most once, and never one that it has.

use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::pieces::Pieces;
use crate::random::Random;
use crate::sorted::SortedMap;

/// How long a new peer may take to say what it has; silence then is nothing.
const MAX_SILENCE: Duration = Duration::from_secs(2);

/// How long a peer that has not passed on its piece waits for the next, and how long one that does
/// not take its piece keeps it from others.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes shown at once to a peer that is alone, and two pieces at least.
pub const AHEAD: u64 = 4 << 20;

/// A peer is shown more at once if it has what it is shown within this time, and less if it takes twice as
/// long.
const PROMPT_TIME: Duration = Duration::from_millis(500);

/// How long one that takes nothing is looked at often.
const LIVELY_TIME: Duration = Duration::from_secs(5);

/// Pieces a peer is shown at once to begin with, and at least.
const MIN_WINDOW: usize = 2;

/// How long after it was shown something a peer without interest must have made up its mind.
const CROSSING_TIME: Duration = Duration::from_secs(3);

/// The least time between two deadlines.
const MIN_DEADLINE_GAP: Duration = Duration::from_secs(1);

/// The aim of a super-seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// To send hardly more than one copy.
    Thrift,
    /// To have every piece out there soon, each once.
    Spread,
}

/// A connected peer.
#[derive(Debug)]
struct Peer {
    /// The pieces it has: by its own messages, and by the bytes it was sent.
    has: Bitfield,
    /// It has said what it has, or has had the time to.
    told: bool,
    joined: Moment,
    /// Payload bytes it was sent.
    sent: u64,
    /// When it took something from us last, or was shown something.
    moved: Moment,
    /// When it got a piece last, from any peer, or was shown one.
    gained: Moment,
    /// When it was shown something last.
    shown_at: Moment,
    /// It lost interest: it has all that it was shown.
    sated: bool,
    /// How many pieces it is shown at once, if it is shown several.
    window: usize,
    /// Pieces it was shown that were not passed on, in order.
    shown: Vec<Shown>,
}

#[derive(Debug)]
struct Shown {
    piece: u32,
    at: Moment,
    /// How many bytes it will have been sent when it must have the piece.
    sent_then: u64,
    /// Since when it has it.
    arrived: Option<Moment>,
}

impl Peer {
    /// Pieces it was shown and does not have.
    fn under_way(&self) -> impl Iterator<Item = u32> + '_ {
        self.shown.iter().filter(|shown| shown.arrived.is_none()).map(|shown| shown.piece)
    }
}

/// The decisions of a super-seed.
#[derive(Debug)]
pub struct SuperSeed {
    pieces: Pieces,
    manner: Manner,
    peers: SortedMap<PeerKey, Peer>,
    /// How many peers have each piece.
    copies: Vec<u32>,
    /// How many pieces some peer has.
    out_there: u32,
    /// To how many peers each piece is shown that do not have it.
    promised: Vec<u32>,
    /// All pieces in random order; those before `next` are out there or promised.
    order: Vec<u32>,
    next: usize,
    over: bool,
    /// When it was decided last.
    looked: Moment,
}

impl SuperSeed {
    /// Begins without peers.
    pub fn new(pieces: Pieces, manner: Manner, random: &mut Random) -> Self {
        let mut order: Vec<u32> = (0..pieces.count()).collect();
        random.shuffle(&mut order);
        SuperSeed {
            pieces,
            manner,
            peers: SortedMap::new(),
            copies: vec![0; pieces.count() as usize],
            out_there: 0,
            promised: vec![0; pieces.count() as usize],
            order,
            next: 0,
            over: false,
            looked: Moment::START,
        }
    }

    /// A peer connected; nothing was shown to it.
    pub fn join(&mut self, key: PeerKey, now: Moment) {
        let peer = Peer {
            has: Bitfield::empty(self.pieces.count()),
            told: false,
            joined: now,
            sent: 0,
            moved: now,
            gained: now,
            shown_at: now,
            sated: false,
            window: MIN_WINDOW,
            shown: Vec::new(),
        };
        self.peers.insert(key, peer);
    }

    /// A peer is gone, and its pieces with it.
    pub fn leave(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.remove(&key) else { return };
        for piece in peer.has.iter() {
            self.copies[piece as usize] -= 1;
            self.out_there -= u32::from(self.copies[piece as usize] == 0);
        }
        peer.under_way().for_each(|piece| self.promised[piece as usize] -= 1);
        self.next = 0;
    }

    /// The peer says that it has exactly these pieces.
    pub fn has(&mut self, key: PeerKey, set: &Bitfield, now: Moment) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.told = true;
        }
        for piece in set.iter() {
            self.gains(key, piece, now);
        }
    }

    /// The peer says that it has one more piece.
    pub fn gains(&mut self, key: PeerKey, piece: u32, now: Moment) {
        let ahead = self.ahead();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.told = true;
        if !peer.has.insert(piece) {
            return;
        }
        peer.gained = now;
        self.over |= peer.has.is_full();
        let first = self.copies[piece as usize] == 0;
        self.copies[piece as usize] += 1;
        self.out_there += u32::from(first);
        self.over |= self.manner == Manner::Spread && self.out_there == self.pieces.count();
        if let Some(shown) =
            peer.shown.iter_mut().find(|shown| shown.piece == piece && shown.arrived.is_none())
        {
            shown.arrived = Some(now);
            match now - shown.at {
                took if took < PROMPT_TIME => peer.window = (peer.window + 1).min(ahead),
                took if took > PROMPT_TIME * 2 => peer.window = (peer.window / 2).max(MIN_WINDOW),
                _ => {}
            }
            self.promised[piece as usize] -= 1;
        }
        // Any other peer that was shown it has passed it on; and has it, if it can be from no other peer.
        for (other, peer) in self.peers.iter_mut() {
            if *other != key && peer.shown.iter().any(|shown| shown.piece == piece) {
                if peer.under_way().any(|under_way| under_way == piece) {
                    self.promised[piece as usize] -= 1;
                    if first && peer.has.insert(piece) {
                        self.copies[piece as usize] += 1;
                        self.over |= peer.has.is_full();
                    }
                }
                peer.shown.retain(|shown| shown.piece != piece);
            }
        }
    }

    /// The peer has been sent `bytes` payload bytes in all. Many clients do not tell a peer of a piece that
    /// it showed itself; these bytes show that they have it.
    pub fn sent(&mut self, key: PeerKey, bytes: u64, now: Moment) {
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| peer.sent < bytes) else { return };
        (peer.sent, peer.moved) = (bytes, now);
        let there: Vec<u32> = peer
            .shown
            .iter()
            .filter(|shown| shown.arrived.is_none() && shown.sent_then <= bytes)
            .map(|shown| shown.piece)
            .collect();
        for piece in there {
            self.gains(key, piece, now);
        }
    }

    /// The peer became interested, or lost interest. One that lost it has what it was shown, from any sender.
    pub fn interested(&mut self, key: PeerKey, interested: bool) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.sated = !interested;
        }
    }

    /// Whether [`SuperSeed::sent`] should be called often, because a peer is to be shown more as soon as it
    /// has what it was shown. Only in [`Manner::Spread`].
    pub fn is_spreading(&self, now: Moment) -> bool {
        let takes = |peer: &Peer| peer.under_way().next().is_some() && now < peer.moved + LIVELY_TIME;
        self.manner == Manner::Spread && self.peers.values().any(takes)
    }

    /// Whether another seed was seen, or every piece if that is all there was to do: from then on all peers
    /// are to see everything.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The pieces to show now, and to which peers.
    pub fn show(&mut self, now: Moment) -> Vec<(PeerKey, u32)> {
        let mut shows = Vec::new();
        if self.over {
            return shows;
        }
        self.looked = now;
        self.believe_the_sated(now);
        if self.over {
            return shows;
        }
        self.break_promises(now);
        let alone = self.peers.len() == 1;
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            while let Some(piece) = self.choice(key, alone, now) {
                shows.push((key, piece));
                self.promised[piece as usize] += 1;
                let length = u64::from(self.pieces.length(piece));
                let Some(peer) = self.peers.get_mut(&key) else { break };
                let before = peer.shown.iter().map(|shown| shown.sent_then).max();
                let sent_then = before.unwrap_or(0).max(peer.sent) + length;
                peer.shown.push(Shown { piece, at: now, sent_then, arrived: None });
                (peer.moved, peer.gained, peer.shown_at) = (now, now, now);
            }
        }
        self.over |= self.manner == Manner::Spread && self.only_dawdlers(now);
        shows
    }

    /// When [`SuperSeed::show`] is to be called, should nothing else happen before.
    pub fn deadline(&self) -> Option<Moment> {
        if self.over {
            return None;
        }
        let due = |peer: &Peer| {
            let held = peer.shown.iter().filter_map(|shown| shown.arrived).max();
            match peer.under_way().next() {
                _ if !peer.told => peer.joined + MAX_SILENCE,
                Some(_) if peer.sated => peer.shown_at + CROSSING_TIME,
                Some(_) => peer.moved + PATIENCE,
                None => held.unwrap_or(peer.gained) + PATIENCE,
            }
        };
        // For some there is nothing to do when their time has come.
        self.peers.values().map(due).min().map(|due| due.max(self.looked + MIN_DEADLINE_GAP))
    }

    /// What to show to a peer next, if it is to be shown anything now.
    fn choice(&mut self, key: PeerKey, alone: bool, now: Moment) -> Option<u32> {
        let peer = self.peers.get(&key)?;
        if !peer.told && now < peer.joined + MAX_SILENCE {
            return None;
        }
        let under_way = peer.under_way().count();
        let held = peer.shown.iter().filter_map(|shown| shown.arrived).max();
        let may = match held {
            _ if alone && self.manner == Manner::Thrift => under_way < self.ahead(),
            _ if self.manner == Manner::Spread => {
                let kept = peer.shown.len() - under_way;
                under_way < peer.window
                    && (alone || kept < peer.window * 2 || held.is_some_and(|since| now >= since + PATIENCE))
            }
            _ if under_way > 0 => false,
            Some(since) => now >= since + PATIENCE,
            None => true,
        };
        if !may {
            return None;
        }
        self.untouched().or_else(|| self.rarest(key, now))
    }

    /// Whether every piece not in the swarm was shown a while ago to peers that have not taken it. A peer
    /// that is alone is not waited for.
    fn only_dawdlers(&mut self, now: Moment) -> bool {
        if self.peers.len() < 2 || self.untouched().is_some() {
            return false;
        }
        let mut under_way =
            self.peers.values().flat_map(|peer| &peer.shown).filter(|shown| shown.arrived.is_none());
        under_way.all(|shown| now >= shown.at + PROMPT_TIME * 2)
    }

    /// How many pieces a peer is shown at once at most: one that is alone, or takes them so fast.
    fn ahead(&self) -> usize {
        let bytes = if self.manner == Manner::Spread { 8 * AHEAD } else { AHEAD };
        (bytes / u64::from(self.pieces.piece_length())).max(2) as usize
    }

    /// A piece that no peer has and none was shown.
    fn untouched(&mut self) -> Option<u32> {
        while let Some(&piece) = self.order.get(self.next) {
            if self.copies[piece as usize] == 0 && self.promised[piece as usize] == 0 {
                return Some(piece);
            }
            self.next += 1;
        }
        None
    }

    /// The rarest piece that the peer lacks, for one that has got nothing in a while: others that
    /// get on without us are left alone.
    fn rarest(&self, key: PeerKey, now: Moment) -> Option<u32> {
        let peer = self.peers.get(&key).filter(|peer| now >= peer.gained + PATIENCE)?;
        let shown = |piece: u32| peer.shown.iter().any(|shown| shown.piece == piece);
        let lacks = self.order.iter().copied().filter(|&piece| !peer.has.has(piece) && !shown(piece));
        lacks.min_by_key(|&piece| (self.promised[piece as usize], self.copies[piece as usize]))
    }

    /// Peers without interest have what they were shown, unless that crossed with their word.
    fn believe_the_sated(&mut self, now: Moment) {
        let settled = |peer: &Peer| peer.sated && now >= peer.shown_at + CROSSING_TIME;
        let there: Vec<(PeerKey, u32)> = self
            .peers
            .iter()
            .filter(|(_, peer)| settled(peer))
            .flat_map(|(key, peer)| peer.under_way().map(|piece| (*key, piece)))
            .collect();
        for (key, piece) in there {
            self.gains(key, piece, now);
        }
    }

    /// A piece shown to a peer that takes nothing is free for others, though it may yet take it.
    fn break_promises(&mut self, now: Moment) {
        for peer in self.peers.values_mut() {
            if peer.under_way().next().is_none() || now < peer.moved + PATIENCE {
                continue;
            }
            let stuck: Vec<u32> = peer.under_way().collect();
            stuck.iter().for_each(|piece| self.promised[*piece as usize] -= 1);
            peer.shown.retain(|shown| shown.arrived.is_some());
            self.next = 0;
        }
    }
}
