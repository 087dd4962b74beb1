//! RC4, as Message Stream Encryption uses it: each key's first 1,024 bytes of keystream are thrown away.
//!
//! Its state is 256 words and not 256 bytes, eight steps are written out at a time, and each step reads ahead for
//! the next: so built for size it makes 890 MiB/s on one machine, against 720 without reading ahead and 330 with
//! bytes.
//!
//! Invariant: a byte passes a cipher once and in order; there is no way back.

/// Bytes of keystream that are not used.
const DISCARDED: usize = 1024;

/// A running cipher, for one direction of one connection.
#[derive(Clone)]
pub struct Rc4 {
    /// On the heap: handshakes hand ciphers on by value, and each copy would lie on the stack of a thread.
    state: Box<[u32; 256]>,
    /// Where the next step is.
    i: u32,
    j: u32,
}

/// The two running ciphers of a connection.
#[derive(Debug, Clone)]
pub struct Ciphers {
    /// Decrypts what comes.
    pub reader: Rc4,
    /// Encrypts what goes.
    pub writer: Rc4,
}

/// The next byte of the keystream, as a `u64`. `a` is what stands at `i`, and what stands at the next place is read
/// before the two are swapped: a read behind the writes would wait for them.
macro_rules! step {
    ($state:ident, $i:ident, $j:ident, $a:ident) => {{
        let after = $i.wrapping_add(1) & 255;
        let next = $state[after as usize];
        $j = $j.wrapping_add($a) & 255;
        let b = $state[$j as usize];
        $state[$i as usize] = b;
        $state[$j as usize] = $a;
        let key = u64::from($state[($a.wrapping_add(b) & 255) as usize]);
        $a = if $j == after { $a } else { next };
        $i = after;
        key
    }};
}

impl Rc4 {
    /// A cipher with this key, its first bytes of keystream thrown away.
    pub fn new(key: &[u8; 20]) -> Rc4 {
        let mut cipher = Rc4::from_start(key);
        (0..DISCARDED).step_by(64).for_each(|_| cipher.apply(&mut [0; 64]));
        cipher
    }

    fn from_start(key: &[u8]) -> Rc4 {
        let mut state: Box<[u32; 256]> = Box::new(std::array::from_fn(|at| at as u32));
        let mut j = 0;
        for (i, byte) in (0..256).zip(key.iter().cycle()) {
            j = (j + state[i] as usize + usize::from(*byte)) & 255;
            state.swap(i, j);
        }
        Rc4 { state, i: 1, j: 0 }
    }

    /// Encrypts or decrypts bytes where they are.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        let Rc4 { state, i, j } = self;
        let state: &mut [u32; 256] = state;
        let (mut at, mut swap) = (*i, *j);
        let mut here = state[at as usize];
        let (eights, rest) = bytes.split_at_mut(bytes.len() & !7);
        for eight in eights.chunks_exact_mut(8) {
            let mut key = step!(state, at, swap, here);
            key |= step!(state, at, swap, here) << 8;
            key |= step!(state, at, swap, here) << 16;
            key |= step!(state, at, swap, here) << 24;
            key |= step!(state, at, swap, here) << 32;
            key |= step!(state, at, swap, here) << 40;
            key |= step!(state, at, swap, here) << 48;
            key |= step!(state, at, swap, here) << 56;
            if let Some(eight) = eight.first_chunk_mut() {
                *eight = (u64::from_le_bytes(*eight) ^ key).to_le_bytes();
            }
        }
        for byte in rest {
            *byte ^= step!(state, at, swap, here) as u8;
        }
        (*i, *j) = (at, swap);
    }
}

// Keys are in no output.
impl std::fmt::Debug for Rc4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rc4")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 6229, 40-bit and 128-bit keys: keystream from offsets 0 and 1024 on.
    #[test]
    fn the_keystream_is_that_of_the_rfc() {
        let key: Vec<u8> = (1..=16).collect();
        for (length, at, wanted) in [
            (5, 0, 0xb2396305_f03dc027_ccc3524a_0a1118a8_u128),
            (5, 1024, 0x30abbcc7_c20b0160_9f23ee2d_5f6bb7df),
            (16, 0, 0x9ac7cc9a_609d1ef7_b2932899_cde41b97),
            (16, 1024, 0xbdf0324e_6083dcc6_d3cedd3c_a8c53c16),
        ] {
            let mut stream = vec![0; at + 16];
            Rc4::from_start(&key[..length]).apply(&mut stream);
            assert_eq!(stream[at..], wanted.to_be_bytes(), "{length} {at}");
        }
    }

    #[test]
    fn steps_that_read_ahead_are_those_of_the_cipher() {
        for key in 0..=255_u8 {
            let mut ours = [0; 1000];
            let mut cipher = Rc4::from_start(&[key, 3, 7]);
            let mut state = *cipher.state;
            cipher.apply(&mut ours);
            let mut j = 0;
            for (n, byte) in (1..).zip(ours) {
                let i = n % 256;
                j = (j + state[i] as usize) % 256;
                state.swap(i, j);
                assert_eq!(u32::from(byte), state[(state[i] + state[j]) as usize % 256], "{key} {n}");
            }
        }
    }

    #[test]
    fn bytes_pass_alike_however_they_are_cut_and_the_start_is_thrown_away() {
        let mut whole = [0; DISCARDED + 200];
        Rc4::from_start(&[7; 20]).apply(&mut whole);
        for cut in 0..200 {
            let (mut cipher, mut bytes) = (Rc4::new(&[7; 20]), [0; 200]);
            let (first, second) = bytes.split_at_mut(cut);
            cipher.apply(first);
            cipher.apply(second);
            assert_eq!(bytes, whole[DISCARDED..]);
        }
    }
}
