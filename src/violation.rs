//! Protocol violations of peers, and why a connection ended: data with a name, not errors.

use std::fmt;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// It could not be reached.
    Unreachable,
    /// It hung up, or the network did.
    Lost,
    /// It said nothing, or did not read, for too long.
    Silent,
    /// Both sides have everything.
    BothSeeds,
    /// It is ourselves.
    Ourselves,
    /// It is connected already.
    Duplicate,
    /// It asked for another torrent.
    WrongTorrent,
    /// One of us requires encryption that the other does not have.
    EncryptionMismatch,
    /// It hung up on a handshake in plain without an answer. It may require encryption.
    PlainRefused,
    /// It hung up on an encrypted handshake without an answer, or answered with something else. It may not
    /// encrypt.
    EncryptionRefused,
    /// There is no room for it.
    Crowded,
    /// It did this.
    Violation(Violation),
    /// Pieces that it was told of were lost, and it does not speak the extension that says so (BEP 54). A new
    /// connection begins with the remaining pieces.
    PiecesLost,
    /// It cannot tell what the torrent is made of, and that was all we wanted of it (BEP 9).
    NoMetadata,
    /// The torrent was paused or removed, or the client ends.
    Shutdown,
}

/// A protocol violation of a peer. Data, not an error: the torrent goes on without that peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// The handshake is not BitTorrent's.
    BadHandshake,
    /// Its encrypted handshake is none: a public key that gives the secret away, pads past their bound, a method
    /// that was not offered.
    BadEncryption,
    /// A frame longer than anything it could rightly hold.
    OversizedFrame,
    /// A message whose length does not fit its kind.
    MalformedMessage,
    /// A bitfield of the wrong length or with spare bits set.
    BadBitfield,
    /// A piece index past the last piece.
    IndexOutOfRange,
    /// A request outside its piece, or for more than 128 KiB.
    BadRequest,
    /// Requests without end while choked or past the queue's bound.
    RequestFlood,
    /// Unrequested blocks, again and again.
    UnrequestedBlock,
    /// A message of the Fast Extension although it was not agreed on (BEP 6).
    FastNotAgreed,
    /// A rejection of something that was not requested.
    BadReject,
    /// It delivered a piece that does not have its hash.
    CorruptPiece,
    /// It promised pieces, took requests, and delivered nothing.
    NeverDelivers,
    /// Messages that change nothing, in a flood.
    Flood,
    /// Metadata that does not have its hash, or not the length that it said (BEP 9).
    FalseMetadata,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Violation::BadHandshake => "bad handshake",
            Violation::BadEncryption => "bad encrypted handshake",
            Violation::OversizedFrame => "oversized frame",
            Violation::MalformedMessage => "malformed message",
            Violation::BadBitfield => "bad bitfield",
            Violation::IndexOutOfRange => "piece index out of range",
            Violation::BadRequest => "bad request",
            Violation::RequestFlood => "request flood",
            Violation::UnrequestedBlock => "unrequested blocks",
            Violation::FastNotAgreed => "fast extension not agreed on",
            Violation::BadReject => "rejection of nothing",
            Violation::CorruptPiece => "corrupt piece",
            Violation::NeverDelivers => "never delivers",
            Violation::Flood => "message flood",
            Violation::FalseMetadata => "false metadata",
        })
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DisconnectReason::Unreachable => "unreachable",
            DisconnectReason::Lost => "connection lost",
            DisconnectReason::Silent => "silent for too long",
            DisconnectReason::BothSeeds => "both have everything",
            DisconnectReason::Ourselves => "it is ourselves",
            DisconnectReason::Duplicate => "connected already",
            DisconnectReason::WrongTorrent => "another torrent",
            DisconnectReason::EncryptionMismatch => "no encryption in common",
            DisconnectReason::PlainRefused => "hung up on a handshake in plain",
            DisconnectReason::EncryptionRefused => "hung up on an encrypted handshake",
            DisconnectReason::Crowded => "no room",
            DisconnectReason::Violation(violation) => return violation.fmt(f),
            DisconnectReason::PiecesLost => "pieces we offered are no longer there",
            DisconnectReason::NoMetadata => "has no metadata",
            DisconnectReason::Shutdown => "shutting down",
        })
    }
}
