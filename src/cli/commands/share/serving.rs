//! A run of `share`: waits for announces, events of the client and signals, and shows the recipients.
//!
//! One thread owns it and waits in one place: the inbox, until the next time to draw.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bitwren::{Announced, Client, Event, EventKind, Torrent, TrackerServer};

use super::recipients::{RecipientEvent, Recipients};
use super::torrents::{Lines, SharedTorrent};
use crate::cli::args::settings::OutputSettings;
use crate::cli::exit::{Code, Failure};
use crate::cli::output::json::json_line;
use crate::cli::output::screen::{Screen, Tone, Verbosity};
use crate::cli::output::streams::say;
use crate::cli::output::{event_lines, qr, streams, units};
use crate::cli::run::inbox::{Inbox, Wake};

/// How often the live lines are drawn.
const DRAW_INTERVAL: Duration = Duration::from_millis(500);
/// How often progress is printed as JSON.
const JSON_INTERVAL: Duration = Duration::from_secs(1);
/// How long recipients that have everything may take to tell the tracker that they stop, before it ends.
const STOPPED_ANNOUNCE_TIME: Duration = Duration::from_secs(3);

/// A run.
pub struct Serving {
    pub output: OutputSettings,
    /// The number of recipients after which the run ends.
    pub copies: Option<u32>,
    pub screen: Screen,
    pub client: Client,
    pub tracker: TrackerServer,
    pub torrents: Vec<Torrent>,
    /// The addresses that this machine announces from.
    pub own: Vec<IpAddr>,
    pub inbox: Inbox<Announced>,
    pub recipients: Recipients,
    /// How many torrents are ready to be served.
    pub seeding: usize,
    pub failed: Option<Code>,
}

impl Serving {
    /// Prints what to type on other machines.
    pub fn begin(&self, shared: &[SharedTorrent], lines: &Lines, with_qr: bool) -> io::Result<()> {
        if self.output.json {
            for one in shared {
                say(&json_line("sharing")
                    .text("torrent", &one.metainfo.info_hash().to_string())
                    .text("name", one.metainfo.name())
                    .text("url", &one.url)
                    .texts("others", one.others.iter().map(String::as_str))
                    .number("size", one.metainfo.pieces().total())
                    .number("pieces", one.metainfo.pieces().count().into())
                    .end())?;
            }
            return Ok(());
        }
        for one in shared {
            let (size, files) = (one.metainfo.pieces().total(), one.metainfo.files().len() as u64);
            let line = format!(
                "{}: {} in {}; type on another machine:",
                one.metainfo.name(),
                units::size(size),
                units::count(files, "file")
            );
            self.note(Tone::Plain, &line);
        }
        say(&lines.main)?;
        for other in &lines.others {
            if self.output.verbosity > Verbosity::Quiet {
                self.screen.whole_line(Tone::Plain, &format!("or, using another address: {other}"));
            }
        }
        if let Some(one) = shared.first().filter(|_| with_qr) {
            match qr::encode(one.url.as_bytes()) {
                Some(code) => self.screen.picture(&code.rows(qr::QUIET)),
                None => self.note(Tone::Warning, "the URL is too long for a QR code"),
            }
        }
        if self.own.iter().all(IpAddr::is_loopback) {
            self.note(Tone::Warning, "this machine has no network address: only programs on it can connect");
        }
        Ok(())
    }

    /// Runs until enough recipients have everything, or something ends it.
    pub fn run(mut self) -> Result<Code, Failure> {
        let end = self.serve();
        self.screen.clear();
        let sent: u64 = self.torrents.iter().map(|torrent| torrent.progress().uploaded).sum();
        let whole = self.recipients.whole();
        self.client.shutdown();
        self.tracker.stop();
        let code = match end {
            Ok(code) => code,
            // A reader that is gone counts as an interrupt.
            Err(error) => {
                let failure = Failure::from(error);
                return Err(if failure.why.is_some() {
                    failure
                } else {
                    Failure::reported(Code::INTERRUPTED)
                });
            }
        };
        if self.output.json {
            say(&json_line("shared").number("whole", whole.into()).number("uploaded", sent).end())?;
        } else if self.output.verbosity > Verbosity::Quiet {
            let machines = units::count(whole.into(), "machine");
            let line = format!("{machines} with everything, {} sent", units::size(sent));
            self.screen.line(Tone::Good, &line);
        }
        if !self.inbox.is_interrupted() {
            streams::drain(streams::DRAIN)?;
        }
        Ok(code)
    }

    /// Waits until enough recipients have everything, or something ends the run.
    fn serve(&mut self) -> io::Result<Code> {
        let interval = self.interval();
        let mut next = interval.map(|interval| Instant::now() + interval);
        let mut end_by = None;
        loop {
            let until = next.into_iter().chain(end_by).min();
            match self.inbox.wait(until) {
                Some(Wake::Other(announced)) => self.on_announced(&announced)?,
                Some(Wake::Event(event)) => self.on_event(&event)?,
                Some(Wake::Dropped(events)) => self.dropped(events)?,
                Some(Wake::Status) => self.status()?,
                Some(Wake::Ended) => return Ok(self.failed.unwrap_or(Code::UNKNOWN)),
                Some(Wake::Interrupted) | None => {}
            }
            if self.inbox.is_interrupted() {
                // Without a number of recipients a signal is the only end.
                let enough = end_by.is_some() || self.copies.is_none();
                return Ok(if enough { Code::OK } else { Code::INTERRUPTED });
            }
            if let Some(code) = self.failed {
                return Ok(code);
            }
            let now = Instant::now();
            if let (Some(interval), true) = (interval, next.is_some_and(|next| now >= next)) {
                next = Some(now + interval);
                streams::check()?;
                self.show()?;
            }
            if self.copies.is_some_and(|copies| self.recipients.whole() >= copies) {
                let until = *end_by.get_or_insert(now + STOPPED_ANNOUNCE_TIME);
                if now >= until || !self.recipients.lingers() {
                    return Ok(Code::OK);
                }
            }
        }
    }

    /// How often progress is shown.
    fn interval(&self) -> Option<Duration> {
        match self.output.verbosity {
            Verbosity::Quiet => None,
            _ if self.output.json => Some(JSON_INTERVAL),
            _ => self.screen.live.then_some(DRAW_INTERVAL),
        }
    }

    fn on_announced(&mut self, announced: &Announced) -> io::Result<()> {
        if announced.peer_id == self.client.peer_id() {
            return Ok(());
        }
        let its = |torrent: &Torrent| torrent.info_hash() == announced.info_hash;
        let Some(torrent) = self.torrents.iter().position(its) else {
            return Ok(());
        };
        let events = self.recipients.announced(torrent, announced);
        self.report(events)
    }

    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        let name = || {
            let of = self.torrents.iter().find(|torrent| torrent.info_hash() == event.torrent);
            of.and_then(|torrent| torrent.metainfo()).map_or_else(String::new, |it| it.name().to_owned())
        };
        match &event.what {
            EventKind::Finished { .. } => self.seeding += 1,
            EventKind::Failed { kind, why } => {
                self.failed = Some(Code::of(*kind));
                self.screen.error(&format!("{}: {why}", name()));
            }
            EventKind::PeerGone { id: Some(id), uploaded, .. } => {
                let its = |torrent: &Torrent| torrent.info_hash() == event.torrent;
                if let Some(torrent) = self.torrents.iter().position(its) {
                    let events = self.recipients.gone(torrent, *id, *uploaded);
                    self.report(events)?;
                }
            }
            EventKind::StorageFailed { why, .. } => self.screen.error(&format!("{}: {why}", name())),
            _ => {}
        }
        if !self.output.json {
            return Ok(());
        }
        event_lines::json(event.torrent, &event.what, self.output.verbosity).map_or(Ok(()), |line| say(&line))
    }

    /// Events were dropped before they could be printed.
    fn dropped(&self, events: u64) -> io::Result<()> {
        // Few events are printed for people, who see the sums.
        if self.output.json { say(&streams::dropped(events)) } else { Ok(()) }
    }

    /// Reports recipients that connected or have everything.
    fn report(&self, events: Vec<RecipientEvent>) -> io::Result<()> {
        for one in events {
            let (event, address) = match one {
                RecipientEvent::Connected(address) => ("guest", address),
                RecipientEvent::Complete(address) => ("guest_done", address),
            };
            let (whole, count) = (self.recipients.whole(), self.recipients.count() as u64);
            if self.output.json {
                say(&json_line(event)
                    .text("peer", &address.to_string())
                    .number("whole", whole.into())
                    .number("guests", count)
                    .end())?;
            } else if let RecipientEvent::Complete(address) = one {
                let of = self.copies.map_or(count, |copies| copies.into());
                self.note(Tone::Good, &format!("{address} has everything, {whole} of {of}"));
            } else if self.output.is_verbose() {
                self.note(Tone::Plain, &format!("{address} connected"));
            }
        }
        Ok(())
    }

    /// Shows how much each recipient has.
    fn show(&mut self) -> io::Result<()> {
        let mut events = Vec::new();
        for (at, torrent) in self.torrents.iter().enumerate() {
            events.extend(self.recipients.seen(at, &torrent.peers()));
        }
        self.report(events)?;
        if self.output.json {
            return self.progress();
        }
        let sum = self.sum();
        self.screen.draw_lines(|columns, rows| {
            let mut lines = self.recipients.lines(columns, rows.saturating_sub(1), self.screen.utf8);
            lines.push(sum);
            lines
        });
        Ok(())
    }

    /// Prints the progress of each torrent as JSON.
    fn progress(&self) -> io::Result<()> {
        let print = |torrent: &Torrent| say(&event_lines::progress(torrent.info_hash(), &torrent.progress()));
        self.torrents.iter().try_for_each(print)
    }

    /// Prints a status line.
    fn status(&self) -> io::Result<()> {
        if self.output.json {
            return self.progress();
        }
        self.screen.line(Tone::Plain, &self.sum());
        Ok(())
    }

    /// All recipients and torrents together, as a line.
    fn sum(&self) -> String {
        let (mut sent, mut rate) = (0, 0);
        for progress in self.torrents.iter().map(Torrent::progress) {
            sent += progress.uploaded;
            rate += progress.up_rate;
        }
        let (whole, all) = (self.recipients.whole(), self.recipients.count());
        let ready = self.seeding == self.torrents.len();
        match all {
            0 if !ready => "starting".to_owned(),
            0 => "waiting for other machines; Ctrl-C stops it".to_owned(),
            _ => {
                format!("{whole} of {all} have everything  {}  {} sent", units::rate(rate), units::size(sent))
            }
        }
    }

    /// A line for people, unless quiet or JSON was asked for.
    fn note(&self, tone: Tone, line: &str) {
        if self.output.is_chatty() {
            self.screen.line(tone, line);
        }
    }
}
