//! What is to be sent to one peer: messages, and blocks to read from disk and send.
//!
//! Until a peer is served for the first time its reader and worker write to the socket themselves.
//! From then on an uploader thread owns the writing half and drains this outbox: messages first, then
//! one block at a time, so that a peer that reads slowly blocks nobody but its own uploader. The other
//! two never block here.
//!
//! Bounded: messages by the client's [`Budget`](crate::budget::Budget), requests by the
//! [`UploadQueue`]'s own cap, and one block under way: a choke or a cancel that comes later is too
//! late for that block alone. What the kernel holds beyond it is about two congestion windows, which
//! it measures better than a number set here could say (setting one would also end that measuring).
//!
//! Payload goes from the page cache to the socket by `sendfile`, a block a call, its header
//! written ahead of it. CPU seconds for 1 GiB over loopback, of the sending thread alone, medians
//! of four runs taken in turn:
//!
//! | | |
//! |---|---|
//! | read and write, a block a call | 0.90 |
//! | the same under `TCP_CORK` | 0.61 |
//! | read 64 KiB, write 4 blocks at once | 0.64 |
//! | read 128 KiB, write 8 blocks at once | 0.58 |
//! | `sendfile`, a block a call | 0.54 |
//! | the same under `TCP_CORK` | 0.77 |
//!
//! So it wins without a buffer, and without gathering blocks that a choke could not take back.
//! Where it is not to be had (without the feature `sys`, over a transport that has to see the
//! bytes, from a file system that lacks it) a block is read and written with its header.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use super::ending;
use crate::engine::context::TorrentShared;
use crate::engine::inbox::TorrentMessage;
use crate::engine::runtime::counters::{ByteCounters, Counters};
use crate::engine::runtime::rate_limit::Pace;
use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};
use crate::peer::upload::UploadQueue;
use crate::pieces::BlockRef;
use crate::torrent::Input;
use crate::transport::Outlet;
use crate::violation::DisconnectReason;
use crate::wire::message::piece_header;

/// The outbox of one connection.
pub(crate) struct SendQueue {
    /// Bytes of messages that may wait for a peer that does not read; more, and it is dropped.
    most: usize,
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    /// Requests to serve; the session adds to it and takes from it.
    pub(crate) uploads: UploadQueue,
    /// Requests that were taken out to be served, of a file that another program has changed.
    pub(crate) refused: Vec<BlockRef>,
    messages: Vec<u8>,
    closed: bool,
    /// The uploader could not write or read, and has ended: why the connection is over.
    pub(crate) broken: Option<DisconnectReason>,
}

/// What the uploader does next.
enum Next {
    Messages(Vec<u8>),
    Block(BlockRef),
}

impl SendQueue {
    /// An empty one, in which so many bytes of messages may wait.
    pub(crate) fn new(most: usize) -> Self {
        SendQueue { most, state: Mutex::default(), ready: Condvar::new() }
    }

    /// The state, locked for a moment.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the uploader after uploads were added.
    pub(crate) fn wake(&self) {
        self.ready.notify_one();
    }

    /// Leaves messages for the uploader and empties `messages`. False where too many wait already.
    pub(crate) fn post(&self, messages: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        state.messages.append(messages);
        self.ready.notify_one();
        state.messages.len() <= self.most
    }

    /// Bytes of messages that wait.
    pub(crate) fn unsent(&self) -> usize {
        self.lock().messages.len()
    }

    /// Ends the uploader once it is not writing.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    fn next(&self) -> Option<Next> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if !state.messages.is_empty() {
                return Some(Next::Messages(std::mem::take(&mut state.messages)));
            }
            if let Some(block) = state.uploads.pop() {
                return Some(Next::Block(block));
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The thread that sends.
pub(crate) struct Uploader {
    outbox: Arc<SendQueue>,
    writer: Box<dyn Outlet>,
    torrent: Arc<TorrentShared>,
    tally: Arc<ByteCounters>,
    pace: Pace,
    /// Wakes the worker.
    nudge: Sender<()>,
    /// The writer has not said yet that it must see the bytes.
    direct: bool,
    /// What is read and written where it must.
    frame: Vec<u8>,
}

/// Why a block could not be sent.
enum Failure {
    Disk(Error),
    /// This file is not what it was when it was hashed.
    Changed(u32),
    Connection(DisconnectReason),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Connection(ending::broken(&error))
    }
}

impl Uploader {
    /// An uploader that takes what it sends from `outbox`.
    pub(crate) fn new(
        outbox: Arc<SendQueue>,
        writer: Box<dyn Outlet>,
        torrent: Arc<TorrentShared>,
        tally: Arc<ByteCounters>,
        pace: Pace,
        nudge: Sender<()>,
    ) -> Self {
        Uploader { outbox, writer, torrent, tally, pace, nudge, direct: true, frame: Vec::new() }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// As [`threads::spawn`].
    pub(crate) fn start(self) -> Result<JoinHandle<()>> {
        threads::spawn("upload", move || self.run())
    }

    fn run(mut self) {
        while let Some(next) = self.outbox.next() {
            let sent = match next {
                Next::Messages(messages) => self.writer.write_all(&messages).map_err(Failure::from),
                Next::Block(block) => self.serve_or_refuse(block),
            };
            if let Err(failure) = sent {
                let why = match failure {
                    Failure::Connection(why) => why,
                    // Half a block cannot be taken back.
                    Failure::Changed(_) => DisconnectReason::PiecesLost,
                    Failure::Disk(error) => {
                        let _ = self.torrent.torrent.send(Input::ReadFailed(error).into());
                        DisconnectReason::Shutdown
                    }
                };
                self.outbox.lock().broken = Some(why);
                return;
            }
        }
    }

    /// Sends a block, unless another program has changed its file: then the torrent is told, and the session is
    /// to refuse the block if nothing of it was sent.
    fn serve_or_refuse(&mut self, block: BlockRef) -> std::result::Result<(), Failure> {
        let header = piece_header(block);
        let mut ahead = header.as_slice();
        let served = self.serve(block, &mut ahead);
        if let Err(Failure::Changed(file)) = served {
            let _ = self.torrent.torrent.send(TorrentMessage::FilesChanged(vec![file]));
            if !ahead.is_empty() {
                self.outbox.lock().refused.push(block);
                // A nudge that is under way is as good as another.
                let _ = self.nudge.try_send(());
                return Ok(());
            }
        }
        served
    }

    /// Sends a block, in slices where a limit has it so; `ahead` is its header, emptied once that is sent.
    fn serve(&mut self, block: BlockRef, ahead: &mut &[u8]) -> std::result::Result<(), Failure> {
        let mut at = self.torrent.pieces.offset(block.piece) + u64::from(block.begin);
        let mut left = u64::from(block.length);
        while left > 0 {
            let allowed = self.pace.allowance(left).ok_or(Failure::Connection(DisconnectReason::Shutdown))?;
            let sent = self.send(ahead, at, allowed)?;
            self.pace.used(sent);
            Counters::add(&self.torrent.counters.uploaded, sent);
            Counters::add(&self.tally.sent, sent);
            (at, left) = (at + sent, left.saturating_sub(sent));
        }
        Ok(())
    }

    /// Sends what is left of the header, and up to `length` bytes from the offset `at` of the
    /// torrent on; says how many.
    fn send(&mut self, ahead: &mut &[u8], at: u64, length: u64) -> std::result::Result<u64, Failure> {
        let extent = self.torrent.files.extent(at, length).map_err(|error| self.failed(at, error))?;
        if let Some(file) = &extent.file {
            let now = self.torrent.client.clock.now();
            if self.torrent.files.has_changed(extent.index, file, now) {
                return Err(Failure::Changed(extent.index));
            }
        }
        let ahead = std::mem::take(ahead);
        self.frame.clear();
        match extent.file.filter(|_| self.direct) {
            None => self.frame.extend_from_slice(ahead),
            Some(file) => {
                self.writer.write_ahead(ahead)?;
                match self.writer.send_file(&file, extent.at, extent.length as usize) {
                    Ok(sent) if sent > 0 => return Ok(sent as u64),
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => self.direct = false,
                    // The peer has read nothing for too long.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Err(Failure::Connection(DisconnectReason::Silent));
                    }
                    // Whether the file failed or the connection, reading and writing will tell.
                    _ => {}
                }
            }
        }
        let header = self.frame.len();
        self.frame.resize(header + extent.length as usize, 0);
        let read = self.torrent.files.read_at(at, self.frame.get_mut(header..).unwrap_or_default());
        read.map_err(|error| self.failed(at, error))?;
        self.writer.write_all(&self.frame)?;
        Ok(extent.length)
    }

    /// Why bytes from `at` on could not be read: what is missing was taken away by another program.
    fn failed(&self, at: u64, error: Error) -> Failure {
        let lacking = (error.kind() == ErrorKind::NotFound).then(|| self.torrent.files.found_lacking(at));
        lacking.flatten().map_or(Failure::Disk(error), Failure::Changed)
    }
}
