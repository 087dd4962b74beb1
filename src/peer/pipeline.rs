//! How many requests to have outstanding: enough that the peer never waits for one, and not so
//! many that blocks are held by a peer that will not send them for long.
//!
//! The depth is the bandwidth-delay product of this peer (its measured rate times its shortest
//! round trip) and a queue of 0.3 to 1 s on top, which covers what the round trip hides: its disk,
//! its rate limiter, our own delays. To get there it begins with a few and adds one for every block
//! received, doubling each round trip, until a measured round shows that as much is enough.
//!
//! Invariant: the depth is at least 1 and at most the cap.

use std::time::Duration;

use crate::moment::Moment;
use crate::pieces::BLOCK;

/// Requests to begin with.
const FIRST_DEPTH: u32 = 8;
/// Requests to begin with again after a stall.
const DEPTH_AFTER_STALL: u32 = 4;
/// The queue is a second's worth up to this many blocks…
const SMALL_QUEUE: u64 = 32;
/// …and from there on this many hundredths of a second's.
const QUEUE_CENTISECONDS: u64 = 30;
/// A round is never measured over less than this…
const SHORTEST_ROUND: Duration = Duration::from_millis(10);
/// …and not waited for longer than this, once a block came.
const LONG_ROUND: Duration = Duration::from_secs(1);
/// The cap never falls below this because of rejections.
const MIN_CAP: u32 = 16;

/// The depth of one peer's request queue.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The most ever.
    most: u32,
    /// The most while the peer shows that it takes no more.
    cap: u32,
    depth: u32,
    growing: bool,
    /// Bytes a second.
    rate: u64,
    shortest_trip: Option<Duration>,
    round: Round,
}

/// A stretch of time over which the rate is measured; from one block's arrival to another's.
#[derive(Debug, Clone, Copy)]
struct Round {
    began: Moment,
    bytes: u64,
    blocks: u32,
    /// There was less to request than the depth allows: the rate says nothing about the peer.
    starved: bool,
    rejected: bool,
}

impl Round {
    fn begin(now: Moment) -> Self {
        Round { began: now, bytes: 0, blocks: 0, starved: false, rejected: false }
    }
}

impl Pipeline {
    /// A pipeline of at most `cap` requests.
    pub fn new(cap: u32, now: Moment) -> Self {
        let cap = cap.max(1);
        Pipeline {
            most: cap,
            cap,
            depth: FIRST_DEPTH.min(cap),
            growing: true,
            rate: 0,
            shortest_trip: None,
            round: Round::begin(now),
        }
    }

    /// The peer says how many requests it takes: never more from now on.
    pub fn set_cap(&mut self, cap: u32) {
        self.most = cap.max(1);
        self.cap = self.most;
        self.depth = self.depth.min(self.cap);
    }

    /// How many requests to have outstanding.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The time from request to arrival when nothing stands in the way, once known.
    pub fn round_trip(&self) -> Option<Duration> {
        self.shortest_trip
    }

    /// How long one block takes at the measured rate, once known.
    pub fn block_time(&self) -> Option<Duration> {
        (self.rate > 0).then(|| Duration::from_micros(u64::from(BLOCK) * 1_000_000 / self.rate))
    }

    /// Requests are about to be sent; `expected` blocks were to come before, those of requests given up included.
    pub fn on_requests(&mut self, expected: usize, now: Moment) {
        if expected == 0 {
            // The time before was idle, and no measure of the peer.
            self.round = Round::begin(now);
        }
    }

    /// There was nothing to request although fewer than the depth are outstanding.
    pub fn on_starved(&mut self) {
        self.round.starved = true;
    }

    /// A block arrived that was requested at `asked`, if that is known.
    pub fn on_block(&mut self, bytes: u32, asked: Option<Moment>, now: Moment) {
        self.round.bytes += u64::from(bytes);
        self.round.blocks += 1;
        if let Some(asked) = asked {
            let trip = now - asked;
            self.shortest_trip = Some(self.shortest_trip.map_or(trip, |shortest| shortest.min(trip)));
        }
        let elapsed = now - self.round.began;
        if self.growing && !self.round.starved && elapsed < LONG_ROUND {
            self.depth = (self.depth + 1).min(self.cap);
        }
        // The first of several blocks tells the distance and not the rate: a limiter may let it pass at
        // once, and no other.
        let tells = self.round.blocks > 1 || self.depth == 1;
        let round =
            tells && asked.is_some_and(|asked| asked >= self.round.began) && elapsed >= SHORTEST_ROUND;
        if round || elapsed >= LONG_ROUND {
            self.end_round(elapsed, now);
        }
    }

    /// The peer rejected a request although it does not choke us, and `outstanding` are left: its
    /// queue may be no longer than that.
    pub fn on_reject(&mut self, outstanding: usize) {
        self.round.rejected = true;
        self.cap = (outstanding as u32).clamp(MIN_CAP.min(self.most), self.most);
        self.depth = self.depth.min(self.cap);
    }

    /// The peer delivers again after a stall: earlier measurements no longer hold.
    pub fn restart(&mut self, now: Moment) {
        *self = Pipeline {
            depth: DEPTH_AFTER_STALL.min(self.cap),
            growing: true,
            rate: 0,
            round: Round::begin(now),
            ..*self
        };
    }

    fn end_round(&mut self, elapsed: Duration, now: Moment) {
        let Round { bytes, starved, rejected, .. } = self.round;
        self.round = Round::begin(now);
        if !rejected {
            self.cap = (self.cap + self.cap / 8 + 1).min(self.most);
        }
        let measured = bytes.saturating_mul(1_000_000) / (elapsed.as_micros() as u64).max(1);
        if measured >= self.rate {
            self.rate = measured;
        } else if !starved && elapsed >= LONG_ROUND {
            // As long a look as there is, though a pause may have come between.
            self.rate = measured.max(self.rate / 4);
        } else if !starved {
            // Short rounds differ; a fall shows over a few of them.
            self.rate = (self.rate * 3 + measured) / 4;
        }
        let enough = self.enough();
        if self.growing && (starved || enough > self.depth) {
            self.depth = self.depth.max(enough);
        } else {
            self.growing = false;
            self.depth = enough;
        }
    }

    /// The depth that the measured rate and round trip call for.
    fn enough(&self) -> u32 {
        let block = u64::from(BLOCK);
        let trip = self.shortest_trip.map_or(0, |trip| trip.as_micros() as u64);
        // The shortest trip is still that of a whole block, which takes its own time to send.
        let product = (u128::from(self.rate) * u128::from(trip) / 1_000_000) as u64;
        let in_flight = product.saturating_sub(block);
        let queue = self.rate.min((SMALL_QUEUE * block).max(self.rate / 100 * QUEUE_CENTISECONDS));
        // A very slow peer gets few: each is held for seconds.
        let least = match self.rate / 1024 {
            0..4 => 1,
            4..16 => 2,
            _ => 4,
        };
        let blocks = in_flight.saturating_add(queue).div_ceil(block);
        u32::try_from(blocks).unwrap_or(u32::MAX).max(least).min(self.cap)
    }
}

#[cfg(test)]
mod tests;
