//! A client as a process that is measured: what the kernel charges it for, exactly where the kernel
//! keeps accounts (CPU, context switches), by looking every few milliseconds where it does not (memory,
//! threads). It never outlives the harness's interest in it.
//!
//! The only `unsafe` of the harness is here: `wait4` and the CPU clock of another process, which std
//! does not have.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::proc;

/// How often memory and threads are looked at.
const GLANCE: Duration = Duration::from_millis(10);
/// How long a client has to end when it is told to; then it is killed.
const FAREWELL: Duration = Duration::from_secs(15);

/// The most that was seen, over the process and its children. Bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Peaks {
    /// Everything resident: `VmHWM`.
    pub resident: u64,
    /// Of it what is the process's own: `RssAnon`. The rest are files it maps, its program among them.
    pub anonymous: u64,
    pub threads: u64,
}

/// How it ended, and what it cost in all, its children included.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    pub at: Instant,
    /// Nothing where a signal ended it.
    pub code: Option<i32>,
    pub user: Duration,
    pub system: Duration,
    /// Voluntary context switches: it waited and was woken.
    pub wakeups: u64,
}

/// What it has cost so far.
#[derive(Debug, Clone)]
pub struct Reading {
    pub at: Instant,
    pub cpu: Duration,
    /// Voluntary context switches of each thread.
    wakeups: BTreeMap<i32, u64>,
}

impl Reading {
    /// Takes a later one in its place, and remembers of this one the threads that have ended since.
    pub fn advance(&mut self, mut later: Reading) {
        for (&thread, &wakeups) in &self.wakeups {
            later.wakeups.entry(thread).or_insert(wakeups);
        }
        *self = later;
    }

    pub fn wakeups_since(&self, first: &Reading) -> u64 {
        let before = |thread| first.wakeups.get(thread).copied().unwrap_or_default();
        self.wakeups.iter().map(|(thread, wakeups)| wakeups.saturating_sub(before(thread))).sum()
    }
}

pub struct Process {
    pid: i32,
    pub begun: Instant,
    peaks: Arc<Mutex<Peaks>>,
    news: Receiver<Ended>,
    ended: Option<Ended>,
}

impl Process {
    /// Starts it in a process group of its own; what it says goes to a file.
    pub fn spawn(command: &mut Command, log: &Path) -> std::io::Result<Process> {
        let log = fs::File::create(log)?;
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let begun = Instant::now();
        // Reaped by `wait4` below; std never waits for it.
        let pid = command.spawn()?.id() as i32;
        let peaks = Arc::new(Mutex::new(Peaks::default()));
        let (tell, news) = channel();
        std::thread::spawn(move || tell.send(wait(pid)));
        let seen = Arc::downgrade(&peaks);
        std::thread::spawn(move || {
            while let (Some(peaks), Some(now)) = (seen.upgrade(), look(pid)) {
                peaks.lock().unwrap().raise(now);
                drop(peaks);
                std::thread::sleep(GLANCE);
            }
        });
        Ok(Process { pid, begun, peaks, news, ended: None })
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    pub fn peaks(&self) -> Peaks {
        *self.peaks.lock().unwrap()
    }

    /// Forgets the peaks so far, the kernel's own among them.
    pub fn reset_peaks(&self) {
        for pid in tree(self.pid) {
            // 5: reset VmHWM. Where it cannot be written the peak is that of the whole life.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
        *self.peaks.lock().unwrap() = Peaks::default();
    }

    /// What it has cost so far, by the clock the kernel keeps for it, and the voluntary context switches of each thread.
    pub fn reading(&self) -> Reading {
        let mut reading = Reading { at: Instant::now(), cpu: Duration::ZERO, wakeups: BTreeMap::new() };
        for pid in tree(self.pid) {
            reading.cpu += cpu(pid).unwrap_or_default();
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            reading.wakeups.extend(tasks.filter_map(|task| {
                let thread = task.file_name().to_str()?.parse().ok()?;
                Some((thread, proc::number(task.path(), "voluntary_ctxt_switches")?))
            }));
        }
        reading
    }

    /// Waits for the end at most so long.
    pub fn wait(&mut self, patience: Duration) -> Option<Ended> {
        if self.ended.is_none() {
            self.ended = match self.news.recv_timeout(patience) {
                Ok(ended) => Some(ended),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => unreachable!("who waits tells before it ends"),
            };
        }
        self.ended
    }

    /// Asks the client below a counter to end: the counter ends with it, and writes what it counted.
    pub fn stop_counted(&mut self) -> Ended {
        for client in tree(self.pid).into_iter().skip(1) {
            // SAFETY: no memory is touched.
            unsafe { libc::kill(client, libc::SIGTERM) };
        }
        self.wait(FAREWELL).unwrap_or_else(|| self.stop())
    }

    /// Asks it to end, then makes it.
    pub fn stop(&mut self) -> Ended {
        self.signal(libc::SIGTERM);
        if let Some(ended) = self.wait(FAREWELL) {
            return ended;
        }
        self.signal(libc::SIGKILL);
        self.wait(Duration::MAX).expect("nothing survives SIGKILL")
    }

    fn signal(&mut self, signal: i32) {
        if self.wait(Duration::ZERO).is_none() {
            // SAFETY: no memory is touched. The group is not reaped before its leader is.
            unsafe { libc::kill(-self.pid, signal) };
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.wait(Duration::ZERO).is_none() {
            self.signal(libc::SIGKILL);
            self.wait(Duration::MAX);
        }
    }
}

impl Peaks {
    fn raise(&mut self, now: Peaks) {
        self.resident = self.resident.max(now.resident);
        self.anonymous = self.anonymous.max(now.anonymous);
        self.threads = self.threads.max(now.threads);
    }
}

fn wait(pid: i32) -> Ended {
    let mut status = 0;
    // SAFETY: all zeroes is a valid `rusage`; both pointers are to locals that outlive the call.
    let (got, usage) = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        (libc::wait4(pid, &mut status, 0, &mut usage), usage)
    };
    assert_eq!(got, pid, "wait4: {}", std::io::Error::last_os_error());
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Ended {
        at: Instant::now(),
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        wakeups: usage.ru_nvcsw as u64,
    }
}

/// User and system time of a process so far, its ended threads included.
fn cpu(pid: i32) -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut clock = 0;
    // SAFETY: both pointers are to locals that outlive the calls.
    let got = unsafe {
        libc::clock_getcpuclockid(pid, &mut clock) == 0 && libc::clock_gettime(clock, &mut time) == 0
    };
    got.then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// A process and what its main thread has started.
pub fn tree(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(parent) = all.get(at) {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        all.extend(children.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        at += 1;
    }
    all
}

/// What is there now; nothing where nobody is.
fn look(pid: i32) -> Option<Peaks> {
    let mut sum = Peaks::default();
    let mut alive = false;
    for pid in tree(pid) {
        let value = |name| proc::number(format!("/proc/{pid}"), name);
        // A zombie has no memory any more.
        if let Some(resident) = value("VmHWM") {
            alive = true;
            sum.resident += resident * 1024;
            sum.anonymous += value("RssAnon").unwrap_or_default() * 1024;
            sum.threads += value("Threads").unwrap_or_default();
        }
    }
    alive.then_some(sum)
}
