//! Port mapping where it was not built in. Asking for it is an error that says so; there is never one to use.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::net::egress::Egress;
use crate::engine::runtime::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::PortMapStatus;
use crate::random::Random;

/// Never there.
pub(crate) enum PortMap {}

impl PortMap {
    /// # Errors
    /// Always [`ErrorKind::Argument`].
    pub(crate) fn start(
        _egress: Arc<Egress>,
        _ports: (u16, Option<u16>),
        _clock: Clock,
        _random: Random,
        _changed: impl Fn(&PortMapStatus) + Send + 'static,
    ) -> Result<PortMap> {
        Err(Error::new(ErrorKind::Argument, "portmap is on; it needs bitwren built with the feature portmap"))
    }

    pub(crate) fn status(&self) -> PortMapStatus {
        match *self {}
    }

    pub(crate) fn close(&self) {
        match *self {}
    }

    pub(crate) fn stop(self, _patience: Duration) {
        match self {}
    }
}
