//! An encrypted connection: the halves of another one, with a cipher each.
//!
//! What comes is decrypted where it was read to. What goes is encrypted where it lies, if it is of no further use
//! ([`Outlet::write_scratch`]), and else through a buffer of fixed size. A file has to be read to be encrypted.
//!
//! Invariant: a byte passes a cipher once and in order. A write that fails may have passed bytes that did not go
//! out: nothing is written after it.

use std::io::{self, ErrorKind, IoSliceMut, Read, Write};

use super::{Connection, Outlet};
use crate::crypto::{Ciphers, Rc4};

/// Bytes that are encrypted at a time where they may not be overwritten.
const SCRATCH: usize = 1024;

/// The same connection with all bytes from here on encrypted.
pub fn encrypt(connection: Connection, ciphers: Ciphers) -> Connection {
    let Connection { reader, writer, closer } = connection;
    Connection {
        reader: Box::new(Decrypting { reader, cipher: ciphers.reader }),
        writer: Box::new(Encrypting { writer, cipher: ciphers.writer, has_failed: false }),
        closer,
    }
}

struct Decrypting {
    reader: Box<dyn Read + Send>,
    cipher: Rc4,
}

impl Read for Decrypting {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.reader.read(buf)?;
        self.cipher.apply(buf.get_mut(..got).unwrap_or_default());
        Ok(got)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let got = self.reader.read_vectored(bufs)?;
        let mut left = got;
        for buf in bufs {
            let filled = left.min(buf.len());
            self.cipher.apply(buf.get_mut(..filled).unwrap_or_default());
            left -= filled;
        }
        Ok(got)
    }
}

struct Encrypting {
    writer: Box<dyn Outlet>,
    cipher: Rc4,
    has_failed: bool,
}

impl Encrypting {
    /// Sends what has passed the cipher.
    fn send(&mut self, encrypted: &[u8], ahead: bool) -> io::Result<()> {
        if self.has_failed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let writer = &mut self.writer;
        let sent = if ahead { writer.write_ahead(encrypted) } else { writer.write_all(encrypted) };
        self.has_failed = sent.is_err();
        sent
    }

    fn copy_and_send(&mut self, bytes: &[u8], ahead: bool) -> io::Result<()> {
        for part in bytes.chunks(SCRATCH) {
            let mut scratch = [0; SCRATCH];
            let scratch = scratch.get_mut(..part.len()).unwrap_or_default();
            scratch.copy_from_slice(part);
            self.cipher.apply(scratch);
            self.send(scratch, ahead)?;
        }
        Ok(())
    }
}

impl Write for Encrypting {
    /// Writes all of it: a part that was written and told of would pass the cipher again.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.copy_and_send(buf, false)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Outlet for Encrypting {
    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.copy_and_send(bytes, true)
    }

    fn write_scratch(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.cipher.apply(bytes);
        self.send(bytes, false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::transport::Closer;

    /// Bytes on their way, a few at a time; writing fails once `most` of them are held.
    #[derive(Clone)]
    struct Pipe {
        bytes: Arc<Mutex<Vec<u8>>>,
        most: usize,
    }

    impl Read for Pipe {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let mut bytes = self.bytes.lock().unwrap();
            let part = buf.len().min(bytes.len()).min(7);
            buf[..part].copy_from_slice(&bytes[..part]);
            bytes.drain(..part);
            Ok(part)
        }

        fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            let mut got = 0;
            for buf in bufs {
                let part = self.read(buf)?;
                got += part;
                if part < buf.len() {
                    break;
                }
            }
            Ok(got)
        }
    }

    impl Write for Pipe {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let mut bytes = self.bytes.lock().unwrap();
            if bytes.len() >= self.most {
                return Err(ErrorKind::WouldBlock.into());
            }
            let part = buf.len().min(33);
            bytes.extend_from_slice(&buf[..part]);
            Ok(part)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Outlet for Pipe {}

    fn ends(most: usize) -> (Connection, Pipe) {
        let pipe = Pipe { bytes: Arc::default(), most };
        let cipher = || Rc4::new(&[1; 20]);
        let ciphers = Ciphers { reader: cipher(), writer: cipher() };
        let closer = Closer::new(|_| ());
        let plain = Connection { reader: Box::new(pipe.clone()), writer: Box::new(pipe.clone()), closer };
        (encrypt(plain, ciphers), pipe)
    }

    #[test]
    fn what_is_written_in_any_way_comes_out_however_it_is_read() {
        let (mut connection, pipe) = ends(usize::MAX);
        let long: Vec<u8> = (0..5000_u32).map(|at| at as u8).collect();
        let mut sent = Vec::new();
        for round in 0..20 {
            let bytes = &long[..round * 250];
            match round % 3 {
                0 => connection.writer.write_all(bytes).unwrap(),
                1 => connection.writer.write_ahead(bytes).unwrap(),
                _ => connection.writer.write_scratch(&mut bytes.to_vec()).unwrap(),
            }
            sent.extend_from_slice(bytes);
        }
        assert_eq!(pipe.bytes.lock().unwrap().len(), sent.len());
        assert_ne!(*pipe.bytes.lock().unwrap(), sent);
        let mut came = Vec::new();
        while came.len() < sent.len() {
            let (mut one, mut two) = ([0; 3], [0; 9]);
            if came.len() % 2 == 0 {
                let mut parts = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
                let got = connection.reader.read_vectored(&mut parts).unwrap();
                came.extend_from_slice(&[&one[..], &two].concat()[..got]);
            } else {
                let got = connection.reader.read(&mut two).unwrap();
                came.extend_from_slice(&two[..got]);
            }
        }
        assert_eq!(came, sent);
    }

    #[test]
    fn nothing_goes_out_behind_a_write_that_failed_half_way() {
        let (mut connection, pipe) = ends(100);
        assert_eq!(connection.writer.write_all(&[0; 500]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let went = pipe.bytes.lock().unwrap().len();
        pipe.bytes.lock().unwrap().clear();
        assert!(went >= 100);
        assert_eq!(connection.writer.write_all(&[0; 5]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(connection.writer.write_scratch(&mut [0; 5]).is_err());
        assert!(pipe.bytes.lock().unwrap().is_empty());
    }

    #[test]
    fn a_file_has_to_be_read() {
        let (mut connection, _) = ends(100);
        let file = std::fs::File::open("/dev/null").unwrap();
        let failed = connection.writer.send_file(&file, 0, 1).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unsupported);
    }
}
