//! How long a shutdown may take.
//!
//! A torrent that is removed has seconds, as no caller waits for it. When the client ends its caller waits:
//! then everything together has less than a second, whatever hangs, be it peers, trackers, name lookups or
//! the disk. Threads that are not done by then are left behind. They hold nothing that is waited for, and end
//! by themselves if the program goes on.

use std::sync::OnceLock;
use std::time::Duration;

use crate::moment::Moment;
use crate::torrent::{STOPPED_ANNOUNCE, ShutdownDeadlines};

/// Longest between the end of a download and that of the program, whatever hangs.
#[cfg(test)]
const PROMISED: Duration = Duration::from_secs(2);

/// What each step of an end has, counted from where the end began.
struct Schedule {
    /// Connections end by themselves; then they are hung up on.
    hang_up: Duration,
    /// They have ended.
    connections: Duration,
    /// Their last blocks are written.
    disk: Duration,
    /// Trackers have been told.
    trackers: Duration,
    /// The state is saved.
    saved: Duration,
}

/// A torrent is removed.
const AT_LEISURE: Schedule = Schedule {
    hang_up: Duration::from_millis(500),
    connections: Duration::from_millis(1000),
    disk: Duration::from_millis(2000),
    trackers: STOPPED_ANNOUNCE,
    saved: Duration::from_millis(3500),
};

/// The client ends.
const IN_HASTE: Schedule = Schedule {
    hang_up: Duration::from_millis(100),
    connections: Duration::from_millis(250),
    disk: Duration::from_millis(400),
    trackers: Duration::from_millis(650),
    saved: Duration::from_millis(650),
};

/// All torrents of the client together, and a little for the rest.
const ALL: Duration = Duration::from_millis(750);

/// Whether the client ends, and since when.
#[derive(Debug, Default)]
pub(crate) struct Shutdown(OnceLock<Moment>);

impl Shutdown {
    /// The client ends. By when everything is to be over.
    pub(crate) fn begin(&self, now: Moment) -> Moment {
        *self.0.get_or_init(|| now) + ALL
    }

    /// The deadlines of an end that begins now, or began with that of the client.
    /// Whether it has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.get().is_some()
    }

    pub(crate) fn deadlines(&self, now: Moment) -> ShutdownDeadlines {
        let (begun, schedule) = match self.0.get() {
            Some(begun) => (*begun, IN_HASTE),
            None => (now, AT_LEISURE),
        };
        ShutdownDeadlines {
            hang_up: begun + schedule.hang_up,
            connections: begun + schedule.connections,
            disk: begun + schedule.disk,
            trackers: begun + schedule.trackers,
            saved: begun + schedule.saved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a tracker hung, `get` took two seconds and a little more.
    #[test]
    fn a_download_that_is_complete_has_ended_within_two_seconds_whatever_hangs() {
        let now = Moment::from_secs(5);
        let removed = Shutdown::default().deadlines(now).trackers;
        assert!(removed - now + (IN_HASTE.hang_up * 2) < PROMISED);
    }

    #[test]
    fn an_end_in_haste_is_over_within_a_second_however_late_it_begins() {
        let shutdown = Shutdown::default();
        let (now, later) = (Moment::from_secs(5), Moment::from_secs(6));
        assert!(shutdown.deadlines(now).saved > later);
        let over = shutdown.begin(now);
        assert!(over < later && shutdown.begin(later) == over);
        let ShutdownDeadlines { hang_up, connections, disk, trackers, saved } = shutdown.deadlines(later);
        assert!(
            hang_up < connections && connections < disk && disk < saved && saved < over && trackers < over
        );
    }
}
