//! Asking a proxy for a connection, or to relay datagrams: SOCKS5 (RFC 1928, 1929) and HTTP CONNECT (RFC 9110,
//! section 9.3.6), over any stream of bytes. What the target is called is told as a name where it is one: the proxy
//! looks it up.
//!
//! Knows no clock and no socket. Invariant: not a byte behind the proxy's answer is read, and never more than
//! [`MAX_HEADER`] of it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};

use crate::base64;

/// Longest answer to CONNECT that is read.
pub const MAX_HEADER: usize = 16 << 10;
/// Longest name and password that SOCKS5 has room for, and longest host name.
pub const MAX_TEXT: usize = 255;

/// A name and a password.
pub type Login<'a> = Option<(&'a str, &'a str)>;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const CONNECT: u8 = 1;
const ASSOCIATE: u8 = 3;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

fn refused(why: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::ConnectionRefused, why.into())
}

fn no_login(why: &str) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, why)
}

fn strange(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the proxy's answer is no SOCKS5: {why}"))
}

/// Asks a SOCKS5 proxy for a connection to this host and port.
///
/// # Errors
/// Those of the stream; [`ErrorKind::ConnectionRefused`] with what the proxy says, [`ErrorKind::PermissionDenied`]
/// where it does not let us in, [`ErrorKind::InvalidData`] for what is no answer, [`ErrorKind::InvalidInput`] for a
/// host or a login that SOCKS5 has no room for.
pub fn socks5(stream: &mut (impl Read + Write), host: &str, port: u16, login: Login<'_>) -> io::Result<()> {
    let request = socks5_request(CONNECT, host, port)?;
    log_in(stream, login)?;
    stream.write_all(&request)?;
    // Where it connects from is of no use.
    read_reply(stream, CONNECT).map(drop)
}

/// Asks a SOCKS5 proxy to relay datagrams for as long as the stream stays open. Where they are to be sent to: an
/// address, none where the proxy names its own or one that is no address, and a port.
///
/// # Errors
/// As [`socks5`]; [`ErrorKind::Unsupported`] where the proxy relays no datagrams, or not ours.
pub fn socks5_associate(
    stream: &mut (impl Read + Write),
    login: Login<'_>,
) -> io::Result<(Option<IpAddr>, u16)> {
    // Where our datagrams come from is not known: a network in between may change it.
    let request = socks5_request(ASSOCIATE, "0.0.0.0", 0)?;
    log_in(stream, login)?;
    stream.write_all(&request)?;
    match read_reply(stream, ASSOCIATE)? {
        (_, 0) => Err(strange("a relay without a port")),
        (relay, port) => Ok((relay.filter(|ip| !ip.is_unspecified()), port)),
    }
}

fn log_in(stream: &mut (impl Read + Write), login: Login<'_>) -> io::Result<()> {
    let request = login.map(|(name, password)| login_request(name, password)).transpose()?;
    let offered: &[u8] =
        if login.is_some() { &[VERSION, 2, NO_LOGIN, LOGIN] } else { &[VERSION, 1, NO_LOGIN] };
    stream.write_all(offered)?;
    let [version, method] = read(stream)?;
    match (version, method, request) {
        (VERSION, NO_LOGIN, _) => Ok(()),
        (VERSION, LOGIN, Some(request)) => {
            stream.write_all(&request)?;
            let [_, outcome] = read(stream)?;
            match outcome {
                0 => Ok(()),
                _ => Err(no_login("the proxy refuses the name or the password")),
            }
        }
        (VERSION, 0xff, None) => Err(no_login("the proxy wants a name and a password")),
        (VERSION, 0xff, Some(_)) => Err(no_login("the proxy takes no name and password")),
        (VERSION, ..) => Err(strange("it chooses what was not offered")),
        _ => Err(strange("its version is another")),
    }
}

/// Reads the answer to a request, and the address in it, if it is one.
fn read_reply(stream: &mut impl Read, command: u8) -> io::Result<(Option<IpAddr>, u16)> {
    let [version, outcome, _, kind] = read(stream)?;
    if version != VERSION {
        return Err(strange("its version is another"));
    }
    if command == ASSOCIATE && matches!(outcome, 2 | 7) {
        let why = if outcome == 2 { "the proxy allows no UDP" } else { "the proxy carries no UDP" };
        return Err(io::Error::new(ErrorKind::Unsupported, why));
    }
    if outcome != 0 {
        return Err(refused(match outcome {
            2 => "the proxy does not allow this connection",
            3 | 4 => "the proxy cannot reach the host",
            5 => "the host refuses the proxy's connection",
            6 => "the proxy's connection took too long",
            7 | 8 => "the proxy cannot do what is asked",
            _ => "the proxy failed",
        }));
    }
    let address = match kind {
        IPV4 => Some(IpAddr::from(read::<4>(stream)?)),
        IPV6 => Some(IpAddr::from(read::<16>(stream)?).to_canonical()),
        NAME => {
            let mut name = vec![0; usize::from(read::<1>(stream)?[0])];
            stream.read_exact(&mut name)?;
            std::str::from_utf8(&name).ok().and_then(|name| name.parse().ok())
        }
        _ => return Err(strange("an address of no known kind")),
    };
    Ok((address, u16::from_be_bytes(read(stream)?)))
}

/// The datagram for a relay that is to send `payload` to this host and port.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for a host that SOCKS5 has no room for.
pub fn wrap(host: &str, port: u16, payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut datagram = Vec::with_capacity(22 + payload.len());
    // Two bytes that are reserved, and the number of a fragment: none.
    datagram.extend([0; 3]);
    put_target(&mut datagram, host, port)?;
    datagram.extend(payload);
    Ok(datagram)
}

/// What a relay has received, and from where, if it names an address. Nothing for what is no datagram of a relay,
/// and for a fragment: each of those is of use only with the others (RFC 1928 permits to drop them).
pub fn unwrap(datagram: &[u8]) -> Option<(Option<SocketAddr>, &[u8])> {
    let (&[_, _, 0, kind], rest) = datagram.split_first_chunk()? else { return None };
    let (ip, rest) = match kind {
        IPV4 => rest.split_first_chunk::<4>().map(|(ip, rest)| (Some(IpAddr::from(*ip)), rest))?,
        IPV6 => {
            rest.split_first_chunk::<16>().map(|(ip, rest)| (Some(IpAddr::from(*ip).to_canonical()), rest))?
        }
        NAME => {
            let (length, rest) = rest.split_first()?;
            let (name, rest) = rest.split_at_checked((*length).into())?;
            (std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()), rest)
        }
        _ => return None,
    };
    let (port, payload) = rest.split_first_chunk()?;
    Some((ip.map(|ip| SocketAddr::new(ip, u16::from_be_bytes(*port))), payload))
}

fn read<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A text behind its length in a byte.
fn put(request: &mut Vec<u8>, text: &str) -> io::Result<()> {
    match u8::try_from(text.len()) {
        Ok(length) if length > 0 => request.push(length),
        _ => {
            let why = "a host, a name or a password that is empty or longer than 255 bytes";
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
    }
    request.extend(text.as_bytes());
    Ok(())
}

fn login_request(name: &str, password: &str) -> io::Result<Vec<u8>> {
    let mut request = vec![1];
    put(&mut request, name)?;
    put(&mut request, password)?;
    Ok(request)
}

fn socks5_request(command: u8, host: &str, port: u16) -> io::Result<Vec<u8>> {
    let mut request = vec![VERSION, command, 0];
    put_target(&mut request, host, port)?;
    Ok(request)
}

/// A host, as an address where it is one, and a port.
fn put_target(request: &mut Vec<u8>, host: &str, port: u16) -> io::Result<()> {
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            request.push(IPV4);
            request.extend(ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            request.push(IPV6);
            request.extend(ip.octets());
        }
        Err(_) => {
            request.push(NAME);
            put(request, host)?;
        }
    }
    request.extend(port.to_be_bytes());
    Ok(())
}

/// Asks an HTTP proxy for a connection to this host and port.
///
/// # Errors
/// As [`socks5`].
pub fn http_connect(
    stream: &mut (impl Read + Write),
    host: &str,
    port: u16,
    login: Login<'_>,
) -> io::Result<()> {
    if host.is_empty() || host.len() > MAX_TEXT || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "a host that is no name"));
    }
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some((name, password)) = login {
        let login = base64::encode(format!("{name}:{password}").as_bytes());
        request.push_str(&format!("Proxy-Authorization: Basic {login}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    let mut left = MAX_HEADER;
    loop {
        let status = read_head(stream, &mut left)?;
        return match status {
            // Something else comes first.
            100..=199 => continue,
            200..=299 => Ok(()),
            403 => Err(refused("the proxy does not allow this connection (403)")),
            407 if login.is_some() => Err(no_login("the proxy refuses the name or the password (407)")),
            407 => Err(no_login("the proxy wants a name and a password (407)")),
            status => Err(refused(format!("the proxy answers with HTTP status {status}"))),
        };
    }
}

/// Reads one head, byte by byte: what is behind it belongs to the host. Its status.
fn read_head(stream: &mut impl Read, left: &mut usize) -> io::Result<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if *left == 0 {
            return Err(io::Error::new(ErrorKind::InvalidData, "the proxy's answer is too long"));
        }
        *left -= 1;
        head.push(read::<1>(stream)?[0]);
        // What does not begin so is told at once, however long it goes on.
        if head.len() <= 7 && !b"HTTP/1.".starts_with(&head[..]) {
            return Err(io::Error::new(ErrorKind::InvalidData, "the proxy does not speak HTTP"));
        }
    }
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    let is_framed = head.get(8) == Some(&b' ') && matches!(head.get(12), Some(b' ' | b'\r' | b'\n'));
    let status = status.filter(|_| is_framed).and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the proxy's answer has no status"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A proxy that says this, a byte at a time, and what it was told.
    struct Script<'a> {
        says: &'a [u8],
        told: Vec<u8>,
    }

    impl Read for Script<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let (Some((byte, rest)), Some(place)) = (self.says.split_first(), buf.first_mut()) else {
                return Ok(0);
            };
            (*place, self.says) = (*byte, rest);
            Ok(1)
        }
    }

    impl Write for Script<'_> {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.told.extend_from_slice(buf);
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What came of it, what the proxy was told, and how many bytes were left unread.
    fn by_socks(says: &[u8], host: &str, login: Login<'_>) -> (Result<(), String>, Vec<u8>, usize) {
        let mut script = Script { says, told: Vec::new() };
        let done = socks5(&mut script, host, 0x1234, login).map_err(|error| error.to_string());
        (done, script.told, script.says.len())
    }

    fn by_http(says: &[u8], host: &str, login: Login<'_>) -> (Result<(), String>, String, usize) {
        let mut script = Script { says, told: Vec::new() };
        let done = http_connect(&mut script, host, 80, login).map_err(|error| error.to_string());
        (done, String::from_utf8(script.told).unwrap(), script.says.len())
    }

    #[test]
    fn socks5_is_asked_for_addresses_and_names_and_reads_no_byte_too_many() {
        let answer = b"\x05\0\x05\0\0\x01\x01\x02\x03\x04\0\x50behind";
        let (done, told, left) = by_socks(answer, "10.0.0.1", None);
        assert_eq!(
            (done, &told[..], left),
            (Ok(()), &b"\x05\x01\0\x05\x01\0\x01\x0a\0\0\x01\x12\x34"[..], 6)
        );
        let answer = [&b"\x05\x02\x01\0\x05\0\0\x03\x04host\0\x50"[..], b"x"].concat();
        let (done, told, left) = by_socks(&answer, "a.example", Some(("me", "pw")));
        let expected = b"\x05\x02\0\x02\x01\x02me\x02pw\x05\x01\0\x03\x09a.example\x12\x34";
        assert_eq!((done, &told[..], left), (Ok(()), &expected[..], 1));
        let answer = [&b"\x05\0\x05\0\0\x04"[..], &[0; 18]].concat();
        let (done, told, left) = by_socks(&answer, "::1", None);
        assert_eq!((done, left, told.len()), (Ok(()), 0, 3 + 4 + 16 + 2));
    }

    #[test]
    fn what_socks5_answers_otherwise_has_a_reason() {
        let login = Some(("me", "pw"));
        for (says, login, why) in [
            (&b"\x05\xff"[..], None, "wants a name and a password"),
            (b"\x05\xff", login, "takes no name and password"),
            (b"\x05\x02", None, "chooses what was not offered"),
            (b"\x05\x01", login, "chooses what was not offered"),
            (b"\x04\0", None, "version"),
            (b"\x05\x02\x01\x01", login, "refuses the name or the password"),
            (b"\x05\0\x05\x02\0\x01", None, "does not allow"),
            (b"\x05\0\x05\x07\0\x01", None, "cannot do what is asked"),
            (b"\x05\0\x05\x63\0\x01", None, "the proxy failed"),
            (b"\x05\0\x04\0\0\x01", None, "version"),
            (b"\x05\0\x05\0\0\x02", None, "an address of no known kind"),
            (b"\x05\0\x05\0\0\x03\xffshort", None, "failed to fill"),
            (b"HTTP/1.1 400", None, "version"),
            (b"", None, "failed to fill"),
        ] {
            let error = by_socks(says, "h", login).0.unwrap_err();
            assert!(error.contains(why), "{error}, not {why}");
        }
        let long = "x".repeat(256);
        assert!(by_socks(b"\x05\0", &long, None).0.is_err() && by_socks(b"\x05\0", "", None).0.is_err());
        assert_eq!(by_socks(b"\x05\0", &long, None).1, b"", "nothing is sent that cannot be asked");
        assert_eq!(by_socks(b"\x05\x02", "h", Some((&long, "pw"))).1, b"");
    }

    type Relay = (Option<IpAddr>, u16);

    fn associated(says: &[u8]) -> (Result<Relay, String>, Vec<u8>) {
        let mut script = Script { says, told: Vec::new() };
        let done = socks5_associate(&mut script, None).map_err(|error| error.to_string());
        (done, script.told)
    }

    #[test]
    fn a_relay_is_where_the_proxy_says_or_at_the_proxy_itself() {
        let at = |reply: &[u8]| associated(&[b"\x05\0\x05\0\0", reply].concat());
        let (done, told) = at(b"\x01\x01\x02\x03\x04\x12\x34");
        assert_eq!(done, Ok((Some([1, 2, 3, 4].into()), 0x1234)));
        assert_eq!(told, b"\x05\x01\0\x05\x03\0\x01\0\0\0\0\0\0");
        assert_eq!(at(b"\x01\0\0\0\0\x12\x34").0, Ok((None, 0x1234)));
        assert_eq!(at(b"\x03\x07relay.x\x12\x34").0, Ok((None, 0x1234)), "no name is looked up");
        assert_eq!(at(b"\x03\x071.2.3.4\x12\x34").0, Ok((Some([1, 2, 3, 4].into()), 0x1234)));
        let mapped = [&b"\x04"[..], &[0; 10], &[255, 255, 1, 2, 3, 4, 0, 9]].concat();
        assert_eq!(at(&mapped).0, Ok((Some([1, 2, 3, 4].into()), 9)));
        assert!(at(b"\x01\x01\x02\x03\x04\0\0").0.unwrap_err().contains("without a port"));
        assert_eq!(associated(b"\x05\0\x05\x07\0\x01").0.unwrap_err(), "the proxy carries no UDP");
        assert_eq!(associated(b"\x05\0\x05\x02\0\x01").0.unwrap_err(), "the proxy allows no UDP");
    }

    #[test]
    fn a_datagram_keeps_its_bytes_and_a_fragment_is_dropped() {
        for (host, shown) in [("1.2.3.4", true), ("2001:db8::1", true), ("a.example", false)] {
            let wrapped = wrap(host, 80, b"d1:qe").unwrap();
            let from = shown.then(|| SocketAddr::new(host.parse().unwrap(), 80));
            assert_eq!(unwrap(&wrapped), Some((from, &b"d1:qe"[..])));
            for cut in 0..wrapped.len() - 5 {
                assert_eq!(unwrap(&wrapped[..cut]), None);
            }
            let mut fragment = wrapped.clone();
            fragment[2] = 1;
            assert_eq!(unwrap(&fragment), None);
        }
        assert_eq!(wrap("1.2.3.4", 80, b"x").unwrap(), b"\0\0\0\x01\x01\x02\x03\x04\0\x50x");
        assert!(wrap("", 80, b"x").is_err() && unwrap(b"\0\0\0\x02\x01\x02\x03\x04\0\x50").is_none());
        assert_eq!(unwrap(b"\0\0\0\x03\x02\xff\xfe\0\x50x"), Some((None, &b"x"[..])));
    }

    #[test]
    fn connect_names_the_host_and_reads_no_byte_too_many() {
        let says = b"HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n\x13Bit";
        let (done, told, left) = by_http(says, "a.example", Some(("Aladdin", "open sesame")));
        assert_eq!((done, left), (Ok(()), 4));
        let expected = "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\nProxy-Authorization: Basic \
                        QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
        assert_eq!(told, expected);
        assert!(by_http(b"HTTP/1.1 200\r\n\r\n", "::1", None).1.starts_with("CONNECT [::1]:80 "));
    }

    #[test]
    fn what_an_http_proxy_answers_otherwise_has_a_reason() {
        for (says, why) in [
            (&b"HTTP/1.1 403 No\r\n\r\n"[..], "403"),
            (b"HTTP/1.1 407 Who\r\n\r\n", "wants a name and a password"),
            (b"HTTP/1.1 502 Bad\r\n\r\n", "502"),
            (b"HTTP/1.1 99999 x\r\n\r\n", "no status"),
            (b"HTTP/1.1\r\n\r\n", "no status"),
            (b"SSH-2.0-OpenSSH", "does not speak HTTP"),
            (b"\x05\0", "does not speak HTTP"),
            (b"HTTP/1.1 200 OK\r\n", "failed to fill"),
        ] {
            let error = by_http(says, "h", None).0.unwrap_err();
            assert!(error.contains(why), "{error}, not {why}");
        }
        let endless = [&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'x'; MAX_HEADER]].concat();
        let (done, _, left) = by_http(&endless, "h", None);
        assert_eq!((done.unwrap_err().as_str(), left), ("the proxy's answer is too long", 20));
        let again = b"HTTP/1.1 100 x\r\n\r\n".repeat(2000);
        assert_eq!(by_http(&again, "h", None).0.unwrap_err(), "the proxy's answer is too long");
        for host in ["a b", "a\r\nX: y", ""] {
            assert_eq!(by_http(b"", host, None).1, "", "nothing is sent");
        }
    }

    /// Whatever a proxy says, it is an answer or an error, and never more of it is read than there may be.
    #[test]
    fn any_answer_ends() {
        let mut random = Random::seeded(1);
        let right = [&b"\x05\x02\x01\0\x05\0\0\x03\x04host\0\x50"[..], b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"];
        for _ in 0..20_000 {
            let mut says = right[random.below(2) as usize].to_vec();
            for _ in 0..random.below(4) {
                let at = random.below(says.len() as u64) as usize;
                says[at] = random.below(256) as u8;
            }
            says.truncate(random.below(says.len() as u64 + 1) as usize);
            let _ = by_socks(&says, "h", Some(("me", "pw")));
            let _ = by_http(&says, "h", None);
            let _ = (associated(&says), unwrap(&says));
        }
    }
}
