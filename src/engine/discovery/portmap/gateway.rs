//! Finds the gateway of an address family, by the chosen device where there is one, and the address of this
//! machine that it knows. Sends nothing.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::engine::net::egress::{Egress, Purpose};
use crate::engine::net::interfaces::ipv6_addresses;
use crate::host::routes;
use crate::portmap::{Network, igd, pcp, ssdp};

/// An address of the Internet, to see which of ours leads there; nothing is sent to it.
const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// A gateway that was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(super) network: Network,
    /// The interface, where the address of the gateway means nothing without it.
    pub(super) scope: u32,
    /// The ports of the gateway.
    pub(super) port: u16,
    pub(super) search_port: u16,
}

/// Finds the gateway; why there is none.
pub(super) fn find(egress: &Egress, ipv6: bool) -> Result<Found, String> {
    let none = || match egress.device() {
        Some(device) => format!("there is no gateway to the Internet by {device}"),
        None => "there is no gateway to the Internet".to_owned(),
    };
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (port, search_port) = (pcp::GATEWAY_PORT, ssdp::PORT);
    if !ipv6 {
        let gateway = routes::default_v4(&read("/proc/net/route"), egress.device()).ok_or_else(none)?;
        let ip = IpAddr::V4(gateway.ip);
        let local =
            local_address(egress, Ipv4Addr::UNSPECIFIED.into(), (ip, port).into()).ok_or_else(none)?;
        if igd::is_public(local) {
            return Err(format!("{local}, the address of this machine, is public and needs none"));
        }
        let network = Network { local, gateway: ip };
        return Ok(Found { network, scope: 0, port, search_port });
    }
    let gateway = routes::default_v6(&read("/proc/net/ipv6_route"), egress.device()).ok_or_else(none)?;
    let addresses = ipv6_addresses();
    let on_it = addresses.iter().find(|address| address.name == gateway.interface);
    let scope = on_it.map(|address| address.index).ok_or_else(none)?;
    let far = SocketAddrV6::new(FAR_V6, port, 0, 0).into();
    let local = local_address(egress, Ipv6Addr::UNSPECIFIED.into(), far).ok_or_else(none)?;
    match local {
        IpAddr::V6(ip) if igd::is_global(ip) => {
            let network = Network { local, gateway: gateway.ip.into() };
            Ok(Found { network, scope, port, search_port })
        }
        _ => Err(none()),
    }
}

/// The address of this machine that leads to another.
fn local_address(egress: &Egress, any: IpAddr, to: SocketAddr) -> Option<IpAddr> {
    let socket = egress.udp(Purpose::Peers, any, 0).ok()?;
    socket.connect(to).ok()?;
    let ip = socket.local_addr().ok()?.ip().to_canonical();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}
