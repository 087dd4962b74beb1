//! Web servers that answer a request for a `.torrent` with something else, too much of it, or nothing:
//! one line, the right exit code, bounded memory.

use std::io::{self, Write};
use std::net::TcpStream;

use crate::support::child::{Child, PATIENCE, bitwren};
use crate::support::content::noise;
use crate::support::hostile::{DESCRIPTORS, MEMORY, row};
use crate::support::http::{Server, endless_body, endless_headers, ok};
use crate::support::latch::Latch;
use crate::support::scratch::{Scratch, files_below};

/// What a `.torrent` may take while it is read, and on top: the longest there is has 128 MiB, and what
/// it is collected in grows by doubling.
const LONGEST: u64 = MEMORY + (256 << 20);

/// The answer is refused with one of these codes.
#[track_caller]
fn refused(
    codes: &[i32],
    memory: u64,
    answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) {
    let (server, scratch) = (Server::start(answer), Scratch::new("web"));
    let mut command = bitwren(&scratch.dir("home"), &["get", "--no-tracker", "--port", "0", "-d"]);
    command.arg(scratch.dir("got")).arg(server.url("/some.torrent"));
    let ended = Child::spawn(&mut command).wait_end(PATIENCE).expect_one_of(codes);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    assert!(!ended.stderr.trim_end().chars().any(char::is_control), "{ended:#?}");
    assert!(ended.peak < memory, "{} KiB resident", ended.peak / 1024);
    assert!(ended.descriptors < DESCRIPTORS, "{} descriptors", ended.descriptors);
    assert!(files_below(&scratch.path().join("got")).is_empty());
    row(&format!("refused with {}", ended.code.unwrap()), ended.took, &ended);
}

#[test]
fn a_page_instead_of_a_torrent() {
    refused(&[26], MEMORY, |_, stream| ok(stream, b"<html><title>Log in</title></html>"));
}

#[test]
fn garbage_instead_of_a_torrent() {
    refused(&[25], MEMORY, |_, stream| ok(stream, &noise(1, 100_000)));
}

#[test]
fn garbage_instead_of_the_web() {
    refused(&[6], MEMORY, |_, stream| stream.write_all(&noise(2, 30_000)));
}

#[test]
fn a_torrent_that_is_not_there() {
    refused(&[3], MEMORY, |_, stream| {
        write!(stream, "HTTP/1.1 404 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    });
}

#[test]
fn a_status_that_would_scribble_on_the_terminal() {
    refused(&[6], MEMORY, |_, stream| {
        write!(stream, "HTTP/1.1 404 \x1b[2Jgone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    });
}

#[test]
fn a_server_that_hangs_up() {
    refused(&[6], MEMORY, |_, _| Ok(()));
}

#[test]
fn a_torrent_that_breaks_off() {
    refused(&[6], MEMORY, |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nd4:info")
    });
}

#[test]
fn headers_that_do_not_end() {
    refused(&[6], MEMORY, |_, stream| endless_headers(stream));
}

#[test]
fn redirects_in_a_circle() {
    refused(&[6], MEMORY, |_, stream| {
        write!(stream, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    });
}

#[test]
fn a_redirect_to_a_file_of_ours() {
    refused(&[6], MEMORY, |_, stream| {
        write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    });
}

#[test]
fn a_torrent_longer_than_any() {
    refused(&[26], LONGEST, |_, stream| endless_body(stream, 0x10_0000));
}

/// The limit is twenty seconds of silence; the test does not wait for it.
#[test]
fn silence_that_can_be_interrupted() {
    let asked = Latch::new();
    let opener = asked.clone();
    let server = Server::start(move |_, stream| {
        opener.open();
        io::Read::read_to_end(stream, &mut Vec::new()).map(drop)
    });
    let scratch = Scratch::new("silence");
    let mut command = bitwren(scratch.path(), &["get", "-d", "got"]);
    let child = Child::spawn(command.arg(server.url("/some.torrent")).current_dir(scratch.path()));
    assert!(asked.wait(PATIENCE));
    child.signal("INT");
    let ended = child.wait_end(PATIENCE).expect(7);
    row("interrupted", ended.took, &ended);
}
