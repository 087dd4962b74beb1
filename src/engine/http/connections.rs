//! The connections of an HTTP server: how many there may be, and which is closed for a new one.
//!
//! A connection that has its answer, or has not asked yet, is only waiting. When there are as many as there
//! may be, the one that waited longest is closed, of the network that has most: so neither peers that
//! connect and send nothing nor those that send slowly can keep others out, and one network that tries
//! only displaces its own connections.

use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;
use crate::moment::Moment;
use crate::network::{Holder, longest_of_largest};

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// Where it comes from; from nowhere if it came over a Unix socket.
    pub(crate) from: Option<IpAddr>,
    /// Since when it waits, in microseconds.
    since: AtomicU64,
}

impl Connection {
    /// It was answered just now.
    pub(crate) fn answered(&self, now: Moment) {
        self.since.store(now.as_micros(), Ordering::Relaxed);
    }
}

/// All connections.
#[derive(Debug)]
pub(crate) struct ConnectionTable {
    open: Mutex<Vec<Arc<Connection>>>,
    most: usize,
}

impl ConnectionTable {
    pub(crate) fn new(most: usize) -> Self {
        ConnectionTable { open: Mutex::default(), most }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        lock(&self.open)
    }

    /// Adds a connection; true with it where another was closed for it.
    pub(crate) fn add(
        &self,
        stream: TcpStream,
        from: Option<IpAddr>,
        now: Moment,
    ) -> (Arc<Connection>, bool) {
        let from = from.map(|from| from.to_canonical());
        let connection = Arc::new(Connection { stream, from, since: AtomicU64::new(now.as_micros()) });
        let mut open = self.open();
        let was_full = open.len() >= self.most && close_one(&mut open);
        open.push(connection.clone());
        (connection, was_full)
    }

    /// Closes one, should there be any.
    pub(crate) fn make_room(&self) -> bool {
        close_one(&mut self.open())
    }

    /// A connection has ended.
    pub(crate) fn remove(&self, connection: &Arc<Connection>) {
        self.open().retain(|other| !Arc::ptr_eq(other, connection));
    }

    /// Whether there are too many connections to keep one without need.
    pub(crate) fn are_scarce(&self) -> bool {
        self.open().len() > self.most / 2
    }

    /// How many there are.
    #[cfg(feature = "tracker-server")]
    pub(crate) fn count(&self) -> usize {
        self.open().len()
    }

    /// Closes all.
    pub(crate) fn close_all(&self) {
        for connection in self.open().drain(..) {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }
}

fn close_one(open: &mut Vec<Arc<Connection>>) -> bool {
    // What comes over a Unix socket comes from this machine.
    let ip = |one: &Connection| one.from.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let holder = |one: &Arc<Connection>| Holder { ip: ip(one), since: one.since.load(Ordering::Relaxed) };
    let holders: Vec<_> = open.iter().map(holder).collect();
    let Some(at) = longest_of_largest(&holders) else { return false };
    // The read of its thread returns, and when that removes the connection it is no longer there.
    let _ = open.swap_remove(at).stream.shutdown(Shutdown::Both);
    true
}
