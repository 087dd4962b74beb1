//! The real programs: how each is started, told what to do, and asked whether it is done.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::support::child::{Child, run};
use crate::support::http;
use crate::world::{PATIENCE, Share, World, ipv4, ipv6, until};

/// A program that speaks BitTorrent.
pub trait Client {
    fn name(&self) -> &'static str;
    /// Seeds all of these; the tracker tells when it is ready.
    fn seed(&self, world: &World, shares: &[&Share]) -> Vec<Box<dyn Running>>;
    /// Seeds one at an IPv6 address, and says which.
    fn seed_ipv6(&self, world: &World, share: &Share) -> (Box<dyn Running>, SocketAddr);
    /// Downloads all of these from whoever the tracker knows.
    fn download(&self, world: &World, shares: &[&Share]) -> Box<dyn Running>;
}

/// A program at work.
pub trait Running {
    /// Waits until it says that it has all of this; where its files are then.
    fn wait_complete(&mut self, share: &Share) -> Result<PathBuf, String>;
    /// What it said, for a failure's sake: the end of it.
    fn said(&self) -> String;
}

fn next_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The end of what a program said.
fn tail(name: &str, said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(25)..].join("\n"))
}

pub struct Libtorrent;

struct LibtorrentRunning {
    child: Child,
    dir: PathBuf,
}

impl Libtorrent {
    fn run(
        &self,
        world: &World,
        address: SocketAddr,
        dir: PathBuf,
        more: &[String],
        shares: &[&Share],
    ) -> LibtorrentRunning {
        let mut command = world.libtorrent();
        command.args(["run", &address.ip().to_string(), &address.port().to_string()]).arg(&dir).args(more);
        let child = Child::spawn(command.args(shares.iter().map(|share| &share.file)));
        child.wait_for_line(PATIENCE, |line| line == "up");
        LibtorrentRunning { child, dir }
    }

    /// Downloads one by a magnet link that names a peer and nothing else: the metadata has to come from
    /// there, too.
    pub fn download_by_magnet(&self, world: &World, share: &Share, peer: SocketAddr) -> Box<dyn Running> {
        let link = format!("magnet:?xt=urn:btih:{}&x.pe={peer}", share.info_hash);
        let own = SocketAddr::new(ipv4(14), next_port());
        let dir = world.scratch.dir(&format!("libtorrent-{}", share.torrent.name));
        Box::new(self.run(world, own, dir, &[link], &[]))
    }

    /// Downloads one from a peer given by hand.
    pub fn download_from(&self, world: &World, share: &Share, peer: SocketAddr) -> Box<dyn Running> {
        let more = ["--peer".to_owned(), peer.ip().to_string(), peer.port().to_string()];
        let own = SocketAddr::new(if peer.is_ipv6() { ipv6(4) } else { ipv4(14) }, next_port());
        let dir = world.scratch.dir(&format!("libtorrent-{}", share.torrent.name));
        Box::new(self.run(world, own, dir, &more, &[share]))
    }
}

impl Client for Libtorrent {
    fn name(&self) -> &'static str {
        "libtorrent"
    }

    fn seed(&self, world: &World, shares: &[&Share]) -> Vec<Box<dyn Running>> {
        let dir = world.scratch.dir("libtorrent-seeds");
        shares.iter().for_each(|share| share.torrent.write_to(&dir));
        vec![Box::new(self.run(world, SocketAddr::new(ipv4(13), next_port()), dir, &[], shares))]
    }

    fn seed_ipv6(&self, world: &World, share: &Share) -> (Box<dyn Running>, SocketAddr) {
        let address = SocketAddr::new(ipv6(3), next_port());
        let mut running = self.run(world, address, share.data.clone(), &[], &[share]);
        running.wait_complete(share).unwrap();
        (Box::new(running), address)
    }

    fn download(&self, world: &World, shares: &[&Share]) -> Box<dyn Running> {
        let dir = world.scratch.dir("libtorrent-downloads");
        Box::new(self.run(world, SocketAddr::new(ipv4(13), next_port()), dir, &[], shares))
    }
}

impl Running for LibtorrentRunning {
    fn wait_complete(&mut self, share: &Share) -> Result<PathBuf, String> {
        let wanted = format!("complete {}", share.torrent.name);
        self.child.wait_for_line(PATIENCE, |line| line == wanted);
        Ok(self.dir.clone())
    }

    fn said(&self) -> String {
        tail("libtorrent", &self.child.said())
    }
}

pub struct Aria2;

/// One process a torrent: each ends when its download is complete.
struct Aria2Running {
    children: Vec<(String, Child)>,
    dir: PathBuf,
}

impl Aria2 {
    fn command(&self, world: &World, address: SocketAddr, dir: &Path, share: &Share) -> Command {
        let mut command = Command::new("aria2c");
        command.args([
            "--no-conf",
            "--file-allocation=none",
            "--summary-interval=0",
            "--console-log-level=notice",
        ]);
        command.args([
            "--bt-enable-lpd=false",
            "--enable-peer-exchange=false",
            "--bt-tracker-connect-timeout=5",
        ]);
        command.args(["--allow-overwrite=true", "--bt-request-peer-speed-limit=1000M"]);
        // It asks udp:// trackers from its DHT socket: without DHT it passes them over.
        command.args(["--enable-dht=true", "--enable-dht6=false"]);
        for kind in ["dht", "dht6"] {
            let path = world.scratch.path().join(format!("aria2-{}.{kind}", address.port()));
            let option = if kind == "dht" { "--dht-file-path" } else { "--dht-file-path6" };
            command.arg(format!("{option}={}", path.display()));
        }
        command.arg(format!("--dht-listen-port={}", address.port()));
        command.arg(format!("--listen-port={}", address.port()));
        command.arg(format!("--dir={}", dir.display()));
        if address.is_ipv6() {
            command.arg("--disable-ipv6=false");
        } else {
            command.args(["--disable-ipv6=true", &format!("--interface={}", address.ip())]);
        }
        command.arg(&share.file);
        command
    }

    fn seeding(&self, world: &World, address: SocketAddr, share: &Share) -> Box<dyn Running> {
        let mut command = self.command(world, address, &share.data, share);
        command.args(["--check-integrity=true", "--seed-ratio=0.0"]);
        let children = vec![(share.torrent.name.clone(), Child::spawn(&mut command))];
        Box::new(Aria2Running { children, dir: share.data.clone() })
    }
}

impl Client for Aria2 {
    fn name(&self) -> &'static str {
        "aria2"
    }

    fn seed(&self, world: &World, shares: &[&Share]) -> Vec<Box<dyn Running>> {
        let at = |share| self.seeding(world, SocketAddr::new(ipv4(12), next_port()), share);
        shares.iter().map(|share| at(share)).collect()
    }

    fn seed_ipv6(&self, world: &World, share: &Share) -> (Box<dyn Running>, SocketAddr) {
        let address = SocketAddr::new(ipv6(2), next_port());
        (self.seeding(world, address, share), address)
    }

    fn download(&self, world: &World, shares: &[&Share]) -> Box<dyn Running> {
        let dir = world.scratch.dir("aria2-downloads");
        let start = |share: &&Share| {
            let mut command = self.command(world, SocketAddr::new(ipv4(12), next_port()), &dir, share);
            (share.torrent.name.clone(), Child::spawn(command.arg("--seed-time=0")))
        };
        let children = shares.iter().map(start).collect();
        Box::new(Aria2Running { children, dir })
    }
}

impl Running for Aria2Running {
    fn wait_complete(&mut self, share: &Share) -> Result<PathBuf, String> {
        let at = self.children.iter().position(|(name, _)| *name == share.torrent.name);
        let (_, child) = &self.children[at.ok_or("not started")?];
        match child.end_within(PATIENCE) {
            Some(ended) if ended.code == Some(0) => Ok(self.dir.clone()),
            Some(ended) => Err(format!("aria2 ended with {:?}", ended.code)),
            None => Err("aria2 did not get everything".into()),
        }
    }

    fn said(&self) -> String {
        self.children.iter().map(|(name, child)| tail(&format!("aria2 {name}"), &child.said())).collect()
    }
}

pub struct Transmission;

struct TransmissionRunning {
    child: Child,
    rpc: SocketAddr,
    dir: PathBuf,
}

impl Transmission {
    /// A daemon that keeps its files in `dir` and has all of these torrents.
    fn run(
        &self,
        world: &World,
        address: SocketAddr,
        dir: PathBuf,
        shares: &[&Share],
    ) -> TransmissionRunning {
        let rpc = SocketAddr::new([127, 0, 0, 1].into(), next_port());
        let config = world.scratch.dir(&format!("transmission-{}", rpc.port()));
        let (v4, v6) = if address.is_ipv6() { (ipv4(11), address.ip()) } else { (address.ip(), ipv6(8)) };
        let settings = format!(
            r#"{{ "bind-address-ipv4": "{v4}", "bind-address-ipv6": "{v6}", "peer-port": {},
            "peer-port-random-on-start": false, "port-forwarding-enabled": false, "dht-enabled": false,
            "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "encryption": 0,
            "download-dir": "{}", "incomplete-dir-enabled": false, "rename-partial-files": false,
            "blocklist-enabled": false, "preallocation": 0, "cache-size-mb": 0, "rpc-enabled": true,
            "rpc-bind-address": "127.0.0.1", "rpc-port": {}, "rpc-authentication-required": false,
            "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false, "ratio-limit-enabled": false,
            "download-queue-enabled": false, "seed-queue-enabled": false,
            "idle-seeding-limit-enabled": false, "message-level": 3 }}"#,
            address.port(),
            dir.display(),
            rpc.port()
        );
        std::fs::write(config.join("settings.json"), settings).unwrap();
        let child = Child::spawn(
            Command::new("transmission-daemon").arg("-f").arg("-g").arg(&config).arg("--log-debug"),
        );
        assert!(world.wait_listening(rpc), "transmission does not listen\n{}", child.said());
        for share in shares {
            let mut command = Command::new("transmission-remote");
            run(command.arg(rpc.to_string()).arg("-a").arg(&share.file).arg("-w").arg(&dir)).expect(0);
        }
        TransmissionRunning { child, rpc, dir }
    }
}

impl Client for Transmission {
    fn name(&self) -> &'static str {
        "transmission"
    }

    fn seed(&self, world: &World, shares: &[&Share]) -> Vec<Box<dyn Running>> {
        let dir = world.scratch.dir("transmission-seeds");
        shares.iter().for_each(|share| share.torrent.write_to(&dir));
        vec![Box::new(self.run(world, SocketAddr::new(ipv4(11), next_port()), dir, shares))]
    }

    fn seed_ipv6(&self, world: &World, share: &Share) -> (Box<dyn Running>, SocketAddr) {
        let address = SocketAddr::new(ipv6(1), next_port());
        let mut running = self.run(world, address, share.data.clone(), &[share]);
        running.wait_complete(share).unwrap();
        (Box::new(running), address)
    }

    fn download(&self, world: &World, shares: &[&Share]) -> Box<dyn Running> {
        let dir = world.scratch.dir("transmission-downloads");
        Box::new(self.run(world, SocketAddr::new(ipv4(11), next_port()), dir, shares))
    }
}

impl Running for TransmissionRunning {
    fn wait_complete(&mut self, share: &Share) -> Result<PathBuf, String> {
        let question = format!(
            r#"{{"method":"torrent-get","arguments":{{"ids":["{}"],"fields":["leftUntilDone"]}}}}"#,
            share.info_hash
        );
        let ask = || {
            // It refuses the first call and names the session id to call with.
            let name = "X-Transmission-Session-Id";
            let head = "POST /transmission/rpc HTTP/1.0";
            let (refusal, _) = http::request(self.rpc, head, b"").ok()?;
            let id = refusal.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))?;
            let (_, answer) =
                http::request(self.rpc, &format!("{head}\r\n{name}: {id}"), question.as_bytes()).ok()?;
            String::from_utf8_lossy(&answer).contains(r#""leftUntilDone":0}"#).then_some(())
        };
        until(PATIENCE, ask).ok_or("transmission did not get everything")?;
        Ok(self.dir.clone())
    }

    fn said(&self) -> String {
        tail("transmission", &self.child.said())
    }
}
