//! HTTP for trackers and `.torrent` files.
//!
//! Every request has a deadline for the whole of it, from the name lookup to the last byte, and a
//! cap on its body after decompression. Redirects are followed, five of them. URLs go out as they are: nothing is re-encoded.
//!
//! With a set address, and the feature `sys`, everything leaves from there; without the feature the address
//! chooses the family only.

#[cfg(test)]
pub(super) mod tests;

#[cfg(feature = "https")]
use super::connect;
use super::encoding;
use std::net::SocketAddr;
use std::sync::Arc;
#[cfg(feature = "https")]
use std::sync::OnceLock;
use std::time::Duration;

#[cfg(feature = "https")]
use ureq::unversioned::transport::Connector;

use super::agent::{explain, settings};
use super::connect::{Addresses, Dialler};

use crate::engine::net::egress::Egress;
use crate::error::{Error, Result};
use crate::tracker::retry_after;

/// Redirects that are followed before it counts as a loop.
pub(crate) const MAX_REDIRECTS: u32 = 5;

/// Longest a request may take: a duration that is added to a point in time must not overflow it.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(24 * 3600);

/// The beginning of rustls' error for a certificate that is not trusted.
const CERTIFICATE_REFUSED: &str = "invalid peer certificate";

/// An answer: whatever its status, the body was read.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status, such as 200.
    pub(crate) status: u16,
    /// The body, decompressed.
    pub(crate) body: Vec<u8>,
    /// How long to stay away, where the server says so.
    pub(crate) retry_after: Option<Duration>,
}

/// The bounds of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// For everything together.
    pub(crate) deadline: Duration,
    /// Longest silence, if that is to be shorter than the deadline.
    pub(crate) silence: Option<Duration>,
    /// Most bytes in the body.
    pub(crate) body: u64,
    /// The address of the URL's host to use, rather than to look up all it has; wherever it redirects to
    /// is asked in the same address family.
    pub(crate) to: Option<SocketAddr>,
}

/// Gets `url`, which must be HTTP or HTTPS.
pub(crate) fn get(url: &str, egress: &Arc<Egress>, bounds: Bounds) -> Result<Response> {
    let client = Client::new(url, egress, &bounds, MAX_REDIRECTS);
    let response = client.agent.get(url).call().map_err(|error| client.explain(error))?;
    read(response, bounds.body)
}

/// Reads an answer to its end: at most `most` bytes.
pub(crate) fn read(mut response: ureq::http::Response<ureq::Body>, most: u64) -> Result<Response> {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).map(|value| value.as_bytes());
    let retry_after = header("retry-after").and_then(|value| retry_after::read(value, header("date")));
    let unread = header("content-encoding").is_some_and(encoding::is_gzip_by_another_name);
    let body = response.body_mut().with_config().limit(most).read_to_vec().map_err(explain)?;
    let body = if unread { encoding::gunzip(body, most)? } else { body };
    Ok(Response { status, body, retry_after })
}

/// An HTTP status in words.
pub(crate) fn describe(status: u16) -> String {
    let reason = ureq::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    format!("HTTP status {status} {}", reason.unwrap_or_default()).trim_end().to_owned()
}

/// A client for one request. Parts that are costly to make are shared by all.
pub(crate) struct Client {
    pub(crate) agent: ureq::Agent,
    /// The trusted roots for a server's certificate, in words.
    trust: &'static str,
}

impl Client {
    pub(crate) fn new(url: &str, egress: &Arc<Egress>, bounds: &Bounds, redirects: u32) -> Client {
        let host = url.parse::<ureq::http::Uri>().ok();
        let host =
            host.as_ref().and_then(|url| url.host()).map(|host| host.trim_matches(['[', ']']).to_owned());
        let family = bounds.to.map(|to| to.is_ipv6()).or(egress.bind().map(|ip| ip.is_ipv6()));
        let addresses = Addresses { egress: egress.clone(), pinned: host.zip(bounds.to), v6: family };
        let settings = settings().timeout_global(Some(bounds.deadline.min(MAX_REQUEST_TIME)));
        // Set for the agent rather than for the request: only so is what TLS has made of the roots shared.
        let settings = settings.timeout_per_read(bounds.silence).max_redirects(redirects);
        let dialler = Dialler(egress.clone());
        #[cfg(feature = "https")]
        let (settings, dialler, trust) = {
            let trust = Trust::of(url);
            (settings.tls_config(trust.config.clone()), dialler.chain(trust.tls.clone()), &trust.words)
        };
        #[cfg(not(feature = "https"))]
        let trust = "";
        Client { agent: ureq::Agent::with_parts(settings.build(), dialler, addresses), trust }
    }

    /// As [`explain`]; the error for a refused certificate names the trusted roots.
    pub(crate) fn explain(&self, error: ureq::Error) -> Error {
        let error = explain(error);
        if !error.to_string().contains(CERTIFICATE_REFUSED) {
            return error;
        }
        Error::new(error.kind(), format!("{error} ({})", self.trust))
    }
}

/// What certificates are held to, and what TLS has made of it.
#[cfg(feature = "https")]
struct Trust {
    config: ureq::tls::TlsConfig,
    tls: connect::Tls,
    words: String,
}

#[cfg(feature = "https")]
impl Trust {
    /// For this URL. Reading the system's roots costs time and memory that plain HTTP does without; a
    /// redirect from there to HTTPS is held to the built-in roots.
    fn of(url: &str) -> &'static Trust {
        static FOR_TLS: OnceLock<Trust> = OnceLock::new();
        static FOR_PLAIN: OnceLock<Trust> = OnceLock::new();
        let trust = |(config, words)| Trust { config, tls: connect::Tls::default(), words };
        if url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:")) {
            return FOR_TLS.get_or_init(|| trust(super::roots::tls_config()));
        }
        let words = "held to the built-in roots after a redirect from plain HTTP".to_owned();
        FOR_PLAIN.get_or_init(|| trust((ureq::tls::TlsConfig::default(), words)))
    }
}
