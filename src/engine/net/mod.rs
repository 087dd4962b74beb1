//! How connections come to be: listening, dialling, handshakes, host names.

pub(crate) mod accept;
pub(crate) mod dial;
pub(crate) mod handshake;
pub(crate) mod handshakes;
pub(crate) mod listener;
pub(crate) mod names;
pub(crate) mod wake;
