//! The cookies of one fetch (RFC 6265), such as those that a site sets before it redirects to the requested
//! file. Pure. A cookie goes back to the host that set it and to no other, whatever its `Domain` says, and
//! one that came over TLS, or says `Secure`, never in the clear. Paths are ignored.

use crate::tracker::url::{Scheme, TrackerUrl};

/// Cookies that are kept.
const MAX_COOKIES: usize = 32;

/// The longest cookie that is kept, name and value together.
const MAX_COOKIE_BYTES: usize = 4096;

/// The cookies set so far.
#[derive(Debug, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Debug)]
struct Cookie {
    host: String,
    secure: bool,
    name: String,
    value: String,
}

impl Cookies {
    /// Takes in a `Set-Cookie` that came from `url`.
    pub(super) fn set(&mut self, url: &TrackerUrl, header: &[u8]) {
        let Ok(header) = std::str::from_utf8(header) else { return };
        let (pair, attributes) = header.split_once(';').unwrap_or((header, ""));
        let Some((name, value)) = pair.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
        else {
            return;
        };
        let clean = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if name.is_empty() || !clean(name) || !clean(value) || name.len() + value.len() > MAX_COOKIE_BYTES {
            return;
        }
        let mut secure = url.scheme() == Scheme::Https;
        let mut over = false;
        for attribute in attributes.split(';') {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "secure" => secure = true,
                "max-age" => over = value.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0),
                _ => {}
            }
        }
        let host = url.host().to_ascii_lowercase();
        self.0.retain(|cookie| (&cookie.host, &*cookie.name) != (&host, name));
        if !over && self.0.len() < MAX_COOKIES {
            self.0.push(Cookie { host, secure, name: name.to_owned(), value: value.to_owned() });
        }
    }

    /// The `Cookie` header for `url`.
    pub(super) fn of(&self, url: &TrackerUrl) -> Option<String> {
        let is_for = |cookie: &&Cookie| {
            cookie.host.eq_ignore_ascii_case(url.host()) && (!cookie.secure || url.scheme() == Scheme::Https)
        };
        let pairs = self.0.iter().filter(is_for).map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let pairs = pairs.collect::<Vec<_>>().join("; ");
        (!pairs.is_empty()).then_some(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> TrackerUrl {
        TrackerUrl::parse(text).unwrap()
    }

    #[test]
    fn cookies_go_back_to_their_host_alone() {
        let mut cookies = Cookies::default();
        let site = url("http://Site.example/a");
        cookies.set(&site, b"id=1; Path=/; HttpOnly");
        cookies.set(&site, b" lang = en ;Domain=.example");
        assert_eq!(cookies.of(&url("http://site.example:81/b")).unwrap(), "id=1; lang=en");
        assert_eq!(cookies.of(&url("https://site.example/b")).unwrap(), "id=1; lang=en");
        for other in ["http://example/", "http://dl.site.example/", "http://site.example.org/"] {
            assert_eq!(cookies.of(&url(other)), None);
        }
        cookies.set(&site, b"id=2");
        cookies.set(&site, b"lang=; Max-Age=0");
        assert_eq!(cookies.of(&site).unwrap(), "id=2");
    }

    #[test]
    fn what_came_over_tls_never_goes_in_the_clear() {
        let mut cookies = Cookies::default();
        cookies.set(&url("https://a.example/"), b"id=1");
        cookies.set(&url("http://b.example/"), b"id=2; secure");
        assert_eq!(cookies.of(&url("http://a.example/")), None);
        assert_eq!(cookies.of(&url("http://b.example/")), None);
        assert_eq!(cookies.of(&url("https://a.example/")).unwrap(), "id=1");
    }

    #[test]
    fn what_is_no_cookie_or_too_much_is_dropped() {
        let mut cookies = Cookies::default();
        let site = url("http://a.example/");
        for bad in
            [&b"novalue"[..], b"=x", b"a=\x01", b"a\r\nb=1", b"\xff=1", &[&b"a="[..], &[b'x'; 5000]].concat()]
        {
            cookies.set(&site, bad);
        }
        assert_eq!(cookies.of(&site), None);
        (0..1000).for_each(|number| cookies.set(&site, format!("c{number}=1").as_bytes()));
        assert_eq!(cookies.of(&site).unwrap().matches('=').count(), MAX_COOKIES);
    }
}
