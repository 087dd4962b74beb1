//! The address filter of the client as its threads share it, and how many connections it refused. It can be
//! exchanged while they use it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use crate::filter::AddressFilter;
use crate::lock::{read, write};

/// The filter.
#[derive(Debug)]
pub(crate) struct SharedFilter {
    now: RwLock<Arc<AddressFilter>>,
    refused: AtomicU64,
}

impl SharedFilter {
    pub(crate) fn new(filter: Arc<AddressFilter>) -> SharedFilter {
        SharedFilter { now: RwLock::new(filter), refused: AtomicU64::new(0) }
    }

    /// The present filter.
    pub(crate) fn get(&self) -> Arc<AddressFilter> {
        read(&self.now).clone()
    }

    /// From now on this is blocked.
    pub(crate) fn set(&self, filter: Arc<AddressFilter>) {
        *write(&self.now) = filter;
    }

    /// Whether this address is blocked.
    pub(crate) fn blocks(&self, address: IpAddr) -> bool {
        read(&self.now).blocks(address)
    }

    /// Whether a connection from this address is refused; counts it then.
    pub(crate) fn refuses(&self, address: IpAddr) -> bool {
        let refuses = self.blocks(address);
        self.refused.fetch_add(u64::from(refuses), Ordering::Relaxed);
        refuses
    }

    /// How many connections were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
