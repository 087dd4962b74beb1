//! What makes a torrent known to others, and finds others for it: connections that come in, trackers, the DHT
//! and the local network.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::engine::conn::listener::Registry;
use crate::engine::context::TorrentContext;
use crate::engine::runtime::counters::Counters;
use crate::engine::runtime::threads;
use crate::engine::torrent::status::TorrentStatus;
use crate::engine::torrent::{discovery, trackers};
use crate::engine::tracker::Announcer;
use crate::random::Random;
use crate::snapshot::TrackerSnapshot;
use crate::torrent::Input;

/// The work under way for it.
pub(super) struct Outreach {
    context: Arc<TorrentContext>,
    registry: Arc<Registry>,
    announcer: Option<Announcer>,
    /// Trackers are announced to, if there are any.
    announcing: bool,
}

impl Outreach {
    pub(super) fn new(context: Arc<TorrentContext>, registry: Arc<Registry>) -> Outreach {
        Outreach { context, registry, announcer: None, announcing: false }
    }

    /// The torrent is this from now on.
    pub(super) fn renew(&mut self, context: Arc<TorrentContext>) {
        self.context = context;
    }

    /// Connections may come in, and peers are looked for beyond trackers unless the torrent is private (BEP
    /// 27). It has `connections` connections already.
    pub(super) fn show(&self, is_private: bool, connections: u32) {
        let TorrentContext { client, key, info_hash, inbox, .. } = &*self.context;
        if !is_private {
            discovery::discover(client, *key, *info_hash, inbox);
        }
        self.registry.add(self.context.clone());
        client.connected.with(|places| places.want(*key, connections));
    }

    /// Connections are no longer accepted, and no peers looked for.
    pub(super) fn hide(&self) {
        let TorrentContext { client, key, info_hash, .. } = &*self.context;
        discovery::hide(client, *key);
        self.registry.remove(*info_hash);
        client.connected.with(|places| places.rest(*key));
        client.calling.with(|places| places.rest(*key));
    }

    /// Whether trackers are announced to, where there are any.
    pub(super) fn is_announcing(&self) -> bool {
        self.announcing
    }

    /// Announces to other trackers from now on. False where none was announced to so far.
    pub(super) fn replace_trackers(&self, tiers: &[Vec<String>]) -> bool {
        self.announcer.iter().for_each(|announcer| announcer.replace(tiers.to_vec()));
        self.announcer.is_some()
    }

    /// Sends what there is to say of each tracker; these are all where none is announced to.
    pub(super) fn show_trackers(&self, tiers: &[Vec<String>], answer: Sender<Vec<TrackerSnapshot>>) {
        if let Some(announcer) = &self.announcer {
            return announcer.show(answer);
        }
        let each = (0u32..).zip(tiers).flat_map(|(tier, urls)| urls.iter().map(move |url| (tier, url)));
        let inactive = each.map(|(tier, url)| TrackerSnapshot::inactive(url, tier)).collect();
        // The asker may have given up waiting.
        let _ = answer.try_send(inactive);
    }

    /// Starts to announce to these trackers, unless that is done already.
    pub(super) fn announce(
        &mut self,
        tiers: Vec<Vec<String>>,
        shown: (&Arc<Counters>, &Arc<TorrentStatus>),
        random: &mut Random,
    ) {
        self.announcing = true;
        if self.announcer.is_none() {
            let random = Random::seeded(random.next_u64());
            let TorrentContext { client, info_hash, inbox, .. } = &*self.context;
            self.announcer = trackers::announce(client, (*info_hash, tiers), shown, random, inbox);
        }
    }

    /// The download is complete.
    pub(super) fn completed(&self) {
        self.announcer.iter().for_each(Announcer::completed);
    }

    /// Trackers and the DHT are asked for more peers.
    pub(super) fn want_peers(&self) {
        self.announcer.iter().for_each(Announcer::want_peers);
        self.context.dht().into_iter().for_each(|dht| dht.want_peers(self.context.key));
    }

    /// Trackers, those that failed among them, and the DHT are asked for peers, for the user asks for it.
    pub(super) fn reannounce(&self) {
        self.announcer.iter().for_each(Announcer::reannounce);
        self.context.dht().into_iter().for_each(|dht| dht.want_peers(self.context.key));
    }

    /// Ends all of it, and announces `stopped` within this time. The answer, if there is one at once.
    pub(super) fn end(&mut self, within: Duration) -> Option<Input> {
        self.hide();
        self.announcing = false;
        let stopping = self.announcer.take().map(|announcer| {
            let sender = self.context.inbox.clone();
            threads::spawn("stopped-announce", move || {
                announcer.stop(within);
                let _ = sender.send(Input::TrackersStopped.into());
            })
        });
        (!matches!(stopping, Some(Ok(_)))).then_some(Input::TrackersStopped)
    }
}
