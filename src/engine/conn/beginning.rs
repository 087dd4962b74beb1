//! Starts the conversation with a peer: with the pieces of its torrent, or without if the metadata is not known yet.

use std::sync::Arc;

use super::extension_handshake;
use crate::engine::context::TorrentContext;
use crate::engine::inbox::join::Known;
use crate::orders::OurPieces;
use crate::peer::conversation::Conversation;
use crate::peer::session::{Learned, Session, Setup};
use crate::violation::DisconnectReason;

/// The conversation with a peer that was let in.
pub(super) fn begin(torrent: &TorrentContext, known: &Known, ours: Option<OurPieces>) -> Conversation {
    let content = torrent.content.get().filter(|_| ours.is_some());
    let upload_only = ours.as_ref().is_some_and(|ours| ours.upload_only);
    let setup = Setup {
        pieces: content.map(|content| content.pieces),
        extension_setup: extension_handshake::ours(torrent, known, content.map(Arc::as_ref), upload_only),
        info_hash: torrent.info_hash,
        peer_ip: known.addr.ip(),
        fast: known.handshake.fast(),
        have: ours.filter(|_| content.is_some()).map(|ours| ours.have).unwrap_or_default(),
        request_cap: Setup::REQUEST_CAP,
    };
    let now = torrent.client.clock.now();
    let mut conversation =
        Conversation::new(Session::new(setup, now), torrent.client.budget.send_buffer, now);
    if content.is_some() {
        dht_port(torrent, known).into_iter().for_each(|port| conversation.tell_dht_port(port));
    }
    conversation
}

/// Gives the conversation the pieces once the metadata is known.
pub(super) fn learn(
    torrent: &TorrentContext,
    known: &Known,
    ours: OurPieces,
    conversation: &mut Conversation,
) -> Result<(), DisconnectReason> {
    let Some(content) = torrent.content.get() else { return Ok(()) };
    let extension_setup = extension_handshake::ours(torrent, known, Some(content), ours.upload_only);
    let learned = Learned { pieces: content.pieces, have: ours.have, extension_setup };
    conversation.learn(learned, torrent.client.clock.now())?;
    dht_port(torrent, known).into_iter().for_each(|port| conversation.tell_dht_port(port));
    Ok(())
}

/// The port of our DHT node, if the peer supports the DHT too.
fn dht_port(torrent: &TorrentContext, known: &Known) -> Option<u16> {
    let port = torrent.client.told_ports.udp_for(known.addr.ip());
    torrent.dht().filter(|_| known.handshake.dht() && port != 0).map(|_| port)
}
