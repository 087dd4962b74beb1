use super::*;

/// A peer at the end of a line of this round trip and this many bytes a second. Blocks are sent one after
/// another in the order of the requests.
struct Line {
    trip: Duration,
    rate: u64,
    /// Blocks that its limiter lets pass at once.
    burst: u32,
    pipeline: Pipeline,
    now: Moment,
    /// When the peer has sent the last block requested so far.
    sent: Moment,
    /// When each outstanding block was requested and when it arrives.
    flying: std::collections::VecDeque<(Moment, Moment)>,
}

impl Line {
    fn new(trip: Duration, rate: u64, cap: u32) -> Self {
        let now = Moment::from_secs(5);
        let pipeline = Pipeline::new(cap, now);
        Line { trip, rate, burst: 0, pipeline, now, sent: now, flying: Default::default() }
    }

    fn fill(&mut self) {
        self.pipeline.on_requests(self.flying.len(), self.now);
        while self.flying.len() < self.pipeline.depth() as usize {
            let rate = if self.burst > 0 { 1_000_000_000 } else { self.rate };
            self.burst = self.burst.saturating_sub(1);
            let block = Duration::from_micros((u64::from(BLOCK) * 1_000_000 / rate).max(1));
            self.sent = self.sent.max(self.now + self.trip / 2) + block;
            self.flying.push_back((self.now, self.sent + self.trip / 2));
        }
    }

    /// Everything is requested that may be, and one block arrives.
    fn step(&mut self) {
        self.fill();
        let (asked, arrives) = self.flying.pop_front().unwrap();
        self.now = arrives;
        self.pipeline.on_block(BLOCK, Some(asked), arrives);
    }

    /// Runs for a time and says how many bytes a second arrived.
    fn run(&mut self, time: Duration) -> u64 {
        let (start, mut bytes) = (self.now, 0);
        while self.now - start < time {
            self.step();
            bytes += u64::from(BLOCK);
            assert!(self.pipeline.depth() >= 1 && self.pipeline.depth() <= self.pipeline.most);
        }
        bytes * 1_000_000 / (self.now - start).as_micros() as u64
    }
}

#[test]
fn a_peer_next_door_is_at_full_depth_within_milliseconds() {
    let mut line = Line::new(Duration::from_micros(100), 1_000_000_000, 500);
    line.run(Duration::from_millis(15));
    assert_eq!(line.pipeline.depth(), 500);
    line.run(Duration::from_secs(2));
    assert_eq!(line.pipeline.depth(), 500);
}

#[test]
fn a_fast_peer_far_away_is_at_full_depth_within_a_few_round_trips() {
    let mut line = Line::new(Duration::from_millis(60), 10_000_000_000, 500);
    line.run(Duration::from_millis(5 * 60));
    assert_eq!(line.pipeline.depth(), 500);
    line.run(Duration::from_secs(3));
    assert_eq!(line.pipeline.depth(), 500);
}

/// The line is full, and what queues up is between 0.3 s and a second.
#[test]
fn ordinary_peers_are_kept_busy_with_a_bounded_queue() {
    for trip in [1, 20, 150, 400] {
        for rate in [60_000, 300_000, 2_000_000, 20_000_000, 40_000_000] {
            let mut line = Line::new(Duration::from_millis(trip), rate, 5000);
            line.run(Duration::from_secs(10));
            let got = line.run(Duration::from_secs(10));
            assert!(got * 100 >= rate * 97, "{trip} ms, {rate} B/s: {got} B/s");
            let ahead = u64::from(line.pipeline.depth()) * u64::from(BLOCK);
            let queue = ahead.saturating_sub(rate * trip / 1000);
            let most = (rate * 14 / 10).max(5 * u64::from(BLOCK));
            assert!(queue >= rate * 28 / 100 && queue <= most, "{trip} ms, {rate} B/s: {queue} bytes");
        }
    }
}

#[test]
fn a_crawling_peer_holds_one_block() {
    let mut line = Line::new(Duration::from_millis(80), 2048, 500);
    line.run(Duration::from_secs(120));
    assert_eq!(line.pipeline.depth(), 1);
    let mut line = Line::new(Duration::from_millis(80), 10_000, 500);
    line.run(Duration::from_secs(60));
    assert_eq!(line.pipeline.depth(), 2);
}

#[test]
fn the_depth_follows_the_rate_down_and_up() {
    let mut line = Line::new(Duration::from_millis(50), 8_000_000, 500);
    line.run(Duration::from_secs(5));
    let before = line.pipeline.depth();
    line.rate = 100_000;
    line.run(Duration::from_secs(60));
    assert!(line.pipeline.depth() <= 10, "{}", line.pipeline.depth());
    line.rate = 8_000_000;
    line.run(Duration::from_secs(5));
    assert!(line.pipeline.depth() * 10 >= before * 9, "{} of {before}", line.pipeline.depth());
}

/// Times with little to request are not taken for a slow peer.
#[test]
fn a_lack_of_work_does_not_lower_the_depth() {
    let mut line = Line::new(Duration::from_millis(20), 8_000_000, 500);
    line.run(Duration::from_secs(5));
    let before = line.pipeline.depth();
    for _ in 0..500 {
        line.now = line.now + Duration::from_millis(500);
        line.pipeline.on_requests(0, line.now);
        line.pipeline.on_starved();
        let asked = line.now;
        line.now = line.now + Duration::from_millis(25);
        line.pipeline.on_block(BLOCK, Some(asked), line.now);
    }
    assert_eq!(line.pipeline.depth(), before);
}

#[test]
fn rejections_lower_the_cap_and_it_recovers() {
    let mut line = Line::new(Duration::from_millis(1), 500_000_000, 500);
    line.run(Duration::from_secs(1));
    line.pipeline.on_reject(250);
    assert_eq!(line.pipeline.depth(), 250);
    line.pipeline.on_reject(0);
    assert_eq!(line.pipeline.depth(), MIN_CAP);
    line.run(Duration::from_secs(2));
    assert_eq!(line.pipeline.depth(), 500);
}

/// It once held 27 blocks for most of a minute: the rate was taken from the first block, which had come
/// at once, and fell by a quarter each second.
#[test]
fn a_slow_peer_that_begins_with_a_burst_is_soon_seen_to_be_slow() {
    for burst in 1..4 {
        let mut line = Line::new(Duration::from_millis(20), 40_000, 500);
        line.burst = burst;
        line.run(Duration::from_secs(4));
        assert!(line.pipeline.depth() <= 5, "after a burst of {burst}: {}", line.pipeline.depth());
    }
}

#[test]
fn a_pause_costs_a_fast_peer_little_of_its_depth() {
    let mut line = Line::new(Duration::from_millis(60), 8_000_000, 500);
    line.run(Duration::from_secs(5));
    let before = line.pipeline.depth();
    line.fill();
    for (_, arrives) in &mut line.flying {
        *arrives = *arrives + Duration::from_secs(5);
    }
    line.sent = line.sent + Duration::from_secs(5);
    line.run(Duration::from_millis(6000));
    assert!(line.pipeline.depth() * 10 >= before * 9, "{} of {before}", line.pipeline.depth());
}
