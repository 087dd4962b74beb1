//! A run that is bound to a network device, on a machine with two ways out of which the other one is the default.

use std::process::Command;

use crate::support::child::{Child, PATIENCE, bitwren};
use crate::support::content::Recipe;
use crate::support::network::Network;
use crate::support::scratch::Scratch;

/// The right way out, to a host that is reached by either.
const GOOD: &str = "ip link add good0 type veth peer name g0 netns far
    ip addr add 10.97.1.1/24 dev good0 && ip -n far addr add 10.97.1.2/24 dev g0
    ip link set good0 up && ip -n far link set g0 up
    ip route replace default via 10.97.1.2 dev good0 metric 1000
    ip route replace default via 10.97.1.2 dev good0 table 100";

/// A far host, the wrong way to it, which is the default, and no server for names. What the kernel itself sends
/// to refuse a packet belongs to no socket: the rule has it leave from where it was asked.
const BAD: &str = "ip netns add far && ip -n far link set lo up
    echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
    echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
    ip netns exec far sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
    ip link add bad0 type veth peer name b0 netns far
    ip addr add 10.97.2.1/24 dev bad0 && ip -n far addr add 10.97.2.2/24 dev b0
    ip link set bad0 up && ip -n far link set b0 up && ip -n far addr add 10.97.9.9/32 dev lo
    ip route add default via 10.97.2.2 dev bad0
    ip rule add from 10.97.1.1 lookup 100
    ip route add unreachable default table 100 metric 5000
    : >/run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf";

/// Packets that went the wrong way.
fn leaked(network: &Network) -> u32 {
    network.sh("cat /sys/class/net/bad0/statistics/tx_packets").trim().parse().unwrap()
}

#[test]
fn everything_goes_by_the_device_and_nothing_while_it_is_not_up() {
    let Some(network) = Network::new(BAD) else { return };
    let scratch = Scratch::new("device");
    let recipe = Recipe::single("data", 4 << 20).tracker("http://10.97.9.9:6969/announce");
    let torrent = recipe.tracker("udp://10.97.9.9:6969").make();
    let file = scratch.file("data.torrent", &torrent.metainfo);
    torrent.write_to(&scratch.dir("seeded"));
    let far = |args: &[&str]| {
        let plain = bitwren(scratch.path(), args);
        let mut command = network.command(Some("far"), &plain);
        command.args(["-v", "--bind", "10.97.9.9"]);
        command
    };
    let tracker = Child::spawn(&mut far(&["tracker", "--port", "6969", "--udp-port", "6969"]));
    tracker.wait_for_line(PATIENCE, |line| line.contains("http://"));
    let mut seeding = far(&["seed", "--json", "--no-resume", "--port", "7000"]);
    let seed = Child::spawn(seeding.arg("-d").arg(scratch.dir("seeded")).arg(&file));
    seed.wait_for_line(PATIENCE, |line| line.contains("\"tracker\""));

    // The device comes later than the run.
    let args = ["get", "--json", "--no-resume", "--seed", "--device", "good0", "--down", "400K", "-d"];
    let mut plain = bitwren(scratch.path(), &args);
    plain.env_remove("BITWREN_NO_DHT").env_remove("BITWREN_NO_LSD");
    plain.arg(scratch.dir("got")).arg(&file);
    let get = Child::spawn(&mut network.command(None, &plain));
    let event = |name: &str| format!("\"event\":\"{name}\"");
    let count = |name: &str| get.lines().iter().filter(|line| line.contains(&event(name))).count();
    let seen = |name: &str, times| get.wait_for_nth_line(PATIENCE, times, |line| line.contains(&event(name)));
    assert!(seen("device_lost", 1).contains("there is no network device good0"));
    network.sh(GOOD);
    seen("device_found", 1);
    let has_some = |line: &str| line.contains("\"progress\"") && !line.contains("\"verified\":0,");
    get.wait_for_line(PATIENCE, has_some);

    // It goes down and comes up; it is taken away and made again.
    network.sh("ip link set good0 down");
    seen("device_lost", 2);
    network.sh("ip link set good0 up; ip route replace default via 10.97.1.2 dev good0 metric 1000
         ip route replace default via 10.97.1.2 dev good0 table 100");
    seen("device_found", 2);
    network.sh("ip link del good0");
    seen("device_lost", 3);
    network.sh(GOOD);
    seen("finished", 1);
    assert_eq!((count("device_lost"), count("device_found")), (3, 3), "each is told once");
    torrent.assert_complete(&scratch.dir("got"));
    assert_eq!(leaked(&network), 0);

    // Who listens there is found by the device, and not the other way.
    let connects = |address: &str| {
        let mut plain = Command::new("bash");
        plain.args(["-c", &format!("exec 3<>/dev/tcp/{address}/6881")]);
        plain.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        network.command(Some("far"), &plain).output().unwrap().status.success()
    };
    assert!(connects("10.97.1.1") && !connects("10.97.2.1"));
    get.signal("INT");
    get.wait_end(PATIENCE).expect(7);
}

#[test]
fn a_device_that_can_be_none_and_a_congestion_control_that_is_none_are_told() {
    let scratch = Scratch::new("no-device");
    let file = scratch.file("data.torrent", &Recipe::single("data", 1000).make().metainfo);
    for (option, value, told) in [
        ("--device", "a/b", "is not the name of a network device"),
        ("--dscp", "64", "is not a traffic class"),
        ("--congestion", "no-such", "the kernel has no TCP congestion control of this name"),
    ] {
        let mut command = bitwren(scratch.path(), &["get", "--port", "0", option, value]);
        let ended =
            Child::spawn(command.arg(&file).current_dir(scratch.path())).wait_end(PATIENCE).expect(28);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}
