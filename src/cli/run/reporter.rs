//! Reports on a run: for people on standard error, for programs on standard output.
//!
//! It decides what is printed and when, never what the run does. Errors are those of standard output.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bitwren::{Config, DhtStatus, Event, EventKind, InfoHash, PortMapStatus, Progress};

use super::blocklist::ListFacts;
use super::job::{Job, Stage};
use super::silence::Silence;
use super::source::TorrentSource;
use super::{hidden_names, leftovers, proxy_ways};
use crate::cli::args::settings::{EgressSettings, OutputSettings, PeerSources, TransferSettings};
use crate::cli::exit::Code;
use crate::cli::output::json::json_line;
use crate::cli::output::pace::Pace;
use crate::cli::output::screen::Verbosity;
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::secrets::masked;
use crate::cli::output::status;
use crate::cli::output::status::View;
use crate::cli::output::streams::say;
use crate::cli::output::{event_lines, port_lines, streams, units};

/// The time between two draws of the live line.
const DRAW_INTERVAL: Duration = Duration::from_millis(500);
/// The time between two lines of progress as JSON, and between two looks at it without a terminal.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest time between two lines about the number of DHT nodes.
const DHT_INTERVAL: Duration = Duration::from_secs(60);

/// Prints what happens.
pub struct Reporter {
    pub screen: Screen,
    json: bool,
    verbosity: Verbosity,
    /// Whether the settings ask for a resume state.
    resume: bool,
    /// Whether names that start with a dot cause a warning.
    hidden: bool,
    /// Whether lines begin with the torrent's name.
    several: bool,
    pace: Pace,
    /// The last progress of each torrent that was printed as JSON: only changes are printed.
    progress: HashMap<InfoHash, Progress>,
    /// The number of known DHT nodes, if peers are looked for in the DHT.
    nodes: Option<u32>,
    /// The warning that no DHT node answers, which is given once.
    silence: Silence,
    /// The state of the DHT when it was last printed, and when that was.
    dht: Option<(DhtStatus, Instant)>,
    /// The state of port mapping when it was last printed.
    port_map: PortMapStatus,
    /// The last event that concerned all torrents.
    network: Option<EventKind>,
}

impl Reporter {
    /// A reporter for a run that may take days: see [`Screen::of_a_run`].
    pub fn of_a_run(output: OutputSettings, settings: &TransferSettings, torrents: usize) -> Self {
        Reporter {
            screen: Screen::of_a_run(),
            resume: settings.storage.resume,
            hidden: !settings.allow_hidden,
            silence: Silence::new(&settings.sources, settings.egress.proxy_of_peers().is_some()),
            ..Reporter::new(output, torrents)
        }
    }

    /// A reporter for a command that ends by itself, about this many torrents.
    pub fn new(output: OutputSettings, torrents: usize) -> Self {
        Reporter {
            screen: Screen::new(),
            json: output.json,
            verbosity: output.verbosity,
            resume: true,
            hidden: false,
            several: torrents > 1,
            pace: Pace::new(Instant::now()),
            progress: HashMap::new(),
            nodes: None,
            silence: Silence::new(&PeerSources::default(), false),
            dht: None,
            port_map: PortMapStatus::default(),
            network: None,
        }
    }

    /// The same for people alone: standard output is for something else.
    pub fn without_json(self) -> Self {
        Reporter { json: false, ..self }
    }

    /// Whether each piece that is verified is printed.
    pub fn wants_pieces(&self) -> bool {
        self.json && self.verbosity == Verbosity::Verbose
    }

    /// How often [`Reporter::tick`] is to be called; `None` if it prints nothing.
    pub fn interval(&self) -> Option<Duration> {
        match self.verbosity {
            Verbosity::Quiet => None,
            _ if !self.json && self.screen.live => Some(DRAW_INTERVAL),
            _ => Some(PROGRESS_INTERVAL),
        }
    }

    /// The client listens. If the usual port was taken, people may have to change their router's settings.
    pub fn listening(&self, port: u16, asked: Option<u16>) -> io::Result<()> {
        if self.json {
            return say(&json_line("listening").number("port", port.into()).end());
        }
        let usual = Config::DEFAULT_PORT;
        if asked.is_none() && port != usual {
            let line =
                format!("port {usual} is taken; listening on {port} (a router may still forward {usual})");
            self.milestone(Tone::Warning, line);
        } else if self.verbosity == Verbosity::Verbose {
            self.screen.line(Tone::Plain, &format!("listening on port {port}"));
        }
        Ok(())
    }

    /// Lists of blocked addresses were read.
    pub fn blocklists(&self, lists: &[ListFacts]) -> io::Result<()> {
        lists.iter().try_for_each(|list| self.blocklist(list, self.verbosity == Verbosity::Verbose))
    }

    /// The same at a signal, which people want to see an effect of.
    pub fn blocklists_again(&self, lists: &[ListFacts]) -> io::Result<()> {
        lists.iter().try_for_each(|list| self.blocklist(list, true))
    }

    fn blocklist(&self, list: &ListFacts, is_new: bool) -> io::Result<()> {
        let path = list.path.to_string_lossy();
        if self.json {
            let line = json_line("blocklist")
                .text("path", &path)
                .number("ranges", list.ranges as u64)
                .number("lines", list.lines)
                .number("not_understood", list.not_understood);
            let first = list.first_not_understood;
            let line = first.into_iter().fold(line, |line, first| line.number("first_not_understood", first));
            return say(&line.end());
        }
        if is_new {
            let ranges = units::count(list.ranges as u64, "address range");
            self.milestone(Tone::Plain, format!("{path} blocks {ranges}"));
        }
        if let Some(first) = list.first_not_understood {
            let (bad, all) = (list.not_understood, units::count(list.lines, "line"));
            let line =
                format!("{path}: {bad} of {all} not understood and skipped, the first is line {first}");
            self.milestone(Tone::Warning, line);
        }
        Ok(())
    }

    /// `connections` connections came from blocked addresses.
    pub fn refused(&self, connections: u64) -> io::Result<()> {
        if connections == 0 {
            return Ok(());
        }
        if self.json {
            return say(&json_line("refused").number("connections", connections).end());
        }
        let connections = units::count(connections, "connection");
        self.milestone(Tone::Plain, format!("{connections} from blocked addresses refused"));
        Ok(())
    }

    /// Something is doubtful; the run goes on.
    pub fn warning(&self, line: String) -> io::Result<()> {
        if self.json {
            return say(&json_line("warning").text("message", &line).end());
        }
        self.milestone(Tone::Warning, line);
        Ok(())
    }

    /// Prints the state of the DHT: when the first nodes are known, and now and then if it has changed.
    pub fn dht(&mut self, status: DhtStatus, now: Instant) -> io::Result<()> {
        let first = self.dht.is_none();
        let known = status.nodes + status.nodes6 > 0;
        self.nodes = status.awake.then_some(status.nodes + status.nodes6);
        if let Some(warning) = self.silence.warning(&status, now) {
            self.warning(warning)?;
        }
        let news = self.dht.is_none_or(|(told, at)| told != status && now - at >= DHT_INTERVAL);
        if !known && first || !news {
            return Ok(());
        }
        self.dht = Some((status, now));
        if self.json {
            return say(&json_line("dht")
                .number("port", status.port.into())
                .number("nodes", status.nodes.into())
                .number("nodes6", status.nodes6.into())
                .end());
        }
        if self.verbosity == Verbosity::Verbose {
            let nodes = units::count(u64::from(status.nodes) + u64::from(status.nodes6), "node");
            self.screen.line(Tone::Plain, &format!("DHT: {nodes}"));
        }
        Ok(())
    }

    /// Prints the state of port mapping when it has changed.
    pub fn port_map(&mut self, status: PortMapStatus) -> io::Result<()> {
        let before = std::mem::replace(&mut self.port_map, status.clone());
        for (family, old, new) in [(4, before.mapping, status.mapping), (6, before.pinhole, status.pinhole)] {
            let Some(mapping) = new.filter(|_| new != old) else { continue };
            if self.json {
                say(&port_lines::json(family, &mapping))?;
            } else {
                self.milestone(Tone::Plain, port_lines::mapped(family, &mapping));
            }
        }
        match status.failed {
            Some(why) if before.failed.as_ref() != Some(&why) => {
                if self.json {
                    return say(&json_line("portmap_failed").text("why", &why).end());
                }
                self.milestone(Tone::Plain, format!("no port is mapped: {why}"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What goes through which proxy, and what is off because of one, if there are any.
    pub fn proxied(&self, egress: &EgressSettings) -> io::Result<()> {
        let Some(line) = proxy_ways::line(egress) else { return Ok(()) };
        if self.json {
            return say(&json_line("warning").text("message", &line).end());
        }
        self.milestone(Tone::Plain, line);
        Ok(())
    }

    /// Prints an event that concerns all torrents, once: each of them is told it. Whether it is such a one.
    pub fn network(&mut self, what: &EventKind) -> io::Result<bool> {
        let Some(json) = event_lines::network_json(what) else { return Ok(false) };
        if self.network.as_ref() == Some(what) {
            return Ok(true);
        }
        self.network = Some(what.clone());
        if self.json {
            say(&json)?;
        }
        if let Some((tone, line)) = event_lines::line(what, true, self.verbosity) {
            self.milestone(tone, line);
        }
        Ok(true)
    }

    /// Events of the client were dropped before they could be printed.
    pub fn dropped(&self, events: u64) -> io::Result<()> {
        if self.json {
            return say(&streams::dropped(events));
        }
        let events = units::count(events, "event");
        let line = format!("{events} dropped: they came faster than they could be printed");
        self.milestone(Tone::Warning, line);
        Ok(())
    }

    /// A torrent begins.
    pub fn added(&self, job: &Job) -> io::Result<()> {
        let Some(metainfo) = job.torrent.metainfo() else { return Ok(()) };
        let pieces = metainfo.pieces();
        if self.json {
            return say(&json_line("added")
                .text("torrent", &job.torrent.info_hash().to_string())
                .text("name", &job.name)
                .text("dir", &job.dir.to_string_lossy())
                .number("size", pieces.total())
                .number("wanted", job.size)
                .number("files", job.files as u64)
                .number("pieces", pieces.count().into())
                .end());
        }
        let (size, files) = (units::size(job.size), units::count(job.files as u64, "file"));
        self.milestone(Tone::Plain, format!("{}: {size} in {files}", job.name));
        if self.hidden && hidden_names::is_hidden(Path::new(&job.name)) {
            self.milestone(
                Tone::Warning,
                format!("{}: most programs do not show a name that starts with a dot", job.name),
            );
        }
        for warning in metainfo.warnings() {
            if self.verbosity == Verbosity::Verbose {
                self.milestone(Tone::Warning, format!("{}: warning: {warning}", job.name));
            }
        }
        Ok(())
    }

    /// A torrent has no source of peers.
    pub fn without_sources(&self, torrent: &TorrentSource, warning: &str) -> io::Result<()> {
        if self.json {
            let line = json_line("note").text("torrent", &torrent.info_hash().to_string());
            return say(&line.text("what", warning).end());
        }
        self.milestone(Tone::Warning, format!("{}: {warning}", torrent.name()));
        Ok(())
    }

    /// A magnet link was added: its metadata is fetched first.
    pub fn asking(&self, job: &Job) -> io::Result<()> {
        if self.json {
            let line = json_line("asking").text("torrent", &job.torrent.info_hash().to_string());
            return say(&line.text("name", &job.name).end());
        }
        self.milestone(Tone::Plain, format!("{}: fetching the metadata from peers", job.name));
        Ok(())
    }

    /// Prints an event; `news` is false if it repeats an earlier one.
    pub fn event(&self, job: &Job, event: &Event, news: bool) -> io::Result<()> {
        if self.json {
            match &event.what {
                EventKind::FileDone { index } => return self.file_done(job, *index),
                EventKind::StoredAs { index, path, why } => return self.stored_as(job, *index, path, why),
                EventKind::FileChanged { .. } => return self.file_changed(job, &event.what),
                EventKind::Stopped => {
                    let line = json_line("stopped").text("torrent", &event.torrent.to_string());
                    return say(&line.flag("saved", job.torrent.progress().saved).end());
                }
                _ => {}
            }
            return event_lines::json(event.torrent, &event.what, self.verbosity)
                .map_or(Ok(()), |line| say(&line));
        }
        match &event.what {
            EventKind::Finished { took } if job.stage == Stage::Running => {
                let progress = job.torrent.progress();
                let line = event_lines::closing(job.size, *took, &progress, job.peers());
                self.milestone(Tone::Good, format!("{}: {line}", job.name));
            }
            EventKind::Failed { why, .. } => self.screen.error(&format!("{}: {why}", job.name)),
            EventKind::StoredAs { index, path, why } if news || self.verbosity == Verbosity::Verbose => {
                let metainfo = job.torrent.metainfo();
                let file = metainfo.as_ref().and_then(|metainfo| metainfo.files().get(*index as usize));
                let given = file.map(|file| file.path().to_string_lossy().into_owned()).unwrap_or_default();
                let path = path.display();
                self.milestone(Tone::Warning, format!("{given} is stored as {path}: {why}"));
            }
            EventKind::FileChanged { index, gone, lost, of, again }
                if *lost > 0 || self.verbosity == Verbosity::Verbose =>
            {
                let tone = if *lost > 0 { Tone::Warning } else { Tone::Plain };
                let line = event_lines::changed(*gone, *lost, *of, *again);
                self.milestone(tone, format!("{}: {line}", job.path_of(*index).display()));
            }
            what => {
                if let Some((tone, line)) = event_lines::line(what, news, self.verbosity) {
                    let name = if self.several { format!("{}: ", job.name) } else { String::new() };
                    self.milestone(tone, format!("{name}{line}"));
                }
            }
        }
        Ok(())
    }

    fn file_done(&self, job: &Job, index: u32) -> io::Result<()> {
        let Some(number) = job.number(index) else { return Ok(()) };
        say(&json_line("file")
            .text("torrent", &job.torrent.info_hash().to_string())
            .number("index", number)
            .text("path", &job.path_of(index).to_string_lossy())
            .end())
    }

    fn file_changed(&self, job: &Job, what: &EventKind) -> io::Result<()> {
        let EventKind::FileChanged { index, gone, lost, of, again } = what else { return Ok(()) };
        let Some(number) = job.number(*index) else { return Ok(()) };
        say(&json_line("file_changed")
            .text("torrent", &job.torrent.info_hash().to_string())
            .number("index", number)
            .text("path", &job.path_of(*index).to_string_lossy())
            .flag("gone", *gone)
            .number("lost", (*lost).into())
            .number("of", (*of).into())
            .flag("again", *again)
            .end())
    }

    fn stored_as(&self, job: &Job, index: u32, path: &Path, why: &str) -> io::Result<()> {
        let Some(number) = job.number(index) else { return Ok(()) };
        say(&json_line("stored_as")
            .text("torrent", &job.torrent.info_hash().to_string())
            .number("index", number)
            .text("path", &path.to_string_lossy())
            .text("why", why)
            .end())
    }

    /// Time passed.
    pub fn tick(&mut self, jobs: &[Job], now: Instant) -> io::Result<()> {
        if self.verbosity == Verbosity::Quiet {
            return Ok(());
        }
        let running = || jobs.iter().filter(|job| job.stage == Stage::Running);
        if self.json {
            for job in running() {
                let (torrent, progress) = (job.torrent.info_hash(), job.torrent.progress());
                // Time passes whether or not anything happens.
                let mut still = progress.clone();
                (still.elapsed, still.seeding_for) = (Duration::ZERO, Duration::ZERO);
                if self.progress.insert(torrent, still.clone()) != Some(still) {
                    say(&event_lines::progress(torrent, &progress))?;
                }
            }
            return Ok(());
        }
        if running().next().is_none() {
            return Ok(());
        }
        let all: Vec<Progress> = jobs.iter().map(|job| job.torrent.progress()).collect();
        let mut view = View::of(&all);
        view.dht = self.nodes;
        if self.screen.live {
            let utf8 = self.screen.utf8;
            self.screen.draw(|columns| status::live(&view, columns, utf8));
            return Ok(());
        }
        if self.pace.is_due(&view, now) {
            let name = match jobs {
                [job] => format!("{}: ", job.name),
                _ => String::new(),
            };
            self.milestone(Tone::Plain, format!("{name}{}", status::plain_all(&view)));
        }
        Ok(())
    }

    /// Prints a status line, whatever the verbosity and whether or not anything has changed.
    pub fn status(&self, jobs: &[Job]) -> io::Result<()> {
        for job in jobs.iter().filter(|job| job.stage == Stage::Running) {
            let progress = job.torrent.progress();
            if self.json {
                say(&event_lines::progress(job.torrent.info_hash(), &progress))?;
            } else {
                self.screen.line(Tone::Plain, &format!("{}: {}", job.name, status::plain(&progress)));
            }
        }
        Ok(())
    }

    /// The torrent has ended, complete or not; `left` are the files that it leaves beside its data.
    pub fn ended(&self, job: &Job, seeded: bool, left: &[PathBuf]) -> io::Result<()> {
        let progress = job.torrent.progress();
        if self.json {
            let took = job.finished.unwrap_or(progress.elapsed);
            let line = json_line("summary")
                .text("torrent", &job.torrent.info_hash().to_string())
                .text("name", &job.name)
                .text("path", &job.path().to_string_lossy())
                .number("size", job.size)
                .number("verified", progress.verified)
                .number("downloaded", progress.downloaded)
                .number("uploaded", progress.uploaded)
                .number("wasted", progress.wasted)
                .seconds("took", took)
                .number("rate", event_lines::mean_rate(progress.downloaded, took))
                .number("connections", job.connections)
                .number("peers", job.peers())
                .number("blocked", progress.blocked);
            let line = if left.is_empty() {
                line
            } else {
                line.texts(
                    "left",
                    left.iter()
                        .map(|path| path.to_string_lossy())
                        .collect::<Vec<_>>()
                        .iter()
                        .map(|path| &**path),
                )
            };
            return say(&line.end());
        }
        if job.torrent.metainfo().is_none() {
            self.milestone(Tone::Plain, format!("{}: stopped before the metadata arrived", job.name));
        } else if job.finished.is_none() {
            self.milestone(
                Tone::Plain,
                format!("{}: {}", job.name, event_lines::stopped(&progress, job.failed, self.resume)),
            );
        } else if seeded {
            self.milestone(Tone::Plain, format!("{}: {}", job.name, event_lines::sent(&progress)));
        }
        if !left.is_empty() {
            self.milestone(Tone::Plain, format!("{}: {}", job.name, leftovers::line(left)));
        }
        Ok(())
    }

    /// The command of a hook ended.
    pub fn hook(&self, name: &str, exit: Option<i32>, warning: Option<String>) -> io::Result<()> {
        if let Some(warning) = warning {
            self.screen.line(Tone::Warning, &format!("bitwren: {name}: {warning}"));
        }
        let line = json_line("hook").text("name", name);
        match exit {
            _ if !self.json => Ok(()),
            Some(exit) => say(&line.signed("exit", exit.into()).end()),
            None => say(&line.end()),
        }
    }

    /// A failure that is not a torrent's own.
    pub fn failure(&self, code: Code, why: &str) -> io::Result<()> {
        self.screen.error(why);
        if self.json { say(&error(code, why)) } else { Ok(()) }
    }

    /// Prints a line for people, unless quiet or JSON was asked for.
    pub fn milestone(&self, tone: Tone, line: String) {
        if !self.json && self.verbosity > Verbosity::Quiet {
            self.screen.line(tone, &line);
        }
    }
}

/// The JSON line about a failed run.
pub fn error(code: Code, why: &str) -> String {
    json_line("error").text("message", &masked(why)).number("exit", code.0.into()).end()
}

/// Prints a warning before there is a run, unless quiet was asked for.
pub fn warn(output: &OutputSettings, line: &str) -> io::Result<()> {
    if output.json {
        return say(&json_line("warning").text("message", &masked(line)).end());
    }
    if output.verbosity > Verbosity::Quiet {
        Screen::new().line(Tone::Warning, &format!("bitwren: {line}"));
    }
    Ok(())
}
