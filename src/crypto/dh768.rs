//! The key exchange of Message Stream Encryption: Diffie-Hellman with a prime of 768 bits and the generator 2.
//!
//! Numbers are twelve words, the least first, multiplied by Montgomery's method; a key is the same number of
//! multiplications whatever the exponent. Exponents have 160 bits: longer ones cost up to five times as much, and
//! the exchange is no stronger for them.
//!
//! Invariant: nothing that the other end sends makes it panic, allocate, or run longer.

/// Bytes of a public key and of a shared secret.
pub const KEY_LENGTH: usize = 96;
/// Bytes of a secret exponent.
pub const SECRET_LENGTH: usize = 20;

const WORDS: usize = KEY_LENGTH / 8;

type Number = [u64; WORDS];

/// The prime.
const PRIME: Number = [
    0x0000_0000_0009_0563,
    0xf44c_42e9_a63a_3621,
    0xe485_b576_625e_7ec6,
    0x4fe1_356d_6d51_c245,
    0x302b_0a6d_f25f_1437,
    0xef95_19b3_cd3a_431b,
    0x514a_0879_8e34_04dd,
    0x020b_bea6_3b13_9b22,
    0x2902_4e08_8a67_cc74,
    0xc4c6_628b_80dc_1cd1,
    0xc90f_daa2_2168_c234,
    0xffff_ffff_ffff_ffff,
];

/// -1 / PRIME modulo 2⁶⁴.
const INVERSE: u64 = 0x6d5d_6e69_9507_5bb5;

/// 2¹⁵³⁶ modulo the prime: multiplied by it a number becomes its Montgomery form.
const INTO_MONTGOMERY: Number = [
    0x95f0_1940_4628_1a8e,
    0xff0c_a2a3_d838_c985,
    0x6d9f_1759_93af_6d83,
    0xd4c8_5168_a99a_751f,
    0x3423_ecee_2ddc_6158,
    0xd515_b23c_d4ac_e6dd,
    0x112c_e562_82e5_1749,
    0x3361_bff3_3a35_e04b,
    0xafbc_0835_54e8_5ee3,
    0xa95d_0ecb_c567_9266,
    0x8d00_1cb9_8c6f_28c7,
    0xa613_0c9d_54da_3d53,
];

const ONE: Number = small(1);

const fn small(value: u64) -> Number {
    let mut number = [0; WORDS];
    number[0] = value;
    number
}

/// The key to send to the other end.
pub fn public_key(secret: &[u8; SECRET_LENGTH]) -> [u8; KEY_LENGTH] {
    to_bytes(&power(&small(2), secret))
}

/// The secret shared with the end that sent `theirs`; nothing where that is no key: 0, 1, the prime less one, or
/// not below the prime. Such a key makes the secret known to everyone.
pub fn shared_secret(secret: &[u8; SECRET_LENGTH], theirs: &[u8; KEY_LENGTH]) -> Option<[u8; KEY_LENGTH]> {
    let theirs = from_bytes(theirs);
    let (_, is_below_two) = subtract(&theirs, &small(2));
    let (_, is_below_last) = subtract(&theirs, &subtract(&PRIME, &ONE).0);
    (is_below_last && !is_below_two).then(|| to_bytes(&power(&theirs, secret)))
}

fn from_bytes(bytes: &[u8; KEY_LENGTH]) -> Number {
    let mut number = [0; WORDS];
    for (word, bytes) in number.iter_mut().zip(bytes.rchunks_exact(8)) {
        *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    number
}

fn to_bytes(number: &Number) -> [u8; KEY_LENGTH] {
    let mut bytes = [0; KEY_LENGTH];
    for (place, word) in bytes.rchunks_exact_mut(8).zip(number) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// `base` to the power of an exponent, four bits at a time.
fn power(base: &Number, exponent: &[u8; SECRET_LENGTH]) -> Number {
    let base = multiply(base, &INTO_MONTGOMERY);
    let mut powers = [multiply(&ONE, &INTO_MONTGOMERY); 16];
    for at in 1..16 {
        powers[at] = multiply(&powers[at - 1], &base);
    }
    let mut result = powers[0];
    for byte in exponent {
        for four_bits in [byte >> 4, byte & 15] {
            for _ in 0..4 {
                result = multiply(&result, &result);
            }
            result = multiply(&result, &powers[usize::from(four_bits)]);
        }
    }
    multiply(&result, &ONE)
}

/// `a · b / 2⁷⁶⁸` modulo the prime, of numbers below it.
fn multiply(a: &Number, b: &Number) -> Number {
    let mut sum = [0; WORDS];
    let mut top = 0_u64;
    for &factor in b {
        let mut carry = 0;
        for (word, &one) in sum.iter_mut().zip(a) {
            (*word, carry) = multiply_add(one, factor, *word, carry);
        }
        let (high, mut over) = top.overflowing_add(carry);
        // What makes the last word 0, which is left out then.
        let quotient = sum[0].wrapping_mul(INVERSE);
        (_, carry) = multiply_add(quotient, PRIME[0], sum[0], 0);
        for at in 1..WORDS {
            (sum[at - 1], carry) = multiply_add(quotient, PRIME[at], sum[at], carry);
        }
        let (last, more) = high.overflowing_add(carry);
        sum[WORDS - 1] = last;
        over |= more;
        top = u64::from(over);
    }
    let (less, is_below) = subtract(&sum, &PRIME);
    if top == 0 && is_below { sum } else { less }
}

/// `a · b + c + d`, which fits: its low word and its high word.
fn multiply_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let wide =
        u128::from(a).wrapping_mul(u128::from(b)).wrapping_add(u128::from(c)).wrapping_add(u128::from(d));
    (wide as u64, (wide >> 64) as u64)
}

/// `a - b` modulo 2⁷⁶⁸, and whether `a` is the lesser.
fn subtract(a: &Number, b: &Number) -> (Number, bool) {
    let (mut less, mut borrow) = ([0; WORDS], false);
    for at in 0..WORDS {
        let (word, under) = a[at].overflowing_sub(b[at]);
        let (word, again) = word.overflowing_sub(u64::from(borrow));
        (less[at], borrow) = (word, under | again);
    }
    (less, borrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn secret(random: &mut Random) -> [u8; SECRET_LENGTH] {
        std::array::from_fn(|_| random.next_u64() as u8)
    }

    #[test]
    fn small_powers_are_what_they_are() {
        let mut exponent = [0; SECRET_LENGTH];
        assert_eq!(public_key(&exponent), to_bytes(&ONE));
        exponent[SECRET_LENGTH - 1] = 200;
        let mut wanted = [0; KEY_LENGTH];
        wanted[KEY_LENGTH - 26] = 1;
        assert_eq!(public_key(&exponent), wanted);
        // 2 to the power of 768, less the prime, is what is left of it.
        exponent[SECRET_LENGTH - 2..].copy_from_slice(&[3, 0]);
        assert_eq!(public_key(&exponent), to_bytes(&subtract(&[0; WORDS], &PRIME).0));
    }

    /// Fermat's theorem by parts: the exponents add up as they should.
    #[test]
    fn both_ends_have_the_same_secret_and_some_begin_with_a_zero() {
        let mut random = Random::seeded(1);
        let mut leading_zeros = 0;
        for _ in 0..300 {
            let (ours, theirs) = (secret(&mut random), secret(&mut random));
            let shared = shared_secret(&ours, &public_key(&theirs)).unwrap();
            assert_eq!(shared_secret(&theirs, &public_key(&ours)), Some(shared));
            leading_zeros += u32::from(shared[0] == 0);
        }
        assert!(leading_zeros > 0, "one in 256 does");
    }

    #[test]
    fn what_is_no_key_has_no_secret() {
        let key = |number: &Number| shared_secret(&[9; SECRET_LENGTH], &to_bytes(number));
        let (below, _) = subtract(&PRIME, &ONE);
        let (two_below, _) = subtract(&PRIME, &small(2));
        let mut above = PRIME;
        above[0] += 1;
        for none in [small(0), ONE, below, PRIME, above, [u64::MAX; WORDS]] {
            assert_eq!(key(&none), None, "{none:?}");
        }
        assert!(key(&small(2)).is_some() && key(&two_below).is_some());
    }
}
