//! What a download needs, running out or taken away: descriptors, threads, memory, a disk that can be
//! written to, the directory, the file itself; and the clock on the wall, which it does not need.
//!
//! In each case: it completes, or ends with one line and a code that says what kind of thing it was; and
//! a run with everything at hand goes on from there.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::faults::{is_there, traced};
use crate::runs::{HALF, Runs, Server};
use crate::support::child::{Child, Ended, PATIENCE, bitwren, run};
use crate::support::http;
use crate::support::leecher;
use crate::support::peer::{Talk, next_address};

/// The same command under a shell's limit.
fn limited(command: &Command, limit: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]).arg(command.get_program());
    shell.args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    shell
}

/// All or nothing, and never without a word.
#[track_caller]
fn assert_told(runs: &Runs, ended: &Ended, codes: &[i32], what: &str) {
    runs.assert_sound(ended, what);
    assert!(ended.code.is_some_and(|code| codes.contains(&code)), "{what}: {ended:#?}");
    assert_eq!(ended.stderr.is_empty(), ended.code == Some(0), "{what}: {ended:#?}");
}

#[test]
fn however_few_descriptors_there_are() {
    let mut whole = Vec::new();
    for most in (3..=40).chain([64]) {
        let runs = Runs::new("descriptors");
        let server = Server::start(&runs.torrent, u32::MAX);
        let ended = run(&mut limited(&runs.get(&server), &format!("-n {most}")));
        let what = format!("ulimit -n {most}");
        // With hardly any, not even the libraries are found.
        assert_told(&runs, &ended, &[0, 1, 3, 6, 15, 16, 17, 18, 127], &what);
        if ended.code == Some(0) {
            whole.push(most);
        }
        runs.assert_completes(&what);
    }
    println!("it completes with {} descriptors", whole[0]);
    assert!(whole.len() >= 20 && whole.contains(&64), "only with {whole:?}");
}

/// More call than it has descriptors for: the others wait their turn, and get it.
#[test]
fn a_seed_outlives_a_crowd_that_takes_every_descriptor() {
    let runs = Runs::new("crowd");
    runs.torrent.write_to(&runs.got());
    let ip = next_address();
    let address = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
    let (ip, port) = (ip.to_string(), address.port().to_string());
    let options = ["seed", "--json", "--no-tracker", "--bind", &ip, "--port", &port, "-d"];
    let mut command = bitwren(runs.scratch.path(), &options);
    command.arg(runs.got()).arg(runs.scratch.path().join("crashed.torrent"));
    let child = Child::spawn(&mut limited(&command, "-n 24"));
    child.wait_for_line(PATIENCE, |line| line.contains("finished"));
    let crowd: Vec<Talk> = (0..60)
        .map(|_| {
            let mut one = leecher::call(&runs.torrent, address, PATIENCE).unwrap();
            // A peer that is not admitted yet is told nothing.
            let _ = one.send_handshake([0; 8]);
            one
        })
        .collect();
    drop(crowd);
    let end = Instant::now() + PATIENCE;
    let got = loop {
        match leecher::fetch(&runs.torrent, address, PATIENCE) {
            Ok(got) => break got,
            Err(error) if Instant::now() > end => panic!("{error}\n{}", child.said()),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(got, runs.torrent.data);
    child.signal("INT");
    child.wait_end(PATIENCE).expect_one_of(&[0, 7]);
}

/// A limit on the threads of one user holds for all but root: another user's name is borrowed, if it can be.
fn can_limit_threads() -> bool {
    let can = Command::new("setpriv").args(["--reuid", "54321", "--clear-groups", "true"]).status();
    let can = can.is_ok_and(|status| status.success());
    if !can {
        eprintln!("SKIPPED: to be another user takes root and setpriv");
    }
    can
}

/// The same command with so many threads at most.
fn with_threads(runs: &Runs, command: &Command, most: u32, user: &str) -> Command {
    let everyone = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    everyone(runs.scratch.path());
    everyone(&runs.scratch.dir("got"));
    // Where it was built others may not be let in.
    let program = runs.scratch.dir("before").join("bitwren");
    // By a process of its own: a file that this one writes may stay open for a moment in a child that
    // another test is just starting, and no system executes what is open for writing.
    let copied = Command::new("cp").arg(command.get_program()).arg(&program).status().unwrap();
    assert!(copied.success());
    let mut other = Command::new("setpriv");
    other.args(["--reuid", user, "--clear-groups", "prlimit", &format!("--nproc={most}")]).arg(&program);
    other.args(command.get_args()).env_clear();
    other.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    other
}

#[test]
fn however_few_threads_there_are() {
    if !can_limit_threads() {
        return;
    }
    let mut whole = 0;
    for most in 1..=14 {
        let runs = Runs::new("threads");
        let server = Server::start(&runs.torrent, u32::MAX);
        let mut other = with_threads(&runs, &runs.get(&server), most, "54321");
        other.args(["--max-time", "3"]);
        let ended = run(&mut other);
        let what = format!("{most} threads");
        assert_told(&runs, &ended, &[0, 1, 2], &what);
        whole += u32::from(ended.code == Some(0));
        runs.assert_completes(&what);
    }
    println!("of 1 to 14 threads {whole} numbers were enough");
    assert!(whole > 0, "none was enough");
}

/// Many trackers, over HTTP and TLS and UDP, by name and by address: each announce takes threads, and with
/// every number of them there is one that it fails for.
fn many_trackers(answering: &http::Server) -> Vec<String> {
    let port = answering.address.port();
    let of = |n: u32| {
        [
            format!("http://127.0.0.1:{port}/announce?{n}"),
            format!("http://localhost:{port}/announce?{n}"),
            format!("https://127.0.0.1:{port}/announce?{n}"),
            format!("udp://localhost:9/{n}"),
        ]
    };
    (0..4).flat_map(of).collect()
}

/// The HTTP client's resolver started threads of its own, and the program was aborted where there was none.
#[test]
fn however_few_threads_there_are_for_many_trackers() {
    if !can_limit_threads() {
        return;
    }
    let tracker = http::Server::start(|_, stream| http::ok(stream, b"d8:intervali1800ee"));
    let urls = many_trackers(&tracker);
    let mut whole = 0;
    for most in 5..=32 {
        let runs = Runs::new("trackers");
        let server = Server::start(&runs.torrent, u32::MAX);
        let mut command = with_threads(&runs, &runs.get(&server), most, "54322");
        command.args(["--max-time", "3"]);
        urls.iter().for_each(|url| _ = command.args(["--tracker", url]));
        let ended = run(&mut command);
        let what = format!("{most} threads for {} trackers", urls.len());
        assert_told(&runs, &ended, &[0, 1, 2], &what);
        whole += u32::from(ended.code == Some(0));
        runs.assert_completes(&what);
    }
    assert!(whole > 0, "none was enough");
    assert!(!tracker.requests().is_empty(), "the trackers were never asked");
}

#[test]
fn however_few_threads_there_are_to_scrape() {
    if !can_limit_threads() {
        return;
    }
    let tracker = http::Server::start(|_, stream| http::ok(stream, b"d5:filesdee"));
    let mut answered = 0;
    for most in 1..=24 {
        let runs = Runs::new("scrape");
        let link = many_trackers(&tracker)
            .iter()
            .fold(format!("magnet:?xt=urn:btih:{}", "ab".repeat(20)), |link, url| {
                format!("{link}&tr={}", url.replace('&', "%26"))
            });
        let command = bitwren(runs.scratch.path(), &["scrape", "--timeout", "2", &link]);
        let ended = run(&mut with_threads(&runs, &command, most, "54323"));
        let what = format!("{most} threads to scrape with");
        assert!(!ended.stderr.contains("panicked"), "{what}: {ended:#?}");
        assert!(ended.code.is_some_and(|code| [0, 1, 6].contains(&code)), "{what}: {ended:#?}");
        answered += u32::from(ended.code == Some(0));
    }
    assert!(answered > 0, "none was enough");
}

#[test]
fn however_little_memory_there_is() {
    let mut whole = 0;
    for mebibytes in (4..=40).step_by(3) {
        let runs = Runs::new("memory");
        let server = Server::start(&runs.torrent, u32::MAX);
        let mut command = runs.get(&server);
        command.args(["--max-time", "3"]);
        let mut ended = run(&mut limited(&command, &format!("-v {}", mebibytes << 10)));
        let what = format!("{mebibytes} MiB of addresses");
        // No allocation can fail gently in Rust: std ends the process, and says so in as many lines as it finds
        // room for; it panics where a thread that was started finds none for the stack of its signals. What is
        // said then is not ours; what is left behind is.
        let std_says = ["memory allocation of", "failed to allocate an alternative stack"];
        if std_says.iter().any(|says| ended.stderr.contains(says)) {
            ended.stderr.clear();
        }
        runs.assert_sound(&ended, &what);
        assert!(ended.code.is_none_or(|code| [0, 1, 2, 127].contains(&code)), "{what}: {ended:#?}");
        whole += u32::from(ended.code == Some(0));
        runs.assert_completes(&what);
    }
    println!("{whole} of 13 sizes of memory were enough");
    assert!(whole > 0, "none was enough");
}

/// A file system that the kernel has made read-only after an error, from some write on.
#[test]
fn a_disk_that_becomes_read_only() {
    if !is_there("strace") {
        return;
    }
    for nth in 1..4 {
        let runs = Runs::new("readonly");
        let server = Server::start(&runs.torrent, u32::MAX);
        let log = runs.scratch.path().join("log");
        let inject =
            format!("inject=pwrite64,fsync,fdatasync,rename,unlink,ftruncate:error=EROFS:when={nth}+");
        let trace = "trace=pwrite64,fsync,fdatasync,rename,unlink,ftruncate";
        let mut command = traced(&runs.get(&server), &log, &["-e", trace, "-e", &inject]);
        let ended = Child::spawn(&mut command).wait_end(PATIENCE);
        let what = format!("read-only from {nth} on");
        assert_told(&runs, &ended, &[16, 17], &what);
        assert!(ended.stderr.contains("choose a directory that can be written to"), "{what}: {ended:#?}");
        runs.assert_completes(&what);
    }
}

/// Starts a download that waits half-way, does something to its files while it still writes to them, and
/// stops it.
fn meddled(name: &str, meddle: impl Fn(&Runs)) -> (Runs, Ended) {
    let runs = Runs::new(name);
    let server = Server::start(&runs.torrent, HALF);
    let child = Child::spawn(&mut runs.get(&server));
    assert!(server.spent.wait(PATIENCE), "{}", child.said());
    meddle(&runs);
    child.signal("INT");
    let ended = child.wait_end(PATIENCE);
    (runs, ended)
}

#[test]
fn the_directory_is_removed() {
    let (runs, ended) = meddled("removed", |runs| {
        // It may be writing there: then once more.
        while fs::remove_dir_all(runs.got()).is_err_and(|error| error.kind() != ErrorKind::NotFound) {}
    });
    assert!(ended.code.is_some_and(|code| [3, 7, 15, 16, 17, 18].contains(&code)), "{ended:#?}");
    runs.assert_sound(&ended, "the directory is removed");
    runs.assert_completes("the directory is removed");
}

#[test]
fn a_file_is_cut_short() {
    let (runs, ended) = meddled("cut", |runs| {
        let (path, _) = &runs.torrent.files(&runs.got())[0];
        // It is there as soon as a block of it is.
        if let Ok(file) = fs::File::options().write(true).open(path) {
            file.set_len(10_000).unwrap();
        }
    });
    assert!(ended.code.is_some_and(|code| [3, 7, 17].contains(&code)), "{ended:#?}");
    runs.assert_completes("a file is cut short");
}

/// What was changed since it was saved is hashed again, however the clock stands: a time is compared for
/// being the same, never for being later.
#[test]
fn a_file_is_changed_between_two_runs_whatever_the_clock_says() {
    for years in [-20i64, 0, 20] {
        let runs = Runs::new("changed");
        let server = Server::start(&runs.torrent, HALF);
        runs.half(&mut runs.get(&server), &server).expect(7);
        let now = SystemTime::now();
        let span = Duration::from_secs(years.unsigned_abs() * 365 * 86_400);
        let then = if years < 0 { now - span } else { now + span };
        for (path, want) in runs.torrent.files(&runs.got()).iter().filter(|(path, _)| path.exists()) {
            let file = fs::File::options().write(true).open(path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xee; want.len().min(20_000)], 0).unwrap();
            file.set_modified(then).unwrap();
        }
        runs.assert_completes(&format!("changed {years} years from now"));
    }
}

/// The clock on the wall may be set to anything: nobody looks at it but to date a `.torrent` that is made; the
/// time of a file is what the file system says.
#[test]
fn no_decision_looks_at_the_clock_on_the_wall() {
    // The date of a torrent, the time before a line, and when a torrent of the daemon was added, done and active.
    let allowed = [
        "src/cli/commands/create.rs",
        "src/cli/output/streams.rs",
        "src/cli/output/screen.rs",
        "src/daemon/session.rs",
    ];
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut looks = Vec::new();
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs")
                && ["SystemTime::now", "UNIX_EPOCH.elapsed"]
                    .iter()
                    .any(|look| fs::read_to_string(&entry).unwrap().contains(look))
            {
                looks.push(entry.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string());
            }
        }
    }
    looks.retain(|path| !allowed.iter().any(|allowed| path.starts_with(allowed)));
    assert!(looks.is_empty(), "{looks:?}");
}
