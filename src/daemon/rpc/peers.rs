//! How a connected peer is written, and where peers came from.

use std::io;

use super::reply::Reply;
use crate::base64;
use crate::daemon::view::{PeerSource, PeerSources, PeerView};

/// Writes a peer.
pub fn write(reply: &mut Reply, peer: &PeerView) -> io::Result<()> {
    reply.object(|reply| {
        // Without brackets or port: clients read it as an address.
        reply.member("address", &peer.address.ip().to_canonical().to_string())?;
        reply.member("bytes_to_client", peer.received)?;
        reply.member("bytes_to_peer", peer.sent)?;
        reply.member("client_is_choked", peer.chokes_us)?;
        reply.member("client_is_interested", peer.interests_us)?;
        reply.member("client_name", &peer.client)?;
        reply.member("flag_str", &flags(peer))?;
        reply.member("is_downloading_from", peer.is_sending)?;
        reply.member("is_encrypted", peer.is_encrypted)?;
        reply.member("is_incoming", peer.is_incoming)?;
        reply.member("is_uploading_to", peer.is_receiving)?;
        reply.member("is_utp", peer.is_utp)?;
        reply.member("peer_is_choked", peer.choked_by_us)?;
        reply.member("peer_is_interested", peer.interested_in_us)?;
        reply.key("peer_id")?;
        reply.json().plain_text(|out| base64::write(peer.id.as_bytes(), out))?;
        reply.member("port", peer.address.port())?;
        reply.member("progress", peer.progress)?;
        reply.member("rate_to_client", peer.rates.0)?;
        reply.member("rate_to_peer", peer.rates.1)
    })
}

/// The letters that say how the connection stands.
fn flags(peer: &PeerView) -> String {
    let flags = [
        (peer.is_utp, 'T'),
        (peer.is_optimistic, 'O'),
        (peer.is_sending, 'D'),
        (!peer.is_sending && peer.interests_us, 'd'),
        (peer.is_receiving, 'U'),
        (!peer.is_receiving && peer.interested_in_us, 'u'),
        (!peer.chokes_us && !peer.interests_us, 'K'),
        (!peer.choked_by_us && !peer.interested_in_us, '?'),
        (peer.is_encrypted, 'E'),
        (peer.source == PeerSource::Dht, 'H'),
        (peer.source == PeerSource::Pex, 'X'),
        (peer.is_incoming, 'I'),
    ];
    flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter).collect()
}

/// Writes how many came from where.
pub fn write_sources(reply: &mut Reply, from: &PeerSources) -> io::Result<()> {
    reply.object(|reply| {
        reply.member("from_cache", from.cache)?;
        reply.member("from_dht", from.dht)?;
        reply.member("from_incoming", from.incoming)?;
        reply.member("from_lpd", from.lpd)?;
        reply.member("from_ltep", from.ltep)?;
        reply.member("from_pex", from.pex)?;
        reply.member("from_tracker", from.tracker)
    })
}
