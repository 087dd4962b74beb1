//! Connections to peers: how they begin (listener, dial), how each joins its torrent, and its threads: reader,
//! worker, uploader.

pub(crate) mod beginning;
pub(crate) mod conversation;
pub(crate) mod dial;
pub(crate) mod ending;
pub(crate) mod extension_handshake;
pub(crate) mod listener;
pub(crate) mod reader;
pub(crate) mod uploader;
pub(crate) mod worker;
