//! A conversation as the threads of its connection share it: the session behind one lock.
//!
//! Whoever has something for the session, the reader a frame and the worker an order or a deadline,
//! takes the lock, lets the pure session decide, and carries out what follows: hands blocks to the
//! disk, reports to the foreman, writes to the peer. So a block costs one wake-up, that of its reader,
//! and not one more for a thread to decide about it.
//!
//! Invariant: nothing is left unsaid when the lock is free, but for what follows from frames after
//! which there is [more](Blocks::more) to read at once; and the worker is never asleep past the
//! session's deadline.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::ending;
use super::uploader::{SendQueue, Uploader};
use crate::engine::context::TorrentShared;
use crate::engine::disk::writer::ToDisk;
use crate::engine::runtime::block_pool::Block;
use crate::engine::runtime::counters::{ByteCounters, Counters};
use crate::engine::runtime::have_log::Change;
use crate::engine::runtime::rate_limit::{Pace, Throttled};
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::peer::session::{Receipt, Session};
use crate::pieces::BLOCK;
use crate::storage::write_queue::Write;
use crate::torrent::Input;
use crate::transport::Outlet;
use crate::violation::DisconnectReason;
use crate::wire::frame::{Blocks, Frame};
use crate::wire::message::Message;

/// Frames that may be taken in, while there are more to be had at once, before what follows from them
/// is sent.
const BATCH: u32 = 4;

/// What is known of a connection from the start.
pub(crate) struct Link {
    pub(crate) torrent: Arc<TorrentShared>,
    pub(crate) key: PeerKey,
    pub(crate) addr: SocketAddr,
    pub(crate) tally: Arc<ByteCounters>,
    pub(crate) outbox: Arc<SendQueue>,
    /// The reader waits for the pool or for a rate limit: the peer's silence is our doing.
    pub(crate) held_back: Throttled,
    /// Disconnected when the worker hangs up: ends the waits of the uploader.
    pub(crate) hung: Receiver<()>,
    /// Wakes the worker.
    pub(crate) nudge: Sender<()>,
}

/// The conversation.
pub(crate) struct Talk {
    link: Link,
    turn: Mutex<Turn>,
}

/// What belongs to whoever has the lock.
struct Turn {
    session: Session,
    /// How far the journal was read.
    cursor: usize,
    /// The writing half, until the uploader has it.
    writer: Option<Box<dyn Outlet>>,
    uploader: Option<JoinHandle<()>>,
    /// What of the waits that are our doing the session was told.
    excused: u32,
    /// When the worker wakes by itself.
    wakes: Moment,
    /// Frames taken in since what followed was sent.
    taken: u32,
    /// Why the reader has ended.
    ended: Option<DisconnectReason>,
}

impl Talk {
    /// A conversation of which nothing was said yet.
    pub(crate) fn new(link: Link, session: Session, cursor: usize, writer: Box<dyn Outlet>) -> Talk {
        let wakes = link.torrent.client.clock.now();
        let (writer, uploader, ended) = (Some(writer), None, None);
        let turn = Turn { session, cursor, writer, uploader, excused: 0, wakes, taken: 0, ended };
        Talk { link, turn: Mutex::new(turn) }
    }

    /// The reader read this.
    pub(crate) fn on_frame(&self, frame: Frame<Block>) -> Result<(), DisconnectReason> {
        let mut turn = self.lock();
        let more = match frame {
            Frame::Message(message) => turn.message(&self.link, message).map(|()| false)?,
            Frame::Blocks(blocks) => turn.blocks(&self.link, blocks)?,
        };
        turn.taken += 1;
        if more && turn.taken < BATCH {
            return Ok(());
        }
        turn.flush(&self.link)?;
        let sooner = turn.session.deadline();
        if sooner < turn.wakes {
            turn.wakes = sooner;
            drop(turn);
            self.nudge();
        }
        Ok(())
    }

    /// The reader has ended; the worker is to know why.
    pub(crate) fn on_end(&self, why: DisconnectReason) {
        self.lock().ended = Some(why);
        self.nudge();
    }

    /// Carries out orders: this one, and those that came behind it.
    pub(crate) fn on_order(&self, order: Order, behind: &Receiver<Order>) -> Result<(), DisconnectReason> {
        let mut turn = self.lock();
        let mut next = Some(order);
        while let Some(order) = next {
            turn.order(&self.link, order)?;
            next = behind.try_recv().ok();
        }
        Ok(())
    }

    /// Does what is due, and says how long the worker may sleep.
    pub(crate) fn due(&self) -> Result<Duration, DisconnectReason> {
        let mut turn = self.lock();
        if let Some(why) = turn.ended {
            return Err(why);
        }
        let now = self.now();
        turn.session.unsent(self.link.outbox.unsent());
        if self.link.held_back.since(&mut turn.excused) {
            turn.session.excuse(now);
        }
        turn.session.on_time(now)?;
        turn.flush(&self.link)?;
        turn.wakes = turn.session.deadline();
        Ok(turn.wakes.since(self.now()))
    }

    /// Gives back what the session still holds, when the connection was closed already.
    pub(crate) fn end(&self) {
        let mut turn = self.lock();
        turn.session.end();
        turn.report(&self.link);
    }

    /// The thread that sends, if there is one.
    pub(crate) fn uploader(&self) -> Option<JoinHandle<()>> {
        self.lock().uploader.take()
    }

    fn now(&self) -> Moment {
        self.link.torrent.client.clock.now()
    }

    /// A nudge that is under way is as good as another.
    fn nudge(&self) {
        let _ = self.link.nudge.try_send(());
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    fn message(&mut self, link: &Link, message: Message) -> Result<(), DisconnectReason> {
        let now = link.torrent.client.clock.now();
        self.session.unsent(link.outbox.unsent());
        {
            let mut outbox = link.outbox.lock();
            self.session
                .on_message(message, &mut outbox.uploads, now)
                .map_err(DisconnectReason::Violation)?;
        }
        if let (Some(port), Some(dht)) = (self.session.dht_port(), link.torrent.dht()) {
            dht.node(SocketAddr::new(link.addr.ip(), port));
        }
        Ok(())
    }

    /// Lets the session judge each block of a run, and hands on those that were won. Says whether
    /// there is more to read at once.
    fn blocks(&mut self, link: &Link, blocks: Blocks<Block>) -> Result<bool, DisconnectReason> {
        let torrent = &link.torrent;
        let now = torrent.client.clock.now();
        let (mut won, mut lost) = (0u8, 0);
        for block in blocks.refs() {
            match self.session.on_block(block, now).map_err(DisconnectReason::Violation)? {
                Receipt::Ours => won |= 1 << ((block.begin - blocks.begin) / BLOCK),
                Receipt::Duplicate | Receipt::Unrequested => lost += u64::from(block.length),
            }
        }
        Counters::add(&torrent.counters.downloaded, u64::from(blocks.length));
        Counters::add(&torrent.counters.wasted, lost);
        Counters::add(&link.tally.received, u64::from(blocks.length));
        let more = blocks.more;
        if won != 0 {
            let write = ToDisk::Write { torrent: torrent.key, write: Write { from: link.key, blocks, won } };
            torrent.client.disk.send(write).map_err(|_| DisconnectReason::Shutdown)?;
        }
        Ok(more)
    }

    fn order(&mut self, link: &Link, order: Order) -> Result<(), DisconnectReason> {
        match order {
            Order::Close(why) => Err(why),
            Order::HaveLog => Ok(()),
            order => {
                let mut outbox = link.outbox.lock();
                self.session.on_order(order, &mut outbox.uploads, link.torrent.client.clock.now());
                Ok(())
            }
        }
    }

    /// Sends what the session has to say, to the foreman and to the peer.
    fn flush(&mut self, link: &Link) -> Result<(), DisconnectReason> {
        self.taken = 0;
        let session = &mut self.session;
        let mut can_tell = true;
        link.torrent.journal.read_on(&mut self.cursor, |change| match change {
            Change::Verified(pieces) => session.announce(pieces),
            Change::Lost(piece) => can_tell &= session.withdraw(piece, &mut link.outbox.lock().uploads),
        });
        if !can_tell {
            return Err(DisconnectReason::PiecesLost);
        }
        self.report(link);
        self.serve(link)?;
        let outgoing = self.session.outgoing();
        if outgoing.is_empty() {
            return Ok(());
        }
        let bytes = outgoing.len() as u64;
        match &mut self.writer {
            Some(writer) => {
                let sent = writer.write_all(outgoing);
                outgoing.clear();
                sent.map_err(|error| ending::broken(&error))?;
            }
            None if !link.outbox.post(outgoing) => {
                // The uploader may know better than that too much waits.
                return Err(link.outbox.lock().broken.unwrap_or(DisconnectReason::Silent));
            }
            None => {}
        }
        self.session.sent(bytes, link.torrent.client.clock.now());
        Ok(())
    }

    /// Starts or wakes the uploader where there is something to serve.
    fn serve(&mut self, link: &Link) -> Result<(), DisconnectReason> {
        let (waiting, broken, refused) = {
            let mut outbox = link.outbox.lock();
            (!outbox.uploads.is_empty(), outbox.broken, std::mem::take(&mut outbox.refused))
        };
        self.session.refuse(refused);
        if let Some(why) = broken {
            return Err(why);
        }
        if !waiting {
            return Ok(());
        }
        if let Some(writer) = self.writer.take() {
            // Nobody looks at its waits: that a peer says nothing while it is sent to is judged by
            // what it has to say.
            let pace = Pace::new(link.torrent.up.clone(), Throttled::default(), link.hung.clone());
            let (outbox, tally) = (link.outbox.clone(), link.tally.clone());
            let uploader =
                Uploader::new(outbox, writer, link.torrent.clone(), tally, pace, link.nudge.clone());
            self.uploader = Some(uploader.start().map_err(|_| DisconnectReason::Crowded)?);
        }
        link.outbox.wake();
        Ok(())
    }

    fn report(&mut self, link: &Link) {
        for report in self.session.reports() {
            if link.torrent.torrent.send(Input::Report(link.key, report).into()).is_err() {
                return;
            }
        }
    }
}
