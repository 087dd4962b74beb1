//! A measure of talk that leads nowhere, or costs more than it should: a leaky bucket.
//!
//! Every message that moves neither side's transfer on puts a drop in (a repeated `have`, a
//! keep-alive, a choke, an unknown id). It leaks fast enough for every honest peer; bursts such as
//! the cancels of an endgame fit in. Extension messages have narrower buckets of their own.

use std::time::Duration;

use crate::limit::{Leak, LeakyBucket};
use crate::moment::Moment;
use crate::violation::Violation;

/// Messages of any kind that may come at once.
const ROOM: u32 = 10_000;
/// One more may come each time this has passed, for ever.
const LEAK: Duration = Duration::from_millis(20);

/// The bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flood {
    leak: Leak,
    bucket: LeakyBucket,
}

impl Flood {
    pub(crate) fn new() -> Self {
        Flood::of(ROOM, LEAK)
    }

    /// A bucket for `room` messages at once, and one more each time `every` has passed.
    pub(crate) fn of(room: u32, every: Duration) -> Self {
        Flood { leak: Leak { room, every }, bucket: LeakyBucket::default() }
    }

    /// Puts a message in. False where it does not fit, and is left out.
    pub(crate) fn drop(&mut self, now: Moment) -> bool {
        self.bucket.pour(self.leak, now)
    }

    /// When the next message fits.
    pub(crate) fn free(&self) -> Moment {
        self.bucket.free(self.leak)
    }
}

/// Extension handshakes and the like that are listened to: so many at once, and one more each time.
const HANDSHAKES: u32 = 16;
const HANDSHAKE_EVERY: Duration = Duration::from_secs(10);
/// Peer exchanges that are listened to: one a minute (BEP 11), with some slack for clocks and
/// networks.
const EXCHANGES: u32 = 3;
const EXCHANGE_EVERY: Duration = Duration::from_secs(50);
/// Peer exchanges beyond that which are ignored before it is a misdeed.
const IGNORED: u32 = 20;

/// The measure of extension handshakes.
pub(crate) fn handshakes() -> Flood {
    Flood::of(HANDSHAKES, HANDSHAKE_EVERY)
}

/// The measure of peer exchanges, the same whether the metadata is there yet or not.
#[derive(Debug)]
pub(crate) struct Exchanges {
    measure: Flood,
    ignored: u32,
}

impl Exchanges {
    pub(crate) fn new() -> Self {
        Exchanges { measure: Flood::of(EXCHANGES, EXCHANGE_EVERY), ignored: 0 }
    }

    /// Whether to listen to the one that came now.
    ///
    /// # Errors
    /// [`Violation::Flood`] where one that is too many comes once too often.
    pub(crate) fn listen(&mut self, now: Moment) -> Result<bool, Violation> {
        let listens = self.measure.drop(now);
        self.ignored += u32::from(!listens);
        if self.ignored > IGNORED { Err(Violation::Flood) } else { Ok(listens) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_fits_and_a_flood_does_not() {
        let mut flood = Flood::new();
        assert!((0..ROOM).all(|_| flood.drop(Moment::START)));
        assert!(!flood.drop(Moment::START));
        // An hour of a message every 20 ms is no flood.
        let mut flood = Flood::new();
        assert!((0..180_000).all(|nth| flood.drop(Moment::from_millis(20 * nth))));
    }

    #[test]
    fn peer_exchanges_beyond_the_measure_are_ignored_and_then_a_misdeed() {
        let mut exchanges = Exchanges::new();
        let heard = (0..23).map(|_| exchanges.listen(Moment::START)).collect::<Vec<_>>();
        assert_eq!(heard, [[Ok(true); 3].as_slice(), &[Ok(false); 20]].concat());
        assert_eq!(exchanges.listen(Moment::START), Err(Violation::Flood));
        let mut exchanges = Exchanges::new();
        assert!((0..100).all(|nth| exchanges.listen(Moment::from_secs(60 * nth)) == Ok(true)));
    }
}
