//! A program as a child: its lines as they come, its peak memory, its end, all with deadlines.
//! It never outlives the test.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::proc;

/// The longest any test waits for a child that ought to end by itself.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What keeps the binary from looking for anyone beyond this machine.
pub const AT_HOME: [(&str, &str); 3] =
    [("BITWREN_NO_DHT", "1"), ("BITWREN_NO_LSD", "1"), ("BITWREN_NO_PORTMAP", "1")];

/// The binary under test with these arguments, and with nothing of the tester's own environment
/// that could change what it does. What it keeps, it keeps below `home`. No peer is looked for
/// beyond this machine: the DHT, local discovery and port mapping are off unless the arguments turn
/// them on.
pub fn bitwren(home: &Path, args: &[&str]) -> Command {
    // `BITWREN` names another build of it to be tested, the release one for example.
    let binary = std::env::var_os("BITWREN").unwrap_or_else(|| env!("CARGO_BIN_EXE_bitwren").into());
    let mut command = Command::new(binary);
    command
        .args(args)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("RUST_BACKTRACE", "1");
    command.envs(AT_HOME);
    command
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; nothing where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
    /// The most memory it had resident, in bytes, as last seen while it ran.
    pub peak: u64,
    /// The most memory of its own it had, in bytes, as seen now and then: without its code and mapped files.
    pub own_peak: u64,
    /// The most descriptors it had open, as seen now and then.
    pub descriptors: usize,
}

impl Ended {
    /// Ended by itself with `code`; anything else is a failure of the test that tells everything.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        self.expect_one_of(&[code])
    }

    #[track_caller]
    pub fn expect_one_of(self, codes: &[i32]) -> Self {
        let right = self.code.is_some_and(|code| codes.contains(&code));
        assert!(right && !self.stderr.contains("panicked"), "wanted exit code {codes:?}: {self:#?}");
        self
    }
}

/// A running child.
pub struct Child {
    pid: u32,
    kill: Sender<()>,
    state: Arc<(Mutex<State>, Condvar)>,
    begun: Instant,
}

#[derive(Default)]
struct State {
    out: Vec<String>,
    err: Vec<String>,
    open_pipes: u32,
    peak: u64,
    own_peak: u64,
    descriptors: usize,
    status: Option<(ExitStatus, Duration)>,
}

impl Child {
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Child {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let begun = Instant::now();
        let state = Arc::new((Mutex::new(State { open_pipes: 2, ..State::default() }), Condvar::new()));
        collect(child.stdout.take().unwrap(), state.clone(), |state| &mut state.out);
        collect(child.stderr.take().unwrap(), state.clone(), |state| &mut state.err);
        let pid = child.id();
        let (kill, killed) = channel::<()>();
        let watched = state.clone();
        // A number may be signalled only before its process is reaped: one thread does both.
        std::thread::spawn(move || {
            let mut look = 0;
            let status = loop {
                // Counting takes a call for each of them.
                if look % 8 == 0 {
                    let open = descriptors(pid);
                    let most = &mut watched.0.lock().unwrap().descriptors;
                    *most = open.max(*most);
                }
                look += 1;
                if let Some(peak) = proc::number(proc::of(pid), "VmHWM") {
                    watched.0.lock().unwrap().peak = peak * 1024;
                }
                if let Some(own) = proc::number(proc::of(pid), "RssAnon") {
                    let most = &mut watched.0.lock().unwrap().own_peak;
                    *most = (own * 1024).max(*most);
                }
                if let Some(status) = child.try_wait().unwrap() {
                    break status;
                }
                match killed.recv_timeout(Duration::from_millis(4)) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                        let _ = child.kill();
                        break child.wait().unwrap();
                    }
                }
            };
            watched.0.lock().unwrap().status = Some((status, begun.elapsed()));
            watched.1.notify_all();
        });
        Child { pid, kill, state, begun }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The most memory it had resident so far, in bytes.
    pub fn peak(&self) -> u64 {
        self.state.0.lock().unwrap().peak
    }

    pub fn has_ended(&self) -> bool {
        self.state.0.lock().unwrap().status.is_some()
    }

    /// SIGKILL, at once.
    pub fn kill(&self) {
        let _ = self.kill.send(());
    }

    /// A signal by name, as `kill -NAME` takes it.
    pub fn signal(&self, name: &str) {
        assert!(self.signalled(name), "no {name} to {}", self.pid);
    }

    /// The same to one that may have ended. False where it has.
    pub fn signalled(&self, name: &str) -> bool {
        let sent =
            Command::new("sh").args(["-c", &format!("kill -{name} {} 2>/dev/null", self.pid)]).status();
        sent.is_ok_and(|status| status.success())
    }

    /// Lines of standard output so far.
    pub fn lines(&self) -> Vec<String> {
        self.state.0.lock().unwrap().out.clone()
    }

    /// Everything it said so far, for a failure's sake.
    pub fn said(&self) -> String {
        let state = self.state.0.lock().unwrap();
        format!("--- stdout\n{}\n--- stderr\n{}\n", state.out.join("\n"), state.err.join("\n"))
    }

    /// Waits for a line, on standard output or error, that `wanted` accepts.
    #[track_caller]
    pub fn wait_for_line(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_for_nth_line(patience, 1, wanted)
    }

    /// As [`wait_for_line`](Child::wait_for_line), for so many of them; the last.
    #[track_caller]
    pub fn wait_for_nth_line(&self, patience: Duration, nth: usize, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.wait(patience, |state| {
            let mut lines = state.out.iter().chain(&state.err).filter(|line| wanted(line));
            lines.nth(nth - 1).cloned().map(Some).or({
                // Nothing more can come.
                if state.status.is_some() && state.open_pipes == 0 { Some(None) } else { None }
            })
        });
        found.flatten().unwrap_or_else(|| panic!("no such line within {patience:?}\n{}", self.said()))
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait_end(self, patience: Duration) -> Ended {
        self.end_within(patience)
            .unwrap_or_else(|| panic!("still running after {patience:?}\n{}", self.said()))
    }

    /// Ends it, however far it is, and tells how far it was.
    pub fn finish_off(self) -> Ended {
        self.kill();
        self.end_within(PATIENCE).expect("SIGKILL ends everything")
    }

    /// How it ended; nothing where it still runs after `patience`.
    pub fn end_within(&self, patience: Duration) -> Option<Ended> {
        self.wait(patience, |state| {
            let (status, took) = state.status.filter(|_| state.open_pipes == 0)?;
            Some(Ended {
                code: status.code(),
                stdout: state.out.join("\n"),
                stderr: state.err.join("\n"),
                took,
                peak: state.peak,
                own_peak: state.own_peak,
                descriptors: state.descriptors,
            })
        })
    }

    fn wait<T>(&self, patience: Duration, ready: impl Fn(&State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + patience;
        let mut state = self.state.0.lock().unwrap();
        loop {
            if let Some(found) = ready(&state) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.state.1.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        let _ = self.end_within(PATIENCE);
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    Child::spawn(command).wait_end(PATIENCE)
}

fn collect(
    pipe: impl Read + Send + 'static,
    state: Arc<(Mutex<State>, Condvar)>,
    part: fn(&mut State) -> &mut Vec<String>,
) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|got| got > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            part(&mut state.0.lock().unwrap()).push(text);
            state.1.notify_all();
            line.clear();
        }
        state.0.lock().unwrap().open_pipes -= 1;
        state.1.notify_all();
    });
}

/// How many descriptors a process has open; none while it is still a copy of this one, with its own.
fn descriptors(pid: u32) -> usize {
    let program = |of: &str| std::fs::read_link(format!("/proc/{of}/exe")).ok();
    if program("self") == program(&pid.to_string()) {
        return 0;
    }
    proc::descriptors(proc::of(pid))
}
