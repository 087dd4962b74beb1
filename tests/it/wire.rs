//! The peer wire protocol through the public API: vectors and captures of others, and frames cut
//! out of a stream that arrives in any way a network can deliver it.

use std::cell::Cell;
use std::io::{self, IoSliceMut, Read};
use std::rc::Rc;
use std::sync::LazyLock;

use bitwren::Violation;
use bitwren::internals::pieces::{BLOCK, BlockRef, Pieces};
use bitwren::internals::random::Random;
use bitwren::internals::wire::extended::ExtendedHandshake;
use bitwren::internals::wire::frame::{Blocks, Buffers, Frame, FrameReader, ReadError, max_message};
use bitwren::internals::wire::handshake::{Handshake, PROTOCOL};
use bitwren::internals::wire::message::{Message, piece_header};
use bitwren::internals::wire::pex::PexMessage;
use bitwren::internals::wire::ut_metadata::MetadataMessage;
use bitwren::{InfoHash, PeerId};

const CAP: usize = 64 * 1024;

/// Buffers that know how many of them are out.
#[derive(Default)]
struct Pool {
    out: Rc<Cell<usize>>,
    large: usize,
}

struct Buffer {
    bytes: Vec<u8>,
    out: Rc<Cell<usize>>,
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.out.set(self.out.get() - 1);
    }
}

impl Buffers for Pool {
    type Buffer = Buffer;

    fn take(&mut self, large: bool) -> Buffer {
        self.out.set(self.out.get() + 1);
        self.large += usize::from(large);
        let blocks = if large { 8 } else { 1 };
        Buffer { bytes: vec![0xEE; blocks * BLOCK as usize], out: self.out.clone() }
    }
}

/// One frame as the straightforward decoder sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plain {
    Message(Message),
    Block(BlockRef, Vec<u8>),
}

/// The straightforward decoder, and the offset at which each frame ends.
fn decode(mut stream: &[u8]) -> Vec<(Plain, usize)> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Some((length, rest)) = stream.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        at += 4 + frame.len();
        stream = rest;
        frames.push((
            match frame {
                [] => Plain::Message(Message::KeepAlive),
                [7, body @ ..] => {
                    let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap());
                    let block =
                        BlockRef { piece: number(0), begin: number(4), length: body.len() as u32 - 8 };
                    Plain::Block(block, body[8..].to_vec())
                }
                [id, body @ ..] => Plain::Message(Message::decode(*id, body).unwrap()),
            },
            at,
        ));
    }
    frames
}

/// What a run holds, block by block, after checking what every run keeps to.
fn split(mut blocks: Blocks<Buffer>) -> Vec<Plain> {
    let refs: Vec<_> = blocks.refs().collect();
    assert!(!refs.is_empty());
    assert!(refs.iter().rev().skip(1).all(|block| block.length == BLOCK));
    assert_eq!(refs.iter().map(|block| block.length).sum::<u32>(), blocks.length);
    let mut data = &blocks.data.as_mut()[..blocks.length as usize];
    refs.into_iter()
        .map(|block| {
            let (payload, rest) = data.split_at(block.length as usize);
            data = rest;
            Plain::Block(block, payload.to_vec())
        })
        .collect()
}

/// Two blocks of bytes without a period. A payload is a part of them from anywhere in the first: making each byte
/// anew was most of what these tests cost.
static PAYLOADS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = Random::seeded(0);
    (0..2 * BLOCK).map(|_| random.next_u64() as u8).collect()
});

fn piece(block: BlockRef, random: &mut Random, out: &mut Vec<u8>) {
    out.extend_from_slice(&piece_header(block));
    let from = random.below(u64::from(BLOCK)) as usize;
    out.extend_from_slice(&PAYLOADS[from..from + block.length as usize]);
}

/// A stream of everything there is, runs of blocks among it.
fn stream(random: &mut Random, frames: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..frames {
        let number = random.next_u64() as u32;
        let block = BlockRef { piece: number, begin: number / 3, length: number / 5 };
        let bytes = |random: &mut Random, n| (0..n).map(|_| random.next_u64() as u8).collect::<Vec<_>>();
        match random.below(14) {
            0 => Message::KeepAlive.encode(&mut out),
            1 => Message::Choke.encode(&mut out),
            2 => (0..random.below(600)).for_each(|piece| Message::Have(piece as u32).encode(&mut out)),
            3 => Message::Request(block).encode(&mut out),
            4 => Message::Reject(block).encode(&mut out),
            5 => {
                let n = random.below(9000);
                Message::Bitfield(bytes(random, n)).encode(&mut out);
            }
            6 => {
                let n = random.below(6000);
                Message::Extended { id: 3, payload: bytes(random, n) }.encode(&mut out);
            }
            7 => {
                let body = random.below(6000) as u32;
                out.extend_from_slice(&(body + 1).to_be_bytes());
                out.push(99);
                out.extend(bytes(random, body.into()));
            }
            // A run, at times ended by a short block, at times with a gap, or at the end of numbers.
            _ => {
                let mut begin = match random.below(8) {
                    0 => u32::MAX - 3 * BLOCK,
                    _ => random.below(20) as u32 * BLOCK,
                };
                let index = random.below(3) as u32;
                for _ in 0..=random.below(12) {
                    let length = match random.below(12) {
                        0 => 1 + random.below(u64::from(BLOCK)) as u32,
                        _ => BLOCK,
                    };
                    piece(BlockRef { piece: index, begin, length }, random, &mut out);
                    begin = match random.below(12) {
                        0 => begin,
                        _ => begin.wrapping_add(length),
                    };
                }
            }
        }
    }
    out
}

/// A source that delivers a stream in bursts, like a socket whose peer pauses after each.
struct Network {
    stream: Vec<u8>,
    /// How far the stream was read, shared with the test.
    at: Rc<Cell<usize>>,
    /// Whether the last read found less than it asked for.
    drained: bool,
    burst_ends: usize,
    longest_burst: u64,
    random: Random,
    /// Told of every read that a socket would have to wait for, with what was read up to then.
    on_wait: Box<dyn FnMut(usize)>,
}

impl Read for Network {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let at = self.at.get();
        if at == self.burst_ends {
            if self.drained {
                (self.on_wait)(at);
            }
            let burst = 1 + self.random.below(self.longest_burst) as usize;
            self.burst_ends = (at + burst).min(self.stream.len());
            if self.random.below(10) == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        let mut there = &self.stream[at..self.burst_ends];
        let mut read = 0;
        for part in &mut *parts {
            let n = part.len().min(there.len());
            part[..n].copy_from_slice(&there[..n]);
            there = &there[n..];
            read += n;
        }
        self.drained = read < parts.iter().map(|part| part.len()).sum();
        self.at.set(at + read);
        Ok(read)
    }
}

/// However the stream is cut, the frames are those of the straightforward decoder; and whenever
/// the reader would have to wait, all that is whole was handed out, and no buffer is held unless
/// it has a part of a block in it.
#[test]
fn frames_are_the_same_however_the_stream_arrives() {
    for seed in 0..90 {
        let mut random = Random::seeded(seed);
        let bytes = stream(&mut random, 40);
        let want = decode(&bytes);
        let ends: Rc<Vec<(usize, bool)>> =
            Rc::new(want.iter().map(|(frame, end)| (*end, matches!(frame, Plain::Block(..)))).collect());
        let mut pool = Pool::default();
        let seen = Rc::new(Cell::new(0));
        let on_wait = {
            let (seen, ends, out) = (seen.clone(), ends.clone(), pool.out.clone());
            Box::new(move |at| {
                let whole = ends.partition_point(|(end, _)| *end <= at);
                assert_eq!(seen.get(), whole, "seed {seed}: waits at byte {at} with frames not handed out");
                let begun = whole.checked_sub(1).map_or(0, |last| ends[last].0);
                let in_payload = ends.get(whole).is_some_and(|(_, block)| *block && at - begun > 12);
                assert!(out.get() <= usize::from(in_payload), "seed {seed}: holds a buffer at byte {at}");
            })
        };
        let longest_burst = [1, 20, 5_000, 40_000, 300_000, 10_000_000][seed as usize % 6];
        // Byte by byte takes long: less of it.
        let bytes = if longest_burst == 1 { bytes[..ends[ends.len() / 8].0].to_vec() } else { bytes };
        let length = bytes.len();
        let source = Network {
            stream: bytes,
            at: Rc::default(),
            drained: false,
            burst_ends: 0,
            longest_burst,
            random,
            on_wait,
        };
        // Not read ahead at all, past the ends of pieces, within them, and up to them.
        let piece_length = [0, u32::MAX, 1 << 20, 20 * BLOCK, 3 * BLOCK][seed as usize / 6 % 5];
        let mut reader = FrameReader::new(source, CAP).of_pieces(piece_length);
        let mut want = want.into_iter().take_while(|(_, end)| *end <= length).map(|(frame, _)| frame);
        loop {
            let frames = match reader.next(&mut pool) {
                Ok(Frame::Message(message)) => vec![Plain::Message(message)],
                Ok(Frame::Blocks(blocks)) => split(blocks),
                Err(ReadError::Closed) => break,
                Err(error) => panic!("seed {seed}: {error:?}"),
            };
            for frame in frames {
                seen.set(seen.get() + 1);
                assert!(want.next().as_ref() == Some(&frame), "seed {seed}: frame {}", seen.get());
            }
        }
        assert_eq!(want.next(), None, "seed {seed}");
        assert_eq!(pool.out.get(), 0);
    }
}

/// At line rate blocks come in large buffers, eight at a time, and as many with one read.
#[test]
fn a_full_socket_fills_large_buffers() {
    let mut bytes = Vec::new();
    let mut random = Random::seeded(1);
    for nth in 0..320 {
        piece(
            BlockRef { piece: 3 + nth / 32, begin: nth % 32 * BLOCK, length: BLOCK },
            &mut random,
            &mut bytes,
        );
    }
    for (piece_length, most_reads) in [(0, 330), (32 * BLOCK, 50)] {
        let (mut pool, mut runs) = (Pool::default(), Vec::new());
        let reads = Cell::new(0);
        let mut reader = FrameReader::new(Instant(&bytes, &reads), CAP).of_pieces(piece_length);
        while let Ok(Frame::Blocks(blocks)) = reader.next(&mut pool) {
            runs.push(blocks.refs().count());
        }
        assert_eq!(runs.iter().sum::<usize>(), 320);
        assert!(runs.iter().filter(|blocks| **blocks == 8).count() >= 38, "{runs:?}");
        assert!(pool.large >= 38);
        assert!(reads.get() <= most_reads, "{} reads", reads.get());
    }
}

/// Who never sends what was guessed is not guessed about for long: what is put back is read once
/// more, and not again and again.
#[test]
fn wrong_guesses_do_not_pile_up() {
    let (mut bytes, mut random) = (Vec::new(), Random::seeded(2));
    for nth in 0..200 {
        piece(BlockRef { piece: 1, begin: nth * BLOCK, length: BLOCK }, &mut random, &mut bytes);
        if nth % 3 == 0 {
            Message::Have(nth).encode(&mut bytes);
        }
    }
    let want: Vec<Plain> = decode(&bytes).into_iter().map(|(frame, _)| frame).collect();
    let reads = Cell::new(0);
    let mut reader = FrameReader::new(Instant(&bytes, &reads), CAP).of_pieces(u32::MAX);
    let (mut pool, mut got) = (Pool::default(), Vec::new());
    loop {
        match reader.next(&mut pool) {
            Ok(Frame::Message(message)) => got.push(Plain::Message(message)),
            Ok(Frame::Blocks(blocks)) => got.extend(split(blocks)),
            Err(_) => break,
        }
    }
    assert!(got == want);
    assert!(reads.get() <= 300, "{} reads", reads.get());
}

/// A source that has everything at once, and counts how often it is asked.
struct Instant<'a>(&'a [u8], &'a Cell<usize>);

impl Read for Instant<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.set(self.1.get() + 1);
        self.0.read(buffer)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.1.set(self.1.get() + 1);
        self.0.read_vectored(parts)
    }
}

fn read_all(bytes: &[u8]) -> (Vec<Message>, ReadError) {
    let (mut reader, mut messages) = (FrameReader::new(bytes, CAP), Vec::new());
    loop {
        match reader.next(&mut Pool::default()) {
            Ok(Frame::Message(message)) => messages.push(message),
            Ok(Frame::Blocks(blocks)) => panic!("{:?}", blocks.refs().collect::<Vec<_>>()),
            Err(error) => return (messages, error),
        }
    }
}

#[test]
fn recorded_frames_have_their_recorded_outcome() {
    let mut seen = 0;
    for line in include_str!("../../testdata/vectors/wire.txt").lines().filter(|line| !line.starts_with('#'))
    {
        let [name, bytes, outcome, _source] = fields(line);
        let bytes = unhex(bytes);
        let (messages, error) = read_all(&bytes);
        match (outcome, messages.as_slice(), error) {
            ("wait", [], ReadError::Closed) => {}
            (outcome, [], ReadError::Violation(violation)) => {
                assert_eq!(format!("{violation:?}"), outcome, "{name}")
            }
            (outcome, [message], ReadError::Closed) => {
                assert_eq!(format!("{message:?}"), outcome, "{name}");
                let mut again = Vec::new();
                message.encode(&mut again);
                assert_eq!(again, bytes, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[test]
fn lengths_are_held_to_their_caps() {
    let frame = |length: u32, id: u8| {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.push(id);
        // Far less than announced: a cap is applied before anything is waited for.
        bytes.extend_from_slice(&[0; 8]);
        match read_all(&bytes).1 {
            ReadError::Violation(violation) => Some(violation),
            ReadError::Closed => None,
            ReadError::Io(error) => panic!("{error}"),
        }
    };
    for id in 0..=255 {
        assert_ne!(frame(1 << 31, id), None);
        assert_ne!(frame(u32::MAX, id), None);
    }
    for id in [5, 20, 21, 255] {
        assert_eq!(frame(1 + CAP as u32, id), None);
        assert_eq!(frame(2 + CAP as u32, id), Some(Violation::OversizedFrame));
    }
    assert_eq!(frame(9 + BLOCK, 7), None);
    assert_eq!(frame(10 + BLOCK, 7), Some(Violation::OversizedFrame));
    for length in 1..=9 {
        assert_eq!(frame(length, 7), Some(Violation::MalformedMessage));
    }
    for (id, length) in
        [(0, 2), (4, 4), (4, 6), (6, 12), (8, 14), (9, 2), (13, 6), (14, 5), (16, 1), (17, 4), (20, 1)]
    {
        assert_eq!(frame(length, id), Some(Violation::MalformedMessage), "{id} {length}");
    }
    assert_eq!(max_message(&Pieces::new(10, 1).unwrap()), CAP);
    assert_eq!(max_message(&Pieces::new(1 << 23, 1).unwrap()), 1 << 20);
}

/// Random bytes end in an error or the end, never in a panic.
#[test]
fn noise_is_survived() {
    for seed in 0..2000 {
        let mut random = Random::seeded(seed);
        let mut bytes: Vec<u8> = (0..random.below(400)).map(|_| random.next_u64() as u8).collect();
        // Else the very first length is nearly always too long.
        bytes.iter_mut().step_by(1 + seed as usize % 7).for_each(|byte| *byte = 0);
        let mut reader = FrameReader::new(bytes.as_slice(), CAP);
        while reader.next(&mut Pool::default()).is_ok() {}
    }
}

#[test]
fn a_handshake_is_read_and_another_protocol_seen_early() {
    let ours = Handshake::ours(InfoHash::from_bytes([1; 20]), PeerId::from_bytes([2; 20]));
    let mut bytes = ours.encode().to_vec();
    Message::Have(7).encode(&mut bytes);
    let mut reader = FrameReader::new(bytes.as_slice(), CAP);
    assert_eq!(Handshake::decode(&reader.handshake().unwrap()), Ok(ours));
    assert!(matches!(reader.next(&mut Pool::default()), Ok(Frame::Message(Message::Have(7)))));

    let kind = |bytes: &[u8]| FrameReader::new(bytes, CAP).handshake().unwrap_err().kind();
    assert_eq!(kind(b"GET "), io::ErrorKind::InvalidData);
    assert_eq!(kind(PROTOCOL), io::ErrorKind::UnexpectedEof);
}

/// Both directions of real conversations, as far as they were recorded, decode and encode to the
/// same bytes.
#[test]
fn captured_conversations_decode() {
    let (mut conversations, mut messages) = (0, 0);
    for line in include_str!("../../testdata/captures/wire.txt").lines().filter(|line| !line.starts_with('#'))
    {
        let [name, bytes] = fields(line);
        let bytes = unhex(bytes);
        let mut reader = FrameReader::new(bytes.as_slice(), CAP);
        let handshake = Handshake::decode(&reader.handshake().unwrap()).unwrap();
        assert_eq!(handshake.encode(), bytes[..68], "{name}");
        let mut again = bytes[..68].to_vec();
        loop {
            match reader.next(&mut Pool::default()) {
                Ok(Frame::Message(message)) => {
                    assert!(!matches!(message, Message::Unknown(_)), "{name}: {message:?}");
                    message.encode(&mut again);
                    messages += 1;
                }
                Ok(Frame::Blocks(_)) | Err(ReadError::Closed) => break,
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
        assert_eq!(again, bytes[..again.len()], "{name}");
        conversations += 1;
    }
    assert!(conversations >= 8 && messages >= 40, "{conversations} {messages}");
}

/// What is inside the extension messages of real clients is understood, every one of them.
#[test]
fn captured_extension_messages_are_understood() {
    let (mut lent, mut asked) = (Vec::new(), 0);
    let mut clients = Vec::new();
    for line in
        include_str!("../../testdata/captures/extended.txt").lines().filter(|line| !line.starts_with('#'))
    {
        let [name, kind, payload] = fields(line);
        let payload = unhex(payload);
        match kind {
            "handshake" => {
                let shake = ExtendedHandshake::decode(&payload).unwrap();
                assert!(shake.m.ut_metadata.is_some() && shake.m.ut_pex.is_some(), "{name}: {shake:?}");
                assert!(
                    shake.metadata_size.is_none_or(|size| size == 301 || size == 221),
                    "{name}: {shake:?}"
                );
                assert_eq!(ExtendedHandshake::decode(&shake.encode()), Ok(shake.clone()), "{name}");
                clients
                    .extend(shake.client.map(|client| client.split([' ', '/']).next().unwrap().to_owned()));
            }
            "ut_metadata" => match MetadataMessage::decode(&payload).unwrap() {
                MetadataMessage::Request(0) => asked += 1,
                MetadataMessage::Data { piece: 0, total_size: Some(301), bytes } => lent.push(bytes.to_vec()),
                other => panic!("{name}: {other:?}"),
            },
            "ut_pex" => {
                let message = PexMessage::decode(&payload).unwrap();
                assert_eq!((message.added.len(), message.dropped.len()), (1, 0), "{name}: {message:?}");
                assert_eq!(PexMessage::decode(&message.encode()), Ok(message), "{name}");
            }
            other => panic!("{name}: {other}"),
        }
    }
    clients.sort();
    clients.dedup();
    assert_eq!(clients, ["Transmission", "lt_peer", "qBittorrent", "rqbit"]);
    // What transmission lent is the info dictionary of the torrent that the handshakes name.
    let hash = "a27e940ae00484e88934755d4cc6d8bf8c30d8db";
    assert_eq!((asked, lent.len()), (1, 1));
    assert_eq!(sha1_smol::Sha1::from(&lent[0]).digest().to_string(), hash);
}

fn fields<const N: usize>(line: &str) -> [&str; N] {
    line.split(" | ").collect::<Vec<_>>().try_into().expect("the fields of a line")
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap()).collect()
}
