//! Where memory goes, from one number: how many blocks may be under way, how many peers connected,
//! how much said and not yet heard, how much metadata fetched.
//!
//! Pure arithmetic on sums that were measured; whoever holds memory is told its part and keeps to
//! it. What a torrent itself needs comes on top, linear in its pieces: 20 bytes of hash and a few
//! bits each. Invariant: all parts together are no more than the whole.

use crate::pieces::BLOCK;

/// What a client takes that has nothing to do: code, threads, tables.
const FIXED: u64 = 3 << 20;
/// What a connection takes at most: the touched parts of three stacks, its small buffer, its queues,
/// what it knows of the peer.
const CONNECTION: u64 = 64 << 10;
/// Of what is left over the fixed part, one in so many goes to the blocks that connections share.
const BLOCKS_PART: u64 = 4;
/// Small buffers that all connections share at least, and at most.
const FEWEST_SMALL: u64 = 8;
const MOST_SMALL: u64 = 32;
/// Blocks in a large buffer: a run for peers that deliver faster than they are read.
pub(crate) const RUN: u64 = 8;
/// Large buffers at most.
const MOST_LARGE: u64 = 12;
/// The longest metadata, an info dictionary, that is ever fetched, in bytes: 128 MiB.
pub const MOST_METADATA: u32 = 128 << 20;
/// Message bytes that wait for a peer who does not read, where nothing else is said.
const MOST_UNHEARD: u64 = 1 << 20;

/// The bounds that keep a client within its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Buffers of one block that all connections share; each has one more of its own.
    pub small: usize,
    /// Buffers of eight blocks that all connections share.
    pub large: usize,
    /// Connections at once.
    pub connections: u32,
    /// The longest info dictionary that is fetched for a magnet link, in bytes.
    pub metadata: u32,
    /// Bytes of messages that may wait for one peer, the bitfield not counted.
    pub unheard: usize,
}

impl Budget {
    /// The least that a client can do with: 4 MiB.
    pub const LEAST: u64 = 4 << 20;

    /// The preset for the smallest boxes: 6 MiB.
    pub const TINY: u64 = 6 << 20;

    /// How `memory` bytes in all are spent, [`Budget::LEAST`] at least; 0 is the built-in bounds,
    /// which are those of a box where nobody counts.
    pub fn of(memory: u64) -> Budget {
        if memory == 0 {
            return Budget {
                small: MOST_SMALL as usize,
                large: MOST_LARGE as usize,
                connections: u32::MAX,
                metadata: MOST_METADATA,
                unheard: MOST_UNHEARD as usize,
            };
        }
        let left = memory.max(Self::LEAST) - FIXED;
        let block = u64::from(BLOCK);
        let blocks = left / BLOCKS_PART;
        let small = (blocks / 4 / block).clamp(FEWEST_SMALL, MOST_SMALL);
        let large = (blocks.saturating_sub(small * block) / (RUN * block)).min(MOST_LARGE);
        let rest = left - small * block - large * RUN * block;
        // While metadata is fetched no block is; what it takes is taken from the connections.
        let metadata = (rest / 2).min(u64::from(MOST_METADATA));
        let connections = (rest / CONNECTION).max(1);
        Budget {
            small: small as usize,
            large: large as usize,
            connections: u32::try_from(connections).unwrap_or(u32::MAX),
            metadata: metadata as u32,
            unheard: (CONNECTION / 4) as usize,
        }
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
