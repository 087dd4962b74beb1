//! The multicast groups of local service discovery (BEP 14): one socket for each family, joined on every suitable
//! interface.
//!
//! Every client on the host listens on the same port. std cannot ask to share one
//! (`SO_REUSEADDR`), nor say which interface a datagram leaves by, so rustix does. A socket is
//! bound to the group's own address: the kernel then drops what was sent to us alone, so that
//! no host beyond the local network can name peers. The time to live stays at 1.
//!
//! The interfaces are read from `/proc/net`; if that fails, the kernel's default is used. Loopback is joined only
//! if there is no other. They are read again at each announce, as interfaces come and go.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use rustix::net::{netdevice, sockopt};

use crate::engine::net::egress::Egress;
use crate::engine::net::interfaces::ipv6_addresses;
use crate::wire::lsd::{Announce, GROUP_V4, GROUP_V6, PORT};

/// Interfaces of a family that are joined; the kernel allows a socket 20.
const MAX_INTERFACES: usize = 16;

/// The groups that could be joined, of either family.
pub(crate) struct Groups(Vec<Group>);

/// One family's sockets.
pub(crate) struct Group {
    pub(crate) socket: UdpSocket,
    /// Sends instead if the interface has several addresses: peers connect to the source address of an announce.
    send_socket: Option<UdpSocket>,
    ipv6: bool,
    /// The interfaces that it is joined on.
    interfaces: Interfaces,
    /// The only interface to join on, if sockets are bound to a device.
    device: Option<u32>,
}

/// The interfaces of a group.
enum Interfaces {
    /// Every suitable one; those joined so far, by index.
    All(BTreeSet<u32>),
    /// The one with this address.
    At(Ipv4Addr),
    /// The one with this index.
    Index(u32),
}

impl Groups {
    /// Opens the sockets of both families, or that of the chosen address on its interface alone.
    pub(crate) fn open(egress: &Egress) -> Groups {
        let bind = egress.bind().filter(|ip| !ip.is_unspecified());
        let v4 = match bind {
            None => Some(Interfaces::All(BTreeSet::new())),
            Some(IpAddr::V4(ip)) => Some(Interfaces::At(ip)),
            Some(IpAddr::V6(_)) => None,
        };
        let v6 = match bind {
            None => Some(Interfaces::All(BTreeSet::new())),
            Some(IpAddr::V6(ip)) => index_of(ip).map(Interfaces::Index),
            Some(IpAddr::V4(_)) => None,
        };
        let open = |interfaces: Option<Interfaces>, ipv6| Group::open(egress, interfaces?, ipv6).ok();
        let mut v6 = open(v6, true);
        if let (Some(group), Some(IpAddr::V6(ip))) = (&mut v6, bind) {
            group.send_socket = send_socket(egress, ip, &group.interfaces).ok();
        }
        Groups([open(v4, false), v6].into_iter().flatten().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.0.iter()
    }

    /// Sends an announce on every interface. Errors are ignored, as any datagram may be lost.
    pub(crate) fn send(&mut self, announce: &Announce) {
        for group in &mut self.0 {
            group.send(&announce.encode(group.ipv6));
        }
    }
}

impl Group {
    fn open(egress: &Egress, interfaces: Interfaces, ipv6: bool) -> io::Result<Group> {
        let group: SocketAddr = if ipv6 { (GROUP_V6, PORT).into() } else { (GROUP_V4, PORT).into() };
        let socket = egress.multicast(group)?;
        let device = match egress.device() {
            Some(name) => Some(netdevice::name_to_index(&socket, name)?),
            None => None,
        };
        let mut group = Group { socket, send_socket: None, ipv6, interfaces, device };
        group.join()?;
        Ok(group)
    }

    /// Joins on the interfaces that are new.
    fn join(&mut self) -> io::Result<()> {
        match &mut self.interfaces {
            Interfaces::At(ip) => {
                sockopt::set_ip_multicast_if(&self.socket, ip)?;
                ignore_known(self.socket.join_multicast_v4(&GROUP_V4, ip))
            }
            Interfaces::Index(index) => ignore_known(self.socket.join_multicast_v6(&GROUP_V6, *index)),
            Interfaces::All(joined) => {
                let present = match self.device {
                    Some(index) => [index].into(),
                    None if self.ipv6 => interfaces_v6(),
                    None => interfaces_v4(),
                };
                joined.retain(|index| present.contains(index));
                for index in present {
                    // If it fails, the next announce tries again.
                    if !joined.contains(&index) && join_at(&self.socket, self.ipv6, index).is_ok() {
                        joined.insert(index);
                    }
                }
                Ok(())
            }
        }
    }

    fn send(&mut self, datagram: &[u8]) {
        let _ = self.join();
        let addr: SocketAddr = if self.ipv6 { (GROUP_V6, PORT).into() } else { (GROUP_V4, PORT).into() };
        let indices: Vec<u32> = match &self.interfaces {
            Interfaces::All(joined) => joined.iter().copied().collect(),
            Interfaces::Index(index) => vec![*index],
            // Was set when it joined.
            Interfaces::At(_) => return drop(self.socket.send_to(datagram, addr)),
        };
        let socket = self.send_socket.as_ref().unwrap_or(&self.socket);
        for index in indices {
            let chosen = match self.ipv6 {
                true => sockopt::set_ipv6_multicast_if(socket, index),
                false => {
                    let any = Ipv4Addr::UNSPECIFIED;
                    sockopt::set_ip_multicast_if_with_ifindex(socket, &GROUP_V4, &any, index)
                }
            };
            if chosen.is_ok() {
                let _ = socket.send_to(datagram, addr);
            }
        }
    }
}

/// A socket that sends from this address and receives nothing.
fn send_socket(egress: &Egress, ip: Ipv6Addr, interfaces: &Interfaces) -> io::Result<UdpSocket> {
    // A link-local address means nothing without its interface.
    let zone = if let Interfaces::Index(index) = interfaces { *index } else { 0 };
    egress.udp_at(SocketAddrV6::new(ip, 0, 0, zone).into())
}

fn join_at(socket: &UdpSocket, ipv6: bool, index: u32) -> io::Result<()> {
    if ipv6 {
        return ignore_known(socket.join_multicast_v6(&GROUP_V6, index));
    }
    let any = Ipv4Addr::UNSPECIFIED;
    ignore_known(
        sockopt::set_ip_add_membership_with_ifindex(socket, &GROUP_V4, &any, index).map_err(io::Error::from),
    )
}

/// Being joined already is no error.
fn ignore_known(joined: io::Result<()>) -> io::Result<()> {
    joined.or_else(|error| if error.kind() == io::ErrorKind::AddrInUse { Ok(()) } else { Err(error) })
}

/// Interfaces with IPv4 that take part in multicast, by index; 0 is the kernel's choice.
fn interfaces_v4() -> BTreeSet<u32> {
    fit(listed_v4(&std::fs::read_to_string("/proc/net/igmp").unwrap_or_default()))
}

/// Interfaces with an IPv6 address.
fn interfaces_v6() -> BTreeSet<u32> {
    fit(ipv6_addresses().into_iter().map(|one| (one.index, one.name)).collect())
}

/// The interface with this address.
fn index_of(ip: Ipv6Addr) -> Option<u32> {
    ipv6_addresses().into_iter().find(|one| one.ip == ip).map(|one| one.index)
}

/// Non-loopback interfaces; else loopback; else the kernel's default.
fn fit(listed: Vec<(u32, String)>) -> BTreeSet<u32> {
    let is_loopback = |(_, name): &&(u32, String)| name == "lo";
    let outward = listed.iter().filter(|one| !is_loopback(one));
    let chosen: BTreeSet<u32> = outward.map(|(index, _)| *index).take(MAX_INTERFACES).collect();
    if chosen.is_empty() {
        listed.iter().map(|(index, _)| *index).chain([0]).take(1).collect()
    } else {
        chosen
    }
}

/// `/proc/net/igmp`: a line for each interface (index, name), followed by one for each of its groups.
fn listed_v4(text: &str) -> Vec<(u32, String)> {
    let interface = |line: &str| {
        let mut words = line.split_whitespace();
        let index = words.next()?.parse().ok()?;
        Some((index, words.next()?.trim_end_matches(':').to_owned()))
    };
    // Indented lines belong to the interface before.
    text.lines().skip(1).filter(|line| !line.starts_with(char::is_whitespace)).filter_map(interface).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let igmp = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
                    1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
                    4\teth0      :     2      V3\n\t\t\t\t8F98C0EF     1 0:00000000\t\t1\n\
                    12\tvery-long-name0:     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
        let listed = listed_v4(igmp);
        assert_eq!(listed, [(1, "lo".into()), (4, "eth0".into()), (12, "very-long-name0".into())]);
        assert_eq!(fit(listed), [4, 12].into());
    }

    #[test]
    fn over_ipv6_too_what_is_said_comes_from_the_address_that_was_chosen() {
        let here = Ipv6Addr::LOCALHOST;
        let Some(interfaces) = index_of(here).map(Interfaces::Index) else {
            eprintln!("SKIPPED: there is no IPv6 here");
            return;
        };
        let from = send_socket(&Egress::default(), here, &interfaces).unwrap().local_addr().unwrap();
        assert_eq!(from.ip(), IpAddr::from(here));
        let groups = Groups::open(&Egress::of(&crate::config::Config::default().bind(IpAddr::from(here))));
        assert!(groups.iter().all(|group| group.send_socket.is_some()));
    }

    #[test]
    fn loopback_is_the_last_resort_but_one() {
        assert_eq!(fit(vec![(1, "lo".into())]), [1].into());
        assert_eq!(fit(Vec::new()), [0].into());
        let many = (0..40).map(|index| (index, format!("eth{index}"))).collect();
        assert_eq!(fit(many).len(), MAX_INTERFACES);
    }
}
