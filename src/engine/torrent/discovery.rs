//! Looking for peers where no tracker is asked, which is shut to private torrents (BEP 27): the one
//! place from which a torrent is handed to whoever looks.

use super::Foreman;

impl Foreman {
    /// Others are looked for, and told of us, from now on; of a private torrent nobody hears.
    pub(super) fn discover(&self) {
        let Foreman { setup, sender, .. } = self;
        if setup.metainfo.is_private() {
            return;
        }
        if let Some(lsd) = &setup.client.lsd {
            lsd.watch(setup.key, setup.metainfo.info_hash(), sender.clone());
        }
    }

    /// And from now on no more.
    pub(super) fn hide(&self) {
        if let Some(lsd) = &self.setup.client.lsd {
            lsd.forget(self.setup.key);
        }
    }
}
