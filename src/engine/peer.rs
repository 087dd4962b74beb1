//! The worker of a connection: the thread that owns the conversation and the writing half.
//!
//! It waits in one place, for what the reader read, what the foreman orders, or the session's
//! deadline; lets the pure session decide; and then sends, reports and hands blocks to the disk.
//! Zero wake-ups while nothing happens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::blocks::{Block, TapCloser};
use super::limiter::{HeldBack, Pace};
use super::messages::{
    Arrival, Counters, Fresh, Inbound, Orders, Tally, ToDisk, ToForeman, TorrentShared, Welcome,
};
use super::outbox::{Outbox, Uploader};
use super::reader::{Paced, Reader};
use super::{introduction, threads};
use crate::job::{Goodbye, Order, PeerKey};
use crate::peer::session::{Receipt, Session, Setup};
use crate::pieces::BLOCK;
use crate::storage::receiving::Write;
use crate::transport::{Closer, Outlet};
use crate::wire::frame::{Blocks, FrameReader, ReadError, max_message};

/// Frames the reader may be ahead of its worker.
const INBOX: usize = 32;
/// Orders the foreman may be ahead of a worker; one that is further behind is given up.
const ORDERS: usize = 256;
/// Inbound frames handled before what follows from them is sent.
const BATCH: usize = 64;

/// Runs a fresh connection to its end on the present thread. `handshaken` has passed already.
pub(crate) fn converse(torrent: &Arc<TorrentShared>, fresh: Fresh) {
    let closer = fresh.connection.closer.clone();
    let (orders, inbox): Orders = bounded(ORDERS);
    let (admit, admitted) = bounded(1);
    let tally = Arc::new(Tally::default());
    let arrival = Arrival {
        addr: fresh.addr,
        incoming: fresh.incoming,
        handshake: fresh.handshake,
        orders,
        tally: tally.clone(),
        closer: closer.clone(),
        admit,
    };
    if torrent.foreman.send(ToForeman::Arrived(Box::new(arrival))).is_ok() {
        // A foreman answers at once, or ends and drops the question.
        if let Ok(Ok(welcome)) = admitted.recv() {
            let key = welcome.key;
            let why = match Worker::start(torrent.clone(), fresh, welcome, inbox, tally) {
                Ok(worker) => worker.run(),
                Err(_) => Goodbye::Crowded,
            };
            let _ = torrent.foreman.send(ToForeman::Gone(key, why));
        }
    }
    closer.close();
}

struct Worker {
    torrent: Arc<TorrentShared>,
    key: PeerKey,
    addr: SocketAddr,
    session: Session,
    cursor: usize,
    inbox: Receiver<Inbound>,
    orders: Receiver<Order>,
    tally: Arc<Tally>,
    outbox: Arc<Outbox>,
    /// The writing half, until the uploader has it.
    writer: Option<Box<dyn Outlet>>,
    uploader: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<()>>,
    tap: TapCloser,
    /// The reader waits for the pool or for a rate limit: the peer's silence is our doing.
    held_back: HeldBack,
    /// What of that the session was told.
    excused: u32,
    closer: Closer,
    /// Dropped to end every wait of the reader and the uploader.
    hangup: Option<Sender<()>>,
    hung: Receiver<()>,
}

impl Worker {
    fn start(
        torrent: Arc<TorrentShared>,
        fresh: Fresh,
        welcome: Welcome,
        orders: Receiver<Order>,
        tally: Arc<Tally>,
    ) -> crate::error::Result<Worker> {
        let now = torrent.client.clock.now();
        let introduction = introduction::ours(&torrent, &fresh, welcome.upload_only);
        let setup = Setup {
            introduction,
            pieces: torrent.pieces,
            info_hash: torrent.metainfo.info_hash(),
            peer_ip: fresh.addr.ip(),
            fast: fresh.handshake.fast(),
            have: welcome.have,
            request_cap: Setup::REQUEST_CAP,
        };
        let mut session = Session::new(setup, now);
        let node = torrent.dht().filter(|_| fresh.handshake.dht());
        node.into_iter().for_each(|dht| session.tell_dht_port(dht.port()));
        let (to_worker, inbox) = bounded(INBOX);
        let (hangup, hung) = bounded(0);
        // Every session may begin with a bitfield.
        let unheard = torrent.client.budget.unheard + torrent.pieces.count().div_ceil(8) as usize;
        let held_back = HeldBack::default();
        let pace = Pace::new(torrent.down.clone(), held_back.clone(), hung.clone());
        let source = Paced { source: fresh.connection.reader, pace };
        let frames = FrameReader::new(source, max_message(&torrent.pieces));
        let tap = torrent.client.pool.tap();
        let closer = tap.closer();
        let reader =
            Reader { tap, limits: torrent.down.clone(), worker: to_worker, held_back: held_back.clone() };
        let reader = threads::spawn("read", move || reader.run(frames))?;
        Ok(Worker {
            key: welcome.key,
            addr: fresh.addr,
            cursor: welcome.cursor,
            session,
            inbox,
            orders,
            tally,
            outbox: Arc::new(Outbox::new(unheard)),
            writer: Some(fresh.connection.writer),
            uploader: None,
            reader: Some(reader),
            tap: closer,
            held_back,
            excused: 0,
            closer: fresh.connection.closer,
            hangup: Some(hangup),
            hung,
            torrent,
        })
    }

    /// Converses until the end and says why it came.
    fn run(mut self) -> Goodbye {
        let why = loop {
            if let Err(why) = self.flush() {
                break why;
            }
            if let Err(why) = self.step() {
                break why;
            }
        };
        self.session.end();
        self.report();
        self.close(why);
        why
    }

    /// Waits for something to happen, and lets the session take in all that has.
    fn step(&mut self) -> Result<(), Goodbye> {
        let wait = self.session.deadline().since(self.torrent.client.clock.now());
        select! {
            recv(self.inbox) -> inbound => {
                self.inbound(inbound.unwrap_or(Inbound::Ended(ReadError::Closed)))?;
                for _ in 0..BATCH {
                    let Ok(inbound) = self.inbox.try_recv() else { break };
                    self.inbound(inbound)?;
                }
            }
            recv(self.orders) -> order => {
                self.order(order.unwrap_or(Order::Close(Goodbye::Shutdown)))?;
                while let Ok(order) = self.orders.try_recv() {
                    self.order(order)?;
                }
            }
            default(wait) => {}
        }
        self.session.unsent(self.outbox.unsent());
        let now = self.torrent.client.clock.now();
        if self.held_back.since(&mut self.excused) {
            self.session.excuse(now);
        }
        self.session.on_time(now)
    }

    fn inbound(&mut self, inbound: Inbound) -> Result<(), Goodbye> {
        let now = self.torrent.client.clock.now();
        match inbound {
            Inbound::Message(message) => {
                let mut outbox = self.outbox.lock();
                self.session.on_message(message, &mut outbox.uploads, now).map_err(Goodbye::Misdeed)?;
                if let (Some(port), Some(dht)) = (self.session.dht_port(), self.torrent.dht()) {
                    dht.node(SocketAddr::new(self.addr.ip(), port));
                }
                Ok(())
            }
            Inbound::Blocks(blocks) => self.blocks(blocks),
            Inbound::Ended(ReadError::Misdeed(misdeed)) => Err(Goodbye::Misdeed(misdeed)),
            Inbound::Ended(_) => Err(Goodbye::Lost),
        }
    }

    /// Lets the session judge each block of a run, and hands on those that were won.
    fn blocks(&mut self, blocks: Blocks<Block>) -> Result<(), Goodbye> {
        let now = self.torrent.client.clock.now();
        let (mut won, mut lost) = (0u8, 0);
        for block in blocks.refs() {
            match self.session.on_block(block, now).map_err(Goodbye::Misdeed)? {
                Receipt::Ours => won |= 1 << ((block.begin - blocks.begin) / BLOCK),
                Receipt::Duplicate | Receipt::Unrequested => lost += u64::from(block.length),
            }
        }
        Counters::add(&self.torrent.counters.downloaded, u64::from(blocks.length));
        Counters::add(&self.torrent.counters.wasted, lost);
        Counters::add(&self.tally.received, u64::from(blocks.length));
        if won != 0 {
            let write =
                ToDisk::Write { torrent: self.torrent.key, write: Write { from: self.key, blocks, won } };
            self.torrent.client.disk.send(write).map_err(|_| Goodbye::Shutdown)?;
        }
        Ok(())
    }

    fn order(&mut self, order: Order) -> Result<(), Goodbye> {
        match order {
            Order::Close(why) => Err(why),
            Order::Journal => Ok(()),
            order => {
                let mut outbox = self.outbox.lock();
                self.session.on_order(order, &mut outbox.uploads, self.torrent.client.clock.now());
                Ok(())
            }
        }
    }

    /// Sends what the session has to say, to the peer and to the foreman.
    fn flush(&mut self) -> Result<(), Goodbye> {
        let session = &mut self.session;
        self.torrent.journal.read_on(&mut self.cursor, |pieces| session.announce(pieces));
        self.report();
        self.serve()?;
        let outgoing = self.session.outgoing();
        if outgoing.is_empty() {
            return Ok(());
        }
        let bytes = outgoing.len() as u64;
        match &mut self.writer {
            Some(writer) => {
                let sent = writer.write_all(outgoing);
                outgoing.clear();
                sent.map_err(|_| Goodbye::Silent)?;
            }
            None if !self.outbox.post(outgoing) => return Err(Goodbye::Silent),
            None => {}
        }
        self.session.sent(bytes, self.torrent.client.clock.now());
        Ok(())
    }

    /// Starts or wakes the uploader where there is something to serve.
    fn serve(&mut self) -> Result<(), Goodbye> {
        let (waiting, broken) = {
            let outbox = self.outbox.lock();
            (!outbox.uploads.is_empty(), outbox.broken)
        };
        if broken {
            return Err(Goodbye::Lost);
        }
        if !waiting {
            return Ok(());
        }
        if let Some(writer) = self.writer.take() {
            // Nobody looks at its waits: that a peer says nothing while it is sent to is judged by
            // what it has to say.
            let pace = Pace::new(self.torrent.up.clone(), HeldBack::default(), self.hung.clone());
            let (outbox, tally) = (self.outbox.clone(), self.tally.clone());
            let uploader = Uploader::new(outbox, writer, self.torrent.clone(), tally, pace);
            self.uploader = Some(uploader.start().map_err(|_| Goodbye::Crowded)?);
        }
        self.outbox.wake();
        Ok(())
    }

    fn report(&mut self) {
        for report in self.session.reports() {
            if self.torrent.foreman.send(ToForeman::Report(self.key, report)).is_err() {
                return;
            }
        }
    }

    /// Ends the other threads of this connection and waits for them.
    fn close(&mut self, why: Goodbye) {
        part(&self.closer, why);
        self.tap.close();
        self.outbox.close();
        self.hangup = None;
        // A reader that is handing something over finds the queue gone.
        self.inbox = crossbeam_channel::never();
        for thread in [self.reader.take(), self.uploader.take()].into_iter().flatten() {
            let _ = thread.join();
        }
    }
}

/// Ends a connection, and takes nothing more of a peer that does wrong or does not read.
pub(crate) fn part(closer: &Closer, why: Goodbye) {
    match why {
        Goodbye::Misdeed(_) | Goodbye::Silent => closer.hang_up(),
        _ => closer.close(),
    }
}

/// Where a connection is, for the names of threads and nothing else.
pub(crate) fn thread_name(addr: SocketAddr) -> String {
    format!("peer-{}", addr.port())
}
