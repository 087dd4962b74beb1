//! Network devices where none can be chosen: binding to one needs the feature `sys`. `Config::validate` refuses
//! it before; there is never a watch.

use std::io;

use crate::error::{Error, ErrorKind, Result};

/// As with the feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) is_up: bool,
}

/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub(crate) fn look(_name: &str) -> io::Result<Option<Link>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Never there.
#[derive(Debug)]
pub(crate) enum DeviceWatch {}

impl DeviceWatch {
    /// # Errors
    /// Always [`ErrorKind::Argument`].
    pub(crate) fn start(_name: String, _tell: impl FnMut(Option<Link>) + Send + 'static) -> Result<Self> {
        Err(Error::new(ErrorKind::Argument, "a network device needs bitwren built with the feature sys"))
    }
}
