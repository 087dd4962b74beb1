//! The connections of the HTTP side: how many there may be, and who has to go for who comes.
//!
//! A connection that has its answer, or has not asked yet, is only waiting. When all seats are
//! taken, the one that waited longest goes, of the network that has most: so neither those that
//! connect and say nothing nor those that say it slowly can keep others out, and one network that
//! tries only pushes out itself.

use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::moment::Moment;
use crate::network::{Holder, longest_of_largest};

/// A connection.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) stream: TcpStream,
    pub(crate) from: IpAddr,
    /// Since when it waits, in microseconds.
    since: AtomicU64,
}

impl Seat {
    /// It was answered just now.
    pub(crate) fn answered(&self, now: Moment) {
        self.since.store(now.as_micros(), Ordering::Relaxed);
    }
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Seats {
    taken: Mutex<Vec<Arc<Seat>>>,
    most: usize,
}

impl Seats {
    pub(crate) fn new(most: usize) -> Self {
        Seats { taken: Mutex::default(), most }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection a seat; true with it where another had to go.
    pub(crate) fn take(&self, stream: TcpStream, from: IpAddr, now: Moment) -> (Arc<Seat>, bool) {
        let from = from.to_canonical();
        let seat = Seat { stream, from, since: AtomicU64::new(now.as_micros()) };
        let seat = Arc::new(seat);
        let mut taken = self.taken();
        let full = taken.len() >= self.most && send_away(&mut taken);
        taken.push(seat.clone());
        (seat, full)
    }

    /// Sends one away, should there be any.
    pub(crate) fn make_room(&self) -> bool {
        send_away(&mut self.taken())
    }

    /// A connection has ended.
    pub(crate) fn leave(&self, seat: &Arc<Seat>) {
        self.taken().retain(|other| !Arc::ptr_eq(other, seat));
    }

    /// Whether there are so many that nobody should stay without need.
    pub(crate) fn are_scarce(&self) -> bool {
        self.taken().len() > self.most / 2
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.taken().len()
    }

    /// Everyone goes.
    pub(crate) fn clear(&self) {
        for seat in self.taken().drain(..) {
            let _ = seat.stream.shutdown(Shutdown::Both);
        }
    }
}

fn send_away(taken: &mut Vec<Arc<Seat>>) -> bool {
    let waiting = |seat: &Arc<Seat>| Holder { ip: seat.from, since: seat.since.load(Ordering::Relaxed) };
    let waiting: Vec<_> = taken.iter().map(waiting).collect();
    let Some(at) = longest_of_largest(&waiting) else { return false };
    // Its thread's read returns, and the seat it gives back is no longer there.
    let _ = taken.swap_remove(at).stream.shutdown(Shutdown::Both);
    true
}
