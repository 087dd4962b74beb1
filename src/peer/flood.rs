//! A measure of talk that leads nowhere: a leaky bucket.
//!
//! Every message that moves neither side's transfer on puts a drop in (a repeated `have`, a
//! keep-alive, a choke, an unknown id). It leaks fast enough for every honest peer; bursts such as
//! the cancels of an endgame fit in.

use crate::moment::Moment;

/// Messages that may come at once.
const ROOM: u64 = 10_000;
/// Messages a second that may come for ever.
const LEAK: u64 = 50;

/// The bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flood {
    /// What is in it, in millionths of a message.
    level: u64,
    at: Moment,
}

impl Flood {
    pub(super) fn new(now: Moment) -> Self {
        Flood { level: 0, at: now }
    }

    /// Puts a message in. False where it runs over.
    pub(super) fn drop(&mut self, now: Moment) -> bool {
        let elapsed = now.as_micros().saturating_sub(self.at.as_micros());
        self.level = self.level.saturating_sub(elapsed.saturating_mul(LEAK)).saturating_add(1_000_000);
        self.at = self.at.max(now);
        self.level <= ROOM * 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_fits_and_a_flood_does_not() {
        let mut flood = Flood::new(Moment::START);
        assert!((0..ROOM).all(|_| flood.drop(Moment::START)));
        assert!(!flood.drop(Moment::START));
        // An hour of a message every 20 ms is no flood.
        let mut flood = Flood::new(Moment::START);
        assert!((0..180_000).all(|nth| flood.drop(Moment::from_millis(20 * nth))));
    }
}
