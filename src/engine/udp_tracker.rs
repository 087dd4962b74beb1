//! UDP trackers on blocking sockets: one question, asked over IPv4 and IPv6 where the tracker has
//! both, under the rules of [`exchange`](crate::tracker::exchange).
//!
//! Sockets are connected, so the kernel drops what comes from anywhere but the tracker. A socket
//! whose connection id is still good is kept for the next question, and closed when it no longer is
//! by whoever has a clock to do so. Never waits past its deadline, the name lookup apart, which is why
//! couriers run it.

use std::io::ErrorKind as Io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Mutex;
use std::time::Duration;

use super::clock::Clock;
use crate::moment::Moment;
use crate::random::entropy;
use crate::tracker::Failure;
use crate::tracker::exchange::{Connection, Exchange, Patience, Question, Reply, Step};
use crate::tracker::url::TrackerUrl;

/// Most bytes of an answer that are looked at: some 900 peers.
const MAX_ANSWER: usize = 16 << 10;

/// How long one socket is listened to while there is another.
const TURN: Duration = Duration::from_millis(25);

/// Most sockets kept for their connection ids.
const MAX_KEPT: usize = 64;

/// How long a question may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UdpBounds {
    /// When packets are sent again.
    pub(crate) patience: Patience,
    /// For everything together.
    pub(crate) deadline: Duration,
    /// How long the other family is waited for once one has answered.
    pub(crate) grace: Duration,
    /// Address to send from.
    pub(crate) bind: Option<IpAddr>,
}

/// Asks UDP trackers.
#[derive(Debug)]
pub(crate) struct UdpAsker {
    clock: Clock,
    kept: Mutex<Vec<Leg>>,
}

/// One question to one address.
#[derive(Debug)]
struct Leg {
    tracker: SocketAddr,
    socket: UdpSocket,
    connection: Option<Connection>,
}

impl UdpAsker {
    pub(crate) fn new(clock: Clock) -> Self {
        UdpAsker { clock, kept: Mutex::new(Vec::new()) }
    }

    /// Asks the tracker at `url`, and returns what it answered: over both families together for an
    /// announce, over the first to answer for a scrape.
    pub(crate) fn ask(
        &self,
        url: &TrackerUrl,
        question: &Question,
        bounds: UdpBounds,
    ) -> Result<Reply, Failure> {
        let mut failures = Vec::new();
        let mut legs = Vec::new();
        for tracker in addresses(url, bounds.bind)? {
            match self.leg(tracker, bounds.bind) {
                Ok(leg) => {
                    let v6 = tracker.is_ipv6();
                    let exchange = Exchange::new(question.clone(), v6, bounds.patience, leg.connection);
                    legs.push((leg, exchange));
                }
                Err(error) => failures.push(format!("{tracker}: {error}")),
            }
        }
        let mut reply: Option<Reply> = None;
        let mut deadline = self.clock.now() + bounds.deadline;
        let mut buffer = vec![0; MAX_ANSWER];
        while !legs.is_empty() && self.clock.now() < deadline {
            let alone = legs.len() == 1;
            let mut still = Vec::with_capacity(legs.len());
            for (mut leg, mut exchange) in legs {
                let turn = if alone { deadline } else { deadline.min(self.clock.now() + TURN) };
                match self.step(&leg.socket, &mut exchange, turn, &mut buffer) {
                    Ok(None) => still.push((leg, exchange)),
                    Ok(Some(Ok(more))) => {
                        reply = Some(join(reply, more));
                        deadline = deadline.min(self.clock.now() + bounds.grace);
                        leg.connection = exchange.connection();
                        self.keep(leg);
                    }
                    Ok(Some(Err(failure))) => failures.push(failure.why),
                    Err(why) => failures.push(format!("{}: {why}", leg.tracker)),
                }
            }
            legs = still;
        }
        match reply {
            Some(reply) => Ok(reply),
            None if failures.is_empty() => Err(Failure::new("no answer")),
            None => Err(Failure::new(failures.join("; "))),
        }
    }

    /// Does what the exchange wants next, and waits for a packet until `turn` is over at most.
    fn step(
        &self,
        socket: &UdpSocket,
        exchange: &mut Exchange,
        turn: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Result<Reply, Failure>>, String> {
        let until = loop {
            match exchange.poll(self.clock.now(), || u32::from_le_bytes(entropy())) {
                Step::Send(packet) => socket.send(&packet).map_err(|error| error.to_string())?,
                Step::Wait(until) => break until.min(turn),
                Step::GaveUp => return Err("no answer".to_owned()),
            };
        };
        // A time-out of zero would mean none.
        let wait = until.since(self.clock.now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(wait)).map_err(|error| error.to_string())?;
        match socket.recv(buffer) {
            Ok(len) => Ok(exchange.received(self.clock.now(), buffer.get(..len).unwrap_or_default())),
            Err(error) if matches!(error.kind(), Io::WouldBlock | Io::TimedOut | Io::Interrupted) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Closes the sockets that are kept in vain. When the next will be.
    pub(crate) fn tidy(&self, now: Moment) -> Option<Moment> {
        let mut kept = self.kept.lock().ok()?;
        Self::close_old(&mut kept, now);
        kept.iter().filter_map(|leg| leg.connection).map(|connection| connection.end()).min()
    }

    fn close_old(kept: &mut Vec<Leg>, now: Moment) {
        kept.retain(|leg| leg.connection.is_some_and(|connection| connection.is_good(now)));
    }

    /// A socket to this address: one that was kept, or a new one.
    fn leg(&self, tracker: SocketAddr, bind: Option<IpAddr>) -> std::io::Result<Leg> {
        let now = self.clock.now();
        if let Ok(mut kept) = self.kept.lock() {
            Self::close_old(&mut kept, now);
            if let Some(at) = kept.iter().position(|leg| leg.tracker == tracker) {
                return Ok(kept.swap_remove(at));
            }
        }
        let any = match tracker {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = UdpSocket::bind((bind.unwrap_or(any), 0))?;
        socket.connect(tracker)?;
        Ok(Leg { tracker, socket, connection: None })
    }

    fn keep(&self, leg: Leg) {
        if let Ok(mut kept) = self.kept.lock() {
            if kept.len() < MAX_KEPT {
                kept.push(leg);
            }
        }
    }
}

/// The first IPv4 and the first IPv6 address of a tracker, as far as `bind` can reach them.
fn addresses(url: &TrackerUrl, bind: Option<IpAddr>) -> Result<Vec<SocketAddr>, Failure> {
    let found = (url.host(), url.port()).to_socket_addrs();
    let found: Vec<SocketAddr> = found.map_err(|error| Failure::new(error.to_string()))?.collect();
    let first = |v6: bool| found.iter().copied().find(|address| address.is_ipv6() == v6);
    let reachable = |address: &SocketAddr| bind.is_none_or(|ip| ip.is_ipv6() == address.is_ipv6());
    let both: Vec<SocketAddr> = [first(false), first(true)].into_iter().flatten().filter(reachable).collect();
    match both.is_empty() {
        true => Err(Failure::new("the host name has no address of the family in use")),
        false => Ok(both),
    }
}

/// Peers of both families together; apart from them the first answer counts.
fn join(first: Option<Reply>, second: Reply) -> Reply {
    match (first, second) {
        (Some(Reply::Announced(mut first)), Reply::Announced(second)) => {
            first.peers.extend(second.peers);
            Reply::Announced(first)
        }
        (Some(first), _) => first,
        (None, second) => second,
    }
}
