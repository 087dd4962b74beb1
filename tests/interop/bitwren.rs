//! Our side of a transfer.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::{Client, Role, Running, Task, Ways, tail};
use crate::network::{PATIENCE, Share, TestNetwork};
use crate::support::child::{self, Child};

pub struct Bitwren;

struct BitwrenRunning {
    child: Child,
    dir: PathBuf,
}

impl Bitwren {
    /// The same, told more.
    pub fn start_with(&self, network: &TestNetwork, task: &Task, more: &[&str]) -> Box<dyn Running> {
        let dir = task.dir(network);
        let verb = if let Role::Seed = task.role { "seed" } else { "get" };
        let mut command = command(&network.scratch.dir("home"), verb, task.ways, more);
        command.args(["--bind", &task.at.ip().to_string(), "--port", &task.at.port().to_string()]);
        let child = Child::spawn(command.arg("-d").arg(&dir).arg(task.word()));
        Box::new(BitwrenRunning { child, dir })
    }

    /// One who gets and gives next to nothing, and tells each of these of the others.
    pub fn introduce(
        &self,
        network: &TestNetwork,
        share: &Share,
        own: SocketAddr,
        peers: &[SocketAddr],
    ) -> Box<dyn Running> {
        let ways = Ways { pex: true, ..Ways::default() };
        let peers: Vec<String> = peers.iter().map(SocketAddr::to_string).collect();
        let mut more = vec!["--down", "1K", "--up", "1K"];
        more.extend(peers.iter().flat_map(|peer| ["--peer", peer]));
        self.start_with(network, &Task::leech(share, own, share.file.to_str().unwrap()).by(ways), &more)
    }
}

impl Client for Bitwren {
    fn name(&self) -> &'static str {
        "bitwren"
    }

    fn start(&self, network: &TestNetwork, task: &Task) -> Box<dyn Running> {
        self.start_with(network, task, &[])
    }
}

impl Running for BitwrenRunning {
    fn wait_complete(&mut self, _: &Share) -> Result<PathBuf, String> {
        match self.child.end_within(PATIENCE) {
            Some(ended) if ended.code == Some(0) => Ok(self.dir.clone()),
            Some(ended) => Err(format!("bitwren: {ended:#?}")),
            None => Err(format!("bitwren still runs after {PATIENCE:?}")),
        }
    }

    fn said(&self) -> String {
        tail("bitwren", &self.child.said())
    }
}

/// Downloads from the peers the tracker names, and compares.
pub fn get(network: &TestNetwork, share: &Share, more: &[&str]) -> Result<(), String> {
    let dir = network.scratch.dir(&format!("got-{}", share.torrent.name));
    let mut command = command(&network.scratch.dir("home"), "get", Ways::default(), more);
    let child = Child::spawn(command.arg("-d").arg(&dir).arg(&share.file));
    let mut running = BitwrenRunning { child, dir };
    let right = running.wait_complete(share).and_then(|dir| share.torrent.compare(&dir));
    right.map_err(|wrong| format!("{wrong}\n{}", running.said()))
}

/// Seeds the files where they lie; they must all lie under their own directories, so each is linked
/// into one.
pub fn seed(network: &TestNetwork, shares: &[&Share], more: &[&str]) -> Child {
    let dir = network.scratch.dir("seeded");
    let mut command = command(&network.scratch.dir("home"), "seed", Ways::default(), more);
    command.arg("-d").arg(&dir);
    for share in shares {
        share.torrent.write_to(&dir);
        command.arg(&share.file);
    }
    Child::spawn(&mut command)
}

fn command(home: &Path, verb: &str, ways: Ways, more: &[&str]) -> Command {
    let mut command = child::bitwren(home, &[verb, "--verbose", "--no-portmap", "--no-resume"]);
    let switch = |on: bool| if on { "0" } else { "1" };
    command.env("BITWREN_NO_DHT", switch(ways.dht.is_some()));
    command.env("BITWREN_NO_LSD", switch(ways.lsd));
    command.env("BITWREN_NO_PEX", switch(ways.pex));
    command.args(ways.dht.iter().flat_map(|node| ["--dht-node".to_owned(), node.to_string()]));
    command.args(more);
    command
}
