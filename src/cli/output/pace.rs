//! When a plain progress line is due without a terminal. Pure.
//!
//! A line is due if something has changed since the last one and a pause has passed: at first ten seconds,
//! or a minute while only seeding, then twice as long each time, up to an hour. It is also due at each
//! tenth of the download. Invariant: while nothing changes there is no line, and a run of days has few.

use std::time::{Duration, Instant};

use bitwren::Phase;

use super::status;
use super::status::View;

/// The first pause, that of seeding, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const FIRST_PAUSE_SEEDING: Duration = Duration::from_secs(60);
const MAX_PAUSE: Duration = Duration::from_secs(3600);
/// Thousandths from one line to the next.
const STEP: u64 = 100;

/// The parts of a line whose change makes a new line due. Rates and the number of peers change all the
/// time; that there are no peers is worth a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    phase: Phase,
    finished: usize,
    verified: u64,
    downloaded: u64,
    uploaded: u64,
    checked: u32,
    metadata: u32,
    alone: bool,
    without_dht: bool,
}

impl Said {
    fn of(view: &View) -> Said {
        let sum = &view.sum;
        Said {
            phase: sum.phase,
            finished: view.finished,
            verified: sum.verified,
            downloaded: sum.downloaded,
            uploaded: sum.uploaded,
            checked: sum.checked,
            metadata: sum.metadata,
            // While seeding, peers come and go without downloading anything.
            alone: sum.peers == 0 && sum.phase != Phase::Seeding,
            without_dht: view.dht == Some(0),
        }
    }
}

/// When there was a line, and when there may be one.
#[derive(Debug)]
pub struct Pace {
    last: Instant,
    pause: Duration,
    phase: Phase,
    step: u64,
    said: Option<Said>,
}

impl Pace {
    /// Nothing was said yet.
    pub fn new(now: Instant) -> Pace {
        Pace { last: now, pause: FIRST_PAUSE, phase: Phase::Checking, step: 0, said: None }
    }

    /// Whether a line is due; it is taken to be said.
    pub fn is_due(&mut self, view: &View, now: Instant) -> bool {
        let said = Said::of(view);
        if self.phase != said.phase {
            self.phase = said.phase;
            self.pause = if said.phase == Phase::Seeding { FIRST_PAUSE_SEEDING } else { FIRST_PAUSE };
        }
        let permille = status::permille(view.sum.verified, view.sum.wanted);
        let step = permille / STEP > self.step && permille < 1000;
        let late = now.saturating_duration_since(self.last) >= self.pause && self.said != Some(said);
        if !step && !late {
            return false;
        }
        if late {
            self.pause = (self.pause * 2).min(MAX_PAUSE);
        }
        (self.last, self.step, self.said) = (now, permille / STEP, Some(said));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::with;
    use bitwren::Progress;

    /// The seconds at which there is a line while the view is that of `at`, looked at once a second.
    fn lines(seconds: u64, at: impl Fn(u64) -> Progress) -> Vec<u64> {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let due = |second: &u64| {
            let view = View::of(&[at(*second)]);
            pace.is_due(&view, start + Duration::from_secs(*second))
        };
        (0..seconds)
            .filter({
                let mut due = due;
                move |second| due(second)
            })
            .collect()
    }

    fn seeding(uploaded: u64) -> Progress {
        with(Progress::default(), |it| {
            it.phase = Phase::Seeding;
            it.wanted = 1;
            it.verified = 1;
            it.uploaded = uploaded;
        })
    }

    #[test]
    fn while_nothing_changes_there_is_one_line() {
        assert_eq!(lines(200_000, |_| seeding(5)), [60]);
        let stuck = with(Progress::default(), |it| {
            it.phase = Phase::Downloading;
            it.wanted = 1000;
        });
        assert_eq!(lines(200_000, |_| stuck.clone()), [10]);
    }

    #[test]
    fn what_changes_all_the_time_is_told_ever_more_seldom() {
        let busy = lines(100_000, seeding);
        assert_eq!(busy[..8], [60, 180, 420, 900, 1860, 3780, 7380, 10_980]);
        assert!(busy.windows(2).all(|pair| pair[1] - pair[0] <= 3600));
        // Peers that come and go take nothing.
        let peers = |second: u64| with(seeding(5), |it| it.peers = (second % 3) as u32);
        assert_eq!(lines(10_000, peers), [60]);
    }

    #[test]
    fn a_download_has_a_line_for_each_tenth_and_when_it_is_left_alone() {
        let going = |second: u64| {
            with(Progress::default(), |it| {
                it.phase = Phase::Downloading;
                it.wanted = 1000;
                it.verified = second.min(550);
                it.peers = u32::from(second < 700);
            })
        };
        // From 550 on it stands still, from 700 on it is alone.
        let told = lines(5000, going);
        assert!([100, 200, 300, 400, 500].iter().all(|tenth| told.contains(tenth)), "{told:?}");
        assert!(told.iter().any(|second| *second >= 700) && told.len() < 15, "{told:?}");
    }
}
