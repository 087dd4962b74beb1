//! The announce thread: the one thread that keeps the trackers of all torrents of a client informed.
//!
//! It waits in one place, for a message or for the next announce that is due, and starts a thread for each
//! request. A client that starts with hundreds of torrents on one tracker does not storm it, nor does a dead
//! tracker use up the requests that others wait for: few may be under way to one tracker, and only announces
//! to that tracker wait for them.
//!
//! Invariant: at most [`MAX_REQUESTS`] are under way at a time, and at most [`MAX_REQUESTS_PER_TRACKER`] to
//! one host and port, those of a torrent that stops apart: they have no time to wait for each other.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::client::TrackerClient;
use super::torrent::{AnnounceRequest, AnnounceResult, TorrentTrackers};
use crate::engine::net::egress::Egress;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::snapshot::TrackerSnapshot;
use crate::tracker::compact;
use crate::tracker::tiers::AnnounceDue;
use crate::tracker::{Answer, Event, Failure};

/// Most requests under way at a time. Above the number of tiers of any but hostile torrents.
pub(super) const MAX_REQUESTS: usize = 64;
/// Most of them to one tracker.
const MAX_REQUESTS_PER_TRACKER: usize = 8;
/// Most threads that look up peers which trackers named; further ones wait for the next announce.
const MAX_NAME_LOOKUPS: usize = 8;
/// How long the look-up of one such peer may take, and most addresses taken of it.
const NAME_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ADDRESSES_PER_NAME: usize = 4;
/// How long to wait if nothing is due.
const IDLE_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Names the trackers of a torrent; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TrackersKey(u32);

/// Commands of a torrent's handle.
pub(super) enum Command {
    Completed,
    WantPeers,
    /// The user asks for an announce.
    Reannounce,
    /// Other trackers are announced to from now on.
    Replace(Vec<Vec<String>>),
    /// What there is to say of each tracker.
    Show(Sender<Vec<TrackerSnapshot>>),
    /// Announce `stopped`; all is to be over after this long.
    Stop(Duration),
    /// The handle was dropped.
    Abandon,
}

/// Messages to the thread. Only as many wait as torrents and requests have sent.
pub(super) enum Message {
    Open(TrackersKey, Box<TorrentTrackers>),
    Command(TrackersKey, Command),
    /// The result of a request: the first ends it, another is the answer over a second address family.
    Result(u64, Box<std::result::Result<Answer, Failure>>),
    /// The request has ended: no results follow.
    Over(u64),
    /// Peers that a tracker had named were looked up.
    Found(TrackersKey, Vec<SocketAddr>),
    /// Peers are to connect to another port.
    PortChanged,
    /// Trackers that failed may be reached again.
    Retry,
    Close,
}

/// The thread, as the client holds it; it ends when this is dropped.
pub(crate) struct AnnounceThread {
    sender: Sender<Message>,
    next: AtomicU32,
}

impl AnnounceThread {
    /// Starts it. Requests go out by `egress`.
    ///
    /// # Errors
    /// As [`threads::spawn`].
    pub(crate) fn start(clock: Clock, egress: Arc<Egress>) -> Result<AnnounceThread> {
        let (sender, inbox) = unbounded();
        let announcing = AnnounceLoop {
            clock,
            own_inbox: sender.clone(),
            client: TrackerClient::new(clock, egress),
            torrents: HashMap::new(),
            waiting: VecDeque::new(),
            to_tracker: HashMap::new(),
            under_way: HashMap::new(),
            next: 0,
            name_lookups: 0,
        };
        threads::spawn("announce", move || announcing.run(&inbox))?;
        Ok(AnnounceThread { sender, next: AtomicU32::new(0) })
    }

    /// Peers are to connect to another port: all trackers are told.
    pub(crate) fn port_changed(&self) {
        let _ = self.sender.send(Message::PortChanged);
    }

    /// The network is back: trackers that failed are tried again at once.
    pub(crate) fn retry(&self) {
        let _ = self.sender.send(Message::Retry);
    }

    pub(super) fn open(&self, trackers: TorrentTrackers) -> TrackersKey {
        let key = TrackersKey(self.next.fetch_add(1, Ordering::Relaxed));
        let _ = self.sender.send(Message::Open(key, Box::new(trackers)));
        key
    }

    pub(super) fn sender(&self) -> Sender<Message> {
        self.sender.clone()
    }
}

impl Drop for AnnounceThread {
    fn drop(&mut self) {
        let _ = self.sender.send(Message::Close);
    }
}

/// The state of the thread.
struct AnnounceLoop {
    clock: Clock,
    own_inbox: Sender<Message>,
    client: Arc<TrackerClient>,
    torrents: HashMap<TrackersKey, TorrentTrackers>,
    /// Announces that wait because too many requests are under way.
    waiting: VecDeque<(TrackersKey, AnnounceDue)>,
    /// How many requests are under way, by host and port.
    to_tracker: HashMap<(String, u16), usize>,
    /// Requests of which a result may still come.
    under_way: HashMap<u64, UnderWay>,
    next: u64,
    /// Threads that look up peers.
    name_lookups: usize,
}

/// A request that was started.
struct UnderWay {
    trackers: TrackersKey,
    /// Until its first result.
    announce_due: Option<AnnounceDue>,
}

/// Sends the results of a request to the thread, which is notified of its end in every case.
struct ResultSender {
    own_inbox: Sender<Message>,
    request: u64,
}

impl ResultSender {
    fn tell(&self, result: std::result::Result<Answer, Failure>) {
        // The receiver is gone if the client has ended meanwhile.
        let _ = self.own_inbox.send(Message::Result(self.request, Box::new(result)));
    }
}

impl Drop for ResultSender {
    fn drop(&mut self) {
        let _ = self.own_inbox.send(Message::Over(self.request));
    }
}

impl AnnounceLoop {
    fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            let wait = self.deadline();
            let mut message = match inbox.recv_timeout(wait) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Some(next) = message {
                if !self.take_in(next) {
                    return;
                }
                message = inbox.try_recv().ok();
            }
            let now = self.clock.now();
            for (key, trackers) in &mut self.torrents {
                while let Some(announce_due) = trackers.poll(now) {
                    self.waiting.push_back((*key, announce_due));
                }
            }
            self.send_requests();
            self.torrents.retain(|_, trackers| !trackers.is_over(now));
        }
    }

    /// How long nothing is due.
    fn deadline(&self) -> Duration {
        let now = self.clock.now();
        let kept = self.client.tidy(now);
        let due = self.torrents.values().filter_map(|trackers| trackers.deadline(now)).chain(kept).min();
        // Rounded up to the next millisecond, so that the wait never ends early.
        due.map_or(IDLE_WAIT, |due| due.since(now) + Duration::from_millis(1))
    }

    /// False where the thread is to end.
    fn take_in(&mut self, message: Message) -> bool {
        match message {
            Message::Open(key, trackers) => drop(self.torrents.insert(key, *trackers)),
            Message::Command(key, command) => self.on_command(key, command),
            Message::Result(request, result) => self.on_result(request, *result),
            Message::Over(request) => {
                if self.under_way.get(&request).is_some_and(|request| request.announce_due.is_some()) {
                    self.on_result(request, Err(Failure::new("the announce broke off")));
                }
                self.under_way.remove(&request);
            }
            Message::Found(key, peers) => {
                self.name_lookups = self.name_lookups.saturating_sub(1);
                if let Some(trackers) = self.torrents.get_mut(&key) {
                    trackers.found(peers);
                }
            }
            Message::PortChanged => {
                let now = self.clock.now();
                self.torrents.values_mut().for_each(|trackers| trackers.announce_again(now));
            }
            Message::Retry => {
                let now = self.clock.now();
                self.torrents.values_mut().for_each(|trackers| trackers.retry(now));
            }
            Message::Close => return false,
        }
        true
    }

    /// Takes in a result of a request: the first frees its place.
    fn on_result(&mut self, request: u64, result: std::result::Result<Answer, Failure>) {
        let now = self.clock.now();
        let Some(started) = self.under_way.get_mut(&request) else { return };
        let (key, announce_due) = (started.trackers, started.announce_due.take());
        if let Some(announce_due) = &announce_due {
            let tracker = host_and_port(announce_due);
            if let Some(count) = self.to_tracker.get_mut(&tracker) {
                *count -= 1;
                if *count == 0 {
                    self.to_tracker.remove(&tracker);
                }
            }
        }
        let Some(trackers) = self.torrents.get_mut(&key) else { return };
        match (announce_due, result) {
            (Some(announce_due), result) => trackers.take_in(AnnounceResult { announce_due, result }, now),
            (None, Ok(answer)) => trackers.add(answer),
            (None, Err(_)) => {}
        }
        let peers = trackers.names();
        if !peers.is_empty() && self.name_lookups < MAX_NAME_LOOKUPS {
            let (own_inbox, egress) = (self.own_inbox.clone(), self.client.egress.clone());
            let looking_up = threads::spawn("peer-dns", move || {
                let _ = own_inbox.send(Message::Found(key, look_up(&peers, &egress)));
            });
            self.name_lookups += usize::from(looking_up.is_ok());
        }
    }

    fn on_command(&mut self, key: TrackersKey, command: Command) {
        let now = self.clock.now();
        let Some(trackers) = self.torrents.get_mut(&key) else { return };
        match command {
            Command::Completed => trackers.completed(now),
            Command::WantPeers => trackers.want_peers(now),
            Command::Reannounce => trackers.reannounce(now),
            Command::Replace(tiers) => trackers.replace(&tiers, now),
            // The asker may have given up waiting.
            Command::Show(answer) => _ = answer.try_send(trackers.show(now)),
            Command::Stop(budget) => {
                // A `completed` that waits goes out before `stopped`.
                self.waiting
                    .retain(|(whose, announce_due)| *whose != key || announce_due.event == Event::Completed);
                trackers.stop(budget, now);
            }
            // The handle that stopped it is dropped, too.
            Command::Abandon if trackers.is_stopping() => {}
            Command::Abandon => {
                self.torrents.remove(&key);
                self.waiting.retain(|(whose, _)| *whose != key);
            }
        }
    }

    /// Starts as many requests as may be under way, in the order they came to be due.
    fn send_requests(&mut self) {
        let mut kept = VecDeque::new();
        while let Some((key, announce_due)) = self.waiting.pop_front() {
            let Some(trackers) = self.torrents.get_mut(&key) else { continue };
            let all: usize = self.to_tracker.values().sum();
            let here = self.to_tracker.get(&host_and_port(&announce_due)).copied().unwrap_or(0);
            if !trackers.is_stopping() && (all >= MAX_REQUESTS || here >= MAX_REQUESTS_PER_TRACKER) {
                kept.push_back((key, announce_due));
            } else {
                let AnnounceRequest { announce, timing } =
                    trackers.request_for(&announce_due, self.clock.now());
                let request = self.next;
                self.next += 1;
                let (client, url, own_inbox) =
                    (self.client.clone(), announce_due.url.clone(), self.own_inbox.clone());
                let asking = move || {
                    let sender = ResultSender { own_inbox, request };
                    client.announce(&url, announce, timing, move |result| sender.tell(result));
                };
                match threads::spawn("tracker-ask", asking) {
                    Ok(_) => {
                        *self.to_tracker.entry(host_and_port(&announce_due)).or_default() += 1;
                        self.under_way
                            .insert(request, UnderWay { trackers: key, announce_due: Some(announce_due) });
                    }
                    Err(error) => {
                        let result = Err(Failure::new(error.to_string()));
                        trackers.take_in(AnnounceResult { announce_due, result }, self.clock.now());
                    }
                }
            }
        }
        self.waiting = kept;
    }
}

/// The addresses of peers that a tracker named; those that take long are left out.
fn look_up(peers: &[(String, u16)], egress: &Egress) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for (host, port) in peers {
        let addresses = egress.look_up_peer(host, *port, NAME_TIMEOUT).unwrap_or_default();
        found.extend(addresses.into_iter().filter(compact::is_usable).take(MAX_ADDRESSES_PER_NAME));
    }
    found
}

/// Which tracker it is for.
fn host_and_port(announce_due: &AnnounceDue) -> (String, u16) {
    (announce_due.url.host().to_owned(), announce_due.url.port())
}
