//! A rate limit for messages that do not advance the transfer, or cost more than they should.
//!
//! Every message that advances neither side's transfer counts (a repeated `have`, a keep-alive, a
//! choke, an unknown id). The limit is wide enough for every honest peer; bursts such as the
//! cancels of an endgame fit in. Extension messages have narrower limits of their own.

use std::time::Duration;

use crate::limit::{Leak, LeakyBucket};
use crate::moment::Moment;
use crate::violation::Violation;

/// Idle messages that may come at once, and how often one more may come.
const MAX_IDLE_MESSAGES: u32 = 10_000;
const IDLE_MESSAGE_EVERY: Duration = Duration::from_millis(20);

/// The limit of one kind of message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageLimit {
    leak: Leak,
    bucket: LeakyBucket,
}

impl MessageLimit {
    /// That of messages that do not advance the transfer.
    pub(crate) fn idle_messages() -> Self {
        MessageLimit::new(MAX_IDLE_MESSAGES, IDLE_MESSAGE_EVERY)
    }

    /// A limit of `room` messages at once, and one more each time `every` has passed.
    pub(crate) fn new(room: u32, every: Duration) -> Self {
        MessageLimit { leak: Leak { room, every }, bucket: LeakyBucket::default() }
    }

    /// Counts a message. False where it is one too many, and is not counted.
    pub(crate) fn add(&mut self, now: Moment) -> bool {
        self.bucket.pour(self.leak, now)
    }

    /// When the next message may come.
    pub(crate) fn free_at(&self) -> Moment {
        self.bucket.free(self.leak)
    }
}

/// Extension handshakes and the like that are taken in at once, and how often one more.
const MAX_HANDSHAKES: u32 = 16;
const HANDSHAKE_EVERY: Duration = Duration::from_secs(10);
/// Peer exchanges that are taken in: one a minute (BEP 11), with some slack for clocks and networks.
const MAX_EXCHANGES: u32 = 3;
const EXCHANGE_EVERY: Duration = Duration::from_secs(50);
/// Peer exchanges beyond that which are ignored before they are a violation.
const MAX_IGNORED: u32 = 20;

/// The limit of extension handshakes.
pub(crate) fn handshakes() -> MessageLimit {
    MessageLimit::new(MAX_HANDSHAKES, HANDSHAKE_EVERY)
}

/// The rate limit of peer exchanges, the same whether the metadata is there yet or not.
#[derive(Debug)]
pub(crate) struct Exchanges {
    limit: MessageLimit,
    ignored: u32,
}

impl Exchanges {
    pub(crate) fn new() -> Self {
        Exchanges { limit: MessageLimit::new(MAX_EXCHANGES, EXCHANGE_EVERY), ignored: 0 }
    }

    /// Whether to take in the one that came now.
    ///
    /// # Errors
    /// [`Violation::Flood`] where too many were ignored already.
    pub(crate) fn accept(&mut self, now: Moment) -> Result<bool, Violation> {
        let accepted = self.limit.add(now);
        self.ignored += u32::from(!accepted);
        if self.ignored > MAX_IGNORED { Err(Violation::Flood) } else { Ok(accepted) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_fits_and_a_flood_does_not() {
        let mut limit = MessageLimit::idle_messages();
        assert!((0..MAX_IDLE_MESSAGES).all(|_| limit.add(Moment::START)));
        assert!(!limit.add(Moment::START));
        // An hour of a message every 20 ms is no flood.
        let mut limit = MessageLimit::idle_messages();
        assert!((0..180_000).all(|nth| limit.add(Moment::from_millis(20 * nth))));
    }

    #[test]
    fn peer_exchanges_beyond_the_limit_are_ignored_and_then_a_violation() {
        let mut exchanges = Exchanges::new();
        let accepted = (0..23).map(|_| exchanges.accept(Moment::START)).collect::<Vec<_>>();
        assert_eq!(accepted, [[Ok(true); 3].as_slice(), &[Ok(false); 20]].concat());
        assert_eq!(exchanges.accept(Moment::START), Err(Violation::Flood));
        let mut exchanges = Exchanges::new();
        assert!((0..100).all(|nth| exchanges.accept(Moment::from_secs(60 * nth)) == Ok(true)));
    }
}
