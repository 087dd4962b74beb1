//! Builds our extension handshake (BEP 10).

use crate::engine::context::{Content, TorrentContext};
use crate::engine::inbox::join::Known;
use crate::peer::session::ExtensionSetup;
use crate::peer::upload::UploadQueue;
use crate::version::NAME_AND_VERSION;
use crate::wire::extended::{ExtendedHandshake, Extensions};

/// Our extension handshake on a fresh connection, or once more when there is `content`; where both sides speak
/// the Extension Protocol. Peers of a private torrent are not exchanged (BEP 27).
pub(crate) fn ours(
    torrent: &TorrentContext,
    known: &Known,
    content: Option<&Content>,
    upload_only: bool,
) -> Option<ExtensionSetup> {
    if !known.handshake.extended() {
        return None;
    }
    let client = &torrent.client;
    let metainfo = content.map(|content| content.metainfo.clone());
    let exchanges = client.pex && !metainfo.as_ref().is_some_and(|metainfo| metainfo.is_private());
    let m = Extensions {
        ut_metadata: Extensions::OURS.ut_metadata,
        ut_pex: Extensions::OURS.ut_pex.filter(|_| exchanges),
        ..if metainfo.is_some() { Extensions::OURS } else { Extensions::default() }
    };
    let here = known.addr.is_ipv4();
    let handshake = ExtendedHandshake {
        m,
        client: Some(NAME_AND_VERSION.to_owned()),
        port: Some(client.told_ports.tcp_for(known.addr.ip())).filter(|&port| port != 0),
        reqq: Some(UploadQueue::BOUND as u32),
        your_ip: Some(known.addr.ip().to_canonical()),
        // The peer knows the address that it is connected to; only the one of the other family is sent.
        ipv4: client.external.v4().filter(|_| !here),
        ipv6: client.external.v6().filter(|_| here),
        upload_only: upload_only.then_some(true),
        metadata_size: metainfo.as_ref().map(|metainfo| metainfo.info_bytes().len() as u64),
        encryption: client.encryption.is_preferred().then_some(true),
    };
    Some(ExtensionSetup { handshake, metainfo })
}
