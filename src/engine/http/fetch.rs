//! Fetches a `.torrent`. Redirects are followed here, not by ureq, as they may lead to a magnet link, and
//! as sites set cookies on the way that they want to see again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::agent::{one_line, too_large};
use super::client::{Bounds, Client, MAX_REDIRECTS, describe, read};
use super::cookies::Cookies;
use super::location;
use crate::budget::Budget;
use crate::config::Config;
use crate::engine::net::egress::Egress;
use crate::error::{Error, ErrorKind, Result};
use crate::metainfo::Magnet;
use crate::tracker::url::{Scheme, TrackerUrl};

/// Longest a `.torrent` may take, redirects and all.
const DEADLINE: Duration = Duration::from_secs(300);

/// Longest silence meanwhile.
const MAX_SILENCE: Duration = Duration::from_secs(20);

/// The result of fetching a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fetched {
    /// The bytes of what ought to be a `.torrent`; not looked at.
    Torrent(Vec<u8>),
    /// A magnet link: the URL redirected to one, or one was all there was.
    Magnet(Magnet),
}

/// Fetches a `.torrent` over HTTP or HTTPS: in at most five minutes, with at most 20 s of silence. Five
/// redirects are followed, also one to a magnet link; a cookie that a host sets on the way goes back to that
/// host. Of `config` the settings of sockets and [`Config::max_memory`] count. With an address set it leaves
/// from there, and without the feature `sys` at least in its family.
///
/// It may have as many bytes, unpacked where it comes compressed, as a client of that
/// much memory has for metadata
/// ([`Budget::metadata`](crate::budget::Budget::metadata)): 128 MiB without a limit.
///
/// # Errors
/// [`ErrorKind::Argument`] for another kind of URL or a malformed one, [`ErrorKind::NotFound`] for
/// status 404 and 410, [`ErrorKind::Torrent`] where it is too long, [`ErrorKind::Dns`],
/// [`ErrorKind::Timeout`], [`ErrorKind::Magnet`] or [`ErrorKind::V2Only`] for a magnet link that cannot be
/// used, and [`ErrorKind::Network`] for everything else. The context holds the URL as it was given: see
/// [`mask_secrets`](crate::mask_secrets).
///
/// ```no_run
/// use bitwren::{Config, Fetched, Metainfo};
///
/// match bitwren::fetch_torrent("https://example.org/debian.torrent", &Config::default())? {
///     Fetched::Torrent(bytes) => println!("{}", Metainfo::from_vec(bytes)?.name()),
///     Fetched::Magnet(magnet) => println!("{magnet}"),
///     _ => {}
/// }
/// # Ok::<(), bitwren::Error>(())
/// ```
pub fn fetch_torrent(url: &str, config: &Config) -> Result<Fetched> {
    let named = |error: Error| Error::new(error.kind(), format!("cannot fetch {url}")).because(error);
    fetch(url, &Egress::of(config), config.max_memory).map_err(named)
}

fn fetch(url: &str, egress: &Arc<Egress>, max_memory: u64) -> Result<Fetched> {
    let longest = u64::from(Budget::of(max_memory).metadata);
    let end = Instant::now() + DEADLINE;
    let mut cookies = Cookies::default();
    let mut at = http(url)?;
    for _ in 0..=MAX_REDIRECTS {
        let deadline = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let bounds = Bounds { deadline, silence: Some(MAX_SILENCE), body: longest, to: None };
        let client = Client::new(at.as_str(), egress, &bounds, 0);
        let mut request = client.agent.get(at.as_str());
        if let Some(cookies) = cookies.of(&at) {
            request = request.header("Cookie", cookies);
        }
        let response = request.call().map_err(|error| client.explain(error))?;
        for cookie in response.headers().get_all("set-cookie") {
            cookies.set(&at, cookie.as_bytes());
        }
        let status = response.status().as_u16();
        let target = response.headers().get("location").map(|value| value.as_bytes());
        if let (301 | 302 | 303 | 307 | 308, Some(target)) = (status, target) {
            let target = location::join(&at, &String::from_utf8_lossy(target));
            match location::scheme(&target) {
                Some(scheme) if scheme.eq_ignore_ascii_case("magnet") => return link(&target),
                _ => at = http(&target).map_err(|error| redirected(&target, error))?,
            }
            continue;
        }
        let body = read(response, longest).map_err(|error| too_long(error, longest, max_memory))?.body;
        return match status {
            200..=299 => match Magnet::in_text(&body) {
                Some(text) => link(text),
                None => Ok(Fetched::Torrent(body)),
            },
            404 | 410 => Err(Error::new(ErrorKind::NotFound, describe(status))),
            _ => Err(Error::new(ErrorKind::Network, describe(status))),
        };
    }
    Err(Error::new(ErrorKind::Network, "too many redirects"))
}

/// Where an answer is too large, that and what to do.
fn too_long(error: Error, longest: u64, max_memory: u64) -> Error {
    if error.context() != too_large(longest).context() {
        return error;
    }
    Error::new(
        ErrorKind::Torrent,
        match max_memory {
            0 => format!("it is longer than a .torrent may be, {} MiB", longest >> 20),
            _ => format!(
                "it is longer than {} KiB, all that --max-memory {} KiB leaves for a .torrent; allow more, or \
                 download it and give the file",
                longest >> 10,
                max_memory >> 10
            ),
        },
    )
}

/// The URL, which must be HTTP or HTTPS.
fn http(url: &str) -> Result<TrackerUrl> {
    let parsed = TrackerUrl::parse(url);
    parsed.ok().filter(|url| url.scheme() != Scheme::Udp).ok_or_else(|| {
        let known = ["http://", "https://"].iter().any(|known| {
            url.trim_start().get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known))
        });
        Error::new(ErrorKind::Argument, if known { "malformed URL" } else { "not an http or https URL" })
    })
}

/// The server is at fault for the target of its redirect.
fn redirected(target: &str, error: Error) -> Error {
    let target: String = target.chars().take(200).collect();
    let why = format!("it redirects to {}: {error}", one_line(&target));
    Error::new(ErrorKind::Network, why)
}

fn link(text: &str) -> Result<Fetched> {
    Magnet::parse(text.trim()).map(Fetched::Magnet)
}

#[cfg(test)]
mod tests;
