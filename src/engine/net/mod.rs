//! How connections come to be: listening, dialling, handshakes, host names.

pub(crate) mod dial;
pub(crate) mod handshakes;
pub(crate) mod listener;
pub(crate) mod names;
