//! HTTP for trackers and `.torrent` files: one client for all, and one for TLS, made when first needed; and
//! the same for an address of this machine that was chosen.
//!
//! Every request has a deadline for the whole of it, from the name lookup to the last byte, and a
//! cap on its body after decompression. Redirects are followed, five of them. Proxies of the
//! environment are not used. URLs go out as they are: nothing is re-encoded.
//!
//! With a set address, and the feature `sys`, everything leaves from there; without the feature the address
//! chooses the family only.

mod bound;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::config::{ConfigBuilder, IpFamily};
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::DefaultResolver;
#[cfg(feature = "https")]
use ureq::unversioned::transport::{Connector, RustlsConnector};

use crate::error::{Error, ErrorKind, Result};
use crate::tracker::url::{Scheme, TrackerUrl};

/// Most bytes of a `.torrent` fetched over HTTP.
const MAX_TORRENT: u64 = 128 << 20;

/// Longest a `.torrent` may take.
const TORRENT_DEADLINE: Duration = Duration::from_secs(300);

/// Longest silence while a `.torrent` is fetched.
const TORRENT_SILENCE: Duration = Duration::from_secs(20);

/// Redirects that are followed before it counts as a loop.
const MAX_REDIRECTS: u32 = 5;

/// Clients that are kept: for plain HTTP and for TLS, from a few addresses of this machine.
const MAX_CLIENTS: usize = 8;

/// How rustls begins what it says of a certificate that is not trusted.
const CERTIFICATE_REFUSED: &str = "invalid peer certificate";

/// An answer: whatever its status, the body was read.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status, such as 200.
    pub(crate) status: u16,
    /// The body, decompressed.
    pub(crate) body: Vec<u8>,
}

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// For everything together.
    pub(crate) deadline: Duration,
    /// Longest silence, if that is to be shorter than the deadline.
    pub(crate) silence: Option<Duration>,
    /// Most bytes in the body.
    pub(crate) body: u64,
    /// Address of this machine that it is to leave from.
    pub(crate) bind: Option<IpAddr>,
}

/// Gets `url`, which must be HTTP or HTTPS.
pub(crate) fn get(url: &str, bounds: Bounds) -> Result<Response> {
    let family = match bounds.bind {
        None => IpFamily::Any,
        Some(IpAddr::V4(_)) => IpFamily::Ipv4Only,
        Some(IpAddr::V6(_)) => IpFamily::Ipv6Only,
    };
    let client = client(url, bounds.bind);
    let request = client.agent.get(url).config();
    let request = request.timeout_global(Some(bounds.deadline)).timeout_per_read(bounds.silence);
    let mut response = request.ip_family(family).build().call().map_err(|error| client.explain(error))?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(bounds.body).read_to_vec().map_err(explain)?;
    Ok(Response { status, body })
}

/// Fetches a `.torrent` over HTTP or HTTPS: at most 128 MiB, in at most five minutes, with at most
/// 20 s of silence. With `bind` it leaves from this address of ours, and without the feature `sys` at least
/// in its family.
///
/// # Errors
/// [`ErrorKind::Argument`] for another kind of URL or a malformed one, [`ErrorKind::NotFound`] for
/// status 404 and 410, [`ErrorKind::Dns`], [`ErrorKind::Timeout`], and [`ErrorKind::Network`] for
/// everything else.
pub fn fetch_torrent(url: &str, bind: Option<IpAddr>) -> Result<Vec<u8>> {
    let name = |error: Error| Error::new(error.kind(), format!("cannot fetch {url}")).because(error);
    let target = TrackerUrl::parse(url).map_err(name)?;
    if target.scheme() == Scheme::Udp {
        return Err(Error::new(ErrorKind::Argument, format!("cannot fetch {url}: not an http or https URL")));
    }
    let bounds =
        Bounds { deadline: TORRENT_DEADLINE, silence: Some(TORRENT_SILENCE), body: MAX_TORRENT, bind };
    let response = get(target.as_str(), bounds).map_err(name)?;
    match response.status {
        200..=299 => Ok(response.body),
        status @ (404 | 410) => {
            Err(Error::new(ErrorKind::NotFound, format!("cannot fetch {url}: {}", describe(status))))
        }
        status => Err(Error::new(ErrorKind::Network, format!("cannot fetch {url}: {}", describe(status)))),
    }
}

/// An HTTP status in words.
pub(crate) fn describe(status: u16) -> String {
    let reason = ureq::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    format!("HTTP status {status} {}", reason.unwrap_or_default()).trim_end().to_owned()
}

/// A client for requests of one kind.
struct Client {
    /// Whether it is for URLs that begin with `https`.
    secure: bool,
    /// Address of this machine that its connections leave from.
    bind: Option<IpAddr>,
    agent: ureq::Agent,
    /// What a server's certificate is held to, in words.
    trust: String,
}

/// The client for this URL and address. Reading the system's roots costs time and memory that plain HTTP
/// does without; a redirect from there to HTTPS is held to the built-in roots.
fn client(url: &str, bind: Option<IpAddr>) -> Arc<Client> {
    static CLIENTS: Mutex<Vec<Arc<Client>>> = Mutex::new(Vec::new());
    let secure =
        cfg!(feature = "https") && url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    let bind = bind.filter(|ip| cfg!(feature = "sys") && !ip.is_unspecified());
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = clients.iter().find(|client| (client.secure, client.bind) == (secure, bind)) {
        return client.clone();
    }
    if clients.len() == MAX_CLIENTS {
        clients.remove(0);
    }
    let client = Arc::new(Client::new(secure, bind));
    clients.push(client.clone());
    client
}

impl Client {
    fn new(secure: bool, bind: Option<IpAddr>) -> Client {
        let (settings, trust) = match secure {
            #[cfg(feature = "https")]
            true => {
                let (tls, trust) = super::roots::tls_config();
                (settings().tls_config(tls), trust)
            }
            _ => (settings(), "held to the built-in roots after a redirect from plain HTTP".to_owned()),
        };
        let agent = match bind {
            None => settings.build().new_agent(),
            Some(ip) => {
                let connector = bound::Dialler(ip);
                #[cfg(feature = "https")]
                let connector = connector.chain(RustlsConnector::default());
                ureq::Agent::with_parts(settings.build(), connector, DefaultResolver::default())
            }
        };
        Client { secure, bind, agent, trust }
    }

    /// As [`explain`]; a certificate that is refused is told with what it was held to.
    fn explain(&self, error: ureq::Error) -> Error {
        let error = explain(error);
        if !error.to_string().contains(CERTIFICATE_REFUSED) {
            return error;
        }
        Error::new(error.kind(), format!("{error} ({})", self.trust))
    }
}

fn settings() -> ConfigBuilder<AgentScope> {
    ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(MAX_REDIRECTS)
        .user_agent(concat!("bitwren/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(16 << 10)
        .input_buffer_size(16 << 10)
        .output_buffer_size(8 << 10)
        // Announces are half an hour apart: a connection kept would be a file descriptor wasted.
        .max_idle_connections(0)
}

/// What went wrong, in one line, without ureq's own terms where there are better ones.
fn explain(error: ureq::Error) -> Error {
    use ureq::Error as Ureq;
    match error {
        Ureq::HostNotFound => Error::new(ErrorKind::Dns, "the host name has no address"),
        Ureq::Timeout(ureq::Timeout::Resolve) => {
            Error::new(ErrorKind::Timeout, "looking up the host took too long")
        }
        Ureq::Timeout(ureq::Timeout::PerRead) => {
            Error::new(ErrorKind::Timeout, "nothing was sent for too long")
        }
        Ureq::Timeout(_) => Error::new(ErrorKind::Timeout, "no whole answer in time"),
        Ureq::TooManyRedirects => Error::new(ErrorKind::Network, "too many redirects"),
        Ureq::BodyExceedsLimit(limit) => {
            Error::new(ErrorKind::Network, format!("the answer is larger than {limit} bytes"))
        }
        Ureq::LargeResponseHeader(..) => Error::new(ErrorKind::Network, "the answer's headers are too large"),
        Ureq::BadUri(_) | Ureq::Http(_) => Error::new(ErrorKind::Argument, "malformed URL"),
        Ureq::TlsRequired if !cfg!(feature = "https") => {
            Error::new(ErrorKind::Argument, "https is not part of this build")
        }
        Ureq::Io(cause) => explain_io(cause),
        other => Error::new(ErrorKind::Network, one_line(&other.to_string())),
    }
}

/// An I/O failure; errors of ureq travel inside of those that reading a body gives.
fn explain_io(cause: std::io::Error) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => ErrorKind::Timeout,
        _ if is_lookup_failure(&cause) => ErrorKind::Dns,
        _ => ErrorKind::Network,
    };
    if cause.get_ref().is_some_and(|inner| inner.is::<ureq::Error>()) {
        if let Some(Ok(inner)) = cause.into_inner().map(|inner| inner.downcast::<ureq::Error>()) {
            return explain(*inner);
        }
        return Error::new(kind, "the connection failed");
    }
    match cause.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Error::new(kind, "the connection was closed before the answer was whole")
        }
        _ => Error::new(kind, one_line(&cause.to_string())),
    }
}

/// Whether a name could not be looked up: std has no kind for it, only this text.
pub(crate) fn is_lookup_failure(error: &std::io::Error) -> bool {
    error.to_string().starts_with("failed to lookup address")
}

fn one_line(text: &str) -> String {
    crate::tracker::clean_text(text.as_bytes())
}

#[cfg(test)]
mod tests;
