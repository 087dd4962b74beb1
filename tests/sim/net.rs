//! The network between the nodes, the heap of what is yet to happen, and the clock.
//!
//! A connection is two pipes of whole messages, which arrive in order, late, and sometimes in two
//! parts. A node sends one chunk at a time, in turn for each of its pipes, as fast as its line is,
//! and then it is on its way ([`Path`]); what a peer has not read fills the pipe, and then its sender
//! waits. Never looks into what it carries.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bitwren::internals::job::PeerKey;
use bitwren::internals::moment::Moment;
use bitwren::internals::random::Random;
use bitwren::internals::tracker::tiers::AnnounceDue;
use bitwren::internals::tracker::{Answer, Failure};
use bitwren::{DisconnectReason, Encryption};

use super::path::{Path, Weather};
use super::plan::Plan;

/// Bytes that may be under way or unread in a pipe.
const WINDOW: usize = 192 * 1024;
/// Bytes that a sender may be ahead of the line.
pub const SEND_BUFFER: usize = 48 * 1024;
/// Two connections that were made within this time were made at once, as both ends see it.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A thread of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thread {
    Torrent,
    Announcer,
    Disk,
    Reader(PeerKey),
    Worker(PeerKey),
    Uploader(PeerKey),
}

/// One life of a node: its index, and how often it had started before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who {
    pub node: usize,
    pub life: u32,
}

/// Something that happens.
#[derive(Debug)]
pub enum Event {
    Start(usize),
    Wake(Who, Thread),
    /// The line of a node is free again.
    Line(usize),
    /// Bytes come out of a pipe, at this end of the link.
    Arrive(usize, usize, Vec<u8>),
    /// A link has ended, as this end learns.
    Hangup(usize, usize),
    /// A dial reaches the node at an address, if there is one.
    Ring(Who, Call),
    /// It is answered, by a link, or not.
    Rung(Who, SocketAddr, Result<usize, DisconnectReason>),
    /// An announce, which began with the node so often online.
    Announce(Who, u32, Box<AnnounceDue>),
    Answered(Who, u32, usize, Box<Result<Answer, Failure>>),
    /// Trackers were told that it stops, or are not waited for.
    TrackersStopped(Who),
    /// The data was looked at.
    Surveyed(Who),
    Saved(Who),
    /// Files that were sent from since then are looked at.
    Look(Who, Moment),
    /// The hashing of changed files begins, or ends.
    Recheck(Who),
    /// The user has a torrent that failed end, and starts it again.
    Restart(Who),
    /// A node has an active slot now.
    Granted(usize),
    /// A torrent that was told to end has had all its time.
    IsToHaveEnded(Who),
    Fault(usize),
    Over(usize),
}

/// A dial: from where, to where, and whether that peer is known to encrypt.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub from: SocketAddr,
    pub addr: SocketAddr,
    pub encrypts: Option<bool>,
}

/// One end of a link.
#[derive(Debug)]
pub struct End {
    pub who: Who,
    /// Where the other side is, as seen from here.
    pub peer: SocketAddr,
    /// Once it was let in.
    pub key: Option<PeerKey>,
    /// What is to be sent from here.
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    /// Sent from here and not read there.
    unread: usize,
    /// In the queue of the line.
    lined_up: bool,
    /// The way from here to the other end.
    path: Path,
    arrives: Moment,
    /// Nothing leaves before.
    stalled: Moment,
    /// What has come and was not read.
    pub inbox: Stream,
    /// It is known here that the link has ended.
    pub hung_up: bool,
    /// Since when the queue has not moved.
    pub stuck: Option<Moment>,
}

/// Bytes in order.
#[derive(Debug, Default)]
pub struct Stream {
    bytes: Vec<u8>,
    start: usize,
}

impl Stream {
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 64 * 1024 || self.start == self.bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub fn skip(&mut self, bytes: usize) {
        self.start += bytes;
    }
}

#[derive(Debug)]
pub struct Link {
    pub ends: [End; 2],
    pub open: bool,
    began: Moment,
    pub encryption: Encryption,
}

#[derive(Debug)]
struct Line {
    name: u32,
    busy: bool,
    turns: VecDeque<(usize, usize)>,
    rate: u64,
    latency: u64,
    frozen: Moment,
}

/// Counts that are reported.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    pub steps: u64,
    pub virtual_secs: u64,
    pub worlds: u64,
    pub nodes: u64,
    pub liars: u64,
    pub bytes: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub bans: BTreeMap<String, u64>,
}

impl Stats {
    /// How many connections were made.
    pub fn made(&self) -> u64 {
        let made = self.faults.iter().filter(|(name, _)| name.starts_with("connections made"));
        made.map(|(_, count)| count).sum()
    }

    pub fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    pub fn add(&mut self, other: &Stats) {
        self.steps += other.steps;
        self.virtual_secs += other.virtual_secs;
        self.worlds += other.worlds;
        self.nodes += other.nodes;
        self.liars += other.liars;
        self.bytes += other.bytes;
        other.faults.iter().for_each(|(name, count)| *self.faults.entry(name).or_default() += count);
        other.bans.iter().for_each(|(name, count)| *self.bans.entry(name.clone()).or_default() += count);
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { steps, virtual_secs, worlds, nodes, liars, bytes, faults, bans } = self;
        let (hours, mib) = (virtual_secs / 3600, bytes >> 20);
        writeln!(f, "{worlds} worlds of {nodes} nodes, {liars} of them liars")?;
        writeln!(f, "{steps} steps of threads, {hours} virtual hours, {mib} MiB moved")?;
        let list = |counts: &mut dyn Iterator<Item = (String, u64)>| {
            counts.map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
        };
        let sum: u64 = faults.values().sum();
        writeln!(
            f,
            "{sum} faults: {}",
            list(&mut faults.iter().map(|(name, count)| (name.to_string(), *count)))
        )?;
        let sum: u64 = bans.values().sum();
        writeln!(f, "{sum} bans: {}", list(&mut bans.iter().map(|(name, count)| (name.clone(), *count))))
    }
}

pub struct Net {
    pub now: Moment,
    heap: BinaryHeap<Reverse<(Moment, u64, Later)>>,
    next: u64,
    pub dice: Random,
    pub links: Vec<Link>,
    lines: Vec<Line>,
    seed: u64,
    weather: Weather,
    /// Nodes of the other half, and until when the halves are apart.
    split: (Vec<bool>, Moment),
    /// Links that were closed a moment ago because there was another one, with that one.
    duplicates: Vec<(usize, usize)>,
    pub stats: Stats,
    /// FNV-1a over everything that happened.
    pub hash: u64,
    pub trace: Option<VecDeque<String>>,
}

/// An event in the heap, which only its time and number order.
#[derive(Debug)]
struct Later(Event);

impl PartialEq for Later {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Later {}
impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Later {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// The last things that happened, so many.
const TRACED: usize = 60;

impl Net {
    pub fn new(plan: &Plan, traced: bool) -> Net {
        let line = |node: &super::plan::NodePlan| Line {
            name: node.name,
            busy: false,
            turns: VecDeque::new(),
            rate: node.up,
            latency: node.latency,
            frozen: Moment::START,
        };
        Net {
            now: Moment::START,
            heap: BinaryHeap::new(),
            next: 0,
            dice: Random::seeded(plan.seed ^ 0xD1CE),
            links: Vec::new(),
            lines: plan.nodes.iter().map(line).collect(),
            seed: plan.seed,
            weather: plan.weather,
            split: (Vec::new(), Moment::START),
            duplicates: Vec::new(),
            stats: Stats::default(),
            hash: 0xCBF2_9CE4_8422_2325,
            trace: traced.then(VecDeque::new),
        }
    }

    pub fn at(&mut self, when: Moment, event: Event) {
        self.next += 1;
        self.heap.push(Reverse((when.max(self.now), self.next, Later(event))));
    }

    pub fn after(&mut self, wait: Duration, event: Event) {
        self.at(self.now + wait, event);
    }

    /// The next thing that happens.
    pub fn pop(&mut self) -> Option<Event> {
        let Reverse((when, number, Later(event))) = self.heap.pop()?;
        self.now = when;
        self.note(when.as_micros() ^ number << 40);
        Some(event)
    }

    pub fn note(&mut self, value: u64) {
        for byte in value.to_le_bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
        }
    }

    /// Tells what happened, where anyone wants to know.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            if trace.len() == TRACED {
                trace.pop_front();
            }
            trace.push_back(format!("{:>12.6} {}", self.now.as_micros() as f64 / 1e6, line()));
        }
    }

    /// A link between who called and who was called.
    pub fn connect(
        &mut self,
        caller: (Who, SocketAddr),
        called: (Who, SocketAddr),
        encryption: Encryption,
    ) -> usize {
        let names = [caller.0, called.0].map(|who| self.lines[who.node].name);
        let path = |from: usize| Path::new(self.weather, self.seed, names[from], names[1 - from]);
        let end = |(who, _): (Who, SocketAddr), (_, peer): (Who, SocketAddr), path: Path| End {
            who,
            peer,
            key: None,
            queue: VecDeque::new(),
            queued: 0,
            unread: 0,
            lined_up: false,
            path,
            arrives: Moment::START,
            stalled: Moment::START,
            inbox: Stream::default(),
            hung_up: false,
            stuck: None,
        };
        let ends = [end(caller, called, path(0)), end(called, caller, path(1))];
        if self.weather != Weather::CLEAR {
            let [there, back] = [&ends[0], &ends[1]].map(|end| end.path.weather());
            self.tell(|| format!("node {} to node {}: {there:?}, back {back:?}", names[0], names[1]));
        }
        self.links.push(Link { ends, open: true, began: self.now, encryption });
        self.links.len() - 1
    }

    fn is_apart(&self, one: usize, other: usize) -> bool {
        let (half, until) = &self.split;
        self.now < *until && half[one] != half[other]
    }

    /// When what is sent now from one node to the other may leave.
    fn clear(&self, from: usize, to: usize) -> Moment {
        let mut clear = self.now.max(self.lines[from].frozen).max(self.lines[to].frozen);
        if self.is_apart(from, to) {
            clear = clear.max(self.split.1);
        }
        clear
    }

    /// Whether a call would get through.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        self.clear(from, to) == self.now
    }

    pub fn latency(&mut self, from: usize, to: usize) -> Duration {
        let base = self.lines[from].latency + self.lines[to].latency;
        Duration::from_micros(base + self.dice.below(1 + base / 4))
    }

    pub fn freeze(&mut self, node: usize, lasts: Duration) {
        self.lines[node].frozen = self.now + lasts;
    }

    pub fn split(&mut self, bits: u64, lasts: Duration) {
        let mut dice = Random::seeded(bits);
        let half = self.lines.iter().map(|_| dice.below(2) == 0).collect();
        self.split = (half, self.now + lasts);
    }

    pub fn stall(&mut self, link: usize, end: usize, lasts: Duration) {
        self.links[link].ends[end].stalled = self.now + lasts;
    }

    /// The link is reset; each end learns of it, unless it is dead itself. What was under way is lost.
    pub fn reset(&mut self, link: usize) {
        if !std::mem::replace(&mut self.links[link].open, false) {
            return;
        }
        for end in 0..2 {
            self.links[link].ends[end].queue.clear();
            let (from, to) = (self.links[link].ends[1 - end].who.node, self.links[link].ends[end].who.node);
            let wait = self.latency(from, to);
            // A reset does not get through where nothing does: that end learns by silence.
            if self.reaches(from, to) {
                self.after(wait, Event::Hangup(link, end));
            }
        }
    }

    /// One end of two links between the same nodes keeps the one and closes the other. Where both were made at
    /// once the other end does not do it the other way round.
    pub fn closes_duplicate(&mut self, closed: usize, kept: usize) {
        let Net { now, links, duplicates, .. } = self;
        let is_recent = |link: usize| *now - links[link].began < AT_ONCE;
        duplicates.retain(|&(closed, kept)| is_recent(closed) && is_recent(kept));
        assert!(!duplicates.contains(&(kept, closed)), "both ends close another one of two connections");
        if is_recent(closed) && is_recent(kept) {
            duplicates.push((closed, kept));
        }
    }

    /// Links that are open, of a node or of all.
    pub fn open_links(&self, node: Option<usize>) -> Vec<usize> {
        let of = |link: &Link| link.ends.iter().any(|end| node.is_none_or(|node| end.who.node == node));
        self.links.iter().enumerate().filter(|(_, link)| link.open && of(link)).map(|(at, _)| at).collect()
    }

    /// Sends from an end of a link.
    pub fn send(&mut self, link: usize, end: usize, bytes: Vec<u8>) {
        if !self.links[link].open || bytes.is_empty() {
            return;
        }
        let from = &mut self.links[link].ends[end];
        from.queued += bytes.len();
        from.queue.push_back(bytes);
        self.line_up(link, end);
    }

    /// Bytes that wait to leave an end.
    pub fn queued(&self, link: usize, end: usize) -> usize {
        self.links[link].ends[end].queued
    }

    fn line_up(&mut self, link: usize, end: usize) {
        let from = &mut self.links[link].ends[end];
        let node = from.who.node;
        if from.queue.is_empty() || from.lined_up {
            return;
        }
        if from.unread >= WINDOW {
            from.stuck = from.stuck.or(Some(self.now));
            return;
        }
        from.stuck = None;
        from.lined_up = true;
        self.lines[node].turns.push_back((link, end));
        if !std::mem::replace(&mut self.lines[node].busy, true) {
            self.after(Duration::ZERO, Event::Line(node));
        }
    }

    /// The line of a node is free: the next chunk leaves. Gives the uploader that may go on.
    pub fn line(&mut self, node: usize) -> Option<(Who, PeerKey)> {
        self.lines[node].busy = false;
        while let Some((link, end)) = self.lines[node].turns.pop_front() {
            let to = self.links[link].ends[1 - end].who.node;
            let clear = self.clear(node, to);
            let open = self.links[link].open;
            let (now, rate) = (self.now, self.lines[node].rate);
            let from = &mut self.links[link].ends[end];
            from.lined_up = false;
            let Some(chunk) = from.queue.pop_front().filter(|_| open) else { continue };
            from.queued -= chunk.len();
            from.unread += chunk.len();
            self.stats.bytes += chunk.len() as u64;
            let takes = Duration::from_micros(chunk.len() as u64 * 1_000_000 / rate + 1);
            let (who, key, clear) = (from.who, from.key, clear.max(from.stalled));
            let wait = self.latency(node, to);
            let Net { links, dice, .. } = self;
            let from = &mut links[link].ends[end];
            let mut arrives = from.path.stream(clear + takes, chunk.len(), wait, dice).max(from.arrives);
            let cut = if self.dice.below(4) == 0 { self.dice.below(chunk.len() as u64) as usize } else { 0 };
            let mut rest = chunk;
            if cut > 0 {
                let tail = rest.split_off(cut);
                self.at(arrives, Event::Arrive(link, 1 - end, rest));
                arrives = arrives + Duration::from_micros(self.dice.below(30_000));
                rest = tail;
            }
            self.at(arrives, Event::Arrive(link, 1 - end, rest));
            self.links[link].ends[end].arrives = arrives;
            self.lines[node].busy = true;
            self.line_up(link, end);
            self.at(now + takes, Event::Line(node));
            return key.map(|key| (who, key));
        }
        None
    }

    /// Bytes were read at an end: there is room for more.
    pub fn read(&mut self, link: usize, end: usize, bytes: usize) {
        self.links[link].ends[1 - end].unread -= bytes;
        if self.links[link].open {
            self.line_up(link, 1 - end);
        }
    }
}
