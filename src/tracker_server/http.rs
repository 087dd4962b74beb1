//! The HTTP side: threads that take turns at accepting, each then serving what it accepted.
//!
//! One that accepts sees to it that another waits in its place, so there are as many threads as
//! there are connections just then, and a few to spare. Connections stay for further requests while
//! there is room. Nobody holds up the others: who is silent or slow has a deadline for each request
//! and goes before it when his [seat](crate::engine::http::connections) is needed.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Page, Shared};
use crate::engine::http::connections::Seat;
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::tracker::request::{self, Head, MAX_HEAD, Target};

/// Connections at a time on all addresses; each has a thread.
pub(crate) const SEATS: usize = 128;

/// Threads that wait for connections; those above it end.
const SPARE: usize = 4;

/// For the whole of a request, for its answer, and for the next to begin.
const DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of a body that are sent along with the head.
const ONE_WRITE: usize = 16 << 10;

/// Pause where the system has no connection to give, for want of descriptors.
const BREATH: Duration = Duration::from_millis(20);

/// Longest that threads are waited for at the end.
const GRACE: Duration = Duration::from_millis(200);

/// One address that is listened on, and its threads.
#[derive(Debug)]
pub(crate) struct HttpServer {
    listener: TcpListener,
    shared: Arc<Shared>,
    crew: Mutex<Crew>,
    gone: Condvar,
}

/// How many threads there are, and how many of them wait for a connection.
#[derive(Debug, Default)]
struct Crew {
    all: usize,
    waiting: usize,
}

impl HttpServer {
    /// Begins to accept; the threads end after [`close`](Hall::close).
    pub(crate) fn open(listener: TcpListener, shared: Arc<Shared>) -> Result<Arc<HttpServer>> {
        let hall = Arc::new(HttpServer { listener, shared, crew: Mutex::default(), gone: Condvar::new() });
        hall.call_another()?;
        Ok(hall)
    }

    fn crew(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call_another(self: &Arc<Self>) -> Result<()> {
        {
            let mut crew = self.crew();
            (crew.all, crew.waiting) = (crew.all + 1, crew.waiting + 1);
        }
        let hall = self.clone();
        threads::spawn("tracker-http", move || hall.work()).map(drop).inspect_err(|_| {
            let mut crew = self.crew();
            (crew.all, crew.waiting) = (crew.all - 1, crew.waiting - 1);
        })
    }

    /// Accepts and serves, by turns, until it ends or there are enough others.
    fn work(self: &Arc<Self>) {
        loop {
            let accepted = self.listener.accept();
            if self.shared.has_ended() {
                break;
            }
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) =>
                {
                    continue;
                }
                // No descriptors, or no memory: one who only waits gives back his.
                Err(_) => {
                    self.shared.count(|tally| &tally.hung_up, self.shared.seats.make_room());
                    std::thread::sleep(BREATH);
                    continue;
                }
            };
            let alone = {
                let mut crew = self.crew();
                crew.waiting -= 1;
                // Those above the number of seats are just being sent away, and come back.
                crew.waiting == 0 && crew.all <= SEATS + SPARE
            };
            if alone {
                // Without a thread to be had the next connection waits until this one is served.
                let _ = self.call_another();
            }
            let (seat, full) = self.shared.seats.take(stream, from.ip(), self.shared.now());
            self.shared.count(|tally| &tally.hung_up, full);
            // Whatever goes wrong, it is this connection that ends.
            let _ = serve(&seat, &self.shared);
            self.shared.seats.leave(&seat);
            let mut crew = self.crew();
            if self.shared.has_ended() || crew.waiting >= SPARE {
                return self.go(crew);
            }
            crew.waiting += 1;
        }
        let mut crew = self.crew();
        crew.waiting -= 1;
        self.go(crew);
    }

    fn go(&self, mut crew: MutexGuard<'_, Crew>) {
        crew.all -= 1;
        self.gone.notify_all();
    }

    /// Sends everyone home, the tracker having ended; when this returns nothing listens.
    pub(crate) fn close(self: Arc<Self>, address: SocketAddr) {
        // Linux wakes every thread that accepts when a listening socket is shut down.
        let bell = self.listener.try_clone().map(|listener| TcpStream::from(OwnedFd::from(listener)));
        let rung = bell.and_then(|bell| bell.shutdown(Shutdown::Both)).is_ok();
        self.shared.seats.clear();
        let mut crew = self.crew();
        if !rung {
            // Without a descriptor to spare there is the long way: a connection for each of them.
            for _ in 0..crew.waiting {
                let _ = TcpStream::connect_timeout(&address, GRACE);
            }
        }
        let wait = self.gone.wait_timeout_while(crew, GRACE, |crew| crew.all > 0);
        crew = wait.unwrap_or_else(PoisonError::into_inner).0;
        drop(crew);
    }
}

/// Serves a connection, request after request.
fn serve(seat: &Seat, shared: &Shared) -> std::io::Result<()> {
    let mut stream = &seat.stream;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let (mut buffer, mut filled) = ([0; MAX_HEAD + 1], 0);
    loop {
        let end = shared.now() + DEADLINE;
        let (status, page, keep, used) = loop {
            match request::read_head(buffer.get(..filled).unwrap_or_default()) {
                Head::Partial => {}
                Head::Whole(request) => {
                    let (status, page) = answer(request.target, seat.from, shared);
                    let keep = request.keep && !shared.has_ended() && !shared.seats.are_scarce();
                    break (status, page, keep, request.len);
                }
                Head::Refused(status) => break (status, text(Vec::new()), false, filled),
            }
            if shared.now() >= end {
                break (408, text(Vec::new()), false, filled);
            }
            match stream.read(buffer.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => return Ok(()),
                Ok(len) => filled += len,
                Err(error) if filled == 0 || error.kind() != ErrorKind::WouldBlock => return Err(error),
                // Its time is up: the next round says so.
                Err(_) => {}
            }
        };
        send(stream, status, &page, keep)?;
        if !keep {
            return stream.shutdown(Shutdown::Write);
        }
        buffer.copy_within(used.min(filled)..filled, 0);
        filled = filled.saturating_sub(used);
        seat.answered(shared.now());
    }
}

fn send(mut stream: &TcpStream, status: u16, page: &Page, keep: bool) -> std::io::Result<()> {
    let title = crate::engine::http::client::describe(status);
    let mut answer = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n",
        title.strip_prefix("HTTP status ").unwrap_or_default(),
        page.media_type,
        page.body.len(),
        if keep { "keep-alive" } else { "close" }
    )
    .into_bytes();
    // One packet where it fits in one; a long page is not copied.
    let (first, rest) = page.body.split_at(page.body.len().min(ONE_WRITE));
    answer.extend_from_slice(first);
    stream.write_all(&answer)?;
    stream.write_all(rest)
}

/// Status and page for what was asked.
fn answer(target: Target<'_>, from: IpAddr, shared: &Shared) -> (u16, Page) {
    if !shared.registry().admits(from, shared.now()) {
        shared.count(|tally| &tally.limited, true);
        return (429, text(request::write_failure("too many requests from this address")));
    }
    match shared.page(target.path) {
        Some(page) => (200, page),
        None => {
            let (status, body) = track(target, from, shared);
            (status, text(body))
        }
    }
}

/// The answer of a tracker.
fn text(body: Vec<u8>) -> Page {
    Page { media_type: "text/plain", body: body.into() }
}

/// Status and body for an announce or a scrape. A further path is a further arm.
fn track(target: Target<'_>, from: IpAddr, shared: &Shared) -> (u16, Vec<u8>) {
    let now = shared.now();
    match target.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default() {
        b"announce" => {
            shared.count(|tally| &tally.announces, true);
            let (entry, form) = match request::read_announce(target.query, from) {
                Ok(read) => read,
                Err(reason) => return (200, request::write_failure(reason)),
            };
            // The books are not held while the answer is written.
            let (taken, interval) = {
                let mut registry = shared.registry();
                (registry.announce(&entry, now), registry.interval())
            };
            match taken {
                Ok(found) => {
                    shared.tell(&entry);
                    (200, request::write_announced(&found, form, interval, from))
                }
                Err(refusal) => (200, request::write_failure(refusal.reason())),
            }
        }
        b"scrape" => {
            shared.count(|tally| &tally.scrapes, true);
            let hashes = request::read_scrape(target.query);
            let known: Vec<_> = {
                let registry = shared.registry();
                hashes.into_iter().filter_map(|hash| registry.scrape(hash)).collect()
            };
            (200, request::write_scraped(&known))
        }
        _ => (404, Vec::new()),
    }
}
