//! What proxies answer, and what their relays send: it is an answer or an error however it is cut, and nothing behind
//! it is read.

use std::io::{self, Read, Write};

use bitwren::internals::transport::proxied::{self, Login, MAX_HEADER};

use super::{Script, is_one_line};

/// A proxy that says this, at most so much at a time, and takes what it is told.
struct Stream<'a> {
    says: &'a [u8],
    part: usize,
    told: Vec<u8>,
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let length = buf.len().min(self.part).min(self.says.len());
        let (taken, rest) = self.says.split_at(length);
        buf[..length].copy_from_slice(taken);
        self.says = rest;
        Ok(length)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.told.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks twice, once with a byte at a time; the answer, or what it was not, and how many bytes were read.
fn ask<T: PartialEq + std::fmt::Debug>(
    says: &[u8],
    ask: impl Fn(&mut Stream<'_>) -> io::Result<T>,
) -> (Result<T, String>, usize) {
    let outcomes = [1, usize::MAX].map(|part| {
        let mut stream = Stream { says, part, told: Vec::new() };
        let said = ask(&mut stream).map_err(|error| error.to_string());
        assert!(said.as_ref().err().is_none_or(|why| is_one_line(why)));
        assert!(stream.told.len() < 2048);
        (said, says.len() - stream.says.len())
    });
    let [once, again] = outcomes;
    // What fails in the middle of a part has read the part.
    assert_eq!(once.0, again.0);
    assert!(once.0.is_err() || once.1 == again.1);
    once
}

fn login(script: &mut Script<'_>) -> Login<'static> {
    script.bit().then_some(("name", "password"))
}

/// SOCKS5: connections, relays and datagrams.
pub fn socks(data: &[u8]) {
    let mut script = Script::new(data);
    let login = login(&mut script);
    let says = &data[data.len().min(1)..];
    let (_, read) = ask(says, |stream| proxied::socks5(stream, "a.example", 80, login));
    assert!(read <= 2 + 2 + 4 + 1 + 255 + 2);
    let (relay, _) = ask(says, |stream| proxied::socks5_associate(stream, login));
    assert!(
        relay.is_err() || relay.is_ok_and(|(ip, port)| port != 0 && ip.is_none_or(|ip| !ip.is_unspecified()))
    );
    if let Some((from, payload)) = proxied::unwrap(says) {
        assert!(payload.len() < says.len());
        if let Some(from) = from {
            let again = proxied::wrap(&from.ip().to_string(), from.port(), payload).unwrap();
            assert_eq!(proxied::unwrap(&again), Some((Some(from), payload)));
        }
    }
}

/// HTTP with CONNECT.
pub fn http_connect(data: &[u8]) {
    let mut script = Script::new(data);
    let login = login(&mut script);
    let says = &data[data.len().min(1)..];
    let (said, read) = ask(says, |stream| proxied::http_connect(stream, "a.example", 80, login));
    assert!(read <= MAX_HEADER);
    assert!(said.is_err() || says[..read].ends_with(b"\n"));
}
