//! How the DHT is entered: nodes that are known by name, asked while too few others are known.
//!
//! Names are looked up on a thread of their own, which may take as long as it likes: it holds only a
//! sender. While no node answers this is repeated with exponential backoff.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::handle::ToDht;
use crate::engine::net::egress::Egress;
use crate::engine::runtime::threads;
use crate::moment::Moment;

/// With this many good nodes no more routers are asked.
const ENOUGH_NODES: usize = 8;
/// How long nodes known from an earlier run have to answer before routers are asked.
const SAVED_NODES_FIRST: Duration = Duration::from_secs(5);
/// The pause after the first time; it doubles.
const MIN_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(30 * 60);
/// A look-up that takes longer is no longer waited for.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(120);
/// Addresses taken of one name.
const MAX_ADDRESSES_PER_NAME: usize = 8;

/// Which nodes are asked, and when.
pub(crate) struct Bootstrap {
    names: Vec<String>,
    egress: Arc<Egress>,
    next: Moment,
    pause: Duration,
    asking: Option<Moment>,
    /// Addresses of the last time, and names that had none.
    found: (u32, u32),
}

impl Bootstrap {
    /// Nodes `HOST:PORT`. Where many are known from an earlier run, those come first.
    pub(crate) fn new(names: Vec<String>, egress: Arc<Egress>, saved: usize, now: Moment) -> Self {
        let next = if saved < ENOUGH_NODES { now } else { now + SAVED_NODES_FIRST };
        Bootstrap { names, egress, next, pause: MIN_PAUSE, asking: None, found: (0, 0) }
    }

    /// When to see whether enough nodes are known; nothing while they are.
    pub(crate) fn deadline(&self, good: usize) -> Option<Moment> {
        let idle = good >= ENOUGH_NODES || self.names.is_empty();
        (!idle).then(|| self.asking.map_or(self.next, |since| self.next.max(since + LOOKUP_TIMEOUT)))
    }

    /// Looks the names up if it is time. Nodes that need no look-up are returned, the others are
    /// told to `home`.
    pub(crate) fn ask(&mut self, good: usize, home: &Sender<ToDht>, now: Moment) -> Vec<SocketAddr> {
        if good >= ENOUGH_NODES {
            self.pause = MIN_PAUSE;
        }
        if self.deadline(good).is_none_or(|due| due > now) {
            return Vec::new();
        }
        (self.next, self.pause) = (now + self.pause, (self.pause * 2).min(MAX_PAUSE));
        let (known, names): (Vec<_>, Vec<_>) =
            self.names.iter().cloned().partition(|name| name.parse::<SocketAddr>().is_ok());
        self.found = (known.len() as u32, 0);
        if !names.is_empty() {
            let (home, egress) = (home.clone(), self.egress.clone());
            let asking = move || {
                for name in names {
                    let found = addresses(&name, &egress);
                    if home.send(ToDht::Nodes(found)).is_err() {
                        return;
                    }
                }
                let _ = home.send(ToDht::NamesLookedUp);
            };
            if threads::spawn("dht-dns", asking).is_ok() {
                self.asking = Some(now);
            }
        }
        known.iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// A name was looked up and has `addresses` addresses.
    pub(crate) fn found(&mut self, addresses: usize) {
        self.found.0 += addresses as u32;
        self.found.1 += u32::from(addresses == 0);
    }

    /// Addresses at which the DHT was entered the last time, and names that could not be looked up.
    pub(crate) fn last(&self) -> (u32, u32) {
        self.found
    }

    /// The network is back: it is tried again at once.
    pub(crate) fn retry(&mut self, now: Moment) {
        (self.next, self.pause) = (now, MIN_PAUSE);
    }

    /// Every name was looked up.
    pub(crate) fn asked(&mut self) {
        self.asking = None;
    }
}

/// The addresses of a node `HOST:PORT`; none where it cannot be looked up.
fn addresses(name: &str, egress: &Egress) -> Vec<SocketAddr> {
    let Some((host, port)) = name.rsplit_once(':') else { return Vec::new() };
    let found = port.parse().ok().and_then(|port| egress.look_up_peer(host, port, LOOKUP_TIMEOUT).ok());
    found.into_iter().flatten().take(MAX_ADDRESSES_PER_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;

    /// When routers are asked in the first two hours while `good` good nodes are known.
    fn asked(mut routers: Bootstrap, good: usize) -> Vec<u64> {
        let (home, _inbox) = unbounded();
        let mut asked = Vec::new();
        let mut now = Moment::START;
        while let Some(due) = routers.deadline(good).filter(|due| *due < Moment::from_secs(7200)) {
            now = now.max(due);
            assert_eq!(routers.ask(good, &home, now).len(), 1);
            asked.push(now.as_micros() / 1_000_000);
        }
        asked
    }

    fn routers(saved: usize) -> Bootstrap {
        Bootstrap::new(vec!["127.0.0.1:1".to_owned()], Arc::default(), saved, Moment::START)
    }

    #[test]
    fn routers_are_asked_at_once_and_ever_more_seldom() {
        assert_eq!(asked(routers(0), 0), [0, 5, 15, 35, 75, 155, 315, 635, 1275, 2555, 4355, 6155]);
    }

    #[test]
    fn nodes_of_an_earlier_run_come_first() {
        assert_eq!(asked(routers(20), 0)[..2], [5, 10]);
        assert_eq!(asked(routers(20), 8), [] as [u64; 0]);
    }

    #[test]
    fn names_are_looked_up_elsewhere() {
        let (home, inbox) = unbounded();
        let mut routers = Bootstrap::new(vec!["localhost:7".to_owned()], Arc::default(), 0, Moment::START);
        assert_eq!(routers.ask(0, &home, Moment::START), []);
        let told: Vec<ToDht> = inbox.iter().take(2).collect();
        let [ToDht::Nodes(found), ToDht::NamesLookedUp] = &told[..] else {
            panic!("something else was told")
        };
        assert!(found.iter().all(|node| node.ip().is_loopback() && node.port() == 7) && !found.is_empty());
        routers.found(found.len());
        routers.found(0);
        assert_eq!(routers.last(), (found.len() as u32, 1));
        // Not twice at a time.
        let due = routers.deadline(0);
        routers.asked();
        assert!(routers.deadline(0) < due);
    }
}
