//! A fault at every single system call that changes the disk: SIGKILL before it, EIO and ENOSPC instead
//! of it. In a run that begins from nothing and is stopped half-way, in the saving when it is stopped,
//! and in a run that goes on from there to the end.
//!
//! strace counts the calls of each thread apart, and the first thread to come to the nth is hit; so
//! all are met, stepping from the first until none is left. For the saving it is attached late: it
//! would else be hidden behind the first.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::runs::{HALF, Runs, Server};
use crate::support::child::{Child, Ended, PATIENCE, run};
use crate::support::proc;

/// Whatever makes, changes, syncs, renames or removes.
const CALLS: [&str; 12] = [
    "pwrite64",
    "write",
    "writev",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "rename",
    "unlink",
    "mkdir",
    "openat",
    "openat2",
];
const FAULTS: [&str; 3] = ["signal=KILL", "error=EIO", "error=ENOSPC"];
/// More calls of one kind than any run makes.
const MOST: u32 = 200;

/// Whether there is a tool; told where not.
pub fn is_there(tool: &str) -> bool {
    let there = Command::new(tool).arg("-V").output().is_ok();
    if !there {
        eprintln!("SKIPPED: {tool} is not installed");
    }
    there
}

/// The same command under strace, which stands aside: the child is the program itself.
pub fn traced(command: &Command, log: &Path, options: &[&str]) -> Command {
    let mut wrapped = Command::new("strace");
    wrapped.args(["-D", "-f", "-qq", "-o"]).arg(log).args(options);
    wrapped.arg(command.get_program()).args(command.get_args()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    wrapped
}

/// Which part of a download is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// From nothing to half of it.
    Beginning,
    /// The saving when it is stopped there.
    Saving,
    /// From there to the end.
    GoingOn,
}

/// Attaches strace to a running program, and waits until every thread is traced.
pub fn attach(child: &Child, log: &Path, options: &[&str]) -> Attached {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-p", &child.pid().to_string(), "-o"]).arg(log).args(options);
    let strace = Attached(strace.stderr(Stdio::null()).spawn().unwrap());
    let tasks = format!("/proc/{}/task", child.pid());
    let traced = |task: &Path| proc::number(task, "TracerPid") != Some(0);
    while !child.has_ended() {
        let all = std::fs::read_dir(&tasks).into_iter().flatten().flatten().all(|task| traced(&task.path()));
        if all {
            break;
        }
        assert!(child.age() < PATIENCE, "it cannot be traced");
        std::thread::sleep(Duration::from_millis(5));
    }
    strace
}

/// It ends with what it traces.
pub struct Attached(std::process::Child);

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.0.wait();
    }
}

/// Runs with a fault at the nth call of this kind; false where there is no nth.
fn strike(runs: &Runs, part: Part, call: &str, fault: &str, nth: u32) -> bool {
    let log = runs.scratch.path().join("log");
    let _ = std::fs::remove_file(&log);
    let server = Server::start(&runs.torrent, if part == Part::GoingOn { u32::MAX } else { HALF });
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fault}:when={nth}"));
    let options = ["-e", &trace, "-e", &inject];
    let mut command = traced(&runs.get(&server), &log, &options);
    let ended = match part {
        Part::Beginning => runs.half(&mut command, &server),
        Part::Saving => {
            let child = Child::spawn(&mut runs.get(&server));
            assert!(server.spent.wait(PATIENCE), "{}", child.said());
            let strace = attach(&child, &log, &options);
            // What came last is written still, or was when the fault struck: it may be over already.
            child.signalled("INT");
            let ended = child.wait_end(PATIENCE);
            drop(strace);
            ended
        }
        Part::GoingOn => Child::spawn(&mut command).wait_end(PATIENCE),
    };
    let told = std::fs::read_to_string(&log).unwrap_or_default();
    let hit = ended.code.is_none() || told.contains("INJECTED");
    let what = format!("{fault} at {call} {nth}, {part:?}");
    runs.assert_sound(&ended, &what);
    if fault != "signal=KILL" {
        assert_right(&ended, call, fault, &what);
    }
    hit
}

/// An error ends the run with a code that says what kind it was, or is got over.
#[track_caller]
fn assert_right(ended: &Ended, call: &str, fault: &str, what: &str) {
    let code = ended.code.unwrap_or_else(|| panic!("{what}: {ended:#?}"));
    let right = match (call, fault) {
        // Not even the libraries may be found then; that is the loader's to tell.
        ("openat" | "openat2", _) => [0, 1, 3, 6, 7, 9, 15, 16, 17, 18, 127].contains(&code),
        (_, "error=ENOSPC") => [0, 7, 9, 16, 17].contains(&code),
        _ => [0, 7, 15, 16, 17, 18].contains(&code),
    };
    assert!(right, "{what}: {ended:#?}");
}

#[test]
fn a_fault_at_every_call_that_changes_the_disk() {
    if !is_there("strace") {
        return;
    }
    let plans: Vec<_> = [Part::Beginning, Part::Saving, Part::GoingOn]
        .into_iter()
        .flat_map(|part| CALLS.map(|call| (part, call)))
        .flat_map(|(part, call)| FAULTS.map(|fault| (part, call, fault)))
        .flat_map(|plan| [(plan, Runs::new as fn(&str) -> Runs), (plan, Runs::in_part)])
        .collect();
    let (next, struck) = (Mutex::new(plans.iter()), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(&((part, call, fault), make)) = next.lock().unwrap().next() else { return };
                    struck.fetch_add(step(make, part, call, fault), Ordering::Relaxed);
                }
            });
        }
    });
    let struck = struck.into_inner();
    println!("{struck} faults injected, at every call of {} kinds", CALLS.len());
    assert!(struck > 150, "{struck}: too few to say anything");
}

/// Every call of one kind, one after the other; how many there were.
fn step(make: fn(&str) -> Runs, part: Part, call: &str, fault: &str) -> u32 {
    let half = make("half");
    if part == Part::GoingOn {
        let server = Server::start(&half.torrent, HALF);
        half.half(&mut half.get(&server), &server).expect(7);
    }
    for nth in 1..MOST {
        let runs = make("fault");
        if part == Part::GoingOn {
            let copied = Command::new("cp").arg("-a").arg(half.got()).arg(runs.got()).status();
            assert!(copied.unwrap().success());
        }
        let hit = strike(&runs, part, call, fault, nth);
        runs.assert_completes(&format!("after {fault} at {call} {nth}"));
        if !hit {
            println!("{part:?}, {call}: {} times {fault}", nth - 1);
            return nth - 1;
        }
    }
    panic!("{call}: more than {MOST} of them");
}

/// Without faults, for comparison: it stops half-way and goes on.
#[test]
fn the_download_that_is_struck_is_otherwise_good() {
    let runs = Runs::new("good");
    let server = Server::start(&runs.torrent, HALF);
    let ended = runs.half(&mut runs.get(&server), &server).expect(7);
    runs.assert_sound(&ended, "half");
    let claimed = crate::state::claims_are_true(&runs.torrent, &runs.got()).unwrap();
    assert!(claimed > 0 && claimed <= HALF, "{claimed} pieces claimed");
    run(&mut runs.get(&Server::start(&runs.torrent, u32::MAX))).expect(0);
    runs.assert_completes("once more");
}
