//! The programs that are measured: how each is started, and how it tells that it is done.
//!
//! Every one speaks TCP and the plain protocol, asks the torrent's tracker and nothing else, may have all
//! the peers there are, and does not preallocate. Beyond that each is as it comes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::foreign::{aria2, libtorrent, transmission};
use crate::place;
use crate::support::until::until;
use crate::torrent::Torrent;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Get,
    Seed,
    Check,
}

/// What a client is to do.
pub struct Job<'a> {
    pub task: Task,
    pub torrents: &'a [Torrent],
    /// Where the data lies or shall lie.
    pub dir: &'a Path,
    /// An empty directory of its own.
    pub home: &'a Path,
    /// To listen on.
    pub port: u16,
}

impl Job<'_> {
    fn files(&self) -> impl Iterator<Item = &Path> {
        self.torrents.iter().map(|torrent| torrent.file.as_path())
    }

    /// Made by those who run something when they are done.
    fn mark(&self) -> PathBuf {
        self.home.join("done")
    }
}

/// A program that speaks BitTorrent.
pub trait Client {
    fn name(&self) -> &'static str;
    /// Nothing where it is not installed.
    fn version(&self) -> Option<String>;
    /// What the figures of this client need to be read rightly.
    fn remark(&self) -> Option<&'static str> {
        None
    }
    fn command(&self, job: &Job) -> Command;
    /// What is to be said to it once it runs.
    fn begin(&self, _: &Job) -> Result<(), String> {
        Ok(())
    }
    /// Whether it is done, of one that does not end by itself.
    fn is_done(&self, _: &Job) -> bool {
        false
    }
    /// Whether it gets along with addresses in 127/8.
    fn likes_loopback(&self) -> bool {
        true
    }
}

pub fn all() -> Vec<Box<dyn Client>> {
    vec![
        Box::new(Bitwren { binary: bitwren() }),
        Box::new(Aria2),
        Box::new(Transmission),
        Box::new(Libtorrent),
        Box::new(Rtorrent),
        Box::new(Rqbit { binary: std::env::var_os("BENCH_RQBIT").map_or("rqbit".into(), PathBuf::from) }),
    ]
}

/// The line of what a program says of itself that has this word.
fn version_line(command: &mut Command, word: &str) -> Option<String> {
    let output = command.output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    said.lines().find(|line| line.contains(word)).map(|line| line.trim().to_owned())
}

/// The word after `before` in such a line.
fn version_after(command: &mut Command, before: &str) -> Option<String> {
    let line = version_line(command, before)?;
    let rest = line.split_once(before)?.1.trim();
    Some(rest.split_whitespace().next()?.trim_end_matches(['.', ',']).to_owned())
}

struct Bitwren {
    binary: PathBuf,
}

/// The release build of this source, the one cargo has just made for us (`BITWREN=debug`), or another
/// program by its path in `BITWREN`.
fn bitwren() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_bitwren"));
    match std::env::var_os("BITWREN") {
        Some(word) if word == "debug" => built.to_owned(),
        Some(path) => path.into(),
        None => {
            let profiles = built.parent().and_then(Path::parent).expect("it lies in a profile's directory");
            profiles.join("release/bitwren")
        }
    }
}

impl Client for Bitwren {
    fn name(&self) -> &'static str {
        "bitwren"
    }

    fn version(&self) -> Option<String> {
        version_after(Command::new(&self.binary).arg("--version"), "bitwren")
    }

    fn command(&self, job: &Job) -> Command {
        let mut command = Command::new(&self.binary);
        command.env("HOME", job.home).env_remove("XDG_STATE_HOME");
        let verb = match job.task {
            Task::Get => "get",
            Task::Seed => "seed",
            Task::Check => "verify",
        };
        command.args([verb, "--quiet", "-d"]).arg(job.dir);
        if job.task != Task::Check {
            command.args(["--no-dht", "--no-lsd", "--no-portmap", "--port", &job.port.to_string()]);
        }
        if job.task == Task::Seed {
            // Not beside data that others seed, too.
            command.arg("--state-dir").arg(job.home);
        }
        command.args(job.files());
        command
    }
}

struct Aria2;

impl Client for Aria2 {
    fn name(&self) -> &'static str {
        "aria2"
    }

    fn version(&self) -> Option<String> {
        version_after(Command::new("aria2c").arg("--version"), "aria2 version")
    }

    fn remark(&self) -> Option<&'static str> {
        Some("waits about two seconds before the first byte and another two before it ends")
    }

    fn command(&self, job: &Job) -> Command {
        let mut command = aria2::command(job.dir, job.port, false, false);
        command.args(["--quiet", "--disable-ipv6=true", "--bt-max-peers=0"]);
        command.args(["--enable-dht=false", "--enable-dht6=false"]);
        match job.task {
            Task::Get => command.arg("--seed-time=0"),
            Task::Seed => command.args(["--check-integrity=true", "--seed-ratio=0.0", "-j1000"]),
            Task::Check => command.args(["--check-integrity=true", "--hash-check-only=true"]),
        };
        command.args(job.files());
        command
    }
}

/// The command line downloads; the daemon, told by RPC, seeds and checks.
struct Transmission;

impl Transmission {
    fn rpc(job: &Job) -> SocketAddr {
        // The range of the ports to listen on is far from its end.
        SocketAddr::from(([127, 0, 0, 1], job.port + 10_000))
    }
}

impl Client for Transmission {
    fn name(&self) -> &'static str {
        "transmission"
    }

    fn version(&self) -> Option<String> {
        version_after(Command::new("transmission-daemon").arg("--version"), "transmission-daemon")
    }

    fn remark(&self) -> Option<&'static str> {
        Some("works in pulses: seconds apart to call peers, half a second to answer requests")
    }

    fn command(&self, job: &Job) -> Command {
        let more = r#""dht-enabled": false, "lpd-enabled": false, "pex-enabled": false,
            "peer-limit-global": 500, "peer-limit-per-torrent": 500"#;
        let settings = transmission::settings(job.dir, job.port, Transmission::rpc(job), more);
        std::fs::write(job.home.join("settings.json"), settings).unwrap();
        if job.task == Task::Get {
            let script = job.home.join("finished");
            write_script(&script, &format!("touch '{}'", job.mark().display()));
            let mut command = Command::new("transmission-cli");
            command.arg("-g").arg(job.home).arg("-et").arg("-M").args(["-p", &job.port.to_string()]);
            command.arg("-w").arg(job.dir).arg("-f").arg(script).args(job.files());
            return command;
        }
        let mut command = Command::new("transmission-daemon");
        command.arg("-f").arg("-g").arg(job.home);
        command
    }

    fn begin(&self, job: &Job) -> Result<(), String> {
        if job.task == Task::Get {
            return Ok(());
        }
        let server = Transmission::rpc(job);
        let is_up = || transmission::call(server, "").ok();
        until(Duration::from_secs(20), is_up).ok_or("transmission-daemon does not answer")?;
        for file in job.files() {
            let add = format!(
                r#"{{"method":"torrent-add","arguments":{{"filename":"{}","download-dir":"{}"}}}}"#,
                file.display(),
                job.dir.display()
            );
            let answer = transmission::call(server, &add).map_err(|error| error.to_string())?;
            if !answer.contains("success") {
                return Err(answer);
            }
        }
        Ok(())
    }

    fn is_done(&self, job: &Job) -> bool {
        if job.task == Task::Get {
            return job.mark().exists();
        }
        let server = Transmission::rpc(job);
        let question = r#"{"method":"torrent-get","arguments":{"fields":["status"]}}"#;
        // 6 is seeding.
        transmission::call(server, question).is_ok_and(|answer| answer.contains(r#""status":6"#))
    }

    fn likes_loopback(&self) -> bool {
        false
    }
}

/// Scripted from Python, whose interpreter is part of its figures.
struct Libtorrent;

/// Nothing where it is not installed.
pub fn libtorrent_version() -> Option<String> {
    let output = libtorrent::command().arg("version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// libtorrent as a leecher of one peer.
pub fn libtorrent_take(torrent: &Torrent, dir: &Path, peer: SocketAddr) -> Command {
    let mut command = libtorrent::command();
    command.arg("take").arg(dir).arg(place::next_port().to_string()).arg(peer.to_string()).arg(&torrent.file);
    command
}

impl Client for Libtorrent {
    fn name(&self) -> &'static str {
        "libtorrent"
    }

    fn version(&self) -> Option<String> {
        libtorrent_version()
    }

    fn remark(&self) -> Option<&'static str> {
        Some(
            "maps the files it reads and writes, which its peak RSS counts; with a Python interpreter around it",
        )
    }

    fn command(&self, job: &Job) -> Command {
        let mut command = libtorrent::command();
        let verb = match job.task {
            Task::Get => "get",
            Task::Seed => "seed",
            Task::Check => "check",
        };
        command.arg(verb).arg(job.dir).arg(job.port.to_string()).args(job.files());
        command
    }
}

struct Rtorrent;

impl Client for Rtorrent {
    fn name(&self) -> &'static str {
        "rtorrent"
    }

    fn version(&self) -> Option<String> {
        version_after(Command::new("rtorrent").arg("-h"), "BitTorrent client version")
    }

    fn remark(&self) -> Option<&'static str> {
        Some("maps the files it reads and writes, too")
    }

    fn command(&self, job: &Job) -> Command {
        let event = match job.task {
            Task::Get => "event.download.finished",
            Task::Seed | Task::Check => "event.download.hash_done",
        };
        let settings = format!(
            "system.daemon.set = true\nsystem.umask.set = 022\ndirectory.default.set = {}\n\
             network.port_range.set = {}-{}\nnetwork.port_random.set = no\nprotocol.pex.set = no\n\
             dht.mode.set = disable\ntrackers.use_udp.set = no\nprotocol.encryption.set = none\n\
             throttle.max_peers.normal.set = 500\nthrottle.max_peers.seed.set = 500\n\
             throttle.min_peers.normal.set = 200\npieces.hash.on_completion.set = no\n\
             method.set_key = {event},bench,\"execute.nothrow=touch,{}\"\n",
            job.dir.display(),
            job.port,
            job.port,
            job.mark().display(),
        );
        let file = job.home.join("rtorrent.rc");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new("rtorrent");
        command.arg("-n").arg("-o").arg(format!("import={}", file.display())).args(job.files());
        command.env("HOME", job.home).env("TERM", "dumb");
        command
    }

    fn is_done(&self, job: &Job) -> bool {
        job.mark().exists()
    }
}

struct Rqbit {
    binary: PathBuf,
}

impl Client for Rqbit {
    fn name(&self) -> &'static str {
        "rqbit"
    }

    fn version(&self) -> Option<String> {
        version_after(Command::new(&self.binary).arg("--version"), "rqbit")
    }

    fn command(&self, job: &Job) -> Command {
        let mut command = Command::new(&self.binary);
        command.env("HOME", job.home);
        command.args(["-v", "error", "--disable-dht", "--disable-lsd", "--listen-port"]);
        command.args([&job.port.to_string(), "download", "--overwrite", "-o"]).arg(job.dir);
        if job.task != Task::Seed {
            command.arg("-e");
        }
        command.args(job.files());
        command
    }
}

fn write_script(path: &Path, line: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{line}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
