//! Looks up the value of `--bind`: an address of this machine, or a network interface, which stands for
//! the address that it has when the program starts.
//!
//! The kernel is asked for all addresses with one netlink request (rtnetlink(7), `RTM_GETADDR`).
//! Nothing here uses the network, and what the kernel answers is read within its bounds.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice, recv, sendto, socket_with,
    sockopt,
};

use super::settings::{Bind, ListenSettings};
use crate::cli::exit::{Code, Failure};

/// How long the kernel may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The most answers that are read: tens of thousands of addresses.
const MAX_ANSWERS: usize = 256;

/// Numbers of rtnetlink(7) and netlink(7).
const GET_ADDRESSES: u16 = 22;
const NEW_ADDRESS: u16 = 20;
const DONE: u16 = 3;
const REQUEST_DUMP: u16 = 0x301;
const HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ATTRIBUTE_ADDRESS: u16 = 1;
const ATTRIBUTE_LOCAL: u16 = 2;

/// Looks up the address of `--bind`, which may come `later` than bitwren.
///
/// # Errors
/// The machine has no such address or interface.
pub fn settle(settings: &mut ListenSettings, later: bool) -> Result<(), Failure> {
    settings.bind = match settings.bind_to.take() {
        None => None,
        Some(Bind::Address(address)) if later => Some(address),
        Some(Bind::Address(address)) => Some(own(address)?),
        Some(Bind::Interface(name)) => Some(address_of(&name)?),
    };
    Ok(())
}

/// The address, if this machine has it.
fn own(address: IpAddr) -> Result<IpAddr, Failure> {
    match UdpSocket::bind((address, 0)) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            Err(Failure::usage(format_args!("--bind: {address} is not an address of this machine")))
        }
        // Any other failure shows, and is reported, where the address is used.
        _ => Ok(address),
    }
}

fn address_of(name: &str) -> Result<IpAddr, Failure> {
    let failed = |error: io::Error| {
        let why = format_args!("--bind: cannot list the network interfaces: {error}");
        Failure::new(Code::NETWORK, why)
    };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .or_else(|_| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)))
        .map_err(failed)?;
    let all = addresses().map_err(failed)?;
    let Ok(index) = netdevice::name_to_index(&socket, name) else {
        let mut indices: Vec<u32> = all.iter().map(|(index, _)| *index).collect();
        indices.sort_unstable();
        indices.dedup();
        let names: Vec<String> =
            indices.into_iter().filter_map(|index| netdevice::index_to_name(&socket, index).ok()).collect();
        return Err(Failure::usage(format_args!(
            "--bind: {name} is neither an address nor a network interface of this machine; the interfaces \
             are {}",
            names.join(", ")
        )));
    };
    best(all.into_iter().filter(|(of, _)| *of == index).map(|(_, address)| address))
        .ok_or_else(|| Failure::new(Code::NETWORK, format_args!("--bind: {name} has no address")))
}

/// IPv4 if there is any, as most peers have it. Link-local addresses need a scope, which `--bind` cannot
/// express.
fn best(addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    };
    addresses.filter(usable).min_by_key(IpAddr::is_ipv6)
}

/// Every address of this machine, each with the index of its interface.
fn addresses() -> io::Result<Vec<(u32, IpAddr)>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(ANSWER_TIMEOUT))?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &request(), SendFlags::empty(), &kernel)?;
    let (mut found, mut buffer) = (Vec::new(), vec![0; 32 << 10]);
    for _ in 0..MAX_ANSWERS {
        let (_, length) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if length == 0 || read(buffer.get(..length).unwrap_or_default(), &mut found) {
            return Ok(found);
        }
    }
    Ok(found)
}

/// Asks for the addresses of both families.
fn request() -> Vec<u8> {
    let length = (HEADER + ADDRESS_HEADER) as u32;
    let mut request = length.to_ne_bytes().to_vec();
    request.extend(GET_ADDRESSES.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.resize(HEADER + ADDRESS_HEADER, 0);
    request
}

/// Adds the addresses in an answer; whether it was the last one.
fn read(mut answer: &[u8], found: &mut Vec<(u32, IpAddr)>) -> bool {
    while let (Some(length), Some(kind)) = (u32_at(answer, 0), u16_at(answer, 4)) {
        let length = length as usize;
        let Some(body) = answer.get(HEADER..length) else { return true };
        match kind {
            DONE => return true,
            NEW_ADDRESS => found.extend(read_address(body)),
            _ => {}
        }
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// The index of an interface and its address. On a point-to-point link the own address is the local
/// one, and the other is that of the far end.
fn read_address(body: &[u8]) -> Option<(u32, IpAddr)> {
    let index = u32_at(body, 4)?;
    let (mut local, mut address) = (None, None);
    let mut rest = body.get(ADDRESS_HEADER..)?;
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length);
        let Some(value) = rest.get(4..length) else { break };
        match kind {
            ATTRIBUTE_LOCAL => local = ip(value),
            ATTRIBUTE_ADDRESS => address = ip(value),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some((index, local.or(address)?))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, index: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![2, 8, 0, 0];
        body.extend(index.to_ne_bytes());
        body.extend(attributes.concat());
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn addresses_are_read_from_the_kernels_answer_whatever_it_is() {
        let eth = message(NEW_ADDRESS, 2, &[attribute(3, b"eth0\0"), attribute(1, &[10, 0, 0, 1])]);
        // The far end of a tunnel stands in the attribute that is the own address elsewhere.
        let tun = message(NEW_ADDRESS, 7, &[attribute(1, &[10, 8, 0, 1]), attribute(2, &[10, 8, 0, 2])]);
        let v6 = message(NEW_ADDRESS, 2, &[attribute(1, &Ipv6Addr::LOCALHOST.octets())]);
        let all = [eth, tun, v6, message(DONE, 0, &[])].concat();
        let mut found = Vec::new();
        assert!(read(&all, &mut found));
        let ips = ["10.0.0.1", "10.8.0.2", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(found, [(2, ips[0]), (7, ips[1]), (2, ips[2])]);
        for cut in 0..all.len() {
            read(&all[..cut], &mut Vec::new());
        }
        for at in 0..all.len() {
            for byte in [0, 1, 3, 0xff] {
                let mut broken = all.clone();
                broken[at] = byte;
                read(&broken, &mut Vec::new());
            }
        }
    }

    #[test]
    fn ipv4_comes_first_and_an_address_of_one_link_never() {
        let ips = |all: &[&str]| best(all.iter().map(|ip| ip.parse().unwrap()));
        assert_eq!(ips(&["fe80::1", "fd00::1", "10.0.0.1"]), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(ips(&["fe80::1", "fd00::1"]), Some("fd00::1".parse().unwrap()));
        assert_eq!(ips(&["fe80::1"]), None);
    }

    #[test]
    fn loopback_is_found_by_its_name() {
        assert_eq!(address_of("lo").unwrap(), IpAddr::from(Ipv4Addr::LOCALHOST));
        let none = address_of("no-such-device").unwrap_err();
        assert_eq!(none.code, Code::OPTION);
        assert!(none.why.unwrap().contains("the interfaces are lo"));
        let elsewhere = own(IpAddr::from([192, 0, 2, 7])).unwrap_err();
        assert!(elsewhere.why.unwrap().contains("192.0.2.7 is not an address of this machine"));
    }
}
