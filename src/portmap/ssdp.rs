//! The search for a UPnP gateway (SSDP), and what one answers. A form: text to values and back.
//!
//! Invariant: a [`Location`] names an address in digits, never a host name, and its path is one word of
//! printable ASCII, so that nothing in it can end a line of a request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The UDP port of searches.
pub const PORT: u16 = 1900;
/// The group of searches over IPv4.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
/// The group of searches over IPv6.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xc);
/// What is searched for. A gateway of the second version answers to the first as well, but not every one
/// answers to the kind of device.
pub const TARGETS: [&str; 3] = [
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "upnp:rootdevice",
];

/// Longest path of a location.
const MAX_PATH: usize = 512;

/// Where a document is, or where requests go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The address and port.
    pub addr: SocketAddr,
    /// The path and query, from the first slash.
    pub path: String,
}

/// A search for one of [`TARGETS`], sent to `to`.
pub fn search(target: &str, to: SocketAddr) -> Vec<u8> {
    format!("M-SEARCH * HTTP/1.1\r\nHOST: {to}\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: {target}\r\n\r\n")
        .into_bytes()
}

/// The location in an answer to a search.
pub fn decode(datagram: &[u8]) -> Option<Location> {
    let text = std::str::from_utf8(datagram).ok()?;
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    let mut status = lines.next()?.split(' ');
    if !status.next()?.starts_with("HTTP/1.") || status.next()? != "200" {
        return None;
    }
    let location = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then_some(value.trim())
    })?;
    Location::parse(location)
}

impl Location {
    /// Reads `http://ADDRESS[:PORT][/PATH]`.
    pub fn parse(url: &str) -> Option<Location> {
        let rest = url.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).and(url.get(7..))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (ip, port): (IpAddr, &str) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (ip, port) = v6.split_once(']')?;
                // A link-local address may name its interface, which is one of the gateway's.
                let ip = ip.split('%').next()?;
                (IpAddr::V6(ip.parse().ok()?), port)
            }
            None => {
                let end = authority.find(':').unwrap_or(authority.len());
                let (ip, port) = authority.split_at(end);
                (IpAddr::V4(ip.parse().ok()?), port)
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => 80,
            None => return None,
            Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??,
        };
        if port == 0 {
            return None;
        }
        Some(Location { addr: SocketAddr::new(ip, port), path: as_path(path)? })
    }

    /// What a document at this place calls `url`: absolute, or from the root of the place, or beside it.
    pub fn join(&self, url: &str) -> Option<Location> {
        if url.contains("://") {
            return Location::parse(url);
        }
        let directory = self.path.split(['?', '#']).next()?.rsplit_once('/').map_or("", |(start, _)| start);
        let path = if url.starts_with('/') { as_path(url)? } else { as_path(&format!("{directory}/{url}"))? };
        // A second slash would begin the name of another host.
        (!path.starts_with("//")).then_some(Location { addr: self.addr, path })
    }
}

/// A path that can stand in a request.
fn as_path(path: &str) -> Option<String> {
    let path = path.split('#').next()?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    (path.len() <= MAX_PATH && path.bytes().all(|byte| byte.is_ascii_graphic())).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<(String, String)> {
        Location::parse(text).map(|location| (location.addr.to_string(), location.path))
    }

    #[test]
    fn an_answer_names_where_the_description_is() {
        // As miniupnpd 2.3.1 sends it.
        let answer = b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n\
            ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\
            USN: uuid:11111111-2222-3333-4444-555555555555::urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\
            EXT:\r\nSERVER: Debian/12 UPnP/1.1 MiniUPnPd/2.3.1\r\n\
            LOCATION: http://192.168.77.1:5000/rootDesc.xml\r\n\
            OPT: \"http://schemas.upnp.org/upnp/1/0/\"; ns=01\r\n01-NLS: 1790000000\r\n\
            BOOTID.UPNP.ORG: 1790000000\r\nCONFIGID.UPNP.ORG: 1337\r\n\r\n";
        let location = decode(answer).unwrap();
        let addr = SocketAddr::from(([192, 168, 77, 1], 5000));
        assert_eq!(location, Location { addr, path: "/rootDesc.xml".into() });
        for none in [
            &b""[..],
            b"HTTP/1.1 404 Not Found\r\nLOCATION: http://1.2.3.4/\r\n\r\n",
            b"NOTIFY * HTTP/1.1\r\nLOCATION: http://1.2.3.4/\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nLOCATION: http://1.2.3.4/\r\n",
            b"HTTP/1.1 200 OK\r\nLOCATION: http://router.lan/\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nLOCATION: \xff\r\n\r\n",
        ] {
            assert_eq!(decode(none), None, "{}", String::from_utf8_lossy(none));
        }
    }

    #[test]
    fn a_location_is_an_address_in_digits() {
        let read = |text| at(text).unwrap();
        assert_eq!(read("http://1.2.3.4:5/a?b#c"), ("1.2.3.4:5".into(), "/a?b".into()));
        assert_eq!(read("HTTP://1.2.3.4"), ("1.2.3.4:80".into(), "/".into()));
        assert_eq!(read("http://1.2.3.4?x"), ("1.2.3.4:80".into(), "/?x".into()));
        assert_eq!(read("http://[fe80::1%25eth0]:49152/d.xml"), ("[fe80::1]:49152".into(), "/d.xml".into()));
        for bad in [
            "",
            "https://1.2.3.4/",
            "http://",
            "http://localhost/",
            "http://1.2.3.4@5.6.7.8/",
            "http://5.6.7.8:80@1.2.3.4/",
            "http://0x7f.1/",
            "http://1.2.3.4:/",
            "http://1.2.3.4:0/",
            "http://1.2.3.4:+80/",
            "http://1.2.3.4:65536/",
            "http://1.2.3.4/a b",
            "http://1.2.3.4/a\r\nX: y",
            "http://[::1/",
            "http://[::1]x/",
            "http\u{e9}//1.2.3.4/",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
        assert_eq!(at(&format!("http://1.2.3.4/{}", "a".repeat(600))), None);
    }

    #[test]
    fn a_path_is_taken_from_where_its_document_is() {
        let base = Location::parse("http://1.2.3.4:5/x/d.xml?q=/z").unwrap();
        let path = |url| base.join(url).map(|joined| joined.path);
        assert_eq!(path("/ctl").as_deref(), Some("/ctl"));
        assert_eq!(path("ctl").as_deref(), Some("/x/ctl"));
        assert_eq!(path("").as_deref(), Some("/x/"));
        assert_eq!(path("//5.6.7.8/ctl"), None);
        let other = base.join("http://5.6.7.8/ctl").unwrap();
        assert_eq!(other.addr, SocketAddr::from(([5, 6, 7, 8], 80)));
    }

    #[test]
    fn a_search_names_its_target() {
        let to = SocketAddr::from((GROUP_V4, PORT));
        let text = String::from_utf8(search(TARGETS[0], to)).unwrap();
        let expected = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
                        ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";
        assert_eq!(text, expected);
    }
}
