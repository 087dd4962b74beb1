//! The thread of a torrent: it waits for a message or a deadline, passes the [`Torrent`] its inputs, and
//! carries out the actions ([`driver`]).
//!
//! It waits in one place, and never waits for a connection: orders are tried, and a connection whose queue is
//! full is given up. Decides nothing itself.

mod discovery;
mod driver;
pub(crate) mod setup;
pub(crate) mod start;
pub(crate) mod status;
mod trackers;

use std::time::Duration;

use self::driver::Driver;
use super::inbox::{Query, TorrentInbox, TorrentMessage};
use crate::torrent::{Input, Torrent};

/// Messages taken in before what follows from them is decided.
const MAX_INPUTS_PER_TURN: usize = 256;
/// How long to wait if nothing is due.
const IDLE_WAIT: Duration = Duration::from_secs(24 * 3600);

struct TorrentThread {
    torrent: Torrent,
    driver: Driver,
    inbox: TorrentInbox,
}

impl TorrentThread {
    fn new(torrent: Torrent, driver: Driver, inbox: TorrentInbox) -> TorrentThread {
        TorrentThread { torrent, driver, inbox }
    }

    /// To the end.
    fn run(mut self) {
        self.settle();
        while !self.driver.has_ended() {
            self.wait();
            self.settle();
        }
    }

    /// Waits for one message or the next deadline, and takes in what else is there.
    fn wait(&mut self) {
        let now = self.driver.now();
        let timeout = self.torrent.deadline(now).map_or(IDLE_WAIT, |deadline| deadline.since(now));
        if let Ok(message) = self.inbox.recv_timeout(timeout) {
            self.take_in(message);
            for _ in 0..MAX_INPUTS_PER_TURN {
                let Ok(message) = self.inbox.try_recv() else { break };
                self.take_in(message);
            }
        }
    }

    fn settle(&mut self) {
        self.handle(Input::Settle);
        self.driver.show(&self.torrent);
    }

    fn take_in(&mut self, message: TorrentMessage) {
        match message {
            TorrentMessage::Input(input) => self.handle(input),
            TorrentMessage::Join(request) => {
                let join = self.driver.joins(request);
                self.handle(Input::Joined(join));
            }
            TorrentMessage::Checked(outcome) => {
                let outcome = outcome.map(|outcome| self.driver.opened(outcome));
                self.handle(Input::Checked(Box::new(outcome)));
                if !self.torrent.is_open() {
                    self.driver.close_files();
                }
            }
            TorrentMessage::FilesChanged(files) => self.files_changed(files),
            TorrentMessage::Rechecked(outcome) => {
                let outcome = outcome.map(|outcome| self.driver.rechecked(outcome));
                self.handle(Input::Rechecked(Box::new(outcome)));
                // Some may have changed again meanwhile.
                self.files_changed(self.driver.changed_files());
            }
            TorrentMessage::SetLimits { down, up } => self.driver.set_limits(down, up),
            TorrentMessage::SetTrackers(tiers) => self.driver.set_trackers(tiers),
            TorrentMessage::StartNow => {
                self.driver.pass_queue();
                self.handle(Input::Resume);
                self.handle(Input::SlotGranted);
            }
            TorrentMessage::CutOff => self.driver.close_connections(),
            TorrentMessage::Query(query) => self.answer(query),
        }
    }

    /// Answers a question; the asker may have given up waiting.
    fn answer(&self, query: Query) {
        match query {
            Query::Peers(answer) => _ = answer.try_send(self.torrent.peers(&self.driver)),
            Query::Pieces(answer) => _ = answer.try_send(self.torrent.pieces()),
            Query::Trackers(answer) => self.driver.show_trackers(answer),
            Query::Files(answer) => _ = answer.try_send(self.torrent.files()),
        }
    }

    /// Files differ from when they were known to be right.
    fn files_changed(&mut self, files: Vec<u32>) {
        let changed = self.driver.doubted(files);
        if !changed.is_empty() {
            self.handle(Input::FilesChanged(changed));
        }
    }

    /// Takes in one input, and carries out what follows from it.
    fn handle(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next {
            self.torrent.handle(input, self.driver.now(), &mut self.driver);
            while let Some(action) = self.torrent.poll_action() {
                self.driver.carry_out(action, &self.torrent);
            }
            next = self.driver.answer();
        }
    }
}
