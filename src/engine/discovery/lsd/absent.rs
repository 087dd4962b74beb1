//! Local discovery without the feature `sys`, which is needed to share its port with other programs. Asking
//! for it is an error that says so; there is never one to use.

use std::sync::Arc;

use crate::engine::inbox::TorrentSender;
use crate::engine::net::egress::Egress;
use crate::engine::runtime::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;
use crate::id::TorrentKey;

/// Never there.
pub(crate) enum Lsd {}

impl Lsd {
    /// # Errors
    /// Always [`ErrorKind::Argument`].
    pub(crate) fn start(_egress: Arc<Egress>, _port: u16, _clock: Clock) -> Result<Lsd> {
        Err(Error::new(ErrorKind::Argument, "lsd is on; it needs bitwren built with the feature sys"))
    }

    pub(crate) fn watch(&self, _key: TorrentKey, _info_hash: InfoHash, _torrent: TorrentSender) {
        match *self {}
    }

    pub(crate) fn reopen(&self) {
        match *self {}
    }

    pub(crate) fn forget(&self, _key: TorrentKey) {
        match *self {}
    }

    pub(crate) fn stop(&self) {
        match *self {}
    }
}
