//! One conversation under any sequence of messages, orders and silences.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bitwren::Metainfo;
use bitwren::internals::bencode::Encoder;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{Claim, LeaseId, OpenPiece, PieceJob};
use bitwren::internals::moment::Moment;
use bitwren::internals::orders::{Order, Report};
use bitwren::internals::peer::session::{BlockOutcome, ExtensionSetup, Session, Setup};
use bitwren::internals::peer::upload::UploadQueue;
use bitwren::internals::pieces::{BLOCK, BlockRef, Pieces};
use bitwren::internals::wire::extended::{ExtendedHandshake, Extensions};
use bitwren::internals::wire::frame::{Buffers, Frame, FrameReader};
use bitwren::internals::wire::message::Message;
use bitwren::internals::wire::pex::PexMessage;

use super::Script;

const PIECES: u32 = 20;
const BLOCKS: u32 = 6;

static METAINFO: LazyLock<Arc<Metainfo>> = LazyLock::new(|| {
    let mut encoder = Encoder::new();
    encoder.dict(|outer| {
        outer.dict("info", |info| {
            info.int("length", i64::from(PIECES * BLOCKS * BLOCK) - 7);
            info.bytes("name", "name");
            info.int("piece length", (BLOCKS * BLOCK).into());
            info.bytes("pieces", [3; 20 * PIECES as usize]);
        });
    });
    Arc::new(Metainfo::from_bytes(&encoder.finish()).expect("it is a torrent"))
});

struct SessionUnderTest {
    session: Session,
    /// The peer chokes us.
    choking: bool,
    pieces: Pieces,
    now: Moment,
    cap: usize,
    /// What the peer may know that we have.
    ours: Bitfield,
    /// All that was ever leased.
    claims: Vec<Arc<Claim>>,
    /// Pieces that may be requested of a peer that chokes us.
    allowed: BTreeSet<u32>,
    /// Leases that were given and not returned.
    leases: BTreeMap<LeaseId, Arc<Claim>>,
    /// Pieces being downloaded, and the first block that no claim covers.
    open: BTreeMap<u32, (Arc<OpenPiece>, u32)>,
    /// Pieces that were begun more than once.
    anew: BTreeSet<u32>,
    next_lease: u64,
    /// Requests that were made, the last ones.
    requested: Vec<BlockRef>,
}

pub fn session(data: &[u8]) {
    let mut script = Script::new(data);
    let pieces = METAINFO.pieces();
    let mut ours = Bitfield::empty(PIECES);
    let mask = script.word();
    (0..PIECES).filter(|piece| mask >> piece & 1 == 1).for_each(|piece| _ = ours.insert(piece));
    let (fast, extended) = (script.bit(), script.bit());
    let handshake = ExtendedHandshake { m: Extensions::OURS, ..ExtendedHandshake::default() };
    let cap = 1 + script.below(40);
    let setup = Setup {
        pieces: Some(pieces),
        info_hash: METAINFO.info_hash(),
        peer_ip: IpAddr::from([80, 4, 4, 200]),
        fast,
        extension_setup: extended.then(|| ExtensionSetup { handshake, metainfo: Some(METAINFO.clone()) }),
        have: ours.clone(),
        request_cap: cap,
    };
    let now = Moment::from_secs(1000);
    let mut world = SessionUnderTest {
        session: Session::new(setup, now),
        choking: true,
        pieces,
        now,
        // A peer may say how many it takes, and is believed up to this many.
        cap: if extended { 2_000 } else { cap as usize },
        ours,
        claims: Vec::new(),
        allowed: BTreeSet::new(),
        leases: BTreeMap::new(),
        open: BTreeMap::new(),
        anew: BTreeSet::new(),
        next_lease: 0,
        requested: Vec::new(),
    };
    while !script.is_over() {
        let goes_on = world.step(&mut script);
        world.look();
        if !goes_on {
            break;
        }
    }
    world.end();
}

impl SessionUnderTest {
    /// False where the conversation is over.
    fn step(&mut self, script: &mut Script<'_>) -> bool {
        match script.below(16) {
            0 => {
                let (id, body) = (script.byte() % 22, script.bytes());
                match Message::decode(id, body) {
                    Ok(message) => self.hear(message),
                    Err(_) => true,
                }
            }
            1 => self.hear(self.message(script)),
            2 => self.hear(Message::Unchoke),
            3 => self.hear(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec())),
            4..=6 => {
                self.give(script);
                true
            }
            7 | 8 => {
                let block = self.block(script);
                self.deliver(block)
            }
            9 => {
                let block = self.block(script);
                self.hear(Message::Reject(block))
            }
            10 => {
                self.now = self.now + Duration::from_millis(u64::from(script.byte()) * 100);
                self.pass()
            }
            11 => {
                self.now = self.now.max(self.session.deadline());
                self.pass()
            }
            12 => {
                self.order(script);
                true
            }
            13 => {
                self.others(script);
                true
            }
            14 => {
                self.session.next_upload();
                true
            }
            _ => {
                match script.below(2) {
                    0 => self.session.excuse(self.now),
                    _ => self.session.tell_dht_port(6881),
                }
                true
            }
        }
    }

    fn message(&self, script: &mut Script<'_>) -> Message {
        let piece = script.below(PIECES + 1);
        match script.below(9) {
            0 => Message::Choke,
            1 => Message::Have(piece),
            2 => Message::AllowedFast(piece),
            3 => Message::Suggest(piece),
            4 => Message::Interested,
            5 => Message::Request(BlockRef { piece, begin: script.below(7) * BLOCK, length: BLOCK }),
            6 => Message::Cancel(BlockRef { piece, begin: script.below(7) * BLOCK, length: BLOCK }),
            7 => Message::Extended { id: 3, payload: piece.to_be_bytes().to_vec() },
            _ => Message::HaveAll,
        }
    }

    fn hear(&mut self, message: Message) -> bool {
        self.session.on_message(message, self.now).is_ok()
    }

    /// A block that was requested, or any.
    fn block(&mut self, script: &mut Script<'_>) -> BlockRef {
        let nth = script.byte() as usize;
        if nth < 240 && !self.requested.is_empty() {
            return self.requested.remove(nth % self.requested.len());
        }
        let piece = script.below(PIECES);
        self.pieces.block(piece, script.below(BLOCKS) % self.pieces.blocks(piece))
    }

    fn deliver(&mut self, block: BlockRef) -> bool {
        let index = self.pieces.block_index(block).expect("a block of the torrent");
        let had = self.open.get(&block.piece).is_some_and(|(open, _)| open.has(index));
        match self.session.on_block(block, self.now) {
            Ok(BlockOutcome::Ours) => {
                // What was asked for before the piece was begun anew is a piece of its own.
                assert!(!had || self.anew.contains(&block.piece), "the first to deliver what is there");
                true
            }
            Ok(BlockOutcome::Duplicate | BlockOutcome::Unrequested) => true,
            Err(_) => false,
        }
    }

    fn pass(&mut self) -> bool {
        let goes_on = self.session.on_time(self.now).is_ok();
        assert!(!goes_on || self.session.deadline() > self.now, "it is never done");
        goes_on
    }

    /// The foreman leases blocks of a piece that the peer has.
    fn give(&mut self, script: &mut Script<'_>) {
        let piece = script.below(PIECES);
        if !self.session.has().has(piece) || self.ours.has(piece) {
            return;
        }
        let blocks = self.pieces.blocks(piece);
        let fresh = || (Arc::new(OpenPiece::new(piece, blocks)), 0);
        let (open, first) = self.open.entry(piece).or_insert_with(fresh);
        if *first == blocks {
            // All leases are over: what is missing is free. What has nothing is forgotten.
            if self.leases.values().all(|claim| claim.piece().index() != piece) {
                *first = 0;
                if open.missing() == blocks {
                    self.open.remove(&piece);
                    self.anew.insert(piece);
                }
            }
            return;
        }
        let end = (*first + 1 + script.below(BLOCKS)).min(blocks);
        let claim = Arc::new(Claim::new(open.clone(), *first..end));
        *first = end;
        let lease = LeaseId(self.next_lease);
        self.next_lease += 1;
        self.leases.insert(lease, claim.clone());
        self.claims.push(claim.clone());
        let order = Order::Take(PieceJob { lease, claim });
        self.session.on_order(order, self.now);
    }

    fn order(&mut self, script: &mut Script<'_>) {
        let on = script.bit();
        let order = match script.below(5) {
            0 => Order::Interested(on),
            1 => Order::Choke(on),
            2 => Order::UploadOnly(on),
            3 => Order::Exchange(Arc::new(PexMessage::default())),
            _ => {
                let piece = script.below(PIECES);
                self.ours.insert(piece);
                Order::Show(Arc::new([piece]))
            }
        };
        self.session.on_order(order, self.now);
    }

    /// Others deliver, or take a part of what is leased here; a piece may be verified by that.
    fn others(&mut self, script: &mut Script<'_>) {
        let piece = script.below(PIECES);
        if script.bit() {
            let claim = self.leases.values().find(|claim| claim.piece().index() == piece);
            claim.and_then(|claim| claim.cut(script.below(4)));
        } else if let Some((open, _)) = self.open.get(&piece) {
            (0..script.below(BLOCKS + 1).min(open.blocks())).for_each(|block| _ = open.receive(block));
        }
        if self.open.get(&piece).is_some_and(|(open, _)| open.missing() == 0) {
            self.open.remove(&piece);
            self.ours.insert(piece);
            self.session.announce(&[piece]);
        }
    }

    /// What must hold after every step.
    fn look(&mut self) {
        assert!(self.session.outstanding() <= self.cap, "too many requests");
        assert!(self.session.uploads() <= UploadQueue::BOUND);
        for report in self.session.reports() {
            match report {
                Report::Returned(lease) => {
                    assert!(self.leases.remove(&lease).is_some(), "{lease:?} is returned twice");
                }
                Report::Choking(choking) => self.choking = choking,
                Report::AllowedFast(piece) => _ = self.allowed.insert(piece),
                Report::WantsBlocks(blocks) => assert!(blocks > 0 && blocks < 4_000),
                Report::Have(piece) | Report::Lost(piece) | Report::Suggested(piece) => {
                    assert!(piece < PIECES);
                }
                _ => {}
            }
        }
        let bytes = std::mem::take(self.session.outgoing());
        let mut frames = FrameReader::new(bytes.as_slice(), 1 << 20);
        let mut again = Vec::new();
        while let Ok(Frame::Message(message)) = frames.next(&mut NoBuffers) {
            message.encode(&mut again);
            self.said(message);
        }
        assert_eq!(again, bytes, "what is sent is whole messages");
    }

    fn said(&mut self, message: Message) {
        match message {
            Message::Have(piece) => assert!(self.ours.has(piece)),
            Message::Bitfield(bits) => {
                let told = Bitfield::from_bytes(bits, PIECES).expect("a bitfield of the right size");
                assert!(told.iter().all(|piece| self.ours.has(piece)));
            }
            Message::HaveAll => assert!(self.ours.is_full()),
            Message::Request(block) => {
                let index = self.pieces.block_index(block).expect("a block of the torrent");
                let claims = self.claims.iter().filter(|claim| claim.piece().index() == block.piece);
                assert!(claims.into_iter().any(|claim| claim.requested().contains(&index)), "not leased");
                assert!(self.session.has().has(block.piece), "the peer lacks it");
                assert!(!self.choking || self.allowed.contains(&block.piece), "it chokes us");
                self.requested.push(block);
            }
            Message::Suggest(_) | Message::Unknown(_) => panic!("we do not say that"),
            Message::HaveNone | Message::Reject(_) | Message::AllowedFast(_) => assert!(self.session.fast()),
            _ => {}
        }
    }

    /// The end of the conversation is the end of every lease.
    fn end(&mut self) {
        self.session.end();
        self.look();
        assert_eq!(self.session.leases().count(), 0);
        for (lease, claim) in &self.leases {
            let missing = claim.range().any(|block| !claim.piece().has(block));
            assert!(!missing, "{lease:?} ended in silence");
        }
    }
}

struct NoBuffers;

impl Buffers for NoBuffers {
    type Buffer = [u8; 0];

    fn take(&mut self, _: bool) -> [u8; 0] {
        panic!("a conversation sends no blocks by itself")
    }
}
