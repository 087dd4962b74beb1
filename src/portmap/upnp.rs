//! One gateway asked by UPnP: searched for, described, asked for a mapping of TCP and UDP under the same
//! external port, looked at again, and told to remove what was added. Over IPv6 the same with pinholes.
//!
//! It asks one thing at a time and only at the gateway's own address. Invariant: at most
//! `MAX_DEVICES` descriptions are read and `MAX_CONFLICTS` times another port is asked for; what may have
//! been added is removed at the end.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::http::{Answer, Failure, get, post};
use super::igd::{self, Action, Asked, Kind, Service, outcome};
use super::ssdp::{self, Location};
use super::{Granted, LEASE, Network, Ports, Progress, Protocol};
use crate::moment::Moment;

/// Most answers to a search that are followed up.
const MAX_DEVICES: usize = 4;
/// How often another external port is asked for.
const MAX_CONFLICTS: u32 = 4;
/// When the search is repeated, counted from its start; with the last of them it has found nothing.
const SEARCH_TIMES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];
/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Send a datagram by the socket of the search.
    Search(SocketAddr, Vec<u8>),
    /// Connect, send this, and read an answer, instead of what is under way.
    Request(SocketAddr, Vec<u8>),
    /// Let go of the answer that is under way.
    HangUp,
}

/// One gateway asked by UPnP.
#[derive(Debug)]
pub struct Upnp {
    network: Network,
    kind: Kind,
    /// A random port to ask for after a conflict; the next ones follow it.
    random_port: u16,
    items: Vec<Item>,
    external: u16,
    /// The lease that is asked for, and that which the gateway gives.
    asked_lease: Duration,
    lease: Duration,
    devices: Vec<Location>,
    /// Devices that have been asked for their description.
    described: usize,
    services: Vec<Service>,
    ip: Option<IpAddr>,
    conflicts: u32,
    step: Step,
    searched: usize,
    began: Moment,
    /// When a request that is under way takes too long.
    until: Option<Moment>,
    /// When the mappings are to be added again, rather than looked at.
    add_again: Moment,
    why: Option<String>,
    progress: Progress,
}

/// A mapping or a pinhole.
#[derive(Debug)]
struct Item {
    protocol: Protocol,
    internal: u16,
    /// The external port under which it may be known to the gateway.
    held: Option<u16>,
    /// The number of the pinhole.
    id: Option<u16>,
    /// Whether the gateway does not give it.
    refused: bool,
}

/// What was asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing; an answer to the search is awaited.
    Search,
    Describe,
    Status,
    ExternalIp,
    /// To add this item.
    Add(usize),
    /// What became of the first item, right after it was added or long after.
    LookUp {
        is_new: bool,
    },
    /// To remove this item, so that all are asked for under another port.
    Remove(usize),
    /// To remove this item, and then no more.
    Close(usize),
    /// Nothing more.
    Idle,
}

impl Upnp {
    /// Begins to search.
    pub fn new(network: Network, ports: Ports, suggested: u16, random_port: u16, now: Moment) -> Self {
        let item = |(protocol, internal)| Item { protocol, internal, held: None, id: None, refused: false };
        Upnp {
            network,
            kind: if network.local.is_ipv4() { Kind::Mapping } else { Kind::Pinhole },
            random_port,
            items: ports.iter().map(item).collect(),
            external: suggested,
            asked_lease: LEASE,
            lease: LEASE,
            devices: Vec::new(),
            described: 0,
            services: Vec::new(),
            ip: None,
            conflicts: 0,
            step: Step::Search,
            searched: 0,
            began: now,
            until: None,
            add_again: now,
            why: None,
            progress: Progress::Asking,
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether the gateway may have a mapping of this one.
    pub fn may_hold(&self) -> bool {
        self.items.iter().any(|item| item.held.is_some())
    }

    /// Whether a gateway has answered the search.
    pub fn has_been_answered(&self) -> bool {
        !self.devices.is_empty()
    }

    /// Whether all mappings have been removed.
    pub fn is_closed(&self) -> bool {
        self.step == Step::Idle
    }

    /// When [`Upnp::poll`] is to be called next.
    pub fn deadline(&self) -> Option<Moment> {
        let search = (self.step == Step::Search).then(|| self.next_search()).flatten();
        search.into_iter().chain(self.until).min()
    }

    fn next_search(&self) -> Option<Moment> {
        match self.searched.checked_sub(1) {
            None => Some(self.began),
            Some(index) => SEARCH_TIMES.get(index).map(|time| self.began + *time),
        }
    }

    /// Time has passed.
    pub fn poll(&mut self, now: Moment, out: &mut Vec<Order>) {
        if self.until.is_some_and(|until| until <= now) {
            out.push(Order::HangUp);
            return self.on_answer(Err(Failure::Slow), now, out);
        }
        if self.step != Step::Search || self.next_search().is_none_or(|next| now < next) {
            return;
        }
        self.searched += 1;
        if self.searched > SEARCH_TIMES.len() {
            self.step = Step::Idle;
            let why = self.why.take();
            self.progress = why.map_or(Progress::Silent, Progress::Refused);
            return;
        }
        let group = match self.network.gateway {
            IpAddr::V4(_) => ssdp::GROUP_V4.into(),
            IpAddr::V6(_) => ssdp::GROUP_V6.into(),
        };
        // A gateway that does not hear the group may hear what is sent to it alone, and the other way round.
        for to in [group, self.network.gateway].map(|ip| SocketAddr::new(ip, ssdp::PORT)) {
            out.extend(ssdp::TARGETS.iter().map(|target| Order::Search(to, ssdp::search(target, to))));
        }
    }

    /// An answer to the search.
    pub fn on_datagram(&mut self, from: IpAddr, datagram: &[u8], out: &mut Vec<Order>, now: Moment) {
        let gateway = self.network.gateway;
        if from != gateway || self.devices.len() >= MAX_DEVICES || self.progress != Progress::Asking {
            return;
        }
        let Some(location) = ssdp::decode(datagram) else { return };
        if location.addr.ip() != gateway {
            self.why = Some("its answer to the search names another host".to_owned());
        } else if !self.devices.contains(&location) {
            self.devices.push(location);
            if self.step == Step::Search {
                self.describe(now, out);
            }
        }
    }

    /// The answer to what was asked for last.
    pub fn on_answer(&mut self, answer: Result<Answer, Failure>, now: Moment, out: &mut Vec<Order>) {
        self.until = None;
        match self.step {
            Step::Search | Step::Idle => {}
            Step::Describe => self.on_description(answer, now, out),
            Step::Status => match answer {
                Ok(answer) if outcome(&answer).is_ok() && !igd::is_connected(&answer.body) => {
                    self.give_up("it is not connected".to_owned(), now, out);
                }
                // Not every gateway knows the action.
                Ok(_) => self.ask(Step::ExternalIp, &Action::external_ip(), now, out),
                Err(failure) => self.give_up(describe(failure), now, out),
            },
            Step::ExternalIp => match answer {
                Ok(answer) => {
                    let is_good = outcome(&answer).is_ok();
                    self.ip = igd::external_ip(&answer.body).filter(|_| is_good);
                    self.add(0, now, out);
                }
                Err(failure) => self.give_up(describe(failure), now, out),
            },
            Step::Add(at) => self.on_added(at, answer, now, out),
            Step::LookUp { is_new } => self.on_looked_up(is_new, answer, now, out),
            Step::Remove(at) => {
                self.items[at].held = None;
                match self.items.iter().rposition(|item| item.held.is_some()) {
                    Some(at) => self.remove(at, Step::Remove(at), now, out),
                    None => self.add(0, now, out),
                }
            }
            Step::Close(at) => {
                self.items[at].held = None;
                self.close(now, out);
            }
        }
    }

    /// Looks at the mapping that was granted, or adds it again.
    pub fn renew(&mut self, now: Moment, out: &mut Vec<Order>) {
        self.progress = Progress::Asking;
        self.conflicts = 0;
        if self.kind == Kind::Pinhole || !self.lease.is_zero() && self.add_again <= now {
            self.add(0, now, out);
        } else {
            self.look_up(false, now, out);
        }
    }

    /// Removes what the gateway may have.
    pub fn close(&mut self, now: Moment, out: &mut Vec<Order>) {
        match self.items.iter().rposition(|item| item.held.is_some()) {
            Some(at) => self.remove(at, Step::Close(at), now, out),
            None => self.step = Step::Idle,
        }
    }

    fn describe(&mut self, now: Moment, out: &mut Vec<Order>) {
        match self.devices.get(self.described) {
            Some(device) => {
                self.described += 1;
                out.push(Order::Request(device.addr, get(device)));
                (self.step, self.until) = (Step::Describe, Some(now + ANSWER_TIME));
            }
            None => self.step = Step::Search,
        }
    }

    fn on_description(&mut self, answer: Result<Answer, Failure>, now: Moment, out: &mut Vec<Order>) {
        let at = self.devices[self.described - 1].clone();
        let why = match answer {
            Ok(Answer { status: 200, body }) => {
                self.services = igd::services(&body, &at);
                self.services.retain(|service| service.kind == self.kind);
                "its description names no service that is of use".to_owned()
            }
            Ok(Answer { status, .. }) => format!("its description is answered with status {status}"),
            Err(failure) => describe(failure),
        };
        if self.services.is_empty() {
            self.why = Some(why);
            return self.describe(now, out);
        }
        match self.kind {
            Kind::Mapping => self.ask(Step::Status, &Action::status(), now, out),
            Kind::Pinhole => self.add(0, now, out),
        }
    }

    /// The service is of no use: the next one.
    fn give_up(&mut self, why: String, now: Moment, out: &mut Vec<Order>) {
        self.why = Some(why);
        if self.may_hold() {
            let why = self.why.take().unwrap_or_default();
            self.progress = Progress::Refused(why);
            return self.close(now, out);
        }
        if self.services.len() > 1 {
            self.services.remove(0);
            return self.ask(Step::Status, &Action::status(), now, out);
        }
        self.services.clear();
        self.describe(now, out);
    }

    /// Asks the service.
    fn ask(&mut self, step: Step, action: &Action, now: Moment, out: &mut Vec<Order>) {
        let Some(Service { name, control, .. }) = self.services.first() else { return };
        out.push(Order::Request(control.addr, post(control, name, action.name, &action.body(name))));
        (self.step, self.until) = (step, Some(now + ANSWER_TIME));
    }

    fn asked(&self, at: usize) -> Asked {
        let Item { protocol, internal, .. } = self.items[at];
        let client = self.network.local;
        Asked { protocol, external: self.external, client, internal, lease: self.asked_lease }
    }

    /// Asks for an item, or finds that all are there.
    fn add(&mut self, at: usize, now: Moment, out: &mut Vec<Order>) {
        if at >= self.items.len() {
            self.lease = self.asked_lease;
            self.add_again = now + self.lease / 2;
            return match self.kind {
                Kind::Mapping => self.look_up(true, now, out),
                Kind::Pinhole => self.granted(),
            };
        }
        let asked = self.asked(at);
        let action = match (self.kind, self.items[at].id) {
            (Kind::Mapping, _) => Action::add(&asked),
            (Kind::Pinhole, None) => Action::open(&asked),
            (Kind::Pinhole, Some(id)) => Action::renew(id, self.asked_lease),
        };
        self.items[at].held = Some(self.external);
        self.ask(Step::Add(at), &action, now, out);
    }

    fn on_added(&mut self, at: usize, answer: Result<Answer, Failure>, now: Moment, out: &mut Vec<Order>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return self.fail(describe(failure)),
        };
        let result = outcome(&answer);
        if self.kind == Kind::Pinhole {
            let id = igd::pinhole(&answer.body).filter(|_| result.is_ok()).or(self.items[at].id);
            return match (result, id, self.items[at].id) {
                (Ok(()), Some(id), _) => {
                    self.items[at].id = Some(id);
                    self.add(at + 1, now, out)
                }
                // It is no longer there: once more, as a new one.
                (Err(_), _, Some(_)) => {
                    self.items[at].id = None;
                    self.add(at, now, out)
                }
                (Ok(()), ..) => self.refuse(at, "it opens a pinhole without a number".to_owned(), now, out),
                (Err(code), ..) => self.refuse(at, igd::reason(code), now, out),
            };
        }
        match result {
            Ok(()) => self.add(at + 1, now, out),
            Err(725 | 402) if !self.asked_lease.is_zero() => {
                self.asked_lease = Duration::ZERO;
                self.add(at, now, out);
            }
            Err(724) if self.external != self.items[at].internal => {
                self.external = self.items[at].internal;
                self.items[at].held = None;
                self.start_over(now, out);
            }
            // The second of them is of some routers that mean the first.
            Err(718 | 501 | 729) if self.conflicts < MAX_CONFLICTS => {
                self.items[at].held = None;
                self.change_port();
                self.start_over(now, out);
            }
            Err(code) => self.refuse(at, igd::reason(code), now, out),
        }
    }

    fn change_port(&mut self) {
        self.conflicts += 1;
        self.external = match self.conflicts {
            1 => self.random_port,
            _ => self.external.checked_add(1).unwrap_or(self.random_port),
        };
        // A gateway that refuses every port may mean the lease.
        if self.conflicts == MAX_CONFLICTS {
            self.asked_lease = Duration::ZERO;
        }
    }

    /// Removes what was added under another port, and adds all again.
    fn start_over(&mut self, now: Moment, out: &mut Vec<Order>) {
        match self.items.iter().rposition(|item| item.held.is_some_and(|held| held != self.external)) {
            Some(at) => self.remove(at, Step::Remove(at), now, out),
            None => self.add(0, now, out),
        }
    }

    /// The gateway does not give this item. Without TCP the rest is of no use.
    fn refuse(&mut self, at: usize, why: String, now: Moment, out: &mut Vec<Order>) {
        (self.items[at].held, self.items[at].refused) = (None, true);
        if at == 0 { self.give_up(why, now, out) } else { self.add(at + 1, now, out) }
    }

    fn remove(&mut self, at: usize, step: Step, now: Moment, out: &mut Vec<Order>) {
        let Item { protocol, held, id, .. } = self.items[at];
        let action = match (self.kind, id) {
            (Kind::Pinhole, Some(id)) => Action::close(id),
            _ => Action::delete(protocol, held.unwrap_or(self.external)),
        };
        self.ask(step, &action, now, out);
    }

    fn look_up(&mut self, is_new: bool, now: Moment, out: &mut Vec<Order>) {
        let action = Action::look_up(self.items[0].protocol, self.external);
        self.ask(Step::LookUp { is_new }, &action, now, out);
    }

    fn on_looked_up(
        &mut self,
        is_new: bool,
        answer: Result<Answer, Failure>,
        now: Moment,
        out: &mut Vec<Order>,
    ) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return self.fail(describe(failure)),
        };
        let entry = outcome(&answer).map(|()| igd::entry(&answer.body));
        let is_ours = |entry: igd::Entry| {
            entry.client == self.network.local && entry.internal == self.items[0].internal
        };
        match entry {
            Ok(Some(entry)) if is_ours(entry) => {
                // It may give less than was asked for without a word.
                if is_new && !entry.lease.is_zero() && entry.lease < self.lease {
                    self.lease = entry.lease;
                    self.add_again = now + self.lease / 2;
                }
                self.granted();
            }
            // It is lost, or another has it.
            Ok(Some(_)) | Err(714) if !is_new => self.add(0, now, out),
            Ok(Some(_)) => self.fail("it maps the port to another host".to_owned()),
            // It cannot tell.
            _ => self.granted(),
        }
    }

    fn granted(&mut self) {
        self.step = Step::Idle;
        let udp = self.items.iter().any(|item| item.protocol == Protocol::Udp && !item.refused);
        self.progress = Progress::Granted(Granted {
            tcp: self.external,
            udp: udp.then_some(self.external),
            ip: self.ip.or(Some(self.network.local).filter(|_| self.kind == Kind::Pinhole)),
            lease: self.lease,
        });
    }

    fn fail(&mut self, why: String) {
        self.step = Step::Idle;
        self.progress = Progress::Refused(why);
    }
}

fn describe(failure: Failure) -> String {
    match failure {
        Failure::Refused => "it breaks off the connection",
        Failure::Slow => "it takes too long to answer",
        Failure::TooLong => "its answer is longer than 64 KiB",
        Failure::Malformed => "its answer is not understood",
    }
    .to_owned()
}
