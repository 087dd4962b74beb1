//! UDP trackers behind a proxy: one question to a tracker through the proxy's relay, under the rules of
//! [`exchange`](crate::tracker::exchange). The proxy looks the tracker's name up.
//!
//! An answer counts that has the number of the question, and where the tracker is named by its address comes from
//! there. Never waits past its deadline.

use std::io::ErrorKind as Io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::bounded;

use super::udp::UdpBounds;
use crate::engine::net::relay::Relay;
use crate::engine::runtime::clock::Clock;
use crate::random::entropy;
use crate::tracker::exchange::{Exchange, Question, Reply, Step};
use crate::tracker::{Failure, Retry};

/// Answers that wait to be looked at; they may be those to other questions.
const MAX_WAITING: usize = 64;

/// Asks the tracker at this host, a name or an address, and port.
///
/// # Errors
/// The tracker's own, or why there was no answer.
pub(super) fn ask(
    relay: &Arc<Relay>,
    (host, port): (&str, u16),
    question: Question,
    bounds: UdpBounds,
    clock: Clock,
) -> Result<Reply, Failure> {
    let deadline = clock.now() + bounds.deadline;
    let (sender, answers) = bounded(MAX_WAITING);
    let expected = host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip.to_canonical(), port));
    // Before there is a relay, so that one that fails is asked for again meanwhile.
    let _hearing = relay.hear(move |bytes, from| {
        let is_elsewhere = from.is_some_and(|from| expected.is_some_and(|expected| from != expected));
        // The first byte of every answer of a tracker is zero (BEP 15), and of nothing else.
        if bytes.first() == Some(&0) && !is_elsewhere {
            // Where too many wait they are lost, as any datagram may be.
            let _ = sender.try_send((from.is_some_and(|from| from.is_ipv6()), Box::<[u8]>::from(bytes)));
        }
    });
    relay.wait_until_up(Instant::now() + bounds.deadline).map_err(|error| match error.kind() {
        Io::Unsupported => refused(&error.to_string()),
        Io::TimedOut => Failure::new("the proxy gave no relay in time"),
        _ => Failure::new(error.to_string()),
    })?;
    let mut exchange = Exchange::new(question, false, bounds.retry_schedule, None);
    loop {
        match exchange.poll(clock.now(), || u32::from_le_bytes(entropy())) {
            Step::GaveUp => return Err(Failure::new("no answer")),
            Step::Send(packet) => relay.send(host, port, &packet),
            Step::Wait(until) => {
                let left = until.min(deadline).since(clock.now());
                let Ok((v6, answer)) = answers.recv_timeout(left) else {
                    if clock.now() >= deadline {
                        return Err(Failure::new("no answer"));
                    }
                    continue;
                };
                exchange.over_ipv6(v6);
                if let Some(said) = exchange.received(clock.now(), &answer) {
                    return said;
                }
            }
        }
    }
}

/// The proxy relays nothing.
pub(super) fn refused(why: &str) -> Failure {
    Failure { retry: Some(Retry::Never), ..Failure::new(format!("a UDP tracker is not asked: {why}")) }
}
