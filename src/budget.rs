//! Splits one memory limit: how many blocks may be in flight, how many peers connected, how many bytes
//! queued to send, how long fetched metadata may be.
//!
//! Pure arithmetic on measured costs; it allocates nothing. Each part of the engine keeps to its share. The
//! tables of a torrent, linear in its pieces, and the bitfields of its peers come out of the share of the
//! connections, so that a torrent of many pieces has fewer of them.
//!
//! Invariant: all parts together are no more than the whole, except for the tables and the two connections
//! of torrents that are added when all of it is promised.

use crate::pieces::BLOCK;

/// Bytes that an idle client takes: code, threads, tables.
const FIXED: u64 = 3 << 20;
/// Most bytes that a connection takes: the touched parts of three stacks, its small buffer, its queues, its
/// ciphers (2 KiB), its knowledge of the peer.
const CONNECTION: u64 = 64 << 10;
/// One part in this many, after the fixed part, goes to the blocks that connections share.
const BLOCKS_PART: u64 = 4;
/// Small buffers that all connections share at least, and at most.
const MIN_SMALL: u64 = 8;
const MAX_SMALL: u64 = 32;
/// Blocks in a large buffer: a run for peers that deliver faster than they are read.
pub(crate) const RUN: u64 = 8;
/// Large buffers at most.
const MAX_LARGE: u64 = 12;
/// The longest metadata (info dictionary) that is ever fetched, in bytes: 128 MiB.
pub const MAX_METADATA: u32 = 128 << 20;
/// Bytes that a torrent takes for each of its pieces: the hash, the order of rarity, what is verified.
const PIECE_TABLES: u64 = 32;
/// Copies of a bitfield for each connection: what the peer has as the session and the picker know it,
/// what we have as the session knows it, and one each in the message that comes in, in the message
/// that goes out, and on its way to the torrent.
const BITFIELDS: u64 = 6;
/// Connections that a torrent may have no matter how much memory it takes.
const FEWEST_CONNECTIONS: u32 = 2;
/// Message bytes that may be queued for one peer when there is no memory limit.
const MAX_SEND_BUFFER: u64 = 1 << 20;

/// The bounds that keep a client within its memory.
///
/// ```
/// use bitwren::Budget;
///
/// let (tiny, usual) = (Budget::of(Budget::TINY), Budget::of(0));
/// assert!(tiny.connections < usual.connections && tiny.small <= usual.small);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Buffers of one block that all connections share; each has one more of its own.
    pub small: usize,
    /// Buffers of eight blocks that all connections share.
    pub large: usize,
    /// Connections at once.
    pub connections: u32,
    /// The longest info dictionary that is fetched for a magnet link, in bytes.
    pub metadata: u32,
    /// Bytes of messages that may be queued for one peer, its bitfield not counted.
    pub send_buffer: usize,
    /// Bytes for connections and for the tables of torrents.
    connection_memory: u64,
}

/// The part of a [`Budget`] that one torrent takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TorrentShare {
    /// Connections it may have at once.
    pub connections: u32,
    /// Bytes for its tables and the bitfields of its peers.
    pub bytes: u64,
}

impl Budget {
    /// The smallest limit that works: 4 MiB.
    pub const LEAST: u64 = 4 << 20;

    /// The preset for the smallest boxes: 6 MiB.
    pub const TINY: u64 = 6 << 20;

    /// Splits `memory` bytes, at least [`Budget::LEAST`]; 0 means the built-in bounds, without a limit on
    /// connections.
    pub fn of(memory: u64) -> Budget {
        if memory == 0 {
            return Budget {
                small: MAX_SMALL as usize,
                large: MAX_LARGE as usize,
                connections: u32::MAX,
                metadata: MAX_METADATA,
                send_buffer: MAX_SEND_BUFFER as usize,
                connection_memory: u64::MAX,
            };
        }
        let left = memory.max(Self::LEAST) - FIXED;
        let block = u64::from(BLOCK);
        let blocks = left / BLOCKS_PART;
        let small = (blocks / 4 / block).clamp(MIN_SMALL, MAX_SMALL);
        let large = (blocks.saturating_sub(small * block) / (RUN * block)).min(MAX_LARGE);
        let rest = left - small * block - large * RUN * block;
        // No block is fetched while metadata is, so metadata shares the memory of the connections.
        let metadata = (rest / 2).min(u64::from(MAX_METADATA));
        let connections = (rest / CONNECTION).max(1);
        Budget {
            small: small as usize,
            large: large as usize,
            connections: u32::try_from(connections).unwrap_or(u32::MAX),
            metadata: metadata as u32,
            send_buffer: (CONNECTION / 4) as usize,
            connection_memory: rest,
        }
    }

    /// The share of one more torrent with `pieces` pieces and at most `most` connections, if the other
    /// torrents took `taken` bytes.
    pub fn torrent(&self, pieces: u32, most: u32, taken: u64) -> TorrentShare {
        let tables = u64::from(pieces) * PIECE_TABLES;
        let bitfields = u64::from(pieces.div_ceil(8)) * BITFIELDS;
        let free = self.connection_memory.saturating_sub(taken).saturating_sub(tables);
        let fitting = u32::try_from(free / (CONNECTION + bitfields)).unwrap_or(u32::MAX);
        let connections = fitting.max(FEWEST_CONNECTIONS).min(most);
        TorrentShare { connections, bytes: tables + u64::from(connections) * bitfields }
    }

    /// How many of the client's `most` connections fit beside the `taken` bytes of its torrents.
    pub fn connections_beside(&self, taken: u64, most: u32) -> u32 {
        let free = self.connection_memory.saturating_sub(taken);
        let fitting = u32::try_from(free / CONNECTION).unwrap_or(u32::MAX);
        fitting.max(FEWEST_CONNECTIONS).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_no_more_than_the_whole() {
        for memory in (4..=512).map(|mib: u64| mib << 20) {
            let Budget { small, large, connections, metadata, .. } = Budget::of(memory);
            let blocks = (small as u64 + RUN * large as u64) * u64::from(BLOCK);
            assert!(FIXED + blocks + u64::from(connections) * CONNECTION <= memory, "{memory}");
            assert!(FIXED + blocks + u64::from(metadata) <= memory, "{memory}");
        }
    }

    #[test]
    fn more_memory_is_never_less_of_anything() {
        let mut before = Budget::of(Budget::LEAST);
        for memory in (4..=512).map(|mib: u64| mib << 20) {
            let now = Budget::of(memory);
            assert!(now.small >= before.small && now.large >= before.large, "{memory}");
            assert!(now.connections >= before.connections && now.metadata >= before.metadata, "{memory}");
            before = now;
        }
    }

    #[test]
    fn torrents_and_their_peers_stay_within_the_whole() {
        for memory in (4..=256).map(|mib: u64| mib << 20) {
            let budget = Budget::of(memory);
            for pieces in [1, 1_000, 20_000, 200_000] {
                let (mut taken, mut connections) = (0, 0);
                for _ in 0..3 {
                    let share = budget.torrent(pieces, 100, taken);
                    assert!((1..=100).contains(&share.connections));
                    taken += share.bytes;
                    connections += share.connections;
                }
                let connections = connections.min(budget.connections_beside(taken, 200));
                let used = taken + u64::from(connections) * CONNECTION;
                // Beyond it goes only the least share of the torrents that came when all was promised.
                let least = budget.torrent(pieces, FEWEST_CONNECTIONS, u64::MAX).bytes
                    + u64::from(FEWEST_CONNECTIONS) * CONNECTION;
                assert!(used <= budget.connection_memory.max(least) + 2 * least, "{memory} {pieces}: {used}");
            }
        }
    }

    #[test]
    fn a_torrent_of_many_pieces_has_fewer_connections() {
        let of = |mib: u64, pieces| Budget::of(mib << 20).torrent(pieces, 100, 0).connections;
        assert_eq!((of(6, 1_000), of(6, 100_000), of(6, 2_000_000)), (36, 2, 2));
        assert_eq!((of(64, 1_000), of(64, 100_000), of(64, 2_000_000)), (100, 100, 2));
        assert_eq!(of(0, 2_000_000), 100, "without a limit of memory there is none");
    }

    #[test]
    fn what_some_sizes_come_to() {
        let of = |mib: u64| {
            let Budget { small, large, connections, .. } = Budget::of(mib << 20);
            (small, large, connections)
        };
        assert_eq!(of(4), (8, 1, 12));
        assert_eq!(of(6), (12, 4, 37));
        assert_eq!(of(16), (32, 12, 176));
        assert_eq!(of(0), (32, 12, u32::MAX));
        assert_eq!(Budget::of(1), Budget::of(Budget::LEAST), "less than the least is the least");
    }
}
