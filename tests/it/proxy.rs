//! Runs that go through a proxy: everything by it, names included, and nothing another way.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;

use crate::support::child::{Child, PATIENCE, bitwren};
use crate::support::content::{Recipe, Torrent};
use crate::support::proxy::Proxy;
use crate::support::scratch::Scratch;

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A port that is free for TCP and UDP.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind(loopback()).unwrap().local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A tracker, over HTTP and over UDP at one port, and a seed that it names. The torrent has trackers by a name that
/// no resolver has.
struct Swarm {
    scratch: Scratch,
    port: u16,
    seed_port: String,
    torrent: Torrent,
    file: PathBuf,
    _tracker: Child,
    _seed: Child,
}

impl Swarm {
    /// The trackers of the torrent are at these URLs, to which the port is added.
    fn new(name: &str, trackers: &[&str], size: usize) -> Swarm {
        let scratch = Scratch::new(name);
        let port = free_port();
        let number = port.to_string();
        let tracker = ["tracker", "--bind", "127.0.0.1", "--udp-port", &number, "--port", &number];
        let tracker = Child::spawn(&mut bitwren(scratch.path(), &tracker));
        tracker.wait_for_line(PATIENCE, |line| line.contains("http://"));
        let recipe = Recipe::single("data", size);
        let with = |recipe: Recipe, url: &&str| recipe.tracker(&format!("{url}:{port}/announce"));
        let torrent = trackers.iter().fold(recipe, with).make();
        torrent.write_to(&scratch.dir("seeded"));
        let file = scratch.file("data.torrent", &torrent.metainfo);
        let here = format!("http://127.0.0.1:{port}/announce");
        let args =
            ["seed", "--json", "--no-resume", "--bind", "127.0.0.1", "--port", "0", "--no-tracker", "-t"];
        let mut seed = bitwren(scratch.path(), &args);
        let seed = Child::spawn(seed.args([&here, "-d"]).arg(scratch.dir("seeded")).arg(&file));
        seed.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"tracker\""));
        let listens = seed.wait_for_line(PATIENCE, |line| line.contains("\"listening\""));
        let seed_port = listens.split("\"port\":").nth(1).unwrap();
        let seed_port = seed_port.chars().take_while(char::is_ascii_digit).collect();
        Swarm { scratch, port, seed_port, torrent, file, _tracker: tracker, _seed: seed }
    }

    /// Begins to download it.
    fn get(&self, args: &[&str], variables: &[(&str, &str)]) -> Child {
        let mut command = bitwren(self.scratch.path(), &["get", "--json", "-v", "--no-resume", "-d"]);
        command.arg(self.got()).args(args).arg(&self.file).envs(variables.iter().copied());
        Child::spawn(&mut command)
    }

    fn got(&self) -> PathBuf {
        self.scratch.dir("got")
    }

    fn assert_got(&self) {
        self.torrent.assert_complete(&self.got());
    }

    fn seed(&self, host: &str) -> String {
        format!("{host}:{}", self.seed_port)
    }
}

fn url_of(scheme: &str, proxy: &Proxy) -> String {
    format!("{scheme}://me:secret@{}", proxy.address)
}

#[test]
fn peers_and_trackers_are_reached_through_the_proxy_alone() {
    for scheme in ["socks5", "http"] {
        let swarm = Swarm::new("proxy", &["http://tracker.test", "udp://udp.test"], 3 << 20);
        let proxy = Proxy::start(loopback());
        let variables = [("BITWREN_PROXY", &*url_of(scheme, &proxy)), ("BITWREN_NO_DHT", "0")];
        let ended = swarm.get(&["--lsd", "--portmap"], &variables).wait_end(PATIENCE).expect(0);
        swarm.assert_got();
        let (asked, said) = (proxy.asked(), &ended.stdout);
        assert!(asked.contains(&format!("tracker.test:{}", swarm.port)), "{asked:?}");
        assert!(asked.contains(&swarm.seed("127.0.0.1")), "{asked:?}");
        let off = "incoming connections, local discovery, port mapping";
        assert!(said.contains(off) && !said.contains("secret") && !ended.stderr.contains("secret"));
        assert!(!said.contains("\"listening\"") && !said.contains("\"mapped\""), "{said}");
        let refused = "a UDP tracker is not asked: the proxy carries TCP connections alone";
        assert_eq!(said.contains(refused), scheme == "http", "{said}");
        assert_eq!(said.contains("off: the DHT"), scheme == "http", "{said}");
    }
}

#[test]
fn a_udp_tracker_is_asked_by_the_relay_of_the_proxy_which_looks_its_name_up() {
    let swarm = Swarm::new("proxy-udp", &["udp://tracker.test"], 1 << 20);
    let proxy = Proxy::start(loopback());
    swarm.get(&["--proxy", &url_of("socks5", &proxy)], &[]).wait_end(PATIENCE).expect(0);
    swarm.assert_got();
    let asked = proxy.asked();
    assert!(asked.contains(&format!("udp tracker.test:{}", swarm.port)), "{asked:?}");
    assert!(asked.contains(&swarm.seed("127.0.0.1")), "{asked:?}");
    let args = ["scrape", "--json", "--proxy", &url_of("socks5", &proxy)];
    let mut scrape = bitwren(swarm.scratch.path(), &args);
    let scrape = scrape.arg(format!("udp://again.test:{}", swarm.port)).arg(swarm.torrent.hex());
    let said = Child::spawn(scrape).wait_end(PATIENCE).expect(0).stdout;
    assert!(proxy.asked().contains(&format!("udp again.test:{}", swarm.port)), "{said}");
}

#[test]
fn the_dht_is_entered_by_the_relay_and_a_relay_that_ends_is_made_again() {
    let swarm = Swarm::new("proxy-dht", &[], 1 << 20);
    let node = bitwren::Config::default()
        .port(0)
        .bind(std::net::IpAddr::from([127, 0, 0, 1]))
        .dht(true)
        .dht_nodes(Vec::<String>::new());
    let node = bitwren::Client::start(node).unwrap();
    let metainfo = std::sync::Arc::new(bitwren::Metainfo::from_vec(swarm.torrent.metainfo.clone()).unwrap());
    // A node is one once it has a torrent.
    node.add(metainfo, bitwren::TorrentConfig::default().dir(swarm.scratch.dir("node")).resume(false))
        .unwrap();
    let proxy = Proxy::start(loopback());
    let router = format!("router.test:{}", node.dht().unwrap().port);
    let args = ["--dht-node", &router, "--proxy", &url_of("socks5", &proxy)];
    let get = swarm.get(&args, &[("BITWREN_NO_DHT", "0")]);
    get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"dht\"") && line.contains("\"nodes\":1"));
    assert!(proxy.asked().contains(&format!("udp {router}")), "{:?}", proxy.asked());
    let at = proxy.address;
    proxy.kill();
    get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"proxy_lost\""));
    let proxy = Proxy::start(at);
    get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"proxy_found\""));
    let is_relayed = || proxy.asked().iter().any(|asked| asked.starts_with("udp ")).then_some(());
    crate::support::until::until(PATIENCE, is_relayed).expect("no datagram after the proxy was back");
}

#[test]
fn a_peer_given_by_its_name_is_looked_up_by_the_proxy() {
    for scheme in ["socks5", "http"] {
        let swarm = Swarm::new("proxy-peer", &[], 1 << 20);
        let proxy = Proxy::start(loopback());
        let peer = swarm.seed("seed.test");
        let args = ["--peer", &peer, "--proxy", &url_of(scheme, &proxy)];
        let ended = swarm.get(&args, &[]).wait_end(PATIENCE).expect(0);
        swarm.assert_got();
        assert_eq!(proxy.asked(), [peer], "{scheme}");
        assert!(ended.stdout.contains("the proxy looks up seed.test, which is shown as 240.0.0.0:"));
    }
}

#[test]
fn each_purpose_may_have_a_proxy_of_its_own_or_none() {
    let swarm = Swarm::new("proxy-purposes", &["http://127.0.0.1"], 1 << 20);
    let (peers, trackers) = (Proxy::start(loopback()), Proxy::start(loopback()));
    let (peer, tracker) = (url_of("socks5", &peers), url_of("http", &trackers));
    swarm.get(&["--proxy", &peer, "--proxy-trackers", &tracker], &[]).wait_end(PATIENCE).expect(0);
    let here = format!("127.0.0.1:{}", swarm.port);
    assert!(peers.asked().contains(&swarm.seed("127.0.0.1")) && !peers.asked().contains(&here));
    assert!(trackers.asked().contains(&here) && !trackers.asked().contains(&swarm.seed("127.0.0.1")));
    std::fs::remove_dir_all(swarm.got()).unwrap();
    let asked = trackers.asked().len();
    let args = ["--proxy-peers", &peer, "--proxy-trackers", "none"];
    swarm.get(&args, &[("http_proxy", &tracker)]).wait_end(PATIENCE).expect(0);
    swarm.assert_got();
    assert_eq!(trackers.asked().len(), asked, "the environment does not count");
}

#[test]
fn a_proxy_of_the_environment_carries_http_and_a_line_says_what_goes_directly() {
    let swarm = Swarm::new("proxy-environment", &["http://localhost"], 1 << 20);
    let proxy = Proxy::start(loopback());
    let url = url_of("http", &proxy);
    let ended = swarm.get(&[], &[("ALL_PROXY", &url)]).wait_end(PATIENCE).expect(0);
    swarm.assert_got();
    let name = format!("localhost:{}", swarm.port);
    assert!(proxy.asked().iter().all(|asked| *asked == name) && !proxy.asked().is_empty());
    assert!(ended.stdout.contains("directly: peers, the DHT, UDP trackers"), "{}", ended.stdout);
    let asked = proxy.asked().len();
    for (args, variables) in [
        (&["--no-proxy"][..], &[("http_proxy", &*url)][..]),
        (&["--proxy", "none"], &[("http_proxy", &url)]),
        (&[], &[("http_proxy", &url), ("no_proxy", "lan,localhost")]),
        (&[], &[("HTTP_PROXY", &url)]),
    ] {
        std::fs::remove_dir_all(swarm.got()).unwrap();
        swarm.get(args, variables).wait_end(PATIENCE).expect(0);
        swarm.assert_got();
        assert_eq!(proxy.asked().len(), asked, "{args:?} {variables:?}");
    }
    let bad = swarm.get(&[], &[("all_proxy", "socks4://h:1")]).wait_end(PATIENCE).expect(28);
    assert!(bad.stderr.contains("all_proxy") && bad.stderr.contains("--no-proxy"), "{}", bad.stderr);
}

#[test]
fn a_proxy_that_is_not_there_at_first_is_told_once_and_used_when_it_is() {
    let swarm = Swarm::new("proxy-late", &["http://tracker.test"], 3 << 20);
    // Nothing listens there yet.
    let at = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let peer = swarm.seed("127.0.0.1");
    let get = swarm.get(&["--peer", &peer, "--proxy", &format!("socks5://me:secret@{at}")], &[]);
    let lost = get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"proxy_lost\""));
    assert!(lost.contains(&format!("\"proxy\":\"socks5://{at}\"")), "{lost}");
    let _proxy = Proxy::start(at);
    get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"proxy_found\""));
    let ended = get.wait_end(PATIENCE).expect(0);
    assert_eq!(ended.stdout.matches("\"event\":\"proxy_lost\"").count(), 1, "{}", ended.stdout);
    swarm.assert_got();
}

#[test]
fn a_proxy_that_dies_in_mid_transfer_ends_its_peers_and_the_run_goes_on_when_it_is_back() {
    let swarm = Swarm::new("proxy-dies", &["http://tracker.test"], 3 << 20);
    let proxy = Proxy::start(loopback());
    let at = proxy.address;
    let peer = swarm.seed("127.0.0.1");
    // Some ten seconds' worth, of which the first two are enough.
    let args = ["--peer", &peer, "--down", "300K", "--proxy", &url_of("socks5", &proxy)];
    let get = swarm.get(&args, &[]);
    get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"piece\""));
    proxy.kill();
    get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"peer_gone\""));
    get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"proxy_lost\""));
    let proxy = Proxy::start(at);
    get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"proxy_found\""));
    get.wait_end(PATIENCE).expect(0);
    swarm.assert_got();
    assert!(proxy.asked().contains(&peer), "{:?}", proxy.asked());
}
