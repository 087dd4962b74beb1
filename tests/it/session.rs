//! Conversations with scripted peers, in virtual time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bitwren::InfoHash;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{Claim, LeaseId, OpenPiece, PieceJob};
use bitwren::internals::moment::Moment;
use bitwren::internals::orders::{Order, Report};
use bitwren::internals::peer::allowed_fast;
use bitwren::internals::peer::session::{Introduction, Receipt, Session, Setup};
use bitwren::internals::peer::upload::UploadQueue;
use bitwren::internals::pieces::{BLOCK, BlockRef, Pieces};
use bitwren::internals::random::Random;
use bitwren::internals::wire::frame::{Buffers, Frame, FrameReader};
use bitwren::internals::wire::message::Message;
use bitwren::{DisconnectReason, Violation};

mod extended;

const PIECES: u32 = 40;
/// Blocks of every piece but the last, which has one block less and a short one.
const BLOCKS: u32 = 16;

fn pieces() -> Pieces {
    let length = u64::from(BLOCKS * BLOCK);
    Pieces::new(u64::from(PIECES) * length - u64::from(BLOCK) - 100, length).unwrap()
}

struct World {
    session: Session,
    uploads: UploadQueue,
    now: Moment,
    next_lease: u64,
}

struct NoBuffers;

impl Buffers for NoBuffers {
    type Buffer = [u8; 0];

    fn take(&mut self, _: bool) -> [u8; 0] {
        panic!("a session sends no blocks")
    }
}

impl World {
    fn with(fast: bool, have: Bitfield, request_cap: u32) -> World {
        World::introduced(fast, have, request_cap, None)
    }

    fn introduced(fast: bool, have: Bitfield, request_cap: u32, introduction: Option<Introduction>) -> World {
        let now = Moment::from_secs(1000);
        let setup = Setup {
            pieces: pieces(),
            info_hash: InfoHash::from_bytes([0xAA; 20]),
            peer_ip: IpAddr::from([80, 4, 4, 200]),
            fast,
            introduction,
            have,
            request_cap,
        };
        World { session: Session::new(setup, now), uploads: UploadQueue::default(), now, next_lease: 1 }
    }

    fn new(fast: bool) -> World {
        World::with(fast, Bitfield::empty(PIECES), 500)
    }

    /// A peer that has everything, does not choke us, and is told that we are interested.
    fn with_seed(fast: bool) -> World {
        let mut world = World::new(fast);
        world.hears(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec()));
        world.hears(Message::Unchoke);
        world.order(Order::Interested(true));
        world.said();
        world.reports();
        world
    }

    fn hear(&mut self, message: Message) -> Result<(), Violation> {
        self.session.on_message(message, &mut self.uploads, self.now)
    }

    fn hears(&mut self, message: Message) {
        self.hear(message.clone()).unwrap_or_else(|misdeed| panic!("{message:?}: {misdeed}"));
    }

    fn order(&mut self, order: Order) {
        self.session.on_order(order, &mut self.uploads, self.now);
    }

    /// Gives a lease, and lets the session settle.
    fn lease(&mut self, piece: &Arc<OpenPiece>, blocks: std::ops::Range<u32>) -> (LeaseId, Arc<Claim>) {
        let lease = self.give(piece, blocks);
        assert_eq!(self.session.deadline(), self.now);
        self.session.on_time(self.now).unwrap();
        lease
    }

    fn give(&mut self, piece: &Arc<OpenPiece>, blocks: std::ops::Range<u32>) -> (LeaseId, Arc<Claim>) {
        let claim = Arc::new(Claim::new(piece.clone(), blocks));
        let lease = LeaseId(self.next_lease);
        self.next_lease += 1;
        self.order(Order::Take(PieceJob { lease, claim: claim.clone() }));
        (lease, claim)
    }

    fn block(&mut self, piece: u32, block: u32) -> Receipt {
        self.session.on_block(pieces().block(piece, block), self.now).unwrap()
    }

    /// What was said since the last look.
    fn said(&mut self) -> Vec<Message> {
        let bytes = std::mem::take(self.session.outgoing());
        let mut frames = FrameReader::new(bytes.as_slice(), 1 << 20);
        let mut said = Vec::new();
        while let Ok(Frame::Message(message)) = frames.next(&mut NoBuffers) {
            said.push(message);
        }
        let mut again = Vec::new();
        said.iter().for_each(|message| message.encode(&mut again));
        assert_eq!(again, bytes);
        said
    }

    /// The blocks of the requests made since the last look; nothing else was said.
    fn requested(&mut self) -> Vec<(u32, u32)> {
        let request = |message| match message {
            Message::Request(block) => (block.piece, pieces().block_index(block).expect("a block")),
            other => panic!("{other:?}"),
        };
        self.said().into_iter().map(request).collect()
    }

    fn reports(&mut self) -> Vec<Report> {
        self.session.reports().collect()
    }

    /// Time passes; the session is called whenever it wants to be.
    fn pass(&mut self, time: Duration) -> Result<(), DisconnectReason> {
        let end = self.now + time;
        while self.session.deadline() <= end {
            self.now = self.now.max(self.session.deadline());
            self.session.on_time(self.now)?;
            assert!(self.session.deadline() > self.now, "it spins");
        }
        self.now = end;
        Ok(())
    }
}

fn open(piece: u32) -> Arc<OpenPiece> {
    Arc::new(OpenPiece::new(piece, pieces().blocks(piece)))
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn request(piece: u32, block: u32) -> BlockRef {
    pieces().block(piece, block)
}

fn some_pieces(indices: &[u32]) -> Bitfield {
    let mut set = Bitfield::empty(PIECES);
    indices.iter().for_each(|piece| assert!(set.insert(*piece)));
    set
}

#[test]
fn it_begins_with_what_we_have() {
    let first = |fast, have: &Bitfield| World::with(fast, have.clone(), 1).said();
    let (none, some, all) = (Bitfield::empty(PIECES), some_pieces(&[0, 9]), Bitfield::full(PIECES));
    let bits = |set: &Bitfield| vec![Message::Bitfield(set.as_bytes().to_vec())];
    assert_eq!(first(true, &none), [Message::HaveNone]);
    assert_eq!(first(true, &all), [Message::HaveAll]);
    assert_eq!(first(true, &some), bits(&some));
    assert_eq!(first(false, &none), []);
    assert_eq!(first(false, &all), bits(&all));
    assert_eq!(first(false, &some), bits(&some));
}

#[test]
fn what_the_peer_has_may_be_told_late_and_again() {
    let bits = |pieces: &[u32]| Message::Bitfield(some_pieces(pieces).as_bytes().to_vec());
    let mut world = World::new(true);
    // Some clients say other things before it.
    for first in
        [Message::KeepAlive, Message::Extended { id: 0, payload: vec![] }, Message::Port(1), Message::Unchoke]
    {
        world.hears(first);
    }
    let told = |world: &mut World, message| {
        world.hears(message);
        world
            .reports()
            .into_iter()
            .filter_map(|report| if let Report::Has(set) = report { Some(set) } else { None })
            .next_back()
    };
    assert_eq!(told(&mut world, bits(&[3])), Some(some_pieces(&[3])));
    // aria2 sends it again instead of many `have`s. It only ever adds.
    for nothing_new in [bits(&[3]), bits(&[]), Message::HaveNone] {
        assert_eq!(told(&mut world, nothing_new), None);
    }
    assert_eq!(told(&mut world, bits(&[4])), Some(some_pieces(&[3, 4])));
    assert!(told(&mut world, Message::HaveAll).is_some_and(|all| all.is_full()));
    let mut world = World::new(false);
    world.hears(Message::Have(7));
    assert_eq!(told(&mut world, bits(&[3])), Some(some_pieces(&[3, 7])));
    for wrong in [vec![], vec![0; 4], vec![0; 6]] {
        assert_eq!(World::new(false).hear(Message::Bitfield(wrong)), Err(Violation::BadBitfield));
    }
}

/// From the recorded frames: a bitfield of 81 06 sets spare bits in a torrent of ten pieces.
#[test]
fn spare_bits_in_a_bitfield_are_a_misdeed() {
    let pieces = Pieces::new(10, 1).unwrap();
    let setup = Setup {
        pieces,
        info_hash: InfoHash::from_bytes([0; 20]),
        peer_ip: IpAddr::from([127, 0, 0, 1]),
        fast: false,
        introduction: None,
        have: Bitfield::empty(10),
        request_cap: 1,
    };
    let mut session = Session::new(setup, Moment::START);
    let heard =
        session.on_message(Message::Bitfield(vec![0x81, 0x06]), &mut UploadQueue::default(), Moment::START);
    assert_eq!(heard, Err(Violation::BadBitfield));
}

#[test]
fn nonsense_has_a_name() {
    let far = BlockRef { piece: 0x3030_3030, begin: 0, length: BLOCK };
    for message in [
        Message::Have(PIECES),
        Message::Suggest(PIECES),
        Message::AllowedFast(far.piece),
        Message::Request(far),
        Message::Cancel(far),
    ] {
        assert_eq!(World::new(true).hear(message.clone()), Err(Violation::IndexOutOfRange), "{message:?}");
    }
    for fast in [
        Message::Suggest(0),
        Message::HaveAll,
        Message::HaveNone,
        Message::Reject(far),
        Message::AllowedFast(0),
    ] {
        assert_eq!(World::new(false).hear(fast.clone()), Err(Violation::FastNotAgreed), "{fast:?}");
    }
    for (begin, length) in
        [(0, 0), (0, 128 * 1024 + 1), (BLOCKS * BLOCK, 1), (u32::MAX, u32::MAX), (1, u32::MAX)]
    {
        let block = BlockRef { piece: 0, begin, length };
        let mut world = World::with(true, Bitfield::full(PIECES), 1);
        assert_eq!(world.hear(Message::Request(block)), Err(Violation::BadRequest), "{block:?}");
    }
}

#[test]
fn what_changes_nothing_is_not_passed_on() {
    let mut world = World::new(true);
    for message in [
        Message::Have(1),
        Message::Have(1),
        Message::Choke,
        Message::Interested,
        Message::Interested,
        Message::NotInterested,
        Message::NotInterested,
        Message::Suggest(4),
        Message::Unknown(99),
    ] {
        world.hears(message);
    }
    assert_eq!(
        world.reports(),
        [Report::Have(1), Report::Interested(true), Report::Interested(false), Report::Suggested(4)]
    );
    world.said();
    for order in [true, true, false, false].map(Order::Interested) {
        world.order(order);
    }
    for order in [true, false, false, true, true].map(Order::Choke) {
        world.order(order);
    }
    use Message::{Choke, Interested, NotInterested, Unchoke};
    assert_eq!(world.said(), [Interested, NotInterested, Unchoke, Choke]);
}

#[test]
fn useless_talk_without_end_is_a_flood() {
    for message in
        [Message::Have(0), Message::KeepAlive, Message::Unknown(200), Message::Cancel(request(0, 0))]
    {
        let mut world = World::new(true);
        let burst = (0..20_000).position(|_| world.hear(message.clone()) == Err(Violation::Flood));
        assert!((9_000..11_000).contains(&burst.unwrap()), "{message:?}");
    }
    // Choking and unchoking changes something each time, and gets nobody anywhere.
    let mut world = World::new(true);
    let toggled = (0..20_000).position(|nth| {
        let message = if nth % 2 == 0 { Message::Unchoke } else { Message::Choke };
        world.hear(message) == Err(Violation::Flood)
    });
    assert!(toggled.is_some());
}

#[test]
fn a_hungry_session_is_fed_and_keeps_its_pipeline_full() {
    let mut world = World::new(false);
    world.hears(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec()));
    assert_eq!(world.reports(), [Report::Has(Bitfield::full(PIECES))]);
    world.hears(Message::Unchoke);
    let [Report::Choking(false), Report::WantsBlocks(n)] = world.reports()[..] else { panic!("not hungry") };
    assert!((8..=16).contains(&n), "{n}");
    // Not again until something changes.
    world.hears(Message::KeepAlive);
    assert_eq!(world.reports(), []);
    world.said();

    let (one, two) = (open(0), open(5));
    world.lease(&one, 0..BLOCKS);
    assert_eq!(world.requested(), (0..8).map(|block| (0, block)).collect::<Vec<_>>());
    assert_eq!(world.reports(), []);
    world.lease(&two, 4..8);
    // In the order of the leases; one more for each while the pipeline grows.
    let mut asked: VecDeque<_> = (0..8).map(|block| (0, block)).collect();
    let (mut order, mut hungry) = (asked.clone(), 0);
    while let Some((piece, block)) = asked.pop_front() {
        world.now = world.now + Duration::from_millis(1);
        assert_eq!(world.block(piece, block), Receipt::Ours);
        let more = world.requested();
        assert!(more.len() <= 2);
        asked.extend(&more);
        order.extend(&more);
        hungry += world.reports().iter().filter(|report| matches!(report, Report::WantsBlocks(_))).count();
    }
    let all = (0..BLOCKS).map(|block| (0, block)).chain((4..8).map(|block| (5, block)));
    assert_eq!(order, all.collect::<VecDeque<_>>());
    // Once when it ran low, and once when nothing was left to come.
    assert_eq!((one.missing(), two.missing(), hungry), (0, BLOCKS - 4, 2));
    // Both leases ended without a word.
    world.session.end();
    assert_eq!(world.reports(), []);
}

/// Leases come in bursts: only after the last of them is it said how much more there could be.
#[test]
fn hunger_is_reported_once_for_a_burst_of_leases() {
    let mut world = World::with_seed(false);
    for piece in 0..5 {
        world.give(&open(piece), 0..1);
    }
    assert_eq!((world.requested().len(), world.reports()), (5, vec![]));
    world.pass(Duration::ZERO).unwrap();
    assert!(matches!(world.reports()[..], [Report::WantsBlocks(_)]));
    world.pass(secs(5)).unwrap();
    assert_eq!(world.reports(), []);
}

#[test]
fn the_cap_holds() {
    for cap in [1, 5, 30] {
        let mut world = World::with(false, Bitfield::empty(PIECES), cap);
        world.hears(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec()));
        world.hears(Message::Unchoke);
        let mut asked = VecDeque::new();
        for piece in 0..30 {
            world.lease(&open(piece), 0..BLOCKS);
        }
        for _ in 0..400 {
            asked.extend(world.requested());
            assert_eq!(asked.len(), world.session.outstanding());
            assert!(asked.len() <= cap as usize);
            world.now = world.now + Duration::from_millis(1);
            let (piece, block) = asked.pop_front().expect("a request");
            world.block(piece, block);
        }
        asked.extend(world.requested());
        assert_eq!(asked.len(), cap as usize, "the cap is reached");
    }
}

#[test]
fn a_choke_returns_what_was_leased() {
    for fast in [false, true] {
        let mut world = World::with_seed(fast);
        let piece = open(2);
        let (lease, _) = world.lease(&piece, 0..BLOCKS);
        assert_eq!(world.requested().len(), 8);
        assert_eq!(world.block(2, 0), Receipt::Ours);
        world.said();
        world.reports();
        world.hears(Message::Choke);
        assert_eq!(world.reports(), [Report::Choking(true), Report::Returned(lease)]);
        assert_eq!(world.session.outstanding(), 0);
        // On its way when the peer choked: welcome if nobody was faster.
        assert_eq!(world.block(2, 1), Receipt::Ours);
        assert!(piece.receive(2));
        assert_eq!(world.block(2, 2), Receipt::Duplicate);
        if fast {
            (3..8).for_each(|block| world.hears(Message::Reject(request(2, block))));
        }
        assert_eq!((world.said(), world.reports()), (vec![], vec![]));
        // A lease that crossed the choke comes back at once.
        let (late, _) = world.lease(&piece, 3..BLOCKS);
        assert_eq!(world.reports(), [Report::Returned(late)]);
        world.hears(Message::Unchoke);
        assert!(matches!(world.reports()[..], [Report::Choking(false), Report::WantsBlocks(_)]));
        world.lease(&piece, 3..BLOCKS);
        assert_eq!(world.requested()[0], (2, 3));
    }
}

#[test]
fn allowed_fast_pieces_are_fetched_while_choked() {
    let mut world = World::new(true);
    world.hears(Message::HaveAll);
    world.said();
    assert_eq!(world.reports().len(), 1);
    world.hears(Message::AllowedFast(6));
    world.hears(Message::AllowedFast(6));
    assert!(matches!(world.reports()[..], [Report::AllowedFast(6), Report::WantsBlocks(_)]));
    let (given, _) = world.lease(&open(5), 0..BLOCKS);
    assert!(world.reports().contains(&Report::Returned(given)));
    let (_, claim) = world.lease(&open(6), 0..BLOCKS);
    assert_eq!(world.requested().len(), 8);
    // A choke does not touch them.
    world.hears(Message::Unchoke);
    let (lost, _) = world.lease(&open(7), 0..BLOCKS);
    world.reports();
    world.hears(Message::Choke);
    assert!(world.reports().starts_with(&[Report::Choking(true), Report::Returned(lost)]));
    assert_eq!(world.session.outstanding() as u32, claim.requested().len() as u32);
    for block in 0..BLOCKS {
        world.now = world.now + Duration::from_millis(1);
        assert_eq!(world.block(6, block), Receipt::Ours);
    }
    // Verified: nothing is allowed that we still lack, so there is no more hunger.
    world.reports();
    world.session.announce(&[6]);
    world.hears(Message::Suggest(6));
    assert_eq!(world.reports(), [Report::Suggested(6)]);
}

#[test]
fn a_rejection_returns_the_lease_once_the_rest_is_there() {
    let mut world = World::with_seed(true);
    let piece = open(1);
    let (lease, claim) = world.lease(&piece, 0..12);
    assert_eq!(world.requested().len(), 8);
    world.hears(Message::Reject(request(1, 3)));
    for block in [0, 1, 2, 4, 5, 6, 7] {
        assert!(!world.reports().contains(&Report::Returned(lease)));
        world.block(1, block);
    }
    // It asked for nothing more of that lease, and asks for work again.
    assert_eq!(world.said(), []);
    assert!(matches!(world.reports()[..], [Report::Returned(l), Report::WantsBlocks(_)] if l == lease));
    assert_eq!((claim.unrequested(), piece.missing()), (4, BLOCKS - 7));
}

/// A peer that rejects whatever it is asked is asked ever more slowly, and dropped in the end.
#[test]
fn a_peer_that_rejects_everything_is_not_asked_in_a_tight_circle() {
    let mut world = World::with_seed(true);
    let (mut rejected, mut asked) = (0, 0);
    let start = world.now;
    let misdeed = 'talk: loop {
        assert!(asked < 5_000);
        if world.reports().iter().any(|report| matches!(report, Report::WantsBlocks(_))) || asked == 0 {
            asked += 1;
            let piece = open(asked % PIECES);
            let blocks = piece.blocks();
            world.lease(&piece, 0..blocks);
        }
        for (piece, block) in world.requested() {
            rejected += 1;
            if let Err(misdeed) = world.hear(Message::Reject(request(piece, block))) {
                break 'talk misdeed;
            }
        }
        world.pass(Duration::from_millis(1)).unwrap();
        // It goes on talking, now and then.
        if (world.now - start).as_millis() % 1000 == 0 {
            world.hears(Message::KeepAlive);
        }
    };
    assert_eq!(misdeed, Violation::NeverDelivers);
    assert!(world.now - start > secs(60), "{:?} for {rejected}", world.now - start);
}

#[test]
fn rejecting_what_was_never_asked_for_is_a_misdeed() {
    let mut world = World::with_seed(true);
    let nth = (0..1000).position(|_| world.hear(Message::Reject(request(0, 0))) == Err(Violation::BadReject));
    assert_eq!(nth, Some(64));
}

#[test]
fn unrequested_blocks_are_let_pass_for_a_while() {
    let mut world = World::with_seed(false);
    world.lease(&open(0), 0..4);
    for odd in [
        request(9, 0),
        BlockRef { begin: 1, ..request(0, 0) },
        BlockRef { length: 5, ..request(0, 0) },
        BlockRef { piece: u32::MAX, begin: u32::MAX, length: 1 },
    ] {
        assert_eq!(world.session.on_block(odd, world.now), Ok(Receipt::Unrequested));
    }
    assert_eq!(world.block(0, 0), Receipt::Ours);
    // The same again is one of them.
    assert_eq!(world.block(0, 0), Receipt::Unrequested);
    let nth = (0..1000)
        .position(|_| world.session.on_block(request(9, 0), world.now) == Err(Violation::UnrequestedBlock));
    // What came as asked makes up for a sixteenth of one.
    assert_eq!(nth, Some(59));
}

/// One for one they would make up for each other, and half of what comes would be of no use.
#[test]
fn blocks_sent_twice_are_a_misdeed() {
    let mut world = World::with_seed(false);
    let twice =
        (0..20).flat_map(|piece| (0..4).map(move |block| (piece, block))).position(|(piece, block)| {
            if block == 0 {
                world.lease(&open(piece), 0..4);
            }
            assert_eq!(world.block(piece, block), Receipt::Ours);
            world.session.on_block(request(piece, block), world.now).is_err()
        });
    assert_eq!(twice, Some(68));
}

#[test]
fn what_others_delivered_is_cancelled() {
    for fast in [false, true] {
        let mut world = World::with_seed(fast);
        let piece = open(3);
        world.lease(&piece, 0..8);
        assert_eq!(world.requested().len(), 8);
        assert!([1, 2, 7].map(|block| piece.receive(block)).iter().all(|first| *first));
        world.now = world.now + Duration::from_millis(20);
        assert_eq!(world.block(3, 0), Receipt::Ours);
        assert_eq!(world.said(), [1, 2, 7].map(|block| Message::Cancel(request(3, block))));
        assert_eq!(world.session.outstanding(), 4);
        // It may have been on its way, or be rejected: all as it should be.
        assert_eq!(world.block(3, 1), Receipt::Duplicate);
        if fast {
            world.hears(Message::Reject(request(3, 2)));
        }
        // The piece is verified: the rest is cancelled at once.
        (3..7).for_each(|block| assert!(piece.receive(block)));
        world.session.announce(&[3]);
        assert_eq!(world.said(), [3, 4, 5, 6].map(|block| Message::Cancel(request(3, block))));
        world.session.end();
        assert!(!world.reports().iter().any(|report| matches!(report, Report::Returned(_))));
    }
}

#[test]
fn a_stalled_peer_loses_its_leases_and_is_tried_gently() {
    let mut world = World::with_seed(false);
    let (one, two) = (open(0), open(1));
    let (first, _) = world.lease(&one, 0..BLOCKS);
    let (second, _) = world.lease(&two, 0..BLOCKS);
    world.said();
    world.reports();
    world.pass(Duration::from_millis(9_900)).unwrap();
    assert_eq!(world.reports(), []);
    world.pass(Duration::from_millis(200)).unwrap();
    assert_eq!(world.reports(), [Report::Snubbed(true), Report::Returned(first), Report::Returned(second)]);
    // It still has eight requests of ours, so it gets no others, even if it is given work.
    let (third, _) = world.lease(&two, 0..BLOCKS);
    assert_eq!((world.said(), world.reports()), (vec![], vec![]));
    // It wakes up: what it sends counts, and it is worked with again.
    world.pass(secs(30)).unwrap();
    assert_eq!(world.block(0, 0), Receipt::Ours);
    assert_eq!(world.reports()[0], Report::Snubbed(false));
    for block in 1..8 {
        world.now = world.now + Duration::from_millis(1);
        world.block(0, block);
    }
    let asked = world.requested();
    assert!(asked.starts_with(&[(1, 0), (1, 1)]), "{asked:?}");
    world.session.end();
    assert!(world.reports().contains(&Report::Returned(third)));
}

/// Some of what it owed never came. What it is asked for much later has its own time to arrive: it once was
/// late at the very moment it was asked.
#[test]
fn one_that_stalled_once_is_not_late_with_what_it_is_asked_for_anew() {
    let mut world = World::with_seed(false);
    world.lease(&open(0), 0..2);
    world.pass(secs(11)).unwrap();
    assert_eq!(world.block(0, 0), Receipt::Ours);
    world.pass(secs(30)).unwrap();
    world.said();
    world.reports();
    let (lease, _) = world.lease(&open(1), 0..1);
    assert_eq!(world.requested(), [(1, 0)]);
    world.pass(Duration::from_millis(9_900)).unwrap();
    assert!(!world.reports().contains(&Report::Snubbed(true)));
    world.pass(Duration::from_millis(200)).unwrap();
    assert_eq!(world.reports(), [Report::Snubbed(true), Report::Returned(lease)]);
}

/// Where others delivered all that a stalled peer owed, it is probed with one request.
#[test]
fn a_stalled_peer_is_probed_with_one_request() {
    let mut world = World::with_seed(false);
    let piece = open(0);
    world.lease(&piece, 0..8);
    world.said();
    world.reports();
    world.pass(secs(11)).unwrap();
    world.reports();
    (0..8).for_each(|block| assert!(piece.receive(block)));
    world.session.announce(&[0]);
    let cancels = world.said().into_iter().filter(|said| matches!(said, Message::Cancel(_)));
    assert_eq!(cancels.count(), 8);
    assert_eq!(world.reports(), [Report::WantsBlocks(1)]);
    let (probe, _) = world.lease(&open(1), 0..BLOCKS);
    assert_eq!(world.requested(), [(1, 0)]);
    world.pass(secs(11)).unwrap();
    assert_eq!(world.reports(), [Report::Returned(probe)]);
}

/// What a stalled peer owed is forgotten with a choke: it starts afresh, with one request.
#[test]
fn a_choke_ends_the_wait_for_what_a_stalled_peer_owed() {
    let mut world = World::with_seed(false);
    world.lease(&open(0), 0..8);
    world.pass(secs(11)).unwrap();
    world.hears(Message::Choke);
    world.said();
    world.reports();
    world.hears(Message::Unchoke);
    assert_eq!(world.reports(), [Report::Choking(false), Report::WantsBlocks(1)]);
    world.lease(&open(1), 0..BLOCKS);
    assert_eq!(world.requested(), [(1, 0)]);
    assert_eq!(world.block(1, 0), Receipt::Ours);
    assert_eq!(world.reports()[0], Report::Snubbed(false));
    assert_eq!(world.requested().len(), 4);
}

#[test]
fn one_that_never_delivers_is_left_and_one_that_once_did_too() {
    for (delivers, goodbye) in
        [(false, DisconnectReason::Violation(Violation::NeverDelivers)), (true, DisconnectReason::Silent)]
    {
        let mut world = World::with_seed(false);
        world.lease(&open(0), 0..BLOCKS);
        if delivers {
            world.block(0, 0);
        }
        let start = world.now;
        let why = loop {
            if let Err(why) = world.pass(secs(1)) {
                break why;
            }
            world.hears(Message::KeepAlive);
        };
        assert_eq!((why, world.now - start), (goodbye, secs(120)));
    }
}

/// It was called again and again, and nothing told why nothing came of it.
#[test]
fn one_that_answers_with_other_blocks_than_asked_is_named_when_it_stalls() {
    for (strays, named) in [(3, false), (4, true)] {
        let mut world = World::with_seed(false);
        world.lease(&open(0), 0..BLOCKS);
        (0..strays).for_each(|block| assert_eq!(world.block(1, block), Receipt::Unrequested));
        let wrong = Err(DisconnectReason::Violation(Violation::UnrequestedBlock));
        assert_eq!(world.pass(secs(11)), if named { wrong } else { Ok(()) });
    }
    // Who has sent something as asked is slow, not wrong.
    let mut world = World::with_seed(false);
    world.lease(&open(0), 0..BLOCKS);
    (0..4).for_each(|block| assert_eq!(world.block(1, block), Receipt::Unrequested));
    assert_eq!(world.block(0, 0), Receipt::Ours);
    assert_eq!(world.pass(secs(11)), Ok(()));
}

/// Found in the simulated world: rejections of what a choke had ended were taken for those of the same
/// blocks requested anew.
#[test]
fn a_late_rejection_does_not_end_what_was_asked_since() {
    let mut world = World::with_seed(true);
    world.lease(&open(0), 0..4);
    assert_eq!(world.requested().len(), 4);
    world.hears(Message::Choke);
    world.hears(Message::Unchoke);
    let piece = open(0);
    let (anew, _) = world.lease(&piece, 0..4);
    assert_eq!(world.requested().len(), 4);
    world.reports();
    (0..4).for_each(|block| world.hears(Message::Reject(pieces().block(0, block))));
    assert_eq!(world.session.outstanding(), 4);
    assert_eq!(world.session.leases().collect::<Vec<_>>(), [anew]);
    assert!((0..4).all(|block| world.block(0, block) == Receipt::Ours));
    assert!(!world.reports().contains(&Report::Returned(anew)));
}

/// Found in the simulated world: a lease of which one block was rejected and another delivered the
/// rest was returned only when the pause after the rejection was over.
#[test]
fn a_spent_lease_is_returned_as_soon_as_others_delivered_the_rest() {
    let mut world = World::with_seed(true);
    let piece = open(0);
    let (lease, _) = world.lease(&piece, 0..2);
    world.reports();
    world.hears(Message::Reject(pieces().block(0, 0)));
    assert!(!world.reports().contains(&Report::Returned(lease)));
    assert!(piece.receive(1));
    world.now = world.now + Duration::from_millis(5);
    world.session.on_time(world.now).unwrap();
    assert!(world.reports().contains(&Report::Returned(lease)));
}

/// Found in the simulated world: a peer that lost its power right after it unchoked us was banned.
#[test]
fn one_that_vanished_before_it_delivered_did_nothing_wrong() {
    let mut world = World::with_seed(false);
    world.lease(&open(0), 0..BLOCKS);
    world.pass(secs(5)).unwrap();
    world.hears(Message::Have(3));
    let why = (0..120).find_map(|_| world.pass(secs(1)).err());
    assert_eq!((why, world.now), (Some(DisconnectReason::Silent), Moment::from_secs(1120)));
}

#[test]
fn our_own_slowness_is_not_held_against_the_peer() {
    let mut world = World::with_seed(false);
    world.lease(&open(0), 0..BLOCKS);
    world.reports();
    for _ in 0..600 {
        world.pass(secs(1)).unwrap();
        world.session.excuse(world.now);
    }
    assert_eq!(world.reports(), []);
    world.pass(Duration::from_millis(10_100)).unwrap();
    assert_eq!(world.reports()[0], Report::Snubbed(true));
}

#[test]
fn silence_is_filled_and_ends_the_conversation() {
    let mut world = World::new(false);
    world.pass(secs(99)).unwrap();
    assert_eq!(world.said(), []);
    world.pass(secs(2)).unwrap();
    assert_eq!(world.said(), [Message::KeepAlive]);
    assert_eq!(world.pass(secs(100)), Err(DisconnectReason::Silent));
    assert_eq!(world.now, Moment::from_secs(1150));
    // With keep-alives it goes on for ever, at one of ours every 100 s.
    let mut world = World::new(false);
    for _ in 0..100 {
        world.pass(secs(120)).unwrap();
        world.hears(Message::KeepAlive);
    }
    assert_eq!(world.said().len(), 120);
}

#[test]
fn the_rate_is_measured_and_fades() {
    let mut world = World::with_seed(false);
    for piece in 0..20 {
        world.lease(&open(piece), 0..BLOCKS);
    }
    for nth in 0..200 {
        world.now = world.now + Duration::from_millis(50);
        let (piece, block) = (nth / BLOCKS, nth % BLOCKS);
        assert_eq!(world.block(piece, block), Receipt::Ours);
    }
    let rate = world.session.rate();
    assert!((285_000..330_000).contains(&rate), "{rate}");
    world.hears(Message::Choke);
    world.pass(secs(5)).unwrap();
    assert_eq!(world.session.rate(), 0);
}

#[test]
fn news_goes_first_to_those_who_lack_it() {
    let mut world = World::new(false);
    world.hears(Message::Bitfield(some_pieces(&[1, 2]).as_bytes().to_vec()));
    world.session.announce(&[0, 1]);
    world.session.announce(&[2, 3, 3]);
    assert_eq!(world.said(), [Message::Have(0), Message::Have(3)]);
    world.pass(secs(1)).unwrap();
    world.order(Order::HaveLog);
    assert_eq!(world.said(), [Message::Have(1), Message::Have(2)]);
}

/// Whoever seeds sees how far we are, for one write a second at most.
#[test]
fn a_seed_hears_of_many_pieces_at_once() {
    let mut world = World::with_seed(false);
    world.session.announce(&[0, 1]);
    world.session.announce(&[2]);
    assert_eq!(world.said(), []);
    world.pass(secs(1)).unwrap();
    world.order(Order::HaveLog);
    assert_eq!(world.said(), [0, 1, 2].map(Message::Have));
    world.session.announce(&[3]);
    assert_eq!(world.said(), []);
    // It may part with us once it knows that we want nothing more.
    world.order(Order::UploadOnly(true));
    assert_eq!(world.said(), [Message::Have(3)]);
}

#[test]
fn requests_are_served_when_they_should_be() {
    for fast in [false, true] {
        let mut world = World::with(fast, some_pieces(&[0, 1]), 1);
        let rejected = |blocks: &[BlockRef]| {
            blocks.iter().filter(|_| fast).map(|b| Message::Reject(*b)).collect::<Vec<_>>()
        };
        world.said();
        world.hears(Message::Interested);
        world.hears(Message::Request(request(0, 0)));
        assert_eq!(world.said(), rejected(&[request(0, 0)]), "choked");
        world.order(Order::Choke(false));
        world.said();
        for block in [request(0, 0), request(0, 1), request(0, 1), request(1, 2)] {
            world.hears(Message::Request(block));
        }
        assert_eq!((world.uploads.len(), world.said()), (3, vec![]));
        world.hears(Message::Request(request(2, 0)));
        assert_eq!(world.said(), rejected(&[request(2, 0)]), "not ours");
        world.hears(Message::Cancel(request(0, 1)));
        world.hears(Message::Cancel(request(0, 7)));
        assert_eq!(world.said(), rejected(&[request(0, 1)]));
        assert_eq!(world.uploads.pop(), Some(request(0, 0)));
        world.order(Order::Choke(true));
        let mut want = vec![Message::Choke];
        want.extend(rejected(&[request(1, 2)]));
        assert_eq!(world.said(), want);
        assert!(world.uploads.is_empty());
        // What was verified meanwhile can be had as well.
        world.session.announce(&[2]);
        world.order(Order::Choke(false));
        world.hears(Message::Request(request(2, 0)));
        assert_eq!(world.uploads.pop(), Some(request(2, 0)));
    }
}

#[test]
fn requests_without_end_are_a_misdeed() {
    for fast in [false, true] {
        // While choked.
        let mut world = World::with(fast, Bitfield::full(PIECES), 1);
        world.hears(Message::Have(0));
        let blocks = |nth: u32| BlockRef { piece: 9, begin: nth, length: 100 };
        let nth = (0..50_000).position(|nth| world.hear(Message::Request(blocks(nth))).is_err());
        assert!((1_000..5_000).contains(&nth.unwrap()));
        // Past the end of the queue.
        let mut world = World::with(fast, Bitfield::full(PIECES), 1);
        world.order(Order::Choke(false));
        let nth = (0..50_000).position(|nth| {
            let heard = world.hear(Message::Request(blocks(nth)));
            heard == Err(Violation::RequestFlood)
        });
        assert!((1_000..10_000).contains(&nth.unwrap()));
        assert_eq!(world.uploads.len(), UploadQueue::BOUND);
    }
}

/// A peer with little gets what of its allowed-fast set we have, and may request it while choked.
#[test]
fn a_newcomer_is_given_a_few_pieces() {
    let set = allowed_fast::set(10, PIECES, InfoHash::from_bytes([0xAA; 20]), [80, 4, 4, 200].into());
    let lacking = set[1];
    let mut have = Bitfield::full(PIECES);
    have.remove(lacking);
    let mut world = World::with(true, have, 1);
    world.said();
    world.hears(Message::HaveNone);
    let given: Vec<u32> = world
        .said()
        .into_iter()
        .map(|message| match message {
            Message::AllowedFast(piece) => piece,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(given, set.iter().copied().filter(|piece| *piece != lacking).collect::<Vec<_>>());
    world.hears(Message::Request(request(given[0], 0)));
    assert_eq!((world.uploads.len(), world.said()), (1, vec![]));
    // A choke after an unchoke leaves them in the queue.
    world.order(Order::Choke(false));
    world.order(Order::Choke(true));
    assert_eq!(world.uploads.pop(), Some(request(given[0], 0)));
    // There is an end to the gifts.
    let served = (0..1000)
        .filter(|nth| {
            world.hears(Message::Request(BlockRef { piece: given[1], begin: *nth, length: 10 }));
            world.uploads.pop().is_some()
        })
        .count();
    assert!((100..300).contains(&served), "{served}");

    let mut world = World::with(true, Bitfield::full(PIECES), 1);
    world.said();
    world.hears(Message::Bitfield(some_pieces(&(0..10).collect::<Vec<_>>()).as_bytes().to_vec()));
    assert_eq!(world.said(), [], "it has enough");
}

/// What the far side of the property test knows.
struct Mirror {
    /// Blocks that the session waits for, as told by what it said and reported.
    open: HashSet<BlockRef>,
    live: HashMap<LeaseId, Arc<Claim>>,
    given: Vec<(LeaseId, Arc<Claim>)>,
    allowed: HashSet<u32>,
    choking: bool,
}

impl Mirror {
    /// Takes in all that was said and reported, in the order that it counts.
    fn look(&mut self, world: &mut World, queue: &mut Vec<BlockRef>, seed: u64) {
        for report in world.reports() {
            match report {
                Report::Returned(lease) => {
                    let claim =
                        self.live.remove(&lease).unwrap_or_else(|| panic!("seed {seed}: {lease:?} twice"));
                    let still = |block: &BlockRef| {
                        self.live.values().any(|other| {
                            other.piece().index() == block.piece
                                && other.requested().contains(&(block.begin / BLOCK))
                        })
                    };
                    let index = claim.piece().index();
                    self.open.retain(|block| {
                        block.piece != index
                            || !claim.requested().contains(&(block.begin / BLOCK))
                            || still(block)
                    });
                }
                Report::Choking(choking) => self.choking = choking,
                _ => {}
            }
        }
        for message in world.said() {
            match message {
                Message::Request(block) => {
                    assert!(!self.choking || self.allowed.contains(&block.piece), "seed {seed}: choked");
                    assert!(self.open.insert(block), "seed {seed}: {block:?} is outstanding already");
                    queue.push(block);
                }
                Message::Cancel(block) => {
                    self.open.remove(&block);
                    // Half of them come too late.
                    if block.begin % 2 == 0 {
                        queue.retain(|queued| *queued != block);
                    }
                }
                _ => {}
            }
        }
        assert_eq!(self.open.len(), world.session.outstanding(), "seed {seed}");
        assert!(self.open.len() <= 60, "seed {seed}: past the cap");
    }
}

/// Whatever a peer does, and whoever else delivers: no block is outstanding twice, the cap holds,
/// and every lease ends exactly once: it is returned, or all of it has arrived.
#[test]
fn every_lease_ends_exactly_once() {
    for seed in 0..400 {
        let mut random = Random::seeded(seed);
        let fast = seed % 2 == 0;
        let mut world = World::with(fast, Bitfield::empty(PIECES), 60);
        let mut mirror = Mirror {
            open: HashSet::new(),
            live: HashMap::new(),
            given: Vec::new(),
            allowed: HashSet::new(),
            choking: true,
        };
        let mut queue = Vec::new();
        let open: Vec<_> = (0..PIECES).map(open).collect();
        world.hears(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec()));
        let steps = 600;
        for _ in 0..steps {
            mirror.look(&mut world, &mut queue, seed);
            let piece = random.below(6) as u32;
            match random.below(40) {
                0 => {
                    world.hears(Message::Choke);
                    if fast {
                        for block in queue.split_off(0) {
                            if mirror.allowed.contains(&block.piece) {
                                queue.push(block);
                            } else {
                                mirror.look(&mut world, &mut Vec::new(), seed);
                                world.hears(Message::Reject(block));
                            }
                        }
                    } else if random.below(2) == 0 {
                        queue.clear();
                    }
                }
                1..=4 => world.hears(Message::Unchoke),
                5 if fast => {
                    world.hears(Message::AllowedFast(piece));
                    mirror.allowed.insert(piece);
                }
                6..=13 => {
                    // Leases that overlap, as in an endgame, among them.
                    let piece = &open[piece as usize];
                    let from = random.below(u64::from(piece.blocks())) as u32;
                    let to = from + 1 + random.below(u64::from(piece.blocks() - from)) as u32;
                    let (lease, claim) = world.give(piece, from..to);
                    mirror.live.insert(lease, claim.clone());
                    mirror.given.push((lease, claim));
                }
                14 => {
                    if let Some((_, claim)) = mirror.given.last() {
                        claim.cut(random.below(10) as u32);
                    }
                }
                15..=17 => {
                    // Another peer delivers.
                    let piece = &open[piece as usize];
                    piece.receive(random.below(u64::from(piece.blocks())) as u32);
                }
                18 => {
                    let end = world.now + Duration::from_millis(random.below(14_000));
                    let mut over = false;
                    while world.session.deadline() <= end && !over {
                        world.now = world.now.max(world.session.deadline());
                        over = world.session.on_time(world.now).is_err();
                        mirror.look(&mut world, &mut queue, seed);
                    }
                    world.now = world.now.max(end);
                    if over {
                        break;
                    }
                }
                19 if fast && !queue.is_empty() => {
                    let block = queue.swap_remove(random.below(queue.len() as u64) as usize);
                    world.hears(Message::Reject(block));
                    mirror.open.remove(&block);
                }
                _ => {
                    world.now = world.now + Duration::from_micros(random.below(30_000));
                    if !queue.is_empty() {
                        let at =
                            if random.below(8) == 0 { random.below(queue.len() as u64) as usize } else { 0 };
                        let block = queue.remove(at);
                        let had = open[block.piece as usize].has(block.begin / BLOCK);
                        let receipt = world.session.on_block(block, world.now).unwrap();
                        assert_eq!(
                            receipt,
                            if had { Receipt::Duplicate } else { Receipt::Ours },
                            "seed {seed}"
                        );
                        mirror.open.remove(&block);
                    }
                }
            }
        }
        mirror.look(&mut world, &mut queue, seed);
        world.session.end();
        mirror.look(&mut world, &mut queue, seed);
        assert_eq!(world.session.outstanding(), 0);
        for (lease, claim) in &mirror.given {
            let whole = claim.range().all(|block| claim.piece().has(block));
            assert!(
                whole || !mirror.live.contains_key(lease),
                "seed {seed}: {lease:?} of piece {} ended in silence",
                claim.piece().index()
            );
        }
    }
}
