//! Seeding: when it is enough, and, for a super-seed, what is shown to whom.
//!
//! The limits are pure and stand at the top; what the foreman does about them follows.

use std::sync::Arc;
use std::time::Duration;

use super::{Active, Foreman};
use crate::bitfield::Bitfield;
use crate::config::TorrentConfig;
use crate::engine::runtime::counters::Counters;
use crate::event::{EventKind, SeedLimit};
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::{Order, Report};

/// How often what was sent is written down while seeding, where it counts.
const COUNT_EVERY: Duration = Duration::from_secs(300);

/// When it is enough. Time runs only while the torrent seeds: not while it is paused.
pub(super) struct Limits {
    ratio: Option<f64>,
    time: Option<Duration>,
    idle: Option<Duration>,
    /// Since when it seeds without a break, and for how long before.
    since: Option<Moment>,
    before: Duration,
    /// What was sent when last looked at, and when that changed.
    sent: u64,
    moved: Moment,
}

impl Limits {
    pub(super) fn new(config: &TorrentConfig) -> Self {
        Limits {
            ratio: config.seed_ratio,
            time: config.seed_time,
            idle: config.seed_idle,
            since: None,
            before: Duration::ZERO,
            sent: 0,
            moved: Moment::START,
        }
    }

    /// Whether it seeds now.
    fn watch(&mut self, seeds: bool, now: Moment) {
        match (seeds, self.since) {
            (true, None) => (self.since, self.moved) = (Some(now), now),
            (false, Some(since)) => (self.since, self.before) = (None, self.before + (now - since)),
            _ => {}
        }
    }

    /// The limit that is reached, `sent` bytes having been sent in all sessions of `wanted`.
    fn reached(&mut self, sent: u64, wanted: u64, now: Moment) -> Option<SeedLimit> {
        let since = self.since?;
        if sent != self.sent {
            (self.sent, self.moved) = (sent, now);
        }
        if self.ratio.is_some_and(|ratio| sent as f64 >= ratio * wanted as f64) {
            Some(SeedLimit::Ratio)
        } else if self.time.is_some_and(|time| self.before + (now - since) >= time) {
            Some(SeedLimit::Time)
        } else if self.idle.is_some_and(|idle| now - self.moved >= idle) {
            Some(SeedLimit::Idle)
        } else {
            None
        }
    }

    /// When time alone will reach a limit.
    fn deadline(&self) -> Option<Moment> {
        let since = self.since?;
        let time = self.time.map(|time| since + time.saturating_sub(self.before));
        let idle = self.idle.map(|idle| self.moved + idle);
        time.into_iter().chain(idle).min()
    }
}

impl Foreman {
    /// When a limit of seeding may be reached, or a super-seed has something to show.
    pub(super) fn seeding_due(&self) -> Option<Moment> {
        let show = self.active.as_ref().and_then(|active| active.super_seed.as_ref()?.deadline());
        self.limits.deadline().into_iter().chain(show.filter(|_| self.is_working())).min()
    }

    /// Ends the torrent where it has seeded enough.
    pub(super) fn stop_when_enough(&mut self, now: Moment) {
        self.limits.watch(self.finished && self.is_working(), now);
        let Some(active) = &mut self.active else { return };
        let uploaded = Counters::read(&self.counters.uploaded);
        if uploaded > active.counted && now - active.counted_at >= COUNT_EVERY {
            self.keep_count(now);
        }
        let Some(active) = &self.active else { return };
        let sent = active.saving.sent_before().saturating_add(uploaded);
        if let Some(why) = self.limits.reached(sent, active.wanted_bytes, now) {
            self.tell(EventKind::SeedingDone { why });
            self.removed = true;
        }
    }

    /// Has what was sent written down with the state, where a ratio over all sessions needs it or
    /// there is a state already.
    pub(super) fn keep_count(&mut self, now: Moment) {
        let Some(active) = &mut self.active else { return };
        let uploaded = Counters::read(&self.counters.uploaded);
        let counts = self.setup.config.seed_ratio.is_some() || active.saving.has_history();
        if uploaded > active.counted && counts {
            active.saving.dirty = true;
        }
        (active.counted, active.counted_at) = (uploaded, now);
    }

    /// Shows to each peer what a super-seed is to show now.
    pub(super) fn show_pieces(&mut self, now: Moment) {
        let Some(active) = &mut self.active else { return };
        let Some(super_seed) = &mut active.super_seed else { return };
        let shows = super_seed.show(now);
        if !shows.is_empty() && super_seed.is_spreading(now) {
            self.next_tick = self.next_tick.into_iter().chain([now + super::SPREAD_TICK]).min();
        }
        // One order for all that a peer is shown: its queue is short.
        for shown in shows.chunk_by(|(one, _), (other, _)| one == other) {
            let peer = shown.first().and_then(|(key, _)| active.connected.get_mut(key));
            if let Some(peer) = peer {
                peer.order(Order::Show(shown.iter().map(|(_, piece)| *piece).collect()));
            }
        }
        if super_seed.is_over() {
            self.end_super_seeding();
        } else {
            active.drop_deaf();
        }
    }

    /// From now on everyone sees everything.
    fn end_super_seeding(&mut self) {
        let Some(active) = &mut self.active else { return };
        active.super_seed = None;
        let all: Arc<[u32]> = active.picker.have().iter().collect();
        for peer in active.connected.values_mut() {
            peer.order(Order::Show(all.clone()));
        }
        active.drop_deaf();
        if !self.setup.config.fast_first_copy {
            self.tell(EventKind::Note { what: "there is another seed; super-seeding ends".to_owned() });
        }
    }
}

impl Active {
    /// What a connection that is let in gets to see as ours.
    pub(super) fn shown(&self) -> Bitfield {
        match &self.super_seed {
            Some(_) => Bitfield::empty(self.shared.pieces.count()),
            None => self.picker.have().clone(),
        }
    }

    /// Lets the super-seed know what a peer reports to have, or to want.
    pub(super) fn note_pieces(&mut self, key: PeerKey, report: &Report, now: Moment) {
        let Some(super_seed) = &mut self.super_seed else { return };
        match report {
            Report::Has(set) => super_seed.has(key, set, now),
            Report::Have(piece) => super_seed.gains(key, *piece, now),
            Report::Interested(interested) => super_seed.interested(key, *interested),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(config: TorrentConfig) -> Limits {
        let mut limits = Limits::new(&config);
        limits.watch(true, Moment::from_secs(100));
        limits
    }

    #[test]
    fn the_first_limit_reached_ends_it() {
        let minute = Some(Duration::from_secs(60));
        let mut limits = limits(TorrentConfig::default().seed_ratio(Some(1.5)).seed_time(minute));
        assert_eq!(limits.reached(149, 100, Moment::from_secs(159)), None);
        assert_eq!(limits.reached(150, 100, Moment::from_secs(159)), Some(SeedLimit::Ratio));
        assert_eq!(limits.reached(0, 100, Moment::from_secs(160)), Some(SeedLimit::Time));
        assert_eq!(limits.deadline(), Some(Moment::from_secs(160)));
    }

    #[test]
    fn idle_is_since_the_last_byte() {
        let mut limits = limits(TorrentConfig::default().seed_idle(Some(Duration::from_secs(30))));
        assert_eq!(limits.deadline(), Some(Moment::from_secs(130)));
        assert_eq!(limits.reached(1, 100, Moment::from_secs(120)), None);
        assert_eq!(limits.reached(1, 100, Moment::from_secs(149)), None);
        assert_eq!(limits.deadline(), Some(Moment::from_secs(150)));
        assert_eq!(limits.reached(1, 100, Moment::from_secs(150)), Some(SeedLimit::Idle));
    }

    #[test]
    fn a_pause_does_not_count() {
        let mut limits = limits(TorrentConfig::default().seed_time(Some(Duration::from_secs(60))));
        limits.watch(false, Moment::from_secs(110));
        assert_eq!((limits.reached(0, 1, Moment::from_secs(500)), limits.deadline()), (None, None));
        limits.watch(true, Moment::from_secs(1000));
        assert_eq!(limits.deadline(), Some(Moment::from_secs(1050)));
        assert_eq!(limits.reached(0, 1, Moment::from_secs(1049)), None);
        assert_eq!(limits.reached(0, 1, Moment::from_secs(1050)), Some(SeedLimit::Time));
    }

    #[test]
    fn without_limits_it_never_ends() {
        let mut limits = limits(TorrentConfig::default());
        assert_eq!(
            (limits.deadline(), limits.reached(u64::MAX, 1, Moment::from_secs(1 << 40))),
            (None, None)
        );
    }
}
