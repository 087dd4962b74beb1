//! A torrent's handle on the announces to its trackers. Nothing here waits, [`Announcer::stop`] apart.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::client::Timing;
use super::thread::{AnnounceThread, Command, Message, TrackersKey};
use super::torrent::{AnnounceSetup, TorrentTrackers};
use crate::snapshot::TrackerSnapshot;
use crate::tracker::tiers::Policy;

/// The handle. Dropped without [`stop`](Announcer::stop) it ends the announces without `stopped`.
pub(crate) struct Announcer {
    pub(super) trackers: TrackersKey,
    pub(super) thread: Sender<Message>,
    pub(super) done: Receiver<()>,
}

impl Announcer {
    /// Begins to announce, at once.
    pub(crate) fn start(thread: &AnnounceThread, setup: AnnounceSetup) -> Announcer {
        Announcer::start_with(thread, setup, Policy::default(), Timing::REGULAR)
    }

    /// The same, with a schedule and time-outs of its own.
    pub(super) fn start_with(
        thread: &AnnounceThread,
        setup: AnnounceSetup,
        policy: Policy,
        timing: Timing,
    ) -> Announcer {
        let (end, done) = bounded(0);
        let trackers = thread.open(TorrentTrackers::new(setup, policy, timing, end));
        Announcer { trackers, thread: thread.sender(), done }
    }

    /// The download has finished in this session.
    pub(crate) fn completed(&self) {
        self.command(Command::Completed);
    }

    /// More peers are wanted, as soon as the trackers permit. Cheap, and may be said often.
    pub(crate) fn want_peers(&self) {
        self.command(Command::WantPeers);
    }

    /// Announces to these trackers from now on.
    pub(crate) fn replace(&self, tiers: Vec<Vec<String>>) {
        self.command(Command::Replace(tiers));
    }

    /// Sends what there is to say of each tracker.
    pub(crate) fn show(&self, answer: Sender<Vec<TrackerSnapshot>>) {
        self.command(Command::Show(answer));
    }

    /// The user asks for an announce: also to trackers that failed, and to those that asked not to be announced to
    /// again.
    pub(crate) fn reannounce(&self) {
        self.command(Command::Reannounce);
    }

    /// Announces `stopped` where `started` was answered, and ends. Returns when all have answered,
    /// and after `budget` at the latest.
    pub(crate) fn stop(self, budget: Duration) {
        self.command(Command::Stop(budget));
        // Nothing is sent on this channel; its disconnection is the signal.
        let _ = self.done.recv_timeout(budget);
    }

    fn command(&self, command: Command) {
        let _ = self.thread.send(Message::Command(self.trackers, command));
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.command(Command::Abandon);
    }
}
