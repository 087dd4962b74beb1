//! What all torrents of a client share and decide together: quotas, the queue of active torrents, the
//! schedule of local discovery, the external address, the gateways. Pure.

pub mod active_queue;
pub mod external_ip;
pub mod lsd_schedule;
pub mod quota;
#[cfg(feature = "portmap")]
pub mod routes;
