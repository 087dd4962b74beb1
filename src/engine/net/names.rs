//! Looking up host names with a deadline: the system's resolver has none of its own.
//!
//! Each look-up runs on a thread of its own, which may take as long as the system likes: it holds
//! nothing that anyone waits for. A second request for a name that is being looked up waits for the same
//! answer, and an answer is good for some seconds more, so that many torrents of one tracker cost one
//! look-up. An address needs neither thread nor look-up.
//!
//! Invariant: at most [`MAX_LOOKUPS`] look-ups are under way, each for another name.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{self, lock};

/// Most look-ups under way at a time.
const MAX_LOOKUPS: usize = 32;
/// How long an answer is kept.
const CACHE_TIME: Duration = Duration::from_secs(10);
/// Most addresses taken of one name.
const MAX_ADDRESSES: usize = 32;
/// Longest that an answer is waited for, whatever is asked.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// What a look-up found: addresses, or why there are none.
type Found = std::result::Result<Vec<IpAddr>, String>;

/// The look-ups of this process.
static LOOKUPS: Lookups = Lookups { table: Mutex::new(None), changed: Condvar::new() };

struct Lookups {
    /// By name; made when first needed.
    table: Mutex<Option<HashMap<String, Arc<Lookup>>>>,
    /// Rung whenever one ends.
    changed: Condvar,
}

/// One look-up, and what it found once it has ended.
#[derive(Debug, Default)]
struct Lookup(Mutex<Option<(Found, Instant)>>);

impl Lookup {
    fn ended(&self) -> Option<(Found, Instant)> {
        lock(&self.0).clone()
    }
}

/// The addresses of a host, at least one, each once, in the order of the system; waits for them for
/// `timeout` at most.
///
/// # Errors
/// [`ErrorKind::Dns`] where the name has none or cannot be looked up, [`ErrorKind::Timeout`] where that
/// takes too long, [`ErrorKind::Resources`] where no thread can be had for it.
pub(crate) fn look_up(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>> {
    look_up_by(system, host, port, timeout)
}

/// What the system knows.
fn system(host: &str) -> Found {
    let found = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    Ok(found.map(|address| address.ip()).collect())
}

fn look_up_by(ask: fn(&str) -> Found, host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let end = Instant::now() + timeout.min(MAX_TIMEOUT);
    let lookup = LOOKUPS.begin(ask, host, end)?;
    let found = LOOKUPS.wait_for(&lookup, end)?;
    let ips = found.map_err(|why| Error::new(ErrorKind::Dns, why))?;
    Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

impl Lookups {
    fn table(&self) -> MutexGuard<'_, Option<HashMap<String, Arc<Lookup>>>> {
        lock(&self.table)
    }

    /// The look-up of this name: one that is under way or has just ended, or a new one.
    fn begin(&'static self, ask: fn(&str) -> Found, host: &str, end: Instant) -> Result<Arc<Lookup>> {
        let mut guard = self.table();
        loop {
            let table = guard.get_or_insert_with(HashMap::new);
            table.retain(|_, lookup| lookup.ended().is_none_or(|(_, at)| at.elapsed() < CACHE_TIME));
            if let Some(lookup) = table.get(host) {
                return Ok(lookup.clone());
            }
            if table.values().filter(|lookup| lookup.ended().is_none()).count() < MAX_LOOKUPS {
                let lookup = Arc::new(Lookup::default());
                let (name, shared) = (host.to_owned(), lookup.clone());
                // The table is locked until the thread runs: no caller waits for a lookup without a thread.
                threads::spawn("dns", move || {
                    Ending { host: name, lookup: shared, found: None }.run(ask);
                })?;
                table.insert(host.to_owned(), lookup.clone());
                return Ok(lookup);
            }
            guard = self.wait(guard, end)?;
        }
    }

    fn wait_for(&self, lookup: &Lookup, end: Instant) -> Result<Found> {
        let mut guard = self.table();
        loop {
            if let Some((found, _)) = lookup.ended() {
                return Ok(found);
            }
            guard = self.wait(guard, end)?;
        }
    }

    /// Waits until a look-up ends.
    fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, end: Instant) -> Result<MutexGuard<'a, T>> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(ErrorKind::Timeout, "looking up the host took too long"));
        }
        Ok(lock::wait_timeout(&self.changed, guard, left).0)
    }
}

/// A look-up under way. However its thread ends, those who wait are told.
struct Ending {
    host: String,
    lookup: Arc<Lookup>,
    found: Option<Found>,
}

impl Ending {
    fn run(mut self, ask: fn(&str) -> Found) {
        self.found = Some(ask(&self.host).and_then(|mut ips| {
            let mut seen = Vec::new();
            ips.retain(|ip| {
                !seen.contains(ip) && seen.len() < MAX_ADDRESSES && {
                    seen.push(*ip);
                    true
                }
            });
            if ips.is_empty() { Err("the host name has no address".to_owned()) } else { Ok(ips) }
        }));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let found = self.found.take().unwrap_or_else(|| Err("looking up the host broke off".to_owned()));
        let failed = found.is_err();
        let mut table = LOOKUPS.table();
        *lock(&self.lookup.0) = Some((found, Instant::now()));
        // A failure goes to the requests that wait for it; a later request tries again.
        if let (true, Some(table)) = (failed, table.as_mut()) {
            table.remove(&self.host);
        }
        drop(table);
        LOOKUPS.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn an_address_is_its_own_answer_and_a_name_has_each_address_once() {
        let found = |host| look_up(host, 7, LONG).unwrap();
        assert_eq!(found("127.0.0.9"), ["127.0.0.9:7".parse().unwrap()]);
        assert_eq!(found("::1"), ["[::1]:7".parse().unwrap()]);
        let local = found("localhost");
        assert!(local.iter().all(|at| at.ip().is_loopback()) && !local.is_empty(), "{local:?}");
        let twice = |_: &str| Ok(vec![IpAddr::from([1; 4]), IpAddr::from([2; 4]), IpAddr::from([1; 4])]);
        assert_eq!(look_up_by(twice, "twice.test", 1, LONG).unwrap().len(), 2);
        let many = |_: &str| Ok((0..=255).map(|n| IpAddr::from([1, 1, 1, n])).collect());
        assert_eq!(look_up_by(many, "many.test", 1, LONG).unwrap().len(), MAX_ADDRESSES);
    }

    #[test]
    fn failures_have_their_kinds_and_are_tried_again() {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let moody = |_: &str| match ASKED.fetch_add(1, Ordering::SeqCst) {
            0 => Err("not today".to_owned()),
            1 => Ok(Vec::new()),
            2 => panic!("the resolver fell over"),
            _ => Ok(vec![IpAddr::from([1; 4])]),
        };
        for why in ["not today", "the host name has no address", "looking up the host broke off"] {
            let error = look_up_by(moody, "moody.test", 1, LONG).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Dns, why));
        }
        look_up_by(moody, "moody.test", 1, LONG).unwrap();
        look_up_by(moody, "moody.test", 1, LONG).unwrap();
        assert_eq!(ASKED.load(Ordering::SeqCst), 4, "what was found is kept for a while");
    }

    #[test]
    fn one_that_hangs_is_not_waited_for_and_not_asked_twice() {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        static GO_ON: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
        let hanging = |_: &str| {
            ASKED.fetch_add(1, Ordering::SeqCst);
            let guard = GO_ON.0.lock().unwrap();
            drop(GO_ON.1.wait_while(guard, |go| !*go).unwrap());
            Ok(vec![IpAddr::from([3; 4])])
        };
        for _ in 0..3 {
            let error = look_up_by(hanging, "hanging.test", 1, Duration::from_millis(20)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        }
        let waiting = std::thread::spawn(move || look_up_by(hanging, "hanging.test", 1, Duration::MAX));
        *GO_ON.0.lock().unwrap() = true;
        GO_ON.1.notify_all();
        assert_eq!(waiting.join().unwrap().unwrap(), ["3.3.3.3:1".parse().unwrap()]);
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    }
}
