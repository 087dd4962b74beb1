//! The extension handshake (BEP 10), and the small messages of extensions that have no form of their own:
//! `lt_donthave` (BEP 54) and `upload_only` (after BEP 21).
//!
//! Read leniently: an entry of another type or range than it should have is ignored. Only a payload that is
//! no dictionary at all is refused. Never does: remember an earlier handshake; a later one tells the changes
//! only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use byteorder::{BigEndian, ByteOrder};

use crate::bencode::{self, Encoder, Value};
use crate::violation::Violation;

/// The id of the extension handshake itself.
pub const HANDSHAKE: u8 = 0;
/// The id by which we want `ut_metadata` messages (BEP 9).
pub const UT_METADATA: u8 = 1;
/// The id by which we want `ut_pex` messages (BEP 11).
pub const UT_PEX: u8 = 2;
/// The id by which we want `lt_donthave` messages (BEP 54).
pub const LT_DONTHAVE: u8 = 3;
/// The id by which we want `upload_only` messages.
pub const UPLOAD_ONLY: u8 = 4;

/// The longest handshake that is read, in bytes; real ones stay under 1 KiB.
pub const MAX_HANDSHAKE: usize = 16 * 1024;
/// The longest client name that is kept, in characters.
pub const MAX_CLIENT: usize = 64;

/// By which ids a peer wants messages of the extensions that are spoken here. One it does not
/// mention is `None`; 0 turns an extension off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// Metadata exchange (BEP 9).
    pub ut_metadata: Option<u8>,
    /// Peer exchange (BEP 11).
    pub ut_pex: Option<u8>,
    /// A piece is no longer there (BEP 54).
    pub lt_donthave: Option<u8>,
    /// The peer wants nothing, or something again.
    pub upload_only: Option<u8>,
}

impl Extensions {
    /// Everything that is spoken here, by the ids it is wanted by.
    pub const OURS: Extensions = Extensions {
        ut_metadata: Some(UT_METADATA),
        ut_pex: Some(UT_PEX),
        lt_donthave: Some(LT_DONTHAVE),
        upload_only: Some(UPLOAD_ONLY),
    };

    /// Takes over the changes that a later handshake tells.
    pub fn update(&mut self, changes: Extensions) {
        let Extensions { ut_metadata, ut_pex, lt_donthave, upload_only } = changes;
        self.ut_metadata = ut_metadata.or(self.ut_metadata);
        self.ut_pex = ut_pex.or(self.ut_pex);
        self.lt_donthave = lt_donthave.or(self.lt_donthave);
        self.upload_only = upload_only.or(self.upload_only);
    }

    fn named(&self) -> [(&'static str, Option<u8>); 4] {
        [
            ("lt_donthave", self.lt_donthave),
            ("upload_only", self.upload_only),
            ("ut_metadata", self.ut_metadata),
            ("ut_pex", self.ut_pex),
        ]
    }
}

/// An extension handshake. Entries that are `None` are not sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtendedHandshake {
    /// The extensions spoken.
    pub m: Extensions,
    /// The client's name and version; when read, printable and at most [`MAX_CLIENT`] characters.
    pub client: Option<String>,
    /// The TCP port the sender listens at; never 0.
    pub port: Option<u16>,
    /// How many requests the sender queues without dropping any.
    pub reqq: Option<u32>,
    /// The receiver's address as the sender sees it.
    pub your_ip: Option<IpAddr>,
    /// An IPv4 address of the sender.
    pub ipv4: Option<Ipv4Addr>,
    /// An IPv6 address of the sender.
    pub ipv6: Option<Ipv6Addr>,
    /// Whether the sender wants nothing more (BEP 21).
    pub upload_only: Option<bool>,
    /// Length of the info dictionary in bytes (BEP 9); never 0, and not checked against anything.
    pub metadata_size: Option<u64>,
    /// Whether the sender would rather encrypt.
    pub encryption: Option<bool>,
}

impl ExtendedHandshake {
    /// The payload of the `extended` message of id [`HANDSHAKE`].
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.dict(|dict| {
            dict.dict("m", |m| {
                for (name, id) in self.m.named().into_iter().filter_map(|(name, id)| Some((name, id?))) {
                    m.int(name, id.into());
                }
            });
            let numbers = [
                ("e", self.encryption.map(i64::from)),
                ("metadata_size", self.metadata_size.and_then(|size| size.try_into().ok())),
                ("p", self.port.map(i64::from)),
                ("reqq", self.reqq.map(i64::from)),
                ("upload_only", self.upload_only.map(i64::from)),
            ];
            for (key, number) in numbers.into_iter().filter_map(|(key, number)| Some((key, number?))) {
                dict.int(key, number);
            }
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let strings = [
                ("ipv4", self.ipv4.map(|ip| octets(ip.into()))),
                ("ipv6", self.ipv6.map(|ip| octets(ip.into()))),
                ("v", self.client.as_ref().map(|client| client.as_bytes().to_vec())),
                ("yourip", self.your_ip.map(octets)),
            ];
            for (key, bytes) in strings.into_iter().filter_map(|(key, bytes)| Some((key, bytes?))) {
                dict.bytes(key, bytes);
            }
        });
        encoder.finish()
    }

    /// Reads the payload of the `extended` message of id [`HANDSHAKE`]. Bytes after the dictionary are
    /// ignored.
    ///
    /// # Errors
    /// [`Violation::MalformedMessage`] if it is longer than [`MAX_HANDSHAKE`] or no dictionary.
    pub fn decode(payload: &[u8]) -> Result<Self, Violation> {
        let mut shake = ExtendedHandshake::default();
        for (key, value) in dictionary(payload, MAX_HANDSHAKE)?.0 {
            match key {
                b"m" => shake.m = extensions(value),
                b"v" => shake.client = value.as_bytes().and_then(printable),
                b"p" => shake.port = number(value).filter(|&port| port != 0),
                b"reqq" => shake.reqq = number(value),
                b"yourip" => shake.your_ip = value.as_bytes().and_then(address),
                b"ipv4" => {
                    let ip = value.as_bytes().and_then(|ip| <[u8; 4]>::try_from(ip).ok());
                    shake.ipv4 = ip.map(Ipv4Addr::from);
                }
                b"ipv6" => {
                    let ip = value.as_bytes().and_then(|ip| <[u8; 16]>::try_from(ip).ok());
                    shake.ipv6 = ip.map(Ipv6Addr::from);
                }
                b"upload_only" => shake.upload_only = value.as_int().map(|it| it != 0),
                b"metadata_size" => shake.metadata_size = number(value).filter(|&size| size != 0),
                b"e" => shake.encryption = value.as_int().map(|it| it != 0),
                _ => {}
            }
        }
        Ok(shake)
    }
}

/// The payload of a message that says that `piece` is no longer there (BEP 54).
pub fn dont_have(piece: u32) -> [u8; 4] {
    piece.to_be_bytes()
}

/// The piece that the peer lost (BEP 54).
///
/// # Errors
/// [`Violation::MalformedMessage`] if it is not four bytes long.
pub fn read_dont_have(payload: &[u8]) -> Result<u32, Violation> {
    if payload.len() == 4 { Ok(BigEndian::read_u32(payload)) } else { Err(Violation::MalformedMessage) }
}

/// Entries of a dictionary.
type Entries<'a> = Box<dyn Iterator<Item = (&'a [u8], Value<'a>)> + 'a>;

/// The dictionary at the start of a payload of at most `most` bytes, and what follows it.
pub(super) fn dictionary(payload: &[u8], most: usize) -> Result<(Entries<'_>, &[u8]), Violation> {
    if payload.len() > most {
        return Err(Violation::MalformedMessage);
    }
    let (value, used) = bencode::decode_prefix(payload).map_err(|_| Violation::MalformedMessage)?;
    let entries = value.dict().ok_or(Violation::MalformedMessage)?;
    Ok((Box::new(entries), payload.get(used..).unwrap_or_default()))
}

/// The integer, if it is one that fits.
pub(super) fn number<T: TryFrom<i64>>(value: Value<'_>) -> Option<T> {
    value.as_int().and_then(|int| T::try_from(int).ok())
}

fn extensions(m: Value<'_>) -> Extensions {
    let mut extensions = Extensions::default();
    for (name, id) in m.dict().into_iter().flatten() {
        match name {
            b"ut_metadata" => extensions.ut_metadata = number(id),
            b"ut_pex" => extensions.ut_pex = number(id),
            b"lt_donthave" => extensions.lt_donthave = number(id),
            b"upload_only" => extensions.upload_only = number(id),
            _ => {}
        }
    }
    extensions
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|ip| IpAddr::from(ip).to_canonical()))
}

/// The text without what could do harm on a terminal; nothing where nothing is left.
fn printable(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..4 * MAX_CLIENT).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let shown: String = text.chars().filter(|&c| is_shown(c)).take(MAX_CLIENT).collect();
    Some(shown.trim().to_owned()).filter(|shown| !shown.is_empty())
}

/// Neither control characters nor those that turn the direction of writing.
fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> ExtendedHandshake {
        ExtendedHandshake {
            m: Extensions::OURS,
            client: Some("bitwren 0.1.0".into()),
            port: Some(6881),
            reqq: Some(250),
            your_ip: Some("192.0.2.7".parse().unwrap()),
            ipv4: Some("192.0.2.1".parse().unwrap()),
            ipv6: Some("2001:db8::1".parse().unwrap()),
            upload_only: Some(true),
            metadata_size: Some(34_256),
            encryption: Some(false),
        }
    }

    #[test]
    fn a_handshake_survives_the_wire() {
        for shake in [full(), ExtendedHandshake::default()] {
            let bytes = shake.encode();
            assert_eq!(ExtendedHandshake::decode(&bytes), Ok(shake));
            assert!(bencode::inspect(&bytes).unwrap().unsorted.is_none());
        }
        let six = ExtendedHandshake { your_ip: Some("2001:db8::2".parse().unwrap()), ..full() };
        assert_eq!(ExtendedHandshake::decode(&six.encode()), Ok(six));
    }

    /// µTorrent 1.8.4, as rakshasa/libtorrent's test/torrent/object_stream_test.cc has it, and the
    /// example of BEP 10.
    #[test]
    fn handshakes_of_others_are_read() {
        let wire = include_str!("../../testdata/vectors/wire.txt");
        let line = wire.lines().find(|line| line.starts_with("handshake uTorrent 1.8.4 ext")).unwrap();
        let hex = line.split(" | ").nth(1).unwrap();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let shake = ExtendedHandshake::decode(&bytes[6..]).unwrap();
        let m = Extensions { ut_metadata: Some(2), ut_pex: Some(1), upload_only: Some(3), lt_donthave: None };
        assert_eq!((shake.m, shake.client.as_deref()), (m, Some("uuTorrent 1.8.4")));
        assert_eq!((shake.metadata_size, shake.port, shake.reqq), (Some(15_408), Some(16_033), Some(255)));
        assert_eq!(shake.your_ip, Some("88.88.88.88".parse().unwrap()));

        let example = "d1:md11:LT_metadatai1e6:ut_pexi2ee1:pi6881e1:v13:\u{b5}Torrent 1.2e";
        let shake = ExtendedHandshake::decode(example.as_bytes()).unwrap();
        assert_eq!(shake.client.as_deref(), Some("\u{b5}Torrent 1.2"));
        assert_eq!((shake.m.ut_pex, shake.m.ut_metadata, shake.port), (Some(2), None, Some(6881)));
    }

    #[test]
    fn only_what_is_no_dictionary_is_refused() {
        let deep = [vec![b'l'; 5000], vec![b'e'; 5000]].concat();
        let nested = [b"d1:m".to_vec(), deep, b"e".to_vec()].concat();
        let long = format!("d1:v{}:{}e", MAX_HANDSHAKE, "x".repeat(MAX_HANDSHAKE));
        for bad in [&b""[..], b"0", b"i1e", b"le", b"4:spam", b"d1:m", &nested, long.as_bytes()] {
            assert_eq!(ExtendedHandshake::decode(bad), Err(Violation::MalformedMessage));
        }
    }

    #[test]
    fn what_is_out_of_range_is_as_if_it_were_not_there() {
        let odd = b"d1:ei-1e4:ipv43:abc4:ipv64:abcd1:md11:ut_metadatai256e6:ut_pexi-1ee13:metadata_sizei-5e\
            1:pi0e4:reqq3:2501:v3:\x1b\n\x006:yourip5:abcdee tail";
        let want = ExtendedHandshake { encryption: Some(true), ..Default::default() };
        assert_eq!(ExtendedHandshake::decode(odd), Ok(want));
        assert_eq!(ExtendedHandshake::decode(b"d1:mi5e1:pi70000ee"), Ok(ExtendedHandshake::default()));
    }

    #[test]
    fn a_name_is_cut_and_made_printable() {
        let bytes = format!("d1:v{}:{}e", 402, "\u{202e}\x1b[31m".to_owned() + &"x".repeat(394));
        let client = ExtendedHandshake::decode(bytes.as_bytes()).unwrap().client.unwrap();
        assert_eq!(client, "[31m".to_owned() + &"x".repeat(60));
        assert_eq!(client.chars().count(), MAX_CLIENT);
    }

    #[test]
    fn later_handshakes_tell_the_changes() {
        let mut m = Extensions { ut_metadata: Some(3), ut_pex: Some(1), ..Default::default() };
        m.update(Extensions { ut_pex: Some(0), lt_donthave: Some(7), ..Default::default() });
        let want =
            Extensions { ut_metadata: Some(3), ut_pex: Some(0), lt_donthave: Some(7), upload_only: None };
        assert_eq!(m, want);
    }

    #[test]
    fn a_lost_piece_is_four_bytes() {
        assert_eq!(read_dont_have(&dont_have(70_000)), Ok(70_000));
        for bad in [&[][..], &[0; 3], &[0; 5]] {
            assert_eq!(read_dont_have(bad), Err(Violation::MalformedMessage));
        }
    }
}
