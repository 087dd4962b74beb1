//! Who has how much of what is shared. Pure.
//!
//! A guest is whoever told the tracker that it can be reached at an address; what it has is known
//! from the connection to it, and that it has everything from its announces too, for it may leave
//! with its last piece. An announce alone is not believed: a guest has everything when it says so and
//! took data from us, or was seen to get the rest. Invariant: a guest is counted once, however often
//! it comes back; at most [`MOST`] are known.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use bitwren::PeerId;
use bitwren::internals::tracker::Event;
use bitwren::{Announced, PeerSnapshot};

use crate::cli::output::status;
use crate::cli::output::units;

/// Guests that are known at most.
const MOST: usize = 10_000;

/// One machine, or one program on it.
#[derive(Debug, Clone, Default)]
struct Guest {
    /// Pieces it has of each torrent.
    pieces: Vec<u32>,
    /// Torrents it has whole.
    whole: Vec<bool>,
    /// What is known of each torrent that it may have whole.
    claims: Vec<Claim>,
    /// Bytes a second that we send it.
    rate: u64,
    /// It has not said goodbye.
    here: bool,
}

/// What a guest says and does about a torrent.
#[derive(Debug, Clone, Copy, Default)]
struct Claim {
    /// It announced that it has everything.
    announced: bool,
    /// A connection showed that it has everything.
    shown: bool,
    /// A connection showed that something was missing before.
    was_partial: bool,
    /// We sent it data.
    took: bool,
}

impl Claim {
    fn is_believed(self) -> bool {
        (self.announced || self.shown) && self.took || self.shown && self.was_partial
    }
}

/// Something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// A guest came.
    Came(SocketAddr),
    /// A guest has everything.
    Whole(SocketAddr),
}

/// All guests.
#[derive(Debug)]
pub struct Recipients {
    /// Pieces in each torrent.
    pieces: Vec<u32>,
    guests: BTreeMap<SocketAddr, Guest>,
    /// Where whoever calls itself this is known to be.
    known: HashMap<PeerId, SocketAddr>,
}

impl Recipients {
    /// Nobody yet, for torrents of so many pieces.
    pub fn new(pieces: Vec<u32>) -> Self {
        Recipients { pieces, guests: BTreeMap::new(), known: HashMap::new() }
    }

    /// A guest announced itself for a torrent.
    pub fn announced(&mut self, torrent: usize, announced: &Announced) -> Vec<News> {
        if self.known.len() >= MOST && !self.known.contains_key(&announced.peer_id) {
            return Vec::new();
        }
        let address = *self.known.entry(announced.peer_id).or_insert(announced.address);
        let mut news = Vec::new();
        let torrents = self.pieces.len();
        let guest = self.guests.entry(address).or_insert_with(|| {
            news.push(News::Came(address));
            Guest {
                pieces: vec![0; torrents],
                whole: vec![false; torrents],
                claims: vec![Claim::default(); torrents],
                ..Guest::default()
            }
        });
        guest.here = announced.event != Event::Stopped;
        if !guest.here {
            guest.rate = 0;
        }
        if announced.seed || announced.event == Event::Completed {
            news.extend(self.learn(torrent, address, |claim| claim.announced = true));
        }
        news
    }

    /// A connection has ended over which so many bytes were sent.
    pub fn gone(&mut self, torrent: usize, id: PeerId, uploaded: u64) -> Vec<News> {
        let known = self.known.get(&id).copied().filter(|_| uploaded > 0);
        let news = known.and_then(|address| self.learn(torrent, address, |claim| claim.took = true));
        news.into_iter().collect()
    }

    /// Who is connected for a torrent.
    pub fn seen(&mut self, torrent: usize, peers: &[PeerSnapshot]) -> Vec<News> {
        if torrent == 0 {
            self.guests.values_mut().for_each(|guest| guest.rate = 0);
        }
        let mut news = Vec::new();
        for peer in peers {
            let Some(&address) = self.known.get(&peer.id) else { continue };
            let Some(guest) = self.guests.get_mut(&address) else { continue };
            guest.rate += peer.up_rate;
            if let Some(pieces) = guest.pieces.get_mut(torrent) {
                *pieces = peer.pieces;
            }
            let has_all = self.pieces.get(torrent) == Some(&peer.pieces);
            news.extend(self.learn(torrent, address, |claim| {
                claim.took |= peer.uploaded > 0;
                claim.shown |= has_all;
                claim.was_partial |= !has_all;
            }));
        }
        news
    }

    /// Notes what is new about a guest; tells where it now has everything.
    fn learn(&mut self, torrent: usize, address: SocketAddr, note: impl FnOnce(&mut Claim)) -> Option<News> {
        let guest = self.guests.get_mut(&address)?;
        let claim = guest.claims.get_mut(torrent)?;
        note(claim);
        if !claim.is_believed() {
            return None;
        }
        let whole = guest.whole.get_mut(torrent)?;
        let first = !std::mem::replace(whole, true);
        *guest.pieces.get_mut(torrent)? = *self.pieces.get(torrent)?;
        (first && guest.whole.iter().all(|whole| *whole)).then_some(News::Whole(address))
    }

    /// How many have each torrent, of the one that fewest have.
    pub fn whole(&self) -> u32 {
        let of = |torrent| {
            let has = |guest: &&Guest| guest.whole.get(torrent) == Some(&true);
            self.guests.values().filter(has).count() as u32
        };
        (0..self.pieces.len()).map(of).min().unwrap_or(0)
    }

    /// How many came.
    pub fn count(&self) -> usize {
        self.guests.len()
    }

    /// Whether anyone who has everything has not said goodbye yet.
    pub fn lingers(&self) -> bool {
        self.guests.values().any(|guest| guest.here && guest.whole.iter().all(|whole| *whole))
    }

    /// A line for each guest that is here and has not everything, at most `rows` of them, and one
    /// about the others where there are any.
    pub fn lines(&self, columns: usize, rows: usize, utf8: bool) -> Vec<String> {
        let all: u64 = self.pieces.iter().map(|pieces| u64::from(*pieces)).sum();
        let open: Vec<_> = self
            .guests
            .iter()
            .filter(|(_, guest)| guest.here && guest.whole.iter().any(|whole| !whole))
            .collect();
        let shown = if open.len() > rows { rows.saturating_sub(1) } else { open.len() };
        let mut lines: Vec<String> = open
            .iter()
            .take(shown)
            .map(|(address, guest)| {
                let has: u64 = guest.pieces.iter().map(|pieces| u64::from(*pieces)).sum();
                let ratio = if all == 0 { 0.0 } else { has as f64 / all as f64 };
                let end = format!("{}  {}", status::percent(has, all), units::rate(guest.rate));
                let start = format!("{address:<22}");
                let room = columns.saturating_sub(start.chars().count() + end.chars().count() + 4);
                let bar = if room < 6 { String::new() } else { status::bar(ratio, room.min(32), utf8) };
                format!("{start}  {bar}  {end}")
            })
            .collect();
        if open.len() > shown && rows > 0 {
            lines.push(format!("and {} more", open.len() - shown));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitwren::InfoHash;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn announce(id: u8, port: u16, seed: bool, event: Event) -> Announced {
        Announced {
            info_hash: InfoHash::from_bytes([0; 20]),
            peer_id: PeerId::from_bytes([id; 20]),
            address: at(port),
            seed,
            event,
        }
    }

    fn connected(id: u8, pieces: u32, up_rate: u64) -> PeerSnapshot {
        PeerSnapshot {
            addr: at(40_000),
            id: PeerId::from_bytes([id; 20]),
            client: None,
            incoming: true,
            pieces,
            down_rate: 0,
            up_rate,
            uploaded: 1,
        }
    }

    #[test]
    fn a_guest_is_whole_once_however_it_is_found_out() {
        let mut audience = Recipients::new(vec![10]);
        assert_eq!(audience.announced(0, &announce(1, 1, false, Event::Started)), [News::Came(at(1))]);
        assert!(audience.seen(0, &[connected(1, 9, 5), connected(7, 10, 5)]).is_empty());
        assert_eq!(audience.whole(), 0);
        assert_eq!(audience.seen(0, &[connected(1, 10, 5)]), [News::Whole(at(1))]);
        assert!(audience.announced(0, &announce(1, 1, true, Event::Completed)).is_empty());
        assert!(audience.lingers());
        audience.announced(0, &announce(1, 1, true, Event::Stopped));
        // The same program again, under another id.
        audience.announced(0, &announce(2, 1, true, Event::Started));
        assert_eq!((audience.whole(), audience.count()), (1, 1));
        // One that is known by its id and comes from another address as well.
        audience.announced(0, &announce(2, 99, true, Event::Started));
        assert_eq!((audience.whole(), audience.count()), (1, 1));
        // One that leaves with its last piece, before anyone looked at what it has.
        audience.announced(0, &announce(3, 3, true, Event::Completed));
        assert_eq!(audience.whole(), 1);
        assert_eq!(audience.gone(0, PeerId::from_bytes([3; 20]), 16_384), [News::Whole(at(3))]);
        assert_eq!(audience.whole(), 2);
    }

    #[test]
    fn a_guest_that_took_nothing_is_not_believed() {
        let mut audience = Recipients::new(vec![10]);
        audience.announced(0, &announce(1, 1, true, Event::Started));
        audience.announced(0, &announce(1, 1, true, Event::Completed));
        assert!(audience.seen(0, &[PeerSnapshot { uploaded: 0, ..connected(1, 10, 0) }]).is_empty());
        assert!(audience.gone(0, PeerId::from_bytes([1; 20]), 0).is_empty());
        assert_eq!(audience.whole(), 0);
        // One that got everything from other guests was seen without something.
        audience.announced(0, &announce(2, 2, false, Event::Started));
        let took_nothing = |pieces| PeerSnapshot { uploaded: 0, ..connected(2, pieces, 0) };
        assert!(audience.seen(0, &[took_nothing(4)]).is_empty());
        assert_eq!(audience.seen(0, &[took_nothing(10)]), [News::Whole(at(2))]);
    }

    #[test]
    fn of_several_torrents_the_one_that_fewest_have_counts() {
        let mut audience = Recipients::new(vec![10, 20]);
        audience.announced(0, &announce(1, 1, true, Event::Started));
        audience.gone(0, PeerId::from_bytes([1; 20]), 1);
        assert_eq!(audience.whole(), 0);
        audience.gone(1, PeerId::from_bytes([1; 20]), 1);
        assert_eq!(audience.announced(1, &announce(1, 1, true, Event::Completed)), [News::Whole(at(1))]);
        assert_eq!(audience.whole(), 1);
    }

    #[test]
    fn the_picture_fits_its_window() {
        let mut audience = Recipients::new(vec![10]);
        for id in 1..=5 {
            audience.announced(0, &announce(id, id.into(), false, Event::Started));
        }
        audience.seen(0, &[connected(1, 5, 1 << 20), connected(2, 10, 0)]);
        let lines = audience.lines(60, 10, false);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], "10.0.0.1:1              [#######-------]   50.0%  1.00 MiB/s");
        let few = audience.lines(60, 2, true);
        assert_eq!((few.len(), few[1].as_str()), (2, "and 3 more"));
        for columns in 0..60 {
            assert!(audience.lines(columns, 3, true).len() <= 3);
        }
    }
}
