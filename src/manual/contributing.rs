//! Contributing: how to build, test and write for bitwren.
//!
//! # Build and test
//!
//! | command | does | needs |
//! |---|---|---|
//! | `make check` | formatting, lints, documentation | |
//! | `make test` | every fast test | |
//! | `make sim` | a thousand simulated swarms: 2 to 200 nodes, each the real torrent and the real sessions, over links that are slow, narrow and lose packets, with liars, failing disks, partitions, crashes and lying trackers. Every promise is checked after every step. `SEED=` and `N=` choose others; the same seed gives the same world | |
//! | `make fuzz`, `make fuzz-ci` | libFuzzer on every format that is read or written, paths, a whole session, the piece picker and a DHT node, each checked for properties and not only for panics. `make test` replays the corpus (`testdata/fuzz`) and 100,000 mutations of it | a C++ compiler |
//! | `make hostile` | some 150 attacks and their outcome | |
//! | `make kill` | kills a download 50 times with SIGKILL and compares every byte | |
//! | `make crash` | fails every system call that changes the disk, and cuts the power at every point of a run | strace, some of it root |
//! | `make soak` | an hour under attack with flat memory, descriptors and threads | |
//! | `make tsan`, `make miri` | the threaded tests under ThreadSanitizer and Miri | nightly Rust |
//! | `make interop` | transfers both ways with transmission, aria2, libtorrent and opentracker | root, Debian |
//! | `make static-cross` | builds for ARM and downloads under qemu | qemu |
//! | `make bench` | measurements beside other clients ([`measuring`](super::measuring)) | |
//! | `make curve` | the piece picker from 10 pieces to a million and from one peer to a thousand | |
//!
//! `make help` lists the rest. A change lands when `make check` and `make test` pass and the suites of
//! what it touches do.
//!
//! # Rules for code
//!
//! - Imports go down only ([`design`](super::design) has the floors). A test reads the source and fails on
//!   an import that goes up or against the order of rooms, on a circle, on a file over 500 lines that does not argue for it, and on a
//!   thread that the documentation does not name.
//! - Decisions are pure: bytes, events and the time go in; actions and a deadline come out. Threads,
//!   sockets, files and clocks stay in `engine`, `storage` and `transport`.
//! - No bytes from the network, a file or the command line may cause a panic, an unbounded allocation, a
//!   write outside the chosen directory or a wait without end.
//! - The path of a block from socket to disk gets no new allocation, lock or message.
//! - A fault is fixed as a kind, with a test that fails without the fix. Tests wait for events, not for
//!   time; they assert no durations. What can be tested in virtual time is.
//! - A new dependency has to be argued for in the table of the README.
//!
//! # Style
//!
//! - Subject first, present tense, one thought in a sentence. Use the standard terms of BitTorrent.
//! - A thread, a peer or a tracker is `it`. No riddles and no personification.
//! - A file begins with what it is for, what it never does, and its invariant. Comments say why.
//! - A constant is named by its quantity: `MAX_CONNECTIONS_PER_IP`, not `FEW`.
//! - An error is one line: what failed, where, and what to do about it.
//! - The subject of a commit is an imperative: what it does, and why if that is not obvious.
//!
//! # Word list
//!
//! A test (`tests/floors/words.rs`) finds the worst of these in names, comments and texts, and in the README.
//!
//! | not | but |
//! |---|---|
//! | foreman | torrent thread; `torrent::Torrent` for its decisions |
//! | goodbye, misdeed | `DisconnectReason`, `Violation` |
//! | happening, teller | `EventKind`, `EventSender` |
//! | introduction | extension handshake |
//! | seat, link (of a peer) | connection |
//! | tally | byte counters |
//! | news | event |
//! | office, desk, trip, courier | announce thread, trackers of a torrent, announce request, tracker client |
//! | call, ring, hang up | connect, connection attempt, disconnect |
//! | talk, conversation | connection |
//! | hungry, feed | wants blocks, assign |
//! | lucky, lot | optimistic unchoke, random draw |
//! | journal | have log |
//! | turn, having, lent | active slot: held, yielded |
//! | patience, grace, breath | time-out, deadline, named by what it bounds |
//! | whoever, whom, nobody, somebody | a peer that, which peer, no peer, a peer |
//! | so many, so-manieth | the number: `count` pieces, the n-th |
//! | of X, Y | Y of X |
//! | where (for a condition) | if |
//! | he, his | it, its |
