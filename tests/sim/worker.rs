//! The threads of a connection: they carry bytes, orders and time to the real [`Conversation`], each
//! late as its thread is, and what it says to the network, the disk and the torrent. They decide
//! nothing. What a liar sends differently is in `liar`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut, Read};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bitwren::DisconnectReason;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::have_log::{Change, HaveLog};
use bitwren::internals::job::{LeaseId, PeerKey};
use bitwren::internals::moment::Moment;
use bitwren::internals::orders::{Order, OurPieces, Report};
use bitwren::internals::peer::conversation::{Conversation, ToSend};
use bitwren::internals::peer::session::{Learned, Session};
use bitwren::internals::pieces::{BLOCK, BlockRef};
use bitwren::internals::storage::store::Store;
use bitwren::internals::storage::write_queue::Write;
use bitwren::internals::torrent::Input;
use bitwren::internals::wire::frame::{Frame, FrameReader, ReadError, max_message};
use bitwren::internals::wire::message::piece_header;

use super::checks::Ledger;
use super::net::{Net, SEND_BUFFER, Stream, Thread};
use super::node::{Common, Due, Message, Node, Tap, ToDisk};
use super::plan::{Hang, Twist};
use super::served::Served;

/// Bytes of messages that may wait for a peer that does not read.
const MAX_UNSENT: usize = 1 << 20;
/// How long a peer may read nothing while we write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Whole frames that the reader has at hand: several may come at once.
const FRAMES_AT_HAND: usize = 10;
/// How long no block may come, at the longest, before others are asked for what is expected.
const MAX_STALL: Duration = Duration::from_secs(60);

pub struct Worker {
    pub link: usize,
    pub end: usize,
    pub conversation: Conversation,
    /// How far the log of verified pieces was read, and how many losses were in it by then.
    pub cursor: usize,
    losses: u64,
    /// Since when it has not read all of it.
    pub behind: Due,
    /// The pieces that the peer was told of.
    pub told: Bitfield,
    /// What the peer has asked for.
    served: Served,
    /// Since when blocks are expected and none has come.
    quiet: Due,
    /// A block that the uploader is about to look at and send, how many losses there were then, and when it has
    /// the processor again.
    picked: Option<(BlockRef, u64, Moment)>,
    frames: FrameReader<Whole>,
    source: Whole,
    /// Frames that are in there and were not taken out.
    whole: usize,
    pub orders: VecDeque<Order>,
    /// An order did not fit.
    pub deaf: bool,
    has_uploader: bool,
    /// Bytes of messages that wait for the uploader and were looked at.
    seen: usize,
    /// A liar's uploader that sends nothing more.
    pub mute: bool,
    /// Blocks served, for liars to count.
    pub blocks: u32,
    /// The reader waits for the pool, or has since the worker last looked.
    pub held_back: bool,
    was_held_back: bool,
    /// The reader has ended.
    ended: bool,
    pub due: Due,
    pub read_due: Due,
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
    pub fn new(
        (link, end): (usize, usize),
        session: Session,
        cursor: usize,
        common: &Common,
        net: &Net,
    ) -> Worker {
        let source = Whole::default();
        Worker {
            link,
            end,
            conversation: Conversation::new(session, MAX_UNSENT, net.now),
            cursor,
            losses: 0,
            behind: None,
            told: Bitfield::empty(common.pieces.count()),
            served: Served::default(),
            quiet: None,
            picked: None,
            frames: FrameReader::new(source.clone(), max_message(&common.pieces)),
            source,
            whole: 0,
            orders: VecDeque::new(),
            deaf: false,
            has_uploader: false,
            seen: 0,
            mute: false,
            blocks: 0,
            held_back: false,
            was_held_back: false,
            ended: false,
            due: None,
            read_due: None,
            upload_due: None,
        }
    }
}

impl Worker {
    /// Tells the conversation which pieces were verified and lost meanwhile.
    fn read_log(&mut self, log: &HaveLog) {
        let Worker { conversation, cursor, .. } = self;
        (self.losses, self.behind) = (log.losses(), None);
        log.read_on(cursor, |change| match change {
            Change::Verified(pieces) => conversation.on_verified(pieces),
            Change::Lost(piece) => conversation.on_lost(piece),
        });
    }

    /// The same where pieces were lost meanwhile.
    fn read_losses(&mut self, log: &HaveLog) {
        if self.losses != log.losses() {
            self.read_log(log);
        }
    }

    /// Looks at what an honest conversation says.
    fn hear(&mut self, ledger: &Ledger, common: &Common) {
        let Some(said @ [_, ..]) = self.conversation.outgoing().get(self.seen..) else { return };
        let said = said.to_vec();
        self.seen += said.len();
        let Worker { conversation, told, served, .. } = self;
        super::checks::said(&said, ledger, conversation.session(), told, served, common);
    }

    /// Notes since when no block has come that is expected.
    fn mind(&mut self, now: Moment) {
        let expects = self.conversation.session().outstanding() > 0;
        self.quiet = if expects { self.quiet.or(Some(now)) } else { None };
    }

    /// The peer was told of every piece that it may ask for and lacks.
    pub fn check_told(&self, log: &HaveLog) {
        let session = self.conversation.session();
        if self.cursor == log.end() {
            let untold = (0..self.told.len())
                .find(|&piece| session.offers(piece) && !session.has().has(piece) && !self.told.has(piece));
            assert_eq!(untold, None, "a piece that the peer lacks was not told");
        }
    }
}

impl Node {
    /// The reader wakes: it takes in frame after frame until there is none, or none fits the pool.
    pub fn read(&mut self, key: PeerKey, common: &Common, net: &mut Net) {
        while self.read_frame(key, common, net) {}
    }

    /// Takes in a frame. False where the reader waits, or has ended.
    fn read_frame(&mut self, key: PeerKey, common: &Common, net: &mut Net) -> bool {
        let deaf = self.plan.twist == Some(Twist::Deaf);
        let Some(life) = &mut self.life else { return false };
        let Some(worker) = life.workers.get_mut(&key).filter(|worker| !worker.ended && !deaf) else {
            return false;
        };
        let (link, end, most) = (worker.link, worker.end, max_message(&common.pieces));
        let stream = &mut net.links[link].ends[end].inbox;
        let mut bytes = 0;
        while worker.whole < FRAMES_AT_HAND {
            let Some(length) = whole_frame(stream.rest(), most) else { break };
            worker.source.0.borrow_mut().push(&stream.rest()[..length]);
            stream.skip(length);
            (worker.whole, bytes) = (worker.whole + 1, bytes + length);
        }
        net.read(link, end, bytes);
        let hung_up = net.links[link].ends[end].hung_up;
        worker.held_back = worker.whole > 0 && !life.pool.has_room();
        worker.was_held_back |= worker.held_back;
        if worker.held_back || worker.whole == 0 && !hung_up {
            return false;
        }
        // What was said before it came, before it changes what is known of the peer.
        if self.plan.twist.is_none() {
            worker.hear(&life.ledger, common);
        }
        let frame = if worker.whole > 0 {
            worker.frames.next(&mut Tap(life.pool.clone()))
        } else {
            Err(ReadError::Closed)
        };
        let due = match frame {
            Ok(Frame::Message(message)) => {
                worker.whole -= 1;
                worker.served.hears(&message, worker.conversation.session().is_choked());
                worker.conversation.on_message(message, net.now).map(|()| true)
            }
            Ok(Frame::Blocks(blocks)) => {
                worker.whole -= blocks.refs().count();
                life.host.received(key, blocks.length);
                worker.quiet = None;
                worker.conversation.on_blocks(&blocks, net.now).map(|taken_in| {
                    let due = worker.conversation.is_due_after(blocks.more);
                    if taken_in.won != 0 {
                        life.to_disk.push_back(ToDisk::Write(Write { from: key, blocks, won: taken_in.won }));
                    }
                    due
                })
            }
            Err(ReadError::Violation(violation)) => Err(DisconnectReason::Violation(violation)),
            Err(ReadError::Io(_) | ReadError::Closed) => Err(DisconnectReason::Lost),
        };
        if !life.to_disk.is_empty() {
            self.wake(Thread::Disk, Duration::ZERO, net);
        }
        let done = due.and_then(|due| if due { self.carry_out(key, common, net) } else { Ok(()) });
        let Some(worker) = self.life.as_mut().and_then(|life| life.workers.get_mut(&key)) else {
            return false;
        };
        worker.mind(net.now);
        if let Err(why) = done {
            worker.ended = true;
            worker.conversation.on_end(why);
            self.wake(Thread::Worker(key), Duration::ZERO, net);
        } else if worker.conversation.is_to_be_woken() {
            self.wake(Thread::Worker(key), Duration::ZERO, net);
        }
        true
    }

    /// Readers that waited for the pool look again.
    pub fn read_again(&mut self, net: &mut Net) {
        let Some(life) = &self.life else { return };
        let held: Vec<PeerKey> =
            life.workers.iter().filter(|(_, worker)| worker.held_back).map(|(&key, _)| key).collect();
        held.into_iter().for_each(|key| self.wake(Thread::Reader(key), Duration::ZERO, net));
    }

    /// The worker wakes: it carries out orders and does what is due.
    pub fn worker(&mut self, key: PeerKey, common: &Common, net: &mut Net) {
        let link = self.life.as_ref().and_then(|life| life.workers.get(&key)).map(|worker| worker.link);
        let hangs = self.hangs.is_some_and(|hang| {
            hang == Hang::WhateverHappens || link.is_some_and(|link| net.links[link].open)
        });
        if hangs {
            return;
        }
        if let Err(why) = self.take_orders(key, common, net).and_then(|()| self.carry_out(key, common, net)) {
            return self.hang_up(key, why, common, net);
        }
        let Some(worker) = self.life.as_mut().and_then(|life| life.workers.get_mut(&key)) else { return };
        let wait = worker.conversation.sleeps_until().since(net.now);
        self.wake(Thread::Worker(key), wait, net);
    }

    /// The threads of its connections go on.
    pub fn hangs_no_longer(&mut self, net: &mut Net) {
        self.hangs = None;
        let Some(life) = &mut self.life else { return };
        life.workers.values_mut().for_each(|worker| worker.behind = None);
        let hung: Vec<PeerKey> = life.workers.keys().copied().collect();
        hung.into_iter().for_each(|key| self.wake(Thread::Worker(key), Duration::ZERO, net));
    }

    fn take_orders(&mut self, key: PeerKey, common: &Common, net: &mut Net) -> Result<(), DisconnectReason> {
        let now = net.now;
        let Some(worker) = self.life.as_mut().and_then(|life| life.workers.get_mut(&key)) else {
            return Ok(());
        };
        if worker.deaf {
            return Err(DisconnectReason::Shutdown);
        }
        let mut orders = std::mem::take(&mut worker.orders);
        let peer = net.links[worker.link].ends[worker.end].peer;
        while let Some(order) = orders.pop_front() {
            if let Order::Learn { ours, cursor } = order {
                self.learn(key, *ours, cursor, peer, common, now)?;
                continue;
            }
            let Some(worker) = self.life.as_mut().and_then(|life| life.workers.get_mut(&key)) else { break };
            let refused =
                self.plan.twist == Some(Twist::NeverUnchokes) && matches!(order, Order::Choke(false));
            if !refused {
                worker.conversation.on_order(order, now)?;
            }
        }
        let Some(worker) = self.life.as_mut().and_then(|life| life.workers.get_mut(&key)) else {
            return Ok(());
        };
        let excused = std::mem::replace(&mut worker.was_held_back, worker.held_back);
        worker.conversation.on_time(excused, now)?;
        worker.quiet = worker.quiet.filter(|_| !excused);
        worker.mind(now);
        let stalls = worker.quiet.is_some_and(|since| now > since + MAX_STALL);
        assert!(!stalls, "{key:?} sends nothing, and others are not asked instead");
        let stuck = net.links[worker.link].ends[worker.end].stuck;
        if stuck.is_some_and(|since| now >= since + WRITE_TIMEOUT) {
            return Err(DisconnectReason::Silent);
        }
        Ok(())
    }

    /// The connection learns of the pieces.
    fn learn(
        &mut self,
        key: PeerKey,
        ours: OurPieces,
        cursor: usize,
        peer: SocketAddr,
        common: &Common,
        now: Moment,
    ) -> Result<(), DisconnectReason> {
        let extension_setup = self.extension_setup(peer, common.pex, Some(common), ours.upload_only);
        let have = super::liar::claims(self.plan.twist, ours.have);
        let Some(worker) = self.life.as_mut().and_then(|life| life.workers.get_mut(&key)) else {
            return Ok(());
        };
        worker.cursor = cursor;
        worker.conversation.learn(Learned { pieces: common.pieces, have, extension_setup }, now)
    }

    /// Sends what the conversation has to say, to the peer and to the torrent.
    fn carry_out(&mut self, key: PeerKey, common: &Common, net: &mut Net) -> Result<(), DisconnectReason> {
        let Some(life) = &mut self.life else { return Ok(()) };
        let Some(worker) = life.workers.get_mut(&key) else { return Ok(()) };
        worker.read_log(&life.log);
        let reports: Vec<_> = worker.conversation.reports().collect();
        let done = worker.conversation.check_over();
        if let Some(twist) = self.plan.twist {
            super::liar::says(twist, &mut worker.conversation, common, net);
        } else {
            worker.hear(&life.ledger, common);
        }
        worker.has_uploader |= worker.conversation.has_uploads();
        let mut done = done;
        if worker.has_uploader {
            done = done.and_then(|()| worker.conversation.check_unsent());
            worker.seen = worker.conversation.outgoing().len();
            self.wake(Thread::Uploader(key), Duration::ZERO, net);
        } else {
            worker.seen = 0;
            let bytes = std::mem::take(worker.conversation.outgoing());
            net.send(worker.link, worker.end, bytes);
        }
        for report in reports {
            self.tell(Input::Report(key, report), net);
        }
        done
    }

    /// The uploader: what comes next, while the socket takes it.
    pub fn upload(&mut self, key: PeerKey, common: &Common, net: &mut Net) {
        loop {
            let Some(life) = &mut self.life else { return };
            let Some(worker) = life.workers.get_mut(&key) else { return };
            if worker.mute || net.queued(worker.link, worker.end) >= SEND_BUFFER {
                return;
            }
            let honest = self.plan.twist.is_none();
            let (block, losses) = match worker.picked.take() {
                Some((block, losses, due)) if net.now < due => {
                    worker.picked = Some((block, losses, due));
                    return self.wake(Thread::Uploader(key), due - net.now, net);
                }
                Some((block, losses, _)) => (block, losses),
                None => {
                    let losses = life.log.losses();
                    worker.read_losses(&life.log);
                    if honest {
                        worker.hear(&life.ledger, common);
                    }
                    let choked = worker.conversation.session().is_choked();
                    let mut messages = Vec::new();
                    match worker.conversation.next(&mut messages) {
                        None => return self.report(key, net),
                        Some(ToSend::Messages) => {
                            worker.seen = 0;
                            net.send(worker.link, worker.end, messages);
                            continue;
                        }
                        Some(ToSend::Block(block)) => {
                            let may = !choked || worker.conversation.session().fast();
                            assert!(may, "it serves a peer that it chokes");
                            if honest {
                                worker.served.sends(block, choked);
                            }
                            // Now and then the thread has to wait for the processor just here.
                            if self.disk.state().changes > 0 && net.dice.below(4) == 0 {
                                let longest = [400_000, 3_000_000][net.dice.below(2) as usize];
                                let within = Duration::from_micros(net.dice.below(longest));
                                worker.picked = Some((block, losses, net.now + within));
                                return self.wake(Thread::Uploader(key), within, net);
                            }
                            (block, losses)
                        }
                    }
                }
            };
            if let Some(file) = self.changed_at(block, net.now) {
                self.refuse(key, block);
                self.send(Message::FilesChanged(vec![file]), net);
                continue;
            }
            let Some(life) = &mut self.life else { return };
            let Some(worker) = life.workers.get_mut(&key) else { return };
            if life.log.losses() != losses {
                worker.read_losses(&life.log);
                if !worker.conversation.still_offers(block) {
                    self.refuse(key, block);
                    continue;
                }
            }
            assert!(!honest || life.ledger.proved.has(block.piece), "it serves what it has not proved");
            let mut frame = piece_header(block).to_vec();
            frame.resize(13 + block.length as usize, 0);
            let offset = common.pieces.offset(block.piece) + u64::from(block.begin);
            let read = self.disk.read_at(offset, &mut frame[13..]);
            if let Some(file) = read.as_ref().err().and_then(|error| self.lacking_at(block, error)) {
                self.refuse(key, block);
                self.send(Message::FilesChanged(vec![file]), net);
                continue;
            }
            if honest && read.is_ok() && !self.disk.are_right(offset as usize, &frame[13..]) {
                self.sends_wrong(block, net.now, common);
            }
            let Some(life) = &mut self.life else { return };
            let Some(worker) = life.workers.get_mut(&key) else { return };
            worker.blocks += 1;
            if let Err(error) = read {
                worker.mute = true;
                worker.conversation.on_end(DisconnectReason::Shutdown);
                self.wake(Thread::Worker(key), Duration::ZERO, net);
                return self.tell(Input::ReadFailed(error), net);
            }
            if let Some(twist) = self.plan.twist {
                super::liar::serves(twist, worker, block, &mut frame, common, net);
            }
            life.host.sent(key, block.length);
            net.send(worker.link, worker.end, frame);
        }
    }

    /// A block that was to be sent cannot be.
    fn refuse(&mut self, key: PeerKey, block: BlockRef) {
        let worker = self.life.as_mut().and_then(|life| life.workers.get_mut(&key));
        worker.into_iter().for_each(|worker| worker.conversation.refuse(block));
    }

    /// Tells the torrent what the uploader had to read of the log.
    fn report(&mut self, key: PeerKey, net: &mut Net) {
        let Some(worker) = self.life.as_mut().and_then(|life| life.workers.get_mut(&key)) else { return };
        let reports: Vec<_> = worker.conversation.reports().collect();
        reports.into_iter().for_each(|report| self.tell(Input::Report(key, report), net));
    }

    /// The connection is over.
    fn hang_up(&mut self, key: PeerKey, why: DisconnectReason, common: &Common, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        let Some(mut worker) = life.workers.remove(&key) else { return };
        if let DisconnectReason::Violation(violation) = why {
            let node = net.links[worker.link].ends[1 - worker.end].who.node;
            let fair = self.plan.twist.is_some() || !common.honest[node].get();
            assert!(fair, "honest node {node} is banned by node {}: {violation}", self.at);
            *net.stats.bans.entry(violation.to_string()).or_default() += 1;
        }
        if self.plan.twist.is_none() {
            worker.hear(&life.ledger, common);
            worker.check_told(&life.log);
        }
        let held: Vec<LeaseId> = worker.conversation.session().leases().collect();
        let has = worker.conversation.session().has();
        let has_all = !has.is_empty() && has.is_full();
        life.admitted.get_mut(&key).into_iter().for_each(|peer| peer.had_all = has_all);
        worker.conversation.end();
        life.pool.connections.set(life.pool.connections.get() - 1);
        let reports: Vec<_> = worker.conversation.reports().collect();
        let is_returned = |lease: &LeaseId| reports.contains(&Report::Returned(*lease));
        assert!(held.iter().all(is_returned), "{key:?} ends, and its leases are not returned: {held:?}");
        net.tell(|| format!("node {}: {key:?} ends: {why}", self.plan.name));
        net.reset(worker.link);
        for report in reports {
            self.tell(Input::Report(key, report), net);
        }
        self.tell(Input::Gone(key, why), net);
    }
}
