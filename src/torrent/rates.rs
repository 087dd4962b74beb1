//! How often rates are measured, and how fast they follow.

use std::time::Duration;

/// How often rates are measured while bytes move.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// How often while a first copy is spread: the bytes sent show which peer has which piece.
pub(super) const SPREAD_TICK: Duration = Duration::from_millis(100);
/// How often to look at connected peers while none moves a byte.
pub(super) const IDLE_TICK: Duration = Duration::from_secs(10);

/// Inertia of the rate of a peer: blocks of a slow one come seconds apart.
pub(super) const PEER_INERTIA: u8 = 2;
/// Inertia of the rates of a torrent, as they are shown.
pub(super) const TORRENT_INERTIA: u8 = 1;
