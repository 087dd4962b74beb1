//! The office: the one thread that minds the trackers of all torrents of a client.
//!
//! It waits in one place, for what anyone has to say or for the next announce, and sends couriers.
//! A client that starts with hundreds of torrents on one tracker does not storm it, nor does a dead
//! tracker use up the couriers that others wait for: those for one tracker are few, and who waits
//! for it waits in a line of his own kind.
//!
//! Invariant: at most [`COURIERS`] couriers are out at a time, and at most [`TO_ONE`] to one host
//! and port, farewells apart: those have no time to wait for each other.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::Command;
use super::client::TrackerClient;
use super::torrent::{Desk, Return, Trip};
use crate::engine::net::names;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::tracker::compact;
use crate::tracker::tiers::Call;
use crate::tracker::{Answer, Event, Failure};

/// Most couriers that are out at a time. Above the number of tiers of any but hostile torrents.
pub(crate) const COURIERS: usize = 64;
/// Most of them on the way to one tracker.
const TO_ONE: usize = 8;
/// Most threads that look up peers which trackers named; what is above waits for the next announce.
const LOOKING: usize = 8;
/// How long the look-up of one such peer may take, and most addresses taken of it.
const NAME: Duration = Duration::from_secs(10);
const OF_ONE: usize = 4;
/// How long to wait where nothing is due.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// One desk among all there ever were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DeskKey(u32);

/// What the office is told. Only as much waits as torrents and couriers have to say.
pub(crate) enum ToOffice {
    Open(DeskKey, Box<Desk>),
    Command(DeskKey, Command),
    /// What came of a trip: the first word ends it, another is what one more family answered.
    Back(u64, Box<std::result::Result<Answer, Failure>>),
    /// No more will come of it.
    Over(u64),
    /// Peers that a tracker had named were looked up.
    Found(DeskKey, Vec<SocketAddr>),
    Close,
}

/// The office, as the client holds it; it closes when this is dropped.
pub(crate) struct Office {
    sender: Sender<ToOffice>,
    next: AtomicU32,
}

impl Office {
    /// Opens the office. Couriers go out from the address `bind`, where one is given.
    ///
    /// # Errors
    /// As [`threads::spawn`].
    pub(crate) fn start(clock: Clock, bind: Option<IpAddr>) -> Result<Office> {
        let (sender, inbox) = unbounded();
        let room = Room {
            clock,
            home: sender.clone(),
            courier: TrackerClient::new(clock, bind),
            desks: HashMap::new(),
            waiting: VecDeque::new(),
            out: HashMap::new(),
            trips: HashMap::new(),
            next: 0,
            looking: 0,
        };
        threads::spawn("announce", move || room.run(&inbox))?;
        Ok(Office { sender, next: AtomicU32::new(0) })
    }

    pub(crate) fn open(&self, desk: Desk) -> DeskKey {
        let key = DeskKey(self.next.fetch_add(1, Ordering::Relaxed));
        let _ = self.sender.send(ToOffice::Open(key, Box::new(desk)));
        key
    }

    pub(crate) fn sender(&self) -> Sender<ToOffice> {
        self.sender.clone()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = self.sender.send(ToOffice::Close);
    }
}

/// The office's thread and all it knows.
struct Room {
    clock: Clock,
    home: Sender<ToOffice>,
    courier: Arc<TrackerClient>,
    desks: HashMap<DeskKey, Desk>,
    /// Calls for which there was no courier yet.
    waiting: VecDeque<(DeskKey, Call)>,
    /// Couriers that are out, by host and port.
    out: HashMap<(String, u16), usize>,
    /// Trips of which something may still come.
    trips: HashMap<u64, Away>,
    next: u64,
    /// Threads that look up peers.
    looking: usize,
}

/// A trip that was begun.
struct Away {
    desk: DeskKey,
    /// Until the first word of it.
    call: Option<Call>,
}

/// Brings home what came of a trip. However the couriers end, the office is told.
struct Messenger {
    home: Sender<ToOffice>,
    trip: u64,
}

impl Messenger {
    fn tell(&self, result: std::result::Result<Answer, Failure>) {
        // The receiver is gone if the client has ended meanwhile.
        let _ = self.home.send(ToOffice::Back(self.trip, Box::new(result)));
    }
}

impl Drop for Messenger {
    fn drop(&mut self) {
        let _ = self.home.send(ToOffice::Over(self.trip));
    }
}

impl Room {
    fn run(mut self, inbox: &Receiver<ToOffice>) {
        loop {
            let wait = self.deadline();
            let mut told = match inbox.recv_timeout(wait) {
                Ok(told) => Some(told),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Some(next) = told {
                if !self.take_in(next) {
                    return;
                }
                told = inbox.try_recv().ok();
            }
            let now = self.clock.now();
            for (key, desk) in &mut self.desks {
                while let Some(call) = desk.poll(now) {
                    self.waiting.push_back((*key, call));
                }
            }
            self.send_out();
            self.desks.retain(|_, desk| !desk.is_over(now));
        }
    }

    /// How long nothing is due.
    fn deadline(&self) -> Duration {
        let now = self.clock.now();
        let kept = self.courier.tidy(now);
        let due = self.desks.values().filter_map(|desk| desk.deadline(now)).chain(kept).min();
        // Rounded up, or it would be looked just before its time.
        due.map_or(LONG, |due| due.since(now) + Duration::from_millis(1))
    }

    /// False where the office closes.
    fn take_in(&mut self, told: ToOffice) -> bool {
        match told {
            ToOffice::Open(key, desk) => drop(self.desks.insert(key, *desk)),
            ToOffice::Command(key, command) => self.on_command(key, command),
            ToOffice::Back(trip, result) => self.on_back(trip, *result),
            ToOffice::Over(trip) => {
                if self.trips.get(&trip).is_some_and(|away| away.call.is_some()) {
                    self.on_back(trip, Err(Failure::new("the announce broke off")));
                }
                self.trips.remove(&trip);
            }
            ToOffice::Found(key, peers) => {
                self.looking = self.looking.saturating_sub(1);
                if let Some(desk) = self.desks.get_mut(&key) {
                    desk.found(peers);
                }
            }
            ToOffice::Close => return false,
        }
        true
    }

    /// Something came of a trip: the first word frees its place.
    fn on_back(&mut self, trip: u64, result: std::result::Result<Answer, Failure>) {
        let now = self.clock.now();
        let Some(away) = self.trips.get_mut(&trip) else { return };
        let (key, call) = (away.desk, away.call.take());
        if let Some(call) = &call {
            let place = place(call);
            if let Some(out) = self.out.get_mut(&place) {
                *out -= 1;
                if *out == 0 {
                    self.out.remove(&place);
                }
            }
        }
        let Some(desk) = self.desks.get_mut(&key) else { return };
        match (call, result) {
            (Some(call), result) => desk.take_in(Return { call, result }, now),
            (None, Ok(answer)) => desk.add(answer),
            (None, Err(_)) => {}
        }
        let peers = desk.names();
        if !peers.is_empty() && self.looking < LOOKING {
            let home = self.home.clone();
            let looking = threads::spawn("peer-dns", move || {
                let _ = home.send(ToOffice::Found(key, look_up(&peers)));
            });
            self.looking += usize::from(looking.is_ok());
        }
    }

    fn on_command(&mut self, key: DeskKey, command: Command) {
        let now = self.clock.now();
        let Some(desk) = self.desks.get_mut(&key) else { return };
        match command {
            Command::Completed => desk.completed(now),
            Command::WantPeers => desk.want_peers(now),
            Command::Stop(budget) => {
                // A `completed` that waits goes out before the goodbye.
                self.waiting.retain(|(whose, call)| *whose != key || call.event == Event::Completed);
                desk.stop(budget, now);
            }
            // Whoever said goodbye drops the announcer, too.
            Command::Abandon if desk.is_leaving() => {}
            Command::Abandon => {
                self.desks.remove(&key);
                self.waiting.retain(|(whose, _)| *whose != key);
            }
        }
    }

    /// Sends as many couriers as may go, in the order their calls came.
    fn send_out(&mut self) {
        let mut kept = VecDeque::new();
        while let Some((key, call)) = self.waiting.pop_front() {
            let Some(desk) = self.desks.get_mut(&key) else { continue };
            let all: usize = self.out.values().sum();
            let here = self.out.get(&place(&call)).copied().unwrap_or(0);
            if !desk.is_leaving() && (all >= COURIERS || here >= TO_ONE) {
                kept.push_back((key, call));
            } else {
                let Trip { announce, timing } = desk.trip(&call, self.clock.now());
                let trip = self.next;
                self.next += 1;
                let (courier, url, home) = (self.courier.clone(), call.url.clone(), self.home.clone());
                let going = move || {
                    let messenger = Messenger { home, trip };
                    courier.announce(&url, announce, timing, move |result| messenger.tell(result));
                };
                match threads::spawn("tracker-ask", going) {
                    Ok(_) => {
                        *self.out.entry(place(&call)).or_default() += 1;
                        self.trips.insert(trip, Away { desk: key, call: Some(call) });
                    }
                    Err(error) => {
                        let result = Err(Failure::new(error.to_string()));
                        desk.take_in(Return { call, result }, self.clock.now());
                    }
                }
            }
        }
        self.waiting = kept;
    }
}

/// The addresses of peers that a tracker named; those that take long are left out.
fn look_up(peers: &[(String, u16)]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for (host, port) in peers {
        let addresses = names::look_up(host, *port, NAME).unwrap_or_default();
        found.extend(addresses.into_iter().filter(compact::is_usable).take(OF_ONE));
    }
    found
}

/// Where a call goes.
fn place(call: &Call) -> (String, u16) {
    (call.url.host().to_owned(), call.url.port())
}
