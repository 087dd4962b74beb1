//! Parses the values of options. An error says what is expected; the parser puts the option and the value
//! in front of it.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bitwren::{AddressFilter, Budget, EncryptionPolicy, InfoHash, Proxy};

use super::settings::{Bind, FileOrder, ProxyChoice};
use crate::cli::output::units;

/// Text. Command lines may hold other bytes.
pub fn text(value: &OsStr) -> Result<String, String> {
    value.to_str().map(str::to_owned).ok_or_else(|| "UTF-8 text".to_owned())
}

/// Text that is not empty.
pub fn some_text(value: &OsStr) -> Result<String, String> {
    text(value)
        .ok()
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| "text; it must not be blank".to_owned())
}

/// A path. An empty one is most likely a variable that was not set.
pub fn path(value: &OsStr) -> Result<std::path::PathBuf, String> {
    if value.is_empty() { Err("a path".to_owned()) } else { Ok(value.into()) }
}

/// The number of a file and its new path.
pub fn rename(value: &OsStr) -> Result<(u32, std::path::PathBuf), String> {
    let wrong = || "a renaming; write N=NAME with the number of a file and a path below --dir".to_owned();
    let (number, path) = value.to_str().and_then(|text| text.split_once('=')).ok_or_else(wrong)?;
    let number = number.parse().ok().filter(|&number| number > 0).ok_or_else(wrong)?;
    let plain = path.split('/').all(|name| !matches!(name, "" | "." | "..") && name.len() <= 255);
    if plain && !path.contains(char::is_control) { Ok((number, path.into())) } else { Err(wrong()) }
}

/// A number within a range.
pub fn number<T>(value: &OsStr, range: std::ops::RangeInclusive<T>) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let read = value.to_str().and_then(|text| text.parse().ok());
    read.filter(|number| range.contains(number))
        .ok_or_else(|| format!("a number from {} to {}", range.start(), range.end()))
}

/// An amount of memory in bytes.
pub fn memory(value: &OsStr) -> Result<u64, String> {
    let bytes = value.to_str().and_then(units::parse_size);
    bytes
        .filter(|&bytes| bytes == 0 || bytes >= Budget::LEAST)
        .ok_or_else(|| "an amount of memory; write 4M or more, such as 16M, or 0 for no limit".to_owned())
}

/// A rate in bytes a second.
pub fn rate(value: &OsStr) -> Result<u64, String> {
    value
        .to_str()
        .and_then(units::parse_size)
        .ok_or_else(|| "a rate; write bytes a second such as 500K or 2M (MiB/s), 0 for no limit".to_owned())
}

/// A duration.
pub fn duration(value: &OsStr) -> Result<Duration, String> {
    value
        .to_str()
        .and_then(units::parse_duration)
        .ok_or_else(|| "a duration; write seconds such as 90, or parts such as 2m or 1h30m".to_owned())
}

/// A duration whose plain number is minutes.
pub fn minutes(value: &OsStr) -> Result<Duration, String> {
    let text = value.to_str().unwrap_or_default();
    let plain = units::parse_decimal(text).filter(|minutes| *minutes < 1e9);
    plain
        .map(|minutes| Duration::from_millis((minutes * 60_000.0) as u64))
        .or_else(|| units::parse_duration(text))
        .ok_or_else(|| "a time; write minutes such as 90, or parts such as 45s or 1h30m".to_owned())
}

/// A share ratio.
pub fn ratio(value: &OsStr) -> Result<f64, String> {
    let ratio = value.to_str().and_then(units::parse_decimal);
    ratio.ok_or_else(|| "a ratio; write a number such as 1 or 1.5".to_owned())
}

/// The length of a piece.
pub fn piece_length(value: &OsStr) -> Result<u32, String> {
    let length = value.to_str().and_then(units::parse_size).filter(|length| length.is_power_of_two());
    length
        .filter(|length| (16 << 10..=2 << 30).contains(length))
        .and_then(|length| u32::try_from(length).ok())
        .ok_or_else(|| "a piece length; write a power of two from 16K to 2G".to_owned())
}

/// The name of a network device, which need not be there yet.
pub fn device(value: &OsStr) -> Result<String, String> {
    let name = value.to_str().unwrap_or_default();
    if matches!(name, "." | "..") || !is_interface(name) {
        return Err("the name of a network device; write one such as wg0 or eth0".to_owned());
    }
    Ok(name.to_owned())
}

/// A proxy, or none.
pub fn proxy(value: &OsStr) -> Result<ProxyChoice, String> {
    let text = value.to_str().unwrap_or_default();
    if text.eq_ignore_ascii_case("none") {
        return Ok(ProxyChoice::Direct);
    }
    let wanted = "a proxy; write socks5://HOST:PORT or http://HOST:PORT, with NAME:PASSWORD@ before HOST if it \
                  wants them, or none";
    Proxy::parse(text).map(ProxyChoice::Through).map_err(|_| wanted.to_owned())
}

/// A differentiated services code point, by its number or its name.
pub fn dscp(value: &OsStr) -> Result<u8, String> {
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let digits = |from: &str, most: u8| {
        let number = text.strip_prefix(from)?.parse::<u8>().ok()?;
        (number <= most && text.len() == from.len() + number.to_string().len()).then_some(number)
    };
    // Assured forwarding has a class, 1 to 4, and how readily it is dropped, 1 to 3.
    let assured = || digits("af", 43).filter(|n| (1..=4).contains(&(n / 10)) && (1..=3).contains(&(n % 10)));
    let named = match &*text {
        "le" => Some(1),
        "be" => Some(0),
        "va" => Some(44),
        "ef" => Some(46),
        _ => None,
    };
    named
        .or_else(|| digits("cs", 7).map(|class| class * 8))
        .or_else(|| assured().map(|n| n / 10 * 8 + n % 10 * 2))
        .or_else(|| digits("", 63))
        .ok_or_else(|| {
            "a traffic class; write a number from 0 to 63, or le, be, cs0 to cs7, af11 to af43, va or ef"
                .to_owned()
        })
}

/// The name of a TCP congestion control, which the kernel may know.
pub fn congestion(value: &OsStr) -> Result<String, String> {
    let name = value.to_str().unwrap_or_default();
    if name.is_empty() || name.len() > 15 || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the name of a TCP congestion control; write one such as cubic or bbr".to_owned());
    }
    Ok(name.to_owned())
}

/// Whether Linux takes this name for a network interface.
fn is_interface(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
    !name.is_empty() && name.len() <= 15 && !name.contains(odd)
}

/// An address of this machine or a network interface, which is looked up later.
pub fn bind(value: &OsStr) -> Result<Bind, String> {
    if let Ok(address) = address(value) {
        return Ok(Bind::Address(address));
    }
    let name = value.to_str().unwrap_or_default();
    if !is_interface(name) {
        return Err("an address such as 192.168.1.5 or ::1, or the name of a network interface such as wg0"
            .to_owned());
    }
    Ok(Bind::Interface(name.to_owned()))
}

/// A duration after which something ends; 0 is no limit, as for rates.
pub fn limit(value: &OsStr) -> Result<Option<Duration>, String> {
    duration(value).map(|limit| Some(limit).filter(|limit| !limit.is_zero()))
}

/// An order of files.
pub fn order(value: &OsStr) -> Result<FileOrder, String> {
    match value.to_str() {
        Some("path") => Ok(FileOrder::Path),
        Some("component") => Ok(FileOrder::Component),
        _ => Err("an order; write path or component".to_owned()),
    }
}

/// How connections to peers are encrypted.
pub fn encryption(value: &OsStr) -> Result<EncryptionPolicy, String> {
    match value.to_str() {
        Some("off") => Ok(EncryptionPolicy::Off),
        Some("allow") => Ok(EncryptionPolicy::Allow),
        Some("prefer") => Ok(EncryptionPolicy::Prefer),
        Some("require") => Ok(EncryptionPolicy::Require),
        _ => Err("a policy; write off, allow, prefer or require".to_owned()),
    }
}

/// An IP address.
pub fn address(value: &OsStr) -> Result<IpAddr, String> {
    let text = value.to_str().unwrap_or_default();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "an IP address; write one of this machine such as 192.168.1.5 or ::1".to_owned())
}

/// An address and a port to serve the RPC at.
pub fn rpc_address(value: &OsStr) -> Result<SocketAddr, String> {
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const PORT: u16 = 9091;
    let wanted = || "an IP address, a port, or both".to_owned();
    let text = value.to_str().ok_or_else(wanted)?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT));
    let port = || text.parse().map(|port: u16| SocketAddr::new(HERE, port));
    address.or_else(|_| text.parse()).or_else(|_| port()).map_err(|_| wanted())
}

/// The rights that new files do not get.
pub fn umask(value: &OsStr) -> Result<u32, String> {
    let text =
        value.to_str().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let mask = text.and_then(|text| u32::from_str_radix(text, 8).ok()).filter(|mask| *mask <= 0o777);
    mask.ok_or_else(|| "three octal digits such as 022".to_owned())
}

/// An address, a range of addresses or a network.
pub fn addresses(value: &OsStr) -> Result<AddressFilter, String> {
    let read = value.to_str().and_then(|text| text.parse().ok());
    read.ok_or_else(|| {
        "an address, a range or a network; write 10.0.0.1, 10.0.0.1-10.0.0.9 or 2001:db8::/32".to_owned()
    })
}

/// The name or address of a host, as it stands in a URL: an IPv6 address in brackets.
pub fn host(value: &OsStr) -> Result<String, String> {
    let text = value.to_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match address(value) {
        Ok(IpAddr::V6(address)) => Ok(format!("[{address}]")),
        Ok(IpAddr::V4(address)) => Ok(address.to_string()),
        Err(_) if !text.is_empty() && text.len() <= 253 && text.chars().all(plain) => Ok(text.to_owned()),
        Err(_) => Err("a host; write a name such as nas.local or an address, without a port".to_owned()),
    }
}

/// The host and port of a peer; looked up later.
pub fn peer(value: &OsStr) -> Result<String, String> {
    let text = value.to_str().unwrap_or_default();
    let good = text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty()
            && (bracketed || !host.contains(':'))
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if good {
        Ok(text.to_owned())
    } else {
        Err("a peer; write HOST:PORT, or [ADDRESS]:PORT for IPv6".to_owned())
    }
}

/// The announce URL of a tracker.
pub fn tracker(value: &OsStr) -> Result<String, String> {
    url(value, &["http", "https", "udp"])
        .ok_or_else(|| "a tracker; write a URL that starts with http://, https:// or udp://".to_owned())
}

/// A tier of trackers: announce URLs separated by commas. A comma is part of a URL unless another URL
/// follows it.
pub fn tier(value: &OsStr) -> Result<Vec<String>, String> {
    let mut urls: Vec<String> = Vec::new();
    for part in value.to_str().unwrap_or_default().split(',') {
        match urls.last_mut() {
            Some(url) if tracker(OsStr::new(part)).is_err() => {
                url.push(',');
                url.push_str(part);
            }
            _ => urls.push(part.to_owned()),
        }
    }
    urls.iter().map(|url| tracker(OsStr::new(url))).collect()
}

/// The URL of a web server.
pub fn web(value: &OsStr) -> Result<String, String> {
    url(value, &["http", "https"]).ok_or_else(|| "a URL that starts with http:// or https://".to_owned())
}

fn url(value: &OsStr, schemes: &[&str]) -> Option<String> {
    let text = value.to_str()?;
    let (scheme, rest) = text.split_once("://")?;
    let known = schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    (known && clean && !rest.is_empty() && !rest.starts_with('/')).then(|| text.to_owned())
}

/// An info-hash.
pub fn info_hash(value: &OsStr) -> Result<InfoHash, String> {
    let read = value.to_str().and_then(|text| InfoHash::from_hex(text).ok());
    read.ok_or_else(|| "an info-hash; write its 40 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    #[test]
    fn peers_have_a_host_and_a_port() {
        for good in ["10.0.0.1:6881", "host.example:1", "[::1]:65535"] {
            assert_eq!(peer(os(good)).unwrap(), good);
        }
        for bad in ["", ":1", "host", "host:", "host:0", "host:65536", "::1:80", "[::1]"] {
            assert!(peer(os(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_renaming_is_a_number_and_a_path_below() {
        assert_eq!(rename(os("3=a=b/c d.txt")), Ok((3, "a=b/c d.txt".into())));
        let long = format!("1={}", "a".repeat(256));
        for bad in ["", "1", "0=a", "-1=a", "x=a", "1=", "1=/a", "1=../a", "1=a/..", "1=a//b", "1=a\n", &long]
        {
            assert!(rename(os(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_have_a_scheme_and_a_host() {
        assert!(tracker(os("UDP://t.example:80")).is_ok() && web(os("https://x/y")).is_ok());
        for bad in ["", "t.example", "ftp://x", "http://", "http:///x", "http://a b", "http://a\nb"] {
            assert!(tracker(os(bad)).is_err(), "{bad}");
        }
        assert!(web(os("udp://x")).is_err());
        let two = tier(os("http://a/x,y,udp://b:1")).unwrap();
        assert_eq!(two, ["http://a/x,y", "udp://b:1"]);
        assert!(tier(os("")).is_err() && tier(os("a,http://b")).is_err());
    }

    #[test]
    fn numbers_are_held_to_their_range() {
        assert_eq!(number(os("10"), 1..=10u32), Ok(10));
        assert_eq!(number(os("0"), 1..=10u32).unwrap_err(), "a number from 1 to 10");
        assert_eq!(minutes(os("1.5")), Ok(Duration::from_secs(90)));
        assert_eq!(minutes(os("45s")), Ok(Duration::from_secs(45)));
        assert!(ratio(os("-1")).is_err() && ratio(os("nan")).is_err());
        assert_eq!(piece_length(os("256K")), Ok(1 << 18));
        assert_eq!(piece_length(os("2G")), Ok(1 << 31));
        assert!(piece_length(os("100K")).is_err() && piece_length(os("4G")).is_err());
        assert_eq!(bind(os("[::1]")), Ok(Bind::Address(std::net::Ipv6Addr::LOCALHOST.into())));
        assert_eq!(bind(os("wg0")), Ok(Bind::Interface("wg0".to_owned())));
        for (text, point) in
            [("le", 1), ("BE", 0), ("cs1", 8), ("af11", 10), ("af43", 38), ("ef", 46), ("63", 63)]
        {
            assert_eq!(dscp(os(text)), Ok(point), "{text}");
        }
        assert!(
            ["", "64", "cs8", "cs01", "af44", "af50", "af1", "+1", "-1"]
                .iter()
                .all(|bad| dscp(os(bad)).is_err())
        );
        assert!(congestion(os("cubic")).is_ok() && congestion(os("a b")).is_err());
        assert_eq!(device(os("wg0")), Ok("wg0".to_owned()));
        assert!(["", "a b", "..", "a/b", "sixteen-letters-"].iter().all(|bad| device(os(bad)).is_err()));
        assert!(["", "a b", "::1::", "a/b", "sixteen-letters-"].iter().all(|bad| bind(os(bad)).is_err()));
        assert_eq!((limit(os("0")), limit(os("2m"))), (Ok(None), Ok(Some(Duration::from_secs(120)))));
        assert!(address(os("[::1]")).is_ok() && address(os("localhost")).is_err());
    }
}
