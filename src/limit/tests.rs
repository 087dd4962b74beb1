use super::*;
use crate::random::Random;

/// When how many bytes were spent, and by which spender.
type Ledger = Vec<(Moment, usize, u64)>;

/// Runs `spenders` that always want more, on a timer that is late by up to a millisecond, until `end`;
/// `change` may set another rate at a time.
fn run(rate: u64, spenders: usize, end: Moment, change: Option<(Moment, u64)>) -> Ledger {
    let mut random = Random::seeded(rate ^ spenders as u64);
    let mut bucket = Bucket::new(rate, Moment::START);
    // A spender wakes, spends what it booked, and books again.
    let mut wakes: Vec<(Moment, u64)> = vec![(Moment::START, 0); spenders];
    let (mut ledger, mut change) = (Ledger::new(), change);
    loop {
        let next = (0..spenders).min_by_key(|&n| wakes[n].0).unwrap();
        let (now, booked) = wakes[next];
        if now >= end {
            return ledger;
        }
        if let Some((at, rate)) = change.filter(|(at, _)| *at <= now) {
            bucket.set_rate(rate, at);
            change = None;
        }
        ledger.push((now, next, booked));
        let portion = Bucket::portion(bucket.rate);
        let late = Duration::from_micros(random.below(1000));
        wakes[next] = (now + bucket.spend(portion, now) + late, portion);
    }
}

fn sum(ledger: &Ledger, from: Moment, to: Moment) -> u64 {
    ledger.iter().filter(|(at, ..)| (from..to).contains(at)).map(|(.., bytes)| bytes).sum()
}

const RATES: [u64; 6] = [2048, 5000, 50 << 10, 1 << 20, 20 << 20, 100 << 20];

#[test]
fn the_mean_over_any_ten_seconds_is_within_five_percent() {
    for rate in RATES {
        for spenders in [1, 2, 5, 20] {
            let ledger = run(rate, spenders, Moment::from_secs(40), None);
            for start in (0..30_000).step_by(373).map(Moment::from_millis) {
                let mean = sum(&ledger, start, start + Duration::from_secs(10)) / 10;
                assert!(mean.abs_diff(rate) * 100 <= rate * 5, "{rate} by {spenders} at {start:?}: {mean}");
            }
        }
    }
}

#[test]
fn it_is_smooth_even_within_a_second() {
    for rate in RATES {
        let ledger = run(rate, 5, Moment::from_secs(20), None);
        for start in (1_000..19_000).step_by(97).map(Moment::from_millis) {
            let second = sum(&ledger, start, start + Duration::from_secs(1));
            assert!(second.abs_diff(rate) * 100 <= rate * 20, "{rate} at {start:?}: {second}");
        }
    }
}

#[test]
fn spenders_that_always_want_more_get_equal_shares() {
    for rate in RATES {
        for spenders in 2..=20 {
            let ledger = run(rate, spenders, Moment::from_secs(60), None);
            let fair = sum(&ledger, Moment::START, Moment::from_secs(60)) / spenders as u64;
            for who in 0..spenders {
                let got: u64 = ledger.iter().filter(|(_, n, _)| *n == who).map(|(.., bytes)| bytes).sum();
                assert!(
                    got.abs_diff(fair) * 100 <= fair * 5,
                    "{rate}: {who} of {spenders} got {got}, not {fair}"
                );
            }
        }
    }
}

#[test]
fn a_changed_rate_holds_from_then_on() {
    let changed = Moment::from_secs(20);
    for from in RATES {
        for to in RATES {
            let ledger = run(from, 20, Moment::from_secs(40), Some((changed, to)));
            // A spender that waited when the rate changed spends what was booked at the old rate.
            let settled = changed + Duration::from_secs(2);
            let mean = sum(&ledger, settled, settled + Duration::from_secs(10)) / 10;
            assert!(mean.abs_diff(to) * 100 <= to * 5, "{from} to {to}: {mean}");
        }
    }
}

#[test]
fn waking_up_stays_rare_whatever_the_rate() {
    for rate in [1, 2048, 50 << 10, 1 << 20, 8 << 20] {
        let wakes = run(rate, 10, Moment::from_secs(30), None).len();
        assert!(wakes < 30 * 80, "{rate}: {wakes} wake-ups in 30 s");
    }
}

#[test]
fn no_limit_never_waits_and_a_new_limit_holds_at_once() {
    let mut bucket = Bucket::new(0, Moment::START);
    assert_eq!(bucket.spend(1 << 40, Moment::from_secs(1)), Duration::ZERO);
    bucket.set_rate(1000, Moment::from_secs(1));
    assert_eq!(bucket.spend(1000, Moment::from_secs(1)), Duration::from_secs(1));
    assert_eq!(bucket.spend(0, Moment::from_secs(2)), Duration::ZERO);
    bucket.spend(u64::MAX, Moment::from_secs(2));
    bucket.set_rate(0, Moment::from_secs(2));
    bucket.set_rate(1000, Moment::from_secs(3));
    assert!(bucket.spend(100, Moment::from_secs(3)) <= Duration::from_millis(100));
}

#[test]
fn what_does_not_fit_into_a_leaky_bucket_is_left_out() {
    let start = Moment::from_secs(7);
    let (mut bucket, leak) = (LeakyBucket::default(), Leak { room: 2, every: Duration::from_secs(60) });
    assert!(bucket.free(leak) <= start && bucket.pour(leak, start) && bucket.pour(leak, start));
    assert!((0..100).all(|_| !bucket.pour(leak, start)));
    let free = start + Duration::from_secs(60);
    assert_eq!((bucket.free(leak), bucket.is_empty(free)), (free, false));
    assert!(!bucket.pour(leak, Moment::from_micros(free.as_micros() - 1)));
    assert!(bucket.pour(leak, free) && !bucket.pour(leak, free));
    assert!(bucket.is_empty(free + Duration::from_secs(120)));
}
