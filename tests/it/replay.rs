//! What the fuzzer keeps (`make fuzz`), on any toolchain: every property over every file of its corpora and over
//! every input that ever failed, and then over some thousands of mutations of them, the same each time.

use std::fs;
use std::path::{Path, PathBuf};

use bitwren::internals::random::Random;

#[path = "../fuzz/properties/mod.rs"]
pub mod properties;

/// Mutated inputs for each target. Bounded by their number, so that every run is the same.
const MUTATIONS: usize = 5_000;

/// For the targets in `SCRIPTS`: one such input is hundreds of steps, each followed by every check, so that a
/// thousand of them are more steps than the mutations of any other target.
const MUTATED_SCRIPTS: usize = 1_000;
const SCRIPTS: &[&str] = &["dht_node", "encryption", "frames", "paths", "picker", "session"];

/// Numbers that lie on edges, as text and as bytes.
const TEXTS: &[&[u8]] =
    &[b"0", b"-1", b"255", b"65536", b"4294967295", b"9223372036854775807", b"i0e", b"de", b"../"];
const BYTES: &[u8] = &[0, 1, 0x7F, 0x80, 0xFE, 0xFF, b'd', b'e', b':', b'/', b'.', b'%', b'\n'];

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz").join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Runs a property, and says by which input it failed.
fn hold(property: fn(&[u8]), input: &[u8], name: &str) {
    if let Err(panic) = std::panic::catch_unwind(|| property(input)) {
        eprintln!("{name} failed; the input: {}", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

/// One input made of others: a few small changes.
fn mutated(corpus: &[(PathBuf, Vec<u8>)], dice: &mut Random) -> Vec<u8> {
    let any = |dice: &mut Random| &corpus[dice.below(corpus.len() as u64) as usize].1;
    let mut input = any(dice).clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() as u64 + 1) as usize;
        let end = at + dice.below((input.len() - at).min(16) as u64 + 1) as usize;
        match dice.below(7) {
            0 if at < input.len() => input[at] ^= 1 << dice.below(8),
            1 if at < input.len() => input[at] = BYTES[dice.below(BYTES.len() as u64) as usize],
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            4 => {
                let text = TEXTS[dice.below(TEXTS.len() as u64) as usize];
                input.splice(at..end, text.iter().copied());
            }
            5 => input.truncate(at),
            _ => {
                let other = any(dice);
                let from = dice.below(other.len() as u64 + 1) as usize;
                input.splice(at..end, other[from..].iter().take(200).copied());
            }
        }
    }
    input
}

fn replay(target: &str) {
    let (_, property) = properties::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let corpus = corpus(target);
    for (path, input) in &corpus {
        hold(*property, input, &path.display().to_string());
    }
    let mut dice = Random::seeded(6);
    let mutations = if SCRIPTS.contains(&target) { MUTATED_SCRIPTS } else { MUTATIONS };
    for nth in 0..mutations {
        hold(*property, &mutated(&corpus, &mut dice), &format!("{target}, mutation {nth}"));
    }
}

macro_rules! replayed {
    ($($target:ident)*) => {
        $(#[test] fn $target() { replay(stringify!($target)); })*
        /// Every target is replayed.
        #[test]
        fn none_is_left_out() {
            let replayed = [$(stringify!($target)),*];
            assert_eq!(properties::TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), replayed);
        }
    };
}

replayed! {
    bencode bitfield blocklist cli compact dht_node encryption extension frames gateway_http http_answer http_connect igd json krpc lsd
    magnet metainfo natpmp paths pcp picker portmap resume rpc session socks ssdp tracker_http tracker_udp tracker_url udp_packet
}
