//! Random numbers for decisions: a small seeded generator, so that a run can be repeated.
//!
//! Not for secrets: what an attacker must not guess comes straight from the system through [`entropy`].
//! That is the transaction ids of the DHT and of UDP trackers, DHT tokens, the connection ids of the
//! embedded tracker, the announce key (BEP 7), the cookie of LSD, and anything that proves that a sender
//! has seen a packet of ours. The generator is SplitMix64, which passes the usual batteries and needs
//! eight bytes of state; some of its outputs give away all others.
//!
//! What is drawn from it, and why it may be guessed (`tests/floors.rs` holds the list to be complete):
//!
//! | drawn in | what | how it could be guessed |
//! |---|---|---|
//! | `id`, `dht/id` | peer id, node ids | by any host: they are sent to all |
//! | `client`, `torrent`, `engine`, `engine/torrent`, `engine/torrent/driver`, `engine/tracker`, `engine/discovery/dht`, `engine/discovery/portmap`, `tracker_server` | seeds of the others below | a peer that inverts one of them learns that one alone |
//! | `dht/node` | which stored peers an answer has, targets of refreshes | gains nothing: it may ask again for the others |
//! | `portmap/mapper` | which external port is asked for after a conflict | learns a port that is published |
//! | `tracker/registry` | which peers an answer has, and their order | the same |
//! | `tracker/tiers` | order within a tier, spread of announces | learns when we announce, which the tracker sees anyway |
//! | `swarm/peers` | order among addresses of one priority | learns which peer we dial next; quotas by source and network hold for any order |
//! | `swarm/picker` | which of the rarest pieces comes next | learns which piece it is asked for before it is asked |
//! | `swarm/choker`, `swarm/superseed` | the optimistic unchoke, the first piece revealed | learns its turn; cannot move it |

/// A seeded generator. The same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator that repeats itself for a repeated seed.
    pub fn seeded(seed: u64) -> Self {
        Random { state: seed }
    }

    /// A generator seeded by the system.
    pub fn from_system() -> Self {
        Random { state: u64::from_le_bytes(entropy()) }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 for a bound of 0. The bias is below 2⁻³² for bounds under 2³².
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Puts a slice into a random order.
    pub fn shuffle<T>(&mut self, slice: &mut [T]) {
        for i in (1..slice.len()).rev() {
            slice.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

/// `N` unpredictable bytes from the system.
///
/// Should the system have none to give (a kernel too old, a sandbox too tight), the address of a
/// stack variable and the process id stand in: weak, but the program goes on.
pub fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        let mut weak = Random::seeded((&raw const bytes as u64) ^ u64::from(std::process::id()));
        bytes.fill_with(|| weak.next_u64() as u8);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_a_bound_holds() {
        let (mut a, mut b) = (Random::seeded(7), Random::seeded(7));
        for bound in 1..200 {
            let n = a.below(bound);
            assert_eq!(n, b.below(bound));
            assert!(n < bound);
        }
        assert_eq!(a.below(0), 0);
    }

    #[test]
    fn a_shuffle_keeps_every_element() {
        let mut slice: Vec<u32> = (0..100).collect();
        Random::seeded(3).shuffle(&mut slice);
        assert_ne!(slice, (0..100).collect::<Vec<_>>());
        slice.sort_unstable();
        assert_eq!(slice, (0..100).collect::<Vec<_>>());
    }
}
