//! Network: which addresses are blocked, and which way packets leave.
//!
//! # Blocking
//!
//! `--blocklist FILE` blocks the addresses in a list (P2P, DAT or CIDR; IPv4 and IPv6; packed with gzip or not). No
//! peer there is dialled, whichever source names it; connections from there are closed unread; the DHT does without
//! such nodes. Trackers are not blocked. `--allow RANGE` permits addresses although a list has them; without a list,
//! only them. SIGHUP reads the lists again. A list that cannot be used changes nothing, and connected peers stay.
//!
//! # Device and address
//!
//! `--device wg0` binds everything to a network device: while it is down nothing is sent, and when it is back the
//! run continues. Only the system's resolver is not bound (`bitwren help get` says how to avoid it). `--bind`
//! chooses an address. All packets are marked as lower effort (`--dscp`).
//!
//! # Proxies
//!
//! `--proxy socks5://HOST:PORT` (or `http://`, asked with CONNECT) carries the connections to peers, HTTP trackers
//! and `.torrent` URLs, with names looked up by the proxy, those of `--peer` as well. SOCKS5 carries UDP trackers and
//! the DHT too, if the proxy relays UDP (one association, kept by its connection and asked for again with pauses of
//! 1 to 60 s); the DHT then has IPv4 alone and serves no others. What a proxy cannot carry is off and said once:
//! incoming connections, local discovery, port mapping, and UDP where it relays none. When the proxy fails nothing
//! goes another way. `--proxy-peers` and `--proxy-trackers` choose another proxy, or none, for one purpose.
//!
//! Behind a proxy no connection can come in. Trackers are told `--port` all the same: they refuse a client without a
//! port, and some refuse port 1. Peers and the DHT are told none. A peer given by its name is shown by an address
//! from 240.0.0.0/20 that stands for the name; no list of blocked addresses applies to it.
//!
//! Without `--proxy` the environment counts as it does with curl and aria2: `http_proxy` and `https_proxy`, or else
//! `all_proxy`, carry HTTP and HTTPS to trackers and for `.torrent` files, but not to the hosts of `no_proxy` (names
//! with what is below them, addresses, networks, `*`). Names in capitals count where those in small letters are not
//! set, `HTTP_PROXY` apart. Peers, UDP trackers and the DHT go directly then; a line says what goes which way. A
//! value that cannot be used is an error. `--no-proxy` ignores the environment.
