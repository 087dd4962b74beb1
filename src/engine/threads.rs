//! How threads are started here: named, with a stack of stated size, and with an error instead of
//! a panic where the system has none to give.

use std::thread::{Builder, JoinHandle};

use crate::error::{Error, ErrorKind, Result};

/// Bytes of stack a thread may use. Only what is touched costs memory.
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
