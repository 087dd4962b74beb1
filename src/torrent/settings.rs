//! Settings that the user changes while the torrent runs, with its files as they are.

use super::change::Setting;
use super::host::Host;
use super::state::Torrent;
use crate::moment::Moment;
use crate::violation::DisconnectReason;

impl Torrent {
    /// A setting is another from now on.
    pub(super) fn on_setting(&mut self, setting: Setting, now: Moment, host: &mut impl Host) {
        if self.stage.is_over() {
            return;
        }
        match setting {
            Setting::MaxPeers(max_peers) => self.set_max_peers(max_peers, host),
            Setting::UploadSlots(slots) => {
                self.setup.config.upload_slots = slots;
                if let Some(active) = self.stage.active_mut() {
                    active.choker.set_slots(slots.map(|slots| slots as usize));
                    active.rethink = true;
                }
            }
            Setting::SeedLimits(limits) => {
                let config = &mut self.setup.config;
                (config.seed_ratio, config.seed_time, config.seed_idle) =
                    (limits.ratio, limits.time, limits.idle);
                self.limits.set(limits, now);
            }
            Setting::Sequential(sequential) => {
                self.setup.config.sequential = sequential;
                if let Some(active) = self.stage.active_mut() {
                    active.picker.set_sequential(sequential);
                }
            }
            Setting::SuperSeed(super_seeds) => self.set_super_seeding(super_seeds),
        }
    }

    fn set_max_peers(&mut self, max_peers: u32, host: &mut impl Host) {
        self.setup.config.max_peers = max_peers;
        let count = self.stage.active().map(|active| active.pieces.count());
        let most = count.map_or(max_peers, |pieces| host.take_memory(pieces, max_peers));
        self.swarm.peers.keep_for(most);
        self.swarm.limit(most, &mut self.out);
    }

    fn set_super_seeding(&mut self, super_seeds: bool) {
        self.setup.config.super_seed = super_seeds;
        if !super_seeds {
            return self.end_super_seeding();
        }
        let Some(active) = self.stage.active().filter(|active| active.super_seed.is_none()) else { return };
        let super_seed = self.super_seed(active.pieces, &active.picker.have().clone());
        let Some(active) = self.stage.active_mut().filter(|_| super_seed.is_some()) else { return };
        active.super_seed = super_seed;
        // Those that are connected know already what is here.
        self.swarm.dismiss_all(DisconnectReason::Shutdown, &mut self.out);
    }
}
