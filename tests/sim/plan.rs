//! What a world is made of: its torrent, its nodes, and everything that will go wrong, as plain data.
//! A seed gives a plan; shrinking takes parts of it away; a named scenario writes one down.

use std::time::Duration;

use bitwren::EncryptionPolicy::{self, Allow, Off, Prefer, Require};
use bitwren::internals::moment::Moment;
use bitwren::internals::random::Random;
use bitwren::internals::swarm::peers::Source;

use super::disk::Change;
use super::path::Weather;
use super::shaking::CutsOff;

/// A world before it begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Drives every die in the world.
    pub seed: u64,
    pub piece_length: u32,
    pub total: u64,
    /// The files of the torrent, all of about the same length.
    pub files: u64,
    pub trackers: usize,
    pub pex: bool,
    /// Torrents of a client that download at a time, and connections of a client; 0 for no limit.
    pub max_active: usize,
    pub max_connections: u32,
    /// What the links between nodes are like.
    pub weather: Weather,
    pub nodes: Vec<NodePlan>,
    pub faults: Vec<Fault>,
}

/// One node.
#[derive(Debug, Clone)]
pub struct NodePlan {
    /// Which node it is, also after others were taken away.
    pub name: u32,
    /// Hundredths of the torrent that it has from the start; 100 for a seed.
    pub has: u64,
    pub joins: Moment,
    /// Bytes a second it can send.
    pub up: u64,
    /// Microseconds from here to the middle of the network.
    pub latency: u64,
    pub max_peers: u32,
    pub slots: Option<usize>,
    /// Microseconds that a thread of it may have to wait for the processor.
    pub sluggish: u64,
    /// Bytes a second its disk writes.
    pub disk: u64,
    /// It cannot be dialed.
    pub firewalled: bool,
    pub encryption: EncryptionPolicy,
    /// What a box in front of it cuts off.
    pub cuts_off: Option<CutsOff>,
    /// Without the Fast Extension, or the Extension Protocol.
    pub plain: bool,
    /// It knows only the magnet link at first.
    pub magnet: bool,
    pub sequential: bool,
    pub super_seed: bool,
    /// How long it seeds, and by what ratio in hundredths, until it ends by itself.
    pub seeds_for: Option<Duration>,
    pub seeds_ratio: Option<u64>,
    /// Nodes of one client share their connections and active slots.
    pub client: u32,
    pub twist: Option<Twist>,
}

/// How a liar differs from an honest node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// One block in so many is wrong.
    Corrupts(u64),
    /// Only the last byte of the piece is.
    CorruptsTheLastByte,
    NeverUnchokes,
    /// After each so many blocks.
    ChokesAfter(u32),
    /// Sends the half of a block and then nothing, after so many.
    StallsMidBlock(u32),
    /// A frame of two gigabytes after so many blocks.
    Oversized(u32),
    /// Sends blocks that were not requested.
    Unrequested,
    /// Says that it has everything and serves nothing.
    HasAllServesNone,
    RejectsAll,
    /// Reads nothing.
    Deaf,
    /// Sends the block behind the one asked for.
    WrongOffset,
    /// Asks for each block twice.
    AsksTwice,
    /// Says `have` again and again.
    HaveFlood,
    /// Sends metadata of which the last byte of each block is wrong.
    FalseMetadata,
    /// Sends none of the metadata that it says it has.
    HoldsMetadataBack,
    /// Does not exchange metadata.
    NoMetadata,
}

/// Something goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub at: Moment,
    pub lasts: Duration,
    pub what: What,
}

/// What goes wrong. Nodes are given by name.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// A connection is reset, if need be inside a frame; which one the number says.
    Cut(u64),
    /// Every connection of a node is reset.
    CutAll(u32),
    /// Nothing moves on a connection.
    Stall(u64),
    /// Nothing moves to or from a node.
    Freeze(u32),
    /// Nothing moves between two halves of the world.
    Partition(u64),
    /// The program is killed, and starts again later; with a power cut what was not synced is lost.
    Crash(u32, bool),
    /// Its user pauses it, and resumes it later.
    Pause(u32),
    /// Its user has all data hashed again.
    Verify(u32),
    /// Its user has it end, and starts it again later.
    Remove(u32),
    /// The client of a node ends with all its torrents, and starts again later.
    Shutdown(u32),
    /// Another program changes a file of a node; which one the number says.
    Change(u32, u64, Change),
    DiskFull(u32),
    /// The write or read after so many more fails; a torn write leaves a part of it.
    WriteFails(u32, u32),
    WriteTears(u32, u32),
    ReadFails(u32, u32),
    /// So many times slower.
    DiskSlow(u32, u64),
    /// Its threads wait long for the processor.
    Sluggish(u32),
    /// The threads of its connections hang, as in a write that is never taken; until they are hung up on, or
    /// whatever happens.
    Hang(u32, Hang),
    /// A node has nothing more to do with others, for which the bits stand. Never with the first seed.
    Blocks(u32, u64),
    /// A node is told the addresses of all others, by a source other than trackers and peers.
    Names(u32, Source),
    Tracker(usize, Mood),
}

/// What ends the hanging of a thread before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hang {
    UntilHungUp,
    WhateverHappens,
}

/// What a tracker is like for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Honest,
    Vanished,
    Refuses,
    /// Names addresses at which there is no node.
    Lies,
    /// Names no peers, and an interval of hours.
    Forgets,
    /// Any of these, each time anew.
    Fickle,
}

const KIB: u64 = 1024;

impl Plan {
    /// The world of a seed. Most are small; some have 200 nodes.
    pub fn of(seed: u64) -> Plan {
        let mut dice = Random::seeded(seed ^ 0x5151_D15C);
        let size = match dice.below(1000) {
            0..=499 => 2 + dice.below(5),
            500..=819 => 6 + dice.below(9),
            820..=949 => 15 + dice.below(30),
            950..=989 => 45 + dice.below(60),
            _ => 105 + dice.below(96),
        };
        Plan::sized(seed, size as usize)
    }

    /// A world of so many nodes.
    pub fn sized(seed: u64, size: usize) -> Plan {
        let mut dice = Random::seeded(seed);
        // The more nodes, the less each of them has to move.
        let most = (12 * 1024 * KIB / size as u64).clamp(192 * KIB, 2048 * KIB);
        let total = 1 + dice.below(most);
        let piece_length = [16, 32, 32, 64, 64, 128, 256, 20][dice.below(8) as usize] * 1024 - {
            if dice.below(10) == 0 { 24 * dice.below(300) as u32 } else { 0 }
        };
        let fast_net = dice.below(2) == 0;
        let rate = |dice: &mut Random| match fast_net {
            true => (200 + dice.below(4000)) * KIB,
            false => (10 + dice.below(300)) * KIB,
        };
        let liars = if dice.below(3) == 0 { 0 } else { dice.below(1 + size as u64 / 3) as usize };
        let crowd = 4 + dice.below(40) as u32;
        let nodes = (0..size).map(|at| {
            let seeds = at == 0 || dice.below(8) == 0;
            let liar = at > 0 && at <= liars;
            NodePlan {
                name: at as u32,
                has: match () {
                    _ if seeds || liar && dice.below(4) > 0 => 100,
                    _ if dice.below(4) == 0 => dice.below(100),
                    _ => 0,
                },
                joins: Moment::from_millis(if dice.below(3) == 0 {
                    dice.below(60_000)
                } else {
                    dice.below(500)
                }),
                up: rate(&mut dice),
                latency: 200
                    + [40_000, 40_000, 40_000, 300_000][dice.below(4) as usize] * dice.below(1000) / 1000,
                max_peers: crowd.max(4),
                slots: (dice.below(3) == 0).then(|| 1 + dice.below(6) as usize),
                sluggish: if dice.below(6) == 0 { 40_000 } else { 200 },
                disk: (if dice.below(6) == 0 { 100 } else { 20_000 }) * KIB,
                firewalled: at > 0 && dice.below(5) == 0,
                encryption: EncryptionPolicy::Allow,
                cuts_off: None,
                plain: dice.below(8) == 0,
                magnet: false,
                sequential: dice.below(8) == 0,
                super_seed: seeds && !liar && dice.below(6) == 0,
                seeds_for: None,
                seeds_ratio: None,
                client: at as u32,
                twist: liar.then(|| Twist::drawn(&mut dice)),
            }
        });
        let mut nodes: Vec<NodePlan> = nodes.collect();
        let trackers = 1 + dice.below(3) as usize;
        let count = if dice.below(6) == 0 { 0 } else { dice.below(4 + size.min(40) as u64) };
        let mut faults: Vec<Fault> =
            (0..count).map(|_| Fault::drawn(&mut dice, size as u64, trackers)).collect();
        let mut later = Random::seeded(seed ^ 0xC11E);
        let shares = later.below(4) == 0 && size < 60;
        for node in nodes.iter_mut().skip(1) {
            if node.twist.is_none() && node.has < 100 {
                node.seeds_for = (later.below(8) == 0).then(|| Duration::from_secs(later.below(120)));
                node.seeds_ratio = (later.below(8) == 0).then(|| 1 + later.below(200));
            }
            node.client = if shares { node.name / 3 } else { node.name };
        }
        for _ in 0..later.below(3) {
            let what = match later.below(3) {
                0 => What::Pause(later.below(size as u64) as u32),
                1 => What::Shutdown(later.below(size as u64) as u32),
                _ => What::Remove(later.below(size as u64) as u32),
            };
            let (at, lasts) = (later.below(30_000), 50 + later.below(60_000));
            let (at, lasts) = (Moment::from_millis(at), Duration::from_millis(lasts));
            faults.push(Fault { at, lasts, what });
        }
        let mut verifies = Random::seeded(seed ^ 0x7E51);
        for _ in 0..verifies.below(3) {
            let what = What::Verify(verifies.below(size as u64) as u32);
            let at = Moment::from_millis(verifies.below(30_000));
            faults.push(Fault { at, lasts: Duration::ZERO, what });
        }
        let mut links = Random::seeded(seed ^ 0xB7E9);
        // The first seed is one that has metadata to give.
        if links.below(2) == 0 && !nodes.first().is_some_and(|node| node.plain) {
            for node in nodes.iter_mut().skip(1).filter(|node| node.twist.is_none() && !node.plain) {
                node.magnet = links.below(3) == 0;
            }
            for node in nodes.iter_mut().filter(|node| node.twist.is_some()) {
                let twists = [Twist::FalseMetadata, Twist::HoldsMetadataBack, Twist::NoMetadata];
                node.twist = [node.twist, Some(twists[links.below(3) as usize])][links.below(2) as usize];
            }
        }
        let max_active = if shares { later.below(3) as usize } else { 0 };
        let max_connections = if shares { crowd * 2 } else { 10_000 };
        let mut meddler = Random::seeded(seed ^ 0xED17);
        let files = if meddler.below(2) == 0 { 1 } else { (1 + meddler.below(4)).min(total) };
        // One seed stays as it is, so that there is something to complete from.
        for _ in 0..if meddler.below(3) == 0 && size > 1 { 1 + meddler.below(5) } else { 0 } {
            let node = 1 + meddler.below(size as u64 - 1) as u32;
            let change = [Change::Spoil, Change::Spoil, Change::Touch, Change::Cut, Change::Remove];
            let what = What::Change(node, meddler.next_u64(), change[meddler.below(5) as usize]);
            faults.push(Fault {
                at: Moment::from_millis(meddler.below(60_000)),
                lasts: Duration::ZERO,
                what,
            });
        }
        let mut hangs = Random::seeded(seed ^ 0x4A46);
        if hangs.below(6) == 0 {
            let node = hangs.below(size as u64) as u32;
            let hang = [Hang::UntilHungUp, Hang::WhateverHappens][hangs.below(2) as usize];
            let at = Moment::from_millis(hangs.below(20_000));
            let lasts = Duration::from_millis(4_000 + hangs.below(30_000));
            faults.push(Fault { at, lasts, what: What::Hang(node, hang) });
            let what = [What::Remove(node), What::Shutdown(node)][hangs.below(2) as usize];
            let at = at + Duration::from_millis(hangs.below(3_000));
            faults.push(Fault { at, lasts, what });
        }
        // Some liars ask for each block twice.
        for node in nodes.iter_mut().filter(|node| node.twist.is_some()) {
            if hangs.below(8) == 0 {
                (node.has, node.twist) = (hangs.below(60), Some(Twist::AsksTwice));
            }
        }
        let mut policies = Random::seeded(seed ^ 0xE9C);
        let is_mixed = policies.below(3) == 0;
        // The first seed is one that everyone reaches, through whatever box.
        for node in nodes.iter_mut().filter(|_| is_mixed) {
            let all =
                if node.name == 0 { [Allow, Allow, Prefer, Prefer] } else { [Off, Allow, Prefer, Require] };
            node.encryption = all[policies.below(4) as usize];
            node.cuts_off = match (node.encryption, policies.below(12)) {
                _ if node.name == 0 => None,
                (Allow | Prefer | Require, 0) => Some(CutsOff::Plain),
                (Allow | Prefer | Off, 1) => Some(CutsOff::Encrypted),
                _ => None,
            };
        }
        for _ in 0..if policies.below(4) == 0 { policies.below(5) } else { 0 } {
            let node = policies.below(size as u64) as u32;
            let what = match policies.below(2) {
                0 if node > 0 => What::Blocks(node, policies.next_u64()),
                _ => What::Names(node, [Source::Dht, Source::Lsd][policies.below(2) as usize]),
            };
            let (at, lasts) = (policies.below(60_000), 1_000 + policies.below(100_000));
            let (at, lasts) = (Moment::from_millis(at), Duration::from_millis(lasts));
            faults.push(Fault { at, lasts, what });
        }
        let weather = Weather::drawn(&mut Random::seeded(seed ^ 0x3EA7));
        let pex = dice.below(4) > 0;
        Plan {
            seed,
            piece_length,
            total,
            files,
            trackers,
            pex,
            max_active,
            max_connections,
            weather,
            nodes,
            faults,
        }
    }
}

impl Twist {
    fn drawn(dice: &mut Random) -> Twist {
        let few = dice.below(12) as u32;
        match dice.below(14) {
            0 => Twist::Corrupts(1),
            1 => Twist::Corrupts(2 + dice.below(20)),
            2 => Twist::CorruptsTheLastByte,
            3 => Twist::NeverUnchokes,
            4 => Twist::ChokesAfter(1 + few),
            5 | 6 => Twist::StallsMidBlock(few),
            7 => Twist::Oversized(few),
            8 => Twist::Unrequested,
            9 | 10 => Twist::HasAllServesNone,
            11 => Twist::RejectsAll,
            12 => {
                if few < 6 {
                    Twist::Deaf
                } else {
                    Twist::HaveFlood
                }
            }
            _ => Twist::WrongOffset,
        }
    }
}

impl Fault {
    fn drawn(dice: &mut Random, nodes: u64, trackers: usize) -> Fault {
        let node = dice.below(nodes) as u32;
        let nth = dice.below(30) as u32;
        let what = match dice.below(24) {
            0..=3 => What::Cut(dice.next_u64()),
            4 => What::CutAll(node),
            5..=7 => What::Stall(dice.next_u64()),
            8 => What::Freeze(node),
            9 => What::Partition(dice.next_u64()),
            10..=12 => What::Crash(node, dice.below(2) == 0),
            13..=14 => What::DiskFull(node),
            15 => What::WriteFails(node, nth),
            16 => What::WriteTears(node, nth),
            17 => What::ReadFails(node, nth),
            18 => What::DiskSlow(node, 2 + dice.below(60)),
            19 => What::Sluggish(node),
            _ => {
                let moods = [Mood::Vanished, Mood::Refuses, Mood::Lies, Mood::Forgets, Mood::Fickle];
                What::Tracker(dice.below(trackers as u64) as usize, moods[dice.below(5) as usize])
            }
        };
        let early = if dice.below(2) == 0 { 8_000 } else { 90_000 };
        let long = if dice.below(3) == 0 { 300_000 } else { 20_000 };
        Fault {
            at: Moment::from_millis(dice.below(early)),
            lasts: Duration::from_millis(50 + dice.below(long)),
            what,
        }
    }
}
