//! One question to a UDP tracker, from the first packet to the answer, in virtual time (BEP 15).
//!
//! Connect, then ask; ask again after 15·2ⁿ s of silence, n from 0 up to 8, beginning anew when the
//! tracker answers a connect; connect again when the connection id has become older than 60 s.
//! Packets that are too short, or of another transaction, or of an action that was not asked for,
//! are as good as not sent; only the machine's owner knows where they came from and must drop
//! those from elsewhere.
//!
//! Invariant: at most one transaction is open, and its id is new for each packet of a new kind.

use std::time::Duration;

use super::{Announce, Answer, Failure, ScrapeEntry, udp};
use crate::id::InfoHash;
use crate::moment::Moment;

/// How long a connection id may be used after it was received.
pub const CONNECTION_LIFE: Duration = Duration::from_secs(60);

/// How long to wait for answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySchedule {
    /// Silence after which the first packet is sent again; doubled each time.
    pub first: Duration,
    /// How often it is doubled, at most: 8 in BEP 15.
    pub doublings: u32,
    /// How often a packet is sent again in all before the tracker counts as dead.
    pub retries: u32,
}

/// The question to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// An announce, and the path and query of the tracker's URL.
    Announce(Announce, String),
    /// A scrape of at most [`udp::MAX_SCRAPE`] torrents.
    Scrape(Vec<InfoHash>),
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To an announce.
    Announced(Answer),
    /// To a scrape.
    Scraped(Vec<ScrapeEntry>),
}

/// A connection id and when it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The id.
    pub id: u64,
    /// When it came.
    pub since: Moment,
}

impl Connection {
    /// Whether it may still be used.
    pub fn is_good(&self, now: Moment) -> bool {
        now < self.end()
    }

    /// From when on it may not.
    pub fn end(&self) -> Moment {
        self.since + CONNECTION_LIFE
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this packet, and ask again.
    Send(Vec<u8>),
    /// Wait for a packet until then, and ask again.
    Wait(Moment),
    /// It stayed silent throughout.
    GaveUp,
}

/// One question to one address of a tracker.
#[derive(Debug)]
pub struct Exchange {
    question: Question,
    v6: bool,
    retry_schedule: RetrySchedule,
    connection: Option<Connection>,
    /// Whether `connection` was there from the start: then an error may be about it.
    borrowed: bool,
    open: Option<Open>,
    /// The n of 15·2ⁿ.
    doublings: u32,
    resent: u32,
}

/// The transaction that is waited for.
#[derive(Debug, Clone, Copy)]
struct Open {
    action: u32,
    transaction: u32,
    until: Moment,
}

impl Exchange {
    /// A question over IPv4, or over IPv6 (`v6`), with a connection id from before if there is one.
    pub fn new(
        question: Question,
        v6: bool,
        retry_schedule: RetrySchedule,
        connection: Option<Connection>,
    ) -> Self {
        let borrowed = connection.is_some();
        Exchange { question, v6, retry_schedule, connection, borrowed, open: None, doublings: 0, resent: 0 }
    }

    /// The connection id, for the next question.
    pub fn connection(&self) -> Option<Connection> {
        self.connection
    }

    /// What to do now. `secret` makes unpredictable numbers for transaction ids.
    pub fn poll(&mut self, now: Moment, secret: impl FnOnce() -> u32) -> Step {
        if let Some(open) = self.open {
            if now < open.until {
                return Step::Wait(open.until);
            }
            if self.resent >= self.retry_schedule.retries {
                return Step::GaveUp;
            }
            self.resent += 1;
            self.doublings = (self.doublings + 1).min(self.retry_schedule.doublings);
        }
        self.connection = self.connection.filter(|connection| connection.is_good(now));
        let action = match (&self.connection, &self.question) {
            (None, _) => udp::CONNECT,
            (Some(_), Question::Announce(..)) => udp::ANNOUNCE,
            (Some(_), Question::Scrape(_)) => udp::SCRAPE,
        };
        // The same packet again keeps its id, so that a late answer to the first still counts.
        let transaction = match self.open {
            Some(open) if open.action == action => open.transaction,
            _ => secret(),
        };
        let wait = self.retry_schedule.first.saturating_mul(2u32.saturating_pow(self.doublings));
        self.open = Some(Open { action, transaction, until: now + wait });
        Step::Send(match (&self.connection, &self.question) {
            (None, _) => udp::connect_request(transaction),
            (Some(connection), Question::Announce(announce, url_data)) => {
                udp::announce_request(connection.id, transaction, announce, url_data)
            }
            (Some(connection), Question::Scrape(hashes)) => {
                udp::scrape_request(connection.id, transaction, hashes)
            }
        })
    }

    /// Which family the tracker's packets come over, where that is seen only now.
    pub fn over_ipv6(&mut self, v6: bool) {
        self.v6 = v6;
    }

    /// A packet has come from the tracker's address: the end of the exchange, or nothing, and
    /// [`poll`](Self::poll) knows what is next.
    pub fn received(&mut self, now: Moment, packet: &[u8]) -> Option<Result<Reply, Failure>> {
        let open = self.open?;
        let (action, transaction) = udp::reply_head(packet)?;
        if transaction != open.transaction {
            return None;
        }
        if action == udp::ERROR {
            if self.borrowed && open.action != udp::CONNECT {
                // It may have forgotten the connection since: once more with a new one.
                self.borrowed = false;
                self.connection = None;
                self.open = None;
                return None;
            }
            return Some(Err(Failure::new(udp::read_error(packet))));
        }
        if action != open.action {
            return None;
        }
        if action == udp::CONNECT {
            self.connection = Some(Connection { id: udp::read_connected(packet)?, since: now });
            self.borrowed = false;
            self.open = None;
            self.doublings = 0;
            return None;
        }
        let reply = match &self.question {
            Question::Announce(..) => Reply::Announced(udp::read_announced(packet, self.v6)?),
            Question::Scrape(hashes) => Reply::Scraped(udp::read_scraped(packet, hashes)?),
        };
        Some(Ok(reply))
    }
}

#[cfg(test)]
mod tests;
