//! Design: the floors, the life of a block, how far it scales, what is promised.
//!
//! # Two ideas
//!
//! 1. Every decision is pure. Bytes, events and the time go in; actions and a deadline come out. So every
//!    decision can be tested in virtual time, from a seed.
//! 2. Every wait has one place. Threads wait, call the code that decides, and carry out what it says.
//!
//! # Floors
//!
//! Imports go down only. A file never names a floor above its own, and a test holds the source to that.
//!
//! | floor | modules | contents |
//! |---|---|---|
//! | 6 face | `main.rs`, `cli` | the command line: `args`, `commands`, `run`, `files`, `output` |
//! | | `daemon` | a session that other programs drive over RPC: `settings`, `view`, `command`, `page`, `rpc`, `gate`, `store`, `keeper`, `library`, `serve` |
//! | 5 doors | `client`, `tracker_server` | the API; the embedded tracker |
//! | 4 hands | `engine` | one folder for each family of threads: `runtime`, `net`, `udp`, `http`, `disk`, `tracker`, `discovery`, `conn`; and the thread of a torrent |
//! | 3 minds | `torrent` | everything that one torrent decides, with the modules below; pure |
//! | | `peer` | one connection: session, request pipeline, upload queue; pure |
//! | | `swarm` | parts of a torrent's decisions: picker, choker, peer list, peer exchange; pure |
//! | | `dht` | one node of the DHT: routing table, lookups, stored announces; pure |
//! | | `host` | what all torrents of a client share: quotas, the active queue, the schedule of local discovery, the external address; pure |
//! | | `portmap` | asking a gateway to let peers in: PCP, NAT-PMP, UPnP and the life of a mapping; pure |
//! | | `storage` | files, assembly, resume, verification; the only one that touches a disk |
//! | 2 forms | `wire`, `metainfo`, `tracker`, `job`, `orders`, `event`, `snapshot`, `config`, `filter`, `budget`, `web_proxies` | formats and plain values |
//! | 1 ground | `base64`, `bencode`, `pieces`, `id`, `bitfield`, `digest`, `json`, `limit`, `lock`, `moment`, `network`, `percent`, `random`, `rate`, `sorted`, `stand_in`, `error`, `version`, `violation`, `transport`; `manual` | what everything else stands on |
//!
//! Floors 1 to 3 know no socket, thread or clock (`storage` and `transport` apart). `peer`, `swarm` and
//! `storage` never import one another; they meet in `job`. The rooms of `engine` and of `cli` stand in an
//! order of their own, which the head of each tells: a room imports only from those before it.
//!
//! # The life of a block
//!
//! Two threads share each connection. The *reader* decides about each message and answers it; the
//! *worker* carries out orders and watches the deadlines. When the session could request more, it tells
//! the torrent thread how many blocks it wants. The torrent answers with a `PieceJob`: a claim on a range
//! of blocks of a piece that this peer has, rarest first. The session requests them from the front, as
//! many at once as the measured rate and round trip of the peer call for. If other peers have nothing
//! left to request, the torrent cuts the claim from the back and assigns the rest to them: no message, no
//! lock, and no block requested twice.
//!
//! The reader receives the payload into a buffer of a bounded pool, up to eight consecutive blocks in one:
//! one system call per block, at line rate one per eight, and no copy. It hands the buffer to the disk
//! thread and sends the next requests. If a block was requested twice, the first copy wins.
//!
//! The disk thread writes the block at its place and hashes it if it continues the hashed front of the
//! piece; the buffer returns to the pool. After the last block the verdict goes to the torrent. A correct
//! piece is appended to a log from which each connection sends its `have`. For a wrong piece it is known
//! which peers delivered it, and the one to blame is banned.
//!
//! A block costs one buffer while it passes, one read, one write, one pass of SHA-1, and at line rate an
//! eighth of a message between threads. If the disk is slow the pool runs dry, readers stop, socket
//! buffers fill, and TCP slows the peers down.
//!
//! # How far it scales
//!
//! Two threads per peer are not free. Measured with the release build and glibc on two cores: 384 MiB
//! (24,576 blocks) at 40 MB/s in all, from peers 20 ms away:
//!
//! | peers | time | peak RSS | threads | context switches | CPU |
//! |---|---|---|---|---|---|
//! | 10 | 10.1 s | 6.5 MiB | 29 | 34,000 | 0.8 s |
//! | 100 | 10.6 s | 11 MiB | 209 | 49,000 | 1.2 s |
//! | 300 | 10.9 s | 20 MiB | 609 | 56,000 | 1.4 s |
//! | 1,000 | 14.4 s | 48 MiB | 2,009 | 92,000 | 2.3 s |
//!
//! A peer costs 42 KiB, most of it touched pages of its stacks, and a block costs 1.5 to 4 context
//! switches. A torrent costs a thread and 35 KiB. The picker takes less than a microsecond per block while
//! there is a piece to begin, and some microseconds in the endgame of hundreds of unequal peers
//! (`make curve`).
//!
//! - *1,000 peers* are the bound of this shape. With some 130 connection attempts per second, all are
//!   connected after eight seconds, which is most of the difference between 14 and 10 seconds.
//! - *10,000 torrents* are beyond it: 10,000 torrent threads take 350 MiB. Idle torrents would have to
//!   share threads; a torrent's decisions keep no state outside itself, so that they can.
//! - *10 Gbit/s* are 1.25 GB/s: two thirds of a core for SHA-1 at 1.9 GB/s, and about one CPU second per
//!   GiB for receiving and the page cache. One disk thread is then the bound: one writer per torrent, or
//!   hashing on the readers, comes before any other way of waiting for sockets.
//!
//! # What is promised
//!
//! - Memory is bounded by construction; no buffer grows with the piece length. One number
//!   ([`Config::max_memory`](crate::Config::max_memory)) sets all bounds.
//! - A verified byte is never written again. The resume state claims a piece only after its bytes were
//!   synced.
//! - What a peer does wrong is data with a name ([`Violation`](crate::Violation)), not an error of the
//!   torrent.
//! - Every length from the network is checked before anything is allocated for it.
//! - No thread waits forever: every wait has a deadline or ends when the other side disconnects.
//! - A client ends within a second, whatever hangs: peers, trackers, name servers, the disk.
