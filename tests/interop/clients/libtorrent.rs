//! libtorrent, driven by a script: the one that can be given peers by hand.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Client, Role, Running, Stranger, Task, at, tail};
use crate::foreign::libtorrent;
use crate::network::{PATIENCE, Share, TestNetwork, ipv4};
use crate::support::child::Child;

pub struct Libtorrent;

struct LibtorrentRunning {
    child: Child,
    dir: PathBuf,
}

impl Libtorrent {
    fn run(&self, address: SocketAddr, dir: &Path, more: &[String], words: &[String]) -> LibtorrentRunning {
        let mut command = libtorrent::command();
        command.args(["run", &address.ip().to_string(), &address.port().to_string()]).arg(dir).args(more);
        let child = Child::spawn(command.args(words));
        child.wait_for_line(PATIENCE, |line| line == "up");
        LibtorrentRunning { child, dir: dir.to_owned() }
    }

    /// The same, with these peers given by hand.
    pub fn start_with(&self, network: &TestNetwork, task: &Task, peers: &[SocketAddr]) -> Box<dyn Running> {
        let mut more: Vec<String> = peers.iter().flat_map(|peer| by_hand("--peer", *peer)).collect();
        more.extend(task.ways.dht.into_iter().flat_map(|node| by_hand("--dht", node)));
        more.extend(task.ways.pex.then(|| "--pex".to_owned()));
        more.extend(task.ways.lsd.then(|| "--lsd".to_owned()));
        Box::new(self.run(task.at, &task.dir(network), &more, &[task.word()]))
    }

    /// One who has and gets next to nothing, and tells each of these of those before it: it calls them
    /// one after the other.
    pub fn introduce(
        &self,
        network: &TestNetwork,
        share: &Share,
        own: SocketAddr,
        peers: &[SocketAddr],
    ) -> Box<dyn Running> {
        let task = Task::leech(share, own, share.file.to_str().unwrap());
        let mut more = vec!["--introduce".to_owned(), "--pex".to_owned()];
        more.extend(peers.iter().flat_map(|peer| by_hand("--peer", *peer)));
        Box::new(self.run(own, &task.dir(network), &more, &[task.word()]))
    }
}

fn by_hand(option: &str, address: SocketAddr) -> [String; 3] {
    [option.to_owned(), address.ip().to_string(), address.port().to_string()]
}

fn files(shares: &[&Share]) -> Vec<String> {
    shares.iter().map(|share| share.file.to_str().unwrap().to_owned()).collect()
}

impl Client for Libtorrent {
    fn name(&self) -> &'static str {
        "libtorrent"
    }

    fn start(&self, network: &TestNetwork, task: &Task) -> Box<dyn Running> {
        let mut running = self.start_with(network, task, &[]);
        if let Role::Seed = task.role {
            running.wait_complete(task.share).unwrap();
        }
        running
    }
}

impl Stranger for Libtorrent {
    fn seed(&self, network: &TestNetwork, shares: &[&Share]) -> Vec<Box<dyn Running>> {
        let dir = network.scratch.dir("libtorrent-seeds");
        shares.iter().for_each(|share| share.torrent.write_to(&dir));
        vec![Box::new(self.run(at(ipv4(13)), &dir, &[], &files(shares)))]
    }

    fn download(&self, network: &TestNetwork, shares: &[&Share]) -> Box<dyn Running> {
        let dir = network.scratch.dir("libtorrent-downloads");
        Box::new(self.run(at(ipv4(13)), &dir, &[], &files(shares)))
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
