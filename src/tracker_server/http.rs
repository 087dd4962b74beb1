//! What the tracker serves over HTTP: announces, scrapes, and the pages that were published.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::engine::http::requests::Limits;
use crate::engine::http::response::Response;
use crate::engine::http::server::{Admission, Routes};
use crate::tracker::request;
use crate::wire::http_head::{MAX_HEAD, Request, Target};

/// What the server of a tracker allows. Bodies are refused with the head that announces them.
pub(crate) const LIMITS: Limits = Limits {
    connections: 128,
    head: MAX_HEAD,
    body: u64::MAX,
    request: Duration::from_secs(5),
    idle: Duration::from_secs(5),
};

/// The routes; all their state is that of the tracker.
#[derive(Debug)]
pub(crate) struct TrackerRoutes(pub(crate) Arc<Shared>);

impl Routes for TrackerRoutes {
    type Ticket = Infallible;

    fn admit(&self, request: &Request<'_>, from: Option<IpAddr>) -> Admission<Infallible> {
        Admission::Answered(match request.check_plain() {
            Ok(()) => self.get(request.target, from.unwrap_or(Ipv4Addr::LOCALHOST.into())),
            Err(status) => Response::text(status, Vec::new()).closing(),
        })
    }

    fn answer(&self, never: Infallible, _: Vec<u8>, _: Option<IpAddr>) -> Response {
        match never {}
    }
}

impl TrackerRoutes {
    fn get(&self, target: Target<'_>, from: IpAddr) -> Response {
        let TrackerRoutes(shared) = self;
        if !shared.registry().admits(from, shared.now()) {
            shared.count(|counters| &counters.limited);
            return Response::text(429, request::write_failure("too many requests from this address"));
        }
        shared.page(target.path).unwrap_or_else(|| {
            let (status, body) = track(target, from, shared);
            Response::text(status, body)
        })
    }
}

/// Status and body for an announce or a scrape. A further path is a further arm.
fn track(target: Target<'_>, from: IpAddr, shared: &Shared) -> (u16, Vec<u8>) {
    let now = shared.now();
    match target.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default() {
        b"announce" => {
            shared.count(|counters| &counters.announces);
            let (entry, form) = match request::read_announce(target.query, from) {
                Ok(read) => read,
                Err(reason) => return (200, request::write_failure(reason)),
            };
            // The registry is not locked while the answer is written.
            let (taken, interval) = {
                let mut registry = shared.registry();
                (registry.announce(&entry, now), registry.interval())
            };
            match taken {
                Ok(found) => {
                    shared.tell(&entry);
                    (200, request::write_announced(&found, form, interval, from))
                }
                Err(refusal) => (200, request::write_failure(refusal.reason())),
            }
        }
        b"scrape" => {
            shared.count(|counters| &counters.scrapes);
            let hashes = request::read_scrape(target.query);
            let known: Vec<_> = {
                let registry = shared.registry();
                hashes.into_iter().filter_map(|hash| registry.scrape(hash)).collect()
            };
            (200, request::write_scraped(&known))
        }
        _ => (404, Vec::new()),
    }
}
