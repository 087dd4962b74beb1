//! Writes to standard output and standard error, without waiting for a slow reader.
//!
//! At first a write waits for its reader, as is right for a command that prints one result. A run calls
//! [`detach`]: from then on a thread for each stream writes what is in its queue, and the run never waits
//! for a reader. The queue is bounded; if it is full the oldest lines are dropped and replaced by a line
//! with their number. Invariant: after [`detach`] only [`drain`] waits, and for a bounded time.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::json::json_line;
use super::secrets::masked;
use super::terminal::{Piece, Terminal};

use bitwren::internals::lock::{self, lock};

/// How long the last lines may take to be read: at a normal end, and after a signal.
pub const DRAIN: Duration = Duration::from_secs(3600);
pub const DRAIN_IN_HURRY: Duration = Duration::from_millis(400);

/// The most bytes of lines that wait for a reader, for each stream.
const MAX_QUEUED: usize = 1 << 20;
/// A reader that has taken nothing for this long counts as gone.
const READ_TIMEOUT: Duration = Duration::from_millis(200);

static STDOUT: Stream = Stream::new();
static STDERR: Stream = Stream::new();

/// What waits to be written.
#[derive(Debug)]
struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// Lines that were dropped since the last one that was written.
    dropped: u64,
    /// A thread writes; until then the callers do.
    detached: bool,
    /// The thread is writing.
    busy: bool,
    /// Pieces written, to see that it goes on.
    written: u64,
    /// Its reader counts as gone: no one waits for it again.
    abandoned: bool,
    /// Why nothing more can be written.
    failed: Option<io::Error>,
    terminal: Terminal,
}

struct Stream {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Queue {
    const fn new() -> Self {
        Queue {
            pieces: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            detached: false,
            busy: false,
            written: 0,
            abandoned: false,
            failed: None,
            terminal: Terminal::new(),
        }
    }

    /// Adds a piece, and drops the oldest lines if there is no room.
    fn push(&mut self, piece: Piece) {
        match (self.pieces.back_mut(), piece) {
            // Live lines that were not drawn yet are replaced.
            (Some(Piece::Live(old)), Piece::Live(new)) => *old = new,
            (_, piece) => {
                self.bytes += weight(&piece);
                self.pieces.push_back(piece);
            }
        }
        while self.bytes > MAX_QUEUED {
            let Some(oldest) = self.pieces.pop_front() else { break };
            self.bytes -= weight(&oldest);
            self.dropped += u64::from(matches!(oldest, Piece::Line(_)));
        }
    }

    /// The oldest piece, or a line in place of those that were left out.
    fn next(&mut self, left_out: fn(u64) -> String) -> Option<Piece> {
        if self.dropped > 0 {
            return Some(Piece::Line(left_out(std::mem::take(&mut self.dropped))));
        }
        let next = self.pieces.pop_front()?;
        self.bytes = self.bytes.saturating_sub(weight(&next));
        Some(next)
    }
}

/// What a piece counts for; live lines count for nothing, there is one set of them.
fn weight(piece: &Piece) -> usize {
    match piece {
        Piece::Line(line) => line.len() + 64,
        Piece::Live(_) => 0,
    }
}

impl Stream {
    const fn new() -> Self {
        Stream { queue: Mutex::new(Queue::new()), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    /// Writes a piece, or has it written.
    fn put(&self, piece: Piece, write: fn(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut queue = self.lock();
        if let Some(failed) = &queue.failed {
            return Err(copy(failed));
        }
        if queue.detached {
            queue.push(piece);
            self.changed.notify_all();
            return Ok(());
        }
        let bytes = queue.terminal.bytes(piece);
        write(&bytes)
    }

    /// Writes what comes, for as long as it can be written.
    fn write_on(&self, write: fn(&[u8]) -> io::Result<()>, left_out: fn(u64) -> String) {
        loop {
            let mut queue = self.lock();
            let piece = loop {
                match queue.next(left_out) {
                    Some(piece) => break piece,
                    None => queue = lock::wait(&self.changed, queue),
                }
            };
            let bytes = queue.terminal.bytes(piece);
            queue.busy = true;
            drop(queue);
            let outcome = write(&bytes);
            let mut queue = self.lock();
            (queue.busy, queue.written) = (false, queue.written + 1);
            if let Err(error) = outcome {
                queue.failed = Some(error);
                queue.pieces.clear();
                self.changed.notify_all();
                return;
            }
            self.changed.notify_all();
        }
    }

    /// Waits until everything is written, for as long as that goes on and until `limit` at most.
    fn drain(&self, limit: Instant) -> io::Result<()> {
        let mut queue = self.lock();
        let (mut seen, mut since) = (queue.written, Instant::now());
        loop {
            if let Some(failed) = &queue.failed {
                return Err(copy(failed));
            }
            let until = (since + READ_TIMEOUT).min(limit);
            let left = until.saturating_duration_since(Instant::now());
            if !queue.busy && queue.pieces.is_empty() || queue.abandoned {
                return Ok(());
            }
            if left.is_zero() {
                queue.abandoned = true;
                return Ok(());
            }
            queue = lock::wait_timeout(&self.changed, queue, left).0;
            if queue.written != seen {
                (seen, since) = (queue.written, Instant::now());
            }
        }
    }
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

fn to_stderr(bytes: &[u8]) -> io::Result<()> {
    // A failing standard error has no consequence.
    let _ = io::stderr().write_all(bytes);
    Ok(())
}

/// From now on no write waits for a reader. Lines of JSON get the time, and secrets are masked.
///
/// # Errors
/// A thread cannot be started.
pub fn detach() -> io::Result<()> {
    let start = |name: &str, body: fn()| {
        std::thread::Builder::new().name(name.into()).stack_size(64 << 10).spawn(body).map(drop)
    };
    if STDOUT.lock().detached {
        return Ok(());
    }
    start("stdout", || STDOUT.write_on(to_stdout, |lines| stamped(&dropped(lines))))?;
    STDOUT.lock().detached = true;
    start("stderr", || {
        STDERR.write_on(to_stderr, |lines| format!("{lines} lines were not read and left out"))
    })?;
    STDERR.lock().detached = true;
    Ok(())
}

/// Waits until everything is written: as long as a reader takes it, and `limit` at most.
///
/// # Errors
/// Those of standard output.
pub fn drain(limit: Duration) -> io::Result<()> {
    let now = Instant::now();
    let limit = now.checked_add(limit).unwrap_or(now);
    let outcome = STDOUT.drain(limit);
    let _ = STDERR.drain(limit.max(Instant::now() + READ_TIMEOUT));
    outcome
}

/// Prints a line on standard output.
///
/// # Errors
/// Those of standard output: of this line, or of an earlier one after [`detach`].
pub fn say(line: &str) -> io::Result<()> {
    let detached = STDOUT.lock().detached;
    let line = if detached { stamped(&masked(line)) } else { line.to_owned() };
    STDOUT.put(Piece::Line(line), to_stdout)
}

/// Checks whether standard output has failed.
///
/// # Errors
/// The failure.
pub fn check() -> io::Result<()> {
    STDOUT.lock().failed.as_ref().map_or(Ok(()), |failed| Err(copy(failed)))
}

/// Prints on standard error.
pub fn note(piece: Piece) {
    let _ = STDERR.put(piece, to_stderr);
}

/// Whether live lines are on the screen, or will be.
pub fn is_live() -> bool {
    let queue = STDERR.lock();
    queue.terminal.is_live() || queue.pieces.iter().any(|piece| matches!(piece, Piece::Live(_)))
}

/// Leaves the screen in order before the program exits at once: the live lines stay readable. Waits for
/// [`READ_TIMEOUT`] at most.
pub fn leave() {
    let (done, left) = std::sync::mpsc::channel();
    let leave = move || {
        let bytes = STDERR.lock().terminal.leave();
        let _ = io::stderr().write_all(&bytes);
        let _ = done.send(());
    };
    if std::thread::Builder::new().stack_size(64 << 10).spawn(leave).is_ok() {
        let _ = left.recv_timeout(READ_TIMEOUT);
    }
}

/// The line about lines that were dropped.
pub fn dropped(lines: u64) -> String {
    json_line("dropped").number("lines", lines).end()
}

/// A line of JSON with the time behind what it is about.
fn stamped(line: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let about = line.strip_prefix("{\"v\":").and_then(|rest| rest.split_once("\"event\":\""));
    match about.and_then(|(version, rest)| Some((version, rest.split_once('"')?))) {
        Some((version, (event, rest))) => {
            let (seconds, millis) = (now.as_secs(), now.subsec_millis());
            format!("{{\"v\":{version}\"event\":\"{event}\",\"ts\":{seconds}.{millis:03}{rest}")
        }
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Piece {
        Piece::Line(text.to_owned())
    }

    fn left_out(lines: u64) -> String {
        format!("{lines} left out")
    }

    fn all(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.next(left_out))
            .map(|piece| match piece {
                Piece::Line(text) => text,
                Piece::Live(lines) => format!("live {}", lines.join("|")),
            })
            .collect()
    }

    #[test]
    fn the_oldest_lines_go_first_and_their_number_is_told_in_their_place() {
        let mut queue = Queue::new();
        let long = "x".repeat(MAX_QUEUED / 4);
        for number in 0..10 {
            queue.push(line(&format!("{number}{long}")));
            assert!(queue.bytes <= MAX_QUEUED);
        }
        let rest = all(&mut queue);
        assert_eq!(rest.iter().map(|line| &line[..1]).collect::<Vec<_>>(), ["7", "7", "8", "9"]);
        assert_eq!(rest[0], "7 left out");
        assert_eq!((queue.bytes, queue.dropped), (0, 0));
        queue.push(line(&"x".repeat(2 * MAX_QUEUED)));
        assert_eq!(all(&mut queue), ["1 left out"]);
    }

    #[test]
    fn live_lines_that_were_never_shown_are_replaced() {
        let mut queue = Queue::new();
        queue.push(Piece::Live(vec!["10%".to_owned()]));
        queue.push(Piece::Live(vec!["20%".to_owned()]));
        queue.push(line("peer"));
        queue.push(Piece::Live(Vec::new()));
        assert_eq!(all(&mut queue), ["live 20%", "peer", "live "]);
    }

    #[test]
    fn a_reader_that_takes_nothing_is_not_waited_for() {
        static STREAM: Stream = Stream::new();
        STREAM.lock().detached = true;
        // Nothing writes: as where the thread waits for the reader.
        STREAM.put(line("a"), to_stderr).unwrap();
        STREAM.drain(Instant::now() + Duration::from_secs(3600)).unwrap();
        assert_eq!(STREAM.lock().pieces.len(), 1);
    }

    #[test]
    fn an_error_is_returned_to_the_next_writer() {
        static STREAM: Stream = Stream::new();
        STREAM.lock().detached = true;
        STREAM.put(line("a"), to_stderr).unwrap();
        STREAM.write_on(|_| Err(io::ErrorKind::BrokenPipe.into()), left_out);
        let told = |outcome: io::Result<()>| outcome.unwrap_err().kind();
        assert_eq!(told(STREAM.put(line("b"), to_stderr)), io::ErrorKind::BrokenPipe);
        assert_eq!(told(STREAM.drain(Instant::now())), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_line_of_json_has_the_time() {
        let line = stamped(&dropped(3));
        let (start, end) = (r#"{"v":1,"event":"dropped","ts":"#, r#","lines":3}"#);
        let time = line.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).unwrap();
        assert!(time.parse::<f64>().unwrap() > 1e9);
        assert_eq!(stamped("http://10.0.0.1/"), "http://10.0.0.1/");
    }
}
