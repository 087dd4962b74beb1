//! What one torrent decides: which peers to dial and to accept, which blocks to request from which peer,
//! which peers to unchoke, when to announce, when to save the state, when seeding is enough, and how it ends.
//!
//! Pure: it knows no clock, socket, thread, channel or lock. A driver feeds it [`Input`]s, carries out its
//! [`Action`]s, and answers its questions at once as its [`Host`]. The engine drives one with threads and
//! sockets; the simulator in `tests/sim` drives thousands in virtual time.
//!
//! # The contract
//! One mutation, then drain the actions, then wait until the deadline:
//!
//! 1. [`handle`](Torrent::handle) one input.
//! 2. Carry out what [`poll_action`](Torrent::poll_action) returns, in order, until it returns nothing.
//! 3. After the inputs that are queued, and when the deadline has passed: handle [`Input::Settle`], and drain
//!    again. Decisions that need not be made for each input (assigning blocks, dials, choking, saving) are
//!    made here, once for all of them.
//! 4. Wait for an input, and until [`deadline`](Torrent::deadline) at most.
//!
//! The first input is [`Input::Start`], the last action [`Action::Ended`]. Blocks never pass through here:
//! connections hand them to the disk, and the torrent gets the verdict on each piece.
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
//! # Which file decides what
//! `state` has the state of a torrent, its life as one enum of stages, `swarm` its peers in all stages, and
//! `step` how it gets from one moment to the next. The decisions are in `metadata` (how a magnet link becomes
//! a torrent), `admission` (which peers are connected), `dialing`, `choking` (which peers are unchoked, and the
//! regular check of every connection), `transfer` (what peers do), `extensions` (what peers say of themselves
//! and of others), `opening` (which pieces exist at the start), `reopening` (files closed and opened anew), `priorities`, `files_done`, `save_schedule` and `saving`,
//! `seed_limits`, `settings` (changed while it runs), `snapshots` (what is shown of it), `super_seeding`, `disk_trouble`, `change` (what the user changes), `changes` and `doubts` (files that another program spoils),
//! `active_slot` and `stopping`.
//!
//! Invariant: every [`Join`] is answered once; for every connection that was accepted there is one
//! [`Forget`](Action::Forget), unless the torrent has ended.

mod action;
mod active_slot;
mod admission;
mod change;
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
mod priorities;
mod rates;
mod reopening;
mod save_schedule;
mod saving;
mod seed_limits;
mod settings;
mod snapshots;
mod state;
mod step;
mod stopping;
mod super_seeding;
mod swarm;
#[cfg(test)]
mod tests;
mod transfer;

pub use self::action::Action;
pub use self::change::{Change, Setting};
pub use self::host::{Bytes, Host, MayDial, STOPPED_ANNOUNCE, ShutdownDeadlines};
pub use self::input::{ChangedFile, Input, Join, Opened, Rechecked};
pub use self::metadata::check_selection;
pub use self::state::{Setup, Torrent};
