//! The options about the way out: which device, and how packets are marked and sent.

use super::flag::{Flag, Group, Hint, Kind};
use crate::cli::args::commands::Command::{Daemon, Edit, Get, Magnet, Scrape, Seed, Show, Verify};
use crate::cli::args::settings::ProxyChoice;
use crate::cli::args::values;

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "device",
        short: None,
        kind: Kind::Value {
            name: "NAME",
            hint: Hint::None,
            set: |s, v| values::device(v).map(|v| s.transfer.egress.device = Some(v)),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed, Show, Verify, Edit, Magnet, Scrape],
        help: "Network device to use, and no other way",
        more: "A device such as wg0. Everything is bound to it: connections in both directions, UDP, HTTP, the \
               DHT and the search on the local network. While it is down, or not there yet, nothing is sent; \
               bitwren says so, waits, and goes on when it is up, whatever its address is then. Needs Linux \
               5.7, or the capability CAP_NET_RAW.\n\
               The exception: host names are looked up by the system's resolver, which cannot be bound. While \
               the device is down bitwren looks up no name. Otherwise such a query may go another way, and its \
               answer may tell which trackers are asked. To avoid that, set a name server in \
               /etc/resolv.conf that is reached by the device alone, or run bitwren in a network namespace of \
               its own.",
    },
    Flag {
        long: "proxy",
        short: None,
        kind: Kind::Value {
            name: "URL",
            hint: Hint::None,
            set: |s, v| values::proxy(v).map(|v| s.transfer.egress.proxy = v),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed, Show, Verify, Edit, Magnet, Scrape],
        help: "Connect through this proxy, and no other way",
        more: "socks5://HOST:PORT or http://HOST:PORT, with NAME:PASSWORD@ before HOST if the proxy wants them. \
               It carries the connections to peers, and HTTP and HTTPS to trackers and for .torrent files; \
               HTTP proxies are asked with CONNECT. SOCKS5 proxies carry the DHT and UDP trackers as well, if they \
               relay UDP. Host names are looked up by the proxy. What it cannot carry is off: connections that \
               come in, the search on the local network, port mapping, and UDP where it relays none. Trackers are \
               told --port all the same, as they refuse a client without one. When the proxy fails nothing goes \
               another way. Others see a password on the command line: set BITWREN_PROXY instead.\n\
               Without this option the environment counts, as with curl: http_proxy and https_proxy, or else \
               all_proxy, carry what goes over HTTP and HTTPS to trackers and for .torrent files, except for the \
               hosts of no_proxy. Names in capitals count as well, HTTP_PROXY apart. Peers, UDP trackers and the \
               DHT then go directly, and a line says so. --no-proxy and --proxy none ignore the environment.",
    },
    Flag {
        long: "no-proxy",
        short: None,
        kind: Kind::Switch(|s, on| {
            if on {
                s.transfer.egress.proxy = ProxyChoice::Direct;
            }
        }),
        group: Group::Network,
        on: &[Daemon, Get, Seed, Show, Verify, Edit, Magnet, Scrape],
        help: "Use no proxy, whatever the environment says",
        more: "",
    },
    Flag {
        long: "proxy-peers",
        short: None,
        kind: Kind::Value {
            name: "URL",
            hint: Hint::None,
            set: |s, v| values::proxy(v).map(|v| s.transfer.egress.proxy_peers = v),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Another proxy for peers and the DHT, or none",
        more: "As --proxy, for the connections to peers and the DHT alone. With none they go directly.",
    },
    Flag {
        long: "proxy-trackers",
        short: None,
        kind: Kind::Value {
            name: "URL",
            hint: Hint::None,
            set: |s, v| values::proxy(v).map(|v| s.transfer.egress.proxy_trackers = v),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed, Scrape],
        help: "Another proxy for trackers and .torrent URLs, or none",
        more: "As --proxy, for trackers and .torrent files alone. With none they are reached directly, whatever \
               the environment says. A tracker tells others the address that it is asked from: peers do not reach \
               this client at that of a proxy.",
    },
    Flag {
        long: "dscp",
        short: None,
        kind: Kind::Value {
            name: "CLASS",
            hint: Hint::None,
            set: |s, v| values::dscp(v).map(|v| s.transfer.egress.dscp = v),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Traffic class of all packets [default: le]",
        more: "The DSCP, by which routers that look at it decide what goes first: a number from 0 to 63, or a \
               name such as le (lower effort: anything else may overtake, RFC 8622), cs1, af11 or ef. 0 is \
               ordinary traffic.",
    },
    Flag {
        long: "congestion",
        short: None,
        kind: Kind::Value {
            name: "NAME",
            hint: Hint::None,
            set: |s, v| values::congestion(v).map(|v| s.transfer.egress.congestion = Some(v)),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "TCP congestion control [default: the kernel chooses]",
        more: "A name that the kernel knows and allows, such as bbr or cubic: see \
               /proc/sys/net/ipv4/tcp_allowed_congestion_control.",
    },
];
