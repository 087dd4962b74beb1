//! The thread that sends to one peer: messages first, then blocks, read from disk.
//!
//! It decides nothing: what comes next its [`Source`] says. A peer that reads slowly blocks its own
//! uploader alone.
//!
//! One block is under way, or [`MAX_BLOCKS_AT_ONCE`] where they have to be read: a choke or a cancel that comes later
//! is too late for those alone. What the kernel holds beyond them is about two congestion windows, which
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
//! bytes, from a file system that lacks it) blocks are read, and as many as wait and fit are written
//! with their headers in one call; under a rate limit no more than that lets pass.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::ending;
use crate::engine::context::{Content, TorrentContext};
use crate::engine::inbox::TorrentMessage;
use crate::engine::runtime::counters::{ByteCounters, Counters};
use crate::engine::runtime::rate_limit::Pace;
use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};
use crate::peer::conversation::ToSend;
use crate::pieces::{BLOCK, BlockRef};
use crate::storage::files::Extent;
use crate::torrent::Input;
use crate::transport::Outlet;
use crate::violation::DisconnectReason;
use crate::wire::message::piece_header;

/// Blocks that are read before they are written, at most: with more each costs little less, and each connection that
/// is sent to keeps memory for as many. One that is longer than a [`BLOCK`] goes alone.
const MAX_BLOCKS_AT_ONCE: usize = 4;

/// Where an uploader gets what it sends.
pub(crate) trait Source: Send + Sync + 'static {
    /// Waits for something to send: messages are put in the place of what `messages` holds. Nothing
    /// where the connection is over. No block of a piece that was lost before.
    fn next(&self, messages: &mut Vec<u8>) -> Option<ToSend>;

    /// The next block, if one waits that is no longer than a [`BLOCK`], and no message does.
    fn next_block(&self) -> Option<BlockRef>;

    /// Whether this block, which was to be sent, may be sent still: its piece may have been lost meanwhile.
    fn may_send(&self, block: BlockRef) -> bool;

    /// This block was to be sent, of which nothing was, and cannot be.
    fn refuse(&self, block: BlockRef);

    /// The uploader has ended: why the connection is over.
    fn failed(&self, why: DisconnectReason);
}

/// The thread that sends.
pub(crate) struct Uploader<S> {
    source: Arc<S>,
    writer: Box<dyn Outlet>,
    torrent: Arc<TorrentContext>,
    content: Arc<Content>,
    counters: Arc<ByteCounters>,
    pace: Pace,
    /// The writer has not said yet that it must see the bytes.
    direct: bool,
    /// What is read and written where it must be.
    frame: Frame,
    /// How many losses of pieces what is sent was chosen with.
    losses: u64,
}

/// Headers and payloads that are written together.
#[derive(Default)]
struct Frame {
    /// Never made shorter, so that no byte is set to zero only to be read over.
    bytes: Vec<u8>,
    filled: usize,
}

impl Frame {
    /// Room for `length` bytes more.
    fn extend(&mut self, length: usize) -> &mut [u8] {
        let begin = self.filled;
        self.filled += length;
        if self.bytes.len() < self.filled {
            self.bytes.resize(self.filled, 0);
        }
        self.bytes.get_mut(begin..self.filled).unwrap_or_default()
    }

    /// All of it; it is empty from now on.
    fn take(&mut self) -> &mut [u8] {
        let filled = std::mem::take(&mut self.filled);
        self.bytes.get_mut(..filled).unwrap_or_default()
    }
}

/// Why a block could not be sent.
enum Failure {
    Disk(Error),
    /// This file is not what it was when it was hashed.
    Changed(u32),
    /// The piece was lost since the block was asked for.
    Lost,
    Connection(DisconnectReason),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Connection(ending::broken(&error))
    }
}

impl<S: Source> Uploader<S> {
    /// An uploader that takes what it sends from `source`.
    pub(crate) fn new(
        source: Arc<S>,
        writer: Box<dyn Outlet>,
        (torrent, content): (Arc<TorrentContext>, Arc<Content>),
        counters: Arc<ByteCounters>,
        pace: Pace,
    ) -> Self {
        Uploader {
            source,
            writer,
            torrent,
            content,
            counters,
            pace,
            direct: true,
            frame: Frame::default(),
            losses: 0,
        }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// As [`threads::spawn`].
    pub(crate) fn start(self) -> Result<JoinHandle<()>> {
        threads::spawn("upload", move || self.run())
    }

    fn run(mut self) {
        let mut messages = Vec::new();
        while let Some(next) = self.next(&mut messages) {
            let sent = match next {
                ToSend::Messages => self.writer.write_scratch(&mut messages).map_err(Failure::from),
                ToSend::Block(block) if self.direct || self.pace.is_limited() => self.serve_or_refuse(block),
                ToSend::Block(block) => self.serve_together(block),
            };
            if let Err(failure) = sent {
                let why = match failure {
                    Failure::Connection(why) => why,
                    // Half a block cannot be taken back.
                    Failure::Changed(_) | Failure::Lost => DisconnectReason::PiecesLost,
                    Failure::Disk(error) => {
                        let _ = self.torrent.inbox.send(Input::ReadFailed(error).into());
                        DisconnectReason::Shutdown
                    }
                };
                return self.source.failed(why);
            }
        }
    }

    fn next(&mut self, messages: &mut Vec<u8>) -> Option<ToSend> {
        self.losses = self.torrent.have_log.losses();
        self.source.next(messages)
    }

    /// Sends a block, unless another program has changed its file or its piece was lost: then it is refused if nothing
    /// of it was sent.
    fn serve_or_refuse(&mut self, block: BlockRef) -> std::result::Result<(), Failure> {
        let header = piece_header(block);
        let mut ahead = header.as_slice();
        let served = self.serve(block, &mut ahead);
        self.refuse_or(block, !ahead.is_empty(), served)
    }

    /// Tells the torrent of a file that was changed, and refuses a block that cannot be sent where it
    /// `may_be_refused`.
    fn refuse_or(
        &self,
        block: BlockRef,
        may_be_refused: bool,
        served: std::result::Result<(), Failure>,
    ) -> std::result::Result<(), Failure> {
        if let Err(Failure::Changed(file)) = served {
            let _ = self.torrent.inbox.send(TorrentMessage::FilesChanged(vec![file]));
        }
        match served {
            Err(Failure::Changed(_) | Failure::Lost) if may_be_refused => {
                self.source.refuse(block);
                Ok(())
            }
            served => served,
        }
    }

    /// Sends a block that has to be read, and those that wait behind it, in one call.
    fn serve_together(&mut self, first: BlockRef) -> std::result::Result<(), Failure> {
        let mut payload = 0;
        let mut next = Some(first);
        for room in (0..MAX_BLOCKS_AT_ONCE).rev() {
            let Some(block) = next else { break };
            let begun = self.frame.filled;
            let read = self.read_whole(block);
            match read {
                Ok(()) => payload += u64::from(block.length),
                Err(_) => self.frame.filled = begun,
            }
            self.refuse_or(block, true, read)?;
            next = if room > 0 && block.length <= BLOCK { self.source.next_block() } else { None };
        }
        self.writer.write_scratch(self.frame.take())?;
        self.sent(payload);
        Ok(())
    }

    /// Reads a block into the frame, behind its header.
    fn read_whole(&mut self, block: BlockRef) -> std::result::Result<(), Failure> {
        let (mut at, mut left) = (self.offset(block), u64::from(block.length));
        self.frame.extend(piece_header(block).len()).copy_from_slice(&piece_header(block));
        while left > 0 {
            let extent = self.look(block, at, left)?;
            self.read(at, extent.length)?;
            (at, left) = (at + extent.length, left.saturating_sub(extent.length));
        }
        Ok(())
    }

    /// Reads bytes into the frame from the offset `at` of the torrent on.
    fn read(&mut self, at: u64, length: u64) -> std::result::Result<(), Failure> {
        let read = self.content.files.read_at(at, self.frame.extend(length as usize));
        read.map_err(|error| self.failed(at, error))
    }

    /// Where a block is in the torrent.
    fn offset(&self, block: BlockRef) -> u64 {
        self.content.pieces.offset(block.piece) + u64::from(block.begin)
    }

    /// So much payload was sent.
    fn sent(&self, payload: u64) {
        Counters::add(&self.torrent.counters.uploaded, payload);
        Counters::add(&self.counters.sent, payload);
    }

    /// Sends a block, in slices where a limit has it so; `ahead` is its header, emptied once that is sent.
    fn serve(&mut self, block: BlockRef, ahead: &mut &[u8]) -> std::result::Result<(), Failure> {
        let (mut at, mut left) = (self.offset(block), u64::from(block.length));
        while left > 0 {
            let allowed = self.pace.allowance(left).ok_or(Failure::Connection(DisconnectReason::Shutdown))?;
            let sent = self.send(block, ahead, at, allowed)?;
            self.pace.used(sent);
            self.sent(sent);
            (at, left) = (at + sent, left.saturating_sub(sent));
        }
        Ok(())
    }

    /// Sends what is left of the header, and up to `length` bytes of a block from the offset `at` of the
    /// torrent on; says how many.
    fn send(
        &mut self,
        block: BlockRef,
        ahead: &mut &[u8],
        at: u64,
        length: u64,
    ) -> std::result::Result<u64, Failure> {
        let extent = self.look(block, at, length)?;
        let ahead = std::mem::take(ahead);
        match extent.file.filter(|_| self.direct) {
            None => self.frame.extend(ahead.len()).copy_from_slice(ahead),
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
        self.read(at, extent.length)?;
        self.writer.write_scratch(self.frame.take())?;
        Ok(extent.length)
    }

    /// Where up to `length` bytes of a block lie from the offset `at` of the torrent on, unless another program has
    /// changed the file or the piece was lost.
    fn look(&mut self, block: BlockRef, at: u64, length: u64) -> std::result::Result<Extent, Failure> {
        let extent = self.content.files.extent(at, length).map_err(|error| self.failed(at, error))?;
        if let Some(file) = &extent.file {
            let now = self.torrent.client.clock.now();
            if self.content.files.has_changed(extent.index, file, now) {
                return Err(Failure::Changed(extent.index));
            }
        }
        self.check_lost(block)?;
        Ok(extent)
    }

    /// Looks whether a block may be sent still. To be called after the look at its file: one that was
    /// changed, doubted and hashed again meanwhile looks as it should.
    fn check_lost(&mut self, block: BlockRef) -> std::result::Result<(), Failure> {
        let losses = self.torrent.have_log.losses();
        if losses != self.losses {
            self.losses = losses;
            if !self.source.may_send(block) {
                return Err(Failure::Lost);
            }
        }
        Ok(())
    }

    /// Why bytes from `at` on could not be read: what is missing was taken away by another program.
    fn failed(&self, at: u64, error: Error) -> Failure {
        let lacking = (error.kind() == ErrorKind::NotFound).then(|| self.content.files.found_lacking(at));
        lacking.flatten().map_or(Failure::Disk(error), Failure::Changed)
    }
}
