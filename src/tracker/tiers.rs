//! Which tracker is announced to when, and with what event (BEP 12), in virtual time.
//!
//! Every tier has a schedule of its own and is kept alive by itself. In a tier, the tracker in front is
//! asked; when it fails, the next one at once; when it has not answered within a few seconds, the next one
//! alongside, so that a dead one delays no other. The first to answer moves to the front. A tracker that
//! fails is left alone for a while that doubles each time.
//!
//! The events told are kept for each tracker: `started` until one has been answered; `completed` once and
//! only if `started` was answered before the download finished; `stopped` only if `started` was answered, and
//! not before a `completed` that is due: a tracker that received them the other way round would list a peer
//! that has left, and one that never received the first would not count the download.
//!
//! Invariant: a tracker has at most one announce under way, and each ends by one call of
//! [`answered`](Tiers::answered) or [`failed`](Tiers::failed), or while stopping of [`heard`](Tiers::heard).

mod editing;

use std::time::Duration;

use super::url::TrackerUrl;
use super::{Answer, Event, Failure, Retry};
use crate::moment::Moment;
use crate::random::Random;
use crate::snapshot::LastAnnounce;

/// How patient to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Silence after which the next tracker of a tier is asked alongside.
    pub alongside: Duration,
    /// First pause after a failure; doubled with each further one.
    pub retry_first: Duration,
    /// Longest pause after failures.
    pub retry_most: Duration,
    /// Interval where a tracker gives none.
    pub interval: Duration,
    /// Shortest interval between regular announces, whatever interval a tracker asks for.
    pub interval_least: Duration,
    /// Longest interval, whatever interval a tracker asks for.
    pub interval_most: Duration,
    /// Shortest time between announces for want of peers where a tracker gives none.
    pub early: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            alongside: Duration::from_secs(5),
            retry_first: Duration::from_secs(15),
            retry_most: Duration::from_secs(30 * 60),
            interval: Duration::from_secs(30 * 60),
            interval_least: Duration::from_secs(60),
            interval_most: Duration::from_secs(2 * 60 * 60),
            early: Duration::from_secs(60),
        }
    }
}

/// An announce to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceDue {
    /// Which tracker, for [`Tiers::answered`] and [`Tiers::failed`].
    pub tracker: usize,
    /// Its URL.
    pub url: TrackerUrl,
    /// What to tell it.
    pub event: Event,
    /// The id it wants to be sent back.
    pub tracker_id: Option<Vec<u8>>,
}

/// The trackers of one torrent.
#[derive(Debug)]
pub struct Tiers {
    trackers: Vec<Tracker>,
    tiers: Vec<Tier>,
    policy: Policy,
    random: Random,
    finished: bool,
    /// When all trackers were last owed an announce that says something else than the one before.
    changed: Option<Moment>,
    /// Only `stopped` and what it depends on is still announced.
    leaving: bool,
}

#[derive(Debug)]
struct Tier {
    /// Indices of trackers; the one that answered last in front.
    order: Vec<usize>,
    /// When the next round begins, while none is on.
    due: Moment,
    /// Whether trackers are being tried just now.
    round: Option<Round>,
}

/// Trackers of a tier are being tried.
#[derive(Debug)]
struct Round {
    /// When one more is tried alongside those that are silent.
    next: Moment,
}

#[derive(Debug)]
struct Tracker {
    url: TrackerUrl,
    /// Nothing once it is announced to no longer.
    tier: Option<usize>,
    under_way: Option<UnderWay>,
    failures: u32,
    /// Left alone until then, after a failure.
    rests_until: Moment,
    /// It asked not to be announced to again.
    given_up: bool,
    /// When it last answered, and how soon it may be asked again.
    answered: Option<(Moment, Duration)>,
    /// Whether it has answered a `started`.
    started: bool,
    /// Whether it is still to be told `completed`.
    owed_completed: bool,
    /// Whether what it was told is true no more.
    owed_change: bool,
    tracker_id: Option<Vec<u8>>,
    /// What came of the last announce, and when.
    last: Option<Last>,
    /// Seeders, leechers and completed downloads, as it last said.
    counts: (Option<u32>, Option<u32>, Option<u32>),
}

/// What came of an announce.
#[derive(Debug)]
struct Last {
    at: Moment,
    what: LastAnnounce,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay {
    event: Event,
    /// Whether it was sent before the download had finished.
    unfinished: bool,
}

impl Tiers {
    /// The tiers of a torrent, each shuffled. The second value has what was left out and why, each
    /// to be reported once: URLs that are no tracker's. A tracker that is there twice is kept where
    /// it came first.
    pub fn new(tiers: &[Vec<String>], policy: Policy, mut random: Random) -> (Tiers, Vec<(String, String)>) {
        let (mut trackers, mut refused) = (Vec::<Tracker>::new(), Vec::new());
        let mut kept = Vec::new();
        for tier in tiers {
            let mut order = Vec::new();
            for text in tier {
                match TrackerUrl::parse(text) {
                    Err(error) => refused.push((text.clone(), error.to_string())),
                    Ok(url) if trackers.iter().any(|other| other.url.is_same(&url)) => {}
                    Ok(url) => {
                        order.push(trackers.len());
                        trackers.push(Tracker::new(url, Some(kept.len())));
                    }
                }
            }
            if !order.is_empty() {
                random.shuffle(&mut order);
                kept.push(Tier { order, due: Moment::START, round: None });
            }
        }
        (
            Tiers { trackers, tiers: kept, policy, random, finished: false, changed: None, leaving: false },
            refused,
        )
    }

    /// The next announce that is to be sent now, if there is one; ask until there is none.
    pub fn poll(&mut self, now: Moment) -> Option<AnnounceDue> {
        if self.leaving {
            return self.poll_stopped();
        }
        self.poll_removed().or_else(|| (0..self.tiers.len()).find_map(|tier| self.poll_tier(tier, now)))
    }

    /// A tracker that is announced to no longer and lists us is told, once.
    fn poll_removed(&mut self) -> Option<AnnounceDue> {
        let mut trackers = self.trackers.iter_mut().enumerate();
        let is_due =
            |tracker: &Tracker| tracker.tier.is_none() && tracker.started && tracker.under_way.is_none();
        let (at, tracker) = trackers.find(|(_, tracker)| is_due(tracker))?;
        tracker.started = false;
        tracker.under_way = Some(UnderWay { event: Event::Stopped, unfinished: false });
        Some(tracker.announce_due(at, Event::Stopped))
    }

    fn poll_tier(&mut self, index: usize, now: Moment) -> Option<AnnounceDue> {
        let wakes = self.wakes(index, now);
        let (tier, trackers) = (&mut self.tiers[index], &self.trackers);
        match &tier.round {
            None if now < tier.due => return None,
            Some(round) if now < round.next => return None,
            _ => {}
        }
        let next = tier.order.iter().copied().find(|&at| trackers[at].is_ready(now));
        let Some(next) = next else {
            // No tracker is left to try in this round: those under way end it, or the next to wake.
            if tier.order.iter().any(|&at| trackers[at].under_way.is_some()) {
                tier.round = Some(Round { next: wakes });
            } else {
                tier.round = None;
                tier.due = wakes;
            }
            return None;
        };
        tier.round = Some(Round { next: now + self.policy.alongside });
        let tracker = &mut self.trackers[next];
        let event = match tracker {
            Tracker { started: false, .. } => Event::Started,
            Tracker { owed_completed: true, .. } => Event::Completed,
            _ => Event::None,
        };
        tracker.owed_change = false;
        tracker.under_way = Some(UnderWay { event, unfinished: !self.finished });
        Some(tracker.announce_due(next, event))
    }

    /// When the first tracker of a tier that rests after a failure may be tried again.
    fn wakes(&self, tier: usize, now: Moment) -> Moment {
        let trackers = self.tiers[tier].order.iter().map(|&at| &self.trackers[at]);
        let resting = trackers.filter(|tracker| !tracker.given_up && tracker.under_way.is_none());
        resting.map(|tracker| tracker.rests_until).filter(|&at| at > now).min().unwrap_or(NEVER)
    }

    /// When [`poll`](Self::poll) will next have something to say if nothing else happens.
    pub fn deadline(&self) -> Option<Moment> {
        let next = |tier: &Tier| tier.round.as_ref().map_or(tier.due, |round| round.next);
        self.tiers.iter().map(next).filter(|&at| at < NEVER).min()
    }

    /// A tracker has answered. Returns the time until its tier announces again.
    pub fn answered(&mut self, tracker: usize, answer: &Answer, now: Moment) -> Duration {
        let policy = self.policy;
        let finished = self.finished;
        let Some(state) = self.trackers.get_mut(tracker) else { return Duration::ZERO };
        let Some(under_way) = state.under_way.take() else { return Duration::ZERO };
        let least = answer.min_interval.unwrap_or(Duration::ZERO);
        let interval = answer.interval.unwrap_or(policy.interval).max(least);
        let interval = interval.clamp(policy.interval_least, policy.interval_most);
        let early = answer.min_interval.unwrap_or(policy.early).min(interval);
        state.failures = 0;
        state.rests_until = now;
        state.answered = Some((now, early));
        if answer.tracker_id.is_some() {
            state.tracker_id.clone_from(&answer.tracker_id);
        }
        state.knows(under_way, finished);
        let peers = u32::try_from(answer.peers.len()).unwrap_or(u32::MAX);
        state.last = Some(Last { at: now, what: LastAnnounce::succeeded(peers) });
        let new = (answer.seeders, answer.leechers, answer.downloaded);
        state.counts = (new.0.or(state.counts.0), new.1.or(state.counts.1), new.2.or(state.counts.2));
        let (owed, owed_change) = (state.owed_completed, state.owed_change);
        let Some(tier) = state.tier.and_then(|tier| self.tiers.get_mut(tier)) else { return interval };
        // The first to answer ends the round; a tracker that was asked alongside and answers later only adds
        // its peers.
        if tier.round.take().is_some() {
            if let Some(at) = tier.order.iter().position(|&other| other == tracker) {
                tier.order[..=at].rotate_right(1);
            }
            tier.due = match self.changed.filter(|_| owed_change) {
                _ if owed => now,
                Some(changed) => changed.max(now),
                None => now + interval,
            };
        }
        tier.due.since(now)
    }

    /// An announce has failed. Returns the time until this tracker is tried again, none if it is not.
    pub fn failed(&mut self, tracker: usize, failure: &Failure, now: Moment) -> Option<Duration> {
        let policy = self.policy;
        let state = self.trackers.get_mut(tracker)?;
        state.under_way.take()?;
        state.failures = state.failures.saturating_add(1);
        let doubled = policy.retry_first.saturating_mul(2u32.saturating_pow(state.failures - 1));
        // A fifth more or less, so that all the clients a tracker has lost do not come back at once.
        let spread = 800 + self.random.below(401) as u32;
        let pause = (doubled.min(policy.retry_most) * spread / 1000).min(policy.retry_most);
        let pause = match failure.retry {
            Some(Retry::After(asked)) => Some(asked.clamp(pause, policy.interval_most.max(pause))),
            Some(Retry::Never) => None,
            None => Some(pause),
        };
        state.last = Some(Last { at: now, what: LastAnnounce::failed(&failure.why, failure.unanswered) });
        state.given_up = pause.is_none();
        state.rests_until = pause.map_or(NEVER, |pause| now + pause);
        // Without a round it was asked alongside, and another has answered meanwhile.
        let tier = state.tier.and_then(|tier| self.tiers.get_mut(tier));
        if let Some(round) = tier.and_then(|tier| tier.round.as_mut()) {
            round.next = now;
        }
        pause
    }

    /// The network is back: trackers that failed are tried again at once, in the tiers where none has answered
    /// since.
    pub fn retry(&mut self, now: Moment) {
        for tracker in self.trackers.iter_mut().filter(|tracker| tracker.failures > 0 && !tracker.given_up) {
            (tracker.failures, tracker.rests_until) = (0, now);
        }
        for tier in &mut self.tiers {
            let rests =
                |&at: &usize| self.trackers[at].rests_until <= now && self.trackers[at].answered.is_none();
            match &mut tier.round {
                Some(round) => round.next = round.next.min(now),
                None if tier.order.iter().any(rests) => tier.due = tier.due.min(now),
                None => {}
            }
        }
    }

    /// The download has finished: `completed` is owed to every tracker that knows it had begun.
    pub fn completed(&mut self, now: Moment) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        for tracker in self.trackers.iter_mut().filter(|tracker| tracker.started) {
            tracker.owed_completed = true;
        }
        for tier in &mut self.tiers {
            if tier.order.iter().any(|&at| self.trackers[at].owed_completed) && tier.round.is_none() {
                tier.due = now;
            }
        }
    }

    /// More peers are wanted: each tier whose tracker permits it announces early.
    pub fn want_peers(&mut self, now: Moment) {
        for tier in &mut self.tiers {
            let front = tier.order.first().and_then(|&at| self.trackers[at].answered);
            if let (None, Some((at, early))) = (&tier.round, front) {
                tier.due = tier.due.min((at + early).max(now));
            }
        }
    }

    /// The user asks for an announce: each tier announces as soon as its tracker permits, and trackers that failed
    /// or asked not to be announced to again are tried at once.
    pub fn reannounce(&mut self, now: Moment) {
        for tracker in self.trackers.iter_mut().filter(|tracker| tracker.failures > 0) {
            (tracker.given_up, tracker.rests_until) = (false, now);
        }
        for tier in &mut self.tiers {
            let front = tier.order.first().map(|&at| &self.trackers[at]);
            let permitted = front.filter(|front| front.failures == 0).and_then(|front| front.answered);
            match &mut tier.round {
                Some(round) => round.next = round.next.min(now),
                None => tier.due = permitted.map_or(now, |(at, early)| tier.due.min((at + early).max(now))),
            }
        }
    }

    /// What is announced has changed, such as the port: every tracker that was told is told again. At once, but
    /// for what changes more often than announces are made for want of peers.
    pub fn announce_again(&mut self, now: Moment) {
        let due = self.changed.map_or(now, |last| now.max(last + self.policy.early));
        self.changed = Some(due);
        for tracker in
            self.trackers.iter_mut().filter(|tracker| tracker.started || tracker.under_way.is_some())
        {
            tracker.owed_change = true;
        }
        for tier in &mut self.tiers {
            if tier.round.is_none() && tier.order.iter().any(|&at| self.trackers[at].owed_change) {
                tier.due = tier.due.min(due);
            }
        }
    }

    /// From now on only the end is announced: [`poll`](Self::poll) has the last announces, the first of them
    /// at once, none of them twice. Their results, and those of a `completed` and a `started` that are under
    /// way, go to [`heard`](Self::heard), and no others.
    pub fn stop(&mut self) {
        self.leaving = true;
        self.tiers.clear();
        for tracker in &mut self.trackers {
            tracker.under_way = tracker.under_way.filter(|under_way| under_way.event != Event::None);
        }
    }

    fn poll_stopped(&mut self) -> Option<AnnounceDue> {
        let mut trackers = self.trackers.iter_mut().enumerate();
        let (at, tracker) = trackers.find(|(_, tracker)| tracker.started && tracker.under_way.is_none())?;
        let event = if tracker.owed_completed { Event::Completed } else { Event::Stopped };
        tracker.started = event == Event::Completed;
        tracker.under_way = Some(UnderWay { event, unfinished: false });
        Some(tracker.announce_due(at, event))
    }

    /// One of the last announces was answered, or has failed and is not tried again. A tracker that only now
    /// answers a `started` lists us, and is to get the rest.
    pub fn heard(&mut self, tracker: usize, answered: bool) {
        let Some(state) = self.trackers.get_mut(tracker) else { return };
        let Some(under_way) = state.under_way.take() else { return };
        state.owed_completed = false;
        if answered {
            state.knows(under_way, self.finished);
        }
    }

    /// Whether all trackers that list us were told that we stop. Those that have not answered our `started`
    /// yet are not waited for.
    pub fn has_left(&self) -> bool {
        let awaited = |under_way: UnderWay| under_way.event != Event::Started;
        let waits = |tracker: &Tracker| tracker.started || tracker.under_way.is_some_and(awaited);
        self.leaving && !self.trackers.iter().any(waits)
    }
}

/// Later than anything that happens.
const NEVER: Moment = Moment::from_micros(u64::MAX);

impl Tracker {
    fn new(url: TrackerUrl, tier: Option<usize>) -> Self {
        Tracker {
            url,
            tier,
            under_way: None,
            failures: 0,
            rests_until: Moment::START,
            given_up: false,
            answered: None,
            started: false,
            owed_completed: false,
            owed_change: false,
            tracker_id: None,
            last: None,
            counts: (None, None, None),
        }
    }

    /// It has answered this announce.
    fn knows(&mut self, announce: UnderWay, finished: bool) {
        match announce.event {
            Event::Started => {
                self.started = true;
                // It finished while the answer was on its way: this tracker has a leecher in its book.
                self.owed_completed = finished && announce.unfinished;
            }
            Event::Completed => self.owed_completed = false,
            Event::None | Event::Stopped => {}
        }
    }

    fn is_ready(&self, now: Moment) -> bool {
        self.under_way.is_none() && !self.given_up && now >= self.rests_until
    }

    fn announce_due(&self, tracker: usize, event: Event) -> AnnounceDue {
        AnnounceDue { tracker, url: self.url.clone(), event, tracker_id: self.tracker_id.clone() }
    }
}

#[cfg(test)]
mod tests;
