//! Name resolution and connecting for the HTTP client, from the chosen source address. ureq's own resolver spawns
//! threads, and panics if it cannot.
//!
//! ureq's transport API is exempt from its semver (`ureq::unversioned`), so that `Cargo.toml` pins a minor release.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::engine::net::egress::Egress;

/// Longest attempt at one of several addresses of a host.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest attempt through a proxy for a request without a deadline.
const PROXY_TIMEOUT: Duration = Duration::from_secs(60);

/// Most addresses of one host that are tried; ureq's list has room for no more.
const MAX_ADDRESSES: usize = 16;

/// Resolves the addresses of a host.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) egress: Arc<Egress>,
    /// The host and port of the first request, and the one address to use for it.
    pub(super) pinned: Option<(String, SocketAddr)>,
    /// Whether only IPv6 counts, or only IPv4.
    pub(super) v6: Option<bool>,
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let (host, port) = host_and_port(uri)?;
        let mut addresses = self.empty();
        if self.egress.proxy_of_request(is_https(uri), host).is_some() {
            // The proxy resolves the name, so that no address is needed here.
            addresses.push((Ipv4Addr::UNSPECIFIED, port).into());
            return Ok(addresses);
        }
        if let Some((name, address)) = &self.pinned {
            if name.eq_ignore_ascii_case(host) && address.port() == port {
                addresses.push(*address);
                return Ok(addresses);
            }
        }
        let left = time_left(timeout)?.unwrap_or(Duration::MAX);
        let found = self.egress.look_up(host, port, left).map_err(|error| Error::Other(error.into()))?;
        let fits = |address: &SocketAddr| self.v6.is_none_or(|v6| address.is_ipv6() == v6);
        found.into_iter().filter(fits).take(MAX_ADDRESSES).for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// Connects to the addresses of a host in turn.
#[derive(Debug)]
pub(super) struct Dialler(pub(super) Arc<Egress>);

impl Connector for Dialler {
    type Out = Socket;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Socket>, Error> {
        let whole = time_left(details.timeout)?;
        let (host, port) = host_and_port(details.uri)?;
        if let Some(proxy) = self.0.proxy_of_request(is_https(details.uri), host) {
            let dialled = proxy.connect((host, port), whole.unwrap_or(PROXY_TIMEOUT));
            let dialled = dialled.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
            return dialled
                .map(|stream| Some(socket(stream, details)))
                .map_err(|error| explain(error, details.timeout));
        }
        let begun = Instant::now();
        let mut failed = Error::HostNotFound;
        for (&address, left) in details.addrs.iter().zip((1..=details.addrs.len() as u32).rev()) {
            let rest = whole.map(|whole| whole.saturating_sub(begun.elapsed()));
            let time = match rest {
                Some(rest) if rest.is_zero() => return Err(Error::Timeout(details.timeout.reason)),
                Some(rest) if left == 1 => rest,
                Some(rest) => (rest / left).min(ADDRESS_TIMEOUT),
                None => ADDRESS_TIMEOUT,
            };
            let dialled = self.0.dial(address, time);
            match dialled.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => return Ok(Some(socket(stream, details))),
                Err(error) => failed = explain(error, details.timeout),
            }
        }
        Err(failed)
    }
}

fn socket(stream: TcpStream, details: &ConnectionDetails) -> Socket {
    let config = details.config;
    let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
    Socket { stream, buffers }
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// The host of a URL, without the brackets of an IPv6 address, and its port.
fn host_and_port(uri: &Uri) -> Result<(&str, u16), Error> {
    let host = uri.host().ok_or(Error::HostNotFound)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let own = if is_https(uri) { 443 } else { 80 };
    Ok((host, uri.port_u16().unwrap_or(own)))
}

/// TLS over a connection. Its configuration is shared: parsing the root certificates for each connection would
/// cost more than the handshake.
#[cfg(feature = "https")]
#[derive(Debug, Clone, Default)]
pub(super) struct Tls(Arc<ureq::unversioned::transport::RustlsConnector>);

#[cfg(feature = "https")]
impl<In: Transport> Connector<In> for Tls {
    type Out = <ureq::unversioned::transport::RustlsConnector as Connector<In>>::Out;

    fn connect(&self, details: &ConnectionDetails, below: Option<In>) -> Result<Option<Self::Out>, Error> {
        self.0.connect(details, below)
    }
}

/// A connection with TLS. It serves one request and is not reused.
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
        self.stream.set_write_timeout(time_left(timeout)?)?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output).map_err(|error| explain(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(time_left(timeout)?)?;
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

/// The time left; `None` without a deadline.
///
/// # Errors
/// [`ureq::Error::Timeout`] past the deadline.
fn time_left(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
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
