//! Threads, and every message that crosses between them.
//!
//! Threads go by these names in `top -H`, behind `bw-` and cut off after 15 bytes; a test holds the table
//! complete.
//!
//! | thread | one a | what it is, and waits for | sends to |
//! |---|---|---|---|
//! | `listen` | client | [`conn::listener`]: connections | a `handshake` thread |
//! | `disk` | client | [`disk::writer`]: blocks | torrent |
//! | `check` | client | [`disk::checker`]: torrents whose data is to be checked | torrent |
//! | `hash` | core, while data is checked | [`storage`](crate::storage): the disk | the thread that checks |
//! | `torrent` | torrent | [`torrent`]: its inbox and its deadline | workers (tried, never waited for), disk |
//! | `resume-save` | torrent, while it saves | the disk | torrent |
//! | `move` | torrent, while its files are moved | the disk | torrent |
//! | `announce` | client | [`tracker::thread`]: its schedule, torrents, answers | torrent |
//! | `tracker-ask` | request to a tracker | [`tracker::client`]: the tracker | `announce` |
//! | `stopped-announce` | torrent that was stopped | `announce` | no thread |
//! | `dht` | client | [`discovery::dht`]: datagrams, torrents, its nodes' deadlines | torrent (tried, never waited for) |
//! | `udp-read` | UDP socket | [`udp::reader`]: datagrams | `dht` (tried) |
//! | `device` | client, where its sockets are bound to a device | [`net::device`]: changes of that device, as the kernel tells them | torrents (tried), `announce`, `dht`, `lsd` |
//! | `relay` | SOCKS5 proxy, while datagrams go by it | [`net::relay`]: the end of the relay, the pause before the next | `dht`, `tracker-ask` (tried) |
//! | `relay-read` | relay | [`net::relay`]: datagrams | `dht`, `tracker-ask` (tried) |
//! | `dns` | name | [`net::names`]: the resolver | the thread that asks |
//! | `dht-dns` | client, at times | [`discovery::dht`]: the resolver | `dht` |
//! | `peer-dns` | torrent, at times | [`discovery::named_peers`], [`tracker::thread`]: the resolver | torrent, `announce` |
//! | `lsd` | client | [`discovery::lsd`]: the local network, torrents | torrent |
//! | `portmap` | client | [`discovery::portmap`]: the gateway, its mappings' renewals | `announce`, `dht` |
//! | `dial` | connection being made | [`conn::dial`]: the peer, until it has said who it is | torrent |
//! | `handshake` | connection that came in | [`conn::listener`]: the peer, until it has said who it is | torrent |
//! | `peer` | connection that was let in | [`conn::worker`]: orders, deadlines | torrent, the socket |
//! | `read` | connection | [`conn::reader`]: the socket | disk, torrent, the socket |
//! | `upload` | connection being served | [`conn::uploader`]: the send queue | the socket |
//! | `tracker-http` | connection, and a few to spare | [`http::server`]: requests | the socket |
//! | `rpc` | connection of the daemon's RPC, and a few to spare | [`http::server`]: requests | the socket, `keeper` |
//! | `keeper` | daemon | [`daemon::keeper`](crate::daemon): commands, events of the client, once a minute while data flow | torrent, the disk |
//! | `move` | daemon, while data of a torrent are moved | the disk | `keeper` |
//! | `tracker-udp` | UDP socket of the tracker | requests | the socket |
//!
//! The reader and the worker of a connection share its conversation ([`conn::conversation`]). Everything that
//! decides is pure and lives a floor below; here are only waits and messages.
//!
//! # Rooms
//!
//! A room imports from those above it in this table, and from no other; a test reads the table.
//!
//! | room | has |
//! |---|---|
//! | [`runtime`] | what every thread is built on |
//! | [`net`] | making sockets, accepting, waking, host names, the handshake, the ports that others are told |
//! | [`udp`] | the UDP port and its reader |
//! | [`http`] | HTTP client and server |
//! | [`inbox`] | the messages to a torrent |
//! | [`disk`] | the writer and the checker |
//! | [`tracker`] | announces |
//! | [`discovery`] | the DHT, the local network, peers given by name, port mapping |
//! | [`context`] | what all threads of a client share, and those of a torrent |
//! | [`conn`] | connections to peers, from the listener or a dial to the end |
//! | [`torrent`] | the thread of a torrent |

pub(crate) mod conn;
pub(crate) mod context;
pub(crate) mod discovery;
pub(crate) mod disk;
pub(crate) mod http;
pub(crate) mod inbox;
pub(crate) mod net;
pub(crate) mod runtime;
pub(crate) mod torrent;
pub(crate) mod tracker;
pub(crate) mod udp;
