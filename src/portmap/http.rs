//! HTTP as used with a gateway: one request and one answer for each connection. Parses and writes, and keeps only
//! the bytes of the answer so far.
//!
//! Redirects are not followed, bodies not unpacked, connections not reused. Invariant: an answer never takes more than
//! [`MAX_ANSWER`] bytes, its head included, and a byte is looked at a bounded number of times, however it
//! arrives.

use std::net::SocketAddr;

use super::ssdp::Location;

/// Most bytes that are read of an answer.
pub const MAX_ANSWER: usize = 64 * 1024;

/// Longest line with the length of a chunk.
const MAX_CHUNK_LINE: usize = 64;

/// A request for a document.
pub fn get(location: &Location) -> Vec<u8> {
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        location.path,
        authority(location.addr)
    )
    .into_bytes()
}

/// A request to carry out an action of a service.
pub fn post(location: &Location, service: &str, action: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: text/xml; charset=\"utf-8\"\r\n\
         SOAPAction: \"{service}#{action}\"\r\nContent-Length: {}\r\n\r\n{body}",
        location.path,
        authority(location.addr),
        body.len()
    )
    .into_bytes()
}

/// The address for the `Host` header; without the scope of a link-local one, which is local to this host.
fn authority(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V4(addr) => addr.to_string(),
        SocketAddr::V6(addr) => format!("[{}]:{}", addr.ip(), addr.port()),
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; invalid UTF-8 in it is replaced.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The gateway refuses or resets the connection.
    Refused,
    /// It timed out.
    Slow,
    /// The answer is longer than [`MAX_ANSWER`].
    TooLong,
    /// The answer is malformed.
    Malformed,
}

/// Reads one answer, as its bytes arrive.
#[derive(Debug, Default)]
pub struct AnswerReader {
    bytes: Vec<u8>,
    /// Bytes that have been searched for the end of the head.
    searched: usize,
    head: Option<Head>,
}

#[derive(Debug)]
struct Head {
    status: u16,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// It ends at this offset.
    Until(usize),
    /// It ends with the connection.
    UntilClosed(usize),
    /// In chunks: where the next one starts, and the body so far.
    Chunked(usize, Vec<u8>),
}

impl AnswerReader {
    /// Takes in what has arrived; the answer once it is whole.
    ///
    /// # Errors
    /// [`Failure::TooLong`], [`Failure::Malformed`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Answer>, Failure> {
        if self.bytes.len() + bytes.len() > MAX_ANSWER {
            return Err(Failure::TooLong);
        }
        self.bytes.extend_from_slice(bytes);
        if self.head.is_none() {
            let Some(end) = self.end_of_head() else { return Ok(None) };
            self.head = Some(read_head(&self.bytes[..end], end)?);
        }
        let Some(Head { status, body }) = &mut self.head else { return Ok(None) };
        let whole = match body {
            Body::Until(end) if *end > MAX_ANSWER => return Err(Failure::TooLong),
            Body::Until(end) => self.bytes.get(..*end).map(|whole| {
                let head = self.searched.min(whole.len());
                whole[head..].to_vec()
            }),
            Body::UntilClosed(_) => None,
            Body::Chunked(at, taken) => take_chunks(&self.bytes, at, taken)?.then(|| std::mem::take(taken)),
        };
        Ok(whole.map(|body| Answer { status: *status, body: String::from_utf8_lossy(&body).into_owned() }))
    }

    /// The gateway has closed the connection.
    ///
    /// # Errors
    /// [`Failure::Refused`] where something is missing.
    pub fn close(self) -> Result<Answer, Failure> {
        match self.head {
            Some(Head { status, body: Body::UntilClosed(start) }) => {
                let body = self.bytes.get(start..).unwrap_or_default();
                Ok(Answer { status, body: String::from_utf8_lossy(body).into_owned() })
            }
            _ => Err(Failure::Refused),
        }
    }

    /// Where the head ends, the empty line included; what was searched is not searched again.
    fn end_of_head(&mut self) -> Option<usize> {
        while let Some(at) = self.bytes[self.searched..].iter().position(|&byte| byte == b'\n') {
            let end = self.searched + at + 1;
            let line = &self.bytes[self.searched..end];
            let is_empty = line == b"\n" || line == b"\r\n";
            self.searched = end;
            if is_empty {
                return Some(end);
            }
        }
        None
    }
}

/// Reads a whole head, behind which the body starts.
fn read_head(head: &[u8], start: usize) -> Result<Head, Failure> {
    let text = std::str::from_utf8(head).map_err(|_| Failure::Malformed)?;
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    let mut words = lines.next().unwrap_or_default().split(' ');
    if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(Failure::Malformed);
    }
    let status = words.next().and_then(|status| status.parse().ok()).ok_or(Failure::Malformed)?;
    let mut body = Body::UntilClosed(start);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(Failure::Malformed);
            }
            body = Body::Chunked(start, Vec::new());
        } else if name.eq_ignore_ascii_case("content-encoding") && !value.eq_ignore_ascii_case("identity") {
            return Err(Failure::Malformed);
        } else if name.eq_ignore_ascii_case("content-length") && matches!(body, Body::UntilClosed(_)) {
            let length: usize = value.parse().map_err(|_| Failure::Malformed)?;
            body = Body::Until(start.saturating_add(length));
        }
    }
    Ok(Head { status, body })
}

/// Takes the chunks that are whole; whether the last has come.
fn take_chunks(bytes: &[u8], at: &mut usize, taken: &mut Vec<u8>) -> Result<bool, Failure> {
    loop {
        let rest = bytes.get(*at..).unwrap_or_default();
        let line = rest.get(..rest.len().min(MAX_CHUNK_LINE)).unwrap_or_default();
        let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
            return if rest.len() < MAX_CHUNK_LINE { Ok(false) } else { Err(Failure::Malformed) };
        };
        let text = std::str::from_utf8(&line[..end]).map_err(|_| Failure::Malformed)?;
        let length = text.split(';').next().unwrap_or_default().trim();
        if length.starts_with('+') {
            return Err(Failure::Malformed);
        }
        let length = usize::from_str_radix(length, 16).map_err(|_| Failure::Malformed)?;
        if length == 0 {
            return Ok(true);
        }
        if length > MAX_ANSWER {
            return Err(Failure::TooLong);
        }
        // The chunk, and the line that ends it.
        let Some(chunk) = rest.get(end + 1..end + 1 + length) else { return Ok(false) };
        let next = match rest.get(end + 1 + length..).unwrap_or_default() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [] | [b'\r'] => return Ok(false),
            _ => return Err(Failure::Malformed),
        };
        taken.extend_from_slice(chunk);
        *at += end + 1 + length + next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses an answer that arrives in parts of a size and then ends.
    fn read(bytes: &[u8], size: usize) -> Result<Answer, Failure> {
        let mut reader = AnswerReader::default();
        for piece in bytes.chunks(size) {
            if let Some(answer) = reader.push(piece)? {
                return Ok(answer);
            }
        }
        reader.close()
    }

    fn ok(body: &str) -> Result<Answer, Failure> {
        Ok(Answer { status: 200, body: body.to_owned() })
    }

    #[test]
    fn an_answer_is_the_same_however_it_arrives() {
        for size in [1, 2, 3, 7, 1000] {
            assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", size), ok("abc"));
            assert_eq!(read(b"HTTP/1.0 200 OK\nX: y\n\nabc", size), ok("abc"));
            let chunked =
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
            assert_eq!(read(chunked, size), ok("abcd"));
            let fault = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1\r\n\r\nx";
            assert_eq!(read(fault, size), Ok(Answer { status: 500, body: "x".into() }));
            assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", size), Err(Failure::Refused));
            assert_eq!(read(b"HTTP/1.1 200 OK\r\n", size), Err(Failure::Refused));
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for bad in [
            "hello\r\n\r\n",
            "HTTP/1.1 x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab",
        ] {
            assert_eq!(read(bad.as_bytes(), 5), Err(Failure::Malformed), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_bounded() {
        let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        endless.resize(MAX_ANSWER, b' ');
        assert!(read(&endless, 4096).is_ok());
        endless.push(b' ');
        assert_eq!(read(&endless, 4096), Err(Failure::TooLong));
        let long_head = [&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'x'; MAX_ANSWER]].concat();
        assert_eq!(read(&long_head, 4096), Err(Failure::TooLong));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", 99), Err(Failure::TooLong));
        let huge = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", usize::MAX);
        assert_eq!(read(huge.as_bytes(), 99), Err(Failure::TooLong));
        let chunk = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", usize::MAX);
        assert_eq!(read(chunk.as_bytes(), 99), Err(Failure::TooLong));
    }

    #[test]
    fn a_request_has_its_body_and_its_length() {
        let at = Location::parse("http://1.2.3.4:5/ctl").unwrap();
        let text = String::from_utf8(post(&at, "urn:x", "Do", "<a/>")).unwrap();
        assert!(text.starts_with("POST /ctl HTTP/1.1\r\nHost: 1.2.3.4:5\r\n"), "{text}");
        assert!(
            text.contains("SOAPAction: \"urn:x#Do\"\r\n") && text.ends_with("Content-Length: 4\r\n\r\n<a/>")
        );
        assert!(get(&at).starts_with(b"GET /ctl HTTP/1.1\r\nHost: 1.2.3.4:5\r\nConnection: close\r\n\r\n"));
    }
}
