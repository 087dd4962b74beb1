//! What a method answers when it succeeded: what is to be written, once its envelope is open.

use std::io;

use super::reply::Reply;
use crate::daemon::command::Backend;

type Write<'a> = dyn FnOnce(&mut Reply, &dyn Backend) -> io::Result<()> + 'a;

/// The members of an answer, to be written.
pub struct Answer<'a>(Box<Write<'a>>);

impl<'a> Answer<'a> {
    /// An answer without a member.
    pub fn nothing() -> Self {
        Answer::new(|_, _| Ok(()))
    }

    /// The members that `write` writes.
    pub fn new(write: impl FnOnce(&mut Reply, &dyn Backend) -> io::Result<()> + 'a) -> Self {
        Answer(Box::new(write))
    }

    /// Writes them.
    pub fn write(self, reply: &mut Reply, backend: &dyn Backend) -> io::Result<()> {
        (self.0)(reply, backend)
    }
}
