//! A proxy as the user names it: its kind, its address, and a login. A plain value; the password is never shown.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::percent;

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyKind {
    /// SOCKS5 (RFC 1928), with host names looked up by the proxy.
    Socks5,
    /// HTTP, with the method CONNECT.
    Http,
}

/// A proxy: `socks5://` or `http://`, then `NAME:PASSWORD@` if it wants them, then `HOST:PORT`.
///
/// ```
/// let proxy = bitwren::Proxy::parse("socks5://me:s%40cret@proxy.example:1080").unwrap();
/// assert_eq!(proxy.to_string(), "socks5://proxy.example:1080");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(crate) kind: ProxyKind,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) login: Option<(String, String)>,
}

impl Proxy {
    /// Reads the URL of a proxy. `socks5h://` means the same as `socks5://`. The name and the password may be
    /// percent-encoded. Without a port it is 1080 for SOCKS5 and 8080 for HTTP.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`]; the URL is not told, since it may have a password in it.
    pub fn parse(url: &str) -> Result<Proxy> {
        let wrong = |why: &str| Error::new(ErrorKind::Argument, format!("the proxy: {why}"));
        let (scheme, rest) = url
            .trim()
            .split_once("://")
            .ok_or_else(|| wrong("write socks5://HOST:PORT or http://HOST:PORT"))?;
        let (kind, own_port) = match scheme.to_ascii_lowercase().as_str() {
            "socks5" | "socks5h" => (ProxyKind::Socks5, 1080),
            "http" => (ProxyKind::Http, 8080),
            _ => return Err(wrong("its URL begins with socks5:// or http://")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, place) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((login, place)) => {
                let (name, password) = login.split_once(':').unwrap_or((login, ""));
                let decoded = decoded(name).zip(decoded(password));
                let fits = |text: &String| !text.is_empty() && text.len() <= 255;
                let decoded = decoded.filter(|(name, password)| fits(name) && fits(password));
                let login = decoded.ok_or_else(|| wrong("its name and password have 1 to 255 bytes each"))?;
                (Some(login), place)
            }
        };
        // An IPv6 address stands in brackets.
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or("none"))),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let is_host =
            |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
        if host.is_empty() || host.len() > 255 || !is_host(host) {
            return Err(wrong("its URL has no host"));
        }
        let port = match port {
            None => own_port,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| wrong("its port is no number from 1 to 65535"))?,
        };
        Ok(Proxy { kind, host: host.to_owned(), port, login })
    }

    /// What it speaks.
    pub fn kind(&self) -> ProxyKind {
        self.kind
    }
}

/// Without the login.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Socks5 => "socks5",
            ProxyKind::Http => "http",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Percent-decoded.
fn decoded(text: &str) -> Option<String> {
    String::from_utf8(percent::decode(text, false)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_and_shown_without_its_password() {
        let read = |url: &str| Proxy::parse(url).unwrap();
        let proxy = read("SOCKS5h://me:p%40:x@[::1]:9050/");
        assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (ProxyKind::Socks5, "::1", 9050));
        assert_eq!(proxy.login, Some(("me".to_owned(), "p@:x".to_owned())));
        assert_eq!(format!("{proxy} {proxy:?}"), "socks5://[::1]:9050 Proxy(socks5://[::1]:9050)");
        assert_eq!((read("socks5://h").port, read("http://h").port), (1080, 8080));
        for bad in [
            "",
            "h:1",
            "ftp://h:1",
            "socks5://",
            "socks5://h:0",
            "http://h:x",
            "http://u@h",
            "http://:@h",
            "socks5://a b:1",
            "http://u:%zz@h",
            "http://u:%+1@h",
            "http://[::1]x",
        ] {
            let error = Proxy::parse(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Argument, "{bad}");
        }
        let long = format!("socks5://u:{}@h", "x".repeat(256));
        assert!(!Proxy::parse(&long).unwrap_err().to_string().contains("xxx"));
    }
}
