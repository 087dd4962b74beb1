//! Magnet links without a tracker: an info-hash, and one way alone to find who has it. What cannot be
//! shown is a limit of the other program, told where the cases are listed.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::bitwren::Bitwren;
use crate::clients::{Aria2, Client, Libtorrent, Running, Task, Transmission, Ways, at};
use crate::dht::Swarm;
use crate::network::{TestNetwork, Transport, first_choice, next_ip};
use crate::report::Report;

/// The one way by which they find one another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Dht,
    /// libtorrent knows both.
    Pex,
    /// We do.
    OurPex,
    Lsd,
    /// The link names the seeder.
    Link,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Way::Dht => "dht",
            Way::Pex => "pex",
            Way::OurPex => "our pex",
            Way::Lsd => "lsd",
            Way::Link => "x.pe",
        })
    }
}

struct Case {
    way: Way,
    ipv6: bool,
    seeder: &'static dyn Client,
    leecher: &'static dyn Client,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.ipv6 { "ipv6" } else { "ipv4" };
        let (seeder, leecher) = (self.seeder.name(), self.leecher.name());
        write!(f, "{seeder:<12} -> {leecher:<12} {} {family} magnet", self.way)
    }
}

/// Everything that there is to show.
fn cases() -> Vec<Case> {
    let strangers: [&'static dyn Client; 3] = [&Transmission, &Aria2, &Libtorrent];
    let mut cases = Vec::new();
    for stranger in strangers {
        for way in [Way::Dht, Way::Pex, Way::OurPex, Way::Lsd, Way::Link] {
            for ipv6 in [false, true] {
                if ipv6 && !speaks_ipv6(stranger.name(), way) {
                    continue;
                }
                if way != Way::OurPex {
                    cases.push(Case { way, ipv6, seeder: stranger, leecher: &Bitwren });
                }
                // The others pass over `x.pe`, and cannot be given a peer otherwise.
                if way != Way::Link || stranger.name() == "libtorrent" {
                    cases.push(Case { way, ipv6, seeder: &Bitwren, leecher: stranger });
                }
            }
        }
    }
    cases
}

fn speaks_ipv6(name: &str, way: Way) -> bool {
    match (name, way) {
        // 3.00 opens an IPv6 socket for the DHT only where a packet to the Internet would leave from an
        // address in 2000::/3: `global_unicast_address` in its net.c.
        ("transmission", Way::Dht) => false,
        // They know the IPv4 group alone.
        ("transmission" | "aria2", Way::Lsd) => false,
        _ => true,
    }
}

/// Where a program listens. Announces to the local network come from the address they are sent from:
/// the kernel chooses that of transmission's, and of libtorrent's over IPv6, whatever they are bound to.
fn place(case: &Case, client: &dyn Client) -> SocketAddr {
    at(match (case.way, client.name(), case.ipv6) {
        (Way::Lsd, "transmission", ipv6) | (Way::Lsd, "libtorrent", ipv6 @ true) => first_choice(ipv6),
        (_, _, ipv6) => next_ip(ipv6),
    })
}

pub fn all(network: &TestNetwork, report: &Report) {
    let cases: Vec<Case> = cases().into_iter().filter(|case| report.wants(&case.to_string())).collect();
    if cases.is_empty() {
        return;
    }
    let swarm = &Swarm::start();
    // They know nothing of one another, and most of what each does is to wait; but each is two or three
    // programs.
    for ways in [&[Way::Dht, Way::Lsd, Way::Link][..], &[Way::Pex, Way::OurPex]] {
        std::thread::scope(|scope| {
            for (number, case) in cases.iter().enumerate().filter(|(_, case)| ways.contains(&case.way)) {
                scope
                    .spawn(move || report.transfer(&case.to_string(), || show(network, swarm, case, number)));
            }
        });
    }
}

fn show(network: &TestNetwork, swarm: &Swarm, case: &Case, number: usize) -> Result<Duration, String> {
    let share = &network.share("small", &format!("discovered {number}"), Transport::None);
    let (has, wants) = (place(case, case.seeder), place(case, case.leecher));
    let ways = Ways {
        dht: (case.way == Way::Dht).then(|| swarm.router(case.ipv6)),
        pex: matches!(case.way, Way::Pex | Way::OurPex),
        lsd: case.way == Way::Lsd,
    };
    let seeding = case.seeder.start(network, &Task::seed(share, has).by(ways));
    match case.way {
        Way::Dht if !swarm.wait_announced(share, has) => {
            return Err(format!("it was never announced in the DHT\n{}", seeding.said()));
        }
        Way::Dht | Way::Lsd => {}
        Way::Pex | Way::OurPex | Way::Link => wait_listening(network, has, &*seeding)?,
    }
    let begun = Instant::now();
    let link = match case.way {
        Way::Link => format!("magnet:?xt=urn:btih:{}&x.pe={has}", share.info_hash),
        _ => format!("magnet:?xt=urn:btih:{}", share.info_hash),
    };
    let mut leeching = case.leecher.start(network, &Task::leech(share, wants, link).by(ways));
    let between = match case.way {
        Way::Pex => {
            wait_listening(network, wants, &*leeching)?;
            Some(Libtorrent.introduce(network, share, at(next_ip(case.ipv6)), &[has, wants]))
        }
        Way::OurPex => {
            wait_listening(network, wants, &*leeching)?;
            Some(Bitwren.introduce(network, share, at(next_ip(case.ipv6)), &[has, wants]))
        }
        Way::Dht | Way::Lsd | Way::Link => None,
    };
    let right = leeching.wait_complete(share).and_then(|dir| share.torrent.compare_filled(&dir));
    let said =
        || [Some(&leeching), Some(&seeding), between.as_ref()].into_iter().flatten().map(|who| who.said());
    right.map_err(|error| format!("{error}\n{}", said().collect::<String>()))?;
    Ok(begun.elapsed())
}

fn wait_listening(network: &TestNetwork, address: SocketAddr, who: &dyn Running) -> Result<(), String> {
    let listens = network.wait_listening(address);
    listens.then_some(()).ok_or_else(|| format!("nobody listens at {address}\n{}", who.said()))
}
