//! UDP: the client's port, which sorts what it receives by protocol, and the thread that receives.

pub(crate) mod port;
pub(crate) mod reader;
