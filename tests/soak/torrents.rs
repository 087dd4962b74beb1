//! Everything around the client: a dozen torrents with their peers, the trackers, a DHT of two nodes;
//! what is done to it, and what became of that.
//!
//! Invariant: one torrent is at most once with the client, and no other torrent uses its data meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::peers::{self, Crowd, Rest, Rolls};
use crate::puppet::{Figures, Puppet};
use crate::support::content::{BLOCK, Dice, Recipe, Torrent};
use crate::support::node::node;
use crate::support::scratch::Scratch;
use crate::trackers::Trackers;
use crate::watch::Curve;

const TORRENTS: usize = 12;
/// Most that are with the client at a time; some wait for their turn then.
const AT_ONCE: usize = 7;
/// How long a download may take that is neither paused nor waits; far more than the lowest limit asks
/// for.
const STUCK: Duration = Duration::from_secs(180);
/// How long the client has to let go of what it held, when every torrent was removed.
const SETTLING: Duration = Duration::from_secs(60);

/// Where a torrent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Away,
    /// With the client; since when it was not interfered with.
    Running {
        since: Instant,
        paused: bool,
        finished: bool,
    },
    /// It was removed; whether its data is to be, too.
    Leaving {
        wipe: bool,
    },
}

struct Entry {
    torrent: Arc<Torrent>,
    crowd: Crowd,
    stage: Stage,
    file: PathBuf,
    dir: PathBuf,
    link: String,
}

pub struct Soak {
    dice: Dice,
    rest: Rest,
    trackers: Trackers,
    entries: Vec<Entry>,
    puppet: Puppet,
    counts: BTreeMap<String, u64>,
    callers: Vec<std::thread::JoinHandle<()>>,
    fetched: Arc<AtomicU64>,
    bustling: Curve,
    resting: Curve,
    _scratch: Scratch,
}

impl Soak {
    pub fn new(seed: u64) -> Soak {
        let mut dice = Dice::new(seed);
        let (rolls, rest) = (Rolls::new(dice.roll()), Rest::default());
        let trackers = Trackers::start(&rolls, &rest);
        let scratch = Scratch::new("soak");
        let entries: Vec<Entry> = (0..TORRENTS)
            .map(|n| {
                let name = format!("t{n}");
                let most = if n % 4 == 0 { 4 << 20 } else { 600_000 };
                let length = 1 + dice.below(most) as usize;
                let recipe = match n % 3 {
                    0 => Recipe::multi(
                        &name,
                        &[("a", length / 3), ("b/c", length / 2), ("empty", 0), ("d", 9)],
                    ),
                    _ => Recipe::single(&name, length),
                };
                let recipe = recipe.piece_length(BLOCK << dice.below(4));
                let urls = trackers.urls(&name);
                let torrent = Arc::new(urls.iter().fold(recipe, |recipe, url| recipe.tracker(url)).make());
                let crowd = Crowd::start(&torrent, &rolls, &rest);
                trackers.names.lock().unwrap().insert(name.clone(), crowd.addresses());
                let file = scratch.file(&format!("{name}.torrent"), &torrent.metainfo);
                let (hash, to) = (torrent.hex(), urls.join("&tr="));
                let link = format!("magnet:?xt=urn:btih:{hash}&dn={name}&tr={to}");
                Entry {
                    file,
                    dir: scratch.path().join(format!("d{n}")),
                    link,
                    torrent,
                    crowd,
                    stage: Stage::Away,
                }
            })
            .collect();
        // They know everyone who is honest.
        let honest: Vec<_> = entries.iter().map(|entry| entry.crowd.addresses()[0]).collect();
        let nodes = [1, 2].map(|id| {
            let peers = honest.clone();
            node(move |question, _| vec![question.rightly([id; 20], &peers[..3])]).to_string()
        });
        Soak {
            puppet: Puppet::start(&nodes.join(" "), trackers.udp),
            dice,
            rest,
            trackers,
            entries,
            counts: BTreeMap::new(),
            callers: Vec::new(),
            fetched: Arc::default(),
            bustling: Curve::default(),
            resting: Curve::default(),
            _scratch: scratch,
        }
    }

    pub fn figures(&self) -> Figures {
        self.puppet.figures()
    }

    /// What it holds when it has had a torrent, and has let go of that: some things wait for the first.
    pub fn start(&mut self) -> Figures {
        // Nothing hangs that could be counted among what it holds.
        self.rest.set(true);
        self.add();
        self.listen(Instant::now() + Duration::from_secs(3));
        for n in self.having(|stage| stage != Stage::Away) {
            self.remove(n);
        }
        while !self.having(|stage| stage != Stage::Away).is_empty() {
            self.listen(Instant::now() + Duration::from_millis(50));
        }
        self.listen(Instant::now() + Duration::from_secs(10));
        self.figures()
    }

    /// Does this and that for so long.
    pub fn bustle(&mut self, time: Duration) {
        self.rest.set(false);
        let end = Instant::now() + time;
        let mut second = Instant::now();
        while Instant::now() < end {
            self.act();
            let pause = Instant::now() + Duration::from_millis(self.dice.below(200));
            self.listen(pause);
            if second.elapsed() >= Duration::from_secs(1) {
                second = Instant::now();
                self.bustling.note(self.figures());
                self.look_for_stuck();
            }
        }
        for n in self.having(|stage| matches!(stage, Stage::Running { paused: true, .. })) {
            self.order(n, "resume");
        }
    }

    /// Removes every torrent and waits until the client has let go of what it had for them.
    pub fn rest(&mut self, start: Figures) {
        self.rest.set(true);
        self.callers.drain(..).for_each(|caller| caller.join().unwrap());
        for n in self.having(|stage| matches!(stage, Stage::Running { .. })) {
            self.remove(n);
        }
        let end = Instant::now() + SETTLING;
        let idle = |now: Figures| (now.descriptors, now.threads) == (start.descriptors, start.threads);
        loop {
            self.listen(Instant::now() + Duration::from_millis(50));
            let here = self.having(|stage| stage != Stage::Away).len();
            let now = self.figures();
            if here == 0 && idle(now) {
                let heap = self.heap();
                return self.resting.note(Figures { heap, resident: self.figures().resident, ..now });
            }
            let left = self.puppet.inventory();
            assert!(
                Instant::now() < end,
                "at rest, {here} torrents there, it keeps {now:?} of {start:?}\n{left}"
            );
        }
    }

    /// What the client has allocated now; what it has not is the system's again.
    fn heap(&mut self) -> u64 {
        self.puppet.tell("heap");
        loop {
            let line = self.puppet.hear(SETTLING).expect("the client answers");
            if let Some(figures) = line.strip_prefix("heap ") {
                return figures
                    .split_whitespace()
                    .next()
                    .and_then(|bytes| bytes.parse().ok())
                    .expect("a number");
            }
        }
    }

    /// Prints what was done and seen, and says whether it was as it should be.
    /// What is resident may grow by `slack`.
    pub fn end(mut self, start: Figures, slack: u64) -> Result<(), String> {
        let end = Instant::now() + 2 * SETTLING;
        while self.figures().kept > 0 {
            assert!(Instant::now() < end, "sockets are kept for ever: {:?}", self.figures());
            self.listen(Instant::now() + Duration::from_secs(1));
        }
        let met: u64 = self.entries.iter().map(|entry| entry.crowd.met()).sum();
        println!("| | |\n|---|---|");
        println!("| peers called | {met} |");
        println!(
            "| torrents fetched by others, every byte compared | {} |",
            self.fetched.load(Ordering::Relaxed)
        );
        println!("| questions to trackers | {} |", self.trackers.announces.load(Ordering::Relaxed));
        self.counts.iter().for_each(|(what, count)| println!("| {what} | {count} |"));
        println!("at the start {start:?}");
        let judged = [self.bustling.judge("bustle", slack), self.resting.judge("rest", slack)];
        self.puppet.end()?;
        judged.into_iter().collect()
    }

    fn having(&self, is_it: impl Fn(Stage) -> bool) -> Vec<usize> {
        (0..self.entries.len()).filter(|&n| is_it(self.entries[n].stage)).collect()
    }

    fn one_of(&mut self, among: Vec<usize>) -> Option<usize> {
        if among.is_empty() { None } else { Some(among[self.dice.below(among.len() as u64) as usize]) }
    }

    /// Something happens.
    fn act(&mut self) {
        let running = self.having(|stage| matches!(stage, Stage::Running { .. }));
        let paused = self.having(|stage| matches!(stage, Stage::Running { paused: true, .. }));
        let finished =
            self.having(|stage| matches!(stage, Stage::Running { paused: false, finished: true, .. }));
        match self.dice.below(100) {
            0..30 if running.len() < AT_ONCE => self.add(),
            30..50 => self.send_caller(finished),
            50..58 => _ = self.one_of(running).map(|n| self.order(n, "pause")),
            58..72 => _ = self.one_of(paused).map(|n| self.order(n, "resume")),
            72..82 => _ = self.one_of(running).map(|n| self.remove(n)),
            82..86 => {
                let [down, up] = [8 << 20, 0].map(|least| least + self.dice.below(2) * (2 << 20));
                self.count("limits changed");
                self.puppet.tell(&format!("limits {} {}", down % (8 << 20), up));
            }
            86..90 => {
                let down = self.dice.below(2) * (1 << 20);
                _ = self.one_of(running).map(|n| self.order(n, &format!("limit {down} 0")));
            }
            90..95 => {
                if let Some(n) = self.one_of(running) {
                    let peers = self.entries[n].crowd.addresses();
                    let peer = peers[self.dice.below(peers.len() as u64) as usize];
                    self.order(n, &format!("peer {peer}"));
                }
            }
            _ => {}
        }
    }

    /// A command with a word of what it is, or of more after it, for a torrent.
    fn order(&mut self, n: usize, order: &str) {
        let (word, more) = order.split_once(' ').unwrap_or((order, ""));
        if let Stage::Running { paused, since, .. } = &mut self.entries[n].stage {
            *since = Instant::now();
            *paused = word == "pause" || *paused && word != "resume";
        }
        self.count(&format!("told: {word}"));
        let hash = self.entries[n].torrent.hex();
        self.puppet.tell(&format!("{word} {hash} {more}"));
    }

    fn add(&mut self) {
        let away = self.having(|stage| stage == Stage::Away);
        let Some(n) = self.one_of(away) else { return };
        let (by_link, tampers) = (self.dice.below(3) == 0, self.dice.below(4) == 0);
        let entry = &mut self.entries[n];
        if tampers {
            // What lies there from before is changed behind the client's back.
            if let Some((path, bytes)) =
                entry.torrent.files(&entry.dir).first().filter(|(path, _)| path.exists())
            {
                fs::write(path, vec![0xa5; bytes.len()]).unwrap();
            }
        }
        entry.stage = Stage::Running { since: Instant::now(), paused: false, finished: false };
        let (hash, dir) = (entry.torrent.hex(), entry.dir.display());
        let line = match by_link {
            true => format!("magnet {hash} {} {dir}", entry.link),
            false => format!("add {hash} {} {dir}", entry.file.display()),
        };
        self.puppet.tell(&line);
        self.count(if by_link { "torrents added by links" } else { "torrents added" });
    }

    fn remove(&mut self, n: usize) {
        let wipe = self.dice.below(3) > 0;
        self.count(if wipe { "removed with their data" } else { "removed" });
        self.order(n, "remove");
        self.entries[n].stage = Stage::Leaving { wipe };
    }

    fn send_caller(&mut self, finished: Vec<usize>) {
        let mood = self.dice.below(8);
        let Some(n) = self.one_of(finished) else { return };
        let (torrent, address) = (self.entries[n].torrent.clone(), self.puppet.address);
        let (rest, fetched) = (self.rest.clone(), self.fetched.clone());
        self.count("callers");
        self.callers.push(std::thread::spawn(move || peers::call(&torrent, address, mood, &rest, &fetched)));
    }

    /// Takes in what the client tells until then.
    fn listen(&mut self, until: Instant) {
        loop {
            let Some(line) = self.puppet.hear(until.saturating_duration_since(Instant::now())) else {
                return;
            };
            let (hash, what) = line.split_once(' ').unwrap_or_default();
            assert!(hash != "error" && !what.starts_with("failed"), "{line}");
            self.count(&format!("event: {what}"));
            let Some(n) = self.entries.iter().position(|entry| entry.torrent.hex() == hash) else { continue };
            let entry = &mut self.entries[n];
            match (what, &mut entry.stage) {
                ("finished", Stage::Running { finished, .. }) => {
                    *finished = true;
                    entry.torrent.assert_complete(&entry.dir);
                }
                ("stopped", stage) => {
                    if *stage == (Stage::Leaving { wipe: true }) {
                        // It may be that nothing came.
                        let _ = fs::remove_dir_all(&entry.dir);
                    }
                    *stage = Stage::Away;
                }
                _ => {}
            }
        }
    }

    /// Fails where a download goes on for ever that nobody keeps from ending.
    fn look_for_stuck(&mut self) {
        let is_stuck = |stage| match stage {
            Stage::Running { since, paused, finished } => !paused && !finished && since.elapsed() > STUCK,
            _ => false,
        };
        let Some(&n) = self.having(is_stuck).first() else { return };
        let entry = &self.entries[n];
        let (hash, name) = (entry.torrent.hex(), entry.torrent.name.clone());
        self.puppet.tell(&format!("show {hash}"));
        let shown = std::iter::from_fn(|| self.puppet.hear(Duration::from_secs(5)))
            .find(|line| line.contains("shows"));
        panic!("{name} does not come to its end: {shown:?}");
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }
}
