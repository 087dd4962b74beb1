//! An HTTP/1.1 server: it accepts, reads the head of a request, has it answered, and keeps the connection for
//! the next. Its [`Routes`] decide the answers.
//!
//! Threads take turns at accepting, each then serving the connection it accepted. One that accepts makes sure
//! that another waits in its place, so there are as many threads as there are connections just then, and a
//! few to spare. Connections stay for further requests while there is room. A peer that is silent or slow
//! holds up no other: each request has a deadline, and its connection is closed before that when another
//! needs the place ([`connections`](super::connections)).
//!
//! Never does: read a body, or hold anything of a request once it is answered.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::connections::{Connection, ConnectionTable};
use crate::engine::net::accept::Acceptor;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads;
use crate::error::{Error, Result};
use crate::lock::lock;
use crate::wire::http_head::{Head, MAX_HEAD, Target, read_head};

/// Connections at a time on all addresses; each has a thread.
const MAX_CONNECTIONS: usize = 128;

/// Threads that wait for connections at each address; those above it end.
const SPARE_THREADS: usize = 4;

/// For the whole of a request, for its answer, and for the next to begin.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a body that are sent along with the head.
const BODY_WITH_HEAD: usize = 16 << 10;

/// Longest that threads are waited for at the end.
const MAX_END: Duration = Duration::from_millis(200);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// Such as 200.
    pub(crate) status: u16,
    pub(crate) media_type: &'static str,
    pub(crate) body: Arc<[u8]>,
}

impl Response {
    /// An answer in plain text.
    pub(crate) fn text(status: u16, body: Vec<u8>) -> Response {
        Response { status, media_type: "text/plain", body: body.into() }
    }
}

/// The answers of a server. It is called from many threads at once, and delays only the calling connection.
pub(crate) trait Routes: Send + Sync + 'static {
    /// The answer to a `GET` of this path and query.
    fn answer(&self, target: Target<'_>, from: IpAddr) -> Response;
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
    pub(crate) fn start(name: &'static str, routes: R, clock: Clock) -> HttpServer<R> {
        let connections = ConnectionTable::new(MAX_CONNECTIONS);
        let shared = Shared { name, routes, connections, displaced: AtomicU64::new(0), clock };
        HttpServer { shared: Arc::new(shared), listening: Vec::new() }
    }

    /// Serves this listening socket, too.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`](crate::error::ErrorKind::Resources).
    pub(crate) fn listen(&mut self, listener: TcpListener) -> Result<()> {
        let acceptor = Acceptor::new(listener).map_err(|cause| {
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
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.count()
    }

    /// Connections closed before their time because others needed the place.
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
            drop(listening.ended.wait_timeout_while(threads, MAX_END, |threads| threads.all > 0));
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
                threads.waiting == 0 && threads.all <= MAX_CONNECTIONS + SPARE_THREADS
            };
            if is_last {
                // Without a thread to be had the next connection waits until this one is served.
                let _ = self.add_thread();
            }
            let (connection, was_full) = connections.add(stream, from.ip(), clock.now());
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
        let Shared { routes, connections, clock, .. } = &*self.shared;
        let mut stream = &connection.stream;
        stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
        stream.set_write_timeout(Some(REQUEST_TIMEOUT))?;
        let (mut buffer, mut filled) = ([0; MAX_HEAD + 1], 0);
        loop {
            let end = clock.now() + REQUEST_TIMEOUT;
            let (response, keep, used) = loop {
                match read_head(buffer.get(..filled).unwrap_or_default()) {
                    Head::Partial => {}
                    Head::Whole(request) => {
                        let response = routes.answer(request.target, connection.from);
                        let keep = request.keep && !self.acceptor.is_closed() && !connections.are_scarce();
                        break (response, keep, request.len);
                    }
                    Head::Refused(status) => break (Response::text(status, Vec::new()), false, filled),
                }
                if clock.now() >= end {
                    break (Response::text(408, Vec::new()), false, filled);
                }
                match stream.read(buffer.get_mut(filled..).unwrap_or_default()) {
                    Ok(0) => return Ok(()),
                    Ok(len) => filled += len,
                    Err(error) if filled == 0 || error.kind() != ErrorKind::WouldBlock => return Err(error),
                    // Its time is up: the next round says so.
                    Err(_) => {}
                }
            };
            send(stream, &response, keep)?;
            if !keep {
                return stream.shutdown(Shutdown::Write);
            }
            buffer.copy_within(used.min(filled)..filled, 0);
            filled = filled.saturating_sub(used);
            connection.answered(clock.now());
        }
    }
}

fn send(mut stream: &TcpStream, response: &Response, keep: bool) -> std::io::Result<()> {
    let Response { status, media_type, body } = response;
    let title = super::client::describe(*status);
    let mut answer = format!(
        "HTTP/1.1 {}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n",
        title.strip_prefix("HTTP status ").unwrap_or_default(),
        body.len(),
        if keep { "keep-alive" } else { "close" }
    )
    .into_bytes();
    // One packet if it fits in one; a long body is not copied.
    let (first, rest) = body.split_at(body.len().min(BODY_WITH_HEAD));
    answer.extend_from_slice(first);
    stream.write_all(&answer)?;
    stream.write_all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    /// Answers with the request.
    #[derive(Debug)]
    struct Echo;

    impl Routes for Echo {
        fn answer(&self, target: Target<'_>, _: IpAddr) -> Response {
            Response::text(200, [target.path, b"?", target.query].concat())
        }
    }

    fn server() -> (HttpServer<Echo>, TcpStream) {
        let mut server = HttpServer::start("echo-http", Echo, Clock::start());
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
        stream.get_mut().write_all(b"POST / HTTP/1.1\r\n\r\n").unwrap();
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
}
