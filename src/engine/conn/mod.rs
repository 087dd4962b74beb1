//! The threads of one peer connection: reader, worker, uploader.

pub(crate) mod conversation;
pub(crate) mod extension_handshake;
pub(crate) mod join;
pub(crate) mod metadata;
pub(crate) mod parked;
pub(crate) mod reader;
pub(crate) mod uploader;
pub(crate) mod worker;
