//! One session: messages of the peer and orders of the torrent go in with the time; messages and blocks to
//! send, and reports, come out.
//!
//! It keeps the request pipeline of its leases full, tells a peer that stopped delivering from one that is
//! slow, queues the peer's requests, and holds the peer to the protocol. It decides nothing about other
//! peers, and never which piece comes next. A protocol violation ends the session and has a name
//! ([`Violation`]).
//!
//! Split by subject: this file is the outside, `messages` handles the peer's messages, `extended` those of
//! the Extension Protocol, `download` our requests and when a peer is given up, `learning` a session that begins
//! before the pieces are known.
//!
//! Invariants: requests outstanding never exceed the cap; every lease ends once (see [`Report::Returned`]);
//! our messages follow the protocol for any input.

mod download;
mod extended;
mod learning;
mod messages;

use std::net::IpAddr;
use std::time::Duration;

pub use self::extended::ExtensionSetup;
use self::extended::ExtensionState;
pub use self::learning::Learned;
use super::early_claims::EarlyClaims;
use super::message_limits::MessageLimit;
use super::pipeline::Pipeline;
use super::request_gate::RequestGate;
use super::requests::{GivenUp, Requests};
use crate::bitfield::Bitfield;
use crate::id::InfoHash;
use crate::job::LeaseId;
use crate::moment::Moment;
use crate::orders::{Order, Report};
use crate::pieces::{BlockRef, Pieces};
use crate::violation::{DisconnectReason, Violation};
use crate::wire::message::Message;

/// Our silence after which we say that we are still there; peers hang up after about 120 s.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// The peer's silence after which it is gone.
const SILENT: Duration = Duration::from_secs(150);
/// No block for this long: it does not deliver.
const HOPELESS: Duration = Duration::from_secs(120);
/// Unrequested blocks, or rejections without a request, that are tolerated.
const MAX_STRAYS: u32 = 64;
/// Requested blocks that make up for one stray: a peer that sends each block twice stays of use.
const BLOCKS_PER_STRAY: u32 = 16;
/// Strays that are too many of a peer that stalls and has not sent one requested block.
const MAX_STRAYS_OF_STALLED: u32 = 4;
/// How often at most a peer is told of pieces that we have got and that it has itself.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The settings of a session, once both handshakes are through.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The torrent's sizes; nothing while only its metadata is fetched. Then [`learn`](Session::learn) says
    /// them later.
    pub pieces: Option<Pieces>,
    /// The torrent's name.
    pub info_hash: InfoHash,
    /// Where the peer is.
    pub peer_ip: IpAddr,
    /// Whether both sides offered the Fast Extension (BEP 6).
    pub fast: bool,
    /// What we offer, where both sides speak the Extension Protocol (BEP 10).
    pub extension_setup: Option<ExtensionSetup>,
    /// The pieces we have, as far as the peer may see (BEP 16 hides some).
    pub have: Bitfield,
    /// Most requests to have outstanding, at least 1.
    pub request_cap: u32,
}

impl Setup {
    /// A good `request_cap` for a client that has not said how many it takes.
    pub const REQUEST_CAP: u32 = 500;
}

/// What became of a block that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockOutcome {
    /// First to arrive: it goes to storage.
    Ours,
    /// Another peer was faster; it is of no use.
    Duplicate,
    /// It was not requested; it is of no use.
    Unrequested,
}

/// One conversation.
#[derive(Debug)]
pub struct Session {
    pieces: Pieces,
    /// What the peer says of pieces while they are not known.
    early: Option<Box<EarlyClaims>>,
    info_hash: InfoHash,
    peer_ip: IpAddr,
    fast: bool,
    extensions: Option<Box<ExtensionState>>,
    ours: Bitfield,
    theirs: Bitfield,
    /// Pieces that we have and the peer also has, and was not told of yet.
    untold: Vec<u32>,
    /// When it was told of some last.
    told_at: Moment,
    /// The peer has said what it has, or begun to.
    told: bool,
    choking_us: bool,
    interested: bool,
    interested_in_us: bool,
    /// Pieces we may request while choked.
    allowed: Vec<u32>,
    requests: Requests,
    pipeline: Pipeline,
    gate: RequestGate,
    idle_messages: MessageLimit,
    /// Blocks were asked for and nothing has changed since.
    demand_reported: bool,
    /// A lease came, and it has not been looked yet whether there should be more.
    unsettled: bool,
    snubbed: bool,
    /// A block has arrived that was asked for.
    delivers: bool,
    /// The last block, or the first request since none was expected; nothing while none is.
    waiting_since: Option<Moment>,
    /// The first request since none was outstanding.
    asked_since: Moment,
    /// How long the last block took where it came after the peer counted as stalled.
    late_block: Duration,
    rejects: u32,
    no_requests_until: Option<Moment>,
    strays: u32,
    ended: bool,
    superseded_checked: Moment,
    last_heard: Moment,
    last_sent: Moment,
    now: Moment,
    out: Vec<u8>,
    reports: Vec<Report>,
    dht_port: DhtPort,
}

/// What a peer said about its DHT node (BEP 5). It counts once: a port is a packet of ours to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DhtPort {
    Untold,
    Told(u16),
    Taken,
}

impl Session {
    /// Begins the session: our extension handshake and our bitfield come first in
    /// [`outgoing`](Self::outgoing).
    pub fn new(setup: Setup, now: Moment) -> Session {
        let mut session = Session::silent(setup, now);
        debug_assert_eq!(session.ours.len(), session.pieces.count());
        match (session.fast, session.ours.count()) {
            (true, 0) => session.say(Message::HaveNone),
            (true, _) if session.ours.is_full() => session.say(Message::HaveAll),
            (false, 0) => {}
            _ => session.say(Message::Bitfield(session.ours.as_bytes().to_vec())),
        }
        session
    }

    /// A session that has not sent its bitfield yet.
    fn silent(setup: Setup, now: Moment) -> Session {
        let Setup { pieces, info_hash, peer_ip, fast, extension_setup, have, request_cap } = setup;
        let early = pieces.is_none().then(Box::default);
        let pieces = pieces.unwrap_or(Pieces::NONE);
        let mut session = Session {
            pieces,
            early,
            info_hash,
            peer_ip,
            fast,
            extensions: None,
            ours: have,
            untold: Vec::new(),
            told_at: now,
            theirs: Bitfield::empty(pieces.count()),
            told: false,
            choking_us: true,
            interested: false,
            interested_in_us: false,
            allowed: Vec::new(),
            requests: Requests::new(pieces, request_cap.max(1)),
            pipeline: Pipeline::new(request_cap, now),
            gate: RequestGate::new(fast),
            idle_messages: MessageLimit::idle_messages(),
            demand_reported: false,
            unsettled: false,
            snubbed: false,
            delivers: false,
            waiting_since: None,
            asked_since: now,
            late_block: Duration::ZERO,
            rejects: 0,
            no_requests_until: None,
            strays: 0,
            ended: false,
            superseded_checked: now,
            last_heard: now,
            last_sent: now,
            now,
            out: Vec::new(),
            reports: Vec::new(),
            dht_port: DhtPort::Untold,
        };
        if let Some(extension_setup) = extension_setup {
            session.send_extension_handshake(extension_setup);
        }
        session
    }

    /// Tells the peer the UDP port of our DHT node (BEP 5): to those whose handshake says that they
    /// have one, too.
    pub fn tell_dht_port(&mut self, port: u16) {
        self.say(Message::Port(port));
    }

    /// The port of the peer's DHT node, once it has told it; given once.
    pub fn dht_port(&mut self) -> Option<u16> {
        let DhtPort::Told(port) = self.dht_port else { return None };
        self.dht_port = DhtPort::Taken;
        Some(port)
    }

    /// Takes a message.
    ///
    /// # Errors
    /// The peer's violation; the session is over.
    pub fn on_message(&mut self, message: Message, now: Moment) -> Result<(), Violation> {
        self.heard(now);
        let before = self.out.len();
        if !self.handle(message)? && !self.idle_messages.add(now) {
            return Err(Violation::Flood);
        }
        if self.out.len() > before {
            self.last_sent = self.now;
        }
        self.check_superseded();
        self.work();
        Ok(())
    }

    /// Takes in a whole block that arrived.
    ///
    /// # Errors
    /// [`Violation::UnrequestedBlock`] after too many of those; at once while pieces are not known.
    pub fn on_block(&mut self, block: BlockRef, now: Moment) -> Result<BlockOutcome, Violation> {
        self.heard(now);
        let Some(arrival) = self.requests.arrived(block) else {
            if self.early.is_some() {
                return Err(Violation::UnrequestedBlock);
            }
            self.stray(Violation::UnrequestedBlock)?;
            return Ok(BlockOutcome::Unrequested);
        };
        self.delivers = true;
        self.strays = self.strays.saturating_sub(1);
        self.rejects = 0;
        self.no_requests_until = None;
        let took = self.waiting_since.map_or(Duration::ZERO, |since| now - since);
        self.waiting_since = Some(now);
        // Nothing is left to come: what could not be had when that was asked for may be had now.
        self.demand_reported &= self.requests.expected() > 0;
        self.late_block = if self.snubbed { took } else { Duration::ZERO };
        if std::mem::take(&mut self.snubbed) {
            self.pipeline.restart(now);
            self.reports.push(Report::Snubbed(false));
            self.demand_reported = false;
        } else {
            self.pipeline.on_block(block.length, arrival.asked, now);
        }
        self.check_superseded();
        self.work();
        Ok(if arrival.won { BlockOutcome::Ours } else { BlockOutcome::Duplicate })
    }

    /// Carries out an order. [`Order::Learn`] and [`Order::Close`] are the engine's to
    /// carry out and change nothing here.
    pub fn on_order(&mut self, order: Order, now: Moment) {
        self.now = self.now.max(now);
        match order {
            Order::Take(job) => return self.take(job),
            Order::Show(pieces) => return self.announce(&pieces),
            Order::Exchange(exchange) => self.exchange(&exchange),
            Order::UploadOnly(upload_only) => self.tell_upload_only(upload_only),
            Order::AskMetadata(block) => self.ask_metadata(block),
            Order::Interested(interested) if interested != self.interested => {
                self.interested = interested;
                self.say(if interested { Message::Interested } else { Message::NotInterested });
            }
            Order::Choke(choke) if choke != self.gate.is_choked() => {
                self.gate.choke(choke, &mut self.out);
                self.last_sent = self.now;
            }
            Order::Interested(_) | Order::Choke(_) | Order::Learn { .. } | Order::Close(_) => {}
        }
        self.work();
    }

    /// Pieces were verified, or are no longer to be hidden: the peer is told of those it lacks, and may
    /// request them. Of those it has it is told later, of many at once: they show our progress.
    pub fn announce(&mut self, pieces: &[u32]) {
        for &piece in pieces {
            match self.ours.insert(piece) {
                true if self.theirs.has(piece) => self.untold.push(piece),
                true => self.say(Message::Have(piece)),
                false => {}
            }
        }
        self.cancel_superseded();
        self.work();
    }

    /// A piece is there no longer: the peer is told (BEP 54), and what it has asked for of it is rejected.
    /// False where the peer does not speak BEP 54 and lacks the piece: it would go on asking.
    pub fn withdraw(&mut self, piece: u32) -> bool {
        if !self.ours.remove(piece) {
            return true;
        }
        self.untold.retain(|&untold| untold != piece);
        self.gate.withdraw(piece, &mut self.out);
        self.tell_lost(piece) || self.theirs.has(piece)
    }

    /// Whether a piece is there, as far as the peer was told.
    pub fn offers(&self, piece: u32) -> bool {
        self.ours.has(piece)
    }

    /// Rejects a request that was taken out of the upload queue and cannot be served (BEP 6).
    pub fn refuse(&mut self, block: BlockRef) {
        self.gate.reject(block, &mut self.out);
    }

    /// Does what is due.
    ///
    /// # Errors
    /// [`DisconnectReason::Silent`], or [`Violation::NeverDelivers`] as a [`DisconnectReason::Violation`]; the
    /// conversation is over.
    pub fn on_time(&mut self, now: Moment) -> Result<(), DisconnectReason> {
        self.now = self.now.max(now);
        if now >= self.last_heard + SILENT {
            return Err(DisconnectReason::Silent);
        }
        if now >= self.last_sent + KEEP_ALIVE {
            self.say(Message::KeepAlive);
        }
        self.send_metadata();
        self.check_superseded();
        if let Some(since) = self.waiting_since {
            if now >= since + HOPELESS {
                // One that says nothing at all may be cut off or have lost its power: no fault of its own.
                let talks = self.last_heard >= since + HOPELESS / 2;
                return Err(match talks && !self.delivers {
                    true => DisconnectReason::Violation(Violation::NeverDelivers),
                    false => DisconnectReason::Silent,
                });
            }
        }
        if self.stalls().is_some_and(|stalls| now >= stalls) {
            // It answers, but with something else: others are asked, and it is not called again.
            if !self.delivers && self.strays >= MAX_STRAYS_OF_STALLED * BLOCKS_PER_STRAY {
                return Err(DisconnectReason::Violation(Violation::UnrequestedBlock));
            }
            self.give_up();
        }
        self.work();
        Ok(())
    }

    /// When [`on_time`](Self::on_time) wants to be called next, if nothing else happens: at once
    /// after [`Order::Take`], when the orders there are have been carried out.
    pub fn deadline(&self) -> Moment {
        if self.unsettled {
            return self.now;
        }
        let hopeless = self.waiting_since.map(|since| since + HOPELESS);
        let due = [hopeless, self.stalls(), self.no_requests_until, self.metadata_due()];
        let regular = (self.last_sent + KEEP_ALIVE).min(self.last_heard + SILENT);
        due.into_iter().flatten().fold(regular, Moment::min)
    }

    /// We are not reading from this peer for reasons of our own (a rate limit, a slow disk): its
    /// silence until `now` is not held against it.
    pub fn excuse(&mut self, now: Moment) {
        self.heard(now);
        self.waiting_since = self.waiting_since.map(|since| since.max(now));
    }

    /// Messages to be sent, whole and in order. The caller sends and clears them; while many wait, no
    /// metadata is added to them.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The block that is to be sent next, taken off the queue of requests.
    pub fn next_upload(&mut self) -> Option<BlockRef> {
        self.gate.next_upload()
    }

    /// The same, left in the queue.
    pub fn first_upload(&self) -> Option<BlockRef> {
        self.gate.first_upload()
    }

    /// How many requests of the peer wait to be served.
    pub fn uploads(&self) -> usize {
        self.gate.uploads()
    }

    /// The reports for the torrent, each once, in order.
    pub fn reports(&mut self) -> impl Iterator<Item = Report> + '_ {
        self.reports.drain(..)
    }

    /// The connection is over: every lease left is reported returned, and so is every lease that
    /// is still given.
    pub fn end(&mut self) {
        self.ended = true;
        self.requests.give_back(GivenUp::Moot, |_| false);
        self.report_returned();
    }

    /// Whether we choke the peer.
    pub fn is_choked(&self) -> bool {
        self.gate.is_choked()
    }

    /// Whether the Fast Extension is in force.
    pub fn fast(&self) -> bool {
        self.fast
    }

    /// The pieces the peer has, as far as it has told.
    pub fn has(&self) -> &Bitfield {
        &self.theirs
    }

    /// Requests sent that are neither answered nor given up.
    pub fn outstanding(&self) -> usize {
        self.requests.outstanding()
    }

    /// The leases it holds, in the order they came.
    pub fn leases(&self) -> impl Iterator<Item = LeaseId> + '_ {
        self.requests.leases()
    }

    fn stray(&mut self, violation: Violation) -> Result<(), Violation> {
        self.strays += BLOCKS_PER_STRAY;
        if self.strays > MAX_STRAYS * BLOCKS_PER_STRAY { Err(violation) } else { Ok(()) }
    }

    /// Tells the pieces that were not told yet.
    fn tell_the_rest(&mut self) {
        for piece in std::mem::take(&mut self.untold) {
            self.say(Message::Have(piece));
            self.told_at = self.now;
        }
    }

    fn heard(&mut self, now: Moment) {
        self.now = self.now.max(now);
        self.last_heard = self.now;
    }

    fn say(&mut self, message: Message) {
        self.last_sent = self.now;
        message.encode(&mut self.out);
    }
}
