//! The first stage of a magnet link: the info dictionary is fetched from peers (BEP 9), and the torrent
//! begins with it.
//!
//! [`swarm::metadata`](crate::swarm::metadata) decides which blocks are requested from which peer. This file
//! keeps the connections meanwhile: when the metadata is complete they are set aside until the data was
//! checked, and then join the torrent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::action::Action;
use super::admission::{dial_ended, is_duplicate};
use super::dialing::Dialing;
use super::host::Host;
use super::input::Join;
use super::state::{Early, Fetching, MetadataPeer, Setup, Stage, Torrent};
use crate::config::TorrentConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventKind, Progress};
use crate::job::PeerKey;
use crate::metainfo::{Magnet, Metainfo};
use crate::moment::Moment;
use crate::orders::{Order, Report};
use crate::random::Random;
use crate::sorted::SortedMap;
use crate::swarm::admission::{Admission, Seat, admit};
use crate::swarm::metadata::Metadata;
use crate::swarm::peers::{PeerList, Source};
use crate::violation::DisconnectReason;

/// With fewer peers than this others are asked for more, so often.
const FEW_PEERS: usize = 4;
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Fetching {
    pub(super) fn new(setup: &mut Setup, magnet: Magnet, now: Moment) -> Fetching {
        let mut peers = PeerList::new(false, Random::seeded(setup.random.next_u64()));
        peers.set_filter(setup.filter.clone());
        let given = std::mem::take(&mut setup.config.peers);
        given.into_iter().for_each(|addr| _ = peers.add(addr, Source::Given, now));
        Fetching {
            metadata: Metadata::new(magnet.info_hash).at_most(setup.max_metadata),
            magnet,
            peers,
            dialing: Dialing::new(setup.config.max_peers, now),
            connected: SortedMap::new(),
            ask_again: now + ASK_AGAIN,
            loading: false,
        }
    }

    fn connected(&self) -> u32 {
        self.connected.len() as u32
    }

    fn is_lonely(&self) -> bool {
        self.connected.len() < FEW_PEERS
    }

    pub(super) fn deadline(&self, working: bool, now: Moment) -> Option<Moment> {
        let working = working && !self.loading;
        let dial = self.dialing.due(self.connected(), &self.peers, now).filter(|_| working);
        let ask_again = (working && self.is_lonely()).then_some(self.ask_again);
        [self.metadata.deadline(now), dial, ask_again].into_iter().flatten().min()
    }

    pub(super) fn show(&self, progress: &mut Progress) {
        progress.peers = self.connected();
        let counts = self.peers.counts();
        (progress.known, progress.blocked) = (counts.known, counts.blocked);
        (progress.metadata, progress.metadata_total) = self.metadata.progress();
    }

    pub(super) fn on_report(&mut self, key: PeerKey, report: Report, now: Moment) {
        let Some(peer) = self.connected.get_mut(&key).filter(|peer| peer.why.is_none()) else { return };
        match report {
            Report::Introduced(handshake) => {
                if let Some(port) = handshake.port.filter(|_| peer.incoming) {
                    self.peers.listening_port(peer.addr, port, now);
                    peer.listens.get_or_insert(SocketAddr::new(peer.addr.ip(), port));
                }
                if handshake.encryption == Some(true) {
                    self.peers.prefers_encryption(peer.addr);
                }
                peer.speaks = handshake.m.ut_metadata.map_or(peer.speaks, |id| id != 0);
                self.metadata.claim(key, peer.speaks, handshake.metadata_size, now);
            }
            Report::Exchanged(exchange) => {
                let by = peer.addr.ip();
                exchange.dropped.iter().for_each(|&addr| self.peers.unheard(addr, by));
                for &(addr, flags) in &exchange.added {
                    self.peers.heard(addr, flags, by, now);
                }
            }
            Report::MetadataBlock(block, bytes) => {
                self.peers.delivered(peer.addr);
                self.metadata.on_data(key, block, &bytes, now);
            }
            Report::MetadataRejected(block) => self.metadata.on_reject(key, block, now),
            // What concerns pieces is told again once there are any.
            _ => {}
        }
    }

    /// Finds a place for a connection: a free one, or that of the peer returned.
    fn admit(
        &self,
        join: &Join,
        max_peers: u32,
        host: &mut impl Host,
    ) -> std::result::Result<Option<PeerKey>, DisconnectReason> {
        let used = self.connected();
        let room = host.connection_room(used, used + self.dialing.under_way.max(1));
        let seat = |(&key, peer): (&PeerKey, &MetadataPeer)| Seat {
            ip: peer.addr.ip(),
            incoming: peer.incoming,
            gives: self.metadata.is_giving(key),
            since: peer.since,
        };
        let seats: Vec<Seat> = self.connected.iter().map(seat).collect();
        match admit(join.addr.ip(), join.incoming, &seats, room.min(max_peers), true) {
            Admission::Enter => Ok(None),
            Admission::Displace(at) => Ok(self.connected.nth(at).map(|(&key, _)| key)),
            Admission::Refuse => Err(DisconnectReason::Crowded),
        }
    }
}

impl Torrent {
    /// The metadata that was kept was looked for.
    pub(super) fn on_metadata_loaded(&mut self, kept: Option<Vec<u8>>, now: Moment, host: &mut impl Host) {
        let Stage::FetchingMetadata(fetching) = &mut self.stage else { return };
        fetching.loading = false;
        match kept {
            Some(bytes) => self.on_metadata(&bytes, true, now, host),
            None => self.work(now),
        }
    }

    /// Asks for blocks, hangs up on peers that have none, dials others; and begins the torrent where the
    /// metadata is there.
    pub(super) fn settle_metadata(&mut self, now: Moment, host: &mut impl Host) {
        let working = self.is_working();
        let Stage::FetchingMetadata(fetching) = &mut self.stage else { return };
        fetching.metadata.on_time(now);
        for (key, why) in fetching.metadata.disconnects() {
            if let Some(peer) = fetching.connected.get_mut(&key) {
                peer.why.get_or_insert(why);
                self.out.push(Action::Close(key, why));
            }
        }
        for (key, block) in fetching.metadata.asks() {
            if fetching.connected.contains_key(&key) {
                self.out.push(Action::Order(key, Order::AskMetadata(block)));
            }
        }
        let connected = fetching.connected();
        while working && let Some(addr) = fetching.dialing.next(connected, &mut fetching.peers, now, host) {
            self.out.push(Action::Dial(addr, fetching.peers.wants_encryption(addr)));
        }
        if working && fetching.is_lonely() && now >= fetching.ask_again {
            fetching.ask_again = now + ASK_AGAIN;
            self.out.push(Action::WantPeers);
        }
        if let Some(bytes) = fetching.metadata.verified() {
            self.on_metadata(&bytes, false, now, host);
        }
    }

    /// The dictionary is there and has its hash: the torrent begins, unless that was all that was wanted.
    fn on_metadata(&mut self, bytes: &[u8], was_kept: bool, now: Moment, host: &mut impl Host) {
        let Stage::FetchingMetadata(fetching) = &self.stage else { return };
        let opened = fetching.magnet.with_info(bytes).and_then(|metainfo| {
            self.choose(&fetching.magnet, &metainfo).map(|select| (Arc::new(metainfo), select))
        });
        let (metainfo, select) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.drop_metadata_peers(now, host);
                return self.fail(&error);
            }
        };
        self.setup.config.select = select.clone();
        self.out.push(Action::MetadataKnown { metainfo: metainfo.clone(), select });
        self.out.tell(EventKind::Metadata {
            name: metainfo.name().to_owned(),
            bytes: metainfo.info_bytes().len() as u32,
            kept: was_kept,
        });
        if self.setup.config.metadata_only {
            return self.stop(now, host);
        }
        if self.setup.config.resume && !was_kept {
            self.out.push(Action::SaveMetadata);
        }
        let come_over = self.let_go(true, now, host);
        if let Stage::FetchingMetadata(fetching) = std::mem::replace(&mut self.stage, Stage::Ended(None)) {
            let peers = Some(fetching.peers);
            self.stage = Stage::Waiting(Early { metainfo, found: Vec::new(), peers, come_over });
        }
    }

    /// Settles which files are wanted: those the embedder chooses, or those the link means.
    fn choose(&self, magnet: &Magnet, metainfo: &Metainfo) -> Result<Option<Vec<u32>>> {
        let config = &self.setup.config;
        let mut select = config.select.clone();
        if let Some(selector) = &config.file_selector {
            select = selector.choose(metainfo)?.or(select);
        }
        let meant = || magnet.selected(metainfo.files().len()).filter(|files| !files.is_empty());
        let select = select.or_else(meant);
        check_files(metainfo, select.as_deref())?;
        Ok(select)
    }

    /// Closes every connection over which metadata is asked for.
    pub(super) fn drop_metadata_peers(&mut self, now: Moment, host: &mut impl Host) {
        self.let_go(false, now, host);
    }

    /// Gives back the places of all those connections, which are set aside or closed. The addresses that
    /// stand for those set aside.
    fn let_go(&mut self, parks: bool, now: Moment, host: &mut impl Host) -> Vec<SocketAddr> {
        let Stage::FetchingMetadata(fetching) = &mut self.stage else { return Vec::new() };
        let mut come_over = Vec::new();
        while let Some((key, peer)) = fetching.connected.pop_last() {
            fetching.metadata.leave(key, now);
            let why = peer.why.unwrap_or(DisconnectReason::Shutdown);
            fetching.peers.ended(peer.addr, why, now);
            host.leave();
            if parks && !peer.incoming {
                fetching.peers.just_left(peer.addr);
            }
            if parks && peer.why.is_none() {
                come_over.extend([peer.addr].into_iter().chain(peer.listens));
                self.out.push(Action::Park(key));
            } else {
                self.out.push(Action::Close(key, why));
            }
            self.out.push(Action::Forget(key));
        }
        come_over
    }

    /// A connection asks to be let in.
    pub(super) fn on_metadata_join(&mut self, join: Join, now: Moment, host: &mut impl Host) {
        let refused = self.metadata_refusal(&join, now, host);
        let Stage::FetchingMetadata(fetching) = &mut self.stage else { return };
        if !join.incoming {
            fetching.dialing.over();
        }
        let Join { addr, incoming, encryption, id, .. } = join;
        if let Some(why) = refused {
            if !incoming {
                dial_ended(&mut fetching.peers, addr, why, now, &mut self.out);
            }
            return self.out.push(Action::Refuse(why));
        }
        let key = host.new_key();
        if !incoming {
            fetching.peers.connected(addr, now);
            fetching.peers.encrypts(addr, encryption);
        }
        fetching.metadata.join(key, now);
        let peer = MetadataPeer { addr, id, incoming, since: now, listens: None, speaks: false, why: None };
        fetching.connected.insert(key, peer);
        self.out.push(Action::AcceptForMetadata(key));
        self.out.tell(EventKind::PeerConnected { peer: addr, incoming, encryption });
    }

    /// Why a connection is not let in, if so; takes its place in the client if not.
    fn metadata_refusal(
        &mut self,
        join: &Join,
        now: Moment,
        host: &mut impl Host,
    ) -> Option<DisconnectReason> {
        let working = self.is_working();
        let (ours, max_peers) = (self.setup.peer_id, self.setup.config.max_peers);
        let Stage::FetchingMetadata(fetching) = &mut self.stage else { return None };
        if !working {
            return Some(DisconnectReason::Shutdown);
        }
        if join.id == ours {
            return Some(DisconnectReason::Ourselves);
        }
        if !join.extended {
            return Some(DisconnectReason::NoMetadata);
        }
        let out = &mut self.out;
        let close = |key, old: &mut MetadataPeer| {
            let why = DisconnectReason::Duplicate;
            old.why.get_or_insert(why);
            out.push(Action::Close(key, why));
        };
        if is_duplicate(&mut fetching.connected, MetadataPeer::link, join.link(now), ours, close) {
            return Some(DisconnectReason::Duplicate);
        }
        if join.incoming && fetching.peers.is_banned(join.addr) {
            return Some(DisconnectReason::Crowded);
        }
        let displaced = match fetching.admit(join, max_peers, host) {
            Ok(displaced) => displaced,
            Err(why) => return Some(why),
        };
        if let Some(displaced) = displaced {
            self.out.push(Action::Close(displaced, DisconnectReason::Crowded));
            self.on_metadata_gone(displaced, DisconnectReason::Crowded, now, host);
        }
        if !host.enter() {
            return Some(DisconnectReason::Crowded);
        }
        let Stage::FetchingMetadata(fetching) = &mut self.stage else { return None };
        if join.incoming {
            fetching.peers.accepted(join.addr, now);
        }
        None
    }

    /// A connection that was let in has ended.
    pub(super) fn on_metadata_gone(
        &mut self,
        key: PeerKey,
        why: DisconnectReason,
        now: Moment,
        host: &mut impl Host,
    ) {
        let Stage::FetchingMetadata(fetching) = &mut self.stage else { return };
        let Some(peer) = fetching.connected.remove(&key) else { return };
        host.leave();
        fetching.metadata.leave(key, now);
        let why = peer.why.unwrap_or(why);
        fetching.peers.ended(peer.addr, why, now);
        self.out.gone(key, peer.link(), 0, why);
    }
}

/// Whether the files that are wanted are those of the torrent.
///
/// # Errors
/// [`ErrorKind::Argument`] where one is not.
pub fn check_selection(metainfo: &Metainfo, config: &TorrentConfig) -> Result<()> {
    check_files(metainfo, config.select.as_deref())
}

fn check_files(metainfo: &Metainfo, select: Option<&[u32]>) -> Result<()> {
    let files = metainfo.files().len() as u64;
    match select.into_iter().flatten().find(|file| u64::from(**file) >= files) {
        None => Ok(()),
        Some(beyond) => {
            let context = format!("there is no file {beyond}; the torrent has {files}");
            Err(Error::new(ErrorKind::Argument, context))
        }
    }
}
