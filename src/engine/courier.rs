//! Carries one announce or one scrape to one tracker, whatever the tracker speaks, and waits for
//! the answer. Blocks, for as long as its [`Timing`] says and a name lookup takes on top: to be run
//! on a thread that nobody waits for.

use std::net::IpAddr;
use std::time::Duration;

use super::clock::Clock;
use super::http::{self, Bounds};
use super::udp_tracker::{UdpAsker, UdpBounds};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;
use crate::moment::Moment;
use crate::tracker::exchange::{Patience, Question, Reply};
use crate::tracker::url::{Scheme, TrackerUrl};
use crate::tracker::{Announce, Answer, Failure, ScrapeEntry, http as form, udp};

/// Most bytes of an answer over HTTP.
const MAX_BODY: u64 = 1 << 20;

/// Info-hashes in one scrape over HTTP; longer URLs are refused by some servers.
const HTTP_SCRAPE: usize = 50;

/// How long trackers are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// For everything of an announce over HTTP.
    pub(crate) http: Duration,
    /// When packets are sent again.
    pub(crate) patience: Patience,
    /// How long the other family is waited for once one has answered.
    pub(crate) grace: Duration,
}

impl Timing {
    /// For announces. A dead UDP tracker is let go after 15, 30 and 60 s: the pauses of the tiers,
    /// which double as well, take the place of the rest of BEP 15's schedule, so that it does not
    /// hold a thread for two hours.
    pub(crate) const REGULAR: Timing = Timing {
        http: Duration::from_secs(15),
        patience: Patience { first: Duration::from_secs(15), doublings: 8, retries: 2 },
        grace: Duration::from_secs(3),
    };

    /// For what has to be over within `budget`: packets are sent again sooner, or they would be
    /// sent once only.
    pub(crate) fn within(budget: Duration) -> Timing {
        let patience =
            Patience { first: (budget / 4).max(Duration::from_millis(1)), doublings: 8, retries: 8 };
        Timing { http: budget, patience, grace: budget / 8 }
    }

    /// The whole of the schedule.
    fn udp_deadline(&self) -> Duration {
        let Patience { first, doublings, retries } = self.patience;
        (0..=retries).map(|n| first.saturating_mul(2u32.saturating_pow(n.min(doublings)))).sum()
    }
}

/// Carries announces and scrapes.
#[derive(Debug)]
pub(crate) struct Courier {
    udp: UdpAsker,
    bind: Option<IpAddr>,
}

impl Courier {
    pub(crate) fn new(clock: Clock, bind: Option<IpAddr>) -> Self {
        Courier { udp: UdpAsker::new(clock), bind }
    }

    /// Announces, and reads the answer.
    pub(crate) fn announce(
        &self,
        url: &TrackerUrl,
        announce: Announce,
        timing: &Timing,
    ) -> std::result::Result<Answer, Failure> {
        if url.scheme() != Scheme::Udp {
            let body = self.get(&form::announce_url(url, &announce), timing.http)?;
            return form::read_announced(&body);
        }
        let question = Question::Announce(announce, url.path_and_query().to_owned());
        match self.ask(url, &question, timing.udp_deadline(), timing)? {
            Reply::Announced(answer) => Ok(answer),
            Reply::Scraped(_) => Err(Failure::new("the answer is to another question")),
        }
    }

    /// Closes what is kept between questions and is of no use any more; says when that will be again.
    pub(crate) fn tidy(&self, now: Moment) -> Option<Moment> {
        self.udp.tidy(now)
    }

    /// Scrapes at the tracker's announce or scrape URL, within `timing.http` whatever it speaks.
    fn scrape(
        &self,
        url: &TrackerUrl,
        hashes: &[InfoHash],
        timing: &Timing,
    ) -> std::result::Result<Vec<ScrapeEntry>, Failure> {
        if url.scheme() != Scheme::Udp {
            let body = self.get(&form::scrape_url(url, hashes), timing.http)?;
            return form::read_scraped(&body, hashes);
        }
        match self.ask(url, &Question::Scrape(hashes.to_vec()), timing.http, timing)? {
            Reply::Scraped(entries) => Ok(entries),
            Reply::Announced(_) => Err(Failure::new("the answer is to another question")),
        }
    }

    fn ask(
        &self,
        url: &TrackerUrl,
        question: &Question,
        deadline: Duration,
        timing: &Timing,
    ) -> std::result::Result<Reply, Failure> {
        let bounds = UdpBounds { patience: timing.patience, deadline, grace: timing.grace, bind: self.bind };
        self.udp.ask(url, question, bounds)
    }

    /// The body of an answer that is one; trackers give their reasons with error statuses too.
    fn get(&self, url: &str, deadline: Duration) -> std::result::Result<Vec<u8>, Failure> {
        let bounds = Bounds { deadline, silence: None, body: MAX_BODY, bind: self.bind };
        let response = http::get(url, bounds).map_err(|error| Failure::new(error.to_string()))?;
        match response.status {
            200..=299 => Ok(response.body),
            status => {
                Err(form::failure_of(&response.body).unwrap_or_else(|| Failure::new(http::describe(status))))
            }
        }
    }
}

/// Asks a tracker what it knows about torrents (BEP 48 over HTTP, BEP 15 over UDP). `url` is its
/// announce URL or its scrape URL; `timeout` is for each request, of which there is one for 50
/// torrents over HTTP and for 74 over UDP. Torrents it knows nothing about are left out over HTTP,
/// and have zeros over UDP.
///
/// # Errors
/// [`ErrorKind::Argument`] for what is no URL of a tracker or has no scrape URL,
/// [`ErrorKind::Tracker`] with the tracker's own reason or what was wrong with its answer.
pub fn scrape(url: &str, hashes: &[InfoHash], timeout: Duration) -> Result<Vec<ScrapeEntry>> {
    let name = |why: &str| format!("cannot scrape {url}: {why}");
    let target = TrackerUrl::parse(url).map_err(|error| Error::new(error.kind(), name(error.context())))?;
    let target = target.scrape().ok_or_else(|| {
        Error::new(
            ErrorKind::Argument,
            name("no scrape URL belongs to it; its last part does not begin with announce"),
        )
    })?;
    let courier = Courier::new(Clock::start(), None);
    let timing = Timing::within(timeout);
    let at_once = if target.scheme() == Scheme::Udp { udp::MAX_SCRAPE } else { HTTP_SCRAPE };
    let mut entries = Vec::new();
    for part in hashes.chunks(at_once) {
        let found = courier.scrape(&target, part, &timing);
        entries.extend(found.map_err(|failure| Error::new(ErrorKind::Tracker, name(&failure.why)))?);
    }
    Ok(entries)
}

#[cfg(all(test, feature = "tracker-server"))]
mod tests;
