//! How the fetching of metadata ends: with a torrent that begins, with an error, or without either.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Fetch;
use crate::engine::torrent::{self, Ends, Handed};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::metainfo::Metainfo;
use crate::storage::info_file as kept;

/// How the stage ends.
pub(super) enum End {
    /// The torrent begins.
    Begin(Arc<Metainfo>),
    /// There is nothing more to do.
    Stop,
}

impl Fetch {
    /// The dictionary is there and has its hash: what it says.
    pub(super) fn open(&mut self, bytes: &[u8], was_kept: bool) -> End {
        let called = self.connected.values().filter(|peer| !peer.incoming);
        let left: Vec<SocketAddr> = called.map(|peer| peer.addr).collect();
        self.parked = self.let_go();
        left.into_iter().for_each(|addr| self.peers.just_left(addr));
        let opened = self.magnet.with_info(bytes).and_then(|metainfo| {
            self.choose(&metainfo)?;
            Ok(metainfo)
        });
        let metainfo = match opened {
            Ok(metainfo) => Arc::new(metainfo),
            Err(error) => return self.fail(&error),
        };
        let _ = self.found.set(metainfo.clone());
        self.status.describe(&metainfo);
        self.tell(EventKind::Metadata {
            name: metainfo.name().to_owned(),
            bytes: metainfo.info_bytes().len() as u32,
            kept: was_kept,
        });
        let config = &self.setup.config;
        if config.metadata_only {
            return End::Stop;
        }
        if config.resume && !was_kept {
            let saved = kept::save(
                &config.dir,
                config.state_dir.as_deref(),
                self.magnet.info_hash,
                metainfo.info_bytes(),
            );
            if let Err(error) = saved {
                self.tell(EventKind::Note { what: format!("the metadata was not kept: {error}") });
            }
        }
        End::Begin(metainfo)
    }

    /// Settles which files are wanted: those the embedder chooses, or those the link means.
    fn choose(&mut self, metainfo: &Metainfo) -> Result<()> {
        let config = &mut self.setup.config;
        if let Some(selector) = &config.file_selector {
            config.select = selector.choose(metainfo)?.or(config.select.take());
        }
        if config.select.is_none() {
            let meant = self.magnet.selected(metainfo.files().len());
            config.select = meant.filter(|files| !files.is_empty());
        }
        torrent::check_selection(metainfo, config)
    }

    /// It cannot go on; it stays until it is removed.
    fn fail(&mut self, error: &Error) -> End {
        self.failed = true;
        self.parked.clear();
        self.rest();
        self.show();
        self.tell(EventKind::Failed { kind: error.kind(), why: error.to_string() });
        while !self.removed {
            self.wait();
        }
        End::Stop
    }

    /// The torrent begins, on this thread.
    pub(super) fn hand_over(self, metainfo: Arc<Metainfo>) {
        let handed = Handed {
            peers: Some(self.peers),
            parked: self.parked,
            announcer: self.announcer,
            paused: self.paused,
        };
        let (sender, inbox) = (self.shared.torrent.clone(), self.inbox);
        let ends = Ends { sender, inbox, counters: self.counters, status: self.status };
        torrent::start_with_metadata(self.setup, metainfo, ends, handed);
    }

    /// The end without a torrent.
    pub(super) fn stop(mut self) {
        self.removed = true;
        self.parked.clear();
        self.leave_everyone();
        let announcer = self.announcer.take();
        self.shared.client.connected.with(|places| places.end(self.shared.key));
        self.shared.client.calling.with(|places| places.end(self.shared.key));
        if let Some(announcer) = announcer {
            let now = self.now();
            announcer.stop(self.shared.client.shutdown.deadlines(now).trackers - now);
        }
        self.show();
        self.status.end();
        self.tell(EventKind::Stopped);
    }
}
