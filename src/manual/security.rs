//! Security: what is defended, what is not, and every limit.
//!
//! Everything from the network, a `.torrent`, a link, a saved state or the command line is treated as hostile:
//! its lengths are checked before anything is allocated for them, no bytes cause a panic, and no thread waits
//! for a remote host without a deadline. `make hostile` runs some 150 attacks by peers, trackers, DHT nodes, web
//! servers and `.torrent` files and prints their outcome.
//!
//! # Defended
//!
//! - Wrong data and wrong metadata: no piece counts before its hash is right, and the peer that corrupts data is
//!   found and banned. What one peer, tracker or node says about a host never bans that host.
//! - Memory, descriptors and threads: bounded whatever peers do. If the reader of our output stops reading, the
//!   queue for it is bounded, and signals still work.
//! - Paths: no file outside the directory, no link inside it that leads out, no names that overwrite each other
//!   (also where the file system takes two names for one) or corrupt a terminal, no names that start with a dot
//!   in a home directory.
//! - Files of others: two torrents never write to one file while both are known, in one process or in several.
//!   A file that cannot be shown to be the torrent's is neither overwritten without `--overwrite` nor removed,
//!   whatever its name. A download cannot pass for a saved state.
//! - A crash, `kill -9` or a power cut at any moment: the state never claims a byte that was not synced. Full
//!   disks, also from the start; failing disks; files removed or truncated meanwhile.
//! - Forged DHT and UDP tracker answers from senders that cannot see our packets. One address or network that
//!   takes every place for connections, handshakes, or entries in the DHT store and the embedded tracker. Abuse
//!   as an amplifier: the DHT and the UDP tracker limit their answers.
//! - A hostile gateway, where ports are mapped: only the gateway's own address is asked, no redirect is followed,
//!   XML is read without entities and document types, and a mapping never leads to a port that is not listened at.
//!   Anyone in the local network can play the gateway and remove or deny a mapping; `--no-portmap` asks none.
//! - Another way out than `--device`: every socket is bound to the device before it sends, those that stay open
//!   are made again when the device is, and while it is down nothing is sent and no name looked up.
//! - Another way out than `--proxy`: nothing has a socket but connections to the proxy and to its relay of UDP, and
//!   no name is looked up but the proxy's own, also when the proxy fails. What a proxy answers is read within 16 KiB
//!   and a deadline. Datagrams count only from the relay; a relay that is said to be at an address of the local
//!   network, where the proxy is not, is taken to be at the proxy's.
//! - Passwords and passkeys in URLs: masked in messages and in the JSON of a run unless `--show-secrets` is
//!   given.
//!
//! # Not defended
//!
//! - Privacy: peers and trackers see which torrents are downloaded, and by which addresses. Encryption (MSE/PE,
//!   `--encryption`) hides from a look at single packets that a connection is BitTorrent's, and reaches peers that
//!   accept nothing else. It does not prove the identity of a peer: a host in the middle that knows the info-hash
//!   reads along. Its keys have 768 bits and its cipher is RC4: neither keeps a secret. Addresses, ports, amounts
//!   and times stay in sight, and so do trackers over HTTP and UDP, the DHT and local discovery. Unless one side
//!   requires more, only the first message of the side that dials is encrypted; the answer and all data are plain.
//! - Proxies of the environment (`http_proxy` and others) carry HTTP and HTTPS alone. Peers see our address, and so
//!   do UDP trackers and the DHT; `--proxy` carries all of it. A proxy knows what it carries, and what it says of
//!   where a datagram comes from is believed.
//! - SHA-1 is what BitTorrent v1 has.
//! - `--device` binds the sockets of bitwren. The system's resolver is not bound: its queries go where the system
//!   sends them, unless its server is reached by the device alone. What the kernel sends of its own to refuse a
//!   packet (a reset for a connection that is gone) follows the routing table, not the device.
//! - A magnet link does not say whether its torrent is private: until the metadata has arrived, DHT, LSD and PEX
//!   are used as for any other torrent. `--no-dht --no-lsd --no-pex` restrict it to its trackers. Once
//!   it is known to be private, peers that those named are forgotten and connections to them closed.
//! - An attacker with addresses in many networks can fill the places for incoming connections, surround an
//!   info-hash in the DHT, or upload nothing.
//! - Other users of the machine who may write to the download directory. A file changed with its length and
//!   time kept is believed until `bitwren verify`; a file that another program overwrites while bitwren writes
//!   to it or seeds it is believed until the next start. If two torrents share real data and one was completed
//!   in an earlier run, the second may take the first one's file for its own partial download.
//! - If the kernel has no memory left, it ends the program; the next run continues.
//!
//! # Limits
//!
//! The limits, unless options change them; `--max-memory` lowers those that cost memory:
//!
//! | limit | |
//! |---|---|
//! | frame: block, extended message, bitfield | 16 KiB; 64 KiB; as the torrent has pieces |
//! | handshake, all of it; connecting; a write without headway | 10 s; 10 s; 60 s |
//! | encrypted handshake: pads; bytes held; work before an answer | 512 bytes each; 732 bytes; none before 96 bytes came, then two exponentiations of 160 bits |
//! | ciphers of an encrypted connection | 2 KiB |
//! | silence of a peer; without a block before others take over; before it is left | 150 s; 1 to 2 s where another peer is idle, else 10 to 60 s; 120 s |
//! | messages that lead nowhere, a connection | 10,000 at once, 50 a second |
//! | unrequested blocks, a connection | 64; sixteen good ones make up for one |
//! | requests of a peer: queued; in vain; longest | 500; 2,000; 128 KiB |
//! | blocks read to be encrypted, a connection | 64 KiB, or one longer block |
//! | unsent messages for a peer that does not read | 1 MiB |
//! | peers: all; a torrent; half open; shaking hands with us | 200; 100; 32; 32 |
//! | where all places are taken | the network that has most gives way (IPv4 /24, IPv6 /48; within it the address) |
//! | places of a download that only peers it dials may have | a quarter |
//! | addresses known of a torrent, by source | tracker 600; incoming, DHT, PEX 300 each; named by the user 200; LSD 100 |
//! | addresses that one peer may name (PEX); read of a message; messages | 75; 200; one in 50 s |
//! | ports of one host in the world that are called: named by peers; by the DHT; by callers from there | 3; 8; 8 |
//! | bans kept; of one host before the host is banned | 4,096; 2 |
//! | blocks on their way to the disk, all peers | 512 KiB + 1.5 MiB, and 16 KiB a connection |
//! | metadata of a magnet link: longest; kept of lies; owed | 128 MiB; 8 MiB; 15 s |
//! | pieces that a peer claims before the metadata is there: held of one peer | 64 KiB, half a million pieces |
//! | tracker answer: HTTP; UDP; peers taken; time | 1 MiB; 16 KiB; 4,096; 15 s |
//! | host names looked up at a time; how long an answer is kept | 32; 10 s |
//! | `.torrent` from a URL, unpacked: longest; time; silence; redirects | 128 MiB; 5 min; 20 s; 5 |
//! | bencoding: depth. Torrent: files, path | 100. 1,000,000; 100 deep, 4,000 bytes |
//! | DHT: answers to one address; to all | 10 a second, 40 at once; 250 a second, 500 at once |
//! | DHT: questions out; lookups; nodes named in an answer | 256; 32; 16 |
//! | DHT: peers kept for others; of one torrent; torrents | 8,000; 200; 1,000 |
//! | descriptors for files | 128 |
//! | proxy: an answer to CONNECT; waiting for a relay; datagrams that wait for one; names that addresses stand for | 16 KiB; 20 s; 128; 4,096 |
//! | port mapping: an answer over HTTP, with its head; its time; devices; an attempt | 64 KiB; 5 s; 4; 10 s |
//! | list of blocked addresses, unpacked; ranges of a family; a line | 256 MiB; 2,000,000; 4 KiB |
//! | tracker server: HTTP connections; time for a request | 128; 5 s |
