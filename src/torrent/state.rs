//! A torrent's state: its life as one enum of stages, and the fields of each. The code that changes it is in
//! the files beside this one.
//!
//! ```text
//! FetchingMetadata -> Waiting -> Checking -> Open -> Stopping -> Ended
//!        |             | ^          |       | |       ^
//!        |             | +------ Closing <--+ |       |
//!        +-------------+------------+---------+-------+
//!        |             |            |         |       |
//!        +-------------+------------+---------+-> Failed
//! ```
//!
//! A torrent that failed can be closed and opened anew, too.
//!
//! The [swarm](Swarm) is beside the stage: connections outlive the stage in which they came. A pause and the
//! [active slot](ActiveSlot) are beside it, too: a torrent is paused, and waits for a slot, before its data is
//! checked as well as after. Storage trouble is a state of an open torrent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::action::Actions;
use super::change::Change;
use super::doubts::Doubts;
use super::files_done::FilesDone;
use super::host::ShutdownDeadlines;
use super::save_schedule::Saving;
use super::seed_limits::SeedLimits;
use super::swarm::Swarm;
use crate::bitfield::Bitfield;
use crate::config::TorrentConfig;
use crate::filter::AddressFilter;
use crate::host::active_queue::Lane;
use crate::id::PeerId;
use crate::metainfo::{Magnet, Metainfo};
use crate::moment::Moment;
use crate::pieces::Pieces;
use crate::random::Random;
use crate::rate::RateMeter;
use crate::snapshot::Failure;
use crate::swarm::choker::Choker;
use crate::swarm::metadata::Metadata;
use crate::swarm::picker::Picker;
use crate::swarm::superseed::SuperSeed;

/// The settings and the identity of a torrent.
pub struct Setup {
    /// Its settings.
    pub config: TorrentConfig,
    /// Our id.
    pub peer_id: PeerId,
    /// The port that peers connect to.
    pub port: u16,
    /// Whether peers are exchanged (BEP 11).
    pub pex: bool,
    /// Addresses that no peer may have.
    pub filter: Arc<AddressFilter>,
    /// Whether active slots are limited, to download and to seed.
    pub has_queue: bool,
    /// As above.
    pub has_seed_queue: bool,
    /// Bytes of metadata that are taken from peers at most.
    pub max_metadata: u32,
    /// Connections that memory allows the client, for a torrent that takes little of it.
    pub max_connections: u32,
    /// How often the state is saved while pieces are verified.
    pub save_every: Duration,
    /// Seeds what is drawn here.
    pub random: Random,
}

/// One torrent.
pub struct Torrent {
    pub(super) setup: Setup,
    pub(super) random: Random,
    pub(super) stage: Stage,
    /// What it is made of, once that is known.
    pub(super) metainfo: Option<Arc<Metainfo>>,
    /// Its files were closed, or are to be hashed: what the next check needs to know of that.
    pub(super) reopening: Option<Reopening>,
    /// Changes that wait for that.
    pub(super) changes: Vec<Change>,
    /// Its peers, in every stage.
    pub(super) swarm: Swarm,
    pub(super) slot: ActiveSlot,
    pub(super) paused: bool,
    pub(super) limits: SeedLimits,
    pub(super) down: RateMeter,
    pub(super) up: RateMeter,
    /// Stops of trackers that were not answered yet.
    pub(super) trackers_stopping: u32,
    /// Bytes of pieces that failed their check in this session.
    pub(super) corrupt: u64,
    /// When payload was last seen to move.
    pub(super) moved: Option<Moment>,
    /// What is shown of what went wrong: with the torrent or its storage, and with its trackers.
    pub(super) error: Option<Failure>,
    pub(super) tracker_error: Option<Arc<str>>,
    pub(super) tracker_warning: Option<Arc<str>>,
    pub(super) out: Actions,
}

/// Where a torrent is in its life.
pub(super) enum Stage {
    /// Peers are asked what the torrent is made of (BEP 9).
    FetchingMetadata(Box<Fetching>),
    /// The data was not looked at yet.
    Waiting(Early),
    /// It is being checked.
    Checking(Early),
    /// The torrent downloads or seeds, or would if it were not paused, queued or in trouble.
    Open(Box<Active>),
    /// Its files are closed, to be opened anew.
    Closing(Box<Closing>),
    /// It cannot go on; what it has stays until it is removed.
    Failed(Option<Box<Active>>),
    /// It ends.
    Stopping(Box<Stopping>),
    /// It has ended; what it had is only shown.
    Ended(Option<Box<Active>>),
}

/// The torrent before its data was checked.
pub(super) struct Early {
    pub(super) metainfo: Arc<Metainfo>,
}

/// What there is while metadata is fetched.
pub(super) struct Fetching {
    pub(super) magnet: Magnet,
    pub(super) metadata: Metadata,
    /// When to ask for more peers again, where there are few.
    pub(super) ask_again: Moment,
    /// It is looked whether the metadata was kept, and no peer is asked before.
    pub(super) loading: bool,
}

/// The working state of a torrent whose data was checked.
pub(super) struct Active {
    pub(super) metainfo: Arc<Metainfo>,
    pub(super) pieces: Pieces,
    pub(super) picker: Picker,
    pub(super) choker: Choker,
    pub(super) super_seed: Option<SuperSeed>,
    /// A peer came, went, or changed its interest: choking is decided anew.
    pub(super) rethink: bool,
    pub(super) files_done: FilesDone,
    pub(super) changes: Doubts,
    pub(super) saving: Saving,
    pub(super) trouble: Option<Trouble>,
    /// Everything wanted is there.
    pub(super) finished: bool,
    pub(super) holds_every_file: bool,
    pub(super) has_chosen_names: bool,
    pub(super) started: Moment,
    pub(super) next_tick: Option<Moment>,
    /// Bytes sent when that was last written down, and when.
    pub(super) counted: u64,
    pub(super) counted_at: Moment,
    /// The pieces asked for, their bytes, and the bytes of those that are verified.
    pub(super) wanted: Bitfield,
    pub(super) wanted_bytes: u64,
    pub(super) verified_bytes: u64,
    /// Bytes that had come of unfinished pieces at the last tick.
    pub(super) unchecked: u64,
}

impl Stage {
    pub(super) fn active(&self) -> Option<&Active> {
        match self {
            Stage::Open(active) => Some(active),
            Stage::Failed(active) | Stage::Ended(active) => active.as_deref(),
            Stage::Closing(closing) => closing.active.as_deref(),
            Stage::Stopping(stopping) => stopping.active.as_deref(),
            Stage::FetchingMetadata(_) | Stage::Waiting(_) | Stage::Checking(_) => None,
        }
    }

    pub(super) fn active_mut(&mut self) -> Option<&mut Active> {
        match self {
            Stage::Open(active) => Some(active),
            Stage::Failed(active) | Stage::Ended(active) => active.as_deref_mut(),
            Stage::Closing(closing) => closing.active.as_deref_mut(),
            Stage::Stopping(stopping) => stopping.active.as_deref_mut(),
            Stage::FetchingMetadata(_) | Stage::Waiting(_) | Stage::Checking(_) => None,
        }
    }

    /// What there was before, out of a stage that is left.
    pub(super) fn into_active(self) -> Option<Box<Active>> {
        match self {
            Stage::Open(active) => Some(active),
            Stage::Failed(active) | Stage::Ended(active) => active,
            Stage::Closing(closing) => closing.active,
            Stage::Stopping(stopping) => stopping.active,
            Stage::FetchingMetadata(_) | Stage::Waiting(_) | Stage::Checking(_) => None,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.active().is_some_and(|active| active.finished)
    }

    pub(super) fn has_failed(&self) -> bool {
        match self {
            Stage::Failed(_) => true,
            Stage::Stopping(stopping) => stopping.failed,
            _ => false,
        }
    }

    /// Whether the torrent ends, or has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Stage::Stopping(_) | Stage::Ended(_))
    }
}

impl Active {
    /// Bytes of the whole torrent that are not there.
    pub(super) fn left(&self) -> u64 {
        self.pieces.total() - self.pieces.bytes_in(self.picker.have())
    }
}
/// Where a torrent is with its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActiveSlot {
    /// It has none and wants none.
    None,
    Waiting(Lane),
    /// Since when, or since something last moved, and how much had moved by then.
    Held(Lane, Moment, u64),
    /// It gave it up, for nothing moved, and goes on.
    Yielded(Lane),
}

/// A storage failure being waited out.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) next_try: Moment,
    pub(super) wait: Duration,
    pub(super) asked: bool,
}

impl Trouble {
    /// When to try again.
    pub(super) fn next_try(&self) -> Moment {
        // While the disk has been asked, its answer is what is waited for.
        if self.asked { Moment::from_micros(u64::MAX) } else { self.next_try }
    }
}

/// A torrent whose files are being closed.
pub(super) struct Closing {
    pub(super) active: Option<Box<Active>>,
    /// It could not go on: what is verified is not certain, and is not saved.
    pub(super) failed: bool,
    pub(super) step: Step,
    pub(super) hang_up: Moment,
    /// The changes that are made once the files are closed.
    pub(super) changes: VecDeque<Change>,
}

/// What outlives the closing of the files.
#[derive(Debug, Default)]
pub(super) struct Reopening {
    /// All data is hashed, whatever the state says.
    pub(super) hash_all: bool,
    /// Payload bytes of all sessions before, and when this one began.
    pub(super) before: Option<(u64, u64)>,
    pub(super) started: Option<Moment>,
    /// Everything wanted was there.
    pub(super) finished: bool,
}

/// A torrent that ends.
pub(super) struct Stopping {
    pub(super) active: Option<Box<Active>>,
    /// It could not go on; its state is kept.
    pub(super) failed: bool,
    pub(super) step: Step,
    pub(super) deadlines: ShutdownDeadlines,
}

/// The step of stopping that is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Connections end by themselves, or were hung up on.
    Connections { hung_up: bool },
    /// The disk writes what they left.
    Disk { closed: bool },
    /// The state is saved.
    Save,
    /// Trackers hear of it.
    Trackers,
    /// The files are closed, and changes are made.
    Change,
    /// The files are moved.
    Moving,
}

impl Stopping {
    /// When the present step is given up.
    pub(super) fn deadline(&self) -> Moment {
        match self.step {
            Step::Connections { hung_up: false } => self.deadlines.hang_up,
            Step::Connections { hung_up: true } => self.deadlines.connections,
            Step::Disk { .. } => self.deadlines.disk,
            Step::Save => self.deadlines.saved,
            Step::Trackers | Step::Change | Step::Moving => self.deadlines.trackers,
        }
    }

    pub(super) fn is_saving(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.saving.is_running())
    }
}
