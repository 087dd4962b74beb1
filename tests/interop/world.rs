//! The world the transfers happen in: a network namespace with an address for everyone, opentracker in
//! it, and torrents made by other programs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::child::{Child, run};
use crate::support::content::Torrent;
use crate::support::http;
use crate::support::scratch::Scratch;

/// The longest any one thing may take.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Runs this same program in a network namespace of its own and hands back how that ended; nothing
/// where we are in one already.
pub fn enter_namespace() -> Option<ExitCode> {
    const INSIDE: &str = "INTEROP_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return None;
    }
    // 10.99.0.x, because transmission never calls a peer in 127/8.
    let addresses = "set -e; ip link set lo up
        for i in $(seq 40); do ip addr add 10.99.0.$i/24 dev lo; done
        for i in $(seq 8); do ip -6 addr add fd99::$i/64 dev lo nodad; done
        exec \"$@\"";
    let status = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", addresses, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .status();
    match status {
        Ok(status) => Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Err(error) => {
            eprintln!("unshare: {error}; this suite runs as root on Linux with util-linux and iproute2");
            Some(ExitCode::FAILURE)
        }
    }
}

pub fn ipv4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 99, 0, last).into()
}

pub fn ipv6(last: u16) -> IpAddr {
    Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, last).into()
}

/// How a torrent finds its tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Http,
    Udp,
    /// No tracker that answers.
    None,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Transport::Http => "http",
            Transport::Udp => "udp",
            Transport::None => "none",
        })
    }
}

/// A torrent with its files on disk, for one transfer alone.
pub struct Share {
    pub torrent: Torrent,
    /// The `.torrent`, made by another program.
    pub file: PathBuf,
    pub info_hash: String,
    /// The directory its files lie in.
    pub data: PathBuf,
}

pub struct World {
    pub scratch: Scratch,
    pub python: PathBuf,
    tracker: Child,
    tracker_address: SocketAddr,
    allowed: PathBuf,
    made: Mutex<u32>,
}

impl World {
    pub fn new() -> World {
        let setup =
            run(Command::new("tests/interop/setup.sh").current_dir(env!("CARGO_MANIFEST_DIR"))).expect(0);
        let scratch = Scratch::new("interop");
        // opentracker runs as nobody and takes the info-hashes in this list alone.
        let root = scratch.dir("opentracker");
        let allowed = scratch.file("opentracker/allowed", b"");
        run(Command::new("chmod").args(["-R", "a+rX"]).arg(scratch.path())).expect(0);
        let address = SocketAddr::new(ipv4(1), 6969);
        let config = format!(
            "listen.tcp {address}\nlisten.udp {address}\ntracker.rootdir {}\ntracker.user nobody\naccess.whitelist allowed\n",
            root.display()
        );
        let config = scratch.file("opentracker.conf", config.as_bytes());
        let tracker = Child::spawn(Command::new("opentracker").arg("-f").arg(config).current_dir(&root));
        let world = World {
            scratch,
            python: setup.stdout.trim().into(),
            tracker,
            tracker_address: address,
            allowed,
            made: Mutex::new(0),
        };
        assert!(world.wait_listening(address), "opentracker does not listen\n{}", world.tracker.said());
        world
    }

    /// Makes files, a torrent of them by a program that is not ours, and has the tracker know it.
    pub fn share(&self, kind: &str, name: &str, transport: Transport) -> Share {
        let mut made = self.made.lock().unwrap();
        *made += 1;
        // By turns: the two differ in the order of keys and files and in what they add. transmission
        // leaves empty files out.
        let by_transmission = *made % 2 == 0;
        let torrent = crate::recipe(kind, name, !by_transmission).make();
        let data = self.scratch.dir(&format!("data-{name}"));
        torrent.write_to(&data);
        let file = self.scratch.path().join(format!("{name}.torrent"));
        let tracker = match transport {
            Transport::Http => format!("http://{}/announce", self.tracker_address),
            Transport::Udp => format!("udp://{}/announce", self.tracker_address),
            Transport::None => "http://10.99.0.1:1/announce".to_owned(),
        };
        let path = data.join(&torrent.name);
        if by_transmission {
            let kib = (torrent.piece_length / 1024).to_string();
            let mut command = Command::new("transmission-create");
            run(command.args(["-s", &kib, "-t", &tracker, "-o"]).arg(&file).arg(&path)).expect(0);
        } else {
            let mut command = self.libtorrent();
            run(command
                .arg("make")
                .arg(&file)
                .args([&torrent.piece_length.to_string(), &tracker])
                .arg(&path))
            .expect(0);
        }
        let info_hash = run(self.libtorrent().arg("hash").arg(&file)).expect(0).stdout.trim().to_owned();
        let mut list = std::fs::read_to_string(&self.allowed).unwrap();
        list.push_str(&format!("{info_hash}\n"));
        std::fs::write(&self.allowed, list).unwrap();
        self.tracker.signal("HUP");
        Share { torrent, file, info_hash, data }
    }

    /// The libtorrent script, with its python.
    pub fn libtorrent(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/peer.py"));
        command
    }

    /// Waits until the tracker's scrape shows so many seeds.
    pub fn wait_seeds(&self, share: &Share, seeds: usize) -> bool {
        let binary =
            share.info_hash.as_bytes().chunks(2).map(|pair| format!("%{}", String::from_utf8_lossy(pair)));
        let path = format!("/scrape?info_hash={}", binary.collect::<String>());
        let marker = b"8:completei";
        until(PATIENCE, || {
            let answer = http::get(self.tracker_address, &path).ok()?;
            let at = answer.windows(marker.len()).position(|window| window == marker)?;
            let digits = answer[at + marker.len()..].iter().take_while(|byte| byte.is_ascii_digit());
            let count = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
            (count >= seeds).then_some(())
        })
        .is_some()
    }

    /// Waits until someone listens on that port, and does not call to find out: transmission refuses
    /// a second caller from an address whose first has not said anything yet.
    pub fn wait_listening(&self, address: SocketAddr) -> bool {
        let table = if address.is_ipv6() { "/proc/net/tcp6" } else { "/proc/net/tcp" };
        let port = format!(":{:04X}", address.port());
        // The fields of a line: number, local address, remote address, state; 0A is listening.
        let listens = |line: &str| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("0A")
        };
        until(PATIENCE, || std::fs::read_to_string(table).unwrap().lines().any(listens).then_some(()))
            .is_some()
    }

    /// A port that is free on every address now. The namespace is ours alone, so it stays free.
    pub fn free_port(&self) -> u16 {
        TcpListener::bind(("0.0.0.0", 0)).unwrap().local_addr().unwrap().port()
    }
}

/// Asks until there is an answer. These programs can be asked but do not call back.
pub fn until<T>(patience: Duration, ask: impl Fn() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
