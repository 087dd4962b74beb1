//! When a torrent may download: its turn among all torrents of the client, and what it waits for
//! until then.
//!
//! A torrent needs a turn as long as there is something to download, from the first look at what is
//! on disk on. One that receives nothing for a while goes on, but gives its turn to another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Foreman;
use crate::engine::disk::checker::Check;
use crate::engine::inbox::{ForemanSender, ToForeman};
use crate::engine::runtime::counters::Counters;
use crate::event::EventKind;
use crate::host::active_queue::Queue;
use crate::id::TorrentKey;
use crate::moment::Moment;

/// How long a torrent may receive nothing before another has its turn.
const STALLED: Duration = Duration::from_secs(60);

/// The turns of all torrents, and how those that wait are told.
pub(crate) struct ActiveQueue {
    books: Mutex<Books>,
    limited: bool,
}

struct Books {
    queue: Queue<TorrentKey>,
    waiting: HashMap<TorrentKey, ForemanSender>,
}

impl ActiveQueue {
    /// So many at a time; 0 is no limit.
    pub(crate) fn new(most: u32) -> Self {
        let queue = Queue::new(most as usize);
        ActiveQueue {
            limited: queue.is_limited(),
            books: Mutex::new(Books { queue, waiting: HashMap::new() }),
        }
    }

    /// Whether it is had at once; otherwise the foreman is told when.
    fn ask(&self, key: TorrentKey, foreman: &ForemanSender) -> bool {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let Books { queue, waiting } = &mut *books;
        let had = queue.ask(key);
        if !had {
            waiting.insert(key, foreman.clone());
        }
        had
    }

    pub(super) fn done(&self, key: TorrentKey) {
        let next = {
            let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
            let Books { queue, waiting } = &mut *books;
            waiting.remove(&key);
            queue.done(key).and_then(|next| waiting.remove(&next))
        };
        if let Some(foreman) = next {
            // One that waits sends nobody a turn, so this cannot go in a circle; one that ends just
            // now gives the turn back itself.
            let _ = foreman.send(ToForeman::YourTurn);
        }
    }
}

/// Where a torrent is with its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has none and wants none.
    None,
    Waiting,
    /// Since when, or since something last came.
    Having(Moment, u64),
    /// It gave it up, for nothing came, and goes on.
    Lent,
}

impl Foreman {
    /// Whether it waits for its turn.
    pub(super) fn is_queued(&self) -> bool {
        self.turn == Turn::Waiting
    }

    /// Asks for a turn if one is needed and not asked for yet.
    pub(super) fn ask_turn(&mut self) {
        if !self.needs_turn() || self.turn != Turn::None {
            return;
        }
        if self.setup.client.turns.ask(self.setup.key, &self.sender) {
            self.turn = self.having();
        } else {
            self.turn = Turn::Waiting;
            self.tell(EventKind::Queued);
        }
    }

    fn is_idle(&self) -> bool {
        self.finished || self.failed || self.paused || self.removed
    }

    fn needs_turn(&self) -> bool {
        !self.is_idle() && !self.setup.config.seed_only
    }

    /// Asks for a turn, gives it back, and begins when it is had.
    pub(super) fn mind_turn(&mut self) {
        let (idle, needed) = (self.is_idle(), self.needs_turn());
        let (turns, key, now) = (&self.setup.client.turns, self.setup.key, self.now());
        match self.turn {
            Turn::None if needed => {
                self.ask_turn();
                self.work();
            }
            Turn::Waiting | Turn::Having(..) | Turn::Lent if !needed => {
                turns.done(key);
                self.turn = Turn::None;
            }
            Turn::Having(_, bytes) if bytes != self.received() || self.active.is_none() => {
                self.turn = self.having();
            }
            Turn::Having(since, _) if turns.limited && since + STALLED <= now => {
                turns.done(key);
                self.turn = Turn::Lent;
            }
            _ => {}
        }
        if !self.begun && !idle && !self.is_queued() {
            self.begin();
        }
    }

    /// A turn came free and is ours.
    pub(super) fn on_turn(&mut self) {
        if self.is_queued() {
            self.turn = self.having();
            self.work();
        }
    }

    fn having(&self) -> Turn {
        Turn::Having(self.now(), self.received())
    }

    fn received(&self) -> u64 {
        Counters::read(&self.counters.downloaded)
    }

    /// When to see whether nothing has come for too long.
    pub(super) fn turn_due(&self) -> Option<Moment> {
        match self.turn {
            Turn::Having(since, _) if self.setup.client.turns.limited => Some(since + STALLED),
            _ => None,
        }
    }

    /// The data that is there is looked at.
    fn begin(&mut self) {
        self.begun = true;
        self.tell(EventKind::Checking);
        let (metainfo, standing) = (self.metainfo.clone(), self.standing.clone());
        self.check = Some(Check::start(&self.setup, metainfo, standing, self.sender.clone()));
    }
}
