//! The body of a request that comes in chunks (RFC 9112, 7.1), taken together.
//!
//! Bounded by what the caller allows in all, and in each line between the chunks. Extensions of chunks and
//! fields after the last one are passed over.

/// Longest line between chunks, its end included.
pub const MAX_LINE: usize = 256;

/// Most lines after the last chunk.
const MAX_TRAILERS: u32 = 32;

/// How far a body in chunks has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    at: Place,
    /// Bytes that may still come.
    left: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the line with a length.
    Length,
    /// In a chunk that lacks this many bytes.
    Data(u64),
    /// Before the line that ends a chunk.
    EndOfChunk,
    /// After the last chunk, and this many lines.
    Trailer(u32),
    Over,
}

impl Chunks {
    /// A body of at most `most` bytes.
    pub fn new(most: u64) -> Self {
        Chunks { at: Place::Length, left: most }
    }

    /// Whether all of it has come.
    pub fn are_over(&self) -> bool {
        self.at == Place::Over
    }

    /// Takes what it can of `input`, gives the bytes of the body to `take`, and tells how much of `input` it
    /// used: the rest is to come again with more behind it, up to [`MAX_LINE`] bytes.
    ///
    /// # Errors
    /// The status to answer with: 400 for what are no chunks, 413 for too many bytes.
    pub fn decode(&mut self, input: &[u8], mut take: impl FnMut(&[u8])) -> Result<usize, u16> {
        let mut used = 0;
        while let Some(rest) = input.get(used..) {
            if let Place::Data(left) = self.at {
                let here = rest.get(..rest.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                let here = here.unwrap_or_default();
                take(here);
                used += here.len();
                match left - here.len() as u64 {
                    0 => self.at = Place::EndOfChunk,
                    left => {
                        self.at = Place::Data(left);
                        return Ok(used);
                    }
                }
                continue;
            }
            if self.are_over() {
                break;
            }
            let Some(end) = rest.iter().take(MAX_LINE).position(|&byte| byte == b'\n') else {
                return if rest.len() < MAX_LINE { Ok(used) } else { Err(400) };
            };
            let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(400u16)?;
            used += end + 1;
            self.at = self.after(line)?;
        }
        Ok(used)
    }

    /// Where a line leads.
    fn after(&mut self, line: &[u8]) -> Result<Place, u16> {
        Ok(match self.at {
            Place::Length => match length(line).ok_or(400u16)? {
                0 => Place::Trailer(0),
                length => {
                    self.left = self.left.checked_sub(length).ok_or(413u16)?;
                    Place::Data(length)
                }
            },
            Place::EndOfChunk if line.is_empty() => Place::Length,
            Place::Trailer(_) if line.is_empty() => Place::Over,
            Place::Trailer(lines) if lines < MAX_TRAILERS => Place::Trailer(lines + 1),
            _ => return Err(400),
        })
    }
}

/// The length on a line, in hexadecimal digits; an extension may follow.
fn length(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii_end();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_number)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, what is left of the input, and whether it is over.
    fn decoded(input: &[u8], most: u64) -> Result<(Vec<u8>, usize, bool), u16> {
        let (mut chunks, mut body) = (Chunks::new(most), Vec::new());
        let used = chunks.decode(input, |bytes| body.extend_from_slice(bytes))?;
        Ok((body, input.len() - used, chunks.are_over()))
    }

    #[test]
    fn chunks_make_the_body_however_they_are_cut() {
        let whole = b"3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\nGET /";
        assert_eq!(decoded(whole, 13), Ok((b"abc0123456789".to_vec(), 5, true)));
        for cut in 0..whole.len() - 5 {
            let (mut chunks, mut body) = (Chunks::new(13), Vec::new());
            let used = chunks.decode(&whole[..cut], |bytes| body.extend_from_slice(bytes)).unwrap();
            assert!(!chunks.are_over() && used <= cut);
            let more = chunks.decode(&whole[used..], |bytes| body.extend_from_slice(bytes)).unwrap();
            assert_eq!(
                (body, used + more, chunks.are_over()),
                (b"abc0123456789".to_vec(), whole.len() - 5, true)
            );
        }
    }

    #[test]
    fn what_are_no_chunks_and_what_is_too_much_is_refused() {
        for bad in
            [&b"\r\n"[..], b"x\r\n", b"-1\r\n", b"1\nab", b"1\r\nab\r\n", b"11111111111111111\r\n", b"+1\r\n"]
        {
            assert_eq!(decoded(bad, 100), Err(400), "{}", bad.escape_ascii());
        }
        assert_eq!(decoded(&[b'1'; MAX_LINE], 100), Err(400));
        assert_eq!(decoded(b"5\r\nhello\r\n1\r\n", 5), Err(413));
        assert_eq!(decoded(b"FFFFFFFFFFFFFFFF\r\n", u64::MAX - 1), Err(413));
        let trailers = [&b"0\r\n"[..], &b"a: b\r\n".repeat(40), b"\r\n"].concat();
        assert_eq!(decoded(&trailers, 5), Err(400));
    }
}
