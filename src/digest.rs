//! SHA-1 by whichever implementation the build has: RustCrypto's with the processor's own
//! instructions (feature `fast-sha1`), else the portable `sha1_smol`. Both pass the same tests.

/// A SHA-1 digest.
pub type Digest = [u8; 20];

/// A running SHA-1.
#[derive(Clone, Default)]
pub struct Sha1(Backend);

#[cfg(feature = "fast-sha1")]
type Backend = sha1::Sha1;
#[cfg(not(feature = "fast-sha1"))]
type Backend = sha1_smol::Sha1;

impl Sha1 {
    /// The hash of nothing, yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        #[cfg(feature = "fast-sha1")]
        sha1::Digest::update(&mut self.0, bytes);
        #[cfg(not(feature = "fast-sha1"))]
        self.0.update(bytes);
    }

    /// The digest of all bytes taken in.
    pub fn finish(self) -> Digest {
        #[cfg(feature = "fast-sha1")]
        return sha1::Digest::finalize(self.0).into();
        #[cfg(not(feature = "fast-sha1"))]
        return self.0.digest().bytes();
    }
}

/// The SHA-1 of `bytes`.
pub fn sha1(bytes: &[u8]) -> Digest {
    let mut hash = Sha1::new();
    hash.update(bytes);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: Digest) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The examples of FIPS 180-4 and RFC 3174.
    #[test]
    fn the_standard_vectors_hold() {
        assert_eq!(hex(sha1(b"")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hex(sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex(sha1(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        );
        let mut million = Sha1::new();
        (0..1000).for_each(|_| million.update(&[b'a'; 1000]));
        assert_eq!(hex(million.finish()), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }

    /// On any build, and however the bytes are split, it agrees with the portable one.
    #[test]
    fn the_chosen_backend_agrees_with_the_portable_one() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * 31 % 251) as u8).collect();
        for len in [0, 1, 55, 56, 63, 64, 65, 127, 128, 1000] {
            let want = sha1_smol::Sha1::from(&bytes[..len]).digest().bytes();
            for split in [0, 1, len / 3, len] {
                let mut hash = Sha1::new();
                hash.update(&bytes[..split.min(len)]);
                hash.update(&bytes[split.min(len)..len]);
                assert_eq!(hash.finish(), want);
            }
        }
    }
}
