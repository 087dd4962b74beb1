//! A connection fresh from its handshake: its torrent is asked to let it in, and it goes on as that says.

use std::sync::Arc;

use super::{metadata, worker};
use crate::engine::context::TorrentContext;
use crate::engine::inbox::join::{Admitted, Handshaken, Joined};

/// Runs the connection to its end on the present thread.
pub(crate) fn converse(context: &Arc<TorrentContext>, fresh: Handshaken) {
    let (known, closer) = (fresh.known(), fresh.connection.closer.clone());
    if let Some(Joined { admitted, orders, tally }) = worker::ask(context, known, &closer) {
        match admitted {
            Admitted::Torrent(accepted) => {
                worker::converse(context, known, fresh.connection, accepted, orders, tally);
            }
            Admitted::Metadata(key) => metadata::converse(context, key, fresh, orders),
        }
    }
    closer.close();
}
