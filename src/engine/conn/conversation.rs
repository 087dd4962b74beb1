//! One connection, shared by its threads: the pure [`Conversation`] behind one lock, and the code that carries
//! out its reports and messages.
//!
//! The reader passes in frames, the worker orders and deadlines; the uploader takes what is to be sent. Reader
//! and worker hold the lock while they report to the torrent and write to the peer, so that a block costs one
//! wake-up, that of its reader.
//!
//! Until a peer is served for the first time, reader and worker write to the socket themselves; from
//! then on only the uploader does, and the other two never wait for the peer here.
//!
//! Invariant: before a thread releases the lock it has sent all reports and messages, except after frames
//! behind which there is [more](Blocks::more) to read at once.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::uploader::{Source, Uploader};
use super::{beginning, ending};
use crate::engine::context::{Content, TorrentContext};
use crate::engine::disk::writer::ToDisk;
use crate::engine::inbox::join::Known;
use crate::engine::runtime::block_pool::Block;
use crate::engine::runtime::counters::{ByteCounters, Counters};
use crate::engine::runtime::have_log::Change;
use crate::engine::runtime::rate_limit::{Pace, Throttled};
use crate::job::PeerKey;
use crate::lock::{self, lock};
use crate::moment::Moment;
use crate::orders::Order;
use crate::peer::conversation::{Conversation, ToSend};
use crate::pieces::BlockRef;
use crate::storage::write_queue::Write;
use crate::torrent::Input;
use crate::transport::Outlet;
use crate::violation::DisconnectReason;
use crate::wire::frame::{Blocks, Frame};
use crate::wire::message::Message;

/// What does not change during a connection.
pub(crate) struct ConnContext {
    pub(crate) torrent: Arc<TorrentContext>,
    pub(crate) key: PeerKey,
    pub(crate) known: Known,
    pub(crate) counters: Arc<ByteCounters>,
    /// The reader waits for the block pool or a rate limit: that the peer is silent is our doing.
    pub(crate) held_back: Throttled,
    /// Disconnected when the worker hangs up: ends the waits of the uploader.
    pub(crate) hung: Receiver<()>,
    /// Wakes the worker.
    pub(crate) waker: Sender<()>,
}

/// The connection.
pub(crate) struct Connection {
    context: ConnContext,
    state: Mutex<ConnState>,
    /// There is something for the uploader.
    ready: Condvar,
}

/// What the lock protects.
struct ConnState {
    conversation: Conversation,
    /// How far the log of verified pieces was read, and how many losses were in it by then.
    cursor: usize,
    losses: u64,
    /// How often the reader had waited when the conversation was last told.
    excused: u32,
    /// The writing half, until the uploader has it.
    writer: Option<Box<dyn Outlet>>,
    uploader: Option<JoinHandle<()>>,
    /// The uploader waits until it is notified.
    is_idle: bool,
    /// Nothing more is sent.
    closed: bool,
}

impl Connection {
    /// A connection over which nothing was sent yet. It announces the pieces that the have log holds from `cursor` on.
    pub(crate) fn new(
        context: ConnContext,
        conversation: Conversation,
        cursor: usize,
        writer: Box<dyn Outlet>,
    ) -> Self {
        let (writer, uploader) = (Some(writer), None);
        let (is_idle, closed) = (false, false);
        let state =
            ConnState { conversation, cursor, losses: 0, excused: 0, writer, uploader, is_idle, closed };
        Connection { context, state: Mutex::new(state), ready: Condvar::new() }
    }

    /// Handles a frame that the reader has read.
    pub(crate) fn on_frame(self: &Arc<Self>, frame: Frame<Block>) -> Result<(), DisconnectReason> {
        match frame {
            Frame::Message(message) => self.on_message(message),
            Frame::Blocks(blocks) => self.on_blocks(blocks),
        }
    }

    fn on_message(self: &Arc<Self>, message: Message) -> Result<(), DisconnectReason> {
        let mut state = self.lock();
        state.conversation.on_message(message, self.now())?;
        self.carry_out(&mut state)?;
        // Whether the torrent is private is known with its content.
        let told_port = self.content().and_then(|_| state.conversation.dht_port());
        self.keep_awake(state);
        if let (Some(port), Some(dht)) = (told_port, self.context.torrent.dht()) {
            dht.node(SocketAddr::new(self.context.known.addr.ip(), port));
        }
        Ok(())
    }

    /// Passes a run of blocks to the conversation, and those that were accepted on to the disk.
    fn on_blocks(self: &Arc<Self>, blocks: Blocks<Block>) -> Result<(), DisconnectReason> {
        let ConnContext { torrent, counters, key, .. } = &self.context;
        let (length, more) = (u64::from(blocks.length), blocks.more);
        let (taken_in, due) = {
            let conversation = &mut self.lock().conversation;
            (conversation.on_blocks(&blocks, self.now())?, conversation.is_due_after(more))
        };
        Counters::add(&torrent.counters.downloaded, length);
        Counters::add(&torrent.counters.wasted, taken_in.wasted);
        Counters::add(&counters.received, length);
        if taken_in.won != 0 {
            let write = ToDisk::Write {
                torrent: torrent.key,
                write: Write { from: *key, blocks, won: taken_in.won },
            };
            torrent.client.disk.send(write).map_err(|_| DisconnectReason::Shutdown)?;
        }
        if due {
            let mut state = self.lock();
            self.carry_out(&mut state)?;
            self.keep_awake(state);
        }
        Ok(())
    }

    /// A thread of the connection has ended: wakes the worker with the reason.
    pub(crate) fn on_end(&self, why: DisconnectReason) {
        self.lock().conversation.on_end(why);
        self.wake();
    }

    /// Carries out this order and all that are queued behind it.
    pub(crate) fn on_order(&self, order: Order, behind: &Receiver<Order>) -> Result<(), DisconnectReason> {
        let mut state = self.lock();
        let mut next = Some(order);
        while let Some(order) = next {
            match order {
                Order::Learn { ours, cursor } => {
                    let ConnContext { torrent, known, .. } = &self.context;
                    state.cursor = cursor;
                    beginning::learn(torrent, known, *ours, &mut state.conversation)?;
                }
                order => state.conversation.on_order(order, self.now())?,
            }
            next = behind.try_recv().ok();
        }
        Ok(())
    }

    /// Does what is due, and returns how long the worker may sleep.
    pub(crate) fn on_time(self: &Arc<Self>) -> Result<Duration, DisconnectReason> {
        let mut state = self.lock();
        let excused = self.context.held_back.since(&mut state.excused);
        state.conversation.on_time(excused, self.now())?;
        self.carry_out(&mut state)?;
        Ok(state.conversation.sleeps_until().since(self.now()))
    }

    /// Returns the leases that the conversation still holds once the connection is closed, and ends the uploader
    /// when it is not writing.
    pub(crate) fn end(&self) -> Option<JoinHandle<()>> {
        let mut state = self.lock();
        state.conversation.end();
        self.report(&mut state);
        state.closed = true;
        self.ready.notify_one();
        state.uploader.take()
    }

    /// Sends the reports of the conversation to the torrent, and its messages to the peer.
    fn carry_out(self: &Arc<Self>, state: &mut ConnState) -> Result<(), DisconnectReason> {
        self.read_log(state);
        self.report(state);
        state.conversation.check_over()?;
        let uploads = state.conversation.has_uploads();
        if uploads {
            self.start_uploader(state)?;
        }
        let outgoing = state.conversation.outgoing();
        match &mut state.writer {
            _ if outgoing.is_empty() && !uploads => Ok(()),
            Some(writer) => {
                let sent = writer.write_scratch(outgoing);
                outgoing.clear();
                sent.map_err(|error| ending::broken(&error))
            }
            None => {
                // It costs a system call, whether the uploader waits or not.
                if std::mem::take(&mut state.is_idle) {
                    self.ready.notify_one();
                }
                state.conversation.check_unsent()
            }
        }
    }

    /// Tells the conversation which pieces were verified and lost meanwhile.
    fn read_log(&self, state: &mut ConnState) {
        let ConnState { conversation, cursor, losses, .. } = state;
        let log = &self.context.torrent.have_log;
        // Before the log is read: a loss in between is then counted too early, not too late.
        *losses = log.losses();
        log.read_on(cursor, |change| match change {
            Change::Verified(pieces) => conversation.on_verified(pieces),
            Change::Lost(piece) => conversation.on_lost(piece),
        });
    }

    /// The same if pieces were lost since.
    fn read_losses(&self, state: &mut ConnState) {
        if state.losses != self.context.torrent.have_log.losses() {
            self.read_log(state);
            self.report(state);
        }
    }

    /// Starts the uploader, which has the writing half from now on.
    fn start_uploader(self: &Arc<Self>, state: &mut ConnState) -> Result<(), DisconnectReason> {
        let Some(content) = self.content() else { return Ok(()) };
        let Some(writer) = state.writer.take() else { return Ok(()) };
        let ConnContext { torrent, counters, hung, .. } = &self.context;
        // Upload waits are not tracked: idleness is judged from received messages.
        let pace = Pace::new(torrent.up.clone(), Throttled::default(), hung.clone());
        let uploader =
            Uploader::new(self.clone(), writer, (torrent.clone(), content.clone()), counters.clone(), pace);
        state.uploader = Some(uploader.start().map_err(|_| DisconnectReason::Crowded)?);
        Ok(())
    }

    fn report(&self, state: &mut ConnState) {
        let ConnContext { torrent, key, .. } = &self.context;
        for report in state.conversation.reports() {
            if torrent.inbox.send(Input::Report(*key, report).into()).is_err() {
                return;
            }
        }
    }

    /// Wakes the worker where it would sleep past the deadline.
    fn keep_awake(&self, mut state: MutexGuard<'_, ConnState>) {
        let wakes = state.conversation.is_to_be_woken();
        drop(state);
        if wakes {
            self.wake();
        }
    }

    /// The torrent's content, once its metadata is known.
    pub(super) fn content(&self) -> Option<&Arc<Content>> {
        self.context.torrent.content.get()
    }

    fn now(&self) -> Moment {
        self.context.torrent.client.clock.now()
    }

    /// Wakes the peer thread. One wake-up under way is as good as another.
    fn wake(&self) {
        let _ = self.context.waker.try_send(());
    }

    fn lock(&self) -> MutexGuard<'_, ConnState> {
        lock(&self.state)
    }
}

impl Source for Connection {
    fn next(&self, messages: &mut Vec<u8>) -> Option<ToSend> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            self.read_losses(&mut state);
            if let Some(next) = state.conversation.next(messages) {
                return Some(next);
            }
            state.is_idle = true;
            state = lock::wait(&self.ready, state);
        }
    }

    fn next_block(&self) -> Option<BlockRef> {
        let mut state = self.lock();
        self.read_losses(&mut state);
        state.conversation.next_block()
    }

    fn may_send(&self, block: BlockRef) -> bool {
        let mut state = self.lock();
        self.read_losses(&mut state);
        state.conversation.still_offers(block)
    }

    fn refuse(&self, block: BlockRef) {
        self.lock().conversation.refuse(block);
    }

    fn failed(&self, why: DisconnectReason) {
        self.on_end(why);
    }
}
