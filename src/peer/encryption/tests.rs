use std::collections::HashMap;

use super::*;
use crate::random::Random;

const VECTORS: &str = include_str!("../../../testdata/vectors/mse.txt");

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The recorded values of one end.
fn recorded(end: &str) -> HashMap<&'static str, Vec<u8>> {
    let lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| line.split_once(" | ").unwrap());
    values.filter_map(|(name, hex)| Some((name.strip_prefix(end)?.strip_prefix('.')?, unhex(hex)))).collect()
}

fn secrets(random: &mut Random, pad: usize, inner_pad: usize) -> Secrets {
    let exponent = std::array::from_fn(|_| random.next_u64() as u8);
    let pad = (0..pad).map(|_| random.next_u64() as u8).collect();
    Secrets::with_pads(exponent, pad, inner_pad)
}

fn torrent(byte: u8) -> InfoHash {
    InfoHash::from_bytes([byte; 20])
}

fn said(byte: u8) -> [u8; PAYLOAD] {
    std::array::from_fn(|at| if at < 20 { handshake::PROTOCOL[at] } else { byte })
}

/// Hands bytes over in parts of up to `most`, as far as they are wanted, and returns what was not.
fn hand(to: &mut EncryptedHandshake, mut bytes: &[u8], most: usize) -> Result<Vec<u8>> {
    loop {
        if let Some(mark) = to.asks_for() {
            if mark != torrent_mark(torrent(7)) {
                return Err(DisconnectReason::WrongTorrent);
            }
            to.found(torrent(7), said(2))?;
        }
        let part = bytes.len().min(most).min(to.wanted());
        if part == 0 {
            return Ok(bytes.to_vec());
        }
        assert_eq!(to.receive(&bytes[..part])?, part);
        assert!(to.held.len() <= MAX_HELD);
        bytes = &bytes[part..];
    }
}

/// Both ends against one another, in parts of up to `most` bytes; what each sent behind its own part of the
/// handshake is `extra`, and must be left alone.
fn talk(mut one: EncryptedHandshake, mut other: EncryptedHandshake, most: usize) -> Result<(Agreed, Agreed)> {
    let (mut to_one, mut to_other) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        to_other.extend(one.outgoing());
        to_other = hand(&mut other, &to_other, most)?;
        to_one.extend(other.outgoing());
        to_one = hand(&mut one, &to_one, most)?;
    }
    assert_eq!((to_one.len(), to_other.len()), (0, 0), "nothing is left");
    Ok((one.finish().map_err(drop).unwrap(), other.finish().map_err(drop).unwrap()))
}

fn pair(
    random: &mut Random,
    pads: [usize; 4],
    strict: [bool; 2],
) -> (EncryptedHandshake, EncryptedHandshake) {
    let [a, b, c, d] = pads;
    let ours = secrets(random, a, c);
    let theirs = secrets(random, b, d);
    (
        EncryptedHandshake::initiator(torrent(7), said(1), strict[0], ours),
        EncryptedHandshake::responder(strict[1], theirs),
    )
}

fn check(agreed: (Agreed, Agreed), is_rc4: bool) {
    let (mut one, mut other) = agreed;
    assert_eq!((one.theirs, other.theirs), (said(2), said(1)));
    assert_eq!(one.encryption(), other.encryption());
    assert_eq!(one.encryption() == Encryption::Rc4, is_rc4);
    if let (Some(one), Some(other)) = (&mut one.ciphers, &mut other.ciphers) {
        let mut bytes = *b"both directions go on";
        one.writer.apply(&mut bytes);
        assert_ne!(&bytes, b"both directions go on");
        other.reader.apply(&mut bytes);
        other.writer.apply(&mut bytes);
        one.reader.apply(&mut bytes);
        assert_eq!(&bytes, b"both directions go on");
    }
}

#[test]
fn the_recorded_connection_that_came_in_is_understood() {
    let recorded = recorded("responder");
    let secrets = Secrets::with_pads(recorded["secret"].clone().try_into().unwrap(), Vec::new(), 0);
    for cut in 0..recorded["says"].len() {
        let mut end = EncryptedHandshake::responder(false, secrets.clone());
        end.receive(&recorded["their_key"]).unwrap();
        assert_eq!(
            (end.outgoing(), end.shared.to_vec()),
            (recorded["our_key"].clone(), recorded["shared"].clone())
        );
        let hash = InfoHash::from_bytes(recorded["info_hash"].clone().try_into().unwrap());
        let (first, second) = recorded["says"].split_at(cut);
        let mut rest = Vec::new();
        for part in [first, second] {
            rest.extend_from_slice(part);
            while end.wanted() > 0 && !rest.is_empty() {
                let taken = end.receive(&rest).unwrap();
                rest.drain(..taken);
                if let Some(mark) = end.asks_for() {
                    assert_eq!(mark, torrent_mark(hash));
                    end.found(hash, said(2)).unwrap();
                }
            }
        }
        let mut ciphers = Ciphers { reader: cipher(&recorded["key_b"]), writer: cipher(&recorded["key_a"]) };
        let mut answer = end.outgoing();
        ciphers.reader.apply(&mut answer);
        assert_eq!(answer[..14], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
        assert_eq!(answer[14..], said(2));
        let agreed = end.finish().map_err(drop).unwrap();
        assert_eq!(agreed.theirs[48..], recorded["peer_id"]);
        assert_eq!(agreed.encryption(), Encryption::Rc4, "it offered nothing else");
    }
}

fn cipher(key: &[u8]) -> Rc4 {
    Rc4::new(key.try_into().unwrap())
}

#[test]
fn the_recorded_connection_that_was_made_is_understood() {
    let recorded = recorded("initiator");
    let hash = InfoHash::from_bytes(recorded["info_hash"].clone().try_into().unwrap());
    let secrets = Secrets::with_pads(recorded["secret"].clone().try_into().unwrap(), Vec::new(), 0);
    let says = [&recorded["their_key"][..], &recorded["says"]].concat();
    for cut in 0..says.len() {
        let mut end = EncryptedHandshake::initiator(hash, said(1), true, secrets.clone());
        assert_eq!(end.outgoing(), recorded["our_key"]);
        for part in [&says[..cut], &says[cut..]] {
            let mut part = part;
            while !part.is_empty() {
                part = &part[end.receive(part).unwrap()..];
            }
        }
        let sent = end.outgoing();
        assert_eq!((&sent[..20], &sent[20..40]), (&*recorded["req1"], &*recorded["req2_req3"]));
        let mut rest = sent[40..].to_vec();
        cipher(&recorded["key_a"]).apply(&mut rest);
        assert_eq!(rest, [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 68][..], &said(1)].concat());
        let agreed = end.finish().map_err(drop).unwrap();
        assert_eq!(agreed.theirs[48..], recorded["peer_id"]);
    }
}

#[test]
fn both_ends_agree_with_pads_of_every_length() {
    let mut random = Random::seeded(2);
    for pad in 0..=MAX_PAD {
        let pads = [pad, MAX_PAD - pad, (pad * 7) % (MAX_PAD + 1), (pad * 13) % (MAX_PAD + 1)];
        let (one, other) = pair(&mut random, pads, [false; 2]);
        check(talk(one, other, 4096).unwrap(), false);
    }
}

#[test]
fn both_ends_agree_however_their_bytes_are_cut() {
    let mut random = Random::seeded(3);
    for most in (1..80).chain([100, 500, 511, 512, 513, 607, 608, 609]) {
        let (one, other) = pair(&mut random, [300, 512, 17, 0], [most % 2 == 0, false]);
        check(talk(one, other, most).unwrap(), most % 2 == 0);
    }
}

#[test]
fn rc4_is_chosen_where_one_end_requires_it_and_plain_else() {
    let mut random = Random::seeded(4);
    for (strict, is_rc4) in
        [([false, false], false), ([true, false], true), ([false, true], true), ([true, true], true)]
    {
        let (one, other) = pair(&mut random, [0; 4], strict);
        check(talk(one, other, 64).unwrap(), is_rc4);
    }
}

/// One connection in 256 failed where leading zeros were lost.
#[test]
fn a_shared_secret_that_begins_with_a_zero_is_as_good() {
    let mut random = Random::seeded(5);
    for _ in 0..10_000 {
        let (ours, theirs) = (secrets(&mut random, 0, 0), secrets(&mut random, 0, 0));
        if shared_secret(&ours.exponent, &public_key(&theirs.exponent)).unwrap()[0] == 0 {
            let one = EncryptedHandshake::initiator(torrent(7), said(1), true, ours);
            let other = EncryptedHandshake::responder(true, theirs);
            return check(talk(one, other, 1000).unwrap(), true);
        }
    }
    panic!("no such secret");
}

/// An initiator that says what it likes in step 3.
struct Liar {
    secret: [u8; SECRET_LENGTH],
    zeros: [u8; ZEROS],
    methods: u32,
    pad_says: u16,
    pad: usize,
    early_says: u16,
    early: usize,
}

const HONEST: Liar =
    Liar { secret: [5; 20], zeros: [0; 8], methods: 3, pad_says: 0, pad: 0, early_says: 68, early: 68 };

impl Liar {
    /// What a responder makes of it: its error, or what it agreed to.
    fn meets(&self, strict: bool) -> Result<Option<Encryption>> {
        let mut end = EncryptedHandshake::responder(strict, secrets(&mut Random::seeded(6), 9, 9));
        hand(&mut end, &public_key(&self.secret), 200)?;
        let sent = end.outgoing();
        let shared = shared_secret(&self.secret, sent[..96].try_into().unwrap()).unwrap();
        let mut writer = Rc4::new(&hash(&[b"keyA", &shared, torrent(7).as_bytes()]));
        let mut step = hash(&[b"req1", &shared]).to_vec();
        let mark = torrent_mark(torrent(7)).into_iter().zip(hash(&[b"req3", &shared]));
        step.extend(mark.map(|(a, b)| a ^ b));
        let mut rest = self.zeros.to_vec();
        rest.extend(self.methods.to_be_bytes());
        rest.extend(self.pad_says.to_be_bytes());
        rest.extend(vec![0; self.pad]);
        rest.extend(self.early_says.to_be_bytes());
        rest.extend(&said(1)[..self.early.min(68)]);
        writer.apply(&mut rest);
        step.extend(rest);
        let mut later = said(1)[self.early.min(68)..].to_vec();
        if strict || self.methods & PLAIN == 0 {
            writer.apply(&mut later);
        }
        step.extend(later);
        hand(&mut end, &step, 33)?;
        Ok(end.finish().ok().map(|agreed| {
            assert_eq!(agreed.theirs, said(1));
            agreed.encryption()
        }))
    }
}

#[test]
fn what_an_initiator_may_say_is_taken_and_what_it_may_not_is_refused() {
    let is = |liar: Liar, strict| liar.meets(strict);
    assert_eq!(is(HONEST, false), Ok(Some(Encryption::Handshake)));
    assert_eq!(is(HONEST, true), Ok(Some(Encryption::Rc4)));
    for early in [0, 1, 20, 67] {
        let liar = || Liar { early_says: early, early: early.into(), ..HONEST };
        assert_eq!(is(liar(), false), Ok(Some(Encryption::Handshake)), "{early}");
        assert_eq!(is(liar(), true), Ok(Some(Encryption::Rc4)), "{early}");
    }
    assert_eq!(is(Liar { pad_says: 512, pad: 512, ..HONEST }, false), Ok(Some(Encryption::Handshake)));
    assert_eq!(is(Liar { methods: u32::MAX, ..HONEST }, false), Ok(Some(Encryption::Handshake)));
    assert_eq!(is(Liar { methods: 2, ..HONEST }, false), Ok(Some(Encryption::Rc4)));
    for methods in [0, 4, 1 << 31] {
        assert_eq!(is(Liar { methods, ..HONEST }, false), Err(DisconnectReason::EncryptionMismatch));
    }
    assert_eq!(is(Liar { methods: 1, ..HONEST }, true), Err(DisconnectReason::EncryptionMismatch));
    for pad_says in [513, 1024, u16::MAX] {
        assert_eq!(is(Liar { pad_says, pad: 600, ..HONEST }, false), Err(BAD), "{pad_says}");
    }
    for early_says in [69, 1000, u16::MAX] {
        assert_eq!(is(Liar { early_says, ..HONEST }, false), Err(BAD), "{early_says}");
    }
    assert_eq!(is(Liar { zeros: [0, 0, 0, 0, 0, 0, 0, 1], ..HONEST }, false), Err(BAD));
}

#[test]
fn a_method_that_was_not_offered_is_refused() {
    for (chosen, strict, refused) in [
        (0, false, true),
        (1, false, false),
        (1, true, true),
        (2, true, false),
        (3, false, true),
        (4, false, true),
    ] {
        let (mut one, other) = pair(&mut Random::seeded(7), [0; 4], [strict, false]);
        let key = public_key(&other.secrets.exponent);
        let shared = shared_secret(&other.secrets.exponent, one.outgoing()[..].try_into().unwrap()).unwrap();
        hand(&mut one, &key, 96).unwrap();
        let mut step = [&[0; 8][..], &u32::to_be_bytes(chosen), &[0, 0]].concat();
        let mut writer = Rc4::new(&hash(&[b"keyB", &shared, torrent(7).as_bytes()]));
        writer.apply(&mut step);
        assert_eq!(hand(&mut one, &step, 5).is_err(), refused, "{chosen} {strict}");
        // And a pad that is too long.
        let (mut one, _) = pair(&mut Random::seeded(7), [0; 4], [strict, false]);
        one.outgoing();
        hand(&mut one, &key, 96).unwrap();
        let mut step = [&[0; 8][..], &u32::to_be_bytes(2), &[2, 1]].concat();
        Rc4::new(&hash(&[b"keyB", &shared, torrent(7).as_bytes()])).apply(&mut step);
        assert_eq!(hand(&mut one, &step, 5), Err(BAD));
    }
}

#[test]
fn keys_that_give_the_secret_away_are_refused_and_a_mark_past_the_longest_pad_is_not_found() {
    let mut random = Random::seeded(8);
    let mut prime_less_one = unhex(concat!(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd",
        "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563"
    ));
    prime_less_one[95] -= 1;
    let one: Vec<u8> = (0..96).map(|at| u8::from(at == 95)).collect();
    for key in [vec![0; 96], one, prime_less_one, vec![255; 96]] {
        let (mut initiator, mut responder) = pair(&mut random, [0; 4], [false; 2]);
        initiator.outgoing();
        assert_eq!(hand(&mut initiator, &key, 500), Err(BAD));
        assert_eq!(hand(&mut responder, &key, 500), Err(BAD));
        assert_eq!(responder.outgoing(), [], "it is not answered");
    }
    // With a pad one byte too long, and garbage at any length.
    for garbage in [MAX_PAD, MAX_PAD + 1] {
        let (mut one, mut other) = pair(&mut random, [0; 4], [false; 2]);
        hand(&mut other, &one.outgoing(), 500).unwrap();
        hand(&mut one, &other.outgoing(), 500).unwrap();
        let step = [vec![1; garbage], one.outgoing()].concat();
        assert_eq!(hand(&mut other, &step, 7).is_ok(), garbage == MAX_PAD);
    }
    for most in [1, 50, 5000] {
        let (mut one, mut other) = pair(&mut random, [0; 4], [false; 2]);
        let garbage: Vec<u8> = (0..5000).map(|_| random.next_u64() as u8).collect();
        assert_eq!(hand(&mut one, &garbage, most), Err(BAD));
        assert_eq!(hand(&mut other, &garbage, most), Err(BAD));
    }
}

#[test]
fn a_step_played_again_and_another_torrent_are_refused() {
    let mut random = Random::seeded(9);
    let (mut one, mut other) = pair(&mut random, [10, 10, 0, 0], [false; 2]);
    let first = one.outgoing();
    hand(&mut other, &first, 999).unwrap();
    hand(&mut one, &other.outgoing(), 999).unwrap();
    let third = one.outgoing();
    hand(&mut other, &third, 999).unwrap();
    assert!(other.is_done());
    // The same bytes to the same torrent: its key is another one.
    let (_, mut again) = pair(&mut random, [0, 10, 0, 0], [false; 2]);
    hand(&mut again, &first, 999).unwrap();
    let _ = again.outgoing();
    hand(&mut again, &third, 999).unwrap();
    assert!(!again.is_done() && again.asks_for().is_none());
    assert_eq!(hand(&mut again, &[0; 1024], 999), Err(BAD));
    let wrong = EncryptedHandshake::initiator(torrent(8), said(1), false, secrets(&mut random, 0, 0));
    let (_, other) = pair(&mut random, [0; 4], [false; 2]);
    assert_eq!(talk(wrong, other, 99).unwrap_err(), DisconnectReason::WrongTorrent);
}

#[test]
fn entropy_makes_pads_of_every_length_and_no_more() {
    let mut random = Random::seeded(10);
    let lengths = (0..20_000).map(|_| {
        let entropy = std::array::from_fn(|_| random.next_u64() as u8);
        let secrets = Secrets::new(&entropy);
        assert!(secrets.inner_pad <= MAX_PAD);
        secrets.pad.len()
    });
    let seen: std::collections::BTreeSet<usize> = lengths.collect();
    assert_eq!((seen.len(), seen.last()), (MAX_PAD + 1, Some(&MAX_PAD)));
}
