//! The connections that came in and have not yet said which torrent they are for.
//!
//! Each has a thread and a descriptor, so that there is a bound. When it is reached the places are
//! shared by network (see `network`); among equals a connection that has had time
//! enough makes way. An honest peer sends its handshake with its first packet, so that silent
//! connections, however many, cost it nothing.
//!
//! Invariant: at most `most` connections have a place. A connection that lost its place was shut
//! down; its thread ends by itself.

use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::lock::lock;
use crate::moment::Moment;
use crate::network::{Holder, gives_way, longest_of_largest};

/// How long a connection keeps its place against one of a network that has no fewer.
const MIN_HOLD_TIME: Duration = Duration::from_secs(1);

/// The places for handshakes.
#[derive(Debug)]
pub(crate) struct Handshakes {
    waiting: Mutex<Vec<Waiting>>,
    most: usize,
}

#[derive(Debug)]
struct Waiting {
    stream: Arc<TcpStream>,
    ip: IpAddr,
    since: Moment,
}

/// The place of a connection; given back when dropped.
pub(crate) struct Place {
    handshakes: Arc<Handshakes>,
    stream: Arc<TcpStream>,
}

impl Place {
    /// Its connection.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Gives the place back, the handshake being done; nothing where the place was lost meanwhile.
    pub(crate) fn leave(self) -> Option<TcpStream> {
        let kept = self.handshakes.remove(&self.stream);
        let stream = self.stream.clone();
        drop(self);
        Arc::into_inner(stream).filter(|_| kept)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes.remove(&self.stream);
    }
}

impl Handshakes {
    /// For `most` at once, one at least.
    pub(crate) fn new(most: u32) -> Arc<Handshakes> {
        Arc::new(Handshakes { waiting: Mutex::default(), most: most.max(1) as usize })
    }

    /// Gives a connection a place; nothing, and the connection is closed, where there is none for it.
    pub(crate) fn enter(self: &Arc<Self>, stream: TcpStream, ip: IpAddr, now: Moment) -> Option<Place> {
        let stream = Arc::new(stream);
        let mut waiting = self.lock();
        if waiting.len() >= self.most {
            let at = makes_way(&waiting, ip, now)?;
            let gone = waiting.swap_remove(at);
            // The read of its thread returns.
            let _ = gone.stream.shutdown(Shutdown::Both);
        }
        waiting.push(Waiting { stream: stream.clone(), ip, since: now });
        Some(Place { handshakes: self.clone(), stream })
    }

    fn remove(&self, stream: &Arc<TcpStream>) -> bool {
        let mut waiting = self.lock();
        let place = waiting.iter().position(|one| Arc::ptr_eq(&one.stream, stream));
        place.is_some_and(|at| {
            waiting.swap_remove(at);
            true
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        lock(&self.waiting)
    }
}

/// The connection that makes way for one from `ip`.
fn makes_way(waiting: &[Waiting], ip: IpAddr, now: Moment) -> Option<usize> {
    let holder = |one: &Waiting| Holder { ip: one.ip, since: one.since.as_micros() };
    let holders: Vec<Holder> = waiting.iter().map(holder).collect();
    let had_its_time = |at: &usize| waiting.get(*at).is_some_and(|one| now - one.since >= MIN_HOLD_TIME);
    gives_way(&holders, ip).or_else(|| longest_of_largest(&holders).filter(had_its_time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    /// A connection to ourselves: this end, and the other.
    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, other)
    }

    fn enter(handshakes: &Arc<Handshakes>, ip: &str, secs: u64) -> (Option<Place>, TcpStream) {
        let (ours, theirs) = connection();
        (handshakes.enter(ours, ip.parse().unwrap(), Moment::from_secs(secs)), theirs)
    }

    #[test]
    fn silent_connections_of_one_address_keep_no_other_out() {
        let handshakes = Handshakes::new(3);
        let mut silent: Vec<_> = (0..3).map(|_| enter(&handshakes, "9.9.9.9", 0)).collect();
        assert!(enter(&handshakes, "9.9.9.9", 0).0.is_none(), "it has all places, and its time is not up");
        let (honest, _theirs) = enter(&handshakes, "8.8.8.8", 0);
        assert!(honest.unwrap().leave().is_some());
        // The first of the silent ones was shut down, and does not count as through.
        let (first, mut theirs) = silent.remove(0);
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        assert!(first.unwrap().leave().is_none());
        assert_eq!(handshakes.lock().len(), 2);
    }

    #[test]
    fn among_equals_the_one_that_had_its_time_makes_way() {
        let handshakes = Handshakes::new(2);
        let _one = enter(&handshakes, "1.1.1.1", 0);
        let _two = enter(&handshakes, "2.2.2.2", 1);
        assert!(enter(&handshakes, "3.3.3.3", 0).0.is_none());
        let (three, _theirs) = enter(&handshakes, "3.3.3.3", 1);
        assert!(three.is_some());
        assert!(handshakes.lock().iter().all(|one| one.ip != "1.1.1.1".parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn a_place_is_given_back_however_its_holder_ends() {
        let handshakes = Handshakes::new(1);
        let (place, _theirs) = enter(&handshakes, "1.1.1.1", 0);
        drop(place);
        let (place, _theirs) = enter(&handshakes, "1.1.1.1", 0);
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = place;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(unwound.is_err());
        assert!(handshakes.lock().is_empty());
    }
}
