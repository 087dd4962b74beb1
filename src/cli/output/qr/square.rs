//! The modules of a QR code in their square: the patterns that every code has, the data between
//! them in its zigzag, the mask, and how hard the result is to read.

use super::codewords::Level;

/// Centres of the alignment patterns, for versions 1 to 10.
const ALIGNMENTS: [&[usize]; 10] = [
    &[],
    &[6, 18],
    &[6, 22],
    &[6, 26],
    &[6, 30],
    &[6, 34],
    &[6, 22, 38],
    &[6, 24, 42],
    &[6, 26, 46],
    &[6, 28, 50],
];

/// A code, or one in the making.
#[derive(Clone)]
pub struct Square {
    size: usize,
    dark: Vec<bool>,
    /// Modules that are not data.
    fixed: Vec<bool>,
}

impl Square {
    /// The patterns of a version, 1 to 10, without data.
    pub fn new(version: u8) -> Square {
        let size = 17 + 4 * usize::from(version);
        let mut square = Square { size, dark: vec![false; size * size], fixed: vec![false; size * size] };
        for at in 0..size {
            square.fix(at, 6, at % 2 == 0);
            square.fix(6, at, at % 2 == 0);
        }
        for (x, y) in [(3, 3), (size - 4, 3), (3, size - 4)] {
            square.rings(x, y, 4);
        }
        let centres = ALIGNMENTS[usize::from(version).clamp(1, ALIGNMENTS.len()) - 1];
        for &x in centres {
            for &y in centres {
                // Not where the finders are.
                let near = |at: usize| at == 6;
                let far = |at: usize| at == size - 7;
                if !(near(x) && near(y) || near(x) && far(y) || far(x) && near(y)) {
                    square.rings(x, y, 2);
                }
            }
        }
        square.write_version(version);
        // Takes the place; the right one comes with the mask.
        square.write_format(0);
        square
    }

    fn fix(&mut self, x: usize, y: usize, dark: bool) {
        let at = y * self.size + x;
        self.dark[at] = dark;
        self.fixed[at] = true;
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        self.dark[y * self.size + x]
    }

    /// Rings around a centre, as far out as `reach`: the finders and the alignment patterns.
    fn rings(&mut self, x: usize, y: usize, reach: usize) {
        for row in y.saturating_sub(reach)..=(y + reach).min(self.size - 1) {
            for column in x.saturating_sub(reach)..=(x + reach).min(self.size - 1) {
                let ring = column.abs_diff(x).max(row.abs_diff(y));
                let light = if reach == 4 { ring == 2 || ring == 4 } else { ring == 1 };
                self.fix(column, row, !light);
            }
        }
    }

    /// The version, twice, if it is 7 or more.
    fn write_version(&mut self, version: u8) {
        if version < 7 {
            return;
        }
        let bits = with_check(version.into(), 12, 0x1f25);
        for at in 0..18 {
            let (dark, a, b) = (bits >> at & 1 == 1, self.size - 11 + at % 3, at / 3);
            self.fix(a, b, dark);
            self.fix(b, a, dark);
        }
    }

    /// Level and mask, twice, and the module that is always dark.
    fn write_format(&mut self, bits: u32) {
        let size = self.size;
        for at in 0..15 {
            let dark = bits >> at & 1 == 1;
            let (x, y) = match at {
                0..=5 => (8, at),
                6 | 7 => (8, at + 1),
                8 => (7, 8),
                _ => (14 - at, 8),
            };
            self.fix(x, y, dark);
            let (x, y) = if at < 8 { (size - 1 - at, 8) } else { (8, size - 15 + at) };
            self.fix(x, y, dark);
        }
        self.fix(8, size - 8, true);
    }

    /// The same with codewords in it: up and down in columns two wide, from the right, past the
    /// column of the timing pattern.
    pub fn filled(mut self, codewords: &[u8]) -> Square {
        let mut bits = codewords.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
        let rights = (7..self.size).rev().step_by(2).chain([5, 3, 1]);
        for (turn, right) in rights.enumerate() {
            for step in 0..self.size {
                let y = if turn % 2 == 0 { self.size - 1 - step } else { step };
                for x in [right, right - 1] {
                    if !self.fixed[y * self.size + x] {
                        // What is left at the end is light.
                        self.dark[y * self.size + x] = bits.next().unwrap_or(false);
                    }
                }
            }
        }
        self
    }

    /// The same under one of the eight masks, which is noted in it.
    pub fn masked(&self, mask: u32, level: Level) -> Square {
        let mut square = self.clone();
        for y in 0..self.size {
            for x in 0..self.size {
                let turned = match mask {
                    0 => (x + y) % 2 == 0,
                    1 => y % 2 == 0,
                    2 => x % 3 == 0,
                    3 => (x + y) % 3 == 0,
                    4 => (x / 3 + y / 2) % 2 == 0,
                    5 => x * y % 2 + x * y % 3 == 0,
                    6 => (x * y % 2 + x * y % 3) % 2 == 0,
                    _ => ((x + y) % 2 + x * y % 3) % 2 == 0,
                };
                let at = y * self.size + x;
                square.dark[at] ^= turned && !self.fixed[at];
            }
        }
        let level = match level {
            Level::L => 0b01,
            Level::M => 0b00,
        };
        square.write_format(with_check(level << 3 | mask, 10, 0x537) ^ 0x5412);
        square
    }

    /// How hard it is to read: runs, blocks, what looks like a finder, and dark against light
    /// (ISO/IEC 18004, 7.8.3).
    pub fn penalty(&self) -> u32 {
        let size = self.size;
        let lines = (0..size)
            .map(|y| (0..size).map(|x| self.is_dark(x, y)).collect::<Vec<_>>())
            .chain((0..size).map(|x| (0..size).map(|y| self.is_dark(x, y)).collect()));
        let along: u32 = lines.map(|line| runs(&line)).sum();
        let mut blocks = 0;
        for y in 1..size {
            for x in 1..size {
                let dark = self.is_dark(x, y);
                let same = [(x - 1, y), (x, y - 1), (x - 1, y - 1)];
                blocks += 3 * u32::from(same.iter().all(|&(x, y)| self.is_dark(x, y) == dark));
            }
        }
        let dark = self.dark.iter().filter(|dark| **dark).count();
        let percent = dark * 100 / (size * size);
        along + blocks + (percent.abs_diff(50) / 5 * 10) as u32
    }

    /// Row by row, dark or not, with a light border.
    pub fn rows(&self, border: usize) -> Vec<Vec<bool>> {
        let light = vec![false; self.size + 2 * border];
        let above = std::iter::repeat_n(light, border);
        let inner = self.dark.chunks(self.size).map(|row| {
            let side = std::iter::repeat_n(false, border);
            side.clone().chain(row.iter().copied()).chain(side).collect()
        });
        above.clone().chain(inner).chain(above).collect()
    }
}

/// The penalty along a line: five modules or more of a kind in a row, and dark and light in the
/// proportions of a finder, 1:1:3:1:1, with four light ones at a side.
fn runs(line: &[bool]) -> u32 {
    let mut lengths: Vec<(bool, usize)> = Vec::new();
    for &dark in line {
        match lengths.last_mut() {
            Some((kind, length)) if *kind == dark => *length += 1,
            _ => lengths.push((dark, 1)),
        }
    }
    let long = lengths.iter().filter(|(_, length)| *length >= 5).map(|(_, length)| *length as u32 - 2);
    let mut penalty: u32 = long.sum();
    let length = |at: Option<usize>| at.and_then(|at| lengths.get(at));
    for (at, &(dark, middle)) in lengths.iter().enumerate() {
        let unit = middle / 3;
        let around = [at.checked_sub(2), at.checked_sub(1), Some(at + 1), Some(at + 2)];
        let fits = |part: Option<usize>| length(part).is_some_and(|&(_, length)| length == unit);
        if !dark || middle % 3 != 0 || !around.into_iter().all(fits) {
            continue;
        }
        // Beyond the edge it is light.
        let wide = |part: Option<usize>| length(part).is_none_or(|&(_, length)| length >= 4 * unit);
        if wide(at.checked_sub(3)) || wide(Some(at + 3)) {
            penalty += 40;
        }
    }
    penalty
}

/// The value with the check bits of a BCH code behind it.
fn with_check(value: u32, bits: u32, generator: u32) -> u32 {
    let mut rest = value << bits;
    while rest >> bits != 0 {
        let top = rest.ilog2();
        rest ^= generator << (top - bits);
    }
    value << bits | rest
}
