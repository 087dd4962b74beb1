//! The encrypted handshake of both ends, against another end that says what it likes in the right keys: however
//! its bytes are cut the outcome is the same, and no more is read than belongs to the handshake.

use std::sync::OnceLock;

use bitwren::internals::crypto::{Encryption, Rc4, public_key, shared_secret};
use bitwren::internals::digest::sha1;
use bitwren::internals::peer::encryption::{EncryptedHandshake, MAX_HELD, MAX_PAD, Secrets, torrent_mark};
use bitwren::{DisconnectReason, InfoHash};

use super::Script;

const TORRENT: InfoHash = InfoHash::from_bytes([7; 20]);
/// The secret exponent of the other end.
const THEIRS: [u8; 20] = [5; 20];

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Over(DisconnectReason),
    Waits,
    Agreed(Encryption, [u8; 68]),
}

/// Our end, and whether it has the other's key already, which is what takes time.
#[derive(Clone)]
struct Begun {
    end: EncryptedHandshake,
    shared: [u8; 96],
}

fn begin(responds: bool, requires_rc4: bool) -> EncryptedHandshake {
    let secrets = Secrets::with_pads([9; 20], vec![1; 40], 3);
    if responds {
        EncryptedHandshake::responder(requires_rc4, secrets)
    } else {
        EncryptedHandshake::initiator(TORRENT, [b'x'; 68], requires_rc4, secrets)
    }
}

fn begun(responds: bool, requires_rc4: bool) -> Begun {
    static BEGUN: OnceLock<[Begun; 4]> = OnceLock::new();
    let all = BEGUN.get_or_init(|| {
        let shared = shared_secret(&THEIRS, &public_key(&[9; 20])).unwrap();
        [0, 1, 2, 3].map(|kind| {
            let mut end = begin(kind & 1 != 0, kind & 2 != 0);
            assert_eq!(end.receive(&public_key(&THEIRS)), Ok(96));
            Begun { end, shared }
        })
    });
    all[usize::from(responds) + 2 * usize::from(requires_rc4)].clone()
}

fn hash(parts: &[&[u8]]) -> [u8; 20] {
    sha1(&parts.concat())
}

/// Hands `bytes` over in parts of these lengths.
fn run(mut end: EncryptedHandshake, mut bytes: &[u8], cuts: &[usize]) -> (Outcome, usize) {
    let (mut taken, mut next) = (0, 0);
    loop {
        if let Some(mark) = end.asks_for() {
            if mark != torrent_mark(TORRENT) {
                return (Outcome::Over(DisconnectReason::WrongTorrent), taken);
            }
            if let Err(why) = end.found(TORRENT, [b'x'; 68]) {
                return (Outcome::Over(why), taken);
            }
        }
        let cut = cuts.get(next % cuts.len().max(1)).copied().unwrap_or(usize::MAX).max(1);
        next += 1;
        assert!(end.wanted() <= MAX_HELD);
        let part = &bytes[..bytes.len().min(cut)];
        match end.receive(part) {
            Ok(got) => {
                assert!(got <= part.len());
                assert!(got > 0 || part.is_empty() || end.wanted() == 0);
                (taken, bytes) = (taken + got, &bytes[got..]);
                assert!(end.outgoing().len() <= 2 * MAX_PAD + 200);
                if got == 0 && end.asks_for().is_none() {
                    break;
                }
            }
            Err(why) => return (Outcome::Over(why), taken),
        }
    }
    let outcome = match end.finish() {
        Ok(agreed) => Outcome::Agreed(agreed.encryption(), agreed.theirs),
        Err(_) => Outcome::Waits,
    };
    (outcome, taken)
}

/// What an initiator or a responder sends behind its key, its fields as the script has them.
fn sends(script: &mut Script<'_>, initiates: bool, shared: &[u8; 96], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; [0, 1, 511, 512, 513, 40, 7, 3][script.below(8) as usize]];
    let key = if initiates { b"keyA" } else { b"keyB" };
    let mut cipher = Rc4::new(&hash(&[key, shared, TORRENT.as_bytes()]));
    if initiates {
        bytes.extend(hash(&[b"req1", shared]));
        let torrent = if script.below(16) == 15 { InfoHash::from_bytes([8; 20]) } else { TORRENT };
        let cover = hash(&[b"req3", shared]);
        bytes.extend(torrent_mark(torrent).iter().zip(cover).map(|(byte, cover)| byte ^ cover));
    }
    let mut said = vec![0; 8];
    if script.below(16) == 15 {
        said[script.below(8) as usize] = script.byte();
    }
    let methods = [3, 2, 1, 0, 4, script.word(), 2, 1][script.below(8) as usize];
    said.extend(methods.to_be_bytes());
    let pad = [0, 1, 512, 513, 0xFFFF, 9, 10, 100][script.below(8) as usize];
    said.extend((pad as u16).to_be_bytes());
    said.extend(vec![0; pad.min(600)]);
    let mut early = payload.len();
    if initiates {
        let says = [68, 0, 1, 67, 69, 0xFFFF, 20, 48][script.below(8) as usize];
        said.extend((says as u16).to_be_bytes());
        early = early.min(says);
        said.extend(&payload[..early]);
    } else {
        early = 0;
    }
    cipher.apply(&mut said);
    bytes.extend(said);
    let mut later = payload[early..].to_vec();
    if script.bit() {
        cipher.apply(&mut later);
    }
    bytes.extend(later);
    bytes
}

/// Whatever the other end sends.
pub fn encryption(data: &[u8]) {
    let mut script = Script::new(data);
    let (responds, requires_rc4) = (script.bit(), script.bit());
    let cuts: Vec<usize> = (0..script.below(5)).map(|_| script.word() as usize % 700).collect();
    let payload: Vec<u8> = (0..68).map(|_| script.byte()).collect();
    let (end, mut bytes) = if script.below(32) == 31 {
        (begin(responds, requires_rc4), script.bytes().to_vec())
    } else {
        let Begun { end, shared } = begun(responds, requires_rc4);
        (end, sends(&mut script, responds, &shared, &payload))
    };
    let mut altered = false;
    while !script.is_over() && script.below(4) == 3 {
        altered = true;
        let at = script.word() as usize % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= script.byte();
        }
    }
    // What follows is not ours to read.
    let length = bytes.len();
    bytes.extend([b'm'; 50]);
    let (whole, taken) = run(end.clone(), &bytes, &[]);
    let (in_parts, taken_in_parts) = run(end, &bytes, &cuts);
    assert_eq!(whole, in_parts);
    if let Outcome::Agreed(encryption, _) = whole {
        assert_eq!(taken, taken_in_parts);
        // A length that was altered may reach into what follows.
        assert!(altered || taken <= length);
        assert!(!requires_rc4 || encryption == Encryption::Rc4);
    }
}
