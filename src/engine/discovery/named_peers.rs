//! Peers known by host name: looked up on a thread of its own, which goes on trying, ever more seldom, while
//! a name has no address. The first failure of each is reported.
//!
//! It ends when every name was found, when the torrent has ended, or when the value it holds is dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::engine::net::egress::Egress;
use crate::engine::runtime::threads;
use crate::error::{Error, Result};

/// How long one look-up may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);
/// The first pause before names that were not found are tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(5 * 60);
/// Most addresses taken of one name.
const MAX_ADDRESSES_PER_NAME: usize = 8;

/// Keeps the look-ups going; they end when it is dropped.
pub(crate) struct Looking {
    _alive: Sender<()>,
}

/// The result of looking up a name.
pub(crate) enum LookupEvent<'a> {
    /// The name has these addresses.
    Found(&'a str, Vec<SocketAddr>),
    /// It is tried again.
    Failed(&'a str, Error),
}

/// Looks up these hosts and ports. `tell` gets the results, and returns whether they are still wanted.
///
/// # Errors
/// As [`threads::spawn`].
pub(crate) fn look_up(
    peers: Vec<(String, u16)>,
    egress: Arc<Egress>,
    tell: impl Fn(LookupEvent<'_>) -> bool + Send + 'static,
) -> Result<Looking> {
    let (alive, ended) = bounded(0);
    let asking = move |host: &str, port| egress.look_up_peer(host, port, LOOKUP_TIMEOUT);
    threads::spawn("peer-dns", move || run(peers, asking, tell, &ended, FIRST_PAUSE))?;
    Ok(Looking { _alive: alive })
}

fn run(
    mut peers: Vec<(String, u16)>,
    ask: impl Fn(&str, u16) -> Result<Vec<SocketAddr>>,
    tell: impl Fn(LookupEvent<'_>) -> bool,
    ended: &Receiver<()>,
    mut pause: Duration,
) {
    let mut told: Vec<(String, u16)> = Vec::new();
    while !peers.is_empty() {
        let mut failed = Vec::new();
        for (host, port) in peers {
            let is_wanted = match ask(&host, port) {
                Ok(found) => {
                    tell(LookupEvent::Found(&host, found.into_iter().take(MAX_ADDRESSES_PER_NAME).collect()))
                }
                Err(error) => {
                    let peer = (host, port);
                    let is_wanted = told.contains(&peer) || tell(LookupEvent::Failed(&peer.0, error));
                    if !told.contains(&peer) {
                        told.push(peer.clone());
                    }
                    failed.push(peer);
                    is_wanted
                }
            };
            if !is_wanted {
                return;
            }
        }
        peers = failed;
        if peers.is_empty() || ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_name_that_is_not_found_is_tried_again_and_told_once() {
        let asked = RefCell::new(Vec::new());
        let ask = |host: &str, port: u16| {
            asked.borrow_mut().push(host.to_owned());
            let times = asked.borrow().iter().filter(|other| *other == host).count();
            match (host, times) {
                ("late.test", 1..=3) => Err(Error::new(ErrorKind::Dns, "not yet")),
                _ => Ok(vec![SocketAddr::new([1, 2, 3, 4].into(), port)]),
            }
        };
        let told = RefCell::new(Vec::new());
        let tell = |news: LookupEvent<'_>| {
            told.borrow_mut().push(match news {
                LookupEvent::Found(_, found) => found[0].port().to_string(),
                LookupEvent::Failed(host, error) => format!("{host}: {error}"),
            });
            true
        };
        let (_alive, ended) = bounded(0);
        let peers = vec![("late.test".to_owned(), 1), ("there.test".to_owned(), 2)];
        run(peers, ask, tell, &ended, Duration::from_millis(1));
        assert_eq!(told.into_inner(), ["late.test: not yet", "2", "1"]);
        assert_eq!(asked.borrow().len(), 5);
    }

    #[test]
    fn it_ends_when_no_torrent_wants_the_names() {
        let fails = |_: &str, _| Err(Error::new(ErrorKind::Dns, "never"));
        let peers = vec![("never.test".to_owned(), 1)];
        let (alive, ended) = bounded(0);
        run(peers.clone(), fails, |_| false, &ended, MAX_PAUSE);
        drop(alive);
        run(peers, fails, |_| true, &ended, MAX_PAUSE);
    }
}
