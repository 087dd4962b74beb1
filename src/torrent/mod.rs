//! What one torrent decides: whom to dial and to let in, who downloads what from whom, who is served, when
//! trackers are told, when the state is saved, when it is enough, and how it ends.
//!
//! Pure: it knows no clock, socket, thread, channel or lock. A driver feeds it [`Input`]s, carries out its
//! [`Action`]s, and answers at once what it asks of its [`Host`]. The engine drives one with threads and
//! sockets; the simulator in `tests/sim` drives thousands in virtual time.
//!
//! # The contract
//! One mutation, then drain the actions, then wait until the deadline:
//!
//! 1. [`handle`](Torrent::handle) one input.
//! 2. Carry out what [`poll_action`](Torrent::poll_action) gives, in order, until it gives nothing.
//! 3. After the inputs that are there, and when the deadline has passed: handle [`Input::Settle`], and
//!    drain again. What need not be decided for each input (work handed out, dials, choking, saving) is
//!    decided here, once for all of them.
//! 4. Wait for an input, and until [`deadline`](Torrent::deadline) at most.
//!
//! The first input is [`Input::Start`], the last action [`Action::Ended`]. Blocks never pass through here:
//! connections hand them to the disk, and the torrent hears the verdict on each piece.
//!
//! ```no_run
//! # use std::collections::VecDeque;
//! # use bitwren::internals::moment::Moment;
//! # use bitwren::internals::torrent::{Action, Host, Input, Torrent};
//! # fn now() -> Moment { Moment::START }
//! # fn wait(deadline: Option<Moment>) -> VecDeque<Input> { VecDeque::new() }
//! # fn carry_out(action: Action) {}
//! fn run(mut torrent: Torrent, host: &mut impl Host) {
//!     let mut inputs = VecDeque::from([Input::Start]);
//!     loop {
//!         for input in inputs.drain(..).chain([Input::Settle]) {
//!             torrent.handle(input, now(), host);
//!             while let Some(action) = torrent.poll_action() {
//!                 if let Action::Ended = action {
//!                     return;
//!                 }
//!                 carry_out(action);
//!             }
//!         }
//!         inputs = wait(torrent.deadline(now()));
//!     }
//! }
//! ```
//!
//! # Where what is decided
//! `state` has what a torrent is, its life as one enum of stages, and `step` how it gets from one moment to the
//! next. What is decided stands in `metadata` (how a magnet link becomes a torrent), `admission` (who is connected), `dialing`, `choking` (who is served, and the
//! regular look at every connection), `transfer` (what peers do), `extensions` (who they are, and whom they
//! know), `opening` (what there is to begin with), `files_done`, `save_schedule` and `saving`, `seed_limits`,
//! `super_seeding`, `disk_trouble`, `changes` and `doubts` (files that another program spoils), `active_slot` and `stopping`.
//!
//! Invariant: every [`Join`] is answered once; of every connection that was accepted there is one
//! [`Forget`](Action::Forget), unless the torrent has ended.

mod action;
mod active_slot;
mod admission;
mod changes;
mod choking;
mod dialing;
mod disk_trouble;
mod doubts;
mod extensions;
mod files_done;
mod host;
mod input;
mod metadata;
mod opening;
mod rates;
mod save_schedule;
mod saving;
mod seed_limits;
mod state;
mod step;
mod stopping;
mod super_seeding;
#[cfg(test)]
mod tests;
mod transfer;

pub use self::action::Action;
pub use self::host::{Bytes, Host, MayDial, STOPPED_ANNOUNCE, ShutdownDeadlines};
pub use self::input::{ChangedFile, Input, Join, Opened, Rechecked};
pub use self::metadata::check_selection;
pub use self::state::{Setup, Torrent};
