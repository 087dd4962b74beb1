//! `share`: a torrent made in memory, a tracker, a seed and the one line to type elsewhere.
//!
//! The tracker answers for these torrents alone, and serves the `.torrent` files too. One thread owns
//! the run and waits in one place: for announces, events of the client, a signal, or the next time to
//! draw. It never writes a file.

mod addresses;
mod recipients;
mod secret;
mod torrents;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bitwren::{Announced, Client, Config, Event, EventKind, Existing, Torrent, TorrentConfig, TrackerServer};

use recipients::{News, Recipients};
use torrents::Offer;

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::Settings;
use crate::cli::exit::{Code, Failure};
use crate::cli::output::json::Object;
use crate::cli::output::screen::Verbosity;
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::streams::say;
use crate::cli::output::{event_lines, qr, streams, units};
use crate::cli::run::signals::Signals;

/// How often the picture is drawn, and progress told to programs.
const DRAW: Duration = Duration::from_millis(500);
const TELL: Duration = Duration::from_secs(1);
/// Longer than anything happens.
const NEVER: Duration = Duration::from_secs(24 * 3600);
/// How long those who have everything get to say goodbye to the tracker before it ends.
const GRACE: Duration = Duration::from_secs(3);
/// Announces that wait to be looked at.
const QUEUE: usize = 1024;
/// Guests served at once: all of them, where they are not too many for a thread each.
const SLOTS: u32 = 64;
/// Connections to others at most, for each torrent.
const MAX_PEERS: u32 = 200;

/// Something to act on.
enum Wake {
    Announced(Announced),
    Event(Event),
    Interrupted,
    /// So many events of the client were dropped.
    Dropped(u64),
    /// A line about where the run stands is asked for.
    Status,
}

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let screen = Screen::of_a_run();
    let drafts = torrents::draft_all(operands, &settings, &screen)?;
    // Ports that cannot be had are found before anything is hashed.
    let client = start_client(&settings, drafts.len())?;
    drop(torrents::track(&[], &settings, sync_channel(1).0)?);
    let mut offers = torrents::make_all(drafts, &settings, &screen)?;
    let (sender, inbox) = sync_channel(QUEUE);
    let interrupted = Arc::new(AtomicBool::new(false));
    let (watch, announces) = sync_channel(QUEUE);
    let tracker = torrents::track(&offers, &settings, watch)?;
    let addresses = settings.bind.map_or_else(addresses::addresses, |address| match address {
        address if address.is_unspecified() => addresses::addresses(),
        address => vec![address],
    });
    let port = tracker.http_addresses().first().map_or(0, |address| address.port());
    let lines = torrents::publish(&mut offers, &tracker, &addresses, port, &settings)?;
    hand_on(client.events(), announces, sender.clone())?;
    let own = addresses;
    // By UDP, which leaves from the address of --bind: the tracker names the one that it was asked from.
    let tracker_of = |ip: &IpAddr| format!("udp://{}/announce", SocketAddr::new(*ip, port));
    let trackers: Vec<String> = own.iter().map(tracker_of).collect();
    let torrents = offers.iter().map(|offer| {
        let config = TorrentConfig::default()
            .dir(offer.dir.clone())
            .resume(false)
            .seed_only(true)
            .existing(Existing::Trust)
            .max_peers(MAX_PEERS)
            .fast_first_copy(true)
            .upload_slots(Some(SLOTS))
            // Each finds it at the address that it knows.
            .use_trackers(false)
            .trackers(trackers.clone());
        client.add(offer.metainfo.clone(), config)
    });
    let torrents = torrents.collect::<Result<Vec<Torrent>, _>>()?;
    let pieces = offers.iter().map(|offer| offer.metainfo.pieces().count()).collect();
    let share = Share {
        settings,
        screen,
        client,
        tracker,
        torrents,
        own,
        inbox,
        interrupted: interrupted.clone(),
        audience: Recipients::new(pieces),
        seeding: 0,
        failed: None,
    };
    share.begin(&offers, &lines)?;
    let (interrupt, status) = (sender.clone(), sender);
    signals.at_first(move || {
        // Where the queue is full the run looks at the flag after what is in it.
        interrupted.store(true, Ordering::Relaxed);
        let _ = interrupt.try_send(Wake::Interrupted);
    });
    signals.at_status(move || drop(status.try_send(Wake::Status)));
    streams::detach().map_err(Failure::no_thread)?;
    share.run()
}

fn start_client(settings: &Settings, torrents: usize) -> Result<Client, Failure> {
    let several = torrents.clamp(1, 10) as u32;
    let config = Config::default().bind(settings.bind).up_limit(settings.up).max_peers(MAX_PEERS * several);
    Ok(Client::start(match settings.port {
        Some(port) => config.port(port).port_required(true),
        None => config,
    })?)
}

/// Hands events and announces on to the run, on threads that end with their sources.
fn hand_on(
    events: bitwren::Events,
    announces: Receiver<Announced>,
    to: SyncSender<Wake>,
) -> Result<(), Failure> {
    let announced = to.clone();
    let thread = |name: &str, body: Box<dyn FnOnce() + Send>| {
        let thread = std::thread::Builder::new().name(name.into()).stack_size(64 << 10).spawn(body);
        thread.map(drop).map_err(Failure::no_thread)
    };
    thread(
        "announces",
        Box::new(move || _ = announces.into_iter().try_for_each(|one| announced.send(Wake::Announced(one)))),
    )?;
    thread(
        "events",
        Box::new(move || {
            let mut dropped = 0;
            loop {
                let event = events.recv();
                let more = events.dropped() - dropped;
                if more > 0 && to.send(Wake::Dropped(more)).is_err() {
                    return;
                }
                dropped += more;
                match event {
                    Ok(event) => match to.send(Wake::Event(event)) {
                        Ok(()) => {}
                        Err(_) => return,
                    },
                    Err(_) => return,
                }
            }
        }),
    )
}

/// A run.
struct Share {
    settings: Settings,
    screen: Screen,
    client: Client,
    tracker: TrackerServer,
    torrents: Vec<Torrent>,
    /// Where this machine announces from.
    own: Vec<IpAddr>,
    inbox: Receiver<Wake>,
    /// A signal asked for the end.
    interrupted: Arc<AtomicBool>,
    audience: Recipients,
    /// How many torrents are ready to be served.
    seeding: usize,
    failed: Option<Code>,
}

impl Share {
    /// Tells what to type elsewhere.
    fn begin(&self, offers: &[Offer], lines: &torrents::Lines) -> io::Result<()> {
        if self.settings.json {
            for offer in offers {
                say(&Object::line("sharing")
                    .text("torrent", &offer.metainfo.info_hash().to_string())
                    .text("name", offer.metainfo.name())
                    .text("url", &offer.url)
                    .texts("others", offer.others.iter().map(String::as_str))
                    .number("size", offer.metainfo.pieces().total())
                    .number("pieces", offer.metainfo.pieces().count().into())
                    .end())?;
            }
            return Ok(());
        }
        for offer in offers {
            let (size, files) = (offer.metainfo.pieces().total(), offer.metainfo.files().len() as u64);
            let line = format!(
                "{}: {} in {}; type on another machine:",
                offer.metainfo.name(),
                units::size(size),
                units::count(files, "file")
            );
            self.note(Tone::Plain, &line);
        }
        say(&lines.main)?;
        for other in &lines.others {
            if self.settings.verbosity > Verbosity::Quiet {
                self.screen.whole_line(Tone::Plain, &format!("or, using another address: {other}"));
            }
        }
        if let Some(offer) = offers.first().filter(|_| self.settings.sharing.qr) {
            match qr::encode(offer.url.as_bytes()) {
                Some(code) => self.screen.picture(&code.rows(qr::QUIET)),
                None => self.note(Tone::Warning, "the URL is too long for a QR code"),
            }
        }
        if self.own.iter().all(IpAddr::is_loopback) {
            self.note(Tone::Warning, "this machine has no network address: only programs on it can connect");
        }
        Ok(())
    }

    fn run(mut self) -> Result<Code, Failure> {
        let end = self.serve();
        self.screen.clear();
        let sent: u64 = self.torrents.iter().map(|torrent| torrent.progress().uploaded).sum();
        let whole = self.audience.whole();
        self.client.shutdown();
        self.tracker.stop();
        let code = match end {
            Ok(code) => code,
            // Where nobody reads any more that is as good as an interrupt.
            Err(error) => {
                let failure = Failure::from(error);
                return Err(if failure.why.is_some() { failure } else { Failure::told(Code::INTERRUPTED) });
            }
        };
        if self.settings.json {
            say(&Object::line("shared").number("whole", whole.into()).number("uploaded", sent).end())?;
        } else if self.settings.verbosity > Verbosity::Quiet {
            let machines = units::count(whole.into(), "machine");
            let line = format!("{machines} with everything, {} sent", units::size(sent));
            self.screen.line(Tone::Good, &line);
        }
        if !self.interrupted.load(Ordering::Relaxed) {
            streams::drain(streams::DRAIN)?;
        }
        Ok(code)
    }

    /// Waits until enough have everything, or something ends it.
    fn serve(&mut self) -> io::Result<Code> {
        let interval = self.interval();
        let mut next = interval.map(|interval| Instant::now() + interval);
        let mut last_call = None;
        loop {
            let until = next.into_iter().chain(last_call).min();
            let timeout = until.map_or(NEVER, |until| until.saturating_duration_since(Instant::now()));
            match self.inbox.recv_timeout(timeout) {
                Ok(Wake::Announced(announced)) => self.on_announced(&announced)?,
                Ok(Wake::Event(event)) => self.on_event(&event)?,
                Ok(Wake::Interrupted) => {}
                Ok(Wake::Dropped(events)) => self.dropped(events)?,
                Ok(Wake::Status) => self.status()?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(self.failed.unwrap_or(Code::UNKNOWN)),
            }
            if self.interrupted.load(Ordering::Relaxed) {
                // Where no number of guests was asked for there is no other end.
                let enough = last_call.is_some() || self.settings.sharing.copies.is_none();
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
            if self.settings.sharing.copies.is_some_and(|copies| self.audience.whole() >= copies) {
                let until = *last_call.get_or_insert(now + GRACE);
                if now >= until || !self.audience.lingers() {
                    return Ok(Code::OK);
                }
            }
        }
    }

    /// How often there is something to show.
    fn interval(&self) -> Option<Duration> {
        match self.settings.verbosity {
            Verbosity::Quiet => None,
            _ if self.settings.json => Some(TELL),
            _ => self.screen.live.then_some(DRAW),
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
        let news = self.audience.announced(torrent, announced);
        self.tell(news)
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
                    let news = self.audience.gone(torrent, *id, *uploaded);
                    self.tell(news)?;
                }
            }
            EventKind::StorageFailed { why, .. } => self.screen.error(&format!("{}: {why}", name())),
            _ => {}
        }
        if !self.settings.json {
            return Ok(());
        }
        event_lines::json(event.torrent, &event.what, self.settings.verbosity)
            .map_or(Ok(()), |line| say(&line))
    }

    /// Events were dropped before they could be told.
    fn dropped(&self, events: u64) -> io::Result<()> {
        // People are told of few of them, and see the sum.
        if self.settings.json { say(&streams::dropped(events)) } else { Ok(()) }
    }

    /// Tells who came and who has everything.
    fn tell(&self, news: Vec<News>) -> io::Result<()> {
        for one in news {
            let (event, address) = match one {
                News::Came(address) => ("guest", address),
                News::Whole(address) => ("guest_done", address),
            };
            let (whole, count) = (self.audience.whole(), self.audience.count() as u64);
            if self.settings.json {
                say(&Object::line(event)
                    .text("peer", &address.to_string())
                    .number("whole", whole.into())
                    .number("guests", count)
                    .end())?;
            } else if let News::Whole(address) = one {
                let of = self.settings.sharing.copies.map_or(count, |copies| copies.into());
                self.note(Tone::Good, &format!("{address} has everything, {whole} of {of}"));
            } else if self.settings.verbosity == Verbosity::Verbose {
                self.note(Tone::Plain, &format!("{address} connected"));
            }
        }
        Ok(())
    }

    /// Shows who has how much.
    fn show(&mut self) -> io::Result<()> {
        let mut news = Vec::new();
        for (at, torrent) in self.torrents.iter().enumerate() {
            news.extend(self.audience.seen(at, &torrent.peers()));
        }
        self.tell(news)?;
        if self.settings.json {
            return self.progress();
        }
        let sum = self.sum();
        self.screen.draw_lines(|columns, rows| {
            let mut lines = self.audience.lines(columns, rows.saturating_sub(1), self.screen.utf8);
            lines.push(sum);
            lines
        });
        Ok(())
    }

    /// Tells programs how each torrent stands.
    fn progress(&self) -> io::Result<()> {
        let tell = |torrent: &Torrent| say(&event_lines::progress(torrent.info_hash(), &torrent.progress()));
        self.torrents.iter().try_for_each(tell)
    }

    /// Where the run stands, for who asks.
    fn status(&self) -> io::Result<()> {
        if self.settings.json {
            return self.progress();
        }
        self.screen.line(Tone::Plain, &self.sum());
        Ok(())
    }

    /// All guests and torrents together, as a line.
    fn sum(&self) -> String {
        let (mut sent, mut rate) = (0, 0);
        for progress in self.torrents.iter().map(Torrent::progress) {
            sent += progress.uploaded;
            rate += progress.up_rate;
        }
        let (whole, guests) = (self.audience.whole(), self.audience.count());
        let ready = self.seeding == self.torrents.len();
        match guests {
            0 if !ready => "starting".to_owned(),
            0 => "waiting for other machines; Ctrl-C stops it".to_owned(),
            _ => format!(
                "{whole} of {guests} have everything  {}  {} sent",
                units::rate(rate),
                units::size(sent)
            ),
        }
    }

    /// A line for people, unless they want quiet or programs listen.
    fn note(&self, tone: Tone, line: &str) {
        if !self.settings.json && self.settings.verbosity > Verbosity::Quiet {
            self.screen.line(tone, line);
        }
    }
}
