//! The trackers of one torrent: which announces are due, and the answers. Sends nothing itself: it returns
//! the [`AnnounceRequest`]s that are due, and takes their results.
//!
//! Invariant: each request ends by one call of [`TorrentTrackers::take_in`].

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::client::Timing;
use crate::engine::net::told_ports::ToldPorts;
use crate::id::{InfoHash, PeerId};
use crate::moment::Moment;
use crate::random::Random;
use crate::snapshot::TrackerSnapshot;
use crate::tracker::report::TrackerEvent;
use crate::tracker::tiers::{AnnounceDue, Policy, Tiers};
use crate::tracker::url::Scheme;
use crate::tracker::{Announce, Answer, Event, Failure, Totals};

/// Peers asked for.
const NUM_WANT: u32 = 100;
/// Events kept for a torrent whose inbox is full; further ones are dropped.
const MAX_UNTOLD: usize = 32;
/// When it is tried again to tell them.
const TELL_RETRY: Duration = Duration::from_millis(100);

/// What announces to the trackers of a torrent are made of.
pub(crate) struct AnnounceSetup {
    /// URLs of trackers (BEP 12).
    pub(crate) tiers: Vec<Vec<String>>,
    pub(crate) info_hash: InfoHash,
    pub(crate) peer_id: PeerId,
    /// The port peers are to connect to.
    pub(crate) ports: Arc<ToldPorts>,
    /// Distinguishes us from others behind the same address; a secret.
    pub(crate) key: u32,
    /// Read whenever an announce is sent.
    pub(crate) totals: Box<dyn Fn() -> Totals + Send>,
    pub(crate) random: Random,
    /// Sends the torrent the result of an announce; returns it if the torrent's inbox is full. Must not wait:
    /// a torrent that does not read must not hold up the trackers of others.
    pub(crate) tell: Box<dyn Fn(TrackerEvent) -> Result<(), TrackerEvent> + Send>,
}

/// One announce to one tracker.
pub(crate) struct AnnounceRequest {
    pub(crate) announce: Announce,
    pub(crate) timing: Timing,
}

/// The result of a request.
pub(crate) struct AnnounceResult {
    pub(crate) announce_due: AnnounceDue,
    pub(crate) result: std::result::Result<Answer, Failure>,
}

/// A tracker that has not answered yet. One over UDP may take minutes to count as dead; over HTTP it has
/// failed before there would be anything to tell.
struct Silence {
    tracker: usize,
    url: String,
    since: Moment,
    due: Moment,
}

/// The trackers of a torrent.
pub(crate) struct TorrentTrackers {
    setup: AnnounceSetup,
    tiers: Tiers,
    timing: Timing,
    /// Events that found the torrent's inbox full, oldest first.
    untold: VecDeque<TrackerEvent>,
    /// Over IPv4 and over IPv6.
    external: [Option<IpAddr>; 2],
    /// Peers that a tracker named by their host names.
    names: Vec<(String, u16)>,
    /// UDP trackers that were asked, since when, and when it is reported that they do not answer.
    silent: Vec<Silence>,
    /// Set once the torrent has stopped: when the last announce is over at the latest.
    stop_by: Option<Moment>,
    /// Disconnected when the announces have ended.
    _end: Sender<()>,
}

impl TorrentTrackers {
    /// Their first announces are due at once.
    pub(crate) fn new(
        setup: AnnounceSetup,
        policy: Policy,
        timing: Timing,
        end: Sender<()>,
    ) -> TorrentTrackers {
        let (tiers, refused) = Tiers::new(&setup.tiers, policy, setup.random.clone());
        let refused = refused.into_iter().map(|(url, why)| TrackerEvent::Failed { url, why, retry: None });
        TorrentTrackers {
            untold: refused.collect(),
            setup,
            tiers,
            timing,
            external: [None; 2],
            names: Vec::new(),
            silent: Vec::new(),
            stop_by: None,
            _end: end,
        }
    }

    /// The next announce that is due, if there is one; ask until there is none.
    pub(crate) fn poll(&mut self, now: Moment) -> Option<AnnounceDue> {
        self.tell_untold();
        let (due, silent) =
            std::mem::take(&mut self.silent).into_iter().partition(|silence| silence.due <= now);
        self.silent = silent;
        for Silence { url, since, .. } in due {
            self.tell(TrackerEvent::Silent { url, waited: now - since });
        }
        self.tiers.poll(now)
    }

    /// When something is due next if nothing else happens.
    pub(crate) fn deadline(&self, now: Moment) -> Option<Moment> {
        let silent = self.silent.iter().map(|silence| silence.due).min();
        let untold = (!self.untold.is_empty()).then(|| now + TELL_RETRY);
        self.stop_by.or_else(|| self.tiers.deadline().into_iter().chain(silent).chain(untold).min())
    }

    /// Whether all is said, or it is too late to say more.
    pub(crate) fn is_over(&self, now: Moment) -> bool {
        self.stop_by.is_some_and(|deadline| self.tiers.has_left() || deadline <= now)
    }

    /// Whether only `stopped` is still announced.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop_by.is_some()
    }

    /// The request for an announce that is due, with the present counts.
    pub(crate) fn request_for(&mut self, announce_due: &AnnounceDue, now: Moment) -> AnnounceRequest {
        if announce_due.url.scheme() == Scheme::Udp && !self.is_stopping() {
            let url = announce_due.url.as_str().to_owned();
            let due = now + self.timing.retry_schedule.first;
            self.silent.push(Silence { tracker: announce_due.tracker, url, since: now, due });
        }
        let announce = Announce {
            info_hash: self.setup.info_hash,
            peer_id: self.setup.peer_id,
            port: self.setup.ports.tcp(),
            totals: (self.setup.totals)(),
            event: announce_due.event,
            num_want: if self.is_stopping() || announce_due.event == Event::Stopped { 0 } else { NUM_WANT },
            key: self.setup.key,
            tracker_id: announce_due.tracker_id.clone(),
        };
        let timing = match self.stop_by {
            Some(deadline) => Timing::within(deadline.since(now)),
            None => self.timing,
        };
        AnnounceRequest { announce, timing }
    }

    /// Takes in the result of a request.
    pub(crate) fn take_in(&mut self, AnnounceResult { announce_due, result }: AnnounceResult, now: Moment) {
        self.silent.retain(|silence| silence.tracker != announce_due.tracker);
        if self.is_stopping() {
            // While stopping, results of regular announces are ignored.
            if announce_due.event != Event::None {
                self.tiers.heard(announce_due.tracker, result.is_ok());
            }
            return;
        }
        // One that is announced to no longer was told so: of no interest to the torrent.
        let is_news = announce_due.event != Event::Stopped;
        let url = announce_due.url.as_str().to_owned();
        match result {
            Ok(answer) => {
                let interval = self.tiers.answered(announce_due.tracker, &answer, now);
                let peers = u32::try_from(answer.peers.len()).unwrap_or(u32::MAX);
                let warning = answer.warning.clone();
                self.add(answer);
                if is_news {
                    self.tell(TrackerEvent::Answered { url, peers, interval, warning });
                }
            }
            Err(failure) => {
                let retry = self.tiers.failed(announce_due.tracker, &failure, now);
                if is_news {
                    self.tell(TrackerEvent::Failed { url, why: failure.why, retry });
                }
            }
        }
    }

    /// Takes a tracker's answer, except for its schedule.
    pub(crate) fn add(&mut self, answer: Answer) {
        if self.is_stopping() {
            return;
        }
        if let Some(ip) = answer.external_ip {
            let seen = &mut self.external[usize::from(ip.is_ipv6())];
            if seen.replace(ip) != Some(ip) {
                self.tell(TrackerEvent::ExternalIp(ip));
            }
        }
        self.found(answer.peers);
        self.names = answer.names;
    }

    /// Peers are known.
    pub(crate) fn found(&mut self, peers: Vec<SocketAddr>) {
        if !self.is_stopping() && !peers.is_empty() {
            self.tell(TrackerEvent::Peers(peers));
        }
    }

    /// Peers of the last answer that are to be looked up; asked once.
    pub(crate) fn names(&mut self) -> Vec<(String, u16)> {
        std::mem::take(&mut self.names)
    }

    /// The download has finished.
    pub(crate) fn completed(&mut self, now: Moment) {
        self.tiers.completed(now);
    }

    /// More peers are wanted.
    pub(crate) fn want_peers(&mut self, now: Moment) {
        self.tiers.want_peers(now);
    }

    /// Announces to these trackers from now on.
    pub(crate) fn replace(&mut self, tiers: &[Vec<String>], now: Moment) {
        if self.is_stopping() {
            return;
        }
        for (url, why) in self.tiers.replace(tiers, now) {
            self.tell(TrackerEvent::Failed { url, why, retry: None });
        }
    }

    /// What there is to say of each tracker.
    pub(crate) fn show(&self, now: Moment) -> Vec<TrackerSnapshot> {
        self.tiers.show(now)
    }

    /// The user asks for an announce.
    pub(crate) fn reannounce(&mut self, now: Moment) {
        if !self.is_stopping() {
            self.tiers.reannounce(now);
        }
    }

    /// Peers are to connect to another port.
    pub(crate) fn announce_again(&mut self, now: Moment) {
        if !self.is_stopping() {
            self.tiers.announce_again(now);
        }
    }

    /// Trackers that failed are tried again at once.
    pub(crate) fn retry(&mut self, now: Moment) {
        self.tiers.retry(now);
    }

    /// Announces `stopped`, at once, and nothing else; all is over when that has been answered, or after
    /// `budget`.
    pub(crate) fn stop(&mut self, budget: Duration, now: Moment) {
        self.tiers.stop();
        self.stop_by = Some(now + budget);
    }

    fn tell(&mut self, event: TrackerEvent) {
        if self.untold.len() < MAX_UNTOLD {
            self.untold.push_back(event);
        }
        self.tell_untold();
    }

    /// Sends the torrent as many events as its inbox has room for, in order.
    fn tell_untold(&mut self) {
        while let Some(event) = self.untold.pop_front() {
            if let Err(event) = (self.setup.tell)(event) {
                return self.untold.push_front(event);
            }
        }
    }
}
