//! Fetches a `.torrent`. Redirects are followed here, not by ureq, as they may lead to a magnet link, and
//! as sites set cookies on the way that they want to see again.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::client::{Bounds, Client, MAX_REDIRECTS, describe, one_line, read};
use super::cookies::Cookies;
use super::location;
use crate::error::{Error, ErrorKind, Result};
use crate::metainfo::Magnet;
use crate::tracker::url::{Scheme, TrackerUrl};

/// Most bytes of a `.torrent` fetched over HTTP.
const MAX_TORRENT: u64 = 128 << 20;

/// Longest a `.torrent` may take, redirects and all.
const DEADLINE: Duration = Duration::from_secs(300);

/// Longest silence meanwhile.
const SILENCE: Duration = Duration::from_secs(20);

/// What a URL led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The bytes of what ought to be a `.torrent`; not looked at.
    Torrent(Vec<u8>),
    /// A magnet link: the URL redirected to one, or one was all there was.
    Magnet(Magnet),
}

/// Fetches a `.torrent` over HTTP or HTTPS: at most 128 MiB, in at most five minutes, with at most
/// 20 s of silence. Five redirects are followed, also one to a magnet link; a cookie that a host sets on
/// the way goes back to that host. With `bind` it leaves from this address of ours, and without the
/// feature `sys` at least in its family.
///
/// # Errors
/// [`ErrorKind::Argument`] for another kind of URL or a malformed one, [`ErrorKind::NotFound`] for
/// status 404 and 410, [`ErrorKind::Dns`], [`ErrorKind::Timeout`], [`ErrorKind::Magnet`] or
/// [`ErrorKind::V2Only`] for a magnet link that cannot be used, and [`ErrorKind::Network`] for everything
/// else.
pub fn fetch_torrent(url: &str, bind: Option<IpAddr>) -> Result<Fetched> {
    let named = |error: Error| Error::new(error.kind(), format!("cannot fetch {url}")).because(error);
    fetch(url, bind).map_err(named)
}

fn fetch(url: &str, bind: Option<IpAddr>) -> Result<Fetched> {
    let end = Instant::now() + DEADLINE;
    let mut cookies = Cookies::default();
    let mut at = http(url)?;
    for _ in 0..=MAX_REDIRECTS {
        let deadline = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let bounds = Bounds { deadline, silence: Some(SILENCE), body: MAX_TORRENT, bind, to: None };
        let client = Client::new(at.as_str(), &bounds, 0);
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
        let body = read(response, bounds.body)?.body;
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

/// The server is at fault for where it redirects to.
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
