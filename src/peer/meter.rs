//! How fast bytes come or go: an average over the last few seconds.

use std::time::Duration;

use crate::moment::Moment;

/// Slots looked back over.
const SLOTS: usize = 8;
/// Length of one.
const SLOT_MICROS: u64 = 500_000;

/// Bytes counted in slots of half a second.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    slots: [u64; SLOTS],
    /// Number of the newest slot since the start of time.
    newest: u64,
    /// Number of the slot the count began in.
    first: u64,
}

impl Meter {
    pub(super) fn new(now: Moment) -> Self {
        let slot = now.as_micros() / SLOT_MICROS;
        Meter { slots: [0; SLOTS], newest: slot, first: slot }
    }

    /// Counts bytes.
    pub(super) fn add(&mut self, bytes: u64, now: Moment) {
        self.turn(now);
        let slot = &mut self.slots[self.newest as usize % SLOTS];
        *slot = slot.saturating_add(bytes);
    }

    /// Forgets what is too old at `now`.
    pub(super) fn turn(&mut self, now: Moment) {
        let slot = now.as_micros() / SLOT_MICROS;
        let passed = slot.saturating_sub(self.newest).min(SLOTS as u64);
        for nth in 1..=passed {
            self.slots[(slot - passed + nth) as usize % SLOTS] = 0;
        }
        self.newest = self.newest.max(slot);
    }

    /// Bytes a second, as of the latest count or turn.
    pub(super) fn rate(&self) -> u64 {
        let slots = (self.newest - self.first + 1).min(SLOTS as u64);
        self.slots.iter().fold(0u64, |sum, slot| sum.saturating_add(*slot)).saturating_mul(1_000_000)
            / (slots * SLOT_MICROS)
    }

    /// When everything counted will be forgotten, if nothing is added; nothing where it is already.
    pub(super) fn fades(&self) -> Option<Moment> {
        let moving = self.slots.iter().any(|slot| *slot > 0);
        moving.then(|| {
            Moment::from_micros(self.newest * SLOT_MICROS) + Duration::from_micros(SLOTS as u64 * SLOT_MICROS)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_measured_and_forgotten() {
        let mut meter = Meter::new(Moment::from_secs(100));
        for tenth in 0..200 {
            meter.add(100_000, Moment::from_millis(100_000 + 100 * tenth));
            if tenth > 40 {
                assert!((870_000..=1_010_000).contains(&meter.rate()), "{}", meter.rate());
            }
        }
        let fades = meter.fades().unwrap();
        meter.turn(Moment::from_micros(fades.as_micros() - 1));
        assert!(meter.rate() > 0);
        meter.turn(fades);
        assert_eq!((meter.rate(), meter.fades()), (0, None));
        meter.turn(Moment::START);
        assert_eq!(meter.rate(), 0);
    }
}
