//! Carries one announce or one scrape to one tracker, whatever the tracker speaks, over every address
//! family it has, and waits for the answers. Blocks for as long as its [`Timing`] says: to be run on a
//! thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use super::families::{Asked, FamilyRequest, PreferredAddresses};
use super::relayed;
use super::udp::{UdpBounds, UdpTrackerClient};
use crate::config::Config;
use crate::engine::http::client;
use crate::engine::http::client::Bounds;
use crate::engine::net::egress::{Egress, NOT_CARRIED, Purpose};
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;
use crate::moment::Moment;
use crate::tracker::exchange::{Question, Reply, RetrySchedule};
use crate::tracker::url::{Scheme, TrackerUrl};
use crate::tracker::{Announce, Answer, Failure, Retry, ScrapeEntry, http as form, udp};

/// Most bytes of an answer over HTTP.
const MAX_BODY: u64 = 1 << 20;

/// Info-hashes in one scrape over HTTP; longer URLs are refused by some servers.
const MAX_SCRAPE_OVER_HTTP: usize = 50;

/// Least time for one of several addresses of a tracker over HTTP.
const MIN_TIME_PER_ADDRESS: Duration = Duration::from_secs(5);

/// How much later than its deadline a scrape may end.
const SCRAPE_SLACK: Duration = Duration::from_secs(1);

/// Longest that anything is waited for, whatever is asked.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How long trackers are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// For everything of an announce over HTTP.
    pub(crate) http: Duration,
    /// When packets are sent again.
    pub(crate) retry_schedule: RetrySchedule,
    /// How long the first answer is held back for that of another family.
    pub(crate) grace: Duration,
}

impl Timing {
    /// For announces. A dead UDP tracker is let go after 15, 30 and 60 s: the pauses of the tiers,
    /// which double as well, take the place of the rest of BEP 15's schedule, so that it does not
    /// hold a thread for two hours.
    pub(crate) const REGULAR: Timing = Timing {
        http: Duration::from_secs(15),
        retry_schedule: RetrySchedule { first: Duration::from_secs(15), doublings: 8, retries: 2 },
        grace: Duration::ZERO,
    };

    /// For an announce that has to be over within `budget`: packets are sent again sooner, or they would be
    /// sent once only. Both families are to get it, if both exist.
    pub(crate) fn within(budget: Duration) -> Timing {
        let budget = budget.min(MAX_WAIT);
        let retry_schedule =
            RetrySchedule { first: (budget / 4).max(Duration::from_millis(1)), doublings: 8, retries: 8 };
        Timing { http: budget, retry_schedule, grace: budget / 8 }
    }

    /// The whole of the schedule.
    fn udp_deadline(&self) -> Duration {
        let RetrySchedule { first, doublings, retries } = self.retry_schedule;
        let waits = (0..=retries).map(|n| first.saturating_mul(2u32.saturating_pow(n.min(doublings))));
        waits.fold(Duration::ZERO, Duration::saturating_add)
    }
}

/// Carries announces and scrapes.
#[derive(Debug)]
pub(crate) struct TrackerClient {
    clock: Clock,
    udp: UdpTrackerClient,
    pub(super) egress: Arc<Egress>,
    preferred: Arc<PreferredAddresses>,
}

impl TrackerClient {
    pub(crate) fn new(clock: Clock, egress: Arc<Egress>) -> Arc<Self> {
        Arc::new(TrackerClient {
            clock,
            udp: UdpTrackerClient::new(clock, egress.clone()),
            egress,
            preferred: Arc::default(),
        })
    }

    /// Announces, over all families side by side: `hear` gets each answer, the first at once, or one failure
    /// if there is none; on any thread. Once it is dropped no more will come.
    pub(crate) fn announce(
        self: &Arc<Self>,
        url: &TrackerUrl,
        announce: Announce,
        timing: Timing,
        hear: impl Fn(std::result::Result<Answer, Failure>) + Send + Sync + 'static,
    ) {
        if url.scheme() != Scheme::Udp {
            let target = form::announce_url(url, &announce);
            return self.fetch(url, target, timing, form::read_announced, hear);
        }
        let question = Question::Announce(announce, url.path_and_query().to_owned());
        let hear = move |said: std::result::Result<Reply, Failure>| {
            hear(said.and_then(|reply| match reply {
                Reply::Announced(answer) => Ok(answer),
                Reply::Scraped(_) => Err(Failure::new("the answer is to another question")),
            }));
        };
        self.ask(url, question, timing.udp_deadline(), timing, hear);
    }

    /// Closes kept sockets that are of no use any longer; returns when the next one will be.
    pub(crate) fn tidy(&self, now: Moment) -> Option<Moment> {
        self.udp.tidy(now)
    }

    /// Scrapes at the tracker's announce or scrape URL, within `timing.http` whatever it speaks; the first
    /// family to answer counts.
    fn scrape(
        self: &Arc<Self>,
        url: &TrackerUrl,
        hashes: &[InfoHash],
        timing: Timing,
    ) -> std::result::Result<Vec<ScrapeEntry>, Failure> {
        let (told, heard) = unbounded();
        let (client, url, hashes) = (self.clone(), url.clone(), hashes.to_vec());
        let asking = Arc::new(move || client.begin_scrape(&url, &hashes, timing, told.clone()));
        // A family that hangs is not waited for, if there is a thread that can be left to it.
        let beside = asking.clone();
        if threads::spawn("tracker-ask", move || beside()).is_err() {
            asking();
        }
        drop(asking);
        // The asking threads know better which answer did not come.
        heard.recv_timeout(timing.http + SCRAPE_SLACK).unwrap_or_else(|_| Err(Failure::new("no answer")))
    }

    fn begin_scrape(
        self: &Arc<Self>,
        url: &TrackerUrl,
        hashes: &[InfoHash],
        timing: Timing,
        told: Sender<std::result::Result<Vec<ScrapeEntry>, Failure>>,
    ) {
        let hear = move |said| _ = told.send(said);
        let hashes = hashes.to_vec();
        if url.scheme() != Scheme::Udp {
            let target = form::scrape_url(url, &hashes);
            return self.fetch(url, target, timing, move |body| form::read_scraped(body, &hashes), hear);
        }
        self.ask(url, Question::Scrape(hashes), timing.http, timing, move |said| {
            hear(said.and_then(|reply| match reply {
                Reply::Scraped(entries) => Ok(entries),
                Reply::Announced(_) => Err(Failure::new("the answer is to another question")),
            }));
        });
    }

    /// Sends a question over UDP.
    fn ask(
        self: &Arc<Self>,
        url: &TrackerUrl,
        question: Question,
        deadline: Duration,
        timing: Timing,
        hear: impl Fn(std::result::Result<Reply, Failure>) + Send + Sync + 'static,
    ) {
        let bounds = UdpBounds { retry_schedule: timing.retry_schedule, deadline };
        if let Some(proxy) = self.egress.proxy(Purpose::Trackers) {
            let relay = proxy.relay().ok_or_else(|| relayed::refused(NOT_CARRIED));
            let target = (url.host(), url.port());
            return hear(relay.and_then(|relay| relayed::ask(relay, target, question, bounds, self.clock)));
        }
        let client = self.clone();
        let asking = move |family: &[SocketAddr], _: Duration, is_enough: &dyn Fn() -> bool| {
            client.udp.ask(family, &question, bounds, is_enough)
        };
        self.run(url, timing, asking, hear);
    }

    /// Sends a request over HTTP.
    fn fetch<T: Send + 'static>(
        self: &Arc<Self>,
        url: &TrackerUrl,
        target: String,
        timing: Timing,
        read: impl Fn(&[u8]) -> std::result::Result<T, Failure> + Send + Sync + 'static,
        hear: impl Fn(std::result::Result<T, Failure>) + Send + Sync + 'static,
    ) {
        let client = self.clone();
        let asking = move |family: &[SocketAddr], whole: Duration, _: &dyn Fn() -> bool| {
            client.get(&target, family, whole, &read)
        };
        self.run(url, timing, asking, hear);
    }

    /// Looks up the tracker and asks all its families.
    fn run<T: Send + 'static>(
        self: &Arc<Self>,
        url: &TrackerUrl,
        timing: Timing,
        asking: impl Fn(&[SocketAddr], Duration, &dyn Fn() -> bool) -> Asked<T> + Send + Sync + 'static,
        hear: impl Fn(std::result::Result<T, Failure>) + Send + Sync + 'static,
    ) {
        let begun = self.clock.now();
        let proxied = self.is_proxied(url);
        // The proxy looks the name up.
        let any = SocketAddr::from(([0, 0, 0, 0], url.port()));
        let found =
            if proxied { Ok(vec![any]) } else { self.egress.look_up(url.host(), url.port(), timing.http) };
        let addresses = match found {
            Ok(found) => found,
            Err(error) => return hear(Err(Failure::new(error.to_string()))),
        };
        let reachable = |at: &SocketAddr| proxied || self.egress.has_family_of(at);
        let addresses: Vec<SocketAddr> = addresses.into_iter().filter(reachable).collect();
        let left = timing.http.saturating_sub(self.clock.now().since(begun));
        let asking =
            move |family: &[SocketAddr], is_enough: &dyn Fn() -> bool| asking(family, left, is_enough);
        FamilyRequest::new(url.host(), self.preferred.clone(), timing.grace, asking, hear).run(&addresses);
    }

    /// Whether a request to this tracker over HTTP goes through a proxy.
    fn is_proxied(&self, url: &TrackerUrl) -> bool {
        let is_https = url.scheme() == Scheme::Https;
        url.scheme() != Scheme::Udp && self.egress.proxy_of_request(is_https, url.host()).is_some()
    }

    /// Asks the addresses of a family in turn, until one of them answers.
    fn get<T>(
        &self,
        url: &str,
        family: &[SocketAddr],
        whole: Duration,
        read: &dyn Fn(&[u8]) -> std::result::Result<T, Failure>,
    ) -> Asked<T> {
        let begun = self.clock.now();
        let mut asked = Asked::default();
        for (&address, left) in family.iter().zip((1..=family.len() as u32).rev()) {
            let rest = whole.saturating_sub(self.clock.now().since(begun));
            if rest.is_zero() {
                break;
            }
            let deadline = if left == 1 { rest } else { (rest / left).max(MIN_TIME_PER_ADDRESS).min(rest) };
            // The proxy looks the name up.
            let to = (!address.ip().is_unspecified()).then_some(address);
            let bounds = Bounds { deadline, silence: None, body: MAX_BODY, to };
            let response = match client::get(url, &self.egress, bounds) {
                Ok(response) => response,
                Err(error) => {
                    asked.failed(address, &error.to_string());
                    continue;
                }
            };
            let failure = match response.status {
                200..=299 => return asked.heard(address, read(&response.body)),
                // Trackers give their reasons with error statuses too.
                status => form::failure_of(&response.body).unwrap_or_else(|| Failure {
                    retry: response.retry_after.map(Retry::After),
                    ..Failure::new(client::describe(status))
                }),
            };
            // A gateway with no server behind it: another address may have one.
            if left > 1 && failure.retry.is_none() && matches!(response.status, 502..=504) {
                asked.failed(address, &failure.why);
                continue;
            }
            return asked.heard(address, Err(failure));
        }
        asked
    }
}

/// Asks a tracker what it knows about torrents (BEP 48 over HTTP, BEP 15 over UDP). `url` is its
/// announce URL or its scrape URL; `timeout` is for each request, of which there is one for 50
/// torrents over HTTP and for 74 over UDP. Of `config` the settings of sockets count. Torrents it knows
/// nothing about are left out over HTTP, and have zeros over UDP.
///
/// # Errors
/// [`ErrorKind::Argument`] for what is no URL of a tracker or has no scrape URL,
/// [`ErrorKind::Tracker`] with the tracker's own reason or what was wrong with its answer.
///
/// ```no_run
/// use std::time::Duration;
///
/// let hash = "0123456789abcdef0123456789abcdef01234567".parse()?;
/// let timeout = Duration::from_secs(15);
/// for entry in bitwren::scrape("udp://tracker.example:80", &[hash], timeout, &bitwren::Config::default())? {
///     println!("{} seeders, {} leechers", entry.seeders, entry.leechers);
/// }
/// # Ok::<(), bitwren::Error>(())
/// ```
pub fn scrape(
    url: &str,
    hashes: &[InfoHash],
    timeout: Duration,
    config: &Config,
) -> Result<Vec<ScrapeEntry>> {
    let name = |why: &str| format!("cannot scrape {url}: {why}");
    let target = TrackerUrl::parse(url).map_err(|error| Error::new(error.kind(), name(error.context())))?;
    let target = target.scrape().ok_or_else(|| {
        Error::new(
            ErrorKind::Argument,
            name("no scrape URL belongs to it; its last part does not begin with announce"),
        )
    })?;
    let client = TrackerClient::new(Clock::start(), Egress::of(config));
    let timing = Timing::within(timeout);
    let at_once = if target.scheme() == Scheme::Udp { udp::MAX_SCRAPE } else { MAX_SCRAPE_OVER_HTTP };
    let mut entries = Vec::new();
    for part in hashes.chunks(at_once) {
        let found = client.scrape(&target, part, timing);
        entries.extend(found.map_err(|failure| Error::new(ErrorKind::Tracker, name(&failure.why)))?);
    }
    Ok(entries)
}

#[cfg(all(test, feature = "tracker-server"))]
mod tests;
