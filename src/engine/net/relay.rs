//! Datagrams through a proxy: one association with its relay, kept by the connection on which it was asked for.
//!
//! It is asked for when there is something to send. A thread waits for the end of the connection, with which the
//! relay ends, and asks again, ever more seldom, while there is anyone to take what comes. Until there is a relay
//! what is sent waits, up to a bound. What cannot go by the relay is lost, as any datagram may be, and never goes
//! another way.
//!
//! Invariant: there is at most one association, and nothing is taken but from its relay.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock};
use std::time::{Duration, Instant};

use super::wake::Waker;
use crate::engine::runtime::threads::{self, Waited};
use crate::error::Result;
use crate::lock::{self, lock};
use crate::transport::proxied;

/// Longest datagram that is taken whole: the answer of a tracker with some 900 peers.
const MAX_DATAGRAM: usize = (16 << 10) + 262;
/// Datagrams that wait for a relay.
const MAX_WAITING: usize = 128;
/// The pause before a relay is asked for again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// A relay that was there for so long was no failure.
const LONG_LIFE: Duration = Duration::from_secs(60);
/// Pause after a failure to receive, should it go on.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);
/// How long the thread that receives has to end.
const MAX_END: Duration = Duration::from_millis(100);

/// The connection that keeps an association, and a socket that is connected to its relay.
pub(super) type Association = (TcpStream, UdpSocket);
/// Asks for one.
type Ask = Box<dyn Fn() -> io::Result<Association> + Send + Sync>;
/// Takes a datagram and the address it came from, where the relay names one. Must not wait.
type Take = Box<dyn Fn(&[u8], Option<SocketAddr>) + Send + Sync>;

/// The relay of a proxy.
pub(crate) struct Relay {
    ask: Ask,
    state: Mutex<State>,
    /// Rung whenever the phase changes.
    changed: Condvar,
    takers: RwLock<Vec<(u64, Take)>>,
    next_taker: AtomicU64,
}

struct State {
    phase: Phase,
    /// What waits for a relay, as the relay gets it.
    waiting: VecDeque<Vec<u8>>,
    /// What is closed to end the association.
    control: Option<TcpStream>,
    pause: Duration,
}

enum Phase {
    /// No thread minds it. Before this moment it is not asked for again, for this reason.
    Idle(Option<(Instant, String)>),
    Asking,
    Up(Arc<UdpSocket>),
    /// It failed for this reason, and will be asked for again.
    Paused(String),
    /// The proxy relays nothing, and is not asked again.
    Refused(String),
    Closed,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay")
    }
}

impl Relay {
    /// A relay that is got by `ask`. An error of the kind [`ErrorKind::Unsupported`] is final.
    pub(super) fn new(ask: impl Fn() -> io::Result<Association> + Send + Sync + 'static) -> Arc<Relay> {
        let state =
            State { phase: Phase::Idle(None), waiting: VecDeque::new(), control: None, pause: FIRST_PAUSE };
        Arc::new(Relay {
            ask: Box::new(ask),
            state: Mutex::new(state),
            changed: Condvar::new(),
            takers: RwLock::default(),
            next_taker: AtomicU64::new(0),
        })
    }

    /// Hands everything that comes to `take`, until the value returned is dropped.
    pub(crate) fn hear(
        self: &Arc<Self>,
        take: impl Fn(&[u8], Option<SocketAddr>) + Send + Sync + 'static,
    ) -> Hearing {
        let number = self.next_taker.fetch_add(1, Ordering::Relaxed);
        lock::write(&self.takers).push((number, Box::new(take)));
        Hearing { relay: self.clone(), number }
    }

    /// Has a datagram sent to a host, a name or an address, and a port.
    pub(crate) fn send(self: &Arc<Self>, host: &str, port: u16, payload: &[u8]) {
        let Ok(datagram) = proxied::wrap(host, port, payload) else { return };
        let mut state = lock(&self.state);
        if let Phase::Up(socket) = &state.phase {
            let socket = socket.clone();
            drop(state);
            // What cannot be sent is lost.
            let _ = socket.send(&datagram);
            return;
        }
        self.begin(&mut state);
        if matches!(state.phase, Phase::Asking) && state.waiting.len() < MAX_WAITING {
            state.waiting.push_back(datagram);
        }
    }

    /// Waits until there is a relay, asks for one where there is none.
    ///
    /// # Errors
    /// Why there is none: [`ErrorKind::Unsupported`] where there will be none, [`ErrorKind::TimedOut`] at `end`.
    pub(crate) fn wait_until_up(self: &Arc<Self>, end: Instant) -> io::Result<()> {
        let mut state = lock(&self.state);
        loop {
            self.begin(&mut state);
            match &state.phase {
                Phase::Up(_) => return Ok(()),
                Phase::Refused(why) => return Err(io::Error::new(ErrorKind::Unsupported, why.clone())),
                Phase::Closed => return Err(ErrorKind::NotConnected.into()),
                Phase::Idle(failed) => {
                    let why = failed.as_ref().map(|(_, why)| why.clone()).unwrap_or_default();
                    return Err(io::Error::other(why));
                }
                Phase::Paused(why) => return Err(io::Error::other(why.clone())),
                Phase::Asking => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            state = lock::wait_timeout(&self.changed, state, left).0;
        }
    }

    /// Why there will be no relay, if that is so.
    pub(crate) fn refusal(&self) -> Option<String> {
        match &lock(&self.state).phase {
            Phase::Refused(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// Ends the association; another is asked for where one is needed.
    pub(super) fn cut(&self) {
        shut(&lock(&self.state));
    }

    /// Ends the association for good.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        shut(&state);
        state.waiting.clear();
        self.enter(&mut state, Phase::Closed);
    }

    fn enter(&self, state: &mut MutexGuard<'_, State>, phase: Phase) {
        if !matches!(state.phase, Phase::Closed) {
            state.phase = phase;
        }
        self.changed.notify_all();
    }

    /// Starts the thread that asks for a relay, where none minds it and it is time.
    fn begin(self: &Arc<Self>, state: &mut MutexGuard<'_, State>) {
        let Phase::Idle(failed) = &state.phase else { return };
        if failed.as_ref().is_some_and(|(again, _)| *again > Instant::now()) {
            return;
        }
        let relay = self.clone();
        let phase = match threads::spawn("relay", move || relay.run()) {
            Ok(_) => Phase::Asking,
            Err(error) => Phase::Idle(Some((Instant::now() + FIRST_PAUSE, error.to_string()))),
        };
        self.enter(state, phase);
    }

    /// Asks for relays while there is anyone to take what comes.
    fn run(self: Arc<Self>) {
        loop {
            let begun = Instant::now();
            let ended = (self.ask)().and_then(|(control, socket)| self.carry(control, socket));
            let mut state = lock(&self.state);
            (state.control, state.waiting) = (None, VecDeque::new());
            let why = match ended {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    return self.enter(&mut state, Phase::Refused(error.to_string()));
                }
                Err(error) => error.to_string(),
                Ok(()) => "the proxy has ended the relay".to_owned(),
            };
            if begun.elapsed() >= LONG_LIFE {
                state.pause = FIRST_PAUSE;
            }
            let again = Instant::now() + state.pause;
            state.pause = (state.pause * 2).min(MAX_PAUSE);
            self.enter(&mut state, Phase::Paused(why.clone()));
            while !matches!(state.phase, Phase::Closed) && self.is_heard() {
                let left = again.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state = lock::wait_timeout(&self.changed, state, left).0;
            }
            if matches!(state.phase, Phase::Closed) {
                return;
            }
            if !self.is_heard() {
                return self.enter(&mut state, Phase::Idle(Some((again, why))));
            }
            self.enter(&mut state, Phase::Asking);
        }
    }

    fn is_heard(&self) -> bool {
        !lock::read(&self.takers).is_empty()
    }

    /// Uses an association until it ends.
    fn carry(self: &Arc<Self>, control: TcpStream, socket: UdpSocket) -> io::Result<()> {
        let socket = Arc::new(socket);
        let ended = Arc::new(AtomicBool::new(false));
        let waker = Waker::of(&socket)?;
        let reader = self.read_from(socket.clone(), ended.clone()).map_err(io::Error::other)?;
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Closed) {
            shut_stream(&control);
        }
        state.control = Some(control.try_clone()?);
        let waiting = std::mem::take(&mut state.waiting);
        self.enter(&mut state, Phase::Up(socket.clone()));
        drop(state);
        waiting.iter().for_each(|datagram| _ = socket.send(datagram));
        // Nothing follows the proxy's answer: whatever comes is the end.
        while (&control).read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::Interrupted) {}
        shut_stream(&control);
        ended.store(true, Ordering::Release);
        waker.wake();
        reader.join_within(MAX_END);
        Ok(())
    }

    fn read_from(self: &Arc<Self>, socket: Arc<UdpSocket>, ended: Arc<AtomicBool>) -> Result<Waited> {
        let relay = self.clone();
        threads::spawn_waited("relay-read", move || {
            let mut buffer = vec![0; MAX_DATAGRAM];
            loop {
                let received = socket.recv(&mut buffer);
                if ended.load(Ordering::Acquire) {
                    return;
                }
                match received {
                    Ok(length) => relay.take_in(buffer.get(..length).unwrap_or_default()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => std::thread::sleep(PAUSE_AFTER_FAILURE),
                }
            }
        })
    }

    fn take_in(&self, datagram: &[u8]) {
        if datagram.len() == MAX_DATAGRAM {
            return;
        }
        let Some((from, payload)) = proxied::unwrap(datagram) else { return };
        lock::read(&self.takers).iter().for_each(|(_, take)| take(payload, from));
    }
}

fn shut(state: &State) {
    state.control.iter().for_each(shut_stream);
}

/// The end of a stream, for whichever thread waits in it as well.
fn shut_stream(stream: &TcpStream) {
    // Fails only where it has ended.
    let _ = stream.shutdown(Shutdown::Both);
}

/// Someone takes what a relay receives, until this is dropped.
#[derive(Debug)]
pub(crate) struct Hearing {
    relay: Arc<Relay>,
    number: u64,
}

impl Hearing {
    /// The relay.
    pub(crate) fn relay(&self) -> &Arc<Relay> {
        &self.relay
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        lock::write(&self.relay.takers).retain(|(number, _)| *number != self.number);
        self.relay.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
