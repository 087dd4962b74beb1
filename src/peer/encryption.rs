//! The handshake of Message Stream Encryption, of both ends, up to the last byte of the BitTorrent handshake
//! inside it: bytes in, bytes out. Who drives it minds the time.
//!
//! | | from | bytes |
//! |---|---|---|
//! | 1 | initiator | public key, up to 512 random bytes |
//! | 2 | responder | public key, up to 512 random bytes |
//! | 3 | initiator | H("req1", S), H("req2", torrent) ^ H("req3", S), and encrypted: eight zeros, the methods offered, a pad of up to 512 bytes, the first bytes of what is to be said |
//! | 4 | responder | encrypted: eight zeros, the method chosen, a pad of up to 512 bytes |
//!
//! H is SHA-1 and S the shared secret. Each end has its own key for RC4, of S and the info-hash; its keystream
//! runs on through step 3 or 4 and, where RC4 is chosen, through all that follows. What stands in step 3 of what
//! is to be said is encrypted whatever is chosen.
//!
//! Invariants: never more than [`MAX_HELD`] bytes are held; no byte behind the BitTorrent handshake is wanted; a
//! byte passes a cipher once. A new connection has a new handshake: nothing is taken over from a failed one.

use crate::crypto::{Ciphers, Encryption, KEY_LENGTH, Rc4, SECRET_LENGTH, public_key, shared_secret};
use crate::digest::{Digest, Sha1};
use crate::id::InfoHash;
use crate::violation::{DisconnectReason, Violation};
use crate::wire::handshake;

/// Longest pad.
pub const MAX_PAD: usize = 512;
/// Bytes held at most of what came.
pub const MAX_HELD: usize = KEY_LENGTH + MAX_PAD + READ_AHEAD;
/// Bytes that may be read while a mark is looked for: the least that comes behind it.
const READ_AHEAD: usize = 2 * MARK + 8 + 4 + 2 + 2 + PAYLOAD;
/// Length of a hash in step 3.
const MARK: usize = 20;
/// Length of the BitTorrent handshake.
const PAYLOAD: usize = handshake::LENGTH;
/// What both ends can check: eight zeros.
const ZEROS: usize = 8;

/// The bits of the methods.
const PLAIN: u32 = 1;
const RC4: u32 = 2;

/// What stands for a torrent in step 3, once the shared secret is taken off: H("req2", torrent).
pub type TorrentMark = Digest;

/// How a torrent is named in an encrypted handshake.
pub fn torrent_mark(torrent: InfoHash) -> TorrentMark {
    hash(&[b"req2", torrent.as_bytes()])
}

fn hash(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finish()
}

/// What one handshake has that no other end can guess.
#[derive(Clone)]
pub struct Secrets {
    exponent: [u8; SECRET_LENGTH],
    /// In plain, so random.
    pad: Vec<u8>,
    /// Length of the encrypted pad.
    inner_pad: usize,
}

impl Secrets {
    /// Bytes of entropy that one handshake takes.
    pub const ENTROPY: usize = SECRET_LENGTH + MAX_PAD + 4;

    /// Secrets made of unpredictable bytes, none of which is used for anything else.
    pub fn new(entropy: &[u8; Secrets::ENTROPY]) -> Secrets {
        let (exponent, rest) = entropy.split_at(SECRET_LENGTH);
        let (pad, lengths) = rest.split_at(MAX_PAD);
        let length =
            |at: usize| usize::from(u16::from_be_bytes([lengths[at], lengths[at + 1]])) % (MAX_PAD + 1);
        Secrets::with_pads(exponent.try_into().unwrap_or_default(), pad[..length(0)].to_vec(), length(2))
    }

    /// Secrets with this exponent, and pads of up to [`MAX_PAD`] bytes.
    pub fn with_pads(exponent: [u8; SECRET_LENGTH], mut pad: Vec<u8>, inner_pad: usize) -> Secrets {
        pad.truncate(MAX_PAD);
        Secrets { exponent, pad, inner_pad: inner_pad.min(MAX_PAD) }
    }
}

/// What came of a handshake.
#[derive(Debug)]
pub struct Agreed {
    /// The BitTorrent handshake of the other end.
    pub theirs: [u8; PAYLOAD],
    /// The ciphers of what comes and of what goes from here on; nothing where that is plain.
    pub ciphers: Option<Ciphers>,
}

impl Agreed {
    /// How much of the connection is encrypted.
    pub fn encryption(&self) -> Encryption {
        if self.ciphers.is_some() { Encryption::Rc4 } else { Encryption::Handshake }
    }
}

/// One end of a handshake.
#[derive(Clone)]
pub struct EncryptedHandshake {
    end: End,
    stage: Stage,
    secrets: Secrets,
    /// Whether nothing less than RC4 will do.
    requires_rc4: bool,
    /// The BitTorrent handshake that we send.
    ours: [u8; PAYLOAD],
    shared: [u8; KEY_LENGTH],
    ciphers: Option<Ciphers>,
    /// What came and has not been used yet.
    held: Vec<u8>,
    /// What is to be sent.
    outgoing: Vec<u8>,
    /// What came so far of the BitTorrent handshake.
    theirs: Vec<u8>,
    chosen: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Initiator(InfoHash),
    Responder,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The public key.
    Key,
    /// The mark behind the pad of the other end; `searched` bytes were looked through.
    Mark {
        searched: usize,
    },
    /// Which torrent it is for.
    Torrent,
    /// An answer of ours: whether there is such a torrent.
    Answer(TorrentMark),
    /// Zeros and the methods offered, or the one chosen, and the length of a pad.
    Methods,
    /// The pad, and for a responder the length of what is said in step 3.
    Pad(usize),
    /// What is said in step 3.
    Early(usize),
    /// The rest of the BitTorrent handshake.
    Payload,
    Done,
}

type Result<T> = std::result::Result<T, DisconnectReason>;

const BAD: DisconnectReason = DisconnectReason::Violation(Violation::BadEncryption);

impl EncryptedHandshake {
    /// The end that dialed, for this torrent, which says `ours`.
    pub fn initiator(
        torrent: InfoHash,
        ours: [u8; PAYLOAD],
        requires_rc4: bool,
        secrets: Secrets,
    ) -> EncryptedHandshake {
        let mut handshake = EncryptedHandshake::new(End::Initiator(torrent), requires_rc4, secrets);
        handshake.ours = ours;
        handshake.send_key();
        handshake
    }

    /// The end that was dialed. It sends nothing until it has the other end's whole key.
    pub fn responder(requires_rc4: bool, secrets: Secrets) -> EncryptedHandshake {
        EncryptedHandshake::new(End::Responder, requires_rc4, secrets)
    }

    fn new(end: End, requires_rc4: bool, secrets: Secrets) -> EncryptedHandshake {
        EncryptedHandshake {
            end,
            stage: Stage::Key,
            secrets,
            requires_rc4,
            ours: [0; PAYLOAD],
            shared: [0; KEY_LENGTH],
            ciphers: None,
            held: Vec::new(),
            outgoing: Vec::new(),
            theirs: Vec::new(),
            chosen: 0,
        }
    }

    /// How many bytes may be read now, without one that is not part of the handshake; 0 where it waits for
    /// nothing.
    pub fn wanted(&self) -> usize {
        let responds = self.end == End::Responder;
        let rest = match self.stage {
            // The other end says nothing more until it has our key.
            Stage::Key => KEY_LENGTH + MAX_PAD,
            Stage::Mark { .. } if responds => self.held.len() + READ_AHEAD - MARK + 1,
            Stage::Mark { .. } => self.held.len() + 1 + 4 + 2 + PAYLOAD,
            Stage::Torrent => READ_AHEAD - MARK,
            Stage::Methods if responds => ZEROS + 4 + 2 + 2 + PAYLOAD,
            Stage::Methods => 4 + 2 + PAYLOAD,
            Stage::Pad(length) if responds => length + 2 + PAYLOAD,
            Stage::Pad(length) => length + PAYLOAD,
            Stage::Early(_) | Stage::Payload => PAYLOAD - self.theirs.len(),
            Stage::Answer(_) | Stage::Done => 0,
        };
        rest.saturating_sub(self.held.len())
    }

    /// Takes in bytes, [`wanted`](Self::wanted) at most, and says how many.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<usize> {
        let taken = bytes.len().min(self.wanted());
        self.held.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        while self.advance()? {}
        Ok(taken)
    }

    /// What is to be sent now.
    pub fn outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// The torrent that the other end asks for, where it waits for [`found`](Self::found).
    pub fn asks_for(&self) -> Option<TorrentMark> {
        match self.stage {
            Stage::Answer(mark) => Some(mark),
            _ => None,
        }
    }

    /// There is such a torrent; `ours` is what we say.
    ///
    /// # Errors
    /// As [`receive`](Self::receive): what came already is looked at.
    pub fn found(&mut self, torrent: InfoHash, ours: [u8; PAYLOAD]) -> Result<()> {
        self.ours = ours;
        self.make_ciphers(torrent);
        self.stage = Stage::Methods;
        while self.advance()? {}
        Ok(())
    }

    /// What was agreed on, once the handshake is done; before, the handshake as it is.
    pub fn finish(self) -> std::result::Result<Agreed, Box<EncryptedHandshake>> {
        match <[u8; PAYLOAD]>::try_from(self.theirs.as_slice()) {
            Ok(theirs) if self.stage == Stage::Done => {
                let ciphers = self.ciphers.filter(|_| self.chosen == RC4);
                Ok(Agreed { theirs, ciphers })
            }
            _ => Err(Box::new(self)),
        }
    }

    /// Whether all is said.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Goes on by one stage, where enough has come for it; says whether it did.
    fn advance(&mut self) -> Result<bool> {
        let responds = self.end == End::Responder;
        self.stage = match self.stage {
            Stage::Key => {
                let Some(key) = self.take::<KEY_LENGTH>() else { return Ok(false) };
                self.shared = shared_secret(&self.secrets.exponent, &key).ok_or(BAD)?;
                match self.end {
                    End::Initiator(torrent) => self.offer(torrent),
                    End::Responder => self.send_key(),
                }
                Stage::Mark { searched: 0 }
            }
            Stage::Mark { searched } => {
                let found = if responds {
                    self.find(&hash(&[b"req1", &self.shared]), searched)?
                } else {
                    let mut zeros = [0; ZEROS];
                    // As the other end's cipher begins; the running one passes them when they are found.
                    self.ciphers.as_ref().ok_or(BAD)?.reader.clone().apply(&mut zeros);
                    self.find(&zeros, searched)?
                };
                match found {
                    Some(behind) => {
                        self.held.drain(..behind);
                        if responds {
                            Stage::Torrent
                        } else {
                            self.decrypt(&mut [0; ZEROS]);
                            Stage::Methods
                        }
                    }
                    None => {
                        self.stage = Stage::Mark { searched: self.held.len() };
                        return Ok(false);
                    }
                }
            }
            Stage::Torrent => {
                let Some(mut mark) = self.take::<MARK>() else { return Ok(false) };
                let cover = hash(&[b"req3", &self.shared]);
                mark.iter_mut().zip(cover).for_each(|(byte, cover)| *byte ^= cover);
                Stage::Answer(mark)
            }
            Stage::Methods if responds => {
                let Some(mut bytes) = self.take::<{ ZEROS + 4 + 2 }>() else { return Ok(false) };
                self.decrypt(&mut bytes);
                let [zeros @ .., a, b, c, d, high, low] = bytes;
                if zeros != [0; ZEROS] {
                    return Err(BAD);
                }
                self.chosen = self.choose(u32::from_be_bytes([a, b, c, d]))?;
                Stage::Pad(pad_length(high, low)?)
            }
            Stage::Methods => {
                let Some(mut bytes) = self.take::<{ 4 + 2 }>() else { return Ok(false) };
                self.decrypt(&mut bytes);
                let [a, b, c, d, high, low] = bytes;
                self.chosen = u32::from_be_bytes([a, b, c, d]);
                if self.chosen != RC4 && (self.chosen != PLAIN || self.requires_rc4) {
                    return Err(BAD);
                }
                Stage::Pad(pad_length(high, low)?)
            }
            Stage::Pad(length) => {
                let behind = if responds { 2 } else { 0 };
                let Some(bytes) = self.take_decrypted(length + behind) else { return Ok(false) };
                match bytes.get(length..) {
                    Some(&[high, low]) => match usize::from(u16::from_be_bytes([high, low])) {
                        early @ 0..=PAYLOAD => Stage::Early(early),
                        _ => return Err(BAD),
                    },
                    _ => Stage::Payload,
                }
            }
            Stage::Early(length) => {
                let Some(bytes) = self.take_decrypted(length) else { return Ok(false) };
                self.theirs = bytes;
                self.answer();
                Stage::Payload
            }
            Stage::Payload => {
                let missing = PAYLOAD - self.theirs.len();
                if self.held.len() < missing {
                    return Ok(false);
                }
                let mut bytes: Vec<u8> = self.held.drain(..missing).collect();
                if self.chosen == RC4 {
                    self.decrypt(&mut bytes);
                }
                self.theirs.append(&mut bytes);
                Stage::Done
            }
            Stage::Answer(_) | Stage::Done => return Ok(false),
        };
        Ok(true)
    }

    /// Steps 1 and 2.
    fn send_key(&mut self) {
        self.outgoing.extend(public_key(&self.secrets.exponent));
        self.outgoing.append(&mut self.secrets.pad);
    }

    /// Step 3.
    fn offer(&mut self, torrent: InfoHash) {
        self.make_ciphers(torrent);
        let mark = torrent_mark(torrent).into_iter().zip(hash(&[b"req3", &self.shared]));
        self.outgoing.extend(hash(&[b"req1", &self.shared]));
        self.outgoing.extend(mark.map(|(byte, cover)| byte ^ cover));
        let methods = if self.requires_rc4 { RC4 } else { PLAIN | RC4 };
        let mut said = self.methods_and_pad(methods);
        said.extend((PAYLOAD as u16).to_be_bytes());
        said.extend(self.ours);
        self.encrypt(&mut said);
        self.outgoing.append(&mut said);
    }

    /// Step 4, and our BitTorrent handshake behind it.
    fn answer(&mut self) {
        let mut said = self.methods_and_pad(self.chosen);
        if self.chosen == RC4 {
            said.extend(self.ours);
        }
        self.encrypt(&mut said);
        if self.chosen != RC4 {
            said.extend(self.ours);
        }
        self.outgoing.append(&mut said);
    }

    fn methods_and_pad(&self, methods: u32) -> Vec<u8> {
        let mut said = vec![0; ZEROS];
        said.extend(methods.to_be_bytes());
        said.extend((self.secrets.inner_pad as u16).to_be_bytes());
        said.resize(said.len() + self.secrets.inner_pad, 0);
        said
    }

    /// The method of those offered: the handshake is what hides, so no more than that where it will do.
    fn choose(&self, offered: u32) -> Result<u32> {
        match offered {
            _ if offered & PLAIN != 0 && !self.requires_rc4 => Ok(PLAIN),
            _ if offered & RC4 != 0 => Ok(RC4),
            _ => Err(DisconnectReason::EncryptionMismatch),
        }
    }

    fn make_ciphers(&mut self, torrent: InfoHash) {
        let cipher = |name: &[u8]| Rc4::new(&hash(&[name, &self.shared, torrent.as_bytes()]));
        let (initiator, responder) = (cipher(b"keyA"), cipher(b"keyB"));
        self.ciphers = Some(match self.end {
            End::Initiator(_) => Ciphers { reader: responder, writer: initiator },
            End::Responder => Ciphers { reader: initiator, writer: responder },
        });
    }

    /// Where the bytes behind a mark begin, which follows a pad.
    fn find(&self, mark: &[u8], searched: usize) -> Result<Option<usize>> {
        let most = MAX_PAD + mark.len();
        let from = searched.saturating_sub(mark.len() - 1);
        let among = self.held.get(from..self.held.len().min(most)).unwrap_or_default();
        match among.windows(mark.len()).position(|window| window == mark) {
            Some(at) => Ok(Some(from + at + mark.len())),
            None if self.held.len() >= most => Err(BAD),
            None => Ok(None),
        }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.held.first_chunk()?;
        self.held.drain(..N);
        Some(bytes)
    }

    fn take_decrypted(&mut self, length: usize) -> Option<Vec<u8>> {
        if self.held.len() < length {
            return None;
        }
        let mut bytes: Vec<u8> = self.held.drain(..length).collect();
        self.decrypt(&mut bytes);
        Some(bytes)
    }

    fn decrypt(&mut self, bytes: &mut [u8]) {
        self.ciphers.iter_mut().for_each(|ciphers| ciphers.reader.apply(bytes));
    }

    fn encrypt(&mut self, bytes: &mut [u8]) {
        self.ciphers.iter_mut().for_each(|ciphers| ciphers.writer.apply(bytes));
    }
}

fn pad_length(high: u8, low: u8) -> Result<usize> {
    match usize::from(u16::from_be_bytes([high, low])) {
        length @ 0..=MAX_PAD => Ok(length),
        _ => Err(BAD),
    }
}

#[cfg(test)]
mod tests;
