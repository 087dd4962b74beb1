//! The proxies that HTTP requests alone go through, by the scheme of the URL, and the hosts that are asked without:
//! what the environment of a program says, as curl and aria2 read it. A plain value; reads no environment itself.

use std::net::IpAddr;

use crate::error::{Error, ErrorKind, Result};
use crate::proxy::Proxy;

/// Proxies of requests over HTTP and HTTPS, to trackers and for `.torrent` files; for
/// [`Config::web_proxies`](crate::Config::web_proxies).
///
/// ```
/// use bitwren::WebProxies;
///
/// let variables = |name: &str| match name {
///     "all_proxy" => Some("socks5://proxy.example:1080".to_owned()),
///     "no_proxy" => Some("localhost,.lan".to_owned()),
///     _ => None,
/// };
/// let proxies = WebProxies::from_variables(variables).unwrap();
/// assert_eq!(proxies.http().unwrap().to_string(), "socks5://proxy.example:1080");
/// assert!(proxies.excepts("tracker.lan") && !proxies.excepts("tracker.example"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebProxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Exception>,
}

/// Hosts that are asked without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    All,
    /// This name and those below it, in lower case.
    Domain(String),
    /// Addresses that agree with this one in this number of first bits.
    Network(IpAddr, u32),
}

impl WebProxies {
    /// Reads `http_proxy` and `https_proxy`, `all_proxy` where one of them is not set, and `no_proxy`. Names in
    /// capitals count where those in small letters are not set, `HTTP_PROXY` apart: the header `Proxy:` of a
    /// request sets that for a CGI program. An empty variable is as good as none. A proxy without a scheme speaks
    /// HTTP.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] names the variable whose value is no proxy that can be used.
    pub fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<WebProxies> {
        let first = |names: &[&'static str]| {
            let set = |name: &&'static str| {
                let value = read(name).filter(|value| !value.trim().is_empty())?;
                Some((*name, value))
            };
            names.iter().find_map(set)
        };
        let all = ["all_proxy", "ALL_PROXY"];
        let proxy = |names: &[&'static str]| {
            first(names).or_else(|| first(&all)).map(|(name, value)| of_variable(name, &value)).transpose()
        };
        let except = first(&["no_proxy", "NO_PROXY"]).map(|(_, value)| exceptions(&value));
        Ok(WebProxies {
            http: proxy(&["http_proxy"])?,
            https: proxy(&["https_proxy", "HTTPS_PROXY"])?,
            except: except.unwrap_or_default(),
        })
    }

    /// The proxy of `http://` URLs.
    pub fn http(&self) -> Option<&Proxy> {
        self.http.as_ref()
    }

    /// The proxy of `https://` URLs.
    pub fn https(&self) -> Option<&Proxy> {
        self.https.as_ref()
    }

    /// Whether there is no proxy.
    pub fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// Whether any host is asked without a proxy.
    pub fn has_exceptions(&self) -> bool {
        !self.except.is_empty()
    }

    /// Whether this host, a name or an address, is asked without a proxy.
    pub fn excepts(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>().map(|ip| ip.to_canonical()).ok();
        self.except.iter().any(|exception| match exception {
            Exception::All => true,
            Exception::Network(network, bits) => ip.is_some_and(|ip| is_within(ip, *network, *bits)),
            Exception::Domain(name) => {
                ip.is_none()
                    && host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        })
    }
}

/// The proxy that a variable names.
fn of_variable(name: &str, value: &str) -> Result<Proxy> {
    let value = value.trim();
    let url = match value.split_once("://") {
        None => format!("http://{value}"),
        // What desktops write for a proxy that is meant to speak SOCKS5.
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("socks") => format!("socks5://{rest}"),
        Some(_) => value.to_owned(),
    };
    Proxy::parse(&url)
        .map_err(|error| Error::new(ErrorKind::Argument, format!("the environment's {name}: {error}")))
}

fn exceptions(text: &str) -> Vec<Exception> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    words.map(exception).collect()
}

fn exception(word: &str) -> Exception {
    let (address, bits) = word.split_once('/').map_or((word, None), |(ip, bits)| (ip, Some(bits)));
    if let Ok(ip) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
        let ip = ip.to_canonical();
        let whole = if ip.is_ipv4() { 32 } else { 128 };
        match bits.map_or(Ok(whole), str::parse) {
            Ok(bits) if bits <= whole => return Exception::Network(ip, bits),
            _ => {}
        }
    }
    match word.trim_matches('.') {
        "*" => Exception::All,
        name => Exception::Domain(name.to_ascii_lowercase()),
    }
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differ = u32::from(ip) ^ u32::from(network);
            differ.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differ = u128::from(ip) ^ u128::from(network);
            differ.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<WebProxies> {
        WebProxies::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    /// The proxies of both schemes.
    fn both(variables: &[(&str, &str)]) -> [Option<String>; 2] {
        let proxies = read(variables).unwrap();
        [proxies.http(), proxies.https()].map(|proxy| proxy.map(ToString::to_string))
    }

    #[test]
    fn variables_are_read_as_curl_reads_them() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(both(&[]), [None, None]);
        assert_eq!(both(&[("http_proxy", "h:3128")]), [some("http://h:3128"), None]);
        assert_eq!(both(&[("HTTP_PROXY", "h:3128")]), [None, None], "a web server sets it from a header");
        assert_eq!(both(&[("HTTPS_PROXY", "http://h:1")]), [None, some("http://h:1")]);
        let two = [("https_proxy", "a:1"), ("HTTPS_PROXY", "b:1"), ("ALL_PROXY", "socks5h://c:1")];
        assert_eq!(both(&two), [some("socks5://c:1"), some("http://a:1")]);
        let empty = [("http_proxy", ""), ("all_proxy", "socks://d:1/")];
        assert_eq!(both(&empty), [some("socks5://d:1"), some("socks5://d:1")]);
        assert!(read(&[("no_proxy", "*")]).unwrap().is_empty());
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_and_no_way_around() {
        for bad in ["https://h:1", "socks4://h:1", "http://", "h:x", "http://u:secret@h:0"] {
            let error = read(&[("all_proxy", bad)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Argument);
            let error = error.to_string();
            assert!(error.contains("all_proxy") && !error.contains("secret"), "{error}");
        }
        let unused = [("all_proxy", "socks4://h:1"), ("http_proxy", "h:1"), ("https_proxy", "h:1")];
        assert!(read(&unused).is_ok(), "it is not used");
    }

    #[test]
    fn hosts_are_excepted_by_domain_address_and_network() {
        let excepts = |list: &str, host: &str| read(&[("no_proxy", list)]).unwrap().excepts(host);
        for (list, host) in [
            ("*", "a.example"),
            ("a, .Example", "x.example"),
            ("example", "example."),
            ("x y.example", "EXAMPLE.y.example"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("0.0.0.0/0", "1.2.3.4"),
            ("[::1]", "[::1]"),
            ("fd00::/8", "fd12::1"),
            ("127.0.0.1", "127.0.0.1"),
            ("10.0.0.1", "::ffff:10.0.0.1"),
        ] {
            assert!(excepts(list, host), "{list} has {host}");
        }
        for (list, host) in [
            ("", "a.example"),
            ("example", "anexample"),
            ("a.example", "example"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.0.0.0/99", "10.0.0.1"),
            ("fd00::/8", "10.0.0.1"),
            ("1.2.3.4", "11.2.3.4"),
            (".", "a"),
        ] {
            assert!(!excepts(list, host), "{list} has not {host}");
        }
    }
}
