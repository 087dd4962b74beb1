use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use super::*;
use crate::id::PeerId;
use crate::peer::encryption::torrent_mark;

/// A peer that says this, a byte at a time, and what it was told.
#[derive(Default)]
struct Script {
    says: Vec<u8>,
    read: usize,
    told: Vec<u8>,
    bounds: Vec<Duration>,
}

impl Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (Some(byte), Some(place)) = (self.says.get(self.read), buf.first_mut()) else { return Ok(0) };
        *place = *byte;
        self.read += 1;
        Ok(1)
    }
}

impl Write for Script {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let some = &buf[..buf.len().min(50)];
        self.told.extend_from_slice(some);
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for &mut Script {
    fn bound_waits(&mut self, most: Duration) -> io::Result<()> {
        self.bounds.push(most);
        Ok(())
    }
}

impl Stream for &UnixStream {
    fn bound_waits(&mut self, most: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(most))?;
        self.set_write_timeout(Some(most))
    }
}

const OFF: EncryptionPolicy = EncryptionPolicy::Off;
const ALLOW: EncryptionPolicy = EncryptionPolicy::Allow;
const REQUIRE: EncryptionPolicy = EncryptionPolicy::Require;
const BAD: DisconnectReason = DisconnectReason::Violation(Violation::BadHandshake);

fn handshake(torrent: u8, peer: u8) -> Handshake {
    Handshake::ours(InfoHash::from_bytes([torrent; 20]), PeerId::from_bytes([peer; 20]))
}

fn peer(says: &[u8]) -> Script {
    Script { says: says.into(), ..Script::default() }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn theirs(shaken: Result<Shaken, DisconnectReason>) -> Result<Handshake, DisconnectReason> {
    shaken.map(|shaken| shaken.theirs)
}

#[test]
fn a_connection_that_we_make_says_its_torrent_first_and_reads_no_byte_too_many() {
    let (ours, says) = (handshake(1, 2), handshake(1, 3));
    let mut stream = peer(&[&says.encode()[..], b"more"].concat());
    assert_eq!(theirs(initiate(&mut stream, &ours, later())), Ok(says));
    assert_eq!((stream.told, stream.read), (ours.encode().to_vec(), 68));
    assert!(stream.bounds.len() >= 70, "every wait is bounded");
    let mut stream = peer(&handshake(9, 3).encode());
    assert_eq!(theirs(initiate(&mut stream, &ours, later())), Err(DisconnectReason::WrongTorrent));
}

#[test]
fn a_connection_that_comes_in_is_answered_for_a_torrent_that_is_here_and_else_told_nothing() {
    let (ours, says) = (handshake(1, 2), handshake(1, 3));
    let find = |asked| (asked == Asked::InfoHash(ours.info_hash)).then_some((ours, "found"));
    for policy in [OFF, ALLOW, EncryptionPolicy::Prefer] {
        let mut stream = peer(&[&says.encode()[..], b"more"].concat());
        let (shaken, found) = respond(&mut stream, policy, find, later()).unwrap();
        assert_eq!((shaken.theirs, shaken.encryption, found), (says, Encryption::None, "found"));
        assert_eq!((stream.told, stream.read), (ours.encode().to_vec(), 68));
        let mut stream = peer(&handshake(9, 3).encode());
        let refused = respond(&mut stream, policy, find, later()).map(drop);
        assert_eq!(refused, Err(DisconnectReason::WrongTorrent));
        assert_eq!(stream.told, []);
    }
    let mut stream = peer(&says.encode());
    let refused = respond(&mut stream, REQUIRE, find, later()).map(drop);
    assert_eq!((refused, stream.told), (Err(DisconnectReason::EncryptionMismatch), Vec::new()));
}

#[test]
fn what_is_no_handshake_has_a_reason() {
    let ours = handshake(1, 2);
    let outcome = |says: &[u8], end| initiate(&mut peer(says), &ours, end).map(drop).unwrap_err();
    assert_eq!(outcome(b"GET / HTTP/1.1\r\n\r\n", later()), BAD);
    assert_eq!(outcome(&handshake(1, 3).encode()[..67], later()), DisconnectReason::Lost);
    assert_eq!(outcome(&[], later()), DisconnectReason::PlainRefused);
    assert_eq!(outcome(&handshake(1, 3).encode(), Instant::now()), DisconnectReason::Silent);
    for says in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-OpenSSH"] {
        let mut stream = peer(says);
        let outcome = respond(&mut stream, ALLOW, |_| None::<(Handshake, ())>, later()).map(drop);
        assert_eq!((outcome, stream.told.len(), stream.read), (Err(BAD), 0, 4), "at its fourth byte");
    }
    let mut stream = peer(&[7; 100]);
    let outcome = respond(&mut stream, OFF, |_| None::<(Handshake, ())>, later()).map(drop);
    assert_eq!((outcome, stream.told.len(), stream.read), (Err(BAD), 0, 1), "what is off is not understood");
}

#[test]
fn an_encrypted_handshake_that_is_cut_off_or_answered_in_plain_is_no_misdeed() {
    let ours = handshake(1, 2);
    let outcome = |says: &[u8]| initiate_encrypted(&mut peer(says), &ours, ALLOW, later()).map(drop);
    let refused = Err(DisconnectReason::EncryptionRefused);
    assert_eq!(outcome(&[]), refused);
    assert_eq!(outcome(&[0; 96]), refused);
    let plain = [handshake(1, 3).encode(); 20].concat();
    assert_eq!(outcome(&plain), refused);
    assert_eq!(outcome(&plain[..150]), Err(DisconnectReason::Lost));
}

/// Both ends of one connection under these policies.
fn meet(
    one: EncryptionPolicy,
    other: EncryptionPolicy,
    torrent: u8,
) -> (Result<Shaken, DisconnectReason>, Result<Shaken, DisconnectReason>) {
    let (near, far) = UnixStream::pair().unwrap();
    let ours = handshake(torrent, 2);
    let responding = thread::spawn(move || {
        let known = handshake(1, 3);
        let find = |asked| (asked == Asked::Mark(torrent_mark(known.info_hash))).then_some((known, ()));
        respond(&far, other, find, later()).map(|(shaken, ())| shaken)
    });
    let initiated = initiate_encrypted(&near, &ours, one, later());
    drop(near);
    (initiated, responding.join().unwrap())
}

#[test]
fn both_ends_of_an_encrypted_connection_agree_as_their_policies_have_it() {
    for (one, other, encryption) in [
        (ALLOW, ALLOW, Encryption::Handshake),
        (ALLOW, REQUIRE, Encryption::Rc4),
        (REQUIRE, ALLOW, Encryption::Rc4),
        (REQUIRE, REQUIRE, Encryption::Rc4),
    ] {
        let (near, far) = meet(one, other, 1);
        let (near, far) = (near.unwrap(), far.unwrap());
        assert_eq!((near.encryption, far.encryption), (encryption, encryption));
        assert_eq!((near.theirs, far.theirs), (handshake(1, 3), handshake(1, 2)));
        assert_eq!(near.ciphers.is_some(), encryption == Encryption::Rc4);
    }
    let (near, far) = meet(ALLOW, OFF, 1);
    assert_eq!((near.map(drop), far.map(drop)), (Err(DisconnectReason::EncryptionRefused), Err(BAD)));
    let (near, far) = meet(ALLOW, ALLOW, 9);
    assert_eq!(far.map(drop), Err(DisconnectReason::WrongTorrent));
    assert_eq!(near.map(drop), Err(DisconnectReason::Lost));
}

#[test]
fn an_encrypted_handshake_that_stops_anywhere_ends_at_its_deadline() {
    let ours = handshake(1, 2);
    let mut stream = peer(&[7; 96]);
    let outcome = initiate_encrypted(&mut stream, &ours, ALLOW, Instant::now()).map(drop);
    assert_eq!((outcome, stream.told.len()), (Err(DisconnectReason::Silent), 0));
    let find = |_| None::<(Handshake, ())>;
    for length in [0, 1, 95, 96, 600] {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(&vec![7; length]).unwrap();
        let outcome = respond(&far, ALLOW, find, Instant::now() + Duration::from_millis(100)).map(drop);
        assert_eq!(outcome, Err(DisconnectReason::Silent), "{length}");
        drop(far);
        let mut said = Vec::new();
        near.read_to_end(&mut said).unwrap_or_default();
        assert_eq!(said.len() >= 96, length >= 96, "no answer before a whole key");
    }
}
