//! One direction of a link between two nodes: what becomes of the bytes sent into it.
//!
//! A datagram waits at the narrowest place of the path, where so many bytes have room, and then it
//! arrives late, behind a later one, twice, or never. A stream loses nothing: what is lost is sent
//! again, and all that shows is delay. Never looks into what it carries, and knows no clock: the
//! moment of sending goes in, those of arrival come out.
//!
//! Invariant: the same plan, the same two nodes and the same dice give the same path.

use std::time::Duration;

use bitwren::internals::moment::Moment;
use bitwren::internals::random::Random;

/// What the paths of a world are like: each draws its own within these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Microseconds besides those from the nodes to the middle of the network.
    pub delay: u64,
    /// Bytes a second through the narrowest place, and bytes that may wait there; 0 for no bound.
    pub rate: u64,
    pub queue: u64,
    /// Packets in ten thousand that are lost, come after later ones, or come twice.
    pub loss: u64,
    pub reorder: u64,
    pub duplicate: u64,
}

/// Bytes in a packet: what one loss costs.
const PACKET: u64 = 1400;
/// Losses of the same bytes in a row.
const MAX_LOSSES: u32 = 6;
/// The least time after which a loss is noticed.
const MIN_TIMEOUT: Duration = Duration::from_millis(10);
/// How far a packet is held back that comes after later ones.
const HELD_BACK: u64 = 50_000;

impl Weather {
    pub const CLEAR: Weather = Weather { delay: 0, rate: 0, queue: 0, loss: 0, reorder: 0, duplicate: 0 };

    /// The weather of a world: in half of them clear.
    pub fn drawn(dice: &mut Random) -> Weather {
        if dice.below(2) == 0 {
            return Weather::CLEAR;
        }
        let mut some = |most: u64| if dice.below(2) == 0 { dice.below(most) } else { 0 };
        Weather {
            delay: some(150_000),
            rate: some(2 << 20),
            queue: some(256 << 10),
            loss: some(300),
            reorder: some(500),
            duplicate: some(200),
        }
    }
}

/// When the copies of a datagram arrive: none, one, or two.
pub type Arrivals = [Option<Moment>; 2];

/// One direction of a link.
#[derive(Debug, Clone)]
pub struct Path {
    /// This path's own, within the bounds of the weather.
    own: Weather,
    /// When all that waits at the narrowest place has left it.
    free: Moment,
}

impl Path {
    /// The path from one node to another, by name.
    pub fn new(weather: Weather, seed: u64, from: u32, to: u32) -> Path {
        if weather == Weather::CLEAR {
            return Path { own: weather, free: Moment::START };
        }
        let mut dice = Random::seeded(seed ^ 0x9A7_4000 ^ u64::from(from) << 40 ^ u64::from(to) << 20);
        let mut part = |most: u64| most / 4 + dice.below(1 + most * 3 / 4);
        let own = Weather {
            delay: part(weather.delay),
            // At the least what a modem sends, and room for a block.
            rate: if weather.rate == 0 { 0 } else { part(weather.rate).max(8 << 10) },
            queue: if weather.queue == 0 { 0 } else { part(weather.queue).max(20 << 10) },
            loss: part(weather.loss),
            reorder: part(weather.reorder),
            duplicate: part(weather.duplicate),
        };
        Path { own, free: Moment::START }
    }

    /// What this path is like.
    pub fn weather(&self) -> Weather {
        self.own
    }

    /// Bytes that wait at the narrowest place.
    fn waiting(&self, now: Moment) -> u64 {
        (self.free.since(now).as_micros() * u128::from(self.own.rate) / 1_000_000) as u64
    }

    /// Passes the narrowest place: when the last byte is through.
    fn pass(&mut self, leaves: Moment, bytes: usize) -> Moment {
        if self.own.rate == 0 {
            return leaves;
        }
        let takes = Duration::from_micros(bytes as u64 * 1_000_000 / self.own.rate);
        self.free = self.free.max(leaves) + takes;
        self.free
    }

    fn happens(chance: u64, dice: &mut Random) -> bool {
        chance > 0 && dice.below(10_000) < chance
    }

    /// When a datagram arrives that leaves now. `trip` is what the way takes besides this path.
    pub fn datagram(&mut self, leaves: Moment, bytes: usize, trip: Duration, dice: &mut Random) -> Arrivals {
        let full = self.own.queue > 0 && self.waiting(leaves) + bytes as u64 > self.own.queue;
        if full || Self::happens(self.own.loss, dice) {
            return [None; 2];
        }
        let through = self.pass(leaves, bytes);
        let mut arrives = || {
            let late = Self::happens(self.own.reorder, dice);
            let held_back = if late { dice.below(HELD_BACK) } else { 0 };
            through + trip + Duration::from_micros(self.own.delay + held_back)
        };
        let first = arrives();
        let twice = Self::happens(self.own.duplicate, dice);
        [Some(first), twice.then(|| first + trip)]
    }

    /// When bytes of a stream arrive that leave now: each loss is noticed after a time, which doubles.
    pub fn stream(&mut self, leaves: Moment, bytes: usize, trip: Duration, dice: &mut Random) -> Moment {
        let way = trip + Duration::from_micros(self.own.delay);
        let mut arrives = self.pass(leaves, bytes) + way;
        let packets = (bytes as u64).div_ceil(PACKET);
        let mut timeout = (way * 2).max(MIN_TIMEOUT);
        for _ in 0..MAX_LOSSES {
            if !Self::happens((self.own.loss * packets).min(9_000), dice) {
                break;
            }
            arrives = arrives + timeout;
            timeout *= 2;
        }
        if Self::happens(self.own.reorder, dice) {
            arrives = arrives + Duration::from_micros(dice.below(HELD_BACK));
        }
        arrives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIP: Duration = Duration::from_millis(20);

    fn path(own: Weather) -> (Path, Random) {
        (Path { own, free: Moment::START }, Random::seeded(1))
    }

    #[test]
    fn a_clear_path_only_takes_its_time() {
        let (mut path, mut dice) = path(Weather { delay: 5_000, ..Weather::CLEAR });
        let at = Moment::from_millis(1_025);
        assert_eq!(path.datagram(Moment::from_secs(1), 1_000, TRIP, &mut dice), [Some(at), None]);
        assert_eq!(path.stream(Moment::from_secs(1), 100_000, TRIP, &mut dice), at);
    }

    /// 10,000 bytes a second with room for 5,000: of twenty datagrams at once five get through, a
    /// tenth of a second apart, and later there is room again. A stream waits.
    #[test]
    fn what_finds_no_room_at_the_narrowest_place_is_lost_and_a_stream_waits() {
        let (mut path, mut dice) = path(Weather { rate: 10_000, queue: 5_000, ..Weather::CLEAR });
        let now = Moment::from_secs(1);
        let came: Vec<Moment> =
            (0..20).filter_map(|_| path.datagram(now, 1_000, TRIP, &mut dice)[0]).collect();
        assert_eq!(
            came,
            (1..=5).map(|nth| now + TRIP + nth * Duration::from_millis(100)).collect::<Vec<_>>()
        );
        assert_eq!(path.stream(now, 1_000, TRIP, &mut dice), Moment::from_millis(1_620));
        let later = Moment::from_secs(2);
        assert_eq!(
            path.datagram(later, 1_000, TRIP, &mut dice)[0],
            Some(later + TRIP + Duration::from_millis(100))
        );
    }

    #[test]
    fn datagrams_are_lost_doubled_and_overtaken_as_often_as_was_drawn() {
        let weather = Weather { loss: 1_000, reorder: 2_000, duplicate: 500, ..Weather::CLEAR };
        let (mut path, mut dice) = path(weather);
        let sent = |nth: u64| Moment::from_millis(nth);
        let arrivals: Vec<Arrivals> =
            (0..10_000).map(|nth| path.datagram(sent(nth), 1_000, TRIP, &mut dice)).collect();
        let lost = arrivals.iter().filter(|arrival| arrival[0].is_none()).count();
        let twice = arrivals.iter().filter(|arrival| arrival[1].is_some()).count();
        let came: Vec<Moment> = arrivals.iter().filter_map(|arrival| arrival[0]).collect();
        let overtaken = came.windows(2).filter(|two| two[1] < two[0]).count();
        assert!((850..1_150).contains(&lost), "{lost}");
        assert!((350..600).contains(&twice), "{twice}");
        assert!((1_000..2_000).contains(&overtaken), "{overtaken}");
    }

    /// The same losses only make a stream later, and never by more than the timeouts allow.
    #[test]
    fn a_stream_loses_nothing_and_shows_loss_as_delay() {
        let (mut path, mut dice) = path(Weather { loss: 300, ..Weather::CLEAR });
        let now = Moment::from_secs(1);
        let takes: Vec<Duration> =
            (0..1_000).map(|_| path.stream(now, 16_384, TRIP, &mut dice) - now).collect();
        assert!(takes.contains(&TRIP) && takes.iter().any(|takes| *takes > TRIP * 3));
        assert!(takes.iter().all(|takes| *takes <= TRIP + TRIP * 2 * 63), "{:?}", takes.iter().max());
    }

    #[test]
    fn each_direction_of_a_link_has_a_path_of_its_own_by_its_names() {
        let weather =
            Weather { delay: 100_000, rate: 1 << 20, queue: 1 << 17, loss: 100, reorder: 9, duplicate: 9 };
        let there = Path::new(weather, 7, 1, 2).own;
        assert_eq!(there, Path::new(weather, 7, 1, 2).own);
        assert!(there != Path::new(weather, 7, 2, 1).own && there != Path::new(weather, 8, 1, 2).own);
        assert!(there.loss <= weather.loss && there.rate <= weather.rate && there.queue <= weather.queue);
    }
}
