//! One question to a tracker over every address family that it has (BEP 7), and within a family to one
//! address after the other.
//!
//! The families are asked side by side, so that a dead one delays nothing: the first answer counts, a later
//! answer of another family is passed on as well, and the tracker has failed only if all of them have. The
//! address of a family that answered last is remembered and asked first the next time.
//!
//! Invariant: each question ends in at least one answer, or in one failure.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::engine::runtime::threads;
use crate::lock::{self, lock};
use crate::tracker::Failure;

/// Most threads that ask a second family; above that it is asked after the first.
const MAX_SECOND_THREADS: usize = 64;
/// Most addresses remembered for having answered.
const MAX_ADDRESSES_KEPT: usize = 256;
/// Most addresses named in one failure.
const MAX_ADDRESSES_IN_ERROR: usize = 4;

/// The result of asking the addresses of one family.
#[derive(Debug)]
pub(crate) struct Asked<T> {
    /// The answer, be it a refusal, and the address that gave it.
    answer: Option<(SocketAddr, Result<T, Failure>)>,
    /// Why others did not answer.
    silent: Vec<(SocketAddr, String)>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Asked { answer: None, silent: Vec::new() }
    }
}

impl<T> Asked<T> {
    /// This address answered.
    pub(crate) fn heard(mut self, from: SocketAddr, said: Result<T, Failure>) -> Self {
        self.answer = Some((from, said));
        self
    }

    /// This one did not answer; its earlier failure no longer matters.
    pub(crate) fn failed(&mut self, address: SocketAddr, why: &str) {
        self.silent.retain(|(other, _)| *other != address);
        self.silent.push((address, why.to_owned()));
    }

    /// Which address answered.
    #[cfg(all(test, feature = "tracker-server"))]
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.answer.as_ref().map(|(from, _)| *from)
    }

    /// Why no address answered, in one line.
    fn why(&self) -> String {
        let named =
            self.silent.iter().take(MAX_ADDRESSES_IN_ERROR).map(|(at, why)| (at.to_string(), why.clone()));
        one_or_all(named.collect())
    }
}

/// The reason that all have in common, or that of each.
fn one_or_all(reasons: Vec<(String, String)>) -> String {
    match reasons.first() {
        None => "no answer".to_owned(),
        Some((_, first)) if reasons.iter().all(|(_, why)| why == first) => first.clone(),
        Some(_) => reasons.iter().map(|(at, why)| format!("{at}: {why}")).collect::<Vec<_>>().join("; "),
    }
}

/// The addresses of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Family {
    addresses: Vec<SocketAddr>,
    /// Whether one of them answered the last time.
    is_alive: bool,
}

/// By host, port and family: which address is asked first, and whether it answered the last time.
type Known = HashMap<(String, u16, bool), (IpAddr, bool)>;

/// Which addresses of trackers are asked first.
#[derive(Debug, Default)]
pub(crate) struct PreferredAddresses(Mutex<Known>);

impl PreferredAddresses {
    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.0)
    }

    /// The addresses of each family, that which answered last in front.
    fn families(&self, host: &str, addresses: &[SocketAddr]) -> Vec<Family> {
        let (v4, v6) = addresses.iter().partition::<Vec<SocketAddr>, _>(|address| address.is_ipv4());
        let kept = self.lock();
        let front = |family: &[SocketAddr]| {
            let first = family.first()?;
            let (ip, is_alive) = kept.get(&(host.to_owned(), first.port(), first.is_ipv6()))?;
            Some((family.iter().position(|address| address.ip() == *ip)?, *is_alive))
        };
        let mut families = Vec::new();
        for mut addresses in [v4, v6].into_iter().filter(|family| !family.is_empty()) {
            let (at, is_alive) = front(&addresses).unwrap_or_default();
            addresses.rotate_left(at);
            families.push(Family { addresses, is_alive });
        }
        families
    }

    /// This address is asked first from now on; it has answered, or not.
    fn keep(&self, host: &str, address: SocketAddr, is_alive: bool) {
        let mut kept = self.lock();
        if kept.len() >= MAX_ADDRESSES_KEPT {
            kept.clear();
        }
        kept.insert((host.to_owned(), address.port(), address.is_ipv6()), (address.ip(), is_alive));
    }

    /// The first `asked` of these did not answer: if there was no time for all, the rest is asked first the
    /// next time.
    fn pass_on(&self, host: &str, family: &[SocketAddr], asked: usize) {
        if let Some(next) = family.get(asked % family.len().max(1)) {
            self.keep(host, *next, false);
        }
    }
}

/// How one family is asked; false while no other has answered.
type Ask<T> = Box<dyn Fn(&[SocketAddr], &dyn Fn() -> bool) -> Asked<T> + Send + Sync>;

/// A question and its results so far.
pub(crate) struct FamilyRequest<T> {
    host: String,
    ask: Ask<T>,
    /// Gets the results, on any thread.
    hear: Box<dyn Fn(Result<T, Failure>) + Send + Sync>,
    /// How long the first answer is held back for that of another family which answered the last time.
    grace: Duration,
    preferred: Arc<PreferredAddresses>,
    state: Mutex<State>,
    changed: Condvar,
}

/// The state of a request.
#[derive(Default)]
struct State {
    /// Families that are still asked.
    left: usize,
    /// Those among them that answered the last time: a family that was dead before is not waited for.
    awaited: usize,
    answered: bool,
    /// The tracker's refusal.
    refused: Option<Failure>,
    /// Why families did not answer.
    silent: Vec<(String, String)>,
}

/// Threads that ask a second family.
static BESIDE: AtomicUsize = AtomicUsize::new(0);

impl<T: Send + 'static> FamilyRequest<T> {
    pub(crate) fn new(
        host: &str,
        preferred: Arc<PreferredAddresses>,
        grace: Duration,
        ask: impl Fn(&[SocketAddr], &dyn Fn() -> bool) -> Asked<T> + Send + Sync + 'static,
        hear: impl Fn(Result<T, Failure>) + Send + Sync + 'static,
    ) -> Arc<FamilyRequest<T>> {
        let (ask, hear) = (Box::new(ask), Box::new(hear));
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(FamilyRequest { host: host.to_owned(), ask, hear, grace, preferred, state, changed })
    }

    /// Asks at these addresses. Returns when one family has been asked, or all of them if there is no thread
    /// for another.
    pub(crate) fn run(self: &Arc<Self>, addresses: &[SocketAddr]) {
        let mut families = self.preferred.families(&self.host, addresses);
        if families.is_empty() {
            return (self.hear)(Err(Failure::new("the host name has no address of the family in use")));
        }
        let awaited = families.iter().filter(|family| family.is_alive).count();
        *self.lock() = State { left: families.len(), awaited, ..State::default() };
        let first = families.remove(0);
        families.retain(|family| !self.is_asked_beside(family));
        self.ask(&first);
        // No thread could be had for these.
        families.iter().for_each(|family| self.ask(family));
    }

    /// Asks this family on a thread of its own, if there is one.
    fn is_asked_beside(self: &Arc<Self>, family: &Family) -> bool {
        let place = Place::take();
        if place.is_none() {
            return false;
        }
        let (request, family) = (self.clone(), family.clone());
        let asking = move || {
            request.ask(&family);
            drop(place);
        };
        threads::spawn("tracker-ask", asking).is_ok()
    }

    fn ask(&self, family: &Family) {
        let answered = || self.lock().answered;
        let mut turn = Turn { request: self, family, asked: None };
        let asked = (self.ask)(&family.addresses, &answered);
        match &asked.answer {
            Some((from, _)) => self.preferred.keep(&self.host, *from, true),
            None => self.preferred.pass_on(&self.host, &family.addresses, asked.silent.len()),
        }
        turn.asked = Some(asked);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A family has been asked.
    fn take_in(&self, family: &Family, asked: Asked<T>) {
        let v6 = family.addresses.first().is_some_and(SocketAddr::is_ipv6);
        let mut state = self.lock();
        state.left = state.left.saturating_sub(1);
        state.awaited = state.awaited.saturating_sub(usize::from(family.is_alive));
        let why = asked.why();
        match asked.answer {
            Some((_, Ok(answer))) => {
                let is_first = !std::mem::replace(&mut state.answered, true);
                self.changed.notify_all();
                if is_first {
                    let end = Instant::now() + self.grace;
                    while state.awaited > 0 {
                        let left = end.saturating_duration_since(Instant::now());
                        if left.is_zero() {
                            break;
                        }
                        state = lock::wait_timeout(&self.changed, state, left).0;
                    }
                }
                drop(state);
                return (self.hear)(Ok(answer));
            }
            Some((_, Err(failure))) => state.refused = state.refused.take().or(Some(failure)),
            None => state.silent.push((if v6 { "over IPv6" } else { "over IPv4" }.to_owned(), why)),
        }
        self.changed.notify_all();
        if state.left > 0 || state.answered {
            return;
        }
        // The tracker's own error counts for more than why others could not be reached.
        let silent = std::mem::take(&mut state.silent);
        let failure = state.refused.take().unwrap_or_else(|| Failure::unanswered(one_or_all(silent)));
        drop(state);
        (self.hear)(Err(failure));
    }
}

/// A family's turn. However it ends, the request is notified.
struct Turn<'a, T: Send + 'static> {
    request: &'a FamilyRequest<T>,
    family: &'a Family,
    asked: Option<Asked<T>>,
}

impl<T: Send + 'static> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.request.take_in(self.family, self.asked.take().unwrap_or_default());
    }
}

/// A thread that asks a second family, while it does.
struct Place;

impl Place {
    fn take() -> Option<Place> {
        let more = |count: usize| (count < MAX_SECOND_THREADS).then_some(count + 1);
        BESIDE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok().map(|_| Place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        BESIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
