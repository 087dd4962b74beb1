//! Signals: the first that asks for an end ends the run in good order, the second ends it at once.
//! SIGUSR1 asks for a status line.
//!
//! SIGINT, SIGTERM, SIGHUP and SIGQUIT ask for an end; SIGHUP and SIGQUIT do not where they were ignored
//! when the program started, as `nohup` and shells without job control arrange it. Where the run has files
//! to read again, SIGHUP asks for that, unless the terminal that the run was started from is gone. SIGXFSZ
//! does nothing, so that a write beyond the limit fails with an error like any other.
//!
//! A thread waits for bytes that the handlers write into two sockets: one byte for each signal to end, and
//! one that says that a flag is set. So two requests for a status line in a row are one, and never an end.
//! That thread never waits for anything else, so that the second signal is heard whatever the first set off.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::cli::exit::{Code, Failure};
use crate::cli::output::streams;
use bitwren::internals::lock::lock;

type Ending = Box<dyn FnOnce() + Send>;
type Asking = Box<dyn Fn() + Send>;

/// What happens at a signal. Nothing that is done there may wait.
#[derive(Clone, Default)]
pub struct Signals(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    ending: Option<Ending>,
    status: Option<Asking>,
    reload: Option<Reload>,
}

/// What reads files again.
struct Reload {
    ask: Asking,
    /// Whether the run was started from a terminal.
    has_terminal: bool,
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
        let (mut ends, end) = UnixStream::pair()?;
        let (mut requests, request) = UnixStream::pair()?;
        let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
        let is_heard = |signal: i32| ignored >> (signal - 1) & 1 == 0;
        pipe::register(SIGTERM, end.try_clone()?)?;
        pipe::register(SIGINT, end.try_clone()?)?;
        if is_heard(SIGQUIT) {
            pipe::register(SIGQUIT, end)?;
        }
        flag::register(SIGXFSZ, Arc::default())?;
        let (status, hang_up) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        // The flag first: the thread that reads the byte sees it.
        if is_heard(SIGHUP) {
            flag::register(SIGHUP, hang_up.clone())?;
            pipe::register(SIGHUP, request.try_clone()?)?;
        }
        flag::register(SIGUSR1, status.clone())?;
        pipe::register(SIGUSR1, request)?;
        let signals = self.clone();
        let wait = move || {
            let mut bytes = [0; 64];
            loop {
                let mut sockets = [PollFd::new(&ends, PollFlags::IN), PollFd::new(&requests, PollFlags::IN)];
                // Interrupted: the next look tells.
                let _ = poll(&mut sockets, None);
                let [to_end, asked] = sockets.map(|socket| !socket.revents().is_empty());
                if asked && requests.read(&mut bytes).is_ok() {
                    if status.swap(false, Ordering::Relaxed) {
                        signals.ask_for_status();
                    }
                    if hang_up.swap(false, Ordering::Relaxed) && !signals.ask_for_reload() {
                        signals.end();
                    }
                }
                if to_end && ends.read_exact(&mut [0]).is_ok() {
                    signals.end();
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).stack_size(64 << 10).spawn(wait).map(drop)
    }

    /// Does what is planned for the first signal to end, and ends the program at the second.
    fn end(&self) {
        if !self.ask_for_end() {
            streams::leave();
            std::process::exit(Code::INTERRUPTED.0.into());
        }
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

    /// Has files read again; false if that is not planned, or if the run is to end because its terminal is gone.
    fn ask_for_reload(&self) -> bool {
        let plan = self.plan();
        let reload = plan.reload.as_ref().filter(|reload| !reload.has_terminal || has_terminal());
        reload.map(|reload| (reload.ask)()).is_some()
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

    /// What to do when files are to be read again.
    pub fn at_reload(&self, reload: impl Fn() + Send + 'static) {
        self.plan().reload = Some(Reload { ask: Box::new(reload), has_terminal: has_terminal() });
    }
}

/// Whether the program has a terminal that can end it; one that was closed is none.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
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
