//! The table of methods.
//!
//! A method that only asks gets a backend that it cannot change.

use super::answer::Answer;
use super::args::Args;
use super::fault::Fault;
use super::keys;
use super::{groups, session, torrents, torrents_add, torrents_set};
use crate::daemon::command::{Backend, Command, QueueMove};

/// How a method is carried out.
pub enum Handler {
    /// It only asks.
    Ask(for<'a> fn(Args<'a>, &dyn Backend) -> Result<Answer<'a>, Fault>),
    /// It may change something.
    Do(for<'a> fn(Args<'a>, &mut dyn Backend) -> Result<Answer<'a>, Fault>),
}

/// A method.
pub struct Method {
    name: &'static str,
    handler: Handler,
}

const fn ask(
    name: &'static str,
    handle: for<'a> fn(Args<'a>, &dyn Backend) -> Result<Answer<'a>, Fault>,
) -> Method {
    Method { name, handler: Handler::Ask(handle) }
}

const fn act(
    name: &'static str,
    handle: for<'a> fn(Args<'a>, &mut dyn Backend) -> Result<Answer<'a>, Fault>,
) -> Method {
    Method { name, handler: Handler::Do(handle) }
}

const METHODS: &[Method] = &[
    act("blocklist_update", session::update_blocklist),
    ask("free_space", session::free_space),
    ask("group_get", groups::get),
    act("group_set", groups::set),
    ask("port_test", session::test_port),
    act("queue_move_bottom", |args, backend| {
        torrents::command(args, backend, |ids| Command::Queue(ids, QueueMove::Bottom))
    }),
    act("queue_move_down", |args, backend| {
        torrents::command(args, backend, |ids| Command::Queue(ids, QueueMove::Down))
    }),
    act("queue_move_top", |args, backend| {
        torrents::command(args, backend, |ids| Command::Queue(ids, QueueMove::Top))
    }),
    act("queue_move_up", |args, backend| {
        torrents::command(args, backend, |ids| Command::Queue(ids, QueueMove::Up))
    }),
    act("session_close", session::close),
    ask("session_get", session::get),
    act("session_set", session::set),
    ask("session_stats", session::stats),
    act("torrent_add", torrents_add::add),
    ask("torrent_get", torrents::get),
    act("torrent_reannounce", |args, backend| torrents::command(args, backend, Command::Reannounce)),
    act("torrent_remove", torrents::remove),
    act("torrent_rename_path", torrents::rename),
    act("torrent_set", torrents_set::set),
    act("torrent_set_location", torrents::set_location),
    act("torrent_start", |args, backend| torrents::command(args, backend, Command::Start)),
    act("torrent_start_now", |args, backend| torrents::command(args, backend, Command::StartNow)),
    act("torrent_stop", |args, backend| torrents::command(args, backend, Command::Stop)),
    act("torrent_verify", |args, backend| torrents::command(args, backend, Command::Verify)),
];

impl Method {
    /// The method of this name, in either spelling.
    pub fn find(name: &str) -> Option<&'static Method> {
        METHODS.iter().find(|method| method.name == name || keys::legacy(method.name) == name)
    }

    /// Whether it may change something.
    pub fn changes(&self) -> bool {
        matches!(self.handler, Handler::Do(_))
    }

    /// Carries it out.
    pub fn handle<'a>(&self, args: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
        args.check(self.changes())?;
        match self.handler {
            Handler::Ask(handle) => handle(args, backend),
            Handler::Do(handle) => handle(args, backend),
        }
    }
}
