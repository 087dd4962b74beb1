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
//! and `.torrent` URLs, with names looked up by the proxy. What it cannot carry is off and said once: incoming
//! connections, UDP trackers, the DHT, local discovery, port mapping. When the proxy fails nothing goes another way.
