//! How threads are started here: named, with a stack of stated size, and with an error instead of
//! a panic where the system has none to give.

use std::net::SocketAddr;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::error::{Error, ErrorKind, Result};

/// Bytes of stack a thread may use. Only touched pages cost memory.
const STACK: usize = if cfg!(debug_assertions) { 512 * 1024 } else { 192 * 1024 };

/// Starts a thread called `bw-` and `name`.
///
/// # Errors
/// [`ErrorKind::Resources`] where the system refuses.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    Builder::new().name(format!("bw-{name}")).stack_size(STACK).spawn(body).map_err(|cause| {
        Error::new(ErrorKind::Resources, format!("no thread for {name}; raise the limit on processes"))
            .because(cause)
    })
}

/// A thread whose end can be waited for with a deadline.
#[derive(Debug)]
pub(crate) struct Waited {
    thread: JoinHandle<()>,
    /// Hangs up when the body has ended, however it did.
    alive: Receiver<()>,
}

impl Waited {
    /// Waits until it has ended; false where it has not within `timeout`, and is left behind.
    pub(crate) fn join_within(self, timeout: Duration) -> bool {
        let ended = self.alive.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected);
        if ended {
            // A panic has been told by its hook.
            let _ = self.thread.join();
        }
        ended
    }

    /// Whether it has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// The name of a connection's thread: the port of its peer, and nothing else.
pub(crate) fn of_peer(addr: SocketAddr) -> String {
    format!("peer-{}", addr.port())
}

/// As [`spawn`], of a thread that is to be waited for.
///
/// # Errors
/// As [`spawn`].
pub(crate) fn spawn_waited(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Waited> {
    let (living, alive) = bounded::<()>(0);
    let thread = spawn(name, move || {
        let _living = living;
        body();
    })?;
    Ok(Waited { thread, alive })
}
