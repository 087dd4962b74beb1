//! The thread that sends to one peer: messages first, then one block at a time, read from disk.
//!
//! It decides nothing: what comes next its [`Source`] says. A peer that reads slowly blocks its own
//! uploader alone.
//!
//! One block is under way: a choke or a cancel that comes later is too late for that block alone.
//! What the kernel holds beyond it is about two congestion windows, which
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
use crate::pieces::BlockRef;
use crate::torrent::Input;
use crate::transport::Outlet;
use crate::violation::DisconnectReason;
use crate::wire::message::piece_header;

/// Where an uploader gets what it sends.
pub(crate) trait Source: Send + Sync + 'static {
    /// Waits for something to send: messages are put in the place of what `messages` holds. Nothing
    /// where the connection is over. No block of a piece that was lost before.
    fn next(&self, messages: &mut Vec<u8>) -> Option<ToSend>;

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
    /// What is read and written where it must.
    frame: Vec<u8>,
    /// How many losses of pieces what is sent was chosen with.
    losses: u64,
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
            frame: Vec::new(),
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
                ToSend::Block(block) => self.serve_or_refuse(block),
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

    /// Sends a block, unless another program has changed its file: then the torrent is told, and the block
    /// is refused if nothing of it was sent.
    fn serve_or_refuse(&mut self, block: BlockRef) -> std::result::Result<(), Failure> {
        let header = piece_header(block);
        let mut ahead = header.as_slice();
        let served = self.serve(block, &mut ahead);
        if let Err(Failure::Changed(file)) = served {
            let _ = self.torrent.inbox.send(TorrentMessage::FilesChanged(vec![file]));
        }
        match served {
            Err(Failure::Changed(_) | Failure::Lost) if !ahead.is_empty() => {
                self.source.refuse(block);
                Ok(())
            }
            served => served,
        }
    }

    /// Sends a block, in slices where a limit has it so; `ahead` is its header, emptied once that is sent.
    fn serve(&mut self, block: BlockRef, ahead: &mut &[u8]) -> std::result::Result<(), Failure> {
        let mut at = self.content.pieces.offset(block.piece) + u64::from(block.begin);
        let mut left = u64::from(block.length);
        while left > 0 {
            let allowed = self.pace.allowance(left).ok_or(Failure::Connection(DisconnectReason::Shutdown))?;
            let sent = self.send(block, ahead, at, allowed)?;
            self.pace.used(sent);
            Counters::add(&self.torrent.counters.uploaded, sent);
            Counters::add(&self.counters.sent, sent);
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
        let extent = self.content.files.extent(at, length).map_err(|error| self.failed(at, error))?;
        if let Some(file) = &extent.file {
            let now = self.torrent.client.clock.now();
            if self.content.files.has_changed(extent.index, file, now) {
                return Err(Failure::Changed(extent.index));
            }
        }
        self.check_lost(block)?;
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
        let read = self.content.files.read_at(at, self.frame.get_mut(header..).unwrap_or_default());
        read.map_err(|error| self.failed(at, error))?;
        self.writer.write_scratch(&mut self.frame)?;
        Ok(extent.length)
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
