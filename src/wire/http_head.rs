//! The head of a request to one of our HTTP servers, taken apart.
//!
//! A head that a proxy in between could read in another way is refused: two readings of where a request ends
//! would let one client behind the proxy put requests into the connection of another (RFC 9112, 11.2). What a
//! body looks like is read here, the body itself in [`http_chunks`](super::http_chunks).
//!
//! Nothing here keeps the text.

/// Longest head of a plain request, in bytes, the empty line included.
pub const MAX_HEAD: usize = 4096;

/// What is asked for: a path and a query, neither unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// What comes before the question mark.
    pub path: &'a [u8],
    /// What comes after it; empty where there is none.
    pub query: &'a [u8],
}

/// What follows the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// This many bytes, 0 if the head says nothing of a body.
    Length(u64),
    /// Chunks, each with its length.
    Chunked,
}

/// A request whose head is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method, such as `GET`: capital letters.
    pub method: &'a [u8],
    /// What it asks for.
    pub target: Target<'a>,
    /// The lines of its fields.
    fields: &'a [u8],
    /// What follows.
    pub body: Body,
    /// Whether the sender waits for a word before it sends the body (`Expect: 100-continue`).
    pub waits: bool,
    /// Whether it is HTTP/1.1, whose answers may come in chunks.
    pub is_1_1: bool,
    /// Whether the connection is to stay for another.
    pub keep: bool,
    /// Bytes of its head; what comes after them is the body, or the next request.
    pub len: usize,
}

/// How far the head of a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head<'a> {
    /// More is to come.
    Partial,
    /// It is whole.
    Whole(Request<'a>),
    /// It will not do: the status to answer with.
    Refused(u16),
}

impl<'a> Request<'a> {
    /// The value of a field, without blanks around it; of several the first.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields(name).next()
    }

    /// The values of all fields of this name.
    pub fn fields<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields.split(|&byte| byte == b'\n').filter_map(move |line| value(line, name))
    }

    /// Whether it is a `GET` without a body.
    ///
    /// # Errors
    /// The status to answer with.
    pub fn check_plain(&self) -> Result<(), u16> {
        match (self.method, self.body) {
            (b"GET", Body::Length(0)) if !self.waits => Ok(()),
            (b"GET", _) => Err(400),
            _ => Err(405),
        }
    }
}

/// Reads the head of a request of at most `longest` bytes as far as it has come.
pub fn read_head(bytes: &[u8], longest: usize) -> Head<'_> {
    let len = match end_of_head(bytes) {
        Some(end) if end <= longest => end,
        None if bytes.len() < longest => return Head::Partial,
        _ => return Head::Refused(431),
    };
    let head = bytes.get(..len).unwrap_or_default();
    let line = head.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    let fields = head.get(line.len()..).unwrap_or_default();
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, words.next()) else {
        return Head::Refused(400);
    };
    if !version.starts_with(b"HTTP/1.") || target.iter().any(u8::is_ascii_control) {
        return Head::Refused(400);
    }
    if method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
        return Head::Refused(400);
    }
    let lines = || fields.split(|&byte| byte == b'\n').map(strip_end);
    if !lines().filter(|line| !line.is_empty()).all(is_plain_field) {
        return Head::Refused(400);
    }
    // A proxy is sent the whole URL; the part before the path is ignored.
    let target = match target.strip_prefix(b"http://") {
        Some(rest) => &rest[rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len())..],
        None => target,
    };
    let mut parts = target.splitn(2, |&byte| byte == b'?');
    let target = Target { path: parts.next().unwrap_or_default(), query: parts.next().unwrap_or_default() };
    let wish = lines().filter_map(connection).next_back();
    let is_1_1 = version.trim_ascii() != b"HTTP/1.0";
    // Before HTTP/1.1 a connection was for one request unless it said otherwise (RFC 9112, 9.3).
    let keep = wish.unwrap_or(is_1_1);
    let nothing = Body::Length(0);
    let mut request = Request { method, target, fields, body: nothing, waits: false, is_1_1, keep, len };
    match body(&request).and_then(|body| Some((body, waits(&request)?))) {
        Some((body, waits)) => {
            (request.body, request.waits) = (body, waits);
            Head::Whole(request)
        }
        None => Head::Refused(400),
    }
}

/// How long the body of a request is; nothing if that can be read in two ways (RFC 9112, 6.3).
fn body(request: &Request<'_>) -> Option<Body> {
    let mut lengths = request.fields("content-length");
    let mut codings = request.fields("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Some(Body::Length(0)),
        (Some(length), None) => {
            let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(length).ok().filter(|_| is_number && lengths.next().is_none());
            number?.parse().ok().map(Body::Length)
        }
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") && request.is_1_1 => {
            codings.next().is_none().then_some(Body::Chunked)
        }
        _ => None,
    }
}

/// Whether the sender waits; nothing if it expects something else.
fn waits(request: &Request<'_>) -> Option<bool> {
    let mut expected = request.fields("expect");
    match expected.next() {
        None => Some(false),
        Some(what) => what.eq_ignore_ascii_case(b"100-continue").then_some(true),
    }
}

/// Where the first empty line ends, whichever way lines are ended. However much has come behind it, it is
/// the first: or the same requests would be others when they come at once.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    ends.filter_map(|next| match bytes.get(next..)? {
        [b'\n', ..] => Some(next + 1),
        [b'\r', b'\n', ..] => Some(next + 2),
        _ => None,
    })
    .next()
}

/// A line without the carriage return that ends it.
fn strip_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether a line of a head is a field that every reader takes for the same: a name without blanks, a colon,
/// and a value without control characters (RFC 9112, 5.1 and 5.2).
fn is_plain_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let has_control = value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
    !name.is_empty() && name.iter().all(is_token) && !has_control
}

/// The value of a line that is a field of this name.
fn value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (found, value) = line.split_at(colon);
    found.eq_ignore_ascii_case(name.as_bytes()).then(|| value[1..].trim_ascii())
}

/// Whether a line of a head asks for the connection to stay, if it says anything of it.
fn connection(line: &[u8]) -> Option<bool> {
    let value = value(line, "connection")?;
    let has = |wish: &[u8]| {
        let mut words = value.split(|&byte| byte == b',');
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(wish))
    };
    if has(b"close") { Some(false) } else { has(b"keep-alive").then_some(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server reads it that takes nothing but a plain `GET`.
    fn read_plain(bytes: &[u8]) -> Head<'_> {
        match read_head(bytes, MAX_HEAD) {
            Head::Whole(request) => match request.check_plain() {
                Ok(()) => Head::Whole(request),
                Err(status) => Head::Refused(status),
            },
            other => other,
        }
    }

    #[test]
    fn heads_are_taken_apart_and_bounded() {
        let whole = |head: &'static [u8]| match read_plain(head) {
            Head::Whole(Request { target: Target { path, query }, keep, len, .. }) => {
                (path, query, keep, len)
            }
            other => panic!("{other:?}"),
        };
        let parts = |path: &'static str, query: &'static str, keep, len| {
            (path.as_bytes(), query.as_bytes(), keep, len)
        };
        assert_eq!(
            whole(b"GET /announce?a=b HTTP/1.1\r\nHost: x\r\n\r\n"),
            parts("/announce", "a=b", true, 39)
        );
        assert_eq!(whole(b"GET / HTTP/1.0\n\n"), parts("/", "", false, 16));
        assert_eq!(
            whole(b"GET http://a:1/scrape?x?y HTTP/1.1\r\n\r\nrest"),
            parts("/scrape", "x?y", true, 38)
        );
        assert_eq!(whole(b"GET http://a HTTP/1.1\r\n\r\n"), parts("", "", true, 25));
        for (version, line, keep) in [
            ("1.1", "Connection: close", false),
            ("1.1", "connection:TE,  Close ", false),
            ("1.1", "X-Connection: close", true),
            ("1.0", "CONNECTION: Keep-Alive", true),
            ("1.0", "Accept: */*", false),
        ] {
            let head = format!("GET / HTTP/{version}\r\n{line}\r\n\r\nConnection: what comes after\r\n");
            let Head::Whole(request) = read_plain(head.as_bytes()) else { panic!("{head}") };
            assert_eq!(request.keep, keep, "{head}");
        }
        assert_eq!(read_plain(b""), Head::Partial);
        assert_eq!(read_plain(b"GET / HTTP/1.1\r\nHost: x\r\n"), Head::Partial);
        assert_eq!(read_plain(b"POST / HTTP/1.1\r\n\r\n"), Head::Refused(405));
        for bad in [
            &b"\r\n\r\n"[..],
            b"GET /\r\n\r\n",
            b"GET / a HTTP/1.1\r\n\r\n",
            b"GET / SPDY\r\n\r\n",
            b"\xFF\xFF\n\n",
        ] {
            assert_eq!(read_plain(bad), Head::Refused(400));
        }
        assert_eq!(read_plain(&[b'a'; MAX_HEAD]), Head::Refused(431));
        assert_eq!(read_plain(&[b'a'; MAX_HEAD - 1]), Head::Partial);
        let long = [&[b'a'; MAX_HEAD][..], b"\r\n\r\n"].concat();
        assert_eq!(read_plain(&long), Head::Refused(431));
    }

    /// The second request, by its other way of ending lines, was once read as a part of the first.
    #[test]
    fn requests_that_come_at_once_are_those_that_come_one_by_one() {
        let requests = [
            "GET /a HTTP/1.1\n\n",
            "GET /b HTTP/1.1\r\n\r\n",
            "GET /c HTTP/1.1\r\n\n",
            "GET /d HTTP/1.1\n\r\n",
        ];
        for (first, second) in
            requests.iter().flat_map(|first| requests.iter().map(move |second| (first, second)))
        {
            let alone = read_plain(first.as_bytes());
            assert!(matches!(alone, Head::Whole(request) if request.len == first.len()), "{first:?}");
            assert_eq!(read_plain(format!("{first}{second}").as_bytes()), alone, "{first:?} and {second:?}");
        }
    }

    /// A proxy that shares connections between clients may pass these on; none of them may be read as two
    /// requests.
    #[test]
    fn a_head_that_a_proxy_could_read_in_another_way_is_refused() {
        let read = |field: &str| match read_plain(format!("GET / HTTP/1.1\r\n{field}\r\n\r\n").as_bytes()) {
            Head::Refused(status) => status,
            Head::Whole(_) => 200,
            Head::Partial => 0,
        };
        for field in [
            "Content-Length: 43",
            "content-length:1",
            "Content-Length: 0, 5",
            "Content-Length: +0",
            "Transfer-Encoding: chunked",
            "TRANSFER-ENCODING: identity",
            "Transfer-Encoding : chunked",
            "Expect: 100-continue",
            "X: 1\r\n folded: 2",
            "no colon",
            ": no name",
            "X: a\rContent-Length: 5",
            "X: \0",
        ] {
            assert_eq!(read(field), 400, "{field:?}");
        }
        for field in
            ["Content-Length: 0", "User-Agent: a (b; c) \u{e9}", "Accept:", "X-Forwarded-For:\t1.2.3.4"]
        {
            assert_eq!(read(field), 200, "{field:?}");
        }
        assert_eq!(read_plain(b"GET /a\rb HTTP/1.1\r\n\r\n"), Head::Refused(400));
    }

    #[test]
    fn a_body_is_announced_in_one_way_only() {
        let read = |fields: &str| {
            let head = format!("POST /rpc HTTP/1.1\r\n{fields}\r\n\r\n");
            match read_head(head.as_bytes(), MAX_HEAD) {
                Head::Whole(request) => Ok((request.body, request.waits)),
                Head::Refused(status) => Err(status),
                Head::Partial => Err(0),
            }
        };
        assert_eq!(read("Host: x"), Ok((Body::Length(0), false)));
        assert_eq!(read("content-LENGTH:  24 "), Ok((Body::Length(24), false)));
        assert_eq!(read("Transfer-Encoding: Chunked"), Ok((Body::Chunked, false)));
        assert_eq!(read("Content-Length: 1\r\nExpect: 100-Continue"), Ok((Body::Length(1), true)));
        for fields in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Content-Length: 4\r\nContent-Length: 4",
            "Content-Length: 4, 4",
            "Content-Length: +4",
            "Content-Length:",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Expect: tea",
        ] {
            assert_eq!(read(fields), Err(400), "{fields:?}");
        }
        let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read_head(old, MAX_HEAD), Head::Refused(400));
        assert_eq!(read_head(b"get / HTTP/1.1\r\n\r\n", MAX_HEAD), Head::Refused(400));
    }

    #[test]
    fn fields_are_found_by_name_in_their_order() {
        let head = b"GET / HTTP/1.1\r\nHost: a:1\r\nX-A:one\r\nx-a: two \r\nX-AB: three\r\n\r\nX-A: body";
        let Head::Whole(request) = read_head(head, MAX_HEAD) else { panic!() };
        assert_eq!((request.field("host"), request.field("x-b")), (Some(&b"a:1"[..]), None));
        assert_eq!(request.fields("X-A").collect::<Vec<_>>(), [&b"one"[..], b"two"]);
    }
}
