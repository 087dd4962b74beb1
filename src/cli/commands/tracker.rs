//! `tracker`: runs the embedded tracker until it is interrupted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use bitwren::{TrackerServer, TrackerServerConfig, TrackerStats};

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::{Settings, TrackerSettings};
use crate::cli::exit::{Code, Failure};
use crate::cli::output::json::{Object, json_line};
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::streams::say;
use crate::cli::output::{streams, units};
use crate::cli::run::inbox::{Inbox, Wake};
use crate::cli::run::signals::Signals;

/// The port that most trackers use.
const PORT: u16 = 6969;

/// How often statistics are printed with `-v`.
const STATS_INTERVAL: Duration = Duration::from_secs(10);

/// What only a tracker listens to: nothing.
type Nothing = std::convert::Infallible;

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Settings { output, tracker, .. } = invocation.settings;
    let inbox = Inbox::new();
    inbox.end_at(signals);
    inbox.report_at(signals);
    let server = start(&tracker)?;
    let http = urls("http", server.http_addresses());
    let udp = urls("udp", server.udp_addresses());
    if output.json {
        let texts = |urls: &[String]| urls.to_vec();
        let (http, udp) = (texts(&http), texts(&udp));
        let line = json_line("tracking").texts("http", http.iter().map(String::as_str));
        say(&line.texts("udp", udp.iter().map(String::as_str)).end())?;
    } else {
        http.iter().chain(&udp).try_for_each(|url| say(url))?;
        if tracker.listen.bind.is_none() && output.is_chatty() {
            let note = "listening on every address of this machine; Ctrl-C stops it";
            Screen::of_a_run().line(Tone::Plain, note);
        }
    }
    streams::detach().map_err(Failure::no_thread)?;
    let watched = watch(&server, &inbox, output.is_verbose(), output.json);
    server.stop();
    watched?;
    // Only a signal ends the run.
    Ok(Code::OK)
}

/// Waits for a signal to end the run. Prints statistics when a signal asks for them; with `often` also now
/// and then if they have changed, and once more at the end.
fn watch(server: &TrackerServer, inbox: &Inbox<Nothing>, often: bool, json: bool) -> Result<(), Failure> {
    let screen = Screen::of_a_run();
    let (mut last, mut since) = (TrackerStats::default(), Instant::now());
    loop {
        let wake = inbox.wait(often.then(|| since + STATS_INTERVAL));
        let now = server.stats();
        streams::check()?;
        if wake == Some(Wake::Status) || often && now != last {
            if json {
                say(&stats(&now).end())?;
            } else {
                screen.line(Tone::Plain, &in_words(&now, &last, since.elapsed()));
            }
        }
        if inbox.is_interrupted() {
            return Ok(());
        }
        (last, since) = (now, Instant::now());
    }
}

fn stats(stats: &TrackerStats) -> Object {
    json_line("stats")
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
fn start(tracker: &TrackerSettings) -> Result<TrackerServer, Failure> {
    let at = |address: IpAddr| {
        let port = tracker.listen.port.unwrap_or(PORT);
        let config = TrackerServerConfig::default()
            .http([SocketAddr::new(address, port)])
            .udp([SocketAddr::new(address, tracker.udp_port.unwrap_or(port))])
            .interval(tracker.interval)
            .rate(tracker.request_rate)
            .allowed((!tracker.allow.is_empty()).then(|| tracker.allow.clone()));
        TrackerServer::start(config)
    };
    match tracker.listen.bind {
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
