//! What goes which way where there are proxies, in one line: nothing is to be half protected unsaid. Pure.

use bitwren::{Proxy, ProxyKind};

use crate::cli::args::settings::EgressSettings;

/// The line; nothing where there is no proxy.
pub fn line(egress: &EgressSettings) -> Option<String> {
    let (peers, trackers, web) = (egress.proxy_of_peers(), egress.proxy_of_trackers(), &egress.web_proxies);
    let is_web = trackers.is_none() && !web.is_empty();
    if peers.is_none() && trackers.is_none() && !is_web {
        return None;
    }
    let mut ways = Ways::default();
    ways.take("peers", peers.cloned());
    let relays = |proxy: Option<&Proxy>| proxy.is_none_or(|proxy| proxy.kind() == ProxyKind::Socks5);
    let mut off = Vec::new();
    match relays(peers) {
        true => ways.take("the DHT", peers.cloned()),
        false => off.push("the DHT"),
    }
    if is_web && web.http() != web.https() {
        ways.take("HTTP", web.http().cloned());
        ways.take("HTTPS", web.https().cloned());
    } else {
        let proxy = if is_web { web.http() } else { trackers };
        ways.take("HTTP trackers", proxy.cloned());
        ways.take(".torrent URLs", proxy.cloned());
    }
    match relays(trackers) {
        true => ways.take("UDP trackers", trackers.cloned()),
        false => off.push("UDP trackers"),
    }
    if peers.is_some() {
        off.extend(["incoming connections", "local discovery", "port mapping"]);
    }
    let mut parts = ways.parts();
    if !off.is_empty() {
        parts.push(format!("off: {}", off.join(", ")));
    }
    if is_web {
        let except = if web.has_exceptions() { ", but to the hosts of no_proxy" } else { "" };
        parts.push(format!("as the environment says{except}; --proxy takes all, --no-proxy nothing"));
    }
    Some(parts.join("; "))
}

/// What goes through each proxy, or directly.
#[derive(Default)]
struct Ways(Vec<(Option<Proxy>, Vec<&'static str>)>);

impl Ways {
    fn take(&mut self, what: &'static str, through: Option<Proxy>) {
        match self.0.iter_mut().find(|(way, _)| *way == through) {
            Some((_, all)) => all.push(what),
            None => self.0.push((through, vec![what])),
        }
    }

    fn parts(&self) -> Vec<String> {
        let part = |(way, what): &(Option<Proxy>, Vec<&str>)| match way {
            Some(proxy) => format!("through {proxy}: {}", what.join(", ")),
            None => format!("directly: {}", what.join(", ")),
        };
        // What is not protected comes after what is.
        let (direct, proxied): (Vec<_>, Vec<_>) = self.0.iter().partition(|(way, _)| way.is_none());
        proxied.into_iter().chain(direct).map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::settings::ProxyChoice;
    use bitwren::WebProxies;

    fn through(url: &str) -> ProxyChoice {
        ProxyChoice::Through(Proxy::parse(url).unwrap())
    }

    fn of(proxy: ProxyChoice, peers: ProxyChoice, trackers: ProxyChoice) -> Option<String> {
        let (proxy_peers, proxy_trackers) = (peers, trackers);
        line(&EgressSettings { proxy, proxy_peers, proxy_trackers, ..EgressSettings::default() })
    }

    #[test]
    fn one_line_says_what_goes_which_way_and_what_is_off() {
        use ProxyChoice::{Direct, Open};
        let incoming = "incoming connections, local discovery, port mapping";
        assert_eq!(of(Open, Open, Open), None);
        assert_eq!(of(Direct, Open, Open), None);
        let all = "peers, the DHT, HTTP trackers, .torrent URLs, UDP trackers";
        let expected = format!("through socks5://h:1: {all}; off: {incoming}");
        assert_eq!(of(through("socks5://u:secret@h:1"), Open, Open), Some(expected));
        let expected = format!(
            "through http://h:1: peers, HTTP trackers, .torrent URLs; off: the DHT, UDP trackers, {incoming}"
        );
        assert_eq!(of(through("http://h:1"), Open, Open), Some(expected));
        let expected =
            "through http://h:1: HTTP trackers, .torrent URLs; directly: peers, the DHT; off: UDP trackers";
        assert_eq!(of(through("http://h:1"), Direct, Open).as_deref(), Some(expected));
        let expected = format!(
            "through socks5://h:1: peers, the DHT; directly: HTTP trackers, .torrent URLs, UDP trackers; off: \
             {incoming}"
        );
        assert_eq!(of(Open, through("socks5://h:1"), Open), Some(expected));
    }

    #[test]
    fn the_environment_is_said_to_carry_http_alone() {
        let web = |variables: &[(&str, &str)]| {
            let read = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let web_proxies = WebProxies::from_variables(read).unwrap();
            line(&EgressSettings { web_proxies, ..EgressSettings::default() })
        };
        assert_eq!(web(&[("no_proxy", "*")]), None);
        let end = "as the environment says; --proxy takes all, --no-proxy nothing";
        let direct = "directly: peers, the DHT, UDP trackers";
        let expected = format!("through socks5://h:1: HTTP trackers, .torrent URLs; {direct}; {end}");
        assert_eq!(web(&[("all_proxy", "socks5://h:1")]), Some(expected));
        let expected = "through http://h:1: HTTP; directly: peers, the DHT, HTTPS, UDP trackers; as the environment \
                        says, but to the hosts of no_proxy; --proxy takes all, --no-proxy nothing";
        assert_eq!(web(&[("http_proxy", "h:1"), ("no_proxy", "lan")]).as_deref(), Some(expected));
    }
}
