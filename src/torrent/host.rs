//! Questions that the driver answers a torrent at once: counts, and its share of what all torrents of a
//! client use together.

use std::net::IpAddr;
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::error::Result;
use crate::host::active_queue::Lane;
use crate::job::PeerKey;
use crate::moment::Moment;

/// The driver of a torrent, as far as it answers at once. None of this may wait for another thread for
/// longer than a lock is held.
pub trait Host {
    /// A name for a connection, unlike any before in this client.
    fn new_key(&mut self) -> PeerKey;

    /// Payload bytes of the torrent in this session.
    fn transferred(&self) -> Bytes;

    /// Payload bytes of one connection.
    fn transferred_with(&self, key: PeerKey) -> Bytes;

    /// Counts bytes that were received in vain.
    fn wasted(&mut self, bytes: u64);

    /// Asks for an active slot. False if there is none: [`SlotGranted`](super::Input::SlotGranted) tells when
    /// there is.
    fn ask_slot(&mut self, lane: Lane) -> bool;

    /// Takes the memory of a torrent of `pieces` pieces, which would have `max_peers` connections: how many
    /// connections it may have.
    fn take_memory(&mut self, pieces: u32, max_peers: u32) -> u32;

    /// How many connections the torrent may have just now; it has `used` and would have `wanted`.
    fn connection_room(&mut self, used: u32, wanted: u32) -> u32;

    /// Takes a place for a connection; false if there is none.
    fn enter(&mut self) -> bool;

    /// Gives that place back.
    fn leave(&mut self);

    /// Whether one more peer may be dialed, given `connecting` connections and dials together, of which
    /// `dialing` are dials. If it may, that takes a place, which the end of the dial gives back.
    fn may_dial(&mut self, connecting: u32, dialing: u32) -> MayDial;

    /// Gives the place of a dial back that was not made.
    fn no_dial(&mut self);

    /// How many connections the torrent is to give back to others; `used` counts its connections and dials.
    fn owed(&mut self, used: u32, dialing: u32) -> u32;

    /// A peer at `by` says that our address is `ours`: the address that is news by this, if any.
    fn vote_external_ip(&mut self, ours: IpAddr, by: IpAddr) -> Option<IpAddr>;

    /// Looks whether the files still hold these pieces; asked once, when everything wanted is there.
    ///
    /// # Errors
    /// Where another program took some of it away.
    fn check_holes(&mut self, have: &Bitfield) -> Result<()>;

    /// By when each step of an end that begins now is given up.
    fn shutdown_deadlines(&self, now: Moment) -> ShutdownDeadlines;
}

/// Payload bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// Received.
    pub received: u64,
    /// Sent.
    pub sent: u64,
}

/// Whether a peer may be dialed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayDial {
    /// It may.
    Yes,
    /// The connection would find no place.
    NoPlace,
    /// Too many connections are being attempted.
    NoAttempt,
}

/// By when each step of a torrent's end is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownDeadlines {
    /// Connections end by themselves; then they are hung up on.
    pub hang_up: Moment,
    /// They have ended.
    pub connections: Moment,
    /// Their last blocks are written.
    pub disk: Moment,
    /// Trackers have been told.
    pub trackers: Moment,
    /// The state is saved.
    pub saved: Moment,
}

/// How long trackers have to be told of a stop that the client does not end with.
pub const STOPPED_ANNOUNCE: Duration = Duration::from_millis(1700);
