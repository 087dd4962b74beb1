//! transmission: a daemon, told what to do and asked how far it is over its RPC.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use super::{Client, Role, Running, Stranger, Task, Ways, at, tail};
use crate::dht;
use crate::foreign::transmission;
use crate::network::{PATIENCE, Share, TestNetwork, ipv4, ipv6};
use crate::support::bencode::{bytes, dict};
use crate::support::child::{Child, run};
use crate::support::content::sha1;
use crate::support::until::until;

pub struct Transmission;

struct TransmissionRunning {
    child: Child,
    rpc: SocketAddr,
    dir: PathBuf,
}

impl Transmission {
    /// A daemon that keeps its files in `dir` and is given all of these.
    fn run(
        &self,
        network: &TestNetwork,
        address: SocketAddr,
        dir: PathBuf,
        ways: Ways,
        words: &[String],
    ) -> TransmissionRunning {
        let rpc = at([127, 0, 0, 1].into());
        let config = network.scratch.dir(&format!("transmission-{}", rpc.port()));
        let (v4, v6) = if address.is_ipv6() { (ipv4(11), address.ip()) } else { (address.ip(), ipv6(8)) };
        let (dht, lpd, pex) = (ways.dht.is_some(), ways.lsd, ways.pex);
        let more = format!(
            r#""bind-address-ipv4": "{v4}", "bind-address-ipv6": "{v6}", "dht-enabled": {dht},
            "lpd-enabled": {lpd}, "pex-enabled": {pex}, "incomplete-dir-enabled": false,
            "blocklist-enabled": false, "cache-size-mb": 0, "message-level": 3"#
        );
        let settings = transmission::settings(&dir, address.port(), rpc, &more);
        std::fs::write(config.join("settings.json"), settings).unwrap();
        if let Some(node) = ways.dht {
            std::fs::write(config.join("dht.dat"), remembered(address, node)).unwrap();
        }
        let child = Child::spawn(
            Command::new("transmission-daemon").arg("-f").arg("-g").arg(&config).arg("--log-debug"),
        );
        assert!(network.wait_listening(rpc), "transmission does not listen\n{}", child.said());
        for word in words {
            let mut command = Command::new("transmission-remote");
            run(command.arg(rpc.to_string()).arg("-a").arg(word).arg("-w").arg(&dir)).expect(0);
        }
        TransmissionRunning { child, rpc, dir }
    }

    /// The same for torrents by file.
    fn run_all(&self, network: &TestNetwork, dir: PathBuf, shares: &[&Share]) -> TransmissionRunning {
        let files: Vec<String> = shares.iter().map(|share| share.file.to_str().unwrap().to_owned()).collect();
        self.run(network, at(ipv4(11)), dir, Ways::default(), &files)
    }
}

impl Client for Transmission {
    fn name(&self) -> &'static str {
        "transmission"
    }

    fn start(&self, network: &TestNetwork, task: &Task) -> Box<dyn Running> {
        let mut running = self.run(network, task.at, task.dir(network), task.ways, &[task.word()]);
        if let Role::Seed = task.role {
            running.wait_complete(task.share).unwrap();
        }
        Box::new(running)
    }
}

impl Stranger for Transmission {
    fn seed(&self, network: &TestNetwork, shares: &[&Share]) -> Vec<Box<dyn Running>> {
        let dir = network.scratch.dir("transmission-seeds");
        shares.iter().for_each(|share| share.torrent.write_to(&dir));
        vec![Box::new(self.run_all(network, dir, shares))]
    }

    fn download(&self, network: &TestNetwork, shares: &[&Share]) -> Box<dyn Running> {
        let dir = network.scratch.dir("transmission-downloads");
        Box::new(self.run_all(network, dir, shares))
    }
}

impl Running for TransmissionRunning {
    fn wait_complete(&mut self, share: &Share) -> Result<PathBuf, String> {
        let question = format!(
            r#"{{"method":"torrent-get","arguments":{{"ids":["{}"],"fields":["leftUntilDone","haveValid"]}}}}"#,
            share.info_hash
        );
        let ask = || {
            let answer = transmission::call(self.rpc, &question).ok()?;
            // Nothing is left of what it does not know yet, either.
            (number(&answer, "leftUntilDone")? == 0 && number(&answer, "haveValid")? > 0).then_some(())
        };
        until(PATIENCE, ask).ok_or("transmission did not get everything")?;
        Ok(self.dir.clone())
    }

    fn said(&self) -> String {
        tail("transmission", &self.child.said())
    }
}

fn number(answer: &str, key: &str) -> Option<u64> {
    let (_, after) = answer.split_once(&format!("\"{key}\":"))?;
    let end = after.find(|character: char| !character.is_ascii_digit())?;
    after[..end].parse().ok()
}

/// What it would keep of an earlier run: its id, and the nodes that it knew. It looks for peers once it
/// knows nine good ones, and asks those that it only hears of now and then whether they are.
fn remembered(own: SocketAddr, router: SocketAddr) -> Vec<u8> {
    let mut nodes = Vec::new();
    for node in dht::nodes(router) {
        if let IpAddr::V4(ip) = node.ip() {
            nodes.extend(ip.octets());
            nodes.extend(node.port().to_be_bytes());
        }
    }
    let id = sha1(own.to_string().as_bytes());
    dict([("id", bytes(id)), ("nodes", bytes(nodes))]).encode()
}
