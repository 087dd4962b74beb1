//! What is measured: a table of values. No code here runs anything.

/// One line of the benchmark.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// For the report.
    pub says: &'static str,
    /// Size of the torrent; of each torrent where there are many.
    pub mib: u64,
    pub piece_kib: u32,
    pub course: Course,
}

/// What the client does in it.
#[derive(Debug, PartialEq, Eq)]
pub enum Course {
    /// It downloads from these.
    Get(&'static [Seeds]),
    /// It seeds to one who takes it as fast as it comes.
    Seed(Taker),
    /// It has so many torrents, and nobody comes.
    Idle { torrents: u32 },
    /// It checks data that is there.
    Check,
}

/// Seeders of one kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Seeds {
    pub count: u8,
    /// Bytes a second of each; nothing is no limit.
    pub rate: Option<u64>,
    /// How far away: what is said to them arrives so many milliseconds later.
    pub delay_ms: u64,
}

/// Who downloads from the client that seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taker {
    /// The harness's own.
    Lean,
    Libtorrent,
}

const MB: u64 = 1_000_000;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "one",
        says: "1 GiB from one unlimited seeder",
        mib: 1024,
        piece_kib: 1024,
        course: Course::Get(&[Seeds { count: 1, rate: None, delay_ms: 0 }]),
    },
    Scenario {
        name: "pair",
        says: "1 GiB in pieces of 256 KiB from two unlimited seeders",
        mib: 1024,
        piece_kib: 256,
        course: Course::Get(&[Seeds { count: 2, rate: None, delay_ms: 0 }]),
    },
    Scenario {
        name: "eight",
        says: "1 GiB from eight seeders of 40 MB/s each; the swarm's limit is 3.4 s",
        mib: 1024,
        piece_kib: 1024,
        course: Course::Get(&[Seeds { count: 8, rate: Some(40 * MB), delay_ms: 0 }]),
    },
    Scenario {
        name: "far",
        says: "512 MiB from four unlimited seeders with a round trip of 60 ms",
        mib: 512,
        piece_kib: 1024,
        course: Course::Get(&[Seeds { count: 4, rate: None, delay_ms: 60 }]),
    },
    Scenario {
        name: "crowd",
        says: "512 MiB from 100 seeders of 1 MB/s each, round trip 20 ms; the swarm's limit is 5.4 s",
        mib: 512,
        piece_kib: 1024,
        course: Course::Get(&[Seeds { count: 100, rate: Some(MB), delay_ms: 20 }]),
    },
    Scenario {
        name: "huge",
        says: "4 pieces of 16 MiB from eight seeders of 4 MB/s each, round trip 5 ms; the swarm's limit is 2.1 s",
        mib: 64,
        piece_kib: 16 * 1024,
        course: Course::Get(&[Seeds { count: 8, rate: Some(4 * MB), delay_ms: 5 }]),
    },
    Scenario {
        name: "seeding",
        says: "seed 1 GiB to one lean leecher that takes it as fast as it comes",
        mib: 1024,
        piece_kib: 1024,
        course: Course::Seed(Taker::Lean),
    },
    Scenario {
        name: "seeding-lt",
        says: "seed 256 MiB to libtorrent",
        mib: 256,
        piece_kib: 1024,
        course: Course::Seed(Taker::Libtorrent),
    },
    Scenario {
        name: "idle",
        says: "seed 200 torrents of 1 MiB, a tracker there and nobody interested",
        mib: 1,
        piece_kib: 64,
        course: Course::Idle { torrents: 200 },
    },
    Scenario {
        name: "recheck",
        says: "verify 4 GiB that are there and in the page cache",
        mib: 4096,
        piece_kib: 1024,
        course: Course::Check,
    },
];
