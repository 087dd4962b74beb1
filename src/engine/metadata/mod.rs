//! The first stage of a magnet link: the foreman's thread before there is a torrent.
//!
//! All that is known is an info-hash, trackers and perhaps peers. Whoever can be reached is asked for
//! the info dictionary ([`swarm::metadata`](crate::swarm::metadata) decides what and whom); when it is
//! there and right, the torrent begins on the same thread, with the same inbox, announcer,
//! addresses and connections. What the dictionary was is kept beside the resume state, so that the next start needs
//! nobody.
//!
//! It connects as a torrent does, behind the same [`Door`], and shares its places and calls. Never
//! does: touch data, or serve anyone.

mod admission;
mod ending;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};

use self::ending::End;
use super::calls::Calls;
pub(crate) use super::conn::metadata::converse;
use super::conn::parked::{Parked, ToPeer};
use super::context::ClientShared;
use super::door::Door;
use super::inbox::{TorrentInbox, TorrentMessage, TorrentSender};
use super::runtime::counters::Counters;
use super::runtime::threads;
use super::torrent::{self, Ends, Setup, TorrentStatus, discovery, trackers};
use super::tracker::Announcer;
use crate::error::Result;
use crate::event::{EventKind, Phase};
use crate::id::TorrentKey;
use crate::id::{InfoHash, PeerId};
use crate::job::PeerKey;
use crate::metainfo::{Magnet, Metainfo};
use crate::moment::Moment;
use crate::random::Random;
use crate::storage::info_file as kept;
use crate::swarm::metadata::Metadata;
use crate::swarm::peers::{PeerList, Source};
use crate::torrent::{Input, STOPPED_ANNOUNCE};
use crate::tracker::report::TrackerEvent;
use crate::transport::Closer;
use crate::violation::DisconnectReason;
use crate::wire::pex::PexMessage;

/// Messages taken in before what follows from them is done.
const BATCH: usize = 64;
/// With fewer peers than this others are asked for more, so often.
const FEW: usize = 4;
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// Bytes that trackers are told are left while nobody knows: what is never 0 makes no seed of us.
const LEFT: u64 = 16 << 10;

/// What those who talk about metadata share.
pub(crate) struct MetadataShared {
    pub(crate) client: Arc<ClientShared>,
    pub(crate) key: TorrentKey,
    pub(crate) info_hash: InfoHash,
    pub(crate) torrent: TorrentSender,
}

impl MetadataShared {
    /// False where nobody listens any more.
    pub(crate) fn tell(&self, news: News) -> bool {
        self.torrent.send(TorrentMessage::Metadata(Box::new(news))).is_ok()
    }
}

/// What the foreman is told while metadata is fetched.
pub(crate) enum News {
    /// A dial or an incoming connection got through the handshake and asks to be let in.
    Called(Caller),
    /// A peer that was let in said something.
    Said(PeerKey, Said),
    /// A connection that was let in has ended.
    Gone(PeerKey, DisconnectReason),
    /// A dial came to nothing.
    DialFailed(SocketAddr, DisconnectReason),
}

/// A connection that got through the handshake.
pub(crate) struct Caller {
    pub(crate) addr: SocketAddr,
    pub(crate) incoming: bool,
    pub(crate) id: PeerId,
    /// It speaks the Extension Protocol (BEP 10).
    pub(crate) extended: bool,
    pub(crate) orders: Sender<ToPeer>,
    pub(crate) closer: Closer,
    pub(crate) admit: Sender<std::result::Result<PeerKey, DisconnectReason>>,
}

/// What a peer has to say that matters here.
pub(crate) enum Said {
    /// Its extension handshake: whether it exchanges metadata, how long its own is, where it listens.
    Shook {
        speaks: bool,
        size: Option<u64>,
        port: Option<u16>,
    },
    Data(u32, Box<[u8]>),
    Rejected(u32),
    /// Whom it is connected to.
    Knows(PexMessage),
}

/// A connected peer.
struct Connected {
    addr: SocketAddr,
    id: PeerId,
    incoming: bool,
    since: Moment,
    /// Where it listens, where it called us and said so.
    listens: Option<SocketAddr>,
    orders: Sender<ToPeer>,
    closer: Closer,
    /// Why it was hung up on.
    why: Option<DisconnectReason>,
}

/// What is started for a magnet link.
pub(crate) struct MagnetSetup {
    pub(crate) magnet: Magnet,
    pub(crate) setup: Setup,
    /// Where the metainfo is put for the holders of the torrent's handle.
    pub(crate) metainfo: Arc<OnceLock<Arc<Metainfo>>>,
}

/// Starts the thread.
///
/// # Errors
/// As [`threads::spawn`].
pub(crate) fn start(setup: MagnetSetup) -> Result<torrent::Started> {
    let ends = Ends::new();
    ends.status.renew(|progress| progress.phase = Phase::FetchingMetadata);
    ends.status.set_left(LEFT);
    let (inbox, status) = (ends.sender.clone(), ends.status.clone());
    let body = Fetch::new(setup, ends);
    let thread = threads::spawn_waited("torrent", move || body.run())?;
    Ok(torrent::Started { inbox, status, thread })
}

struct Fetch {
    magnet: Magnet,
    setup: Setup,
    found: Arc<OnceLock<Arc<Metainfo>>>,
    shared: Arc<MetadataShared>,
    inbox: TorrentInbox,
    counters: Arc<Counters>,
    status: Arc<TorrentStatus>,
    metadata: Metadata,
    peers: PeerList,
    calls: Calls,
    connected: HashMap<PeerKey, Connected>,
    announcer: Option<Announcer>,
    /// Connections that the torrent takes over.
    parked: Vec<(Vec<SocketAddr>, Parked)>,
    /// When to ask for more peers again, where there are few.
    ask_again: Moment,
    paused: bool,
    failed: bool,
    removed: bool,
}

impl Fetch {
    fn new(setup: MagnetSetup, ends: Ends) -> Fetch {
        let Ends { sender, inbox, counters, status } = ends;
        let MagnetSetup { magnet, mut setup, metainfo: found } = setup;
        let client = setup.client.clone();
        let (key, info_hash, now) = (setup.key, magnet.info_hash, client.clock.now());
        let shared = Arc::new(MetadataShared { client, key, info_hash, torrent: sender });
        let mut peers = PeerList::new(false, Random::seeded(setup.random.next_u64()));
        setup.config.peers.iter().for_each(|&addr| _ = peers.add(addr, Source::Given, now));
        Fetch {
            metadata: Metadata::new(info_hash).at_most(shared.client.budget.metadata),
            calls: Calls::new(setup.config.max_peers, now),
            magnet,
            setup,
            found,
            shared,
            inbox,
            counters,
            status,
            peers,
            connected: HashMap::new(),
            announcer: None,
            parked: Vec::new(),
            ask_again: now + ASK_AGAIN,
            paused: false,
            failed: false,
            removed: false,
        }
    }

    fn now(&self) -> Moment {
        self.shared.client.clock.now()
    }

    fn tell(&self, what: EventKind) {
        self.setup.teller.tell(self.magnet.info_hash, what);
    }

    /// From what was kept, or from nothing, to the torrent and its end.
    fn run(mut self) {
        let config = &self.setup.config;
        let at_hand = config
            .resume
            .then(|| kept::load(&config.dir, config.state_dir.as_deref(), self.magnet.info_hash));
        let mut bytes = at_hand.flatten();
        let was_kept = bytes.is_some();
        if bytes.is_none() {
            self.work();
            bytes = self.fetch();
        }
        let end = match bytes {
            Some(bytes) => self.open(&bytes, was_kept),
            None => End::Stop,
        };
        match end {
            End::Begin(metainfo) => self.hand_over(metainfo),
            End::Stop => self.stop(),
        }
    }

    /// Until the dictionary is there, or nobody wants it any more.
    fn fetch(&mut self) -> Option<Vec<u8>> {
        loop {
            self.follow_up();
            // First: the torrent that would begin knows nothing of a removal that came with the last block.
            if self.removed {
                return None;
            }
            if let Some(bytes) = self.metadata.verified() {
                return Some(bytes);
            }
            self.wait();
        }
    }

    /// Waits for one message or the next deadline, and takes in what else is there.
    fn wait(&mut self) {
        let now = self.now();
        let ask_again = self.is_lonely().then_some(self.ask_again);
        let due = [self.metadata.deadline(now), self.dial_due(now), ask_again].into_iter().flatten().min();
        let timeout = due.map_or(Duration::from_secs(24 * 3600), |due| due.since(now));
        if let Ok(message) = self.inbox.recv_timeout(timeout) {
            self.take_in(message);
            for _ in 0..BATCH {
                let Ok(message) = self.inbox.try_recv() else { break };
                self.take_in(message);
            }
        }
    }

    fn is_working(&self) -> bool {
        !self.paused && !self.failed && !self.removed
    }

    fn is_lonely(&self) -> bool {
        self.is_working() && self.connected.len() < FEW
    }

    fn dial_due(&self, now: Moment) -> Option<Moment> {
        self.calls.due(self.connected.len() as u32, &self.peers, now).filter(|_| self.is_working())
    }

    /// What follows from what was taken in: blocks asked for, peers hung up on and dialled.
    fn follow_up(&mut self) {
        let now = self.now();
        self.metadata.on_time(now);
        for (key, why) in self.metadata.goodbyes() {
            self.hang_up(key, why);
        }
        for (key, block) in self.metadata.asks() {
            let Some(peer) = self.connected.get(&key) else { continue };
            if let Err(TrySendError::Full(_)) = peer.orders.try_send(ToPeer::Ask(block)) {
                // It was sent more than it ever reads.
                self.hang_up(key, DisconnectReason::Silent);
            }
        }
        if self.is_working() {
            let door = Door::Metadata(self.shared.clone());
            self.calls.make(&door, self.connected.len() as u32, &mut self.peers, now);
        }
        if self.is_lonely() && now >= self.ask_again {
            self.ask_again = now + ASK_AGAIN;
            self.announcer.iter().for_each(Announcer::want_peers);
            self.shared.client.dht.iter().for_each(|dht| dht.want_peers(self.shared.key));
        }
        self.show();
    }

    fn show(&self) {
        let (held, size) = self.metadata.progress();
        self.status.renew(|progress| {
            progress.phase = match () {
                () if self.removed => Phase::Stopped,
                () if self.failed => Phase::Failed,
                () if self.paused => Phase::Paused,
                () => Phase::FetchingMetadata,
            };
            progress.peers = self.connected.len() as u32;
            progress.known = self.peers.counts().known;
            (progress.metadata, progress.metadata_total) = (held, size);
        });
    }

    fn take_in(&mut self, message: TorrentMessage) {
        let now = self.now();
        match message {
            TorrentMessage::Metadata(news) => match *news {
                News::Called(caller) => self.on_caller(caller),
                News::Said(key, said) => self.on_said(key, said, now),
                News::Gone(key, why) => self.on_gone(key, why, now),
                News::DialFailed(addr, why) => {
                    self.calls.over();
                    self.peers.ended(addr, why, now);
                    EventKind::of_a_stranger(addr, why).into_iter().for_each(|what| self.tell(what));
                }
            },
            TorrentMessage::Input(Input::Tracker(event)) => self.on_tracker(event),
            TorrentMessage::Input(Input::Found(source, addrs)) => {
                addrs.into_iter().for_each(|addr| _ = self.peers.add(addr, source, now));
            }
            TorrentMessage::Input(Input::Pause) => self.pause(),
            TorrentMessage::Input(Input::Resume) => self.resume(),
            TorrentMessage::Input(Input::Remove) => self.removed = true,
            TorrentMessage::SetLimits { down, up } => {
                (self.setup.config.down_limit, self.setup.config.up_limit) = (down, up);
            }
            // The asker may have given up waiting.
            TorrentMessage::Peers(answer) => _ = answer.try_send(Vec::new()),
            // Of what concerns data nothing can come yet.
            _ => {}
        }
    }

    fn pause(&mut self) {
        if !std::mem::replace(&mut self.paused, true) {
            self.rest();
            self.tell(EventKind::Paused);
        }
    }

    fn resume(&mut self) {
        if std::mem::replace(&mut self.paused, false) {
            self.tell(EventKind::Resumed);
            self.work();
        }
    }

    fn on_tracker(&mut self, event: TrackerEvent) {
        let now = self.now();
        match event {
            TrackerEvent::Peers(addrs) => {
                addrs.into_iter().for_each(|addr| _ = self.peers.add(addr, Source::Tracker, now));
            }
            event => event.news().into_iter().for_each(|what| self.tell(what)),
        }
    }

    /// Begins to work, or goes on.
    fn work(&mut self) {
        self.setup.registry.add(Door::Metadata(self.shared.clone()));
        self.shared.client.connected.with(|places| places.want(self.shared.key, 0));
        discovery::discover(
            &self.shared.client,
            self.shared.key,
            self.magnet.info_hash,
            &self.shared.torrent,
        );
        if self.announcer.is_none() {
            let tiers: Vec<Vec<String>> = self.magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
            let random = Random::seeded(self.setup.random.next_u64());
            let (own, shown) = ((self.magnet.info_hash, &tiers[..]), (&self.counters, &self.status));
            self.announcer = trackers::announce(
                &self.shared.client,
                &self.setup.config,
                own,
                shown,
                random,
                &self.shared.torrent,
            );
        }
    }

    /// Everyone leaves and trackers are told.
    fn rest(&mut self) {
        self.leave_everyone();
        if let Some(announcer) = self.announcer.take() {
            // Its own thread waits for the trackers; nobody waits for it.
            let _ = threads::spawn("stopped-announce", move || announcer.stop(STOPPED_ANNOUNCE));
        }
    }

    /// Hangs up on everyone and gives back the places.
    fn leave_everyone(&mut self) {
        self.let_go().into_iter().for_each(|(_, parked)| drop(parked));
    }

    /// Gives back the places, and everyone connected: whose other address is to be spared, and the
    /// connection. Dropped, that ends.
    fn let_go(&mut self) -> Vec<(Vec<SocketAddr>, Parked)> {
        let mut parked = Vec::new();
        let now = self.now();
        discovery::hide(&self.shared.client, self.shared.key);
        self.setup.registry.remove(self.magnet.info_hash);
        for (key, peer) in std::mem::take(&mut self.connected) {
            self.metadata.leave(key, now);
            self.peers.ended(peer.addr, peer.why.unwrap_or(DisconnectReason::Shutdown), now);
            self.shared.client.connected.with(|places| places.leave(self.shared.key));
            let connection = Parked::new(peer.orders, peer.closer);
            if peer.why.is_none() {
                parked.push(([peer.addr].into_iter().chain(peer.listens).collect(), connection));
            }
        }
        self.shared.client.connected.with(|places| places.rest(self.shared.key));
        self.shared.client.calling.with(|places| places.rest(self.shared.key));
        parked
    }
}
