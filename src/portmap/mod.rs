//! Port mapping: asks the gateway to let connections from the Internet in, by PCP (RFC 6887), NAT-PMP
//! (RFC 6886) or UPnP (IGD 1 and 2), and keeps that up. Over IPv6 the same is a pinhole in its firewall.
//! Pure: packets, answers and `now` go in, packets, requests and events come out ([`mapper`]).
//!
//! Only datagrams from the gateway's own address are trusted; the engine says which address that is.
//! Invariants: a mapping leads to ports that are listened at; it has a lease, unless the
//! gateway gives none but permanent ones; it is removed by the mapper that made it.

mod attempt;
pub mod exchange;
pub mod http;
pub mod igd;
pub mod mapper;
pub mod natpmp;
pub mod pcp;
pub mod ssdp;
pub mod upnp;
pub mod xml;

use std::net::IpAddr;
use std::time::Duration;

/// The lease that is asked for.
pub const LEASE: Duration = Duration::from_secs(600);

/// Longest time between two renewals. Only a renewal shows that a gateway has silently lost its mappings.
pub const RENEWAL_INTERVAL: Duration = Duration::from_secs(50);

/// Shortest time between two renewals, however short the lease.
const MIN_RENEWAL_INTERVAL: Duration = Duration::from_secs(5);

/// When a mapping with this lease is renewed.
fn renewal_interval(lease: Duration) -> Duration {
    if lease.is_zero() { RENEWAL_INTERVAL } else { (lease / 2).clamp(MIN_RENEWAL_INTERVAL, RENEWAL_INTERVAL) }
}

/// What is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Connections of peers.
    Tcp,
    /// Datagrams of the DHT.
    Udp,
}

impl Protocol {
    fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }

    fn from_number(number: u8) -> Option<Protocol> {
        [Protocol::Tcp, Protocol::Udp].into_iter().find(|protocol| protocol.number() == number)
    }

    fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        }
    }
}

/// The ports that are listened at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// For connections of peers.
    pub tcp: u16,
    /// For the DHT, where it is on.
    pub udp: Option<u16>,
}

impl Ports {
    fn iter(self) -> impl Iterator<Item = (Protocol, u16)> {
        [(Protocol::Tcp, Some(self.tcp)), (Protocol::Udp, self.udp)]
            .into_iter()
            .filter_map(|(protocol, port)| Some((protocol, port?)))
    }
}

/// This host's address and its gateway's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The address of this host in the gateway's network.
    pub local: IpAddr,
    /// The gateway's address.
    pub gateway: IpAddr,
}

/// A mapping that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// The external TCP port.
    pub tcp: u16,
    /// The external UDP port.
    pub udp: Option<u16>,
    /// The external address, where the gateway tells it.
    pub ip: Option<IpAddr>,
    /// Its lease; zero means permanent.
    pub lease: Duration,
}

/// The progress of one protocol's attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Asking,
    /// A mapping was granted, or renewed.
    Granted(Granted),
    /// No answer came.
    Silent,
    /// The gateway refuses, or its answer cannot be used; why.
    Refused(String),
}

/// Whether an external port can be used: not if it is below 1024 and was not asked for, as other clients do not
/// connect to those.
fn is_usable(external: u16, internal: u16) -> bool {
    external >= 1024 || external != 0 && external == internal
}
