//! Measuring: how the figures of the README are taken.
//!
//! `make bench` installs the other clients by package name, runs every swarm itself (lean seeders, a tracker,
//! distance) in its own network namespace, lets the clients take turns and compares every byte. Without root it
//! uses a user namespace or plain loopback, and says what it leaves out. `make bench SCENARIO=one,far
//! CLIENTS=bitwren,aria2 ROUNDS=5 SIZE=256` narrows it down. The figures of every run are in `target/bench/`
//! (Markdown, SVG, JSON); `make bench-publish` puts the last ones into the README.
//!
//! # What is measured
//!
//! *Time* is from the start of the program until all data is complete (or, for a client that exits by itself,
//! until it has exited). *CPU* is user and kernel time. *Peak RSS* includes the program's own text and the
//! files it maps; *anonymous* is memory of its own. *Wake-ups* are voluntary context switches. Clients run with
//! their defaults, except: TCP, the plain protocol and the torrent's own tracker only, as many peers as there
//! are, no preallocation. Distance delays what is sent to a seeder by one round trip; TCP's own windows are
//! not affected.
//!
//! The first run of a series is sometimes slower for all clients: the virtual machine's host takes back free
//! memory, and the page cache has to fetch it again.
//!
//! # transmission
//!
//! transmission 3.00 is not in the table of the README: it takes some twenty seconds for any of these downloads,
//! because it connects to peers seconds apart. In another run of three rounds with all six clients, while the
//! machine was slower for all of them, it took 21.0, 21.8, 23.9, 18.7 and 21.4 s for `one`, `pair`, `eight`,
//! `far` and `crowd`, with 5.3 to 11.4 CPU seconds per GiB and 23 to 25 MiB; bitwren took 1.43, 1.62, 3.39, 1.49
//! and 5.72 s, with 2.4 to 5.7 and 6.8 to 12.0. In each of the five bitwren was first in time and lowest in CPU
//! and memory.
