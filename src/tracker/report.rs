//! The events that a torrent gets from its trackers: the answers and failures that it acts on or passes on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::event::EventKind;

/// The result of an announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackerEvent {
    /// Peers of a tracker, at least one.
    Peers(Vec<SocketAddr>),
    /// A tracker answered.
    Answered {
        /// Its URL.
        url: String,
        /// How many peers it named.
        peers: u32,
        /// When it is announced to next.
        interval: Duration,
        /// The tracker's warning.
        warning: Option<String>,
    },
    /// A tracker failed.
    Failed {
        /// Its URL.
        url: String,
        /// What failed.
        why: String,
        /// After how long it is tried again; none if it is not.
        retry: Option<Duration>,
    },
    /// A tracker has not answered, and is still waited for.
    Silent {
        /// Its URL.
        url: String,
        /// For how long.
        waited: Duration,
    },
    /// Our address as a tracker sees it; told when it changes.
    ExternalIp(IpAddr),
}

impl TrackerEvent {
    /// The event for the embedder, if there is one: peers and addresses are for the torrent alone.
    pub fn public_event(self) -> Option<EventKind> {
        match self {
            TrackerEvent::Answered { url, peers, interval, warning } => {
                Some(EventKind::TrackerAnswered { url, peers, interval, warning })
            }
            TrackerEvent::Failed { url, why, retry } => Some(EventKind::TrackerFailed { url, why, retry }),
            TrackerEvent::Silent { url, waited } => Some(EventKind::TrackerSilent { url, waited }),
            TrackerEvent::Peers(_) | TrackerEvent::ExternalIp(_) => None,
        }
    }
}
