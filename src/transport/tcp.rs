//! TCP: one descriptor shared by the halves of a connection.
//!
//! With the feature `sys` a file goes out by `sendfile`. As std does for its own writes, it counts
//! on `SIGPIPE` being ignored, which every program with a Rust `main` does.

use std::io::{self, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::{Closer, Connection, Manner, Outlet};

/// The halves of an open TCP connection. `write_timeout` bounds how long one write may make no headway at
/// all.
///
/// # Errors
/// Those of setting the options.
pub fn split(stream: TcpStream, write_timeout: Duration) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(Some(write_timeout))?;
    let stream = Arc::new(stream);
    let closing = stream.clone();
    Ok(Connection {
        reader: Box::new(Half(stream.clone())),
        writer: Box::new(Half(stream)),
        closer: Closer::new(move |manner| {
            if manner == Manner::HangUp {
                refuse_the_rest(&closing);
            }
            // An error means that it is closed already.
            let _ = closing.shutdown(Shutdown::Both);
        }),
    })
}

/// Has the last descriptor's closing reset the connection. Otherwise a peer whose bytes have filled
/// our receive buffer waits for room in it: the buffer may be empty by the time we close, and then
/// nothing tells it that there will be none, until the kernel forgets the connection a minute later.
/// It needs the feature `sys`; without it, that minute is what such a peer has to wait.
fn refuse_the_rest(stream: &TcpStream) {
    #[cfg(feature = "sys")]
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
    #[cfg(not(feature = "sys"))]
    let _ = stream;
}

struct Half(Arc<TcpStream>);

impl Read for Half {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self.0).read_vectored(bufs)
    }
}

impl Write for Half {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(not(feature = "sys"))]
impl Outlet for Half {}

#[cfg(feature = "sys")]
impl Outlet for Half {
    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<()> {
        use rustix::net::{SendFlags, send};
        let mut rest = bytes;
        while !rest.is_empty() {
            match send(&*self.0, rest, SendFlags::MORE | SendFlags::NOSIGNAL) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn send_file(&mut self, file: &std::fs::File, at: u64, length: usize) -> io::Result<usize> {
        use rustix::io::Errno;
        loop {
            let mut offset = at;
            return match rustix::fs::sendfile(&*self.0, file, Some(&mut offset), length) {
                Ok(sent) => Ok(sent),
                Err(Errno::INTR) => continue,
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
                Err(errno) => Err(errno.into()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn halves_talk_and_the_closer_ends_a_blocked_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut near = split(dialled, Duration::from_secs(5)).unwrap();
        let mut far = split(listener.accept().unwrap().0, Duration::from_secs(5)).unwrap();
        near.writer.write_all(b"wren").unwrap();
        let mut got = [0; 4];
        far.reader.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"wren");
        let mut blocked = far.reader;
        let reading = std::thread::spawn(move || blocked.read(&mut [0; 1]).unwrap_or(0));
        far.closer.close();
        assert_eq!(reading.join().unwrap(), 0);
    }

    /// It once took a peer 30 s and more to notice that it was banned, because it was writing into a
    /// full buffer that was emptied just before the connection was closed.
    #[cfg(feature = "sys")]
    #[test]
    fn who_writes_into_a_full_buffer_notices_a_hang_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut near = split(listener.accept().unwrap().0, Duration::from_secs(5)).unwrap();
        far.set_nonblocking(true).unwrap();
        // Until the socket accepts no more, and what is under way has arrived.
        let mut full = 0;
        while full < 20 {
            full = if far.write(&[0; 65536]).unwrap_or(0) > 0 { 0 } else { full + 1 };
            std::thread::sleep(Duration::from_millis(5 * full.min(1)));
        }
        near.closer.hang_up();
        while near.reader.read(&mut [0; 65536]).unwrap() > 0 {}
        drop(near);
        far.set_nonblocking(false).unwrap();
        far.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let noticed = std::iter::repeat_with(|| far.write(&[0; 65536])).find_map(Result::err).unwrap();
        assert_ne!(noticed.kind(), io::ErrorKind::WouldBlock);
    }

    #[cfg(feature = "sys")]
    #[test]
    fn a_file_goes_out_behind_what_was_written_ahead_and_ends_where_it_ends() {
        let path = std::env::temp_dir().join(format!("bitwren-sendfile-{}", std::process::id()));
        std::fs::write(&path, b"0123456789").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut near = split(dialled, Duration::from_secs(5)).unwrap();
        let mut far = split(listener.accept().unwrap().0, Duration::from_secs(5)).unwrap();
        near.writer.write_ahead(b"head").unwrap();
        assert_eq!(near.writer.send_file(&file, 7, 100).unwrap(), 3);
        assert_eq!(near.writer.send_file(&file, 10, 1).unwrap(), 0, "past the end of the file");
        let mut got = [0; 7];
        far.reader.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"head789");
        near.closer.close();
        assert!(near.writer.send_file(&file, 0, 1).is_err(), "and not a signal");
    }
}
