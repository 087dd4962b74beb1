//! Starts to announce for a torrent, and for a magnet link before it is one.

use std::sync::Arc;

use crossbeam_channel::TrySendError;

use super::status::TorrentStatus;
use crate::engine::context::ClientShared;
use crate::engine::inbox::{TorrentMessage, TorrentSender};
use crate::engine::runtime::counters::Counters;
use crate::engine::tracker::{AnnounceSetup, Announcer, Totals};
use crate::id::InfoHash;
use crate::random::{Random, entropy};
use crate::torrent::Input;

/// Starts to announce to these trackers; nothing where there are none.
pub(crate) fn announce(
    client: &ClientShared,
    (info_hash, tiers): (InfoHash, Vec<Vec<String>>),
    (counters, status): (&Arc<Counters>, &Arc<TorrentStatus>),
    random: Random,
    torrent: &TorrentSender,
) -> Option<Announcer> {
    if tiers.is_empty() {
        return None;
    }
    let (counters, status) = (counters.clone(), status.clone());
    let totals = move || Totals {
        uploaded: Counters::read(&counters.uploaded),
        downloaded: Counters::read(&counters.downloaded),
        left: status.left(),
    };
    let setup = AnnounceSetup {
        tiers,
        info_hash,
        peer_id: client.peer_id,
        ports: client.told_ports.clone(),
        key: u32::from_ne_bytes(entropy()),
        totals: Box::new(totals),
        random,
        tell: {
            let torrent = torrent.clone();
            Box::new(move |event| match torrent.try_send(Input::Tracker(event).into()) {
                Err(TrySendError::Full(TorrentMessage::Input(Input::Tracker(event)))) => Err(event),
                _ => Ok(()),
            })
        },
    };
    Some(Announcer::start(&client.announces, setup))
}
