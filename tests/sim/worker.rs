//! The worker of a connection with its reader and its uploader: the twin of the engine's `peer`,
//! `reader` and `outbox`. What a liar sends differently is in `liar`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut, Read};
use std::rc::Rc;
use std::time::Duration;

use bitwren::DisconnectReason;
use bitwren::internals::job::PeerKey;
use bitwren::internals::orders::Order;
use bitwren::internals::peer::session::{Receipt, Session};
use bitwren::internals::peer::upload::UploadQueue;
use bitwren::internals::pieces::BLOCK;
use bitwren::internals::storage::store::Store;
use bitwren::internals::storage::write_queue::Write;
use bitwren::internals::wire::frame::{Blocks, Frame, FrameReader, ReadError, max_message};
use bitwren::internals::wire::message::{Message, piece_header};

use super::net::{Net, SEND_BUFFER, Stream, Thread};
use super::node::{Buffer, Common, Due, Node, Tap, ToDisk, ToForeman};
use super::plan::Twist;

/// As in the engine: frames ahead of the worker, frames and orders taken at once, messages unsent.
const INBOX: usize = 32;
const BATCH: usize = 64;
const MOST_BYTES: usize = 1 << 20;
/// How long a peer may read nothing while we write.
const WRITE: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum Inbound {
    Message(Message),
    Blocks(Blocks<Buffer>),
    Ended(ReadError),
}

pub struct Worker {
    pub link: usize,
    pub end: usize,
    pub session: Session,
    cursor: usize,
    frames: FrameReader<Whole>,
    source: Whole,
    /// Frames that are in there and were not taken out.
    whole: usize,
    inbox: VecDeque<Inbound>,
    pub orders: VecDeque<Order>,
    /// An order did not fit.
    pub deaf: bool,
    pub uploads: UploadQueue,
    pub outbox: Vec<u8>,
    has_uploader: bool,
    broken: bool,
    /// A liar's uploader that sends nothing more.
    pub mute: bool,
    pub received: u64,
    pub sent: u64,
    /// Blocks served, for liars to count.
    pub blocks: u32,
    /// The reader waits for the pool, or has since the worker last looked.
    held_back: bool,
    was_held_back: bool,
    ended: bool,
    pub due: Due,
    pub upload_due: Due,
}

/// What of a stream is whole frames: a source that never has to wait in the middle of one.
#[derive(Debug, Default, Clone)]
struct Whole(Rc<RefCell<Stream>>);

impl Read for Whole {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut stream = self.0.borrow_mut();
        let read = stream.rest().len().min(buf.len());
        buf[..read].copy_from_slice(&stream.rest()[..read]);
        stream.skip(read);
        Ok(read)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut read = 0;
        for buf in bufs {
            read += self.read(buf)?;
        }
        Ok(read)
    }
}

/// Length of the first frame, if all of it is there, or enough to see that it is none.
fn whole_frame(bytes: &[u8], most: usize) -> Option<usize> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let nonsense = length > most + BLOCK as usize + 13;
    if nonsense { Some(bytes.len()) } else { Some(4 + length).filter(|&whole| bytes.len() >= whole) }
}

impl Worker {
    pub fn new((link, end): (usize, usize), session: Session, cursor: usize, common: &Common) -> Worker {
        let source = Whole::default();
        Worker {
            link,
            end,
            session,
            cursor,
            frames: FrameReader::new(source.clone(), max_message(&common.pieces)),
            source,
            whole: 0,
            inbox: VecDeque::new(),
            orders: VecDeque::new(),
            deaf: false,
            uploads: UploadQueue::default(),
            outbox: Vec::new(),
            has_uploader: false,
            broken: false,
            mute: false,
            received: 0,
            sent: 0,
            blocks: 0,
            held_back: false,
            was_held_back: false,
            ended: false,
            due: None,
            upload_due: None,
        }
    }
}

impl Node {
    /// The reader of a connection: takes frames while there is room for them.
    pub fn read(&mut self, key: PeerKey, common: &Common, net: &mut Net) {
        let deaf = self.plan.twist == Some(Twist::Deaf);
        let Some(life) = &mut self.life else { return };
        let Some(worker) = life.workers.get_mut(&key) else { return };
        let (link, end) = (worker.link, worker.end);
        let mut woken = false;
        worker.held_back = false;
        while !worker.ended && !deaf && worker.inbox.len() < INBOX {
            let mut bytes = 0;
            let most = max_message(&common.pieces);
            let stream = &mut net.links[link].ends[end].inbox;
            // Several frames may be there at once.
            while worker.whole < 10 {
                let Some(length) = whole_frame(stream.rest(), most) else { break };
                worker.source.0.borrow_mut().push(&stream.rest()[..length]);
                stream.skip(length);
                (worker.whole, bytes) = (worker.whole + 1, bytes + length);
            }
            net.read(link, end, bytes);
            if worker.whole == 0 {
                break;
            }
            if !life.pool.has_room() {
                (worker.held_back, worker.was_held_back) = (true, true);
                break;
            }
            let inbound = match worker.frames.next(&mut Tap(life.pool.clone())) {
                Ok(Frame::Message(message)) => {
                    worker.whole -= 1;
                    Inbound::Message(message)
                }
                Ok(Frame::Blocks(blocks)) => {
                    worker.whole -= blocks.refs().count();
                    Inbound::Blocks(blocks)
                }
                Err(error) => {
                    worker.ended = true;
                    Inbound::Ended(error)
                }
            };
            worker.inbox.push_back(inbound);
            woken = true;
        }
        let hung_up = net.links[link].ends[end].hung_up && worker.whole == 0;
        if !worker.ended && hung_up && worker.inbox.len() < INBOX {
            worker.ended = true;
            worker.inbox.push_back(Inbound::Ended(ReadError::Closed));
            woken = true;
        }
        if woken {
            self.wake(Thread::Worker(key), Duration::ZERO, net);
        }
    }

    /// Readers that waited for the pool look again.
    pub fn read_again(&mut self, common: &Common, net: &mut Net) {
        let Some(life) = &self.life else { return };
        let held: Vec<PeerKey> =
            life.workers.iter().filter(|(_, worker)| worker.held_back).map(|(&key, _)| key).collect();
        held.into_iter().for_each(|key| self.read(key, common, net));
    }

    /// The worker wakes: takes in what there is, then says what follows.
    pub fn worker(&mut self, key: PeerKey, common: &Common, net: &mut Net) {
        let done = self.take_in(key, net).and_then(|()| self.flush(key, common, net));
        if let Err(why) = done {
            return self.hang_up(key, why, net);
        }
        let Some(worker) = self.life.as_ref().and_then(|life| life.workers.get(&key)) else { return };
        let busy = !worker.inbox.is_empty() || !worker.orders.is_empty();
        let wait = if busy { Duration::ZERO } else { worker.session.deadline().since(net.now) };
        self.wake(Thread::Worker(key), wait, net);
        self.read(key, common, net);
    }

    fn take_in(&mut self, key: PeerKey, net: &mut Net) -> Result<(), DisconnectReason> {
        let now = net.now;
        let coin = net.dice.below(2) == 0;
        let Some(life) = &mut self.life else { return Ok(()) };
        let Some(worker) = life.workers.get_mut(&key) else { return Ok(()) };
        if worker.deaf {
            return Err(DisconnectReason::Shutdown);
        }
        // As `select!` has it: one of the two, whichever.
        if !worker.inbox.is_empty() && (worker.orders.is_empty() || coin) {
            for _ in 0..=BATCH {
                let Some(inbound) = worker.inbox.pop_front() else { break };
                match inbound {
                    Inbound::Message(message) => {
                        let taken = worker.session.on_message(message, &mut worker.uploads, now);
                        taken.map_err(DisconnectReason::Violation)?;
                    }
                    Inbound::Blocks(blocks) => {
                        let mut won = 0u8;
                        for block in blocks.refs() {
                            let receipt =
                                worker.session.on_block(block, now).map_err(DisconnectReason::Violation)?;
                            if receipt == Receipt::Ours {
                                won |= 1 << ((block.begin - blocks.begin) / BLOCK);
                            }
                        }
                        worker.received += u64::from(blocks.length);
                        if won != 0 {
                            life.to_disk.push_back(ToDisk::Write(Write { from: key, blocks, won }));
                        }
                    }
                    Inbound::Ended(ReadError::Violation(misdeed)) => {
                        return Err(DisconnectReason::Violation(misdeed));
                    }
                    Inbound::Ended(_) => return Err(DisconnectReason::Lost),
                }
            }
        } else {
            while let Some(order) = worker.orders.pop_front() {
                match order {
                    Order::Close(why) => return Err(why),
                    Order::HaveLog => {}
                    Order::Choke(false) if self.plan.twist == Some(Twist::NeverUnchokes) => {}
                    order => worker.session.on_order(order, &mut worker.uploads, now),
                }
            }
        }
        worker.session.unsent(worker.outbox.len());
        if std::mem::replace(&mut worker.was_held_back, worker.held_back) {
            worker.session.excuse(now);
        }
        worker.session.on_time(now)?;
        if net.links[worker.link].ends[worker.end].stuck.is_some_and(|since| now >= since + WRITE) {
            return Err(DisconnectReason::Silent);
        }
        if !life.to_disk.is_empty() {
            self.wake(Thread::Disk, Duration::ZERO, net);
        }
        Ok(())
    }

    /// Sends what the session has to say, to the peer and to the foreman.
    fn flush(&mut self, key: PeerKey, common: &Common, net: &mut Net) -> Result<(), DisconnectReason> {
        let Some(life) = &mut self.life else { return Ok(()) };
        let Some(worker) = life.workers.get_mut(&key) else { return Ok(()) };
        if let Some(news @ [_, ..]) = life.journal.get(worker.cursor..) {
            worker.session.announce(news);
            worker.cursor = life.journal.len();
        }
        let reports: Vec<_> = worker.session.reports().collect();
        if worker.broken {
            return Err(DisconnectReason::Lost);
        }
        let mut bytes = std::mem::take(worker.session.outgoing());
        if self.plan.twist.is_none() {
            super::checks::said(&bytes, &life.ledger.proved, &worker.session, common);
        } else {
            self.plan
                .twist
                .iter()
                .for_each(|twist| super::liar::says(*twist, worker, &mut bytes, common, net));
        }
        if !worker.uploads.is_empty() || worker.has_uploader {
            worker.has_uploader = true;
            worker.outbox.extend_from_slice(&bytes);
            if worker.outbox.len() > MOST_BYTES {
                return Err(DisconnectReason::Silent);
            }
        } else {
            net.send(worker.link, worker.end, bytes.clone());
        }
        if !bytes.is_empty() {
            worker.session.sent(bytes.len() as u64, net.now);
        }
        let uploads = worker.has_uploader && !(worker.outbox.is_empty() && worker.uploads.is_empty());
        for report in reports {
            self.tell_foreman(ToForeman::Report(key, report), net);
        }
        if uploads {
            self.wake(Thread::Uploader(key), Duration::ZERO, net);
        }
        Ok(())
    }

    /// The uploader: messages first, then one block, while the socket takes them.
    pub fn upload(&mut self, key: PeerKey, common: &Common, net: &mut Net) {
        loop {
            let Some(life) = &mut self.life else { return };
            let Some(worker) = life.workers.get_mut(&key) else { return };
            if worker.broken || worker.mute || net.queued(worker.link, worker.end) >= SEND_BUFFER {
                return;
            }
            if !worker.outbox.is_empty() {
                let bytes = std::mem::take(&mut worker.outbox);
                net.send(worker.link, worker.end, bytes);
                continue;
            }
            let Some(block) = worker.uploads.pop() else { return };
            worker.blocks += 1;
            let honest = self.plan.twist.is_none();
            let mut frame = piece_header(block).to_vec();
            frame.resize(13 + block.length as usize, 0);
            let offset = common.pieces.offset(block.piece) + u64::from(block.begin);
            assert!(!honest || life.ledger.proved.has(block.piece), "it serves what it has not proved");
            if let Err(error) = self.disk.read_at(offset, &mut frame[13..]) {
                worker.broken = true;
                self.wake(Thread::Worker(key), Duration::ZERO, net);
                return self.tell_foreman(ToForeman::ReadFailed(error), net);
            }
            if let Some(twist) = self.plan.twist {
                super::liar::serves(twist, worker, block, &mut frame, common, net);
            }
            worker.sent += u64::from(block.length);
            net.send(worker.link, worker.end, frame);
        }
    }

    /// The conversation is over.
    fn hang_up(&mut self, key: PeerKey, why: DisconnectReason, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        let Some(mut worker) = life.workers.remove(&key) else { return };
        worker.session.end();
        life.pool.connections.set(life.pool.connections.get() - 1);
        let reports: Vec<_> = worker.session.reports().collect();
        net.tell(|| format!("node {}: {key:?} ends: {why}", self.plan.name));
        net.reset(worker.link);
        for report in reports {
            self.tell_foreman(ToForeman::Report(key, report), net);
        }
        if !self.life.as_ref().is_some_and(|life| life.to_disk.is_empty()) {
            self.wake(Thread::Disk, Duration::ZERO, net);
        }
        self.tell_foreman(ToForeman::Gone(key, why), net);
    }
}
