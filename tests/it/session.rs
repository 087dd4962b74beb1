//! Conversations with scripted peers, in virtual time: the session and what feeds it. The modules below have
//! one behaviour each.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bitwren::InfoHash;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{Claim, LeaseId, OpenPiece, PieceJob};
use bitwren::internals::moment::Moment;
use bitwren::internals::orders::{Order, Report};
use bitwren::internals::peer::session::{BlockOutcome, ExtensionSetup, Session, Setup};
use bitwren::internals::peer::upload::UploadQueue;
use bitwren::internals::pieces::{BLOCK, BlockRef, Pieces};
use bitwren::internals::wire::frame::{Buffers, Frame, FrameReader};
use bitwren::internals::wire::message::Message;
use bitwren::{DisconnectReason, Violation};

mod choke;
mod extended;
mod fast;
mod having;
mod learning;
mod leases;
mod rejections;
mod requests;
mod serving;
mod stalls;
mod violations;

const PIECES: u32 = 40;
/// Blocks of every piece but the last, which has one block less and a short one.
const BLOCKS: u32 = 16;

fn pieces() -> Pieces {
    let length = u64::from(BLOCKS * BLOCK);
    Pieces::new(u64::from(PIECES) * length - u64::from(BLOCK) - 100, length).unwrap()
}

struct OneSession {
    session: Session,
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

impl OneSession {
    fn with(fast: bool, have: Bitfield, request_cap: u32) -> OneSession {
        OneSession::with_extensions(fast, have, request_cap, None)
    }

    fn with_extensions(
        fast: bool,
        have: Bitfield,
        request_cap: u32,
        extension_setup: Option<ExtensionSetup>,
    ) -> OneSession {
        OneSession::of(Some(pieces()), fast, have, request_cap, extension_setup)
    }

    fn of(
        pieces: Option<Pieces>,
        fast: bool,
        have: Bitfield,
        request_cap: u32,
        extension_setup: Option<ExtensionSetup>,
    ) -> OneSession {
        let now = Moment::from_secs(1000);
        let setup = Setup {
            pieces,
            info_hash: InfoHash::from_bytes([0xAA; 20]),
            peer_ip: IpAddr::from([80, 4, 4, 200]),
            fast,
            extension_setup,
            have,
            request_cap,
        };
        OneSession { session: Session::new(setup, now), now, next_lease: 1 }
    }

    fn new(fast: bool) -> OneSession {
        OneSession::with(fast, Bitfield::empty(PIECES), 500)
    }

    /// A peer that has everything, does not choke us, and is told that we are interested.
    fn with_seed(fast: bool) -> OneSession {
        let mut world = OneSession::new(fast);
        world.hears(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec()));
        world.hears(Message::Unchoke);
        world.order(Order::Interested(true));
        world.said();
        world.reports();
        world
    }

    fn hear(&mut self, message: Message) -> Result<(), Violation> {
        self.session.on_message(message, self.now)
    }

    fn hears(&mut self, message: Message) {
        self.hear(message.clone()).unwrap_or_else(|violation| panic!("{message:?}: {violation}"));
    }

    fn order(&mut self, order: Order) {
        self.session.on_order(order, self.now);
    }

    /// The session's thread is woken.
    fn wake(&mut self) {
        self.session.on_time(self.now).unwrap();
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

    fn block(&mut self, piece: u32, block: u32) -> BlockOutcome {
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
