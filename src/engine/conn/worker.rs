//! The worker of a connection: the thread that carries out the foreman's orders and minds the
//! conversation's deadlines, and begins and ends the connection's other threads.
//!
//! It waits in one place, for an order, a nudge of the reader, or the session's deadline. While blocks
//! come as they should it sleeps: what they bring about is the reader's to do ([`Talk`]).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::conversation::{Link, Talk};
use super::extension_handshake;
use super::join::{Accepted, Handshaken, JoinRequest, Known, Orders};
use super::reader::{Reader, Reading};
use super::uploader::SendQueue;
use crate::bitfield::Bitfield;
use crate::engine::context::TorrentShared;
use crate::engine::inbox::TorrentMessage;
use crate::engine::runtime::block_pool::TapCloser;
use crate::engine::runtime::counters::ByteCounters;
use crate::engine::runtime::rate_limit::{Pace, Throttled};
use crate::engine::runtime::threads;
use crate::orders::Order;
use crate::peer::session::{Session, Setup};
use crate::torrent::Input;
use crate::transport::{Closer, Connection, Outlet};
use crate::violation::DisconnectReason;
use crate::wire::frame::max_message;

/// Orders the foreman may be ahead of a worker; one that is further behind is given up.
const ORDERS: usize = 256;

/// Runs a fresh connection to its end on the present thread. `handshaken` has passed already.
pub(crate) fn converse(torrent: &Arc<TorrentShared>, fresh: Handshaken) {
    let known = fresh.known();
    let Connection { reader: source, writer, closer } = fresh.connection;
    work(torrent, known, writer, closer, |reading| {
        threads::spawn("read", move || reading.start(source)).map(Some)
    });
}

/// Goes on with a connection that was there before the torrent, on the present thread and to its end.
/// `hand` gives its reader, which is another thread, what that needs to go on.
pub(crate) fn take_over(
    torrent: &Arc<TorrentShared>,
    known: Known,
    writer: Box<dyn Outlet>,
    closer: Closer,
    hand: impl FnOnce(Reading),
) {
    work(torrent, known, writer, closer, |reading| {
        hand(reading);
        Ok(None)
    });
}

/// Asks to be let in, and works to the end.
fn work(
    torrent: &Arc<TorrentShared>,
    known: Known,
    writer: Box<dyn Outlet>,
    closer: Closer,
    read: impl FnOnce(Reading) -> crate::error::Result<Option<JoinHandle<()>>>,
) {
    let (orders, inbox): Orders = bounded(ORDERS);
    let (admit, admitted) = bounded(1);
    let tally = Arc::new(ByteCounters::default());
    let arrival = JoinRequest {
        addr: known.addr,
        incoming: known.incoming,
        parked: known.parked,
        handshake: known.handshake,
        orders,
        tally: tally.clone(),
        closer: closer.clone(),
        admit,
    };
    if torrent.torrent.send(TorrentMessage::Join(Box::new(arrival))).is_ok() {
        // A foreman answers at once, or ends and drops the question.
        if let Ok(Ok(welcome)) = admitted.recv() {
            let key = welcome.key;
            let connection = (writer, closer.clone());
            let why = match Worker::start(torrent.clone(), known, connection, welcome, inbox, tally, read) {
                Ok(worker) => worker.run(),
                Err(_) => DisconnectReason::Crowded,
            };
            let _ = torrent.torrent.send(Input::Gone(key, why).into());
        }
    }
    closer.close();
}

struct Worker {
    talk: Arc<Talk>,
    orders: Receiver<Order>,
    nudged: Receiver<()>,
    outbox: Arc<SendQueue>,
    /// The reader, where it is a thread of ours.
    reader: Option<JoinHandle<()>>,
    tap: TapCloser,
    closer: Closer,
    /// Dropped to end every wait of the reader and the uploader.
    hangup: Sender<()>,
}

impl Worker {
    fn start(
        torrent: Arc<TorrentShared>,
        known: Known,
        (writer, closer): (Box<dyn Outlet>, Closer),
        welcome: Accepted,
        orders: Receiver<Order>,
        tally: Arc<ByteCounters>,
        read: impl FnOnce(Reading) -> crate::error::Result<Option<JoinHandle<()>>>,
    ) -> crate::error::Result<Worker> {
        let session = session(&torrent, &known, welcome.have, welcome.upload_only);
        let (hangup, hung) = bounded(0);
        let (nudge, nudged) = bounded(1);
        // Every session may begin with a bitfield.
        let send_buffer = torrent.client.budget.send_buffer + torrent.pieces.count().div_ceil(8) as usize;
        let outbox = Arc::new(SendQueue::new(send_buffer));
        let held_back = Throttled::default();
        let (limits, max_message) = (torrent.down.clone(), max_message(&torrent.pieces));
        let pace = Pace::new(limits.clone(), held_back.clone(), hung.clone());
        let piece_length = torrent.pieces.piece_length();
        let tap = torrent.client.pool.tap();
        let tap_closer = tap.closer();
        let (key, addr) = (welcome.key, known.addr);
        let link = Link {
            torrent,
            key,
            addr,
            tally,
            outbox: outbox.clone(),
            held_back: held_back.clone(),
            hung,
            nudge,
        };
        let talk = Arc::new(Talk::new(link, session, welcome.cursor, writer));
        let reader = Reader { tap, limits, held_back, talk: talk.clone() };
        let reader = read(Reading { reader, pace, max_message, piece_length })?;
        Ok(Worker { talk, orders, nudged, outbox, reader, tap: tap_closer, closer, hangup })
    }

    /// Converses until the end and says why it came.
    fn run(self) -> DisconnectReason {
        let why = loop {
            if let Err(why) = self.step() {
                break why;
            }
        };
        self.close(why);
        why
    }

    /// Does what is due, waits for something to happen, and sees to that.
    fn step(&self) -> Result<(), DisconnectReason> {
        let wait = self.talk.due()?;
        select! {
            recv(self.orders) -> order => {
                self.talk.on_order(order.unwrap_or(Order::Close(DisconnectReason::Shutdown)), &self.orders)
            }
            recv(self.nudged) -> _ => Ok(()),
            default(wait) => Ok(()),
        }
    }

    /// Gives back what the session holds, ends the other threads of this connection and waits for
    /// them.
    fn close(self, why: DisconnectReason) {
        // First, for who has the conversation may be writing.
        part(&self.closer, why);
        self.talk.end();
        self.tap.close();
        self.outbox.close();
        drop(self.hangup);
        self.reader.into_iter().for_each(|reader| _ = reader.join());
        if let Some(uploader) = self.talk.uploader() {
            let _ = uploader.join();
        }
    }
}

/// The conversation to have with a peer that was let in.
fn session(torrent: &Arc<TorrentShared>, known: &Known, have: Bitfield, upload_only: bool) -> Session {
    let setup = Setup {
        introduction: extension_handshake::ours(torrent, known, upload_only),
        pieces: torrent.pieces,
        info_hash: torrent.metainfo.info_hash(),
        peer_ip: known.addr.ip(),
        fast: known.handshake.fast(),
        have,
        request_cap: Setup::REQUEST_CAP,
    };
    let now = torrent.client.clock.now();
    let mut session = if known.parked { Session::resume(setup, now) } else { Session::new(setup, now) };
    let node = torrent.dht().filter(|_| known.handshake.dht());
    node.into_iter().for_each(|dht| session.tell_dht_port(dht.port()));
    session
}

/// Ends a connection, and takes nothing more of a peer that does wrong or does not read.
pub(crate) fn part(closer: &Closer, why: DisconnectReason) {
    match why {
        DisconnectReason::Violation(_) | DisconnectReason::Silent => closer.hang_up(),
        _ => closer.close(),
    }
}

/// Why a connection is over that cannot be written to: the peer reads nothing, or it is broken.
pub(crate) fn broken(error: &io::Error) -> DisconnectReason {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => DisconnectReason::Silent,
        _ => DisconnectReason::Lost,
    }
}

/// Where a connection is, for the names of threads and nothing else.
pub(crate) fn thread_name(addr: SocketAddr) -> String {
    format!("peer-{}", addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_not_told_as_silence() {
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::NotConnected] {
            assert_eq!(broken(&kind.into()), DisconnectReason::Lost, "{kind}");
        }
        for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut] {
            assert_eq!(broken(&kind.into()), DisconnectReason::Silent, "{kind}");
        }
    }
}
