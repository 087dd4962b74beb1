//! Strangers who call a seed with encrypted handshakes to do it harm: keys that are none, pads without end, steps
//! played again, silence after the work was done. Others are served all the while.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bitwren::InfoHash;
use bitwren::internals::peer::encryption::{EncryptedHandshake, Secrets};
use bitwren::internals::random::entropy;

use super::strangers::Seed;
use crate::support::child::PATIENCE;
use crate::support::content::noise;
use crate::support::hostile::{SOON, row};
use crate::support::peer::handshake;

fn call(seed: &Seed) -> TcpStream {
    let stream = TcpStream::connect_timeout(&seed.address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that the seed says before it hangs up.
fn hear_out(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // It may hang up with a reset.
    let _ = stream.read_to_end(&mut said);
    said
}

fn initiator(torrent: [u8; 20]) -> EncryptedHandshake {
    let says = handshake([0; 8], &torrent, b"-TT0001-encrypted000");
    let says = says[..].try_into().unwrap();
    EncryptedHandshake::initiator(InfoHash::from_bytes(torrent), says, true, Secrets::new(&entropy()))
}

/// Takes part in a handshake up to its end, or until the seed hangs up; what was sent in step 3 is returned.
fn shake(stream: &mut TcpStream, machine: &mut EncryptedHandshake) -> Vec<u8> {
    let mut step = Vec::new();
    while !machine.is_done() {
        let says = machine.outgoing();
        if !says.is_empty() {
            stream.write_all(&says).unwrap();
            step = says;
        }
        let mut bytes = vec![0; machine.wanted()];
        let Ok(got @ 1..) = stream.read(&mut bytes) else { break };
        machine.receive(&bytes[..got]).unwrap();
    }
    step
}

#[test]
fn keys_that_give_the_secret_away_get_no_answer() {
    let seed = Seed::start();
    let one: Vec<u8> = (0..96).map(|at| u8::from(at == 95)).collect();
    let begun = Instant::now();
    for key in [vec![0; 96], one, vec![0xFF; 96]] {
        let mut stream = call(&seed);
        stream.write_all(&key).unwrap();
        assert_eq!(hear_out(stream), []);
    }
    assert!(begun.elapsed() < SOON);
    seed.serves_others();
    row("hung up on", begun.elapsed(), &seed.end());
}

#[test]
fn a_pad_longer_than_any_ends_the_connection() {
    let seed = Seed::start();
    let begun = Instant::now();
    for length in [700, 5_000, 1 << 20] {
        let mut stream = call(&seed);
        // It hangs up on the longer ones while they are being sent.
        let _ = stream.write_all(&noise(length as u64, length));
        hear_out(stream);
    }
    assert!(begun.elapsed() < SOON);
    seed.serves_others();
    row("hung up on", begun.elapsed(), &seed.end());
}

#[test]
fn a_handshake_played_again_and_one_for_another_torrent_come_to_nothing() {
    let seed = Seed::start();
    let begun = Instant::now();
    let (mut stream, mut machine) = (call(&seed), initiator(seed.torrent.info_hash));
    let step = shake(&mut stream, &mut machine);
    assert!(machine.is_done());
    // The same step 3 on another connection: the key of the seed is a new one there.
    let mut stream = call(&seed);
    stream.write_all(&noise(1, 96)).unwrap();
    let mut key = [0; 96];
    stream.read_exact(&mut key).unwrap();
    let _ = stream.write_all(&step).and_then(|()| stream.write_all(&noise(2, 600)));
    let mut machine = initiator(seed.torrent.info_hash);
    assert!(machine.receive(&[&key[..], &hear_out(stream)].concat()).is_ok_and(|_| !machine.is_done()));
    // And a torrent that is not there is answered with nothing but a key and a pad.
    let (mut stream, mut machine) = (call(&seed), initiator([9; 20]));
    shake(&mut stream, &mut machine);
    assert!(!machine.is_done());
    assert!(begun.elapsed() < SOON);
    seed.serves_others();
    row("hung up on", begun.elapsed(), &seed.end());
}

/// Each costs the seed an exponentiation before it knows that nothing comes of it.
#[test]
fn a_thousand_that_leave_once_they_have_a_key() {
    let seed = Seed::start();
    let begun = Instant::now();
    for round in 0..1000 {
        let mut stream = call(&seed);
        stream.write_all(&noise(round, 96)).unwrap();
        let mut key = [0; 96];
        stream.read_exact(&mut key).unwrap();
    }
    seed.serves_others();
    row("left alone", begun.elapsed(), &seed.end());
}

/// They take the places that there are for handshakes, no others, and make way for those who go on.
#[test]
fn a_crowd_that_says_nothing_more_once_it_has_a_key() {
    let seed = Seed::start();
    let begun = Instant::now();
    let crowd: Vec<TcpStream> = (0..60)
        .filter_map(|round| {
            let mut stream = call(&seed);
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            stream.write_all(&noise(round, 96)).ok()?;
            let mut key = [0; 96];
            // For some there is no place.
            let _ = stream.read_exact(&mut key);
            Some(stream)
        })
        .collect();
    seed.serves_others();
    drop(crowd);
    row("made way", begun.elapsed(), &seed.end());
}
