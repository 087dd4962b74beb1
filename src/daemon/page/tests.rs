//! That what is served is what the source says, and that the source keeps to its rules.

use std::fs;
use std::io::Write;

use flate2::{Compression, GzBuilder};

use super::*;
use crate::base64;

const SOURCE: &str = include_str!("index.html");

/// Bytes of the packed page at most: the binary has no more room for it.
const MAX_PACKED: usize = 40_000;

#[test]
fn what_is_served_is_the_source() {
    if std::env::var_os("BLESS").is_some() {
        let beside = |name: &str| format!("{}/src/daemon/page/{name}", env!("CARGO_MANIFEST_DIR"));
        // Neither a time nor a name is in it: the same source gives the same bytes.
        let mut packer = GzBuilder::new().write(Vec::new(), Compression::best());
        packer.write_all(SOURCE.as_bytes()).unwrap();
        fs::write(beside("index.html.gz"), packer.finish().unwrap()).unwrap();
        fs::write(beside("index.csp"), policy() + "\n").unwrap();
        return;
    }
    assert!(
        bytes(false).unwrap() == SOURCE.as_bytes(),
        "index.html.gz is old: BLESS=1 cargo test --lib page::"
    );
    assert_eq!(POLICY.trim_ascii(), policy(), "index.csp is old: BLESS=1 cargo test --lib page::");
    assert_eq!(*bytes(true).unwrap(), *PACKED);
    assert!(PACKED.len() <= MAX_PACKED, "the page is {} bytes", PACKED.len());
}

#[test]
fn the_page_names_no_other_place() {
    // The one address in it names a kind of markup; no browser asks there.
    let rest = SOURCE.replace("http://www.w3.org/2000/svg", "");
    for line in rest.lines().filter(|line| line.contains("://")) {
        assert!(line.contains("placeholder: 'magnet:?xt=… or https://…'"), "{line}");
    }
    assert_eq!(rest.matches("fetch(").count(), 1, "all requests go through one function");
    assert!(rest.contains("fetch('../rpc',"));
}

#[test]
fn text_from_torrents_never_becomes_markup() {
    let banned = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "style=",
        "srcdoc",
    ];
    for word in banned {
        assert!(!SOURCE.contains(word), "{word}");
    }
    assert!(POLICY.contains("trusted-types 'none'"), "the browser forbids it, too");
}

#[test]
fn no_value_of_a_head_ends_a_line() {
    for (name, value) in fields() {
        assert!(!value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}");
    }
}

/// The policy that the source needs.
fn policy() -> String {
    let hash = |tag: &str| {
        let (_, rest) = SOURCE.split_once(&format!("<{tag}>")).unwrap();
        let (inside, after) = rest.split_once(&format!("</{tag}>")).unwrap();
        assert!(!after.contains(&format!("<{tag}")), "one {tag}");
        format!("'sha256-{}'", base64::encode(&sha256(inside.as_bytes())))
    };
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        hash("style"),
        hash("script"),
    )
}

/// SHA-256 (FIPS 180-4), which the program itself has no use for.
fn sha256(data: &[u8]) -> [u8; 32] {
    // The first 32 bits of the fractions of the square and cube roots of the primes, by whole numbers alone.
    let root = |prime: u128, power: u32| {
        let goal = prime << (32 * power);
        let (mut low, mut high) = (0u128, 1u128 << 40);
        while high - low > 1 {
            let middle = u128::midpoint(low, high);
            if middle.pow(power) <= goal { low = middle } else { high = middle }
        }
        low as u32
    };
    let is_prime = |n: &u128| (2..*n).all(|divisor| n % divisor != 0);
    let primes: Vec<u128> = (2..).filter(is_prime).take(64).collect();
    let mut state: Vec<u32> = primes[..8].iter().map(|&prime| root(prime, 2)).collect();
    let constants: Vec<u32> = primes.iter().map(|&prime| root(prime, 3)).collect();

    let mut padded = data.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - data.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len();
    padded[end - 8..].copy_from_slice(&(data.len() as u64 * 8).to_be_bytes());

    for block in padded.chunks(64) {
        let mut w: Vec<u32> =
            block.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        for i in 16..64 {
            let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ (w[i - 15] >> 3);
            let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ (w[i - 2] >> 10);
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for (word, constant) in w.iter().zip(&constants) {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let t1 = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(*constant).wrapping_add(*word);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0.wrapping_add(majority));
        }
        state.iter_mut().zip(v).for_each(|(sum, word)| *sum = sum.wrapping_add(word));
    }
    let mut digest = [0; 32];
    digest.chunks_mut(4).zip(state).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_be_bytes()));
    digest
}

#[test]
fn the_hash_is_sha256() {
    let hex = |data: &[u8]| sha256(data).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(hex(&[0x61; 119]), "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb");
}
