//! The codewords of a QR code: bytes packed into blocks, each followed by its Reed–Solomon check
//! bytes, all interleaved.

/// How much can be lost: 7 % or 15 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    L,
    M,
}

/// What the standard says of a version.
struct Capacity {
    /// Codewords in all.
    total: usize,
    /// Check bytes of a block, and blocks, for each level.
    l: (usize, usize),
    m: (usize, usize),
}

const fn capacity(total: usize, l: (usize, usize), m: (usize, usize)) -> Capacity {
    Capacity { total, l, m }
}

/// Versions 1 to 10 (ISO/IEC 18004, table 9).
const CAPACITIES: [Capacity; 10] = [
    capacity(26, (7, 1), (10, 1)),
    capacity(44, (10, 1), (16, 1)),
    capacity(70, (15, 1), (26, 1)),
    capacity(100, (20, 1), (18, 2)),
    capacity(134, (26, 1), (24, 2)),
    capacity(172, (18, 2), (16, 4)),
    capacity(196, (20, 2), (18, 4)),
    capacity(242, (24, 2), (22, 4)),
    capacity(292, (30, 2), (22, 5)),
    capacity(346, (18, 4), (26, 5)),
];

impl Capacity {
    fn of(version: u8) -> &'static Capacity {
        &CAPACITIES[usize::from(version).clamp(1, CAPACITIES.len()) - 1]
    }

    /// Check bytes of a block, and blocks.
    fn blocks(&self, level: Level) -> (usize, usize) {
        match level {
            Level::L => self.l,
            Level::M => self.m,
        }
    }

    /// Codewords for data.
    fn data(&self, level: Level) -> usize {
        let (check, blocks) = self.blocks(level);
        self.total - check * blocks
    }
}

/// Bits of the length.
fn length_bits(version: u8) -> u32 {
    if version < 10 { 8 } else { 16 }
}

/// The smallest version for a number of bytes, and its highest level.
pub fn fit(length: usize) -> Option<(u8, Level)> {
    let fits = |version: u8, level| {
        4 + length_bits(version) as usize + length * 8 <= Capacity::of(version).data(level) * 8
    };
    let version = (1..=10).find(|&version| fits(version, Level::L))?;
    Some((version, if fits(version, Level::M) { Level::M } else { Level::L }))
}

/// The codewords of bytes that fit.
pub fn make(bytes: &[u8], version: u8, level: Level) -> Vec<u8> {
    let capacity = Capacity::of(version);
    let data = pack(bytes, version, capacity.data(level));
    let (check, count) = capacity.blocks(level);
    // The last blocks are one longer where it does not come out even.
    let (short, longer) = (data.len() / count, data.len() % count);
    let generator = generator(check);
    let mut rest = data.as_slice();
    let blocks: Vec<(&[u8], Vec<u8>)> = (0..count)
        .map(|block| {
            let length = short + usize::from(block >= count - longer);
            let (block, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            (block, remainder(block, &generator))
        })
        .collect();
    let data = (0..=short).flat_map(|at| blocks.iter().filter_map(move |(block, _)| block.get(at)));
    let checks = (0..check).flat_map(|at| blocks.iter().filter_map(move |(_, check)| check.get(at)));
    data.chain(checks).copied().collect()
}

/// Mode, length, bytes, terminator and padding, as a given number of codewords.
fn pack(bytes: &[u8], version: u8, room: usize) -> Vec<u8> {
    const BYTE_MODE: u32 = 0b0100;
    let mut bits = Vec::with_capacity(room * 8);
    let mut push = |value: u32, count: u32| bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    push(BYTE_MODE, 4);
    push(bytes.len() as u32, length_bits(version));
    bytes.iter().for_each(|&byte| push(byte.into(), 8));
    // Up to four zeros end it, and more fill its last codeword.
    bits.resize((bits.len() + 4).min(room * 8).next_multiple_of(8), false);
    let mut packed: Vec<u8> =
        bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect();
    packed.extend([0xec, 0x11].into_iter().cycle().take(room - packed.len()));
    packed
}

/// The product in the field of 256 elements over x⁸ + x⁴ + x³ + x² + 1.
fn times(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0, |product: u8, bit| {
        let carry = if product & 0x80 == 0 { 0 } else { 0x1d };
        (product << 1) ^ carry ^ (if b >> bit & 1 == 1 { a } else { 0 })
    })
}

/// The polynomial with the roots 2⁰ to 2ᵈ⁻¹, highest power first, its leading 1 left out.
fn generator(degree: usize) -> Vec<u8> {
    let mut polynomial = vec![0; degree];
    polynomial[degree - 1] = 1;
    let mut root = 1;
    for _ in 0..degree {
        for at in 0..degree {
            polynomial[at] = times(polynomial[at], root) ^ polynomial.get(at + 1).copied().unwrap_or(0);
        }
        root = times(root, 2);
    }
    polynomial
}

/// The remainder of the block, shifted, by the generator: its check bytes.
fn remainder(block: &[u8], generator: &[u8]) -> Vec<u8> {
    let mut rest = vec![0; generator.len()];
    for &byte in block {
        let factor = byte ^ rest.remove(0);
        rest.push(0);
        rest.iter_mut().zip(generator).for_each(|(rest, &term)| *rest ^= times(term, factor));
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator of ten check bytes as ISO/IEC 18004 has it in Annex A, as powers of 2.
    #[test]
    fn the_generator_is_that_of_the_standard() {
        let powers = [251, 67, 46, 61, 118, 70, 64, 94, 32, 45];
        let power = |exponent: u32| (0..exponent).fold(1, |power, _| times(power, 2));
        assert_eq!(generator(10), powers.map(power));
    }

    #[test]
    fn every_version_comes_out_with_all_its_codewords() {
        for length in 1..=271 {
            let (version, level) = fit(length).unwrap();
            assert_eq!(make(&vec![7; length], version, level).len(), Capacity::of(version).total);
        }
        assert_eq!((fit(14), fit(15)), (Some((1, Level::M)), Some((1, Level::L))));
        assert_eq!((fit(271), fit(272)), (Some((10, Level::L)), None));
    }
}
