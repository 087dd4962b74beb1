//! Derives from a secret word a token for the path of the URL, and a salt for the info dictionary.
//!
//! Both come from the word by PBKDF2 (RFC 8018) with HMAC-SHA-1, each under its own label, so that one
//! reveals nothing about the other, and a guess costs some work. The same word gives the same values on
//! every machine.

use bitwren::internals::digest::{Digest, Sha1, sha1};

/// Rounds for each: some ten milliseconds, a few hundred on a small machine.
const ROUNDS: u32 = 20_000;

/// What the URL holds: 20 hexadecimal digits, 80 bits.
pub fn token(word: &str) -> String {
    hex(&derive(word, b"bitwren share: path")[..10])
}

/// What sets the info-hash apart: 40 hexadecimal digits.
pub fn salt(word: &str) -> String {
    hex(&derive(word, b"bitwren share: info-hash"))
}

fn derive(word: &str, label: &[u8]) -> Digest {
    pbkdf2(word.as_bytes(), label, ROUNDS)
}

/// The first block of PBKDF2-HMAC-SHA-1.
fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32) -> Digest {
    let hmac = Hmac::new(password);
    let mut last = hmac.of(&[salt, &1u32.to_be_bytes()].concat());
    let mut sum = last;
    for _ in 1..rounds {
        last = hmac.of(&last);
        sum.iter_mut().zip(last).for_each(|(sum, last)| *sum ^= last);
    }
    sum
}

/// HMAC-SHA-1 under one key (RFC 2104), its two beginnings worked out once.
struct Hmac {
    inner: Sha1,
    outer: Sha1,
}

impl Hmac {
    fn new(key: &[u8]) -> Self {
        let mut block = [0; 64];
        let short = if key.len() > block.len() { sha1(key).to_vec() } else { key.to_vec() };
        block.iter_mut().zip(short).for_each(|(byte, key)| *byte = key);
        let start = |pad: u8| {
            let mut hash = Sha1::new();
            hash.update(&block.map(|byte| byte ^ pad));
            hash
        };
        Hmac { inner: start(0x36), outer: start(0x5c) }
    }

    fn of(&self, message: &[u8]) -> Digest {
        let (mut inner, mut outer) = (self.inner.clone(), self.outer.clone());
        inner.update(message);
        outer.update(&inner.finish());
        outer.finish()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6070, and RFC 2202 for a key longer than a block.
    #[test]
    fn the_standard_vectors_hold() {
        let of = |rounds| hex(&pbkdf2(b"password", b"salt", rounds));
        assert_eq!(of(1), "0c60c80f961f0e71f3a9b524af6012062fe037a6");
        assert_eq!(of(2), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
        assert_eq!(of(4096), "4b007901b765489abead49d926f721d065a429c1");
        let long = Hmac::new(&[0xaa; 80]).of(b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(&long), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    }

    #[test]
    fn words_and_labels_tell_apart() {
        assert_eq!(token("tulip"), token("tulip"));
        assert_ne!(token("tulip"), token("Tulip"));
        assert_eq!((token("tulip").len(), salt("tulip").len()), (20, 40));
        assert!(!salt("tulip").starts_with(&token("tulip")));
    }
}
