//! What a seed does and leaves undone: super-seeding to libtorrent, and the silence about a private
//! torrent.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::bitwren;
use crate::clients::{Client, Libtorrent, Running, Task, at, tail};
use crate::network::{PATIENCE, TestNetwork, Transport, next_ip};
use crate::report::Report;
use crate::support::child::{self, run};
use crate::support::content::Recipe;

pub fn all(network: &TestNetwork, report: &Report) {
    let line = format!("{:<12} -> {:<12} super-seeding to 4", "bitwren", "libtorrent");
    if report.wants(&line) {
        report.transfer(&line, || super_seed(network));
    }
    let line = "private: no packet leaves, of a public one they do";
    if report.wants(line) {
        report.transfer(line, || silence(network));
    }
}

/// Four that come at once get little more than one copy of it from us.
fn super_seed(network: &TestNetwork) -> Result<Duration, String> {
    let share = &network.share("single", "super-seeded", Transport::Http);
    let begun = Instant::now();
    let word = share.file.to_str().unwrap();
    let start = |_| Libtorrent.start(network, &Task::leech(share, at(next_ip(false)), word));
    let mut leeching: Vec<Box<dyn Running>> = (0..4).map(start).collect();
    // One that is alone with us for long is given everything: not so fast that this could be.
    let seeding = bitwren::seed(network, &[share], &["--super-seed", "--json", "--port", "0", "--up", "3M"]);
    for one in &mut leeching {
        let dir = one.wait_complete(share).and_then(|dir| share.torrent.compare_filled(&dir));
        dir.map_err(|error| format!("{error}\n{}{}", one.said(), tail("bitwren", &seeding.said())))?;
    }
    let took = begun.elapsed();
    seeding.signal("INT");
    let ended = seeding.end_within(PATIENCE).ok_or("it does not end")?;
    let summary = ended.stdout.lines().find(|line| line.contains(r#""event":"summary""#));
    let sent = summary.and_then(|line| line.split_once(r#""uploaded":"#)).and_then(|(_, after)| {
        after.split(|character: char| !character.is_ascii_digit()).next()?.parse::<usize>().ok()
    });
    let size = share.torrent.data.len();
    match sent {
        Some(sent) if sent >= size && sent <= size * 3 / 2 => Ok(took),
        _ => Err(format!("{sent:?} sent of {size} bytes\n{}", ended.stdout)),
    }
}

/// In a namespace of its own every packet is counted that one process sends beyond this machine: to the
/// DHT, to names of its routers, to the local group. That no PEX goes to those who call is shown by
/// `tests/it/exchange.rs`.
fn silence(network: &TestNetwork) -> Result<Duration, String> {
    let begun = Instant::now();
    let of_private = packets(network, "private")?;
    let of_public = packets(network, "public")?;
    match (of_private, of_public) {
        (0, 1..) => Ok(begun.elapsed()),
        both => Err(format!("packets of a private torrent and of a public one: {both:?}")),
    }
}

fn packets(network: &TestNetwork, kind: &str) -> Result<u64, String> {
    let recipe = Recipe::single(&format!("{kind}.bin"), 100_000);
    let torrent = if kind == "private" { recipe.private() } else { recipe }.make();
    let dir = network.scratch.dir("silent");
    torrent.write_to(&dir);
    let file = network.scratch.file(&format!("silent/{kind}.torrent"), &torrent.metainfo);
    // The router is asked to let peers in whatever is shared: that names no torrent.
    let words = ["seed", "--no-portmap", "--dht-node", "10.98.0.1:7400", "--seed-time", "2s"];
    let mut seed = child::bitwren(&dir, &words);
    for way in child::AT_HOME {
        seed.env(way.0, "0");
    }
    seed.arg("-d").arg(&dir).arg(&file);
    // Addresses as on any network, so that nothing fails for want of one; nobody else is there.
    let script = "set -e; ip link set lo up
        ip link add lan0 type bridge; ip link set lan0 up
        ip addr add 10.98.0.2/24 dev lan0; ip addr add fd98::2/64 dev lan0 nodad
        ip route add default via 10.98.0.1
        nft 'table inet count { chain out { type filter hook output priority 0;
            oifname lan0 meta l4proto { tcp, udp } counter; }; }'
        \"$@\" >&2; nft list ruleset | sed -n 's/.*counter packets \\([0-9]*\\).*/\\1/p'";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script, "sh"]).arg(seed.get_program()).args(seed.get_args());
    command.env_clear().envs(seed.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = run(&mut command);
    let count = ended.stdout.trim().parse().ok().filter(|_| ended.code == Some(0));
    count.ok_or_else(|| format!("{ended:#?}"))
}
