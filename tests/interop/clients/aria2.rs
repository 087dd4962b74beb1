//! aria2: one process a torrent, which ends when its download is complete.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Client, Role, Running, Stranger, Task, Ways, at, tail};
use crate::foreign::aria2;
use crate::network::{PATIENCE, Share, TestNetwork, ipv4};
use crate::support::child::Child;

pub struct Aria2;

struct Aria2Running {
    children: Vec<(String, Child)>,
    dir: PathBuf,
}

impl Aria2 {
    fn command(&self, network: &TestNetwork, address: SocketAddr, dir: &Path, ways: Ways) -> Command {
        let mut command = aria2::command(dir, address.port(), ways.pex, ways.lsd);
        command.args(["--summary-interval=0", "--console-log-level=notice"]);
        command.args(["--bt-tracker-connect-timeout=5", "--allow-overwrite=true"]);
        // What it is given by URL it goes on with, without keeping it.
        command.arg("--follow-torrent=mem");
        // It asks udp:// trackers from its DHT socket: without DHT it passes them over. A DHT without a
        // node to begin with stays alone.
        let dht6 = ways.dht.filter(SocketAddr::is_ipv6);
        command.args(["--enable-dht=true", &format!("--enable-dht6={}", dht6.is_some())]);
        for kind in ["dht", "dht6"] {
            let path = network.scratch.path().join(format!("aria2-{}.{kind}", address.port()));
            let option = if kind == "dht" { "--dht-file-path" } else { "--dht-file-path6" };
            command.arg(format!("{option}={}", path.display()));
        }
        match (ways.dht, dht6) {
            (_, Some(node)) => {
                command.arg(format!("--dht-entry-point6={node}"));
                command.arg(format!("--dht-listen-addr6={}", address.ip()));
            }
            (Some(node), None) => drop(command.arg(format!("--dht-entry-point={node}"))),
            (None, None) => {}
        }
        command.arg(format!("--dht-listen-port={}", address.port()));
        if address.is_ipv6() {
            command.arg("--disable-ipv6=false");
        } else {
            command.args(["--disable-ipv6=true", &format!("--interface={}", address.ip())]);
            command.arg(format!("--bt-lpd-interface={}", address.ip()));
        }
        command
    }

    fn one(&self, network: &TestNetwork, task: &Task) -> (String, Child) {
        let mut command = self.command(network, task.at, &task.dir(network), task.ways);
        match task.role {
            Role::Seed => command.args(["--check-integrity=true", "--seed-ratio=0.0"]),
            Role::Leech(_) => command.arg("--seed-time=0"),
        };
        (task.share.torrent.name.clone(), Child::spawn(command.arg(task.word())))
    }
}

impl Client for Aria2 {
    fn name(&self) -> &'static str {
        "aria2"
    }

    fn start(&self, network: &TestNetwork, task: &Task) -> Box<dyn Running> {
        Box::new(Aria2Running { children: vec![self.one(network, task)], dir: task.dir(network) })
    }
}

impl Stranger for Aria2 {
    fn seed(&self, network: &TestNetwork, shares: &[&Share]) -> Vec<Box<dyn Running>> {
        shares.iter().map(|share| self.start(network, &Task::seed(share, at(ipv4(12))))).collect()
    }

    fn download(&self, network: &TestNetwork, shares: &[&Share]) -> Box<dyn Running> {
        let dir = network.scratch.dir("aria2-downloads");
        let start = |share: &&Share| {
            let mut command = self.command(network, at(ipv4(12)), &dir, Ways::default());
            (share.torrent.name.clone(), Child::spawn(command.arg("--seed-time=0").arg(&share.file)))
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
