//! The steps of a torrent: taking in an input, deciding what follows, and when that is due next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::action::{Action, Actions};
use super::host::{Host, STOPPED_ANNOUNCE};
use super::input::Input;
use super::rates::{TICK, TORRENT_INERTIA};
use super::seed_limits::SeedLimits;
use super::snapshots::failure;
use super::state::{Active, ActiveSlot, Early, Fetching, Setup, Stage, Torrent, Trouble};
use super::swarm::Swarm;
use crate::bitfield::Bitfield;
use crate::error::Error;
use crate::event::EventKind;
use crate::filter::AddressFilter;
use crate::metainfo::{Magnet, Metainfo};
use crate::moment::Moment;
use crate::random::Random;
use crate::rate::RateMeter;
use crate::storage::write_queue::WriteEvent;
use crate::swarm::peers::{PeerList, Source};
use crate::swarm::pex::Exchange;
use crate::tracker::report::TrackerEvent;
use crate::violation::DisconnectReason;

impl Torrent {
    /// A torrent that was told nothing yet.
    pub fn new(mut setup: Setup, metainfo: Arc<Metainfo>) -> Torrent {
        let swarm = swarm(&mut setup, metainfo.is_private());
        Torrent::at(setup, swarm, Stage::Waiting(Early { metainfo }))
    }

    /// A torrent of which only a magnet link is known.
    pub fn of_magnet(mut setup: Setup, magnet: Magnet, now: Moment) -> Torrent {
        let swarm = swarm(&mut setup, false);
        let fetching = Fetching::new(&setup, magnet, now);
        Torrent::at(setup, swarm, Stage::FetchingMetadata(Box::new(fetching)))
    }

    fn at(setup: Setup, swarm: Swarm, stage: Stage) -> Torrent {
        Torrent {
            random: setup.random.clone(),
            limits: SeedLimits::new(&setup.config),
            metainfo: match &stage {
                Stage::Waiting(early) => Some(early.metainfo.clone()),
                _ => None,
            },
            reopening: None,
            changes: Vec::new(),
            setup,
            stage,
            swarm,
            slot: ActiveSlot::None,
            paused: false,
            down: RateMeter::new(0, Moment::START, TORRENT_INERTIA),
            up: RateMeter::new(0, Moment::START, TORRENT_INERTIA),
            trackers_stopping: 0,
            corrupt: 0,
            moved: None,
            error: None,
            tracker_error: None,
            tracker_warning: None,
            out: Actions::default(),
        }
    }

    fn start(&mut self, now: Moment, host: &mut impl Host) {
        match &mut self.stage {
            Stage::FetchingMetadata(fetching) if self.setup.config.resume => {
                fetching.loading = true;
                self.out.push(Action::LoadMetadata);
            }
            Stage::FetchingMetadata(_) => self.work(now),
            _ => self.ask_slot(now, host),
        }
    }

    /// Takes in one input.
    pub fn handle(&mut self, input: Input, now: Moment, host: &mut impl Host) {
        match input {
            Input::Report(key, report) => self.on_report(key, report, now, host),
            Input::Settle => self.settle(now, host),
            Input::Disk(news) => self.on_disk(news, now, host),
            Input::Joined(join) => self.on_join(join, now, host),
            Input::DialFailed(addr, why) => self.on_dial_failed(addr, why, now),
            Input::Gone(key, why) => self.on_gone(key, why, now, host),
            Input::Start => self.start(now, host),
            Input::MetadataLoaded(bytes) => self.on_metadata_loaded(bytes, now, host),
            Input::Checked(outcome) => self.on_checked(*outcome, now, host),
            Input::ReadFailed(error) if self.is_open() && !self.is_closing() => self.fail(&error),
            Input::ReadFailed(_) => {}
            Input::FilesChanged(files) => self.on_files_changed(files, now, host),
            Input::Rechecked(outcome) => self.on_rechecked(*outcome, now, host),
            Input::Saved(outcome) => self.on_saved(outcome),
            Input::StateRemoved(outcome) => self.on_state_removed(outcome),
            Input::Tracker(event) => self.on_tracker(event, now),
            Input::Found(source, addrs) => self.on_found(source, addrs, now),
            Input::Filter(filter) => self.on_filter(filter),
            Input::SlotGranted => self.on_slot(now, host),
            Input::Queues { downloads, seeds } => self.on_queues(downloads, seeds),
            Input::Set(setting) => self.on_setting(setting, now, host),
            Input::Pause => self.pause(),
            Input::Resume => self.resume(now, host),
            Input::Moved(outcome) => self.on_moved(outcome),
            Input::Reannounce => self.reannounce(),
            Input::Change(change) => self.on_change(*change, now, host),
            Input::Remove => self.stop(now, host),
            Input::DiskClosed => self.on_disk_closed(),
            Input::TrackersStopped => self.trackers_stopping = self.trackers_stopping.saturating_sub(1),
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.next()
    }

    /// When [`Input::Settle`] is due if nothing else happens; nothing where only an input can change anything.
    pub fn deadline(&self, now: Moment) -> Option<Moment> {
        if let Stage::Stopping(stopping) = &self.stage {
            return Some(stopping.deadline());
        }
        if let Stage::FetchingMetadata(fetching) = &self.stage {
            let due = fetching.deadline(&self.swarm, self.is_working(), now);
            return due.into_iter().chain(self.shares_early()).min();
        }
        if let Stage::Closing(_) = &self.stage {
            return self.closing_due();
        }
        let (Stage::Open(_) | Stage::Failed(_)) = &self.stage else { return self.shares_early() };
        let active = self.stage.active()?;
        let show = active.super_seed.as_ref().and_then(|seed| seed.deadline());
        let mut due = [
            self.slot_due(),
            self.limits.deadline(),
            active.next_tick,
            active.trouble.as_ref().map(Trouble::next_try),
            active.saving.due(),
            None,
            None,
            None,
            None,
        ];
        if self.is_working() {
            due[5] = active.choke_due(&self.swarm);
            due[6] = self.swarm.dial_due(now);
            due[7] = self.swarm.exchange.as_ref().and_then(Exchange::deadline);
            due[8] = show;
        }
        due.into_iter().flatten().min()
    }

    /// Whether the data was checked, and there is something to work with.
    pub fn is_open(&self) -> bool {
        self.stage.active().is_some()
    }

    /// Whether everything wanted is there.
    pub fn is_finished(&self) -> bool {
        self.stage.is_finished()
    }

    /// The pieces that are verified, once the data was checked.
    pub fn have(&self) -> Option<&Bitfield> {
        self.stage.active().map(|active| active.picker.have())
    }

    /// Bytes of the whole torrent that are not there, once that is known.
    pub fn left(&self) -> Option<u64> {
        self.stage.active().map(Active::left)
    }

    /// Decisions that follow from the inputs: assigning blocks, dialing peers, saving the state.
    fn settle(&mut self, now: Moment, host: &mut impl Host) {
        self.close_on(now, host);
        if !self.stage.is_over() && !self.is_closing() {
            self.settle_living(now, host);
        }
        self.stop_on(now, host);
    }

    fn settle_living(&mut self, now: Moment, host: &mut impl Host) {
        if let Stage::FetchingMetadata(_) = &self.stage {
            self.settle_metadata(now, host);
        }
        self.settle_slot(now, host);
        self.share_places_early(now, host);
        self.assign();
        if self.is_working() {
            self.dial(now, host);
            self.choke_when_due(now, host);
            self.exchange_when_due(now);
        }
        self.retry_when_due(now);
        self.save_when_due(now, host);
        self.tick_when_due(now, host);
        // Rates and time decide what is handed out, too.
        self.assign();
        // What peers were sent by now decides what they are shown next.
        if self.is_working() {
            self.show_pieces(now);
        }
        self.stop_when_enough(now, host);
    }

    /// Whether its files are being closed.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing(_))
    }

    /// Whether peers are welcome.
    pub(super) fn is_working(&self) -> bool {
        let is_ready = match &self.stage {
            Stage::FetchingMetadata(fetching) => !fetching.loading,
            Stage::Open(active) => active.trouble.is_none(),
            _ => false,
        };
        is_ready && !self.paused && !self.is_queued()
    }

    /// Begins to work, or goes on: connections are let in, trackers are told.
    pub(super) fn work(&mut self, now: Moment) {
        if !self.is_working() {
            return;
        }
        if let Some(active) = self.stage.active_mut() {
            active.next_tick = Some(now + TICK);
        }
        self.out.push(Action::Online);
    }

    /// Every connection ends and trackers are told; the data stays open.
    pub(super) fn rest(&mut self) {
        self.go_offline(STOPPED_ANNOUNCE);
        self.swarm.dismiss_all(DisconnectReason::Shutdown, &mut self.out);
        if let Some(active) = self.stage.active_mut() {
            active.saving.wanted_now();
        }
    }

    pub(super) fn go_offline(&mut self, within: Duration) {
        self.trackers_stopping += 1;
        self.out.push(Action::Offline { within });
    }

    pub(super) fn pause(&mut self) {
        if !self.paused && !self.stage.is_over() {
            self.paused = true;
            self.rest();
            self.out.tell(EventKind::Paused);
        }
    }

    fn resume(&mut self, now: Moment, host: &mut impl Host) {
        if self.paused && !self.stage.is_over() {
            self.paused = false;
            self.out.tell(EventKind::Resumed);
            self.ask_slot(now, host);
            self.work(now);
        }
    }

    /// The user asks for an announce. Without connections allowed there is none to make.
    fn reannounce(&mut self) {
        if self.is_working() {
            self.out.push(Action::Reannounce);
        }
    }

    /// The torrent cannot go on.
    pub(super) fn fail(&mut self, error: &Error) {
        match std::mem::replace(&mut self.stage, Stage::Ended(None)) {
            Stage::Stopping(mut stopping) => {
                let news = !std::mem::replace(&mut stopping.failed, true);
                self.stage = Stage::Stopping(stopping);
                if !news {
                    return;
                }
            }
            ended_or_failed @ (Stage::Failed(_) | Stage::Ended(_)) => {
                self.stage = ended_or_failed;
                return;
            }
            stage => {
                let mut active = stage.into_active();
                if let Some(active) = &mut active {
                    active.trouble = None;
                }
                self.stage = Stage::Failed(active);
                self.rest();
            }
        }
        self.error = Some(failure(error));
        self.out.tell(EventKind::Failed { kind: error.kind(), why: error.to_string() });
    }

    fn on_disk(&mut self, news: WriteEvent, now: Moment, host: &mut impl Host) {
        match news {
            WriteEvent::Verdict(verdict) => self.on_verdict(&verdict, now, host),
            WriteEvent::Failed(error) if self.is_open() && !self.is_closing() => {
                self.on_write_failed(&error, now)
            }
            WriteEvent::Failed(_) => {}
            WriteEvent::Dropped(piece) => self.on_dropped(piece),
            WriteEvent::Recovered => self.on_recovered(now),
            WriteEvent::StoredAs(renamed) => self.on_stored_as(renamed),
        }
    }

    fn on_tracker(&mut self, event: TrackerEvent, now: Moment) {
        match event {
            TrackerEvent::Peers(addrs) => self.on_found(Source::Tracker, addrs, now),
            TrackerEvent::ExternalIp(ip) => {
                self.out.push(Action::ExternalIp(ip));
                self.swarm.peers.located(SocketAddr::new(ip, self.setup.port));
            }
            event => {
                self.note_tracker(&event);
                event.public_event().into_iter().for_each(|what| self.out.tell(what));
            }
        }
    }

    /// The address filter has changed.
    fn on_filter(&mut self, filter: Arc<AddressFilter>) {
        self.swarm.peers.set_filter(filter);
    }

    /// Addresses are known.
    fn on_found(&mut self, source: Source, addrs: Vec<SocketAddr>, now: Moment) {
        addrs.into_iter().for_each(|addr| _ = self.swarm.peers.add(addr, source, now));
    }
}

/// The peers that a torrent begins with.
fn swarm(setup: &mut Setup, private: bool) -> Swarm {
    let random = Random::seeded(setup.random.next_u64());
    let mut peers = PeerList::new(private, random).for_connections(setup.config.max_peers);
    peers.set_filter(setup.filter.clone());
    Swarm::new(peers, &mut setup.config, setup.pex && !private)
}
