//! Carries out what a torrent decides, and (in [`host`]) answers what it asks at once: the one place where its
//! decisions meet sockets, files, threads and the other torrents of the client.
//!
//! Each kind of action has a file: [`connections`] for connections, [`data`] for the disk, [`metadata`], [`outreach`]
//! for what makes the torrent known to others. Never waits for more than a lock.

mod connections;
mod data;
mod host;
mod metadata;
mod outreach;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_channel::Sender;

use self::connections::Connections;
use self::data::Data;
use self::metadata::Metadata;
use self::outreach::Outreach;
use super::setup::{Origin, Setup};
use super::status::TorrentStatus;
use crate::engine::conn::dial;
use crate::engine::conn::worker::Accepted;
use crate::engine::context::{Content, TorrentContext};
use crate::engine::disk::checker::Opening;
use crate::engine::inbox::join::JoinRequest;
use crate::engine::inbox::{TorrentMessage, TorrentSender};
use crate::engine::runtime::counters::Counters;
use crate::engine::runtime::ledger::Share;
use crate::engine::runtime::rate_limit::{Limiter, Limits};
use crate::engine::runtime::threads;
use crate::event::EventKind;
use crate::job::PeerKey;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::orders::{Order, OurPieces};
use crate::snapshot::{Phase, TrackerSnapshot};
use crate::storage::moving::Moving;
use crate::storage::opened::OpenedFiles;
use crate::storage::recheck;
use crate::torrent::{Action, Change, ChangedFile, Input, Join, Opened, Rechecked, Torrent};
use crate::violation::DisconnectReason;

/// Bytes that trackers are told are left while the metadata is not known: what is never 0 makes no seed of us.
const LEFT_UNKNOWN: u64 = 16 << 10;

/// What a torrent's decisions are carried out with.
pub(super) struct Driver {
    setup: Setup,
    /// What its threads share.
    context: Arc<TorrentContext>,
    status: Arc<TorrentStatus>,
    /// What it takes of the client's memory.
    memory: Option<Share>,
    metadata: Metadata,
    connections: Connections,
    data: Data,
    outreach: Outreach,
    /// Ends a move of the files early.
    moving: Arc<AtomicBool>,
    /// Inputs that answer an action at once.
    answers: VecDeque<Input>,
    ended: bool,
}

impl Driver {
    pub(super) fn new(setup: Setup, origin: Origin, inbox: TorrentSender) -> Driver {
        let clock = setup.client.clock;
        let counters = Arc::new(Counters::default());
        let status = Arc::new(TorrentStatus::new(counters.clone(), clock));
        let metadata = Metadata::new(origin);
        match metadata.metainfo() {
            Some(metainfo) => status.describe(metainfo),
            None => {
                status.begins(Phase::FetchingMetadata);
                status.set_left(LEFT_UNKNOWN);
            }
        }
        let context = Arc::new(TorrentContext {
            client: setup.client.clone(),
            key: setup.key,
            info_hash: metadata.info_hash(),
            inbox,
            counters,
            have_log: Default::default(),
            down: Limits::new(Limiter::new(setup.config.down_limit, clock), setup.client.down.clone()),
            up: Limits::new(Limiter::new(setup.config.up_limit, clock), setup.client.up.clone()),
            content: OnceLock::new(),
        });
        Driver {
            data: Data::new(context.clone(), setup.hash_threads),
            outreach: Outreach::new(context.clone(), setup.registry.clone()),
            setup,
            context,
            status,
            memory: None,
            metadata,
            connections: Connections::default(),
            moving: Arc::default(),
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
        self.context.down.torrent().set_rate(down);
        self.context.up.torrent().set_rate(up);
    }

    /// Ends all connections; the torrent hears of each.
    pub(super) fn close_connections(&self) {
        self.connections.close_all();
    }

    /// Renews what others see of the torrent.
    pub(super) fn show(&self, torrent: &Torrent) {
        let now = self.now();
        self.set_left(torrent);
        self.status.renew(torrent, now);
    }

    /// Bytes that trackers are told are left. The first announce may be on its way before the next look at the
    /// torrent: a seed is none with bytes left.
    fn set_left(&self, torrent: &Torrent) {
        torrent.left().into_iter().for_each(|left| self.status.set_left(left));
    }

    /// A connection asks to be let in.
    pub(super) fn joins(&mut self, request: Box<JoinRequest>) -> Join {
        self.connections.joins(request)
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
        let content = |metainfo: Arc<Metainfo>| Content { pieces: metainfo.pieces(), metainfo, files };
        self.data.opened(self.metadata.metainfo().cloned().map(content), resume);
        opened
    }

    /// The torrent has no use for its files.
    pub(super) fn close_files(&mut self) {
        self.data.close();
    }

    /// The files that another program changed, as far as is known.
    pub(super) fn changed_files(&self) -> Vec<u32> {
        self.data.changed_files()
    }

    /// Files that were found changed, as the torrent needs to know them; not those that are looked at already.
    pub(super) fn doubted(&self, files: Vec<u32>) -> Vec<ChangedFile> {
        self.data.doubted(files)
    }

    /// Changed files were hashed again.
    pub(super) fn rechecked(&mut self, outcome: recheck::Rechecked) -> Rechecked {
        self.data.rechecked(outcome)
    }

    /// Carries out one action.
    pub(super) fn carry_out(&mut self, action: Action, torrent: &Torrent) {
        match action {
            Action::Accept { key, ours } => self.accept(key, ours),
            Action::Learn { key, ours } => {
                let (ours, cursor) = (Box::new(ours), self.context.have_log.end());
                self.connections.order(key, Order::Learn { ours, cursor });
            }
            Action::Refuse(_) => self.connections.refuse(),
            Action::Order(key, order) => self.connections.order(key, order),
            Action::Wake(key) => self.connections.wake(key),
            Action::HangUp(key) => self.connections.hang_up(key),
            Action::Forget(key) => self.connections.forget(key),
            Action::Dial(addr, wants_encryption) => {
                if dial::dial(self.context.clone(), addr, wants_encryption).is_err() {
                    self.answers.push_back(Input::DialFailed(addr, DisconnectReason::Crowded));
                }
            }

            Action::Verified(piece) => self.context.have_log.append(piece),
            Action::Lost(piece) => self.context.have_log.append_lost(piece),
            Action::Check { hash_all } => {
                if let Some(opening) = self.opening(hash_all) {
                    self.status.begin_check();
                    self.data.open(opening);
                }
            }
            Action::CancelCheck => self.data.cancel_check(),
            Action::CloseFiles => self.begin_anew(),
            Action::Configure(change) => self.configure(change),
            Action::MoveFiles(to) => self.move_files(to),
            Action::ExpectBlocks(have) => self.data.expect_blocks(have),
            Action::Refetch(pieces) => self.data.refetch(pieces),
            Action::RetryWrite => self.data.retry_write(),
            Action::CloseDisk => self.data.close_disk(),
            Action::SettleFiles => self.data.settle(),
            Action::Recheck { files, pieces } => self.data.recheck(files, pieces),
            Action::LookForChanges { within } => self.data.look_for_changes(within),
            Action::Save { have, uploaded, downloaded } => {
                let answer = self.data.save(&have, uploaded, downloaded);
                self.answers.extend(answer);
            }
            Action::RemoveState => {
                let answer = self.data.remove_state(&self.setup.config);
                self.answers.extend(answer);
            }

            Action::LoadMetadata => {
                let kept = self.metadata.load(&self.setup.config);
                self.answers.push_back(Input::MetadataLoaded(kept));
            }
            Action::MetadataKnown { metainfo, select } => self.describe(metainfo, select),
            Action::SaveMetadata => {
                if let Err(error) = self.metadata.save(&self.setup.config) {
                    let what = format!("the metadata was not kept: {error}");
                    self.tell(EventKind::Note { what }, torrent);
                }
            }

            Action::Online => self.go_online(torrent),
            Action::Offline { within } => {
                let answer = self.outreach.end(within);
                self.answers.extend(answer);
            }
            Action::AnnounceCompleted => {
                self.set_left(torrent);
                self.outreach.completed();
            }
            Action::WantPeers => self.outreach.want_peers(),
            Action::Reannounce => self.outreach.reannounce(),
            Action::ExternalIp(ip) => {
                self.setup.client.dht.iter().for_each(|dht| dht.external_ip(ip));
            }

            Action::ReleaseSlot => self.setup.client.active.release(self.setup.key),
            Action::Event(what) => self.tell(what, torrent),
            Action::Ended => self.end(torrent),
        }
    }

    fn accept(&mut self, key: PeerKey, ours: Option<OurPieces>) {
        let ours = ours.map(|ours| (ours, self.context.have_log.end()));
        if self.connections.accept(self.context.clone(), Accepted { key, ours }).is_err() {
            self.answers.push_back(Input::Gone(key, DisconnectReason::Crowded));
        }
    }

    /// What the checker needs to open the data of a torrent, which is known by then.
    fn opening(&self, hash_all: bool) -> Option<Opening> {
        let (status, inbox) = (self.status.clone(), self.context.inbox.clone());
        Some(Opening {
            metainfo: self.metadata.metainfo()?.clone(),
            config: self.setup.config.clone(),
            fds: self.setup.fds.clone(),
            hash_all,
            threads: self.setup.hash_threads,
            on_checked: Box::new(move || status.count_checked()),
            // A torrent that has ended wants no outcome.
            on_done: Box::new(move |outcome| {
                let _ = inbox.send(TorrentMessage::Checked(Box::new(outcome)));
            }),
        })
    }

    /// The files are closed: no thread has the torrent any longer, and it begins with nothing. Trackers go on.
    fn begin_anew(&mut self) {
        self.outreach.hide();
        self.data.end();
        self.memory = None;
        self.context = Arc::new(self.context.anew());
        self.data = Data::new(self.context.clone(), self.setup.hash_threads);
        self.outreach.renew(self.context.clone());
    }

    /// Moves the files on a thread of its own: a copy may take hours.
    fn move_files(&mut self, to: PathBuf) {
        let Some(metainfo) = self.metadata.metainfo().cloned() else { return };
        let stop = self.moving.clone();
        let moving = Moving { metainfo, config: self.setup.config.clone(), to: to.clone(), stop };
        let (status, inbox) = (self.status.clone(), self.context.inbox.clone());
        self.status.begin_move();
        let body = move || {
            let outcome = moving.run(&|bytes| status.count_moved(bytes)).map(|()| to);
            // A torrent that has ended meanwhile does not wait for it.
            let _ = inbox.send(Input::Moved(outcome).into());
        };
        if let Err(error) = threads::spawn("move", body) {
            self.answers.push_back(Input::Moved(Err(error)));
        }
    }

    /// The files are opened with these settings from now on.
    fn configure(&mut self, change: Change) {
        let config = &mut self.setup.config;
        match change {
            Change::Verify | Change::Move(_) => {}
            Change::Files { select, priorities } => {
                (config.select, config.file_priorities) = (select, priorities);
            }
            Change::Locate(dir) => config.dir = dir,
        }
    }

    /// What the torrent is made of is known; nothing is looked for until its data was checked.
    fn describe(&mut self, metainfo: Arc<Metainfo>, select: Option<Vec<u32>>) {
        self.outreach.hide();
        self.setup.config.select = select;
        self.metadata.learn(metainfo.clone());
        self.status.describe(&metainfo);
    }

    fn go_online(&mut self, torrent: &Torrent) {
        self.data.content().into_iter().for_each(|content| _ = self.context.content.set(content.clone()));
        self.outreach.show(self.metadata.is_private(), self.connections.count());
        self.set_left(torrent);
        let egress = &self.setup.client.egress;
        let proxies = egress.proxies().into_iter().flat_map(|route| route.troubles());
        egress.outage().into_iter().chain(proxies).for_each(|outage| self.tell(outage, torrent));
        let shown = (&self.context.counters, &self.status);
        let tiers = self.setup.config.announces_to(self.metadata.tiers());
        self.outreach.announce(tiers, shown, &mut self.setup.random);
    }

    /// The torrent waits for no slot.
    pub(super) fn pass_queue(&self) {
        self.setup.client.active.force(self.setup.key);
    }

    /// Announces to other trackers from now on.
    pub(super) fn set_trackers(&mut self, tiers: Vec<Vec<String>>) {
        if !self.outreach.replace_trackers(&tiers) && self.outreach.is_announcing() {
            let shown = (&self.context.counters, &self.status);
            self.outreach.announce(tiers.clone(), shown, &mut self.setup.random);
        }
        self.setup.config.tiers = Some(tiers);
    }

    /// Sends what there is to say of each tracker.
    pub(super) fn show_trackers(&self, answer: Sender<Vec<TrackerSnapshot>>) {
        let tiers = self.setup.config.announces_to(self.metadata.tiers());
        self.outreach.show_trackers(&tiers, answer);
    }

    fn tell(&self, what: EventKind, torrent: &Torrent) {
        // An embedder that hears of one of these looks at the progress at once.
        if matches!(what, EventKind::Finished { .. } | EventKind::Failed { .. }) {
            self.show(torrent);
        }
        self.setup.events.tell(self.context.info_hash, what);
    }

    /// The torrent has ended: what is left of its places is given back, and its files are let go of.
    fn end(&mut self, torrent: &Torrent) {
        let (client, key) = (&self.setup.client, self.setup.key);
        client.connected.with(|places| places.end(key));
        client.calling.with(|places| places.end(key));
        client.active.leave(key);
        self.data.end();
        self.moving.store(true, Ordering::Relaxed);
        self.show(torrent);
        self.status.end();
        self.tell(EventKind::Stopped, torrent);
        self.ended = true;
    }
}
