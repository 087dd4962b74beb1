//! The announcer: keeps the trackers of one torrent told, by the schedule of
//! [`tiers`](crate::tracker::tiers).
//!
//! All torrents share one thread, the [`office`]: a torrent that only seeds announces twice an hour,
//! and a thread of its own would cost a box that seeds hundreds more than the torrent itself. An
//! announcer is a torrent's desk there. The office never talks to a tracker either: each announce
//! runs on a courier thread of its own, so that a dead tracker or a slow name lookup delays nobody,
//! least of all the end. Couriers that are stuck at the end are left behind; they hold nothing but
//! their socket.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use self::client::Timing;
pub(crate) use self::thread::Office;
use self::thread::{DeskKey, ToOffice};
use self::torrent::Desk;
use crate::id::{InfoHash, PeerId};
use crate::random::Random;
use crate::tracker::report::TrackerEvent;
use crate::tracker::tiers::Policy;

pub(crate) use crate::tracker::Totals;

/// What an announcer needs to know.
pub(crate) struct AnnounceSetup {
    /// URLs of trackers (BEP 12).
    pub(crate) tiers: Vec<Vec<String>>,
    pub(crate) info_hash: InfoHash,
    pub(crate) peer_id: PeerId,
    /// The port peers are to connect to.
    pub(crate) port: u16,
    /// Tells us from others behind the same address; a secret.
    pub(crate) key: u32,
    /// Read whenever an announce is sent.
    pub(crate) totals: Box<dyn Fn() -> Totals + Send>,
    pub(crate) random: Random,
    /// Tells the torrent what came of an announce; gives it back where the torrent has no room for it now.
    /// Must not wait: a torrent that does not read must not hold up the trackers of others.
    pub(crate) tell: Box<dyn Fn(TrackerEvent) -> Result<(), TrackerEvent> + Send>,
}

/// A torrent's announcer. Dropped without [`stop`](Announcer::stop) it ends without `stopped`.
pub(crate) struct Announcer {
    desk: DeskKey,
    office: Sender<ToOffice>,
    done: Receiver<()>,
}

/// What an announcer is told.
pub(crate) enum Command {
    Completed,
    WantPeers,
    /// Everything is to be over after so long.
    Stop(Duration),
    /// Nobody is interested any more.
    Abandon,
}

impl Announcer {
    /// Opens a desk; the first announces go out at once.
    pub(crate) fn start(office: &Office, setup: AnnounceSetup) -> Announcer {
        Announcer::start_with(office, setup, Policy::default(), Timing::REGULAR)
    }

    /// The same, with a patience of its own.
    fn start_with(office: &Office, setup: AnnounceSetup, policy: Policy, timing: Timing) -> Announcer {
        let (end, done) = bounded(0);
        let desk = office.open(Desk::new(setup, policy, timing, end));
        Announcer { desk, office: office.sender(), done }
    }

    /// The download has finished in this session.
    pub(crate) fn completed(&self) {
        self.command(Command::Completed);
    }

    /// More peers are wanted, as soon as the trackers permit. Cheap, and may be said often.
    pub(crate) fn want_peers(&self) {
        self.command(Command::WantPeers);
    }

    /// Announces `stopped` where `started` was answered, and ends. Returns when all have answered,
    /// and after `budget` at the latest.
    pub(crate) fn stop(self, budget: Duration) {
        self.command(Command::Stop(budget));
        // Nothing is ever sent: that the desk is gone is the answer.
        let _ = self.done.recv_timeout(budget);
    }

    fn command(&self, command: Command) {
        let _ = self.office.send(ToOffice::Command(self.desk, command));
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.command(Command::Abandon);
    }
}

pub(crate) mod client;
mod families;
#[cfg(test)]
mod tests;
mod thread;
mod torrent;
mod udp;
