//! The first stage of a magnet link: the info dictionary is fetched from peers (BEP 9), and the torrent
//! begins with it.
//!
//! [`swarm::metadata`](crate::swarm::metadata) decides which blocks are requested from which peer. This file
//! starts and ends the stage. Connections go on when the metadata is complete, and learn of the pieces once the
//! data was checked.

use std::sync::Arc;
use std::time::Duration;

use super::action::Action;
use super::host::Host;
use super::state::{Early, Fetching, Setup, Stage, Torrent};
use super::swarm::Swarm;
use crate::config::TorrentConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::job::PeerKey;
use crate::metainfo::{Magnet, Metainfo};
use crate::moment::Moment;
use crate::orders::{Order, Report};
use crate::snapshot::Progress;
use crate::swarm::metadata::Metadata;
use crate::wire::extended::ExtendedHandshake;

/// With fewer peers than this others are asked for more, so often.
const FEW_PEERS: u32 = 4;
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Fetching {
    pub(super) fn new(setup: &Setup, magnet: Magnet, now: Moment) -> Fetching {
        Fetching {
            metadata: Metadata::new(magnet.info_hash).at_most(setup.max_metadata),
            magnet,
            ask_again: now + ASK_AGAIN,
            loading: false,
        }
    }

    pub(super) fn deadline(&self, swarm: &Swarm, working: bool, now: Moment) -> Option<Moment> {
        let dial = swarm.dial_due(now).filter(|_| working);
        let ask_again = (working && swarm.count() < FEW_PEERS).then_some(self.ask_again);
        [self.metadata.deadline(now), dial, ask_again].into_iter().flatten().min()
    }

    pub(super) fn show(&self, progress: &mut Progress) {
        (progress.metadata, progress.metadata_total) = self.metadata.progress();
    }

    /// A peer said whether it exchanges metadata, and how long its dictionary is.
    pub(super) fn on_extension_handshake(
        &mut self,
        key: PeerKey,
        handshake: &ExtendedHandshake,
        now: Moment,
    ) {
        let speaks = handshake.m.ut_metadata.map(|id| id != 0);
        self.metadata.claim(key, speaks, handshake.metadata_size, now);
    }

    /// A connection reports, where it is about metadata. What concerns pieces is reported once they are known.
    pub(super) fn on_report(&mut self, swarm: &mut Swarm, key: PeerKey, report: &Report, now: Moment) {
        match report {
            Report::MetadataBlock(block, bytes) => {
                swarm.connected.get(&key).into_iter().for_each(|peer| swarm.peers.delivered(peer.addr));
                self.metadata.on_data(key, *block, bytes, now);
            }
            Report::MetadataRejected(block) => self.metadata.on_reject(key, *block, now),
            _ => {}
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

    /// Asks for blocks, hangs up on peers that have none, looks for others; and begins the torrent where the
    /// metadata is there.
    pub(super) fn settle_metadata(&mut self, now: Moment, host: &mut impl Host) {
        let working = self.is_working();
        let Stage::FetchingMetadata(fetching) = &mut self.stage else { return };
        let Swarm { connected, .. } = &mut self.swarm;
        fetching.metadata.on_time(now);
        for (key, why) in fetching.metadata.disconnects() {
            if let Some(peer) = connected.get_mut(&key) {
                peer.close(key, why, &mut self.out);
            }
        }
        for (key, block) in fetching.metadata.asks() {
            if connected.contains_key(&key) {
                self.out.push(Action::Order(key, Order::AskMetadata(block)));
            }
        }
        if working && self.swarm.count() < FEW_PEERS && now >= fetching.ask_again {
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
            Err(error) => return self.fail(&error),
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
        if metainfo.is_private() {
            self.swarm.become_private(&mut self.out);
        }
        self.metainfo = Some(metainfo.clone());
        self.stage = Stage::Waiting(Early { metainfo });
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
