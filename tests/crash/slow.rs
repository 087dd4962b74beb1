//! A disk so slow that it hangs: each call of a kind takes longer than anyone waits. Ctrl-C ends the
//! program within a second all the same, the state claims nothing that is not there, and the next run
//! completes.
//!
//! What is measured is the time from the signal to the program's last call, both as strace saw them:
//! strace releases no thread before its delay is over, as the kernel does not while a disk is slow.
//! Other tests run at the same time, so each case has a few attempts, of which one has to be quick: what
//! hangs does so every time.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::faults::{Attached, attach, is_there, traced};
use crate::runs::{HALF, Runs, Server};
use crate::support::child::{Child, PATIENCE};

/// How long each call takes, in microseconds.
const SLOW: &str = "delay_enter=2500000";
/// How long the end may take.
const AT_MOST: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 5;

/// Stops a download with Ctrl-C, as `start` has it, while calls of these kinds are slow.
#[track_caller]
fn assert_quick(calls: &str, start: impl Fn(&Runs, &Server, &Path, &[&str]) -> (Child, Option<Attached>)) {
    if !is_there("strace") {
        return;
    }
    let (trace, inject) = (format!("trace={calls},exit_group"), format!("inject={calls}:{SLOW}"));
    let options = ["-ttt", "-e", &trace, "-e", &inject];
    let mut took = Vec::new();
    while took.len() < ATTEMPTS {
        let runs = Runs::new("slow");
        let server = Server::start(&runs.torrent, HALF);
        let log = runs.scratch.path().join("log");
        let (child, strace) = start(&runs, &server, &log, &options);
        child.signal("INT");
        let ended = child.wait_end(PATIENCE);
        drop(strace);
        runs.assert_sound(&ended, calls);
        assert_eq!(ended.code, Some(7), "{ended:#?}");
        took.push(end(&log, calls));
        runs.assert_completes(calls);
        if took.last().is_some_and(|took| *took < AT_MOST) {
            println!("slow {calls}: ended within {took:?}");
            return;
        }
    }
    panic!("slow {calls}: the end took {took:?}");
}

/// How long the end took, by what strace wrote down.
#[track_caller]
fn end(log: &Path, calls: &str) -> Duration {
    let told = fs::read_to_string(log).unwrap();
    let met = |line: &str| calls.split(',').any(|call| line.contains(&format!(" {call}(")));
    assert!(told.lines().any(met), "nothing was slow:\n{told}");
    let moment = |what: &str| {
        let line =
            told.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what}:\n{told}"));
        let seconds = line.split_ascii_whitespace().nth(1).and_then(|field| field.parse().ok());
        Duration::from_secs_f64(seconds.unwrap_or_else(|| panic!("no time: {line}")))
    };
    moment("exit_group(").saturating_sub(moment("--- SIGINT"))
}

/// The saving at the end meets the slow disk.
#[test]
fn saving_to_a_disk_that_hangs() {
    for calls in ["fsync,fdatasync", "rename", "fsync,fdatasync,rename,unlink,mkdir,ftruncate"] {
        assert_quick(calls, |runs, server, log, options| {
            let child = Child::spawn(&mut runs.get(server));
            assert!(server.spent.wait(PATIENCE), "{}", child.said());
            let strace = attach(&child, log, options);
            (child, Some(strace))
        });
    }
}

/// Blocks wait for the disk when the end comes.
#[test]
fn writing_to_a_disk_that_hangs() {
    assert_quick("pwrite64", |runs, server, log, options| {
        let child = Child::spawn(&mut traced(&runs.get(server), log, options));
        assert!(server.spent.wait(PATIENCE), "{}", child.said());
        (child, None)
    });
}

/// What is there is being hashed.
#[test]
fn checking_on_a_disk_that_hangs() {
    assert_quick("pread64", |runs, server, log, options| {
        runs.torrent.write_to(&runs.got());
        let mut command = runs.get(server);
        command.arg("--json");
        let child = Child::spawn(&mut traced(&command, log, options));
        child.wait_for_line(PATIENCE, |line| line.contains(r#""checking""#));
        (child, None)
    });
}
