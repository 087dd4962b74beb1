//! How much of the shared torrents each recipient has. Pure.
//!
//! A recipient is a peer that announced an address to the tracker. Its pieces are known from the
//! connection to it; that it has everything, from its announces too, as it may leave with its last piece.
//! An announce alone is not believed: a recipient has everything when it says so and took data from us,
//! or was seen to get the rest. Invariant: a recipient is counted once, however often it comes back; at
//! most [`MAX_RECIPIENTS`] are known.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use bitwren::PeerId;
use bitwren::internals::tracker::Event;
use bitwren::{Announced, PeerSnapshot};

use crate::cli::output::status;
use crate::cli::output::units;

/// The most recipients that are known.
const MAX_RECIPIENTS: usize = 10_000;

/// One machine, or one program on it.
#[derive(Debug, Clone, Default)]
struct Recipient {
    /// Pieces it has of each torrent.
    pieces: Vec<u32>,
    /// Torrents it has whole.
    whole: Vec<bool>,
    /// What is known of each torrent that it may have whole.
    claims: Vec<Claim>,
    /// Bytes a second that we send it.
    rate: u64,
    /// It has not announced that it stops.
    here: bool,
}

/// What a recipient says and does about a torrent.
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

/// What is reported of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientEvent {
    /// It connected for the first time.
    Connected(SocketAddr),
    /// It has everything.
    Complete(SocketAddr),
}

/// All recipients.
#[derive(Debug)]
pub struct Recipients {
    /// Pieces in each torrent.
    pieces: Vec<u32>,
    recipients: BTreeMap<SocketAddr, Recipient>,
    /// The address of each peer id.
    known: HashMap<PeerId, SocketAddr>,
}

impl Recipients {
    /// No recipients yet, for torrents of these numbers of pieces.
    pub fn new(pieces: Vec<u32>) -> Self {
        Recipients { pieces, recipients: BTreeMap::new(), known: HashMap::new() }
    }

    /// A recipient announced itself for a torrent.
    pub fn announced(&mut self, torrent: usize, announced: &Announced) -> Vec<RecipientEvent> {
        if self.known.len() >= MAX_RECIPIENTS && !self.known.contains_key(&announced.peer_id) {
            return Vec::new();
        }
        let address = *self.known.entry(announced.peer_id).or_insert(announced.address);
        let mut events = Vec::new();
        let torrents = self.pieces.len();
        let recipient = self.recipients.entry(address).or_insert_with(|| {
            events.push(RecipientEvent::Connected(address));
            Recipient {
                pieces: vec![0; torrents],
                whole: vec![false; torrents],
                claims: vec![Claim::default(); torrents],
                ..Recipient::default()
            }
        });
        recipient.here = announced.event != Event::Stopped;
        if !recipient.here {
            recipient.rate = 0;
        }
        if announced.seed || announced.event == Event::Completed {
            events.extend(self.learn(torrent, address, |claim| claim.announced = true));
        }
        events
    }

    /// A connection has ended over which `uploaded` bytes were sent.
    pub fn gone(&mut self, torrent: usize, id: PeerId, uploaded: u64) -> Vec<RecipientEvent> {
        let known = self.known.get(&id).copied().filter(|_| uploaded > 0);
        let events = known.and_then(|address| self.learn(torrent, address, |claim| claim.took = true));
        events.into_iter().collect()
    }

    /// The peers that are connected for a torrent.
    pub fn seen(&mut self, torrent: usize, peers: &[PeerSnapshot]) -> Vec<RecipientEvent> {
        if torrent == 0 {
            self.recipients.values_mut().for_each(|recipient| recipient.rate = 0);
        }
        let mut events = Vec::new();
        for peer in peers {
            let Some(&address) = self.known.get(&peer.id) else { continue };
            let Some(recipient) = self.recipients.get_mut(&address) else { continue };
            recipient.rate += peer.up_rate;
            if let Some(pieces) = recipient.pieces.get_mut(torrent) {
                *pieces = peer.pieces;
            }
            let has_all = self.pieces.get(torrent) == Some(&peer.pieces);
            events.extend(self.learn(torrent, address, |claim| {
                claim.took |= peer.uploaded > 0;
                claim.shown |= has_all;
                claim.was_partial |= !has_all;
            }));
        }
        events
    }

    /// Notes what is new about a recipient; returns it if it now has everything.
    fn learn(
        &mut self,
        torrent: usize,
        address: SocketAddr,
        note: impl FnOnce(&mut Claim),
    ) -> Option<RecipientEvent> {
        let recipient = self.recipients.get_mut(&address)?;
        let claim = recipient.claims.get_mut(torrent)?;
        note(claim);
        if !claim.is_believed() {
            return None;
        }
        let whole = recipient.whole.get_mut(torrent)?;
        let first = !std::mem::replace(whole, true);
        *recipient.pieces.get_mut(torrent)? = *self.pieces.get(torrent)?;
        (first && recipient.whole.iter().all(|whole| *whole)).then_some(RecipientEvent::Complete(address))
    }

    /// The number of recipients that have all of a torrent, for the torrent with the fewest.
    pub fn whole(&self) -> u32 {
        let of = |torrent| {
            let has = |recipient: &&Recipient| recipient.whole.get(torrent) == Some(&true);
            self.recipients.values().filter(has).count() as u32
        };
        (0..self.pieces.len()).map(of).min().unwrap_or(0)
    }

    /// The number of recipients.
    pub fn count(&self) -> usize {
        self.recipients.len()
    }

    /// Whether a recipient that has everything has not announced yet that it stops.
    pub fn lingers(&self) -> bool {
        self.recipients.values().any(|recipient| recipient.here && recipient.whole.iter().all(|whole| *whole))
    }

    /// A line for each recipient that is here and lacks something, at most `rows` of them; the last one
    /// counts those that have no line.
    pub fn lines(&self, columns: usize, rows: usize, utf8: bool) -> Vec<String> {
        let all: u64 = self.pieces.iter().map(|pieces| u64::from(*pieces)).sum();
        let open: Vec<_> = self
            .recipients
            .iter()
            .filter(|(_, recipient)| recipient.here && recipient.whole.iter().any(|whole| !whole))
            .collect();
        let shown = if open.len() > rows { rows.saturating_sub(1) } else { open.len() };
        let mut lines: Vec<String> = open
            .iter()
            .take(shown)
            .map(|(address, recipient)| {
                let has: u64 = recipient.pieces.iter().map(|pieces| u64::from(*pieces)).sum();
                let ratio = if all == 0 { 0.0 } else { has as f64 / all as f64 };
                let end = format!("{}  {}", status::percent(has, all), units::rate(recipient.rate));
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
    use crate::cli::with;
    use bitwren::InfoHash;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn announce(id: u8, port: u16, seed: bool, event: Event) -> Announced {
        let peer_id = PeerId::from_bytes([id; 20]);
        let announced = Announced::new(InfoHash::from_bytes([0; 20]), peer_id, at(port));
        with(announced, |it| (it.seed, it.event) = (seed, event))
    }

    fn connected(id: u8, pieces: u32, up_rate: u64) -> PeerSnapshot {
        with(PeerSnapshot::new(at(40_000), PeerId::from_bytes([id; 20])), |it| {
            (it.incoming, it.pieces, it.up_rate, it.uploaded) = (true, pieces, up_rate, 1);
        })
    }

    #[test]
    fn a_recipient_is_whole_once_however_it_is_found_out() {
        let mut recipients = Recipients::new(vec![10]);
        assert_eq!(
            recipients.announced(0, &announce(1, 1, false, Event::Started)),
            [RecipientEvent::Connected(at(1))]
        );
        assert!(recipients.seen(0, &[connected(1, 9, 5), connected(7, 10, 5)]).is_empty());
        assert_eq!(recipients.whole(), 0);
        assert_eq!(recipients.seen(0, &[connected(1, 10, 5)]), [RecipientEvent::Complete(at(1))]);
        assert!(recipients.announced(0, &announce(1, 1, true, Event::Completed)).is_empty());
        assert!(recipients.lingers());
        recipients.announced(0, &announce(1, 1, true, Event::Stopped));
        // The same program again, under another id.
        recipients.announced(0, &announce(2, 1, true, Event::Started));
        assert_eq!((recipients.whole(), recipients.count()), (1, 1));
        // One that is known by its id and comes from another address as well.
        recipients.announced(0, &announce(2, 99, true, Event::Started));
        assert_eq!((recipients.whole(), recipients.count()), (1, 1));
        // A recipient that leaves with its last piece, before its pieces were looked at.
        recipients.announced(0, &announce(3, 3, true, Event::Completed));
        assert_eq!(recipients.whole(), 1);
        assert_eq!(
            recipients.gone(0, PeerId::from_bytes([3; 20]), 16_384),
            [RecipientEvent::Complete(at(3))]
        );
        assert_eq!(recipients.whole(), 2);
    }

    #[test]
    fn a_recipient_that_took_nothing_is_not_believed() {
        let mut recipients = Recipients::new(vec![10]);
        recipients.announced(0, &announce(1, 1, true, Event::Started));
        recipients.announced(0, &announce(1, 1, true, Event::Completed));
        assert!(recipients.seen(0, &[with(connected(1, 10, 0), |it| it.uploaded = 0)]).is_empty());
        assert!(recipients.gone(0, PeerId::from_bytes([1; 20]), 0).is_empty());
        assert_eq!(recipients.whole(), 0);
        // One that got everything from other recipients was seen without something.
        recipients.announced(0, &announce(2, 2, false, Event::Started));
        let took_nothing = |pieces| with(connected(2, pieces, 0), |it| it.uploaded = 0);
        assert!(recipients.seen(0, &[took_nothing(4)]).is_empty());
        assert_eq!(recipients.seen(0, &[took_nothing(10)]), [RecipientEvent::Complete(at(2))]);
    }

    #[test]
    fn of_several_torrents_the_one_that_fewest_have_counts() {
        let mut recipients = Recipients::new(vec![10, 20]);
        recipients.announced(0, &announce(1, 1, true, Event::Started));
        recipients.gone(0, PeerId::from_bytes([1; 20]), 1);
        assert_eq!(recipients.whole(), 0);
        recipients.gone(1, PeerId::from_bytes([1; 20]), 1);
        assert_eq!(
            recipients.announced(1, &announce(1, 1, true, Event::Completed)),
            [RecipientEvent::Complete(at(1))]
        );
        assert_eq!(recipients.whole(), 1);
    }

    #[test]
    fn the_picture_fits_its_window() {
        let mut recipients = Recipients::new(vec![10]);
        for id in 1..=5 {
            recipients.announced(0, &announce(id, id.into(), false, Event::Started));
        }
        recipients.seen(0, &[connected(1, 5, 1 << 20), connected(2, 10, 0)]);
        let lines = recipients.lines(60, 10, false);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], "10.0.0.1:1              [#######-------]   50.0%  1.00 MiB/s");
        let few = recipients.lines(60, 2, true);
        assert_eq!((few.len(), few[1].as_str()), (2, "and 3 more"));
        for columns in 0..60 {
            assert!(recipients.lines(columns, 3, true).len() <= 3);
        }
    }
}
