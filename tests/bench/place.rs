//! Where it all happens: a network namespace of our own if we can have one, else the loopback of this
//! machine; and who has which address there.
//!
//! In a namespace nothing reaches any other network, and 10.77.0.0/16 is this host. Some clients
//! (transmission) never call a peer in 127/8: without a namespace they are left out.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU16, Ordering};

const INSIDE: &str = "BENCH_NAMESPACE";

/// Runs this same program in a network namespace of its own and hands back how that ended; nothing
/// where we are in one already, or can have none.
pub fn enter_namespace() -> Option<ExitCode> {
    if std::env::var_os(INSIDE).is_some() {
        return None;
    }
    let network = "set -e; ip link set lo up; ip addr add 10.77.0.1/32 dev lo
        ip route add local 10.77.0.0/16 dev lo";
    // Root has namespaces; many systems let others have them, too, as root of a user namespace.
    let ways: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
    for way in ways {
        let try_it = Command::new("unshare").args(way).args(["sh", "-c", network]).output();
        if !try_it.is_ok_and(|output| output.status.success()) {
            continue;
        }
        let script = format!("{network}\nexec \"$@\"");
        let status = Command::new("unshare")
            .args(way)
            .args(["sh", "-c", &script, "sh"])
            .arg(std::env::current_exe().expect("we have a path"))
            .args(std::env::args_os().skip(1))
            .env(INSIDE, "1")
            .status();
        let ended = status.is_ok_and(|status| status.success());
        return Some(if ended { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    println!(
        "no network namespace to be had (root, or user namespaces; unshare and ip): running on plain\n\
         loopback, without the clients that call nobody in 127/8, and next to whatever else listens there"
    );
    None
}

/// Whether we are in a namespace of our own.
pub fn is_namespace() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn network() -> [u8; 2] {
    if is_namespace() { [10, 77] } else { [127, 77] }
}

fn address(third: u8, last: u8) -> Ipv4Addr {
    let [a, b] = network();
    Ipv4Addr::new(a, b, third, last)
}

/// Where the measured client is found.
pub fn client() -> Ipv4Addr {
    address(0, 1)
}

pub fn tracker() -> SocketAddr {
    SocketAddr::new(address(0, 1).into(), 6969)
}

/// One address each: many clients have one connection to an address and no more.
pub fn seeders(count: u8) -> Vec<SocketAddr> {
    (1..=count).map(|last| SocketAddr::new(address(1, last).into(), 20_000)).collect()
}

/// A port not used before in this run: no client waits for what another one left behind.
pub fn next_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(30_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
