//! One client once through one scenario. Everything it needs is made before it starts and gone after
//! it ended, so that no run knows of another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::clients::{self, Client, Job, Task};
use crate::counter::Counter;
use crate::figures::Figures;
use crate::leecher::Leecher;
use crate::place;
use crate::process::{Ended, Process};
use crate::scenarios::{Course, Scenario, Seeds, Taker};
use crate::seeder::{Manner, Seeders};
use crate::support::until::until;
use crate::torrent::Torrent;
use crate::tracker::Tracker;

/// How often a client that does not end by itself is looked at.
const GLANCE: Duration = Duration::from_millis(5);
/// How often it is asked, where asking costs it something.
const ASK: Duration = Duration::from_millis(100);
/// How long it rests between being ready and being watched doing nothing.
const SETTLE: Duration = Duration::from_secs(5);

/// A scenario with its torrents made: what is the same for every client and round.
pub struct Stage<'a> {
    pub scenario: &'static Scenario,
    pub torrents: Vec<Torrent>,
    /// Where their data lie.
    data: PathBuf,
    scratch: &'a Path,
    /// How long it is watched doing nothing.
    watch: Duration,
    /// The longest anything may take.
    limit: Duration,
}

impl<'a> Stage<'a> {
    pub fn set(
        scenario: &'static Scenario,
        mib: u64,
        watch: Duration,
        scratch: &'a Path,
    ) -> io::Result<Stage<'a>> {
        let tracker = format!("http://{}/announce", place::tracker());
        let piece_length = scenario.piece_kib * 1024;
        let (data, names) = match scenario.course {
            Course::Idle { torrents } => {
                (scratch.join("many"), (0..torrents).map(|index| format!("{index:03}.bin")).collect())
            }
            _ => (scratch.join("data"), vec![format!("{mib}-MiB.bin")]),
        };
        fs::create_dir_all(&data)?;
        let torrents = names
            .iter()
            .map(|name| Torrent::make(&data, name, mib, piece_length, &tracker))
            .collect::<io::Result<Vec<_>>>()?;
        let limit = Duration::from_secs(120 + mib / 2);
        Ok(Stage { scenario, torrents, data, scratch, watch, limit })
    }

    pub fn gib(&self) -> f64 {
        self.torrents.iter().map(|torrent| torrent.length).sum::<u64>() as f64 / (1u64 << 30) as f64
    }

    /// Measures; with a counter, counts system calls and leaves everything else at zero.
    pub fn run(&self, client: &dyn Client, counter: Option<Counter>) -> Result<Figures, String> {
        let home = self.empty("home")?;
        let task = match self.scenario.course {
            Course::Get(_) => Task::Get,
            Course::Check => Task::Check,
            Course::Seed(_) | Course::Idle { .. } => Task::Seed,
        };
        let out = self.empty("out")?;
        let dir = if task == Task::Get { &out } else { &self.data };
        let job = Job { task, torrents: &self.torrents, dir, home: &home, port: place::next_port() };
        // Nothing of the last run is still on its way to the disk.
        rustix::fs::sync();
        let figures = match self.scenario.course {
            Course::Get(seeds) => self.get(client, &job, seeds, counter),
            Course::Check => self.check(client, &job, counter),
            Course::Seed(taker) => self.seed(client, &job, taker, counter, &out),
            Course::Idle { .. } => self.idle(client, &job, counter),
        };
        let figures = figures.map_err(|why| format!("{why}{}", last_words(&self.log())));
        let _ = fs::remove_dir_all(&out);
        figures
    }

    fn get(
        &self,
        client: &dyn Client,
        job: &Job,
        seeds: &[Seeds],
        counter: Option<Counter>,
    ) -> Result<Figures, String> {
        let addresses = place::seeders(seeds.iter().map(|seeds| seeds.count).sum());
        let mut left = &addresses[..];
        let mut swarm = Vec::new();
        for seeds in seeds {
            let (these, rest) = left.split_at(seeds.count.into());
            left = rest;
            let manner = Manner { rate: seeds.rate, delay: Duration::from_millis(seeds.delay_ms) };
            // One thread serves many whose rate is limited; who is not gets one alone.
            let group = if seeds.rate.is_some() { these.len() } else { 1 };
            for group in these.chunks(group) {
                swarm.push(Seeders::start(&self.torrents[0], group, manner).map_err(said)?);
            }
        }
        let _tracker = Tracker::start(place::tracker(), &addresses).map_err(said)?;
        let figures = self.to_its_end(client, job, counter)?;
        self.torrents[0].compare(job.dir)?;
        Ok(figures)
    }

    fn check(&self, client: &dyn Client, job: &Job, counter: Option<Counter>) -> Result<Figures, String> {
        let _tracker = Tracker::start(place::tracker(), &[]).map_err(said)?;
        // Into the page cache with it.
        io::copy(&mut fs::File::open(&self.torrents[0].path).map_err(said)?, &mut io::sink())
            .map_err(said)?;
        self.to_its_end(client, job, counter)
    }

    /// A task that ends.
    fn to_its_end(
        &self,
        client: &dyn Client,
        job: &Job,
        counter: Option<Counter>,
    ) -> Result<Figures, String> {
        let book = job.home.join("counted");
        let mut command = client.command(job);
        if let Some(counter) = counter {
            command = counter.wrap(&command, &book);
        }
        let mut process = Process::spawn(&mut command, &self.log()).map_err(said)?;
        client.begin(job)?;
        let interval = if job.task == Task::Get { GLANCE } else { ASK };
        let (done, ended) = loop {
            if let Some(ended) = process.wait(interval) {
                break (ended.at, ended);
            }
            if client.is_done(job) {
                let done = Instant::now();
                break (done, if counter.is_some() { process.stop_counted() } else { process.stop() });
            }
            if process.begun.elapsed() > self.limit {
                return Err(format!("not done after {:?}", self.limit));
            }
        };
        // Who was told to end may do so as it likes.
        if done == ended.at && ended.code != Some(0) {
            return Err(format!("it ended with {:?}", ended.code));
        }
        if let Some(counter) = counter {
            return Ok(Figures { syscalls: counter.read(&book), ..Figures::default() });
        }
        Ok(whole_life(&process, done, ended))
    }

    fn seed(
        &self,
        client: &dyn Client,
        job: &Job,
        taker: Taker,
        counter: Option<Counter>,
        out: &Path,
    ) -> Result<Figures, String> {
        let torrent = &self.torrents[0];
        let address = (place::client(), job.port).into();
        let _tracker = Tracker::start(place::tracker(), &[]).map_err(said)?;
        let mut process = Process::spawn(&mut client.command(job), &self.log()).map_err(said)?;
        client.begin(job)?;
        let mut leecher = Leecher::connect(torrent, address, self.limit)
            .ok_or("it never offered all pieces and unchoked")?;
        if taker == Taker::Libtorrent {
            drop(leecher);
            let mut command = clients::libtorrent_take(torrent, out, address);
            return self.watched(&mut process, job, counter, |advance| {
                let log = self.scratch.join("taker.log");
                let mut leecher = Process::spawn(&mut command, &log).map_err(said)?;
                let begun = Instant::now();
                while begun.elapsed() < self.limit {
                    if let Some(ended) = leecher.wait(Duration::from_millis(20)) {
                        return match ended.code {
                            Some(0) => torrent.compare(out).map(|()| ended.at),
                            code => Err(format!("libtorrent ended with {code:?}{}", last_words(&log))),
                        };
                    }
                    advance();
                }
                Err(format!("libtorrent was not done after {:?}", self.limit))
            });
        }
        self.watched(&mut process, job, counter, |_| {
            leecher.take(torrent)?;
            Ok(Instant::now())
        })
    }

    fn idle(&self, client: &dyn Client, job: &Job, counter: Option<Counter>) -> Result<Figures, String> {
        let tracker = Tracker::start(place::tracker(), &[]).map_err(said)?;
        let mut process = Process::spawn(&mut client.command(job), &self.log()).map_err(said)?;
        client.begin(job)?;
        let all = self.torrents.len();
        until(self.limit, || (tracker.seeding() >= all).then_some(()))
            .ok_or_else(|| format!("it announced {} torrents of {all}", tracker.seeding()))?;
        std::thread::sleep(SETTLE);
        self.watched(&mut process, job, counter, |_| {
            std::thread::sleep(self.watch);
            Ok(Instant::now())
        })
    }

    /// What a process that runs on costs while something happens, and until the moment that says.
    fn watched(
        &self,
        process: &mut Process,
        job: &Job,
        counter: Option<Counter>,
        happening: impl FnOnce(&mut dyn FnMut()) -> Result<Instant, String>,
    ) -> Result<Figures, String> {
        let counting = counter.map(|counter| counter.attach(process.pid(), &job.home.join("counted")));
        let counting = counting.transpose().map_err(said)?;
        process.reset_peaks();
        let first = process.reading();
        let mut last = first.clone();
        let done = happening(&mut || last.advance(process.reading()))?;
        last.advance(process.reading());
        if let Some(counting) = counting {
            return Ok(Figures { syscalls: counting.end(), ..Figures::default() });
        }
        let peaks = process.peaks();
        let figures = Figures {
            wall: (done - first.at).as_secs_f64(),
            cpu: (last.cpu - first.cpu).as_secs_f64(),
            resident: peaks.resident as f64,
            anonymous: peaks.anonymous as f64,
            threads: peaks.threads as f64,
            wakeups: last.wakeups_since(&first) as f64,
            syscalls: None,
        };
        if process.wait(Duration::ZERO).is_some() {
            return Err("it ended by itself".into());
        }
        process.stop();
        Ok(figures)
    }

    /// An empty directory.
    fn empty(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.scratch.join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(said)?;
        Ok(path)
    }

    /// Where the client's own words go.
    fn log(&self) -> PathBuf {
        self.scratch.join("client.log")
    }
}

/// How fast the harness's own seeder and leecher are between themselves, in MiB a second: what they
/// measure must stay well below it to be measured rightly.
pub fn ceiling(scratch: &Path) -> Result<f64, String> {
    const MIB: u64 = 512;
    let tracker = format!("http://{}/announce", place::tracker());
    let torrent = Torrent::make(scratch, "ceiling.bin", MIB, 1 << 20, &tracker).map_err(said)?;
    let addresses = place::seeders(1);
    let manner = Manner { rate: None, delay: Duration::ZERO };
    let _seeder = Seeders::start(&torrent, &addresses, manner).map_err(said)?;
    let mut leecher = Leecher::connect(&torrent, addresses[0], Duration::from_secs(10))
        .ok_or("the harness's seeder does not answer")?;
    let begun = Instant::now();
    leecher.take(&torrent)?;
    Ok(MIB as f64 / begun.elapsed().as_secs_f64())
}

fn whole_life(process: &Process, done: Instant, ended: Ended) -> Figures {
    let peaks = process.peaks();
    Figures {
        wall: (done - process.begun).as_secs_f64(),
        cpu: (ended.user + ended.system).as_secs_f64(),
        resident: peaks.resident as f64,
        anonymous: peaks.anonymous as f64,
        threads: peaks.threads as f64,
        wakeups: ended.wakeups as f64,
        syscalls: None,
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The end of what a program said, for a failure's sake.
fn last_words(log: &Path) -> String {
    let said = fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(8)..].iter().map(|line| format!("\n    | {line}")).collect()
}
