//! How many calls of the system a small file costs beside reading and writing it: what looks for it, makes
//! it, sizes it. Counted by strace, so that no change makes it more in silence.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use crate::faults::{is_there, traced};
use crate::runs::Server;
use crate::support::child::{Child, PATIENCE, bitwren, run};
use crate::support::content::{BLOCK, Recipe};
use crate::support::scratch::Scratch;

const FILES: usize = 300;
/// What a run costs whatever the number of files.
const RUN: usize = 150;

#[test]
fn a_small_file_costs_few_calls() {
    if !is_there("strace") {
        return;
    }
    let names: Vec<String> = (0..FILES).map(|n| format!("{}/{n}", ["a/b", "c"][n % 2])).collect();
    let files: Vec<(&str, usize)> = names.iter().map(|name| (&**name, 1_000)).collect();
    let torrent = Arc::new(Recipe::multi("small", &files).piece_length(BLOCK).make());
    let scratch = Scratch::new("calls");
    let file = scratch.file("small.torrent", &torrent.metainfo);
    let count = |command: &mut Command| {
        let log = scratch.path().join("log");
        let calls = "trace=statx,newfstatat,fstat,stat,lstat,mkdir,ftruncate,fallocate,lseek,unlink,access";
        Child::spawn(&mut traced(command, &log, &["-e", calls])).wait_end(PATIENCE).expect(0);
        fs::read_to_string(&log).unwrap().lines().filter(|line| !line.contains("resumed>")).count()
    };
    let into = scratch.path().join("got");
    let server = Server::start(&torrent, u32::MAX);
    let get = || {
        let mut get = bitwren(scratch.path(), &["get", "-q", "--no-tracker", "--port", "0", "--peer"]);
        get.arg(server.address()).arg("-d").arg(&into).arg(&file);
        get
    };
    let got = count(&mut get());
    torrent.assert_complete(&into);
    let verified = count(bitwren(scratch.path(), &["verify", "-q", "-d"]).arg(&into).arg(&file));
    let again = count(&mut get());
    println!(
        "calls a file: {:.1} to get, {:.1} to verify, {:.1} to find",
        per(got),
        per(verified),
        per(again)
    );
    assert!(got <= 3 * FILES + RUN, "{got} calls to get {FILES} files");
    assert!(verified <= 3 * FILES + RUN, "{verified} calls to verify {FILES} files");
    assert!(again <= 3 * FILES + RUN, "{again} calls to find {FILES} files");
    run(&mut get()).expect(0);
}

fn per(calls: usize) -> f64 {
    calls as f64 / FILES as f64
}
