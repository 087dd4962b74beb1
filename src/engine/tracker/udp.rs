//! UDP trackers on blocking sockets: one question to the addresses of a tracker in turn, under the rules of
//! [`exchange`](crate::tracker::exchange).
//!
//! Sockets are connected, so the kernel drops datagrams from any other address. A socket whose connection id
//! is still good is kept for the next question, and later closed by the announce thread. Never waits past its
//! deadline.

use std::io::ErrorKind as Io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::families::Asked;
use crate::engine::net::egress::{Egress, Purpose};
use crate::engine::runtime::clock::Clock;
use crate::lock::lock;
use crate::moment::Moment;
use crate::random::entropy;
use crate::tracker::Failure;
use crate::tracker::exchange::{Connection, Exchange, Question, Reply, RetrySchedule, Step};

/// Most bytes of an answer that are looked at: some 900 peers.
const MAX_ANSWER: usize = 16 << 10;

/// Most sockets kept for their connection ids.
const MAX_KEPT: usize = 64;

/// How long a question may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UdpBounds {
    /// When packets are sent again.
    pub(crate) retry_schedule: RetrySchedule,
    /// For everything together.
    pub(crate) deadline: Duration,
}

/// Sends questions to UDP trackers.
#[derive(Debug)]
pub(crate) struct UdpTrackerClient {
    clock: Clock,
    egress: Arc<Egress>,
    kept: Mutex<Vec<Endpoint>>,
}

/// A socket to one address of a tracker.
#[derive(Debug)]
struct Endpoint {
    tracker: SocketAddr,
    socket: UdpSocket,
    connection: Option<Connection>,
}

impl UdpTrackerClient {
    pub(crate) fn new(clock: Clock, egress: Arc<Egress>) -> Self {
        UdpTrackerClient { clock, egress, kept: Mutex::new(Vec::new()) }
    }

    /// Asks these addresses of a tracker, all of one family, until one has answered. One alone has the whole
    /// schedule; of several each has a part of the first wait, and then ever longer ones. One that cannot be
    /// reached at all has no second turn. Once `is_enough`, the next silence ends it.
    pub(crate) fn ask(
        &self,
        addresses: &[SocketAddr],
        question: &Question,
        bounds: UdpBounds,
        is_enough: impl Fn() -> bool,
    ) -> Asked<Reply> {
        let deadline = self.clock.now() + bounds.deadline;
        let mut left = addresses.to_vec();
        let mut asked = Asked::default();
        for round in 0.. {
            for address in std::mem::take(&mut left) {
                let retry_schedule = match addresses.len() {
                    0 | 1 => bounds.retry_schedule,
                    _ => turn(bounds.retry_schedule, round),
                };
                match self.ask_one(address, question, retry_schedule, deadline, &is_enough) {
                    Ok(Some(said)) => return asked.heard(address, said),
                    Ok(None) => {
                        asked.failed(address, "no answer");
                        left.push(address);
                    }
                    Err(why) => asked.failed(address, &why),
                }
                if self.clock.now() >= deadline {
                    return asked;
                }
            }
            if left.is_empty() || addresses.len() < 2 || round >= bounds.retry_schedule.retries || is_enough()
            {
                return asked;
            }
        }
        asked
    }

    /// The answer of this address; none if it stays silent, and an error if it cannot be asked.
    fn ask_one(
        &self,
        address: SocketAddr,
        question: &Question,
        retry_schedule: RetrySchedule,
        deadline: Moment,
        is_enough: &dyn Fn() -> bool,
    ) -> Result<Option<Result<Reply, Failure>>, String> {
        let mut endpoint = self.endpoint(address).map_err(|error| error.to_string())?;
        let mut exchange =
            Exchange::new(question.clone(), address.is_ipv6(), retry_schedule, endpoint.connection);
        let mut buffer = vec![0; MAX_ANSWER];
        while self.clock.now() < deadline {
            match self.step(&endpoint.socket, &mut exchange, deadline, &mut buffer)? {
                Stepped::Silent if is_enough() => return Ok(None),
                Stepped::Silent | Stepped::Waits => {}
                Stepped::GaveUp => return Ok(None),
                Stepped::Heard(said) => {
                    endpoint.connection = exchange.connection();
                    self.keep(endpoint);
                    return Ok(Some(said));
                }
            }
        }
        Ok(None)
    }

    /// Carries out the next step of the exchange, and waits for a packet until `deadline` at most.
    fn step(
        &self,
        socket: &UdpSocket,
        exchange: &mut Exchange,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Stepped, String> {
        let until = loop {
            match exchange.poll(self.clock.now(), || u32::from_le_bytes(entropy())) {
                Step::Send(packet) => socket.send(&packet).map_err(|error| error.to_string())?,
                Step::Wait(until) => break until.min(deadline),
                Step::GaveUp => return Ok(Stepped::GaveUp),
            };
        };
        // A time-out of zero would mean none.
        let wait = until.since(self.clock.now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(wait)).map_err(|error| error.to_string())?;
        match socket.recv(buffer) {
            Ok(len) => {
                let said = exchange.received(self.clock.now(), buffer.get(..len).unwrap_or_default());
                Ok(said.map_or(Stepped::Waits, Stepped::Heard))
            }
            Err(error) if matches!(error.kind(), Io::WouldBlock | Io::TimedOut) => Ok(Stepped::Silent),
            Err(error) if error.kind() == Io::Interrupted => Ok(Stepped::Waits),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Closes kept sockets that are too old. When the next will be.
    pub(crate) fn tidy(&self, now: Moment) -> Option<Moment> {
        let mut kept = lock(&self.kept);
        Self::close_old(&mut kept, now);
        kept.iter().filter_map(|endpoint| endpoint.connection).map(|connection| connection.end()).min()
    }

    fn close_old(kept: &mut Vec<Endpoint>, now: Moment) {
        kept.retain(|endpoint| endpoint.connection.is_some_and(|connection| connection.is_good(now)));
    }

    /// A socket to this address: one that was kept, or a new one.
    fn endpoint(&self, tracker: SocketAddr) -> std::io::Result<Endpoint> {
        let now = self.clock.now();
        let mut kept = lock(&self.kept);
        Self::close_old(&mut kept, now);
        if let Some(at) = kept.iter().position(|endpoint| endpoint.tracker == tracker) {
            return Ok(kept.swap_remove(at));
        }
        drop(kept);
        let any = match tracker {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = self.egress.udp(Purpose::Trackers, any, 0)?;
        socket.connect(tracker)?;
        Ok(Endpoint { tracker, socket, connection: None })
    }

    fn keep(&self, endpoint: Endpoint) {
        // One that is bound to a device is of no use when that is made again.
        if self.egress.device().is_some() {
            return;
        }
        let mut kept = lock(&self.kept);
        if kept.len() < MAX_KEPT {
            kept.push(endpoint);
        }
    }
}

/// The result of a step.
enum Stepped {
    /// Something came, but not the answer.
    Waits,
    /// Nothing came for as long as there was to wait.
    Silent,
    /// Nothing came, however often it was asked.
    GaveUp,
    Heard(Result<Reply, Failure>),
}

/// The retry_schedule with one of several addresses in this round.
fn turn(whole: RetrySchedule, round: u32) -> RetrySchedule {
    let first = match round {
        0 => whole.first / 3,
        _ => whole.first.saturating_mul(2u32.saturating_pow((round - 1).min(whole.doublings))),
    };
    RetrySchedule { first: first.max(Duration::from_millis(1)), doublings: 0, retries: 0 }
}
