//! Connections of the HTTP client from an address of this machine that was chosen: ureq's own connector
//! leaves that to the system.
//!
//! What this is plugged into is outside ureq's promise of compatibility (`ureq::unversioned`), so that
//! `Cargo.toml` asks for one minor release of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::transport::tcp::dial;

/// Longest that one of several addresses of a host is waited for where nothing else says so.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connects from this address of ours and no other.
#[derive(Debug)]
pub(super) struct Dialler(pub(super) IpAddr);

impl Connector for Dialler {
    type Out = Socket;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Socket>, Error> {
        let end = Instant::now() + patience(details.timeout)?.unwrap_or(PATIENCE);
        let mut failed = Error::HostNotFound;
        for (&address, left) in details.addrs.iter().zip((1..=details.addrs.len() as u32).rev()) {
            let time = end.saturating_duration_since(Instant::now()) / left;
            if time.is_zero() {
                return Err(Error::Timeout(details.timeout.reason));
            }
            match dial(address, Some(self.0), time) {
                Ok(stream) => {
                    let config = details.config;
                    let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
                    return Ok(Some(Socket { stream, buffers }));
                }
                Err(error) => failed = explain(error, details.timeout),
            }
        }
        Err(failed)
    }
}

/// Such a connection. It is for one request: nothing keeps it.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(patience(timeout)?)?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output).map_err(|error| explain(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(patience(timeout)?)?;
        let read = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(|error| explain(error, timeout))?,
            }
        };
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        false
    }
}

/// How long there is, nothing where there is no end to it.
///
/// # Errors
/// That the time is over.
fn patience(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    match timeout.after {
        after if after.is_not_happening() => Ok(None),
        after if after.is_zero() => Err(Error::Timeout(timeout.reason)),
        after => Ok(Some(*after)),
    }
}

fn explain(error: std::io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}
