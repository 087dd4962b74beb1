//! Finding peers without a tracker, and being found: the DHT (BEP 5), the local network (BEP 14), peers given by
//! name, and the ports that a gateway lets the Internet reach us at.

pub(crate) mod dht;
#[cfg_attr(not(feature = "sys"), path = "lsd/absent.rs")]
pub(crate) mod lsd;
pub(crate) mod named_peers;
#[cfg_attr(not(feature = "portmap"), path = "portmap/absent.rs")]
pub(crate) mod portmap;
