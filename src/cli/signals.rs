//! Ctrl-C and SIGTERM: the first ends the run in good order, the second ends it at once.
//!
//! The handler writes a byte into a socket and a thread waits at the other end; nothing polls.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use super::exit::{Code, Failure};
use super::screen;

type Ending = Box<dyn FnOnce() + Send>;

/// What is to happen at the first signal.
#[derive(Clone)]
pub struct Signals(Arc<Mutex<Option<Ending>>>);

impl Signals {
    /// Takes over the signals. Until [`Signals::at_first`] is called, the first one ends the run at
    /// once: there is nothing to save.
    pub fn take_over() -> Result<Signals, Failure> {
        let no_signals =
            |error| Failure::new(Code::UNKNOWN, format_args!("cannot take over signals: {error}"));
        let (mut receiver, sender) = UnixStream::pair().map_err(no_signals)?;
        pipe::register(SIGTERM, sender.try_clone().map_err(no_signals)?).map_err(no_signals)?;
        pipe::register(SIGINT, sender).map_err(no_signals)?;
        let signals = Signals(Arc::default());
        let first = signals.clone();
        let wait = move || {
            let mut signal = [0];
            while receiver.read_exact(&mut signal).is_ok() {
                match first.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    Some(ending) => ending(),
                    None => {
                        screen::leave();
                        std::process::exit(Code::INTERRUPTED.0.into());
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("signals".into())
            .stack_size(64 << 10)
            .spawn(wait)
            .map_err(no_signals)?;
        Ok(signals)
    }

    /// What to do at the first signal, instead of ending at once.
    pub fn at_first(&self, ending: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(ending));
    }
}
