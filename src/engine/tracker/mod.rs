//! Announces: the trackers of every torrent are kept informed, by the schedule of
//! [`tiers`](crate::tracker::tiers).
//!
//! All torrents share one thread ([`thread`]): a torrent that only seeds announces twice an hour, and a
//! thread of its own would cost a box that seeds hundreds more than the torrent itself. That thread keeps the
//! state of each torrent's trackers ([`torrent`]) and never connects to a tracker: each request runs on a
//! thread of its own ([`client`]), so that a dead tracker or a slow name lookup delays no other, and least of
//! all the end. Requests that hang at the end are left behind; they hold nothing but their socket.
//!
//! A torrent has an [`Announcer`] and is answered through its inbox.

mod announcer;
pub(crate) mod client;
mod families;
mod relayed;
#[cfg(test)]
mod tests;
mod thread;
mod torrent;
mod udp;

pub(crate) use self::announcer::Announcer;
pub(crate) use self::thread::AnnounceThread;
pub(crate) use self::torrent::AnnounceSetup;
pub(crate) use crate::tracker::Totals;
