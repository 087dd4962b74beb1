//! How a tracker is written: what it is, and how it stands.

use std::io;
use std::net::IpAddr;

use super::reply::Reply;
use crate::daemon::view::{Exchange, Tracker, TrackerActivity, TrackerState};
use crate::tracker::url::TrackerUrl;

/// Writes what a tracker is.
pub fn write(reply: &mut Reply, tracker: &Tracker) -> io::Result<()> {
    let url = Parts::of(tracker);
    reply.object(|reply| {
        reply.member("announce", &tracker.announce)?;
        reply.member("id", tracker.id)?;
        reply.member("scrape", &url.scrape)?;
        reply.member("sitename", &url.site)?;
        reply.member("tier", tracker.tier)
    })
}

/// Writes how trackers stand. All keys are always there: clients take them without asking.
pub fn write_stats(reply: &mut Reply, trackers: &[Tracker], states: &[TrackerState]) -> io::Result<()> {
    let unknown = TrackerState::default();
    reply.list(trackers.iter().enumerate(), |reply, (at, tracker)| {
        // One that was just added has no state yet.
        let state = states.get(at).unwrap_or(&unknown);
        let url = Parts::of(tracker);
        reply.object(|reply| {
            reply.member("announce", &tracker.announce)?;
            reply.member("announce_state", activity(state.announcing))?;
            reply.member("download_count", known(state.downloads))?;
            reply.member("downloader_count", known(state.downloaders))?;
            reply.member("has_announced", state.announced.ended != 0)?;
            reply.member("has_scraped", state.scraped.ended != 0)?;
            reply.member("host", &url.host)?;
            reply.member("id", tracker.id)?;
            reply.member("is_backup", state.is_backup)?;
            reply.member("last_announce_peer_count", state.peers)?;
            reply.member("last_announce_result", result(&state.announced))?;
            reply.member("last_announce_start_time", state.announced.started)?;
            reply.member("last_announce_succeeded", state.announced.succeeded)?;
            reply.member("last_announce_time", state.announced.ended)?;
            reply.member("last_announce_timed_out", state.announced.timed_out)?;
            reply.member("last_scrape_result", &state.scraped.failure)?;
            reply.member("last_scrape_start_time", state.scraped.started)?;
            reply.member("last_scrape_succeeded", state.scraped.succeeded)?;
            reply.member("last_scrape_time", state.scraped.ended)?;
            reply.member("last_scrape_timed_out", state.scraped.timed_out)?;
            reply.member("leecher_count", known(state.leechers))?;
            reply.member("next_announce_time", state.next_announce)?;
            reply.member("next_scrape_time", state.next_scrape)?;
            reply.member("scrape", &url.scrape)?;
            reply.member("scrape_state", activity(state.scraping))?;
            reply.member("seeder_count", known(state.seeders))?;
            reply.member("sitename", &url.site)?;
            reply.member("tier", tracker.tier)
        })
    })
}

fn activity(activity: TrackerActivity) -> u32 {
    match activity {
        TrackerActivity::Inactive => 0,
        TrackerActivity::Waiting => 1,
        TrackerActivity::Queued => 2,
        TrackerActivity::Active => 3,
    }
}

/// A count, or -1.
fn known(count: Option<u32>) -> i64 {
    count.map_or(-1, i64::from)
}

fn result(exchange: &Exchange) -> &str {
    if exchange.succeeded && exchange.failure.is_empty() { "Success" } else { &exchange.failure }
}

/// What clients want of an announce URL; empty texts for one that cannot be read.
#[derive(Default)]
struct Parts {
    host: String,
    scrape: String,
    site: String,
}

impl Parts {
    fn of(tracker: &Tracker) -> Self {
        let Ok(url) = TrackerUrl::parse(&tracker.announce) else { return Parts::default() };
        let host = url.host();
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        Parts {
            host: format!("{open}{host}{close}:{}", url.port()),
            scrape: url.scrape().map(|scrape| scrape.as_str().to_owned()).unwrap_or_default(),
            site: site(host).to_owned(),
        }
    }
}

/// The name of a site as people say it: `example` of `tracker.example.com`. There is no list of suffixes: a
/// second level of up to three letters below a country is taken for one (`co.uk`).
fn site(host: &str) -> &str {
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    let labels: Vec<&str> = host.split('.').filter(|label| !label.is_empty()).collect();
    match labels[..] {
        [.., site, second, country] if second.len() <= 3 && country.len() == 2 => site,
        [.., site, _] => site,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_named_as_people_say_it() {
        let hosts = [
            ("tracker.example.com", "example"),
            ("example.org", "example"),
            ("t.example.co.uk", "example"),
            ("a.b.example.de", "example"),
            ("localhost", "localhost"),
            ("10.99.0.3", "10.99.0.3"),
            ("2001:db8::1", "2001:db8::1"),
            ("", ""),
        ];
        for (host, expected) in hosts {
            assert_eq!(site(host), expected, "{host}");
        }
    }

    #[test]
    fn an_announce_url_is_taken_apart() {
        let parts = |announce: &str| {
            let tracker = Tracker { id: 0, tier: 0, announce: announce.to_owned() };
            let parts = Parts::of(&tracker);
            (parts.host, parts.scrape, parts.site)
        };
        let texts =
            |host: &str, scrape: &str, site: &str| (host.to_owned(), scrape.to_owned(), site.to_owned());
        let (host, scrape) = ("t.example.org:80", "http://t.example.org/scrape?k=1");
        assert_eq!(parts("http://t.example.org/announce?k=1"), texts(host, scrape, "example"));
        assert_eq!(parts("https://[::1]/x"), texts("[::1]:443", "", "::1"));
        assert_eq!(parts("udp://a.org:7"), texts("a.org:7", "udp://a.org:7", "a"));
        assert_eq!(parts("nonsense"), texts("", "", ""));
    }
}
