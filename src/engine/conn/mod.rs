//! The threads of one peer connection: reader, worker, uploader; and how it joins its torrent.

pub(crate) mod conversation;
pub(crate) mod ending;
pub(crate) mod enter;
pub(crate) mod extension_handshake;
pub(crate) mod join;
pub(crate) mod metadata;
pub(crate) mod parked;
pub(crate) mod reader;
pub(crate) mod uploader;
pub(crate) mod worker;
