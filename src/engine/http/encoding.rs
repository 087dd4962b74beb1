//! Bodies that are compressed under another name than the one that ureq knows: it takes `gzip` written so, and
//! neither `GZIP` nor `x-gzip`, which mean the same (RFC 9110, 8.4.1.3). Such a body is given to it once more,
//! as an answer that has the name it knows; no connection is made for that.

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, config::Config};

use crate::error::Result;

/// Whether a `Content-Encoding` is gzip, and not as ureq knows it.
pub(super) fn is_gzip_by_another_name(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    value != b"gzip" && (value.eq_ignore_ascii_case(b"gzip") || value.eq_ignore_ascii_case(b"x-gzip"))
}

/// Decompresses a body: to at most `most` bytes.
///
/// # Errors
/// As for an answer of a server.
pub(super) fn gunzip(body: Vec<u8>, most: u64) -> Result<Vec<u8>> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = Answer { bytes: [head.into_bytes(), body].concat() };
    let agent = ureq::Agent::with_parts(super::agent::settings().max_redirects(0).build(), answer, Nowhere);
    let mut response = agent.get("http://127.0.0.1/").call().map_err(super::agent::explain)?;
    response.body_mut().with_config().limit(most).read_to_vec().map_err(super::agent::explain)
}

/// Stands for a host that is not asked.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(([127, 0, 0, 1], 80).into());
        Ok(addresses)
    }
}

/// An answer that is there already.
#[derive(Debug)]
struct Answer {
    bytes: Vec<u8>,
}

impl Connector for Answer {
    type Out = Replay;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> std::result::Result<Option<Replay>, Error> {
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Replay { left: std::io::Cursor::new(self.bytes.clone()), buffers }))
    }
}

/// A connection on which that answer comes, whatever is asked.
#[derive(Debug)]
struct Replay {
    left: std::io::Cursor<Vec<u8>>,
    buffers: LazyBuffers,
}

impl Transport for Replay {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> std::result::Result<(), Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> std::result::Result<bool, Error> {
        let read = std::io::Read::read(&mut self.left, self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        false
    }
}
