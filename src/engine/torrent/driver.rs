//! Carries out what a torrent decides, and (in [`host`]) answers what it asks at once: the one place where its decisions
//! meet sockets, files, threads and the other torrents of the client.
//!
//! Never waits for more than a lock. Invariant: a join request is answered while the input that it came
//! with is handled; no connection is ordered anything before it was accepted.

mod host;

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};

use super::status::TorrentStatus;
use super::{Setup, discovery, trackers};
use crate::bitfield::Bitfield;
use crate::engine::conn::dial;
use crate::engine::conn::ending;
use crate::engine::conn::parked::Parked;
use crate::engine::context::{TorrentContext, TorrentShared};
use crate::engine::disk::checker::{Check, Opening};
use crate::engine::disk::writer::ToDisk;
use crate::engine::inbox::join::{Accepted, Admitted, JoinRequest};
use crate::engine::inbox::{TorrentMessage, TorrentSender};
use crate::engine::runtime::counters::{ByteCounters, Counters};
use crate::engine::runtime::ledger::Share;
use crate::engine::runtime::rate_limit::{Limiter, Limits};
use crate::engine::runtime::threads;
use crate::engine::tracker::Announcer;
use crate::error::ErrorKind;
use crate::event::{EventKind, Phase};
use crate::job::PeerKey;
use crate::metainfo::{Magnet, Metainfo};
use crate::moment::Moment;
use crate::orders::Order;
use crate::random::Random;
use crate::sorted::SortedMap;
use crate::storage::assembly::Assembly;
use crate::storage::info_file;
use crate::storage::opened::OpenedFiles;
use crate::storage::recheck::{self, Recheck};
use crate::storage::resume::{Resume, Uncommitted};
use crate::torrent::{Action, ChangedFile, Input, Join, Opened, Rechecked, Torrent};
use crate::transport::Closer;
use crate::violation::DisconnectReason;

/// Bytes that trackers are told are left while the metadata is not known: what is never 0 makes no seed of us.
const LEFT_UNKNOWN: u64 = 16 << 10;

/// What a torrent's decisions are carried out with.
pub(super) struct Driver {
    setup: Setup,
    /// What connections need to know before they are let in.
    context: Arc<TorrentContext>,
    /// What the torrent is made of, once that is known.
    metainfo: Option<Arc<Metainfo>>,
    /// Where a magnet link's metainfo is put for the holders of the torrent's handle.
    found: Option<Arc<OnceLock<Arc<Metainfo>>>>,
    /// The trackers of a magnet link, until the metainfo has them.
    magnet_tiers: Vec<Vec<String>>,
    counters: Arc<Counters>,
    status: Arc<TorrentStatus>,
    down: Limits,
    up: Limits,
    /// What the torrent's threads share, once the data was checked.
    shared: Option<Arc<TorrentShared>>,
    /// Where the state is saved, if it is kept.
    resume: Option<Resume>,
    /// What it takes of the client's memory.
    memory: Option<Share>,
    links: SortedMap<PeerKey, Link>,
    /// The connection that asks to be let in just now.
    joining: Option<Box<JoinRequest>>,
    check: Option<Check>,
    /// Changed files that are being hashed again, and what ends that early.
    rechecking: BTreeSet<u32>,
    stop_rechecks: Arc<AtomicBool>,
    announcer: Option<Announcer>,
    /// Connections over which metadata came, until the torrent goes online.
    parked: Vec<Parked>,
    /// Inputs that answer an action at once.
    answers: VecDeque<Input>,
    ended: bool,
}

/// What is known of a torrent when it is added.
pub(super) enum Origin {
    Metainfo(Arc<Metainfo>),
    Magnet(Magnet, Arc<OnceLock<Arc<Metainfo>>>),
}

/// A connection that was let in.
struct Link {
    orders: Sender<Order>,
    tally: Arc<ByteCounters>,
    closer: Closer,
}

impl Driver {
    pub(super) fn new(setup: Setup, origin: Origin, inbox: TorrentSender) -> Driver {
        let clock = setup.client.clock;
        let counters = Arc::new(Counters::default());
        let status = Arc::new(TorrentStatus::new(counters.clone()));
        let (info_hash, magnet_tiers, metainfo, found) = match origin {
            Origin::Metainfo(metainfo) => (metainfo.info_hash(), Vec::new(), Some(metainfo), None),
            Origin::Magnet(magnet, found) => {
                let tiers = magnet.trackers.into_iter().map(|url| vec![url]).collect();
                (magnet.info_hash, tiers, None, Some(found))
            }
        };
        match &metainfo {
            Some(metainfo) => status.describe(metainfo),
            None => {
                status.renew(|progress| progress.phase = Phase::FetchingMetadata);
                status.set_left(LEFT_UNKNOWN);
            }
        }
        let context = Arc::new(TorrentContext {
            client: setup.client.clone(),
            key: setup.key,
            info_hash,
            inbox,
            opened: OnceLock::new(),
        });
        Driver {
            down: Limits::new(Limiter::new(setup.config.down_limit, clock), setup.client.down.clone()),
            up: Limits::new(Limiter::new(setup.config.up_limit, clock), setup.client.up.clone()),
            setup,
            context,
            metainfo,
            found,
            magnet_tiers,
            counters,
            status,
            shared: None,
            resume: None,
            memory: None,
            links: SortedMap::new(),
            joining: None,
            check: None,
            rechecking: BTreeSet::new(),
            stop_rechecks: Arc::default(),
            announcer: None,
            parked: Vec::new(),
            answers: VecDeque::new(),
            ended: false,
        }
    }

    pub(super) fn status(&self) -> Arc<TorrentStatus> {
        self.status.clone()
    }

    pub(super) fn now(&self) -> Moment {
        self.setup.client.clock.now()
    }

    /// The next input that answers an action.
    pub(super) fn answer(&mut self) -> Option<Input> {
        self.answers.pop_front()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn set_limits(&self, down: u64, up: u64) {
        self.down.torrent().set_rate(down);
        self.up.torrent().set_rate(up);
    }

    /// Renews what others see of the torrent.
    pub(super) fn show(&self, torrent: &Torrent) {
        let now = self.now();
        torrent.left().into_iter().for_each(|left| self.status.set_left(left));
        self.status.renew(|progress| torrent.show(progress, now));
    }

    /// A connection asks to be let in.
    pub(super) fn joins(&mut self, request: Box<JoinRequest>) -> Join {
        let JoinRequest { addr, incoming, parked, handshake, .. } = &*request;
        let (id, extended) = (handshake.peer_id, handshake.extended());
        let join = Join { addr: *addr, incoming: *incoming, parked: *parked, extended, id };
        self.joining = Some(request);
        join
    }

    /// The data was checked: what the torrent needs to know of it.
    pub(super) fn opened(&mut self, outcome: OpenedFiles) -> Opened {
        let OpenedFiles { files, have, wanted, proved, resume, uploaded, downloaded, notes } = outcome;
        let opened = Opened {
            have,
            wanted,
            proved,
            keeps_state: resume.is_some(),
            uploaded,
            downloaded,
            notes,
            renamed: files.take_renamed(),
            holds_every_file: files.holds_every_file(),
            has_chosen_names: files.has_chosen_names(),
        };
        self.check = None;
        self.resume = resume;
        let shared = self.metainfo.clone().map(|metainfo| TorrentShared {
            client: self.setup.client.clone(),
            key: self.setup.key,
            pieces: metainfo.pieces(),
            metainfo,
            files,
            torrent: self.context.inbox.clone(),
            counters: self.counters.clone(),
            journal: Default::default(),
            down: self.down.clone(),
            up: self.up.clone(),
        });
        self.shared = shared.map(Arc::new);
        opened
    }

    /// The files that another program changed, as far as is known.
    pub(super) fn changed_files(&self) -> Vec<u32> {
        self.shared.as_ref().map_or(Vec::new(), |shared| shared.files.count_as_changed())
    }

    /// Files that were found changed, as the torrent needs to know them; not those that are looked at already.
    pub(super) fn doubted(&self, files: Vec<u32>) -> Vec<ChangedFile> {
        let Some(shared) = &self.shared else { return Vec::new() };
        let doubted = files
            .into_iter()
            .filter(|index| !self.rechecking.contains(index) && shared.files.counts_as_changed(*index));
        doubted.map(|file| ChangedFile { file, pieces: shared.files.pieces_of(file) }).collect()
    }

    /// Changed files were hashed again; the next state is to say what they look like.
    pub(super) fn rechecked(&mut self, outcome: recheck::Rechecked) -> Rechecked {
        let recheck::Rechecked { files, pieces, right } = outcome;
        for &(file, stamp) in &files {
            self.rechecking.remove(&file);
            self.resume.iter_mut().for_each(|resume| resume.renew(file, stamp));
        }
        let files = files.into_iter().map(|(file, stamp)| (file, stamp.is_none())).collect();
        Rechecked { files, pieces, right }
    }

    /// The torrent has no use for its files.
    pub(super) fn close_files(&mut self) {
        (self.shared, self.resume) = (None, None);
    }

    /// What the checker needs to open the data of a torrent, which is known by then.
    fn opening(&self) -> Option<Opening> {
        let (status, inbox) = (self.status.clone(), self.context.inbox.clone());
        Some(Opening {
            metainfo: self.metainfo.clone()?,
            config: self.setup.config.clone(),
            fds: self.setup.fds.clone(),
            threads: self.setup.hash_threads,
            on_checked: Box::new(move || status.count_checked()),
            // A torrent that has ended wants no outcome.
            on_done: Box::new(move |outcome| {
                let _ = inbox.send(TorrentMessage::Checked(Box::new(outcome)));
            }),
        })
    }

    /// Carries out one action.
    pub(super) fn carry_out(&mut self, action: Action, torrent: &Torrent) {
        match action {
            Action::Order(key, order) => self.order(key, order),
            Action::Event(what) => self.tell(what, torrent),
            Action::Verified(piece) => {
                self.shared.iter().for_each(|shared| shared.journal.append(piece));
            }
            Action::Lost(piece) => {
                self.shared.iter().for_each(|shared| shared.journal.append_lost(piece));
            }
            Action::Recheck { files: changed, pieces } => {
                let Some(shared) = &self.shared else { return };
                self.rechecking.extend(changed.iter().map(|(file, _)| file));
                let (files, stop) = (shared.files.clone(), self.stop_rechecks.clone());
                let threads = self.setup.hash_threads;
                let recheck = Recheck { files, changed, pieces, threads, stop };
                let sender = self.context.inbox.clone();
                self.setup.client.checker.recheck(recheck, move |outcome| {
                    let _ = sender.send(TorrentMessage::Rechecked(Box::new(outcome)));
                });
            }
            Action::Refetch(pieces) => self.to_disk(ToDisk::Lost(self.setup.key, pieces)),
            Action::LookForChanges { within } => {
                let Some(shared) = &self.shared else { return };
                let since = Moment::START + self.now().since(Moment::START).saturating_sub(within);
                let (files, sender) = (shared.files.clone(), self.context.inbox.clone());
                self.setup.client.checker.look(files, since, move |changed| {
                    let _ = sender.send(TorrentMessage::FilesChanged(changed));
                });
            }
            Action::Accept { key, have, upload_only } => self.accept(key, have, upload_only),
            Action::AcceptForMetadata(key) => self.admit(key, Admitted::Metadata(key)),
            Action::Refuse(why) => {
                let asking = self.joining.take();
                asking.into_iter().for_each(|request| _ = request.admit.send(Err(why)));
            }
            Action::HangUp(key) => self.links.get(&key).into_iter().for_each(|link| link.closer.hang_up()),
            Action::Close(key, why) => {
                self.links.get(&key).into_iter().for_each(|link| ending::part(&link.closer, why));
            }
            Action::Park(key) => {
                let link = self.links.remove(&key);
                self.parked.extend(link.map(|link| Parked::new(link.orders, link.closer)));
            }
            Action::Forget(key) => drop(self.links.remove(&key)),
            Action::Dial(addr) => {
                if dial::dial(self.context.clone(), addr).is_err() {
                    self.answers.push_back(Input::DialFailed(addr, DisconnectReason::Crowded));
                }
            }
            Action::LoadMetadata => {
                let config = &self.setup.config;
                let (dir, state_dir) = (&config.dir, config.state_dir.as_deref());
                let kept = info_file::load(dir, state_dir, self.context.info_hash);
                self.answers.push_back(Input::MetadataLoaded(kept));
            }
            Action::MetadataKnown { metainfo, select } => self.describe(metainfo, select),
            Action::SaveMetadata => self.save_metadata(torrent),
            Action::Check => {
                self.check = self.opening().map(|opening| self.setup.client.checker.open(opening));
            }
            Action::CancelCheck => self.check.take().iter().for_each(Check::cancel),
            Action::ExpectBlocks(have) => {
                let Some(shared) = &self.shared else { return };
                let assembly = Box::new(Assembly::new(shared.files.clone(), have));
                self.to_disk(ToDisk::Open(self.setup.key, assembly, self.context.inbox.clone()));
            }
            Action::RetryWrite => self.to_disk(ToDisk::Retry(self.setup.key)),
            Action::CloseDisk => self.to_disk(ToDisk::Close(self.setup.key, self.context.inbox.clone())),
            Action::SettleFiles => self.shared.iter().for_each(|shared| shared.files.settle()),
            Action::Save { have, uploaded, downloaded } => self.save(&have, uploaded, downloaded),
            Action::RemoveState => self.remove_state(),
            Action::Online => self.go_online(torrent),
            Action::Offline { within } => self.go_offline(within),
            Action::AnnounceCompleted => {
                self.set_left(torrent);
                self.announcer.iter().for_each(Announcer::completed);
            }
            Action::WantPeers => {
                self.announcer.iter().for_each(Announcer::want_peers);
                self.context.dht().into_iter().for_each(|dht| dht.want_peers(self.setup.key));
            }
            Action::ReleaseSlot => self.setup.client.active.release(self.setup.key),
            Action::ExternalIp(ip) => {
                self.setup.client.dht.iter().for_each(|dht| dht.external_ip(ip));
            }
            Action::Ended => self.end(torrent),
        }
    }

    fn tell(&self, what: EventKind, torrent: &Torrent) {
        // An embedder that hears of one of these looks at the progress at once.
        if matches!(what, EventKind::Finished { .. } | EventKind::Failed { .. }) {
            self.show(torrent);
        }
        self.setup.teller.tell(self.context.info_hash, what);
    }

    /// Gives an order; a connection that is too far behind is given up: it sees that its queue is gone.
    fn order(&mut self, key: PeerKey, order: Order) {
        let Some(link) = self.links.get_mut(&key) else { return };
        if matches!(order, Order::HaveLog) && !link.orders.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(_)) = link.orders.try_send(order) {
            link.orders = bounded(0).0;
        }
    }

    fn accept(&mut self, key: PeerKey, have: Bitfield, upload_only: bool) {
        let Some(shared) = &self.shared else { return };
        let cursor = shared.journal.len();
        self.admit(key, Admitted::Torrent(Accepted { key, have, cursor, upload_only }));
    }

    fn admit(&mut self, key: PeerKey, admitted: Admitted) {
        let Some(request) = self.joining.take() else { return };
        let JoinRequest { orders, tally, closer, admit, .. } = *request;
        if admit.send(Ok(admitted)).is_ok() {
            self.links.insert(key, Link { orders, tally, closer });
        } else {
            self.answers.push_back(Input::Gone(key, DisconnectReason::Lost));
        }
    }

    fn to_disk(&self, message: ToDisk) {
        // The disk's thread outlives every torrent.
        let _ = self.setup.client.disk.send(message);
    }

    /// Saves on a thread of its own: syncing may take long, and writing goes on.
    fn save(&mut self, have: &Bitfield, uploaded: u64, downloaded: u64) {
        let Some(resume) = &mut self.resume else { return };
        let snapshot = resume.snapshot(have, uploaded, downloaded);
        let sender = self.context.inbox.clone();
        let files = self.shared.as_ref().map(|shared| shared.files.clone());
        let saving = move || {
            let mut outcome = snapshot.commit();
            // The disk is awake: a good time to see what other programs did to the files meanwhile.
            let mut changed = files.as_ref().map_or(Vec::new(), |files| files.changed(None));
            if let (Err(Uncommitted::Data(error)), Some(files)) = (&outcome, &files)
                && error.kind() == ErrorKind::NotFound
                && !files.count_as_changed().is_empty()
            {
                // The state says nothing of those; they are hashed again.
                changed = files.count_as_changed();
                outcome = Ok(());
            }
            if !changed.is_empty() {
                let _ = sender.send(TorrentMessage::FilesChanged(changed));
            }
            // A torrent that has ended meanwhile did not want to wait for it.
            let _ = sender.send(Input::Saved(outcome).into());
        };
        if let Err(error) = threads::spawn("resume-save", saving) {
            self.answers.push_back(Input::Saved(Err(Uncommitted::State(error))));
        }
    }

    fn remove_state(&mut self) {
        let Some(shared) = &self.shared else { return };
        let (resume, files) = (self.resume.take(), shared.files.clone());
        let (sender, info_hash) = (self.context.inbox.clone(), self.context.info_hash);
        let config = &self.setup.config;
        let (dir, state_dir) = (config.dir.clone(), config.state_dir.clone());
        let remove = move || {
            if let Some(resume) = resume {
                resume.remove()?;
                info_file::remove(&dir, state_dir.as_deref(), info_hash)?;
            }
            files.remove_part()
        };
        let removing = move || drop(sender.send(Input::StateRemoved(remove()).into()));
        if let Err(error) = threads::spawn("resume-save", removing) {
            self.answers.push_back(Input::StateRemoved(Err(error)));
        }
    }

    /// The first announce may be on its way before the next look at the torrent: a seed is none with bytes
    /// left.
    fn set_left(&self, torrent: &Torrent) {
        torrent.left().into_iter().for_each(|left| self.status.set_left(left));
    }

    fn go_online(&mut self, torrent: &Torrent) {
        let (client, key) = (self.setup.client.clone(), self.setup.key);
        self.shared.iter().for_each(|shared| _ = self.context.opened.set(shared.clone()));
        // Whether a magnet link is of a private torrent nobody knows yet.
        if !self.metainfo.as_ref().is_some_and(|metainfo| metainfo.is_private()) {
            discovery::discover(&client, key, self.context.info_hash, &self.context.inbox);
        }
        self.setup.registry.add(self.context.clone());
        client.connected.with(|places| places.want(key, self.links.len() as u32));
        self.set_left(torrent);
        self.parked.drain(..).for_each(Parked::begin);
        if self.announcer.is_none() {
            let random = Random::seeded(self.setup.random.next_u64());
            let tiers = self.metainfo.as_ref().map_or(&self.magnet_tiers[..], |metainfo| metainfo.tiers());
            let own = (self.context.info_hash, tiers);
            let shown = (&self.counters, &self.status);
            let inbox = &self.context.inbox;
            self.announcer = trackers::announce(&client, &self.setup.config, own, shown, random, inbox);
        }
    }

    /// What the torrent is made of is known; nothing is looked for until its data was checked.
    fn describe(&mut self, metainfo: Arc<Metainfo>, select: Option<Vec<u32>>) {
        self.hide();
        self.setup.config.select = select;
        self.found.iter().for_each(|found| _ = found.set(metainfo.clone()));
        self.status.describe(&metainfo);
        self.magnet_tiers.clear();
        self.metainfo = Some(metainfo);
    }

    fn save_metadata(&self, torrent: &Torrent) {
        let (Some(metainfo), config) = (&self.metainfo, &self.setup.config) else { return };
        let (dir, state_dir) = (&config.dir, config.state_dir.as_deref());
        let saved = info_file::save(dir, state_dir, self.context.info_hash, metainfo.info_bytes());
        if let Err(error) = saved {
            self.tell(EventKind::Note { what: format!("the metadata was not kept: {error}") }, torrent);
        }
    }

    /// Connections are not let in any more, and no peers looked for.
    fn hide(&self) {
        let (client, key) = (&self.setup.client, self.setup.key);
        discovery::hide(client, key);
        self.setup.registry.remove(self.context.info_hash);
        client.connected.with(|places| places.rest(key));
        client.calling.with(|places| places.rest(key));
    }

    fn go_offline(&mut self, within: Duration) {
        self.parked.clear();
        self.hide();
        let stopping = self.announcer.take().map(|announcer| {
            let sender = self.context.inbox.clone();
            threads::spawn("stopped-announce", move || {
                announcer.stop(within);
                let _ = sender.send(Input::TrackersStopped.into());
            })
        });
        if !matches!(stopping, Some(Ok(_))) {
            self.answers.push_back(Input::TrackersStopped);
        }
    }

    /// The torrent has ended: what is left of its places is given back, and its files are let go of.
    fn end(&mut self, torrent: &Torrent) {
        let (client, key) = (&self.setup.client, self.setup.key);
        client.connected.with(|places| places.end(key));
        client.calling.with(|places| places.end(key));
        if let Some(shared) = &self.shared {
            shared.files.release();
        }
        self.stop_rechecks.store(true, Ordering::Relaxed);
        self.show(torrent);
        self.status.end();
        self.tell(EventKind::Stopped, torrent);
        self.ended = true;
    }
}
