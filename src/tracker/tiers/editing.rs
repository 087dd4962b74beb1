//! Other trackers for a running torrent, and what is shown of each.
//!
//! A tracker that stays keeps what it was told and when it is due; one that goes is told `stopped` if it lists us.
//! Its place is kept, so that what is still under way finds it.

use std::time::Duration;

use super::{Moment, NEVER, Round, Tier, Tiers, Tracker};
use crate::snapshot::{LastAnnounce, TrackerSnapshot, TrackerState};
use crate::tracker::url::TrackerUrl;

impl Tiers {
    /// Announces to these trackers from now on, in the order given. Returns what was left out and why, as
    /// [`Tiers::new`] does.
    pub fn replace(&mut self, tiers: &[Vec<String>], now: Moment) -> Vec<(String, String)> {
        let mut refused = Vec::new();
        let dues: Vec<Moment> = self.tiers.iter().map(|tier| tier.due).collect();
        self.tiers.clear();
        let before: Vec<Option<usize>> =
            self.trackers.iter_mut().map(|tracker| tracker.tier.take()).collect();
        for tier in tiers {
            let mut order = Vec::new();
            for text in tier {
                let url = match TrackerUrl::parse(text) {
                    Ok(url) => url,
                    Err(error) => {
                        refused.push((text.clone(), error.to_string()));
                        continue;
                    }
                };
                let at = self.trackers.iter().position(|known| known.url.is_same(&url));
                let at = at.unwrap_or_else(|| {
                    self.trackers.push(Tracker::new(url, None));
                    self.trackers.len() - 1
                });
                let tracker = &mut self.trackers[at];
                if tracker.tier.is_none() {
                    tracker.tier = Some(self.tiers.len());
                    order.push(at);
                }
            }
            if order.is_empty() {
                continue;
            }
            // Those that answer stay in front.
            order.sort_by_key(|&at| self.trackers[at].answered.is_none());
            let is_asked = order.iter().any(|&at| self.trackers[at].under_way.is_some());
            let front = order.first().filter(|&&at| self.trackers[at].answered.is_some());
            let due = front.and_then(|&at| dues.get((*before.get(at)?)?)).copied();
            self.tiers.push(Tier {
                order,
                due: due.unwrap_or(now),
                round: is_asked.then(|| Round { next: now + self.policy.alongside }),
            });
        }
        refused
    }

    /// Each tracker, tier by tier.
    pub fn show(&self, now: Moment) -> Vec<TrackerSnapshot> {
        let tiers = self.tiers.iter().enumerate();
        let each = tiers.flat_map(|(index, tier)| tier.order.iter().map(move |&at| (index, tier, at)));
        each.map(|(index, tier, at)| {
            self.trackers[at].show(index as u32, tier, tier.order.first() == Some(&at), now)
        })
        .collect()
    }
}

impl Tracker {
    fn show(&self, tier_index: u32, tier: &Tier, is_front: bool, now: Moment) -> TrackerSnapshot {
        let due = match (&tier.round, is_front) {
            (Some(round), _) => round.next,
            (None, true) => tier.due,
            // Asked when the one before it fails.
            (None, false) => NEVER,
        };
        let due = due.max(self.rests_until);
        let (state, next) = match self.under_way {
            Some(_) => (TrackerState::Active, None),
            None if self.given_up || due == NEVER => (TrackerState::Inactive, None),
            None if due <= now => (TrackerState::Queued, Some(Duration::ZERO)),
            None => (TrackerState::Waiting, Some(due - now)),
        };
        TrackerSnapshot {
            url: self.url.as_str().to_owned(),
            tier: tier_index,
            state,
            next,
            last: self.last.as_ref().map(|last| LastAnnounce { ago: now - last.at, ..last.what.clone() }),
            seeders: self.counts.0,
            leechers: self.counts.1,
            downloads: self.counts.2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::tracker::tiers::{AnnounceDue, Policy};
    use crate::tracker::{Answer, Event, Failure};

    fn urls(tiers: &[&[&str]]) -> Vec<Vec<String>> {
        let url = |host: &&str| format!("http://{host}/announce");
        tiers.iter().map(|tier| tier.iter().map(url).collect()).collect()
    }

    fn due(tiers: &mut Tiers, now: Moment) -> Vec<AnnounceDue> {
        std::iter::from_fn(|| tiers.poll(now)).collect()
    }

    fn said(due: &[AnnounceDue]) -> Vec<(String, Event)> {
        due.iter().map(|due| (due.url.host().to_owned(), due.event)).collect()
    }

    fn answer(tiers: &mut Tiers, due: &AnnounceDue, now: Moment) {
        let answer = Answer {
            interval: Some(Duration::from_secs(600)),
            seeders: Some(3),
            leechers: Some(4),
            ..Answer::default()
        };
        tiers.answered(due.tracker, &answer, now);
    }

    #[test]
    fn a_tracker_that_stays_keeps_its_schedule_and_one_that_goes_is_told() {
        let (mut tiers, _) = Tiers::new(&urls(&[&["a"], &["b"]]), Policy::default(), Random::seeded(1));
        let start = Moment::from_secs(10);
        for announce in due(&mut tiers, start) {
            answer(&mut tiers, &announce, start);
        }
        let now = Moment::from_secs(20);
        let refused = tiers.replace(&[urls(&[&["c", "a"]]).remove(0), vec!["nonsense".into()]], now);
        assert_eq!(refused.len(), 1);
        let last = due(&mut tiers, now);
        assert_eq!(said(&last), [("b".into(), Event::Stopped)]);
        let shown = tiers.show(now);
        let hosts: Vec<_> =
            shown.iter().map(|tracker| (tracker.url.as_str(), tracker.tier, tracker.state)).collect();
        let waiting = ("http://a/announce", 0, TrackerState::Waiting);
        assert_eq!(hosts, [waiting, ("http://c/announce", 0, TrackerState::Inactive)]);
        assert_eq!(
            (shown[0].next, shown[0].seeders, shown[0].leechers),
            (Some(Duration::from_secs(590)), Some(3), Some(4))
        );
        // What it answers changes nothing for the others, and it is told once.
        answer(&mut tiers, &last[0], now);
        assert!(due(&mut tiers, now).is_empty());
        assert_eq!(said(&due(&mut tiers, Moment::from_secs(610))), [("a".into(), Event::None)]);
    }

    #[test]
    fn an_answer_under_way_finds_its_tracker_wherever_it_is_now() {
        let (mut tiers, _) = Tiers::new(&urls(&[&["a"]]), Policy::default(), Random::seeded(1));
        let now = Moment::from_secs(10);
        let announce = due(&mut tiers, now).remove(0);
        tiers.replace(&[], now);
        assert!(due(&mut tiers, now).is_empty() && tiers.show(now).is_empty());
        tiers.replace(&urls(&[&["b"], &["a"]]), now);
        assert_eq!(said(&due(&mut tiers, now)), [("b".into(), Event::Started)]);
        assert_eq!(tiers.show(now)[1].state, TrackerState::Active);
        answer(&mut tiers, &announce, now);
        let shown = tiers.show(now);
        assert_eq!((shown[1].state, shown[1].next), (TrackerState::Waiting, Some(Duration::from_secs(600))));
        assert!(shown[1].last.as_ref().is_some_and(|last| last.succeeded && last.peers == 0));
    }

    #[test]
    fn a_failure_is_shown_with_its_reason() {
        let (mut tiers, _) = Tiers::new(&urls(&[&["a", "b"]]), Policy::default(), Random::seeded(1));
        let now = Moment::from_secs(10);
        let announce = due(&mut tiers, now).remove(0);
        tiers.failed(announce.tracker, &Failure::unanswered("no answer in time"), now);
        let later = Moment::from_secs(11);
        let shown = tiers.show(later);
        let last = shown[0].last.as_ref().unwrap();
        assert_eq!((&*last.result, last.succeeded, last.timed_out), ("no answer in time", false, true));
        assert_eq!((last.ago, shown[0].state), (Duration::from_secs(1), TrackerState::Waiting));
        assert_eq!(shown[1].state, TrackerState::Queued);
    }
}
