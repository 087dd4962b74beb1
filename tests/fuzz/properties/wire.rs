//! What peers say: frames however they are cut, messages of extensions, packets of the DHT, local discovery.

use std::io::{self, Read};
use std::net::SocketAddr;

use bitwren::Violation;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::pieces::{BLOCK, BlockRef};
use bitwren::internals::tracker::compact as addresses;
use bitwren::internals::wire::extended::{self, ExtendedHandshake, MAX_CLIENT};
use bitwren::internals::wire::frame::{Buffers, Frame, FrameReader, MAX_EXTENDED, ReadError};
use bitwren::internals::wire::handshake::Handshake;
use bitwren::internals::wire::krpc::{self, Body, Packet, Response};
use bitwren::internals::wire::lsd;
use bitwren::internals::wire::message::{self, Message};
use bitwren::internals::wire::pex::{MAX_READ, PexMessage};
use bitwren::internals::wire::ut_metadata::{METADATA_BLOCK, MetadataMessage};

use super::{Script, is_one_line};

/// A stream that comes in parts.
struct Parts<'a> {
    bytes: &'a [u8],
    /// How long each part is, over and over.
    cuts: Vec<usize>,
    next: usize,
    /// Whether one read can fill several buffers, as a socket's does.
    vectored: bool,
}

impl Read for Parts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = self.cuts.get(self.next % self.cuts.len().max(1)).copied().unwrap_or(usize::MAX);
        self.next += 1;
        let length = buffer.len().min(part.max(1));
        self.bytes.read(&mut buffer[..length])
    }

    fn read_vectored(&mut self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        let mut read = 0;
        for buffer in buffers {
            let got = self.read(buffer)?;
            read += got;
            if got < buffer.len() || !self.vectored {
                break;
            }
        }
        Ok(read)
    }
}

/// Buffers for up to four blocks.
struct Pool;

impl Buffers for Pool {
    type Buffer = Vec<u8>;

    fn take(&mut self, large: bool) -> Vec<u8> {
        vec![0; if large { 4 } else { 1 } * BLOCK as usize]
    }
}

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Message(Message),
    Block(BlockRef, Vec<u8>),
    Violation(Violation),
    Closed,
}

fn hear(parts: Parts<'_>, max_message: usize, piece_length: u32) -> Vec<Heard> {
    let mut frames = FrameReader::new(parts, max_message).of_pieces(piece_length);
    let mut heard = Vec::new();
    loop {
        match frames.next(&mut Pool) {
            Ok(Frame::Message(message)) => heard.push(Heard::Message(message)),
            Ok(Frame::Blocks(blocks)) => {
                assert!(blocks.length > 0 && blocks.length as usize <= blocks.data.len());
                let mut data = &blocks.data[..blocks.length as usize];
                for block in blocks.refs() {
                    let (payload, rest) = data.split_at(block.length as usize);
                    data = rest;
                    heard.push(Heard::Block(block, payload.to_vec()));
                }
                assert!(data.is_empty());
            }
            Err(ReadError::Closed) => break heard.push(Heard::Closed),
            Err(ReadError::Violation(violation)) => break heard.push(Heard::Violation(violation)),
            Err(ReadError::Io(error)) => panic!("{error}"),
        }
    }
    heard
}

/// A stream of frames, cut anywhere: it says the same as in one piece.
pub fn frames(data: &[u8]) {
    let mut script = Script::new(data);
    let max_message = [100, 5_000, MAX_EXTENDED, 100_000][script.below(4) as usize];
    let cuts: Vec<usize> = (0..script.below(6)).map(|_| script.word() as usize % 20_000).collect();
    let mut stream = Vec::new();
    while !script.is_over() {
        match script.below(4) {
            // Blocks are too long for a fuzzer to make up.
            0 => {
                let block =
                    BlockRef { piece: script.below(3), begin: script.below(4) * BLOCK, length: BLOCK };
                let fill = script.byte();
                stream.extend(message::piece_header(block));
                stream.extend(std::iter::repeat_n(fill, BLOCK as usize));
            }
            1 => {
                let (id, body) = (script.byte(), script.bytes());
                stream.extend((body.len() as u32 + 1).to_be_bytes());
                stream.push(id);
                stream.extend(body);
            }
            _ => stream.extend(script.bytes()),
        }
        if stream.len() > 120_000 {
            break;
        }
    }
    let parts = |cuts, vectored| Parts { bytes: &stream, cuts, next: 0, vectored };
    let whole = hear(parts(Vec::new(), true), max_message, 0);
    assert_eq!(hear(parts(cuts.clone(), false), max_message, 0), whole);
    // Nor does it matter what is read ahead for.
    assert_eq!(hear(parts(Vec::new(), true), max_message, 4 * BLOCK), whole);
    assert_eq!(hear(parts(cuts, true), max_message, u32::MAX), whole);
    // What was heard is what was said.
    let (mut again, mut known) = (Vec::new(), true);
    for heard in &whole {
        match heard {
            Heard::Message(Message::Unknown(_)) => known = false,
            Heard::Message(message) => message.encode(&mut again),
            Heard::Block(block, payload) => {
                again.extend(message::piece_header(*block));
                again.extend(payload);
            }
            Heard::Violation(_) | Heard::Closed => {}
        }
    }
    assert!(!known || stream.starts_with(&again));
    shaken(data);
}

/// The handshake, cut anywhere.
fn shaken(data: &[u8]) {
    let read = |cuts| {
        let parts = Parts { bytes: data, cuts, next: 0, vectored: true };
        FrameReader::new(parts, 100).handshake().map_err(|error| error.kind())
    };
    let whole = read(Vec::new());
    assert_eq!(read(vec![1, 7]), whole);
    if let Ok(bytes) = whole {
        let handshake = Handshake::decode(&bytes).expect("it was looked at already");
        assert_eq!(handshake.encode(), bytes);
    }
}

/// Messages of the Extension Protocol, of every kind at once.
pub fn extension(payload: &[u8]) {
    if let Ok(shake) = ExtendedHandshake::decode(payload) {
        let client = shake.client.as_deref();
        assert!(client.is_none_or(|client| client.chars().count() <= MAX_CLIENT && is_one_line(client)));
        assert!(shake.port != Some(0) && shake.metadata_size != Some(0));
        assert_eq!(ExtendedHandshake::decode(&shake.encode()), Ok(shake.clone()));
        let mut m = shake.m;
        m.update(shake.m);
        assert_eq!(m, shake.m);
    }
    if let Ok(message) = MetadataMessage::decode(payload) {
        if let MetadataMessage::Data { bytes, .. } = message {
            assert!(bytes.len() <= METADATA_BLOCK && payload.ends_with(bytes));
        }
        assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(pex) = PexMessage::decode(payload) {
        assert!(pex.added.len() <= MAX_READ && pex.dropped.len() <= MAX_READ);
        assert_eq!(PexMessage::decode(&pex.encode()), Ok(pex));
    }
    if let Ok(piece) = extended::read_dont_have(payload) {
        assert_eq!(extended::dont_have(piece), payload);
    }
}

/// Packets of the DHT.
pub fn krpc(data: &[u8]) {
    if let Some((id, addr)) = krpc::node(data) {
        let mut again = Vec::new();
        krpc::write_node(&id, addr, &mut again);
        assert_eq!(again, data);
    }
    let Some(packet) = Packet::decode(data) else { return };
    let transaction = packet.transaction;
    assert!(transaction.len() <= 64);
    match packet.body {
        Body::Query(id, query) => {
            let written = krpc::encode_query(transaction, &id, &query, packet.read_only);
            assert_eq!(Packet::decode(&written), Some(Packet { ip: None, ..packet }));
        }
        Body::Response(ref response) => {
            assert!(response.nodes.len() * 26 + response.peers.len() * 6 <= data.len());
            for to in ["192.0.2.1:1", "[2001:db8::1]:1"].map(|to| to.parse::<SocketAddr>().unwrap()) {
                let mut ours = Response { nodes: response.nodes.clone(), ..response.clone() };
                ours.nodes.retain(|(_, addr)| addr.is_ipv4() == to.is_ipv4());
                let written = krpc::encode_response(transaction, to, &ours);
                let read = Packet::decode(&written).expect("what was written is read");
                assert_eq!((read.ip, read.body), (Some(to), Body::Response(ours)));
            }
        }
        Body::Error(code) => {
            let written = krpc::encode_error(transaction, code);
            assert_eq!(Packet::decode(&written).map(|read| read.body), Some(Body::Error(code)));
        }
        Body::BadQuery(code) => assert!(code == 203 || code == 204),
    }
}

/// Datagrams of local discovery.
pub fn lsd(data: &[u8]) {
    let Some(announce) = lsd::Announce::decode(data) else { return };
    assert!(announce.port != 0);
    assert!((1..=lsd::MAX_HASHES).contains(&announce.info_hashes.len()));
    for ipv6 in [false, true] {
        let written = announce.encode(ipv6);
        assert!(written.len() <= lsd::MAX_BYTES + 4 * 64);
        assert_eq!(lsd::Announce::decode(&written).as_ref(), Some(&announce));
    }
}

/// Compact lists of addresses.
pub fn compact(data: &[u8]) {
    for (size, list) in [
        (addresses::V4, addresses::read_v4(data).collect::<Vec<_>>()),
        (addresses::V6, addresses::read_v6(data).collect()),
    ] {
        assert_eq!(list.len(), data.len() / size);
        let mut again = Vec::new();
        list.iter().for_each(|&address| addresses::write(address, &mut again));
        assert_eq!(again, data[..data.len() - data.len() % size]);
        for address in list.iter().filter(|address| addresses::is_usable(address)) {
            assert!(address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast());
        }
    }
}

/// Bitfields of any length, and what happens to them, beside a plain list.
pub fn bitfield(data: &[u8]) {
    let mut script = Script::new(data);
    let length = script.word() % 1_000;
    let bytes = script.take(length.div_ceil(8) as usize);
    let Ok(mut set) = Bitfield::from_bytes(bytes.to_vec(), length) else { return };
    assert_eq!(set.as_bytes(), bytes);
    let mut plain: Vec<bool> = (0..length).map(|index| set.has(index)).collect();
    while !script.is_over() {
        let index = script.word() % (length + 9);
        let (insert, known) = (script.bit(), index < length);
        let was = plain.get(index as usize).copied().unwrap_or(false);
        let changed = if insert { set.insert(index) } else { set.remove(index) };
        assert_eq!(changed, known && was != insert);
        assert_eq!(set.has(index), known && insert);
        if let Some(bit) = plain.get_mut(index as usize) {
            *bit = insert;
        }
    }
    let members: Vec<u32> = (0..length).filter(|&index| plain[index as usize]).collect();
    assert_eq!(set.iter().collect::<Vec<_>>(), members);
    assert_eq!((set.count() as usize, set.len()), (members.len(), length));
    assert_eq!(set.is_full(), plain.iter().all(|&bit| bit));
    assert_eq!(Bitfield::from_bytes(set.as_bytes().to_vec(), length).ok(), Some(set));
}
