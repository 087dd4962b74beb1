//! The client's UDP port.

pub(crate) mod sockets;
