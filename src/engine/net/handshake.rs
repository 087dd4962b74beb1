//! The BitTorrent handshake (BEP 3), plain and encrypted, of connections that we make and of those that come in,
//! over any stream of bytes: TCP, a proxy's stream, or another transport.
//!
//! Invariant: neither side takes longer than its deadline for all of it, however little comes at a time,
//! since a place is held meanwhile. Not a byte behind the handshake is read.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use super::bounded::{Bounded, Stream};
use crate::crypto::{Ciphers, Encryption, EncryptionPolicy};
use crate::id::InfoHash;
use crate::peer::encryption::{EncryptedHandshake, MAX_HELD, Secrets, TorrentMark};
use crate::random::entropy;
use crate::violation::{DisconnectReason, Violation};
use crate::wire::frame::FrameReader;
use crate::wire::handshake::{self, Handshake, PROTOCOL};

/// Bytes by which other protocols are told from an encrypted handshake, which begins with random ones.
const PROTOCOL_PREFIX: usize = 4;
/// The first bytes of what scanners and stray programs say: HTTP, SSH; TLS has a table of its own.
const OTHER_PROTOCOLS: [&[u8; PROTOCOL_PREFIX]; 7] =
    [b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI", b"CONN", b"SSH-"];

/// The result of a handshake.
pub(crate) struct Shaken {
    pub(crate) theirs: Handshake,
    pub(crate) encryption: Encryption,
    /// The ciphers for everything after it, if it is encrypted.
    pub(crate) ciphers: Option<Ciphers>,
}

/// How an incoming connection names its torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    InfoHash(InfoHash),
    Mark(TorrentMark),
}

/// Shakes hands in plain on a connection that we made: says `ours`, and returns what the peer says.
///
/// # Errors
/// Why the connection is over: [`DisconnectReason::WrongTorrent`] where the peer answers for another,
/// [`DisconnectReason::PlainRefused`] where it was cut off before an answer.
pub(crate) fn initiate(
    stream: impl Stream,
    ours: &Handshake,
    end: Instant,
) -> Result<Shaken, DisconnectReason> {
    let mut stream = Bounded::new(stream, end);
    let shaken = stream.send(&ours.encode()).and_then(|()| stream.receive(&[]));
    let theirs = shaken.map_err(|why| stream.refused(why, DisconnectReason::PlainRefused))?;
    check_torrent(&theirs, ours.info_hash)?;
    Ok(Shaken { theirs, encryption: Encryption::None, ciphers: None })
}

/// The same with an encrypted handshake.
///
/// # Errors
/// Why the connection is over: [`DisconnectReason::EncryptionRefused`] where it was cut off before an answer, or
/// answered with something else: by that a peer that does not encrypt does no wrong.
pub(crate) fn initiate_encrypted(
    stream: impl Stream,
    ours: &Handshake,
    policy: EncryptionPolicy,
    end: Instant,
) -> Result<Shaken, DisconnectReason> {
    let mut stream = Bounded::new(stream, end);
    let requires_rc4 = policy == EncryptionPolicy::Require;
    let machine =
        EncryptedHandshake::initiator(ours.info_hash, ours.encode(), requires_rc4, Secrets::new(&entropy()));
    let shaken = stream.run(machine, |_| None::<(Handshake, ())>);
    let (shaken, _) = shaken.map_err(|why| match why {
        DisconnectReason::Violation(Violation::BadEncryption) => DisconnectReason::EncryptionRefused,
        _ => stream.refused(why, DisconnectReason::EncryptionRefused),
    })?;
    check_torrent(&shaken.theirs, ours.info_hash)?;
    Ok(shaken)
}

/// Shakes hands on a connection that came in, plain or encrypted as the peer has it: reads which torrent it is
/// for, and answers with what `find` has for that torrent, which is asked once.
///
/// # Errors
/// Why the connection is over: [`DisconnectReason::WrongTorrent`] where `find` has nothing,
/// [`DisconnectReason::EncryptionMismatch`] where `policy` forbids what the peer wants.
pub(crate) fn respond<T>(
    stream: impl Stream,
    policy: EncryptionPolicy,
    find: impl FnOnce(Asked) -> Option<(Handshake, T)>,
    end: Instant,
) -> Result<(Shaken, T), DisconnectReason> {
    let mut stream = Bounded::new(stream, end);
    let mut first = Vec::new();
    // No encrypted handshake is as short as a plain one: whatever is read here is part of either.
    while first.len() < handshake::LENGTH && (first.len() < PROTOCOL_PREFIX || is_plain(&first)) {
        if policy == EncryptionPolicy::Off && !is_plain(&first) {
            break;
        }
        stream.read_some(&mut first, handshake::LENGTH)?;
    }
    if is_plain(&first) || policy == EncryptionPolicy::Off || is_other_protocol(&first) {
        let theirs = stream.receive(&first)?;
        if policy == EncryptionPolicy::Require {
            return Err(DisconnectReason::EncryptionMismatch);
        }
        let (ours, found) = find(Asked::InfoHash(theirs.info_hash)).ok_or(DisconnectReason::WrongTorrent)?;
        stream.send(&ours.encode())?;
        return Ok((Shaken { theirs, encryption: Encryption::None, ciphers: None }, found));
    }
    let requires_rc4 = policy == EncryptionPolicy::Require;
    let mut machine = EncryptedHandshake::responder(requires_rc4, Secrets::new(&entropy()));
    machine.receive(&first)?;
    let (shaken, found) = stream.run(machine, |mark| find(Asked::Mark(mark)))?;
    let (torrent, found) = found.ok_or(DisconnectReason::Lost)?;
    check_torrent(&shaken.theirs, torrent)?;
    Ok((shaken, found))
}

/// Whether these are the first bytes of a plain handshake.
fn is_plain(first: &[u8]) -> bool {
    first.iter().zip(PROTOCOL).all(|(byte, wanted)| byte == wanted)
}

fn is_other_protocol(first: &[u8]) -> bool {
    let is_tls = matches!(first, [0x16, 3, 0..=4, ..]);
    is_tls || OTHER_PROTOCOLS.iter().any(|other| first.starts_with(*other))
}

fn check_torrent(theirs: &Handshake, wanted: InfoHash) -> Result<(), DisconnectReason> {
    if theirs.info_hash == wanted { Ok(()) } else { Err(DisconnectReason::WrongTorrent) }
}

/// Why a connection is over that cannot be read or written.
fn why(error: &io::Error) -> DisconnectReason {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => DisconnectReason::Silent,
        _ => DisconnectReason::Lost,
    }
}

impl<S: Stream> Bounded<S> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), DisconnectReason> {
        self.write_all(bytes).map_err(|error| why(&error))
    }

    /// Reads what there is behind `bytes`, which is at most `most` then.
    fn read_some(&mut self, bytes: &mut Vec<u8>, most: usize) -> Result<(), DisconnectReason> {
        let mut room = [0; MAX_HELD];
        let room = room.get_mut(..most.saturating_sub(bytes.len())).unwrap_or_default();
        let got = loop {
            match self.read(room) {
                Ok(0) => return Err(DisconnectReason::Lost),
                Ok(got) => break got,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(why(&error)),
            }
        };
        bytes.extend_from_slice(room.get(..got).unwrap_or_default());
        Ok(())
    }

    /// Reads a plain handshake of which this much has come.
    fn receive(&mut self, first: &[u8]) -> Result<Handshake, DisconnectReason> {
        let bytes =
            FrameReader::new(first.chain(self), 0).handshake().map_err(|error| match error.kind() {
                ErrorKind::InvalidData => DisconnectReason::Violation(Violation::BadHandshake),
                _ => why(&error),
            })?;
        Handshake::decode(&bytes).map_err(DisconnectReason::Violation)
    }

    /// Runs an encrypted handshake to its end. `find` is asked for the torrent of a connection that came in;
    /// what it found is returned with the info-hash.
    #[allow(clippy::type_complexity)]
    fn run<T>(
        &mut self,
        mut machine: EncryptedHandshake,
        find: impl FnOnce(TorrentMark) -> Option<(Handshake, T)>,
    ) -> Result<(Shaken, Option<(InfoHash, T)>), DisconnectReason> {
        let (mut find, mut found) = (Some(find), None);
        while !machine.is_done() {
            if let Some(mark) = machine.asks_for() {
                let answer = find.take().and_then(|find| find(mark));
                let (ours, torrent) = answer.ok_or(DisconnectReason::WrongTorrent)?;
                found = Some((ours.info_hash, torrent));
                machine.found(ours.info_hash, ours.encode())?;
                continue;
            }
            self.send(&machine.outgoing())?;
            let mut bytes = Vec::new();
            self.read_some(&mut bytes, machine.wanted())?;
            machine.receive(&bytes)?;
        }
        self.send(&machine.outgoing())?;
        let agreed = machine.finish().map_err(|_| DisconnectReason::Lost)?;
        let theirs = Handshake::decode(&agreed.theirs).map_err(DisconnectReason::Violation)?;
        Ok((Shaken { theirs, encryption: agreed.encryption(), ciphers: agreed.ciphers }, found))
    }

    /// Why it is over, which is `refused` where the peer cut it off without a word.
    fn refused(&self, why: DisconnectReason, refused: DisconnectReason) -> DisconnectReason {
        if why == DisconnectReason::Lost && !self.has_received() { refused } else { why }
    }
}

#[cfg(test)]
mod tests;
