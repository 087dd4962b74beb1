//! Runs that go through a proxy: everything by it, names included, and nothing another way.

use std::net::TcpListener;

use crate::support::child::{Child, PATIENCE, bitwren};
use crate::support::content::Recipe;
use crate::support::proxy::Proxy;
use crate::support::scratch::Scratch;

fn loopback() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A tracker with a name that no resolver has, and a seed that it names.
fn swarm(scratch: &Scratch) -> (Child, Child, crate::support::content::Torrent, std::path::PathBuf) {
    let port = TcpListener::bind(loopback()).unwrap().local_addr().unwrap().port();
    let tracker = ["tracker", "--bind", "127.0.0.1", "--udp-port", "0", "--port", &port.to_string()];
    let tracker = Child::spawn(&mut bitwren(scratch.path(), &tracker));
    tracker.wait_for_line(PATIENCE, |line| line.contains("http://"));
    let url = format!("http://tracker.test:{port}/announce");
    let torrent = Recipe::single("data", 3 << 20).tracker(&url).tracker("udp://127.0.0.1:9").make();
    torrent.write_to(&scratch.dir("seeded"));
    let file = scratch.file("data.torrent", &torrent.metainfo);
    let here = format!("http://127.0.0.1:{port}/announce");
    let args =
        ["seed", "--json", "--no-resume", "--bind", "127.0.0.1", "--port", "0", "--no-tracker", "-t", &here];
    let seed = Child::spawn(bitwren(scratch.path(), &args).arg("-d").arg(scratch.dir("seeded")).arg(&file));
    seed.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"tracker\""));
    (tracker, seed, torrent, file)
}

#[test]
fn peers_and_trackers_are_reached_through_the_proxy_alone() {
    let scratch = Scratch::new("proxy");
    let (_tracker, seed, torrent, file) = swarm(&scratch);
    for scheme in ["socks5", "http"] {
        let proxy = Proxy::start(loopback());
        let url = format!("{scheme}://me:secret@{}", proxy.address);
        let mut command = bitwren(scratch.path(), &["get", "--json", "-v", "--no-resume", "-d"]);
        command.env_remove("BITWREN_NO_DHT").env_remove("BITWREN_NO_LSD").env("BITWREN_PROXY", url);
        let ended = Child::spawn(command.arg(scratch.dir(scheme)).arg(&file)).wait_end(PATIENCE).expect(0);
        torrent.assert_complete(&scratch.dir(scheme));
        let asked = proxy.asked();
        assert!(asked.iter().any(|target| target.starts_with("tracker.test:")), "{asked:?}");
        let said = &ended.stdout;
        let port = seed.wait_for_line(PATIENCE, |line| line.contains("\"listening\""));
        let port: String =
            port.split("\"port\":").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
        assert!(asked.contains(&format!("127.0.0.1:{port}")), "{asked:?}");
        assert!(
            said.contains("they are off") && !said.contains("secret") && !ended.stderr.contains("secret")
        );
        assert!(
            said.contains("a UDP tracker is not asked: the proxy carries TCP connections alone"),
            "{said}"
        );
        assert!(!said.contains("\"listening\"") && !said.contains("\"dht\""), "{said}");
    }
}

#[test]
fn a_proxy_that_dies_meanwhile_is_told_once_and_the_run_goes_on_when_it_is_back() {
    let scratch = Scratch::new("proxy-dies");
    let (_tracker, seed, torrent, file) = swarm(&scratch);
    // Nothing listens there yet.
    let at = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let url = format!("socks5://me:secret@{at}");
    let port = seed.wait_for_line(PATIENCE, |line| line.contains("\"listening\""));
    let port: String =
        port.split("\"port\":").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    let peer = format!("127.0.0.1:{port}");
    let mut command =
        bitwren(scratch.path(), &["get", "--json", "--no-resume", "--peer", &peer, "--proxy", &url]);
    let get = Child::spawn(command.arg("-d").arg(scratch.dir("got")).arg(&file));
    let lost = get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"proxy_lost\""));
    assert!(lost.contains(&format!("\"proxy\":\"socks5://{at}\"")), "{lost}");
    let proxy = Proxy::start(at);
    get.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"proxy_found\""));
    let ended = get.wait_end(PATIENCE).expect(0);
    assert_eq!(ended.stdout.matches("\"event\":\"proxy_lost\"").count(), 1, "{}", ended.stdout);
    torrent.assert_complete(&scratch.dir("got"));
    proxy.cut();
}
