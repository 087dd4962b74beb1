//! An answer of an HTTP server, and how it is sent: whole, or in chunks while it is being written, so that a
//! long one is never in memory at once.

use std::fmt;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes of a body that are sent along with the head.
const BODY_WITH_HEAD: usize = 16 << 10;

/// Bytes of a body that is being written that are kept until they are sent.
const CHUNK: usize = 64 << 10;

/// Writes a body.
type WriteBody = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// The body of an answer.
pub(crate) enum ResponseBody {
    /// It is there.
    Whole(Arc<[u8]>),
    /// It is made while it is sent, and compressed where the other side takes that.
    #[cfg_attr(not(any(feature = "daemon", test)), expect(dead_code))]
    Written(WriteBody),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    /// Such as 200.
    pub(crate) status: u16,
    pub(crate) media_type: &'static str,
    /// Further fields of its head. No value holds what ends a line.
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: ResponseBody,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResponseBody::Whole(bytes) => write!(f, "{} bytes", bytes.len()),
            ResponseBody::Written(_) => f.write_str("written"),
        }
    }
}

impl Response {
    /// An answer with a body that is there.
    pub(crate) fn whole(status: u16, media_type: &'static str, body: impl Into<Arc<[u8]>>) -> Response {
        let body = ResponseBody::Whole(body.into());
        Response { status, media_type, fields: Vec::new(), body, closes: false }
    }

    /// An answer in plain text.
    pub(crate) fn text(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response::whole(status, "text/plain", body.into())
    }

    /// An answer whose body is made while it is sent. Without a body it is 204, No Content.
    #[cfg(any(feature = "daemon", test))]
    pub(crate) fn written(
        media_type: &'static str,
        body: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Response {
        let body = ResponseBody::Written(Box::new(body));
        Response { status: 200, media_type, fields: Vec::new(), body, closes: false }
    }

    /// The same with one more field in its head.
    #[cfg(any(feature = "daemon", test))]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.fields.push((name, value.into()));
        self
    }

    /// The same, and the connection ends with it.
    pub(crate) fn closing(mut self) -> Response {
        self.closes = true;
        self
    }
}

/// What the other side takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader {
    /// Whether it waits for another answer on this connection.
    pub(crate) keep: bool,
    /// Whether it knows chunks (HTTP/1.1).
    pub(crate) takes_chunks: bool,
    pub(crate) takes_gzip: bool,
}

/// Sends an answer, and tells whether the connection stays.
///
/// # Errors
/// Those of the connection, and of what writes the body; the connection is of no use then.
pub(crate) fn send(stream: &TcpStream, response: Response, reader: Reader) -> io::Result<bool> {
    let Response { status, media_type, fields, body, closes } = response;
    let keep = reader.keep && !closes;
    match body {
        ResponseBody::Whole(body) => {
            let mut answer = head(status, media_type, &fields, Framing::Length(body.len()), keep);
            // One packet if it fits in one; a long body is not copied.
            let (first, rest) = body.split_at(body.len().min(BODY_WITH_HEAD));
            answer.extend_from_slice(first);
            let mut stream = stream;
            stream.write_all(&answer)?;
            stream.write_all(rest)?;
            Ok(keep)
        }
        ResponseBody::Written(write) => {
            let reader = Reader { keep, ..reader };
            let framed =
                Framed { stream, status, media_type, fields, is_begun: false, buffer: Vec::new(), reader };
            let mut coded = Coded::Nothing(framed);
            write(&mut coded)?;
            coded.finish()
        }
    }
}

/// A body that is compressed, if it is any and the other side takes that.
enum Coded<'a> {
    /// Nothing was written yet.
    Nothing(Framed<'a>),
    Plain(Framed<'a>),
    Gzip(Box<GzEncoder<Framed<'a>>>),
    /// In between.
    Changing,
}

impl Coded<'_> {
    fn finish(self) -> io::Result<bool> {
        match self {
            Coded::Nothing(mut framed) => {
                framed.status = 204;
                framed.finish()
            }
            Coded::Plain(framed) => framed.finish(),
            Coded::Gzip(packed) => packed.finish()?.finish(),
            Coded::Changing => Err(io::ErrorKind::Other.into()),
        }
    }
}

impl Write for Coded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if matches!(self, Coded::Nothing(_)) && !bytes.is_empty() {
            *self = match std::mem::replace(self, Coded::Changing) {
                Coded::Nothing(mut framed) if framed.reader.takes_gzip => {
                    framed.fields.push(("Content-Encoding", "gzip".to_owned()));
                    framed.fields.push(("Vary", "Accept-Encoding".to_owned()));
                    Coded::Gzip(Box::new(GzEncoder::new(framed, Compression::fast())))
                }
                Coded::Nothing(framed) => Coded::Plain(framed),
                other => other,
            };
        }
        match self {
            Coded::Plain(framed) => framed.write(bytes),
            Coded::Gzip(packed) => packed.write(bytes),
            Coded::Nothing(_) | Coded::Changing => Ok(0),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the end of a body is told.
enum Framing {
    Length(usize),
    Chunks,
    /// By the end of the connection.
    Close,
}

/// The head of an answer.
fn head(
    status: u16,
    media_type: &str,
    fields: &[(&'static str, String)],
    framing: Framing,
    keep: bool,
) -> Vec<u8> {
    let mut head = super::client::describe(status).replacen("HTTP status", "HTTP/1.1", 1) + "\r\n";
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    // What has no body has neither type nor length (RFC 9110, 15.3.5).
    if status != 204 {
        head.push_str(&format!("Content-Type: {media_type}\r\n"));
        match framing {
            Framing::Length(length) => head.push_str(&format!("Content-Length: {length}\r\n")),
            Framing::Chunks => head.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::Close => {}
        }
    }
    let connection = if keep { "keep-alive" } else { "close" };
    head.push_str(&format!("Connection: {connection}\r\n\r\n"));
    head.into_bytes()
}

/// A body that is being written: kept while it is short, sent in chunks where it is not.
struct Framed<'a> {
    stream: &'a TcpStream,
    status: u16,
    media_type: &'static str,
    fields: Vec<(&'static str, String)>,
    /// Whether the head was sent.
    is_begun: bool,
    buffer: Vec<u8>,
    reader: Reader,
}

impl Framed<'_> {
    fn keeps(&self) -> bool {
        self.reader.keep && self.reader.takes_chunks
    }

    /// Sends what there is.
    fn send_chunk(&mut self) -> io::Result<()> {
        let keep = self.keeps();
        let mut stream = self.stream;
        if !std::mem::replace(&mut self.is_begun, true) {
            let framing = if self.reader.takes_chunks { Framing::Chunks } else { Framing::Close };
            stream.write_all(&head(self.status, self.media_type, &self.fields, framing, keep))?;
        }
        if self.reader.takes_chunks {
            stream.write_all(format!("{:x}\r\n", self.buffer.len()).as_bytes())?;
            self.buffer.extend_from_slice(b"\r\n");
        }
        stream.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// The body is over.
    fn finish(mut self) -> io::Result<bool> {
        let mut stream = self.stream;
        if !self.is_begun {
            let keep = self.reader.keep;
            let framing = Framing::Length(self.buffer.len());
            let mut answer = head(self.status, self.media_type, &self.fields, framing, keep);
            answer.append(&mut self.buffer);
            stream.write_all(&answer)?;
            return Ok(keep);
        }
        if !self.buffer.is_empty() {
            self.send_chunk()?;
        }
        if self.reader.takes_chunks {
            stream.write_all(b"0\r\n\r\n")?;
        }
        Ok(self.keeps())
    }
}

impl Write for Framed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK.saturating_sub(self.buffer.len());
        let taken = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() >= CHUNK {
            self.send_chunk()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
