//! Finding peers without a tracker: the DHT (BEP 5), the local network (BEP 14), peers given by name.

pub(crate) mod dht;
#[cfg_attr(not(feature = "sys"), path = "lsd/absent.rs")]
pub(crate) mod lsd;
pub(crate) mod named_peers;
