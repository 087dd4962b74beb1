//! QR codes (ISO/IEC 18004) of short texts: byte mode, versions 1 to 10, levels L and M. Pure.
//!
//! The bytes become codewords with their error correction ([`codewords`]), those become modules in a
//! square between the patterns that every code has ([`square`]), and of eight masks the one is taken
//! that makes it the easiest to read. Invariant: a code is 21 to 57 modules wide.

mod codewords;
mod square;

use square::Square;

/// The light border that a code needs around it, in modules.
pub const QUIET: usize = 4;

/// Makes the smallest code that holds the bytes, and of that size the one that corrects most;
/// nothing where they are more than 271.
pub fn encode(bytes: &[u8]) -> Option<Square> {
    let (version, level) = codewords::fit(bytes.len())?;
    let plain = Square::new(version).filled(&codewords::make(bytes, version, level));
    (0..8).map(|mask| plain.masked(mask, level)).min_by_key(Square::penalty)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes that `qrencode` 4.1 makes of these texts, as `-t ASCII -m 0 -8` prints them: recorded
    /// in `testdata/cli/qr.txt`, each behind a line with version, level and text.
    #[test]
    fn it_makes_the_codes_that_are_known() {
        let recorded = include_str!("../../../../testdata/cli/qr.txt");
        let mut codes = 0;
        for part in recorded.split("= ").skip(1) {
            let (head, picture) = part.split_once('\n').unwrap();
            let mut words = head.splitn(3, ' ');
            let version: u8 = words.next().unwrap().parse().unwrap();
            let level = words.next().unwrap();
            let text = words.next().unwrap();
            let known: Vec<Vec<bool>> = picture
                .lines()
                .map(|line| line.as_bytes().chunks(2).map(|module| module == b"##").collect())
                .collect();
            let code = encode(text.as_bytes()).unwrap();
            let (fit, own) = codewords::fit(text.len()).unwrap();
            assert_eq!((fit, format!("{own:?}").as_str()), (version, level), "{text}");
            assert!(code.rows(0) == known, "{text}");
            codes += 1;
        }
        assert_eq!(codes, 10);
    }

    #[test]
    fn the_border_is_light_and_too_much_is_refused() {
        let rows = encode(b"http://10.0.0.1:6969/x.torrent").unwrap().rows(QUIET);
        assert_eq!((rows.len(), rows[0].len()), (25 + 8, 25 + 8));
        assert!(rows[..QUIET].iter().flatten().all(|dark| !dark) && rows[QUIET][QUIET]);
        assert!(encode(&[b'a'; 271]).is_some() && encode(&[b'a'; 272]).is_none());
    }
}
