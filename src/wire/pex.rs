//! The message by which peers tell one another which peers they are connected to (BEP 11).
//!
//! Never does: judge an address. The peer list decides which can be used.

use std::net::SocketAddr;

use super::extended::dictionary;
use crate::bencode::Encoder;
use crate::tracker::compact;
use crate::violation::Violation;

/// The longest message that is read, in bytes.
pub const MAX_PEX_MESSAGE: usize = 16 * 1024;
/// The most addresses of a message that are read as added, and as dropped; further ones are ignored. BEP 11
/// allows 50, and more in the first message.
pub const MAX_READ: usize = 200;
/// The most addresses that are sent as added, and as dropped, in one message.
pub const MAX_SENT: usize = 50;

/// The flags of a peer that is added. Bits without a meaning are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// It would rather encrypt.
    pub const ENCRYPTION: u8 = 0x01;
    /// It is a seed, or wants nothing more.
    pub const SEED: u8 = 0x02;
    /// It speaks uTP.
    pub const UTP: u8 = 0x04;
    /// It passes on a call to peers that cannot be reached.
    pub const HOLEPUNCH: u8 = 0x08;
    /// The sender reached it there.
    pub const REACHABLE: u8 = 0x10;

    /// Whether it would rather encrypt.
    pub fn prefers_encryption(self) -> bool {
        self.0 & Self::ENCRYPTION != 0
    }

    /// Whether it is a seed, or wants nothing more.
    pub fn is_seed(self) -> bool {
        self.0 & Self::SEED != 0
    }
}

/// Peers that the sender connected to, and from which it disconnected. Each list is IPv4 first and IPv6 after
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PexMessage {
    /// Peers connected since the last message.
    pub added: Vec<(SocketAddr, Flags)>,
    /// Peers no longer connected.
    pub dropped: Vec<SocketAddr>,
}

impl PexMessage {
    /// The payload of the `extended` message. A list that is empty is left out, but for `added`.
    pub fn encode(&self) -> Vec<u8> {
        let (mut added, mut flags, mut dropped) = <([Vec<u8>; 2], [Vec<u8>; 2], [Vec<u8>; 2])>::default();
        for &(addr, flag) in &self.added {
            let family = usize::from(addr.is_ipv6());
            compact::write(addr, &mut added[family]);
            flags[family].push(flag.0);
        }
        for &addr in &self.dropped {
            compact::write(addr, &mut dropped[usize::from(addr.is_ipv6())]);
        }
        let mut encoder = Encoder::new();
        encoder.dict(|dict| {
            dict.bytes("added", &added[0]);
            dict.bytes("added.f", &flags[0]);
            let optional = [
                ("added6", &added[1]),
                ("added6.f", &flags[1]),
                ("dropped", &dropped[0]),
                ("dropped6", &dropped[1]),
            ];
            for (key, list) in optional {
                if !list.is_empty() {
                    dict.bytes(key, list);
                }
            }
        });
        encoder.finish()
    }

    /// Reads the payload of the `extended` message: at most [`MAX_READ`] addresses a list. Flags that are
    /// missing are zero; lists that are no strings are empty.
    ///
    /// # Errors
    /// [`Violation::MalformedMessage`] if it is longer than [`MAX_PEX_MESSAGE`] or no dictionary.
    pub fn decode(payload: &[u8]) -> Result<Self, Violation> {
        let (mut added, mut flags, mut dropped) = <([&[u8]; 2], [&[u8]; 2], [&[u8]; 2])>::default();
        for (key, value) in dictionary(payload, MAX_PEX_MESSAGE)?.0 {
            let list = match key {
                b"added" => &mut added[0],
                b"added.f" => &mut flags[0],
                b"added6" => &mut added[1],
                b"added6.f" => &mut flags[1],
                b"dropped" => &mut dropped[0],
                b"dropped6" => &mut dropped[1],
                _ => continue,
            };
            *list = value.as_bytes().unwrap_or_default();
        }
        let flagged = |flags: &[u8], nth: usize| Flags(flags.get(nth).copied().unwrap_or(0));
        let four = compact::read_v4(added[0]).enumerate().map(|(nth, addr)| (addr, flagged(flags[0], nth)));
        let six = compact::read_v6(added[1]).enumerate().map(|(nth, addr)| (addr, flagged(flags[1], nth)));
        let gone = compact::read_v4(dropped[0]).chain(compact::read_v6(dropped[1]));
        Ok(PexMessage {
            added: four.chain(six).take(MAX_READ).collect(),
            dropped: gone.take(MAX_READ).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<SocketAddr> {
        text.split(' ').filter(|text| !text.is_empty()).map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_vectors_hold() {
        let vectors = include_str!("../../testdata/vectors/pex.txt");
        let mut seen = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<_> = line.split('|').map(str::trim).collect();
            let &[name, hex, added, flags, dropped, _source] = &fields[..] else { panic!("{line}") };
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            let message = PexMessage::decode(&bytes).unwrap();
            let flags: Vec<Flags> =
                flags.split(' ').filter(|flag| !flag.is_empty()).map(|f| Flags(f.parse().unwrap())).collect();
            let (addrs, read): (Vec<_>, Vec<_>) = message.added.iter().copied().unzip();
            assert_eq!((addrs, read), (list(added), flags), "{name}");
            assert_eq!(message.dropped, list(dropped), "{name}");
            assert_eq!(PexMessage::decode(&message.encode()), Ok(message), "{name}");
            seen += 1;
        }
        assert_eq!(seen, 3);
    }

    #[test]
    fn what_is_read_is_bounded() {
        let many = |list: &str, length: usize| {
            let mut bytes = format!("d{}:{list}{length}:", list.len()).into_bytes();
            bytes.resize(bytes.len() + length, 1);
            bytes.push(b'e');
            bytes
        };
        let most = PexMessage::decode(&many("added", 12_000)).unwrap();
        assert_eq!((most.added.len(), most.dropped.len()), (MAX_READ, 0));
        assert_eq!(PexMessage::decode(&many("dropped6", 12_000)).unwrap().dropped.len(), MAX_READ);
        let odd = PexMessage::decode(&many("added", 11)).unwrap();
        assert_eq!(odd.added, [("1.1.1.1:257".parse().unwrap(), Flags(0))]);
        assert_eq!(PexMessage::decode(&many("added", MAX_PEX_MESSAGE)), Err(Violation::MalformedMessage));
    }

    #[test]
    fn only_what_is_no_dictionary_is_refused() {
        for bad in [&b""[..], b"le", b"i5e", b"d5:added", b"d5:added6:abce"] {
            assert_eq!(PexMessage::decode(bad), Err(Violation::MalformedMessage));
        }
        for empty in [&b"de"[..], b"d5:addedi5e7:added.f1:x7:droppedlee", b"d5:added0:ehello"] {
            assert_eq!(PexMessage::decode(empty), Ok(PexMessage::default()));
        }
        assert_eq!(PexMessage::default().encode(), b"d5:added0:7:added.f0:e");
    }
}
