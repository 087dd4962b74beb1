//! A whole list: its lines, packed with gzip or not, made one filter.
//!
//! It is read once from the front in small steps. Invariant: memory and time are bounded by [`BOUNDS`] and
//! [`MAX_LINE`], whatever the list is and unpacks to.

use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::AddressFilter;
use super::line::{self, Line};
use crate::error::{Error, ErrorKind, Result};

/// The bounds of every list.
const BOUNDS: Bounds = Bounds { bytes: 256 << 20, ranges: 2_000_000 };
/// The longest line. What is longer is not understood.
const MAX_LINE: u64 = 4096;
/// Bytes that are read at a time.
const CHUNK: usize = 32 << 10;
/// What a file packed with gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How long a list may be.
#[derive(Clone, Copy)]
struct Bounds {
    /// Bytes after unpacking.
    bytes: u64,
    /// Ranges of each family, before they are merged.
    ranges: usize,
}

/// A list of address ranges as it was read.
///
/// The formats are those of PeerGuardian (P2P), eMule (`ipfilter.dat`), and networks or ranges, one a line;
/// all with IPv4 and IPv6, and packed with gzip or not. Empty lines and comments (`#`, `;`, `//`) are
/// skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocklist {
    /// The addresses that it blocks.
    pub filter: AddressFilter,
    /// How many lines it has that are neither empty nor comments.
    pub lines: u64,
    /// How many of these are not understood, and were skipped.
    pub not_understood: u64,
    /// The number of the first such line, counted from 1 over all lines.
    pub first_not_understood: Option<u64>,
}

impl Blocklist {
    /// Reads a list to its end. A list without lines blocks nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Blocklist`] if not one line is understood, if it cannot be unpacked, or if it has more
    /// than 256 MiB (unpacked) or 2,000,000 ranges of a family; [`ErrorKind::FileIo`] if reading fails.
    pub fn read(list: impl Read) -> Result<Blocklist> {
        Blocklist::read_within(list, BOUNDS)
    }

    fn read_within(list: impl Read, bounds: Bounds) -> Result<Blocklist> {
        let mut packed = BufReader::with_capacity(CHUNK, list);
        if !packed.fill_buf().map_err(unreadable)?.starts_with(&GZIP) {
            return read_lines(&mut packed, bounds, unreadable);
        }
        let mut unpacked = BufReader::with_capacity(CHUNK, MultiGzDecoder::new(packed));
        read_lines(&mut unpacked, bounds, |cause| match cause.kind() {
            // What the unpacker says of bytes that it cannot unpack.
            std::io::ErrorKind::InvalidInput
            | std::io::ErrorKind::InvalidData
            | std::io::ErrorKind::UnexpectedEof => {
                Error::new(ErrorKind::Blocklist, "the list is packed with gzip and damaged").because(cause)
            }
            _ => unreadable(cause),
        })
    }
}

fn unreadable(cause: std::io::Error) -> Error {
    Error::new(ErrorKind::FileIo, "the list cannot be read").because(cause)
}

fn read_lines(
    input: &mut dyn BufRead,
    bounds: Bounds,
    failed: impl Fn(std::io::Error) -> Error,
) -> Result<Blocklist> {
    let mut list = Blocklist::default();
    let (mut line, mut number, mut left) = (Vec::new(), 0, bounds.bytes);
    loop {
        line.clear();
        let mut taken = (&mut *input).take(MAX_LINE).read_until(b'\n', &mut line).map_err(&failed)? as u64;
        if taken == 0 {
            break;
        }
        number += 1;
        let is_whole = line.last() == Some(&b'\n') || taken < MAX_LINE;
        if !is_whole {
            // One byte more than there may be tells that it is too long.
            taken += (&mut *input).take(left + 1).skip_until(b'\n').map_err(&failed)? as u64;
        }
        let Some(rest) = left.checked_sub(taken) else {
            let what = format!("the list is longer than {} MiB", bounds.bytes >> 20);
            return Err(Error::new(ErrorKind::Blocklist, what));
        };
        left = rest;
        // A mark that some editors put at the front.
        let text = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
        list.take(if is_whole { line::read(text) } else { Line::Unknown }, number);
        if list.filter.v4.len().max(list.filter.v6.len()) > bounds.ranges {
            let what = format!("the list has more than {} address ranges", bounds.ranges);
            return Err(Error::new(ErrorKind::Blocklist, what));
        }
    }
    list.filter.settle();
    if list.lines > 0 && list.not_understood == list.lines {
        let what = format!(
            "not one of {} lines is an address range in a known format (P2P, DAT or CIDR)",
            list.lines
        );
        return Err(Error::new(ErrorKind::Blocklist, what));
    }
    Ok(list)
}

impl Blocklist {
    fn take(&mut self, line: Line, number: u64) {
        match line {
            Line::Nothing => return,
            Line::Permits => {}
            Line::Blocks(range) => self.filter.push(range),
            Line::Unknown => {
                self.not_understood += 1;
                self.first_not_understood.get_or_insert(number);
            }
        }
        self.lines += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const MIXED: &[u8] = b"\xef\xbb\xbf# a list\nname:1.2.3.4-1.2.3.9\r\n\nnonsense\n2001:db8::/32\n\
        001.002.003.010 - 001.002.003.020 , 000 , more\nnonsense\n9.9.9.9 - 9.9.9.9 , 200 , trusted";

    #[test]
    fn a_list_of_mixed_lines_is_read_and_bad_ones_are_counted() {
        let list = Blocklist::read(MIXED).unwrap();
        assert_eq!((list.lines, list.not_understood, list.first_not_understood), (6, 2, Some(4)));
        assert_eq!(list.filter.ranges(), 2, "adjacent ranges are one");
        for (address, blocked) in [
            ("1.2.3.4", true),
            ("1.2.3.20", true),
            ("1.2.3.21", false),
            ("9.9.9.9", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(list.filter.blocks(address.parse().unwrap()), blocked, "{address}");
        }
    }

    #[test]
    fn a_packed_list_is_the_same_list_in_one_part_or_several() {
        let plain = Blocklist::read(MIXED).unwrap();
        assert_eq!(Blocklist::read(&gz(MIXED)[..]).unwrap(), plain);
        let parts = MIXED.split_at(40);
        assert_eq!(Blocklist::read(&[gz(parts.0), gz(parts.1)].concat()[..]).unwrap(), plain);
    }

    #[test]
    fn a_damaged_or_cut_off_packed_list_is_no_list() {
        let whole = gz(&b"1.2.3.4\n".repeat(5_000));
        let mut damaged = whole.clone();
        let end = damaged.len() - 6;
        damaged[end] ^= 1;
        for bytes in [&whole[..whole.len() - 9], &whole[..5], &whole[..2], &damaged] {
            let error = Blocklist::read(bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Blocklist, "{error}");
        }
    }

    #[test]
    fn an_empty_list_blocks_nothing_and_a_file_of_something_else_is_refused() {
        assert_eq!(Blocklist::read(&b""[..]).unwrap(), Blocklist::default());
        assert!(Blocklist::read(&b"# nothing yet\n\n"[..]).unwrap().filter.is_empty());
        for other in [&b"<!DOCTYPE html>\n<html>\n"[..], b"PK\x03\x04\0\0\n\0", b"d8:announce3:abce"] {
            assert_eq!(Blocklist::read(other).unwrap_err().kind(), ErrorKind::Blocklist);
        }
    }

    #[test]
    fn a_line_without_end_costs_one_line() {
        let long = [&b"1.2.3.4\n"[..], &b"x".repeat(100_000), b"\n1.2.3.6\n", &b"y".repeat(9_000)].concat();
        let list = Blocklist::read(&long[..]).unwrap();
        assert_eq!((list.lines, list.not_understood, list.first_not_understood), (4, 2, Some(2)));
        assert!(list.filter.blocks([1, 2, 3, 6].into()));
    }

    #[test]
    fn a_bomb_is_given_up() {
        let bounds = Bounds { bytes: 1 << 20, ranges: 1_000 };
        let read = |bytes: &[u8]| Blocklist::read_within(bytes, bounds);
        let empty_lines = vec![b'\n'; 4 << 20];
        let no_line = vec![b'x'; 4 << 20];
        let comments = b"# nothing\n".repeat(400_000);
        for bomb in [&empty_lines, &no_line, &comments] {
            for bytes in [bomb.clone(), gz(bomb)] {
                let error = read(&bytes).unwrap_err();
                assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
            }
        }
        let scattered =
            |count: u32| (0..count).map(|n| format!("0.{}.{}.7\n", n >> 8, n & 255)).collect::<String>();
        assert_eq!(read(scattered(1_000).as_bytes()).unwrap().filter.ranges(), 1_000);
        let error = read(scattered(1_001).as_bytes()).unwrap_err();
        assert!(error.kind() == ErrorKind::Blocklist && error.to_string().contains("1000"), "{error}");
        // What continues the range before takes no room.
        let dense: String = (0..5_000u32).map(|n| format!("1.0.{}.{}\n", n >> 8, n & 255)).collect();
        assert_eq!(read(dense.as_bytes()).unwrap().filter.ranges(), 1);
    }

    #[test]
    fn a_failing_read_is_told_as_such() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("bad sector"))
            }
        }
        let after = Blocklist::read((&b"1.2.3.4\n"[..]).chain(Fails)).unwrap_err();
        assert!(after.kind() == ErrorKind::FileIo && after.to_string().contains("bad sector"), "{after}");
        assert_eq!(Blocklist::read(Fails).unwrap_err().kind(), ErrorKind::FileIo);
    }
}
