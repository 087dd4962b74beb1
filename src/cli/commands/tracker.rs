//! `tracker`: runs the embedded tracker until it is interrupted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bitwren::{TrackerServer, TrackerServerConfig, TrackerStats};

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::Settings;
use crate::cli::exit::{Code, Failure};
use crate::cli::output::json::Object;
use crate::cli::output::screen::Verbosity;
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::streams::say;
use crate::cli::output::{streams, units};
use crate::cli::run::signals::Signals;

/// The port most trackers have.
const PORT: u16 = 6969;

/// How often there are figures for the verbose.
const FIGURES: Duration = Duration::from_secs(10);

/// Longer than anyone waits for figures that were not asked for.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    Interrupted,
    Status,
}

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let settings = invocation.settings;
    let (interrupt, interrupted) = channel();
    let status = interrupt.clone();
    signals.at_first(move || _ = interrupt.send(Wake::Interrupted));
    signals.at_status(move || _ = status.send(Wake::Status));
    let server = start(&settings)?;
    let http = urls("http", server.http_addresses());
    let udp = urls("udp", server.udp_addresses());
    if settings.json {
        let texts = |urls: &[String]| urls.to_vec();
        let (http, udp) = (texts(&http), texts(&udp));
        let line = Object::line("tracking").texts("http", http.iter().map(String::as_str));
        say(&line.texts("udp", udp.iter().map(String::as_str)).end())?;
    } else {
        http.iter().chain(&udp).try_for_each(|url| say(url))?;
        if settings.bind.is_none() && settings.verbosity > Verbosity::Quiet {
            let note = "listening on every address of this machine; Ctrl-C stops it";
            Screen::of_a_run().line(Tone::Plain, note);
        }
    }
    streams::detach().map_err(Failure::no_thread)?;
    let watched = watch(&server, &interrupted, settings.verbosity == Verbosity::Verbose, settings.json);
    server.stop();
    watched?;
    // There is no other end.
    Ok(Code::OK)
}

/// Waits for a signal to end. Prints figures when one asks for them; where `often`, also now and then
/// where there is something new, and once more at the end.
fn watch(server: &TrackerServer, signals: &Receiver<Wake>, often: bool, json: bool) -> Result<(), Failure> {
    let screen = Screen::of_a_run();
    let (mut last, mut since) = (TrackerStats::default(), Instant::now());
    let every = if often { FIGURES } else { NEVER };
    loop {
        let wake = signals.recv_timeout(every.saturating_sub(since.elapsed()));
        let now = server.stats();
        streams::check()?;
        let asked = wake == Ok(Wake::Status);
        if asked || often && now != last {
            if json {
                say(&figures(&now).end())?;
            } else {
                screen.line(Tone::Plain, &in_words(&now, &last, since.elapsed()));
            }
        }
        if matches!(wake, Ok(Wake::Interrupted) | Err(RecvTimeoutError::Disconnected)) {
            return Ok(());
        }
        (last, since) = (now, Instant::now());
    }
}

fn figures(stats: &TrackerStats) -> Object {
    Object::line("stats")
        .number("torrents", stats.torrents as u64)
        .number("seeders", stats.seeders as u64)
        .number("leechers", stats.leechers as u64)
        .number("connections", stats.connections as u64)
        .number("announces", stats.announces)
        .number("scrapes", stats.scrapes)
        .number("limited", stats.limited)
        .number("hung_up", stats.hung_up)
}

fn in_words(now: &TrackerStats, last: &TrackerStats, since: Duration) -> String {
    let mut line = format!(
        "{}, {}, {}; {} and {} in {}",
        units::count(now.torrents as u64, "torrent"),
        units::count(now.seeders as u64, "seeder"),
        units::count(now.leechers as u64, "leecher"),
        units::count(now.announces - last.announces, "announce"),
        units::count(now.scrapes - last.scrapes, "scrape"),
        units::duration(since)
    );
    for (count, what) in
        [(now.limited - last.limited, "over the rate limit"), (now.hung_up - last.hung_up, "closed early")]
    {
        if count > 0 {
            line.push_str(&format!(", {count} {what}"));
        }
    }
    line
}

/// Starts it where it was asked for; on every address, IPv6 too where there is any, by default.
fn start(settings: &Settings) -> Result<TrackerServer, Failure> {
    let at = |address: IpAddr| {
        let port = settings.port.unwrap_or(PORT);
        let mut config = TrackerServerConfig::default();
        config.http = vec![SocketAddr::new(address, port)];
        config.udp = vec![SocketAddr::new(address, settings.udp_port.unwrap_or(port))];
        config.interval = settings.interval;
        config.rate = settings.request_rate;
        config.allowed = (!settings.allow.is_empty()).then(|| settings.allow.clone());
        TrackerServer::start(config)
    };
    match settings.bind {
        Some(address) => Ok(at(address)?),
        None => Ok(at(Ipv6Addr::UNSPECIFIED.into()).or_else(|_| at(Ipv4Addr::UNSPECIFIED.into()))?),
    }
}

/// The announce URLs of addresses; loopback stands for every address.
fn urls(scheme: &str, addresses: &[SocketAddr]) -> Vec<String> {
    let reachable = |address: &SocketAddr| match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        _ => *address,
    };
    addresses.iter().map(|address| format!("{scheme}://{}/announce", reachable(address))).collect()
}
