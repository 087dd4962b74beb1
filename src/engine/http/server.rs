//! An HTTP/1.1 server: it accepts, reads a request, has it answered, and keeps the connection for the next.
//! Its [`Routes`] decide the answers.
//!
//! Threads take turns at accepting, each then serving the connection it accepted. One that accepts makes sure
//! that another waits in its place, so there are as many threads as there are connections just then, and a
//! few to spare. Connections stay for further requests while there is room. A peer that is silent or slow
//! holds up no other: each request has a deadline, and its connection is closed before that when another
//! needs the place ([`connections`](super::connections)).
//!
//! Never holds anything of a request once it is answered, and no more than one long body at a time.

use std::io::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::connections::{Connection, ConnectionTable};
use super::requests::{Limits, Next, Requests};
use super::response::{Reader, Response, send};
use crate::engine::net::accept::{Acceptor, ListeningSocket};
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads;
use crate::error::{Error, Result};
use crate::lock::{lock, wait_timeout_while};
use crate::wire::http_head::{Body, Request};

/// Threads that wait for connections at each address; those above it end.
const SPARE_THREADS: usize = 4;

/// Bytes of a body above which it is a long one.
const LONG_BODY: u64 = 256 << 10;

/// Longest that threads are waited for at the end.
const MAX_END: Duration = Duration::from_millis(200);

/// What the head of a request leads to.
pub(crate) enum Admission<T> {
    /// This answer, whatever its body says.
    Answered(Response),
    /// Its body is to be read; then it is answered by this.
    #[cfg_attr(not(feature = "daemon"), expect(dead_code))]
    Taken(T),
}

/// The answers of a server. It is called from many threads at once, and delays only the calling connection.
pub(crate) trait Routes: Send + Sync + 'static {
    /// What is kept of a head until its body has come.
    type Ticket;

    /// Decides by the head of a request, which came from this address, or over a Unix socket.
    fn admit(&self, request: &Request<'_>, from: Option<IpAddr>) -> Admission<Self::Ticket>;

    /// The answer to a request whose body was read.
    fn answer(&self, ticket: Self::Ticket, body: Vec<u8>, from: Option<IpAddr>) -> Response;
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct HttpServer<R: Routes> {
    shared: Arc<Shared<R>>,
    listening: Vec<Arc<Listening<R>>>,
}

/// What all threads of a server share.
#[derive(Debug)]
struct Shared<R> {
    /// What its threads are called.
    name: &'static str,
    routes: R,
    limits: Limits,
    /// Whether a long body is being read.
    has_long: Mutex<bool>,
    long_is_over: Condvar,
    connections: ConnectionTable,
    /// Connections closed before their time because others needed the place.
    displaced: AtomicU64,
    clock: Clock,
}

impl<R> Shared<R> {
    fn count_displaced(&self, is_one: bool) {
        self.displaced.fetch_add(is_one.into(), Ordering::Relaxed);
    }
}

/// One address that is listened on, and its threads.
#[derive(Debug)]
struct Listening<R> {
    acceptor: Acceptor,
    shared: Arc<Shared<R>>,
    threads: Mutex<ThreadCount>,
    ended: Condvar,
}

/// How many threads there are, and how many of them wait for a connection.
#[derive(Debug, Default)]
struct ThreadCount {
    all: usize,
    waiting: usize,
}

impl<R: Routes> HttpServer<R> {
    /// Starts a server that listens nowhere yet. Its threads get this name.
    pub(crate) fn start(name: &'static str, routes: R, limits: Limits, clock: Clock) -> HttpServer<R> {
        let connections = ConnectionTable::new(limits.connections);
        let (has_long, long_is_over) = (Mutex::new(false), Condvar::new());
        let displaced = AtomicU64::new(0);
        let shared = Shared { name, routes, limits, has_long, long_is_over, connections, displaced, clock };
        HttpServer { shared: Arc::new(shared), listening: Vec::new() }
    }

    /// Serves this listening socket, too.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`](crate::error::ErrorKind::Resources).
    pub(crate) fn listen(&mut self, socket: impl Into<ListeningSocket>) -> Result<()> {
        let acceptor = Acceptor::new(socket).map_err(|cause| {
            Error::new(crate::error::ErrorKind::Resources, "no descriptor for a listening socket")
                .because(cause)
        })?;
        let (shared, ended) = (self.shared.clone(), Condvar::new());
        let listening = Arc::new(Listening { acceptor, shared, threads: Mutex::default(), ended });
        listening.add_thread()?;
        self.listening.push(listening);
        Ok(())
    }

    /// Connections open now.
    #[cfg(feature = "tracker-server")]
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.count()
    }

    /// Connections closed before their time because others needed the place.
    #[cfg(feature = "tracker-server")]
    pub(crate) fn displaced(&self) -> u64 {
        self.shared.displaced.load(Ordering::Relaxed)
    }
}

impl<R: Routes> Drop for HttpServer<R> {
    fn drop(&mut self) {
        for listening in &self.listening {
            listening.acceptor.close();
        }
        self.shared.connections.close_all();
        for listening in &self.listening {
            let threads = listening.threads();
            drop(wait_timeout_while(&listening.ended, threads, MAX_END, |threads| threads.all > 0));
        }
    }
}

impl<R: Routes> Listening<R> {
    fn threads(&self) -> MutexGuard<'_, ThreadCount> {
        lock(&self.threads)
    }

    fn add_thread(self: &Arc<Self>) -> Result<()> {
        {
            let mut threads = self.threads();
            (threads.all, threads.waiting) = (threads.all + 1, threads.waiting + 1);
        }
        let listening = self.clone();
        threads::spawn(self.shared.name, move || listening.run()).map(drop).inspect_err(|_| {
            let mut threads = self.threads();
            (threads.all, threads.waiting) = (threads.all - 1, threads.waiting - 1);
        })
    }

    /// Accepts and serves, by turns, until the server ends or there are enough other threads.
    fn run(self: &Arc<Self>) {
        let Shared { connections, clock, .. } = &*self.shared;
        // Without a descriptor for a connection one that only waits gives back its own.
        let on_shortage = || self.shared.count_displaced(connections.make_room());
        while let Some((stream, from)) = self.acceptor.next(on_shortage) {
            let is_last = {
                let mut threads = self.threads();
                threads.waiting -= 1;
                // Those above the number of connections serve one that is just being closed, and come back.
                threads.waiting == 0 && threads.all <= self.shared.limits.connections + SPARE_THREADS
            };
            if is_last {
                // Without a thread to be had the next connection waits until this one is served.
                let _ = self.add_thread();
            }
            let (connection, was_full) = connections.add(stream, from.map(|from| from.ip()), clock.now());
            self.shared.count_displaced(was_full);
            // Whatever goes wrong, it is this connection that ends.
            let _ = self.serve(&connection);
            connections.remove(&connection);
            let mut threads = self.threads();
            if self.acceptor.is_closed() || threads.waiting >= SPARE_THREADS {
                return self.end_thread(threads);
            }
            threads.waiting += 1;
        }
        let mut threads = self.threads();
        threads.waiting -= 1;
        self.end_thread(threads);
    }

    fn end_thread(&self, mut threads: MutexGuard<'_, ThreadCount>) {
        threads.all -= 1;
        self.ended.notify_all();
    }

    /// Serves a connection, request after request.
    fn serve(&self, connection: &Connection) -> std::io::Result<()> {
        let Shared { routes, limits, clock, .. } = &*self.shared;
        let stream = &connection.stream;
        stream.set_write_timeout(Some(limits.request))?;
        let mut requests = Requests::new(stream, *clock, *limits);
        loop {
            let refused = match requests.next()? {
                Next::Closed => return Ok(()),
                Next::Whole => None,
                Next::Refused(status) => Some(status),
            };
            let (Some(request), None) = (requests.head(), refused) else {
                let nothing = Reader { keep: false, takes_chunks: false, takes_gzip: false };
                send(stream, Response::text(refused.unwrap_or(400), Vec::new()), nothing)?;
                return requests.close();
            };
            let reader = Reader {
                keep: request.keep && !self.is_ending(),
                takes_chunks: request.is_1_1,
                takes_gzip: request.fields("accept-encoding").any(names_gzip),
            };
            let Request { body, waits, len, .. } = request;
            let admission = match body {
                Body::Length(length) if length > limits.body => {
                    let why = format!("the body is longer than {} bytes", limits.body);
                    Admission::Answered(Response::text(413, why).closing())
                }
                _ => routes.admit(&request, connection.from),
            };
            requests.consume(len);
            let response = match admission {
                // A sender that waits sends no body then, and is not to be waited for.
                Admission::Answered(response) if waits => response.closing(),
                Admission::Answered(response) if response.closes => response,
                Admission::Answered(response) => match requests.body(body, &mut |_| ())? {
                    Ok(()) => response,
                    Err(_) => response.closing(),
                },
                Admission::Taken(ticket) => {
                    if waits {
                        let mut stream = stream;
                        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                    }
                    match self.read_body(&mut requests, body)? {
                        Ok(body) => routes.answer(ticket, body, connection.from),
                        Err(status) => Response::text(status, Vec::new()).closing(),
                    }
                }
            };
            if !send(stream, response, reader)? {
                return requests.close();
            }
            connection.answered(clock.now());
        }
    }

    /// Whether connections are not kept for further requests.
    fn is_ending(&self) -> bool {
        self.acceptor.is_closed() || self.shared.connections.are_scarce()
    }

    /// The body of a request, or the status to answer with. A long one waits for another to be answered.
    fn read_body(
        &self,
        requests: &mut Requests<'_>,
        body: Body,
    ) -> std::io::Result<std::result::Result<Vec<u8>, u16>> {
        let is_long = !matches!(body, Body::Length(length) if length <= LONG_BODY);
        let _place = match is_long.then(|| LongBody::begin(&self.shared)) {
            Some(None) => return Ok(Err(503)),
            Some(place) => place,
            None => None,
        };
        let mut bytes = Vec::new();
        let read = requests.body(body, &mut |part| bytes.extend_from_slice(part))?;
        Ok(read.map(|()| bytes))
    }
}

/// The place of the one long body.
struct LongBody<'a, R>(&'a Shared<R>);

impl<'a, R> LongBody<'a, R> {
    /// Nothing if the place does not become free in time.
    fn begin(shared: &'a Shared<R>) -> Option<Self> {
        let taken = lock(&shared.has_long);
        let (mut taken, _) =
            wait_timeout_while(&shared.long_is_over, taken, shared.limits.request, |taken| *taken);
        (!std::mem::replace(&mut *taken, true)).then_some(LongBody(shared))
    }
}

impl<R> Drop for LongBody<'_, R> {
    fn drop(&mut self) {
        *lock(&self.0.has_long) = false;
        self.0.long_is_over.notify_one();
    }
}

/// Whether a list of codings has gzip, and does not rule it out.
pub(crate) fn names_gzip(codings: &[u8]) -> bool {
    let mut parts = codings.split(|&byte| byte == b',').map(|part| part.split(|&byte| byte == b';'));
    parts.any(|mut part| {
        let is_gzip = part.next().is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"gzip"));
        let is_ruled_out = |weight: &[u8]| {
            let digits = weight.trim_ascii().strip_prefix(b"q=").unwrap_or(b"1");
            digits.iter().all(|byte| matches!(byte, b'0' | b'.'))
        };
        is_gzip && !part.any(is_ruled_out)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::net::{TcpListener, TcpStream};

    /// Answers a `GET` with its target and a `POST` with its body; any other method is refused.
    #[derive(Debug)]
    struct Echo;

    impl Routes for Echo {
        type Ticket = ();

        fn admit(&self, request: &Request<'_>, _: Option<IpAddr>) -> Admission<()> {
            let target = request.target;
            match request.method {
                b"GET" => {
                    Admission::Answered(Response::text(200, [target.path, b"?", target.query].concat()))
                }
                b"POST" if target.path == b"/refused" => Admission::Answered(Response::text(409, "no")),
                b"POST" => Admission::Taken(()),
                _ => Admission::Answered(Response::text(405, Vec::new()).closing()),
            }
        }

        fn answer(&self, (): (), body: Vec<u8>, _: Option<IpAddr>) -> Response {
            Response::text(200, body)
        }
    }

    const LIMITS: Limits = Limits {
        connections: 16,
        head: 4096,
        body: 1 << 20,
        request: Duration::from_secs(30),
        idle: Duration::from_secs(30),
    };

    fn server() -> (HttpServer<Echo>, TcpStream) {
        let mut server = HttpServer::start("echo-http", Echo, LIMITS, Clock::start());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        server.listen(listener).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        (server, stream)
    }

    /// The first line and the body of an answer.
    fn answer(stream: &mut BufReader<TcpStream>) -> (String, Vec<u8>) {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            if line.trim_end().is_empty() {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let length = lines.iter().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        (lines.swap_remove(0), body)
    }

    #[test]
    fn a_connection_is_kept_for_requests_that_come_at_once_until_one_is_refused() {
        let (server, mut stream) = server();
        stream.write_all(b"GET /a?b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n").unwrap();
        let mut stream = BufReader::new(stream);
        assert_eq!(answer(&mut stream), ("HTTP/1.1 200 OK".into(), b"/a?b".to_vec()));
        assert_eq!(answer(&mut stream), ("HTTP/1.1 200 OK".into(), b"/c?".to_vec()));
        assert_eq!(server.connections(), 1);
        stream.get_mut().write_all(b"PUT / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(answer(&mut stream).0, "HTTP/1.1 405 Method Not Allowed");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn at_the_end_connections_are_closed_and_no_thread_is_left() {
        let (server, mut stream) = server();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut stream = BufReader::new(stream);
        answer(&mut stream);
        let listening = server.listening[0].clone();
        drop(server);
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
        drop(listening.ended.wait_while(listening.threads(), |threads| threads.all > 0).unwrap());
    }

    #[test]
    fn bodies_come_with_a_length_or_in_chunks_and_the_next_request_is_read_behind_them() {
        let (_server, mut stream) = server();
        let long = vec![b'x'; 300_000];
        stream
            .write_all(
                b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\
                  POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n\
                  POST /refused HTTP/1.1\r\nContent-Length: 300000\r\n\r\n",
            )
            .unwrap();
        stream.write_all(&long).unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n").unwrap();
        stream.write_all(&long).unwrap();
        stream.write_all(b"GET /next HTTP/1.1\r\n\r\n").unwrap();
        let mut stream = BufReader::new(stream);
        let ok = "HTTP/1.1 200 OK".to_owned();
        assert_eq!(answer(&mut stream), (ok.clone(), b"hello".to_vec()));
        assert_eq!(answer(&mut stream), (ok.clone(), b"abcd".to_vec()));
        assert_eq!(answer(&mut stream), ("HTTP/1.1 409 Conflict".into(), b"no".to_vec()));
        assert!(answer(&mut stream).1 == long);
        assert_eq!(answer(&mut stream), (ok, b"/next?".to_vec()));
    }

    #[test]
    fn a_sender_that_waits_is_told_to_go_on_or_is_refused_at_once() {
        let (_server, mut stream) = server();
        let head = "HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        stream.write_all(format!("POST / {head}").as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        stream.read_line(&mut line).unwrap();
        assert_eq!(line, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.get_mut().write_all(b"ab").unwrap();
        assert_eq!(answer(&mut stream).1, b"ab");
        stream.get_mut().write_all(format!("POST /refused {head}").as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).0, "HTTP/1.1 409 Conflict");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "no body comes, so nothing can follow");
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_comes() {
        for (head, status) in [
            ("POST / HTTP/1.1\r\nContent-Length: 10000000000\r\n\r\n", "413 Payload Too Large"),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFF\r\n", "413 Payload Too Large"),
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Bad Request"),
        ] {
            let (_server, mut stream) = server();
            stream.write_all(head.as_bytes()).unwrap();
            let mut stream = BufReader::new(stream);
            assert_eq!(answer(&mut stream).0, format!("HTTP/1.1 {status}"));
        }
    }

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_ruled_out() {
        for taken in ["gzip", "deflate, GZIP", "gzip;q=0.5", "br;q=1.0, gzip; q=1.0"] {
            assert!(names_gzip(taken.as_bytes()), "{taken}");
        }
        for not in ["", "identity", "gzip;q=0", "gzip; q=0.000", "xgzip", "*"] {
            assert!(!names_gzip(not.as_bytes()), "{not}");
        }
    }
}
