//! What the transfers run in: a network namespace with an address for everyone, opentracker in
//! it, and torrents made by other programs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use crate::foreign::libtorrent;
use crate::support::child::{Child, run};
use crate::support::content::{Recipe, Torrent};
use crate::support::http;
use crate::support::scratch::Scratch;
use crate::support::until::until;

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
    // Loopback passes on no IPv6 multicast: those addresses are on a bridge that leads nowhere. The bridge
    // passes on no announce of transmission's, which has what it says kept from its own host. Of several
    // addresses the kernel sends from the first of IPv4 and the last of IPv6 where it has the choice.
    let addresses = "set -e; ip link set lo up
        ip link set lo multicast on
        ip link add lan0 type bridge
        ip link set lan0 up
        for i in $(seq 250); do
            printf 'addr add 10.99.0.%d/24 dev lo\naddr add fd99::%x/64 dev lan0 nodad\n' $i $i
        done | ip -batch -
        ip route add 224.0.0.0/4 dev lo
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

/// The address that the kernel sends from where a program leaves it the choice.
pub fn first_choice(ipv6_too: bool) -> IpAddr {
    if ipv6_too { ipv6(LAST.into()) } else { ipv4(1) }
}

/// An IPv4 address, or an IPv6 one, that was not used before.
pub fn next_ip(ipv6_too: bool) -> IpAddr {
    // Those before are for the ones that have theirs by name.
    static NEXT: [AtomicU8; 2] = [AtomicU8::new(41), AtomicU8::new(41)];
    let last = NEXT[usize::from(ipv6_too)].fetch_add(1, Ordering::Relaxed);
    assert!(last < LAST, "the namespace has no more addresses");
    if ipv6_too { ipv6(last.into()) } else { ipv4(last) }
}

/// How a torrent finds its tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Http,
    Udp,
    /// It names none.
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

/// The last number of the last address.
const LAST: u8 = 250;
const MIB: usize = 1 << 20;

pub struct TestNetwork {
    pub scratch: Scratch,
    tracker: Child,
    tracker_address: SocketAddr,
    allowed_file: PathBuf,
    allowed: Mutex<String>,
    made: AtomicU32,
}

impl TestNetwork {
    pub fn new() -> TestNetwork {
        let scratch = Scratch::new("interop");
        // opentracker runs as nobody and takes the info-hashes in this list alone.
        let root = scratch.dir("opentracker");
        let allowed_file = scratch.file("opentracker/allowed", b"");
        run(Command::new("chmod").args(["-R", "a+rX"]).arg(scratch.path())).expect(0);
        let address = SocketAddr::new(ipv4(1), 6969);
        let config = format!(
            "listen.tcp {address}\nlisten.udp {address}\ntracker.rootdir {}\ntracker.user nobody\naccess.whitelist allowed\n",
            root.display()
        );
        let config = scratch.file("opentracker.conf", config.as_bytes());
        let tracker = Child::spawn(Command::new("opentracker").arg("-f").arg(config).current_dir(&root));
        let network = TestNetwork {
            scratch,
            tracker,
            tracker_address: address,
            allowed_file,
            allowed: Mutex::default(),
            made: AtomicU32::new(0),
        };
        assert!(network.wait_listening(address), "opentracker does not listen\n{}", network.tracker.said());
        network
    }

    /// Makes files, a torrent of them by a program that is not ours, and has opentracker know it.
    pub fn share(&self, kind: &str, name: &str, transport: Transport) -> Share {
        let share = match transport {
            Transport::Http => self.make(kind, name, &format!("http://{}/announce", self.tracker_address)),
            Transport::Udp => self.make(kind, name, &format!("udp://{}/announce", self.tracker_address)),
            Transport::None => self.make(kind, name, ""),
        };
        if transport != Transport::None {
            let mut list = self.allowed.lock().unwrap();
            list.push_str(&format!("{}\n", share.info_hash));
            std::fs::write(&self.allowed_file, &*list).unwrap();
            self.tracker.signal("HUP");
        }
        share
    }

    /// The same with a tracker of one's own, or none.
    pub fn make(&self, kind: &str, name: &str, tracker: &str) -> Share {
        // By turns: the two differ in the order of keys and files and in what they add. transmission
        // leaves empty files out.
        let by_transmission = self.made.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        let torrent = recipe(kind, name, !by_transmission).make();
        let data = self.scratch.dir(&format!("data-{name}"));
        torrent.write_to(&data);
        let file = self.scratch.path().join(format!("{name}.torrent"));
        let path = data.join(&torrent.name);
        if by_transmission {
            let kib = (torrent.piece_length / 1024).to_string();
            let mut command = Command::new("transmission-create");
            command.args(["-s", &kib, "-o"]).arg(&file);
            if !tracker.is_empty() {
                command.args(["-t", tracker]);
            }
            run(command.arg(&path)).expect(0);
        } else {
            let mut command = libtorrent::command();
            run(command.arg("make").arg(&file).args([&torrent.piece_length.to_string(), tracker]).arg(&path))
                .expect(0);
        }
        let info_hash = run(libtorrent::command().arg("hash").arg(&file)).expect(0).stdout.trim().to_owned();
        Share { torrent, file, info_hash, data }
    }

    /// Waits until opentracker's scrape shows so many seeds.
    pub fn wait_seeds(&self, share: &Share, seeds: usize) -> bool {
        self.wait_seeds_at(self.tracker_address, share, seeds)
    }

    /// The same at another tracker.
    pub fn wait_seeds_at(&self, tracker: SocketAddr, share: &Share, seeds: usize) -> bool {
        let binary =
            share.info_hash.as_bytes().chunks(2).map(|pair| format!("%{}", String::from_utf8_lossy(pair)));
        let path = format!("/scrape?info_hash={}", binary.collect::<String>());
        let marker = b"8:completei";
        until(PATIENCE, || {
            let answer = http::get(tracker, &path).ok()?;
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
}

/// The files of a torrent of one kind, with an empty one among them or not.
pub fn recipe(kind: &str, name: &str, with_empty: bool) -> Recipe {
    match kind {
        "single" => Recipe::single(&format!("{name}.bin"), 12 * MIB + 12_345).piece_length(256 << 10),
        "multi" => {
            let mut files = vec![
                ("first file.txt", 10_000),
                ("deep/er/second.bin", 5 * MIB + 1),
                ("deep/third.bin", 3 * MIB - 7),
                ("grüße/世界.dat", 777_777),
                ("last", 1),
            ];
            if with_empty {
                files.push(("empty", 0));
            }
            Recipe::multi(name, &files).piece_length(64 << 10)
        }
        // Enough that one who gives a KiB a second does not give it.
        "small" => {
            let files = [("one.bin", MIB), ("two/zwei.bin", MIB + 77), ("three", 3)];
            Recipe::multi(name, &files).piece_length(64 << 10)
        }
        "large" => Recipe::single(&format!("{name}.bin"), 48 * MIB).piece_length(512 << 10),
        other => unreachable!("no kind of torrent is called {other}"),
    }
}
