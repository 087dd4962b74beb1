//! Signals: the first that asks for an end ends the run in good order, the second ends it at once.
//! SIGUSR1 asks for a status line.
//!
//! SIGINT, SIGTERM, SIGHUP and SIGQUIT ask for an end; SIGHUP and SIGQUIT do not where they were ignored
//! when the program started, as `nohup` and shells without job control arrange it. SIGXFSZ does nothing,
//! so that a write beyond the limit fails with an error like any other. A handler sets a flag and writes
//! a byte into a socket, and a thread waits at the other end; nothing polls. That thread never waits for
//! anything else, so that the second signal is heard whatever the first set off.

use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::cli::exit::{Code, Failure};
use crate::cli::output::streams;
use bitwren::internals::lock::lock;

type Ending = Box<dyn FnOnce() + Send>;
type Status = Box<dyn Fn() + Send>;

/// What happens at a signal. Nothing that is done there may wait.
#[derive(Clone, Default)]
pub struct Signals(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    ending: Option<Ending>,
    status: Option<Status>,
}

impl Signals {
    /// Takes over the signals. Until [`Signals::at_first`] is called, the first one ends the run at once, as
    /// there is nothing to save.
    pub fn take_over() -> Result<Signals, Failure> {
        let signals = Signals::default();
        signals.listen().map_err(|error| {
            Failure::new(Code::UNKNOWN, format_args!("cannot take over signals: {error}"))
        })?;
        Ok(signals)
    }

    fn listen(&self) -> io::Result<()> {
        let (mut receiver, sender) = UnixStream::pair()?;
        let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
            if [SIGTERM, SIGINT].contains(&signal) || ignored >> (signal - 1) & 1 == 0 {
                pipe::register(signal, sender.try_clone()?)?;
            }
        }
        flag::register(SIGXFSZ, Arc::default())?;
        // In this order: the thread that reads the byte sees the flag.
        flag::register(SIGUSR1, asked.clone())?;
        pipe::register(SIGUSR1, sender)?;
        let signals = self.clone();
        let wait = move || {
            let mut signal = [0];
            while receiver.read_exact(&mut signal).is_ok() {
                if asked.swap(false, Ordering::Relaxed) {
                    signals.ask_for_status();
                } else if !signals.ask_for_end() {
                    streams::leave();
                    std::process::exit(Code::INTERRUPTED.0.into());
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).stack_size(64 << 10).spawn(wait).map(drop)
    }

    /// What to do at the first signal, instead of ending at once.
    pub fn at_first(&self, ending: impl FnOnce() + Send + 'static) {
        self.plan().ending = Some(Box::new(ending));
    }

    /// Does what is planned for the first signal; false if nothing is planned any more.
    pub fn ask_for_end(&self) -> bool {
        let ending = self.plan().ending.take();
        ending.map(|ending| ending()).is_some()
    }

    /// Does what is planned for the signal that asks for a status line.
    pub fn ask_for_status(&self) {
        self.plan().status.iter().for_each(|status| status());
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.0)
    }

    /// Does something during which a signal ends the run at once.
    pub fn at_once<T>(&self, what: impl FnOnce() -> T) -> T {
        let ending = self.plan().ending.take();
        let done = what();
        self.plan().ending = ending;
        done
    }

    /// What to do when a status line is asked for.
    pub fn at_status(&self, status: impl Fn() + Send + 'static) {
        self.plan().status = Some(Box::new(status));
    }
}

/// The signals that are ignored, from `/proc/self/status`: bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_kernels_mask() {
        let under_nohup = "SigPnd:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n";
        assert_eq!(ignored(under_nohup) >> (SIGHUP - 1) & 1, 1);
        assert_eq!(ignored(under_nohup) >> (SIGQUIT - 1) & 1, 0);
        assert_eq!((ignored("SigIgn:\tnonsense"), ignored("")), (0, 0));
    }
}
