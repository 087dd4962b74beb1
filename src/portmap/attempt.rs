//! One attempt to get a mapping: PCP, NAT-PMP and UPnP, of which each is asked where those before it fail or are
//! silent for a moment. Which of them wins, and why none did.
//!
//! Invariant: once UPnP has begun to add a mapping, no other way wins: there would be two.

use std::time::Duration;

use super::exchange::{Dialect, Exchange, Sources};
use super::upnp::{Order, Upnp};
use super::{Granted, Network, Ports, Progress};
use crate::event::PortMapMethod;
use crate::moment::Moment;

/// Longest attempt, all ways together.
pub(super) const ATTEMPT_TIME: Duration = Duration::from_secs(10);
/// How long PCP may be silent before NAT-PMP is asked too.
const NAT_PMP_AFTER: Duration = Duration::from_millis(250);
/// How long both may be silent before UPnP is asked too.
const UPNP_AFTER: Duration = Duration::from_millis(500);
/// What is asked for, and of which gateway.
pub(super) struct Asked {
    pub(super) network: Network,
    pub(super) ports: Ports,
    /// The external port to ask for first, and the one after a conflict.
    pub(super) suggested: u16,
    pub(super) random_port: u16,
    pub(super) sources: Sources,
}

/// All ways asked.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) began: Moment,
    pub(super) pcp: Exchange,
    pub(super) nat_pmp: Option<Exchange>,
    pub(super) upnp: Option<Upnp>,
    /// Whether the gateway does not listen at all.
    pub(super) is_refused: bool,
}

/// One way to ask.
#[derive(Debug)]
pub(super) enum Way {
    Exchange(PortMapMethod, Exchange),
    Upnp(Upnp),
}

impl Way {
    pub(super) fn progress(&self) -> &Progress {
        match self {
            Way::Exchange(_, exchange) => exchange.progress(),
            Way::Upnp(upnp) => upnp.progress(),
        }
    }

    pub(super) fn method(&self) -> PortMapMethod {
        match self {
            Way::Exchange(method, _) => *method,
            Way::Upnp(_) => PortMapMethod::Upnp,
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        match self {
            Way::Exchange(_, exchange) => exchange.deadline(),
            Way::Upnp(upnp) => upnp.deadline(),
        }
    }
}

impl Attempt {
    /// Begins with PCP.
    pub(super) fn new(pcp: Exchange, now: Moment) -> Self {
        Attempt { began: now, pcp, nat_pmp: None, upnp: None, is_refused: false }
    }

    /// Asks by each way whose time has come: packets to port 5351 of the gateway, and what UPnP wants.
    pub(super) fn poll(&mut self, asked: &Asked, now: Moment) -> (Vec<Vec<u8>>, Vec<Order>) {
        let Asked { network, ports, suggested, sources, random_port } = *asked;
        let mut packets = self.pcp.poll(now);
        let waited = now - self.began;
        let can_ask = self.pcp.is_ipv4() && !self.is_refused && self.nat_pmp.is_none();
        if can_ask && (self.is_dead(&self.pcp) || waited >= NAT_PMP_AFTER) {
            let local = network.local;
            self.nat_pmp = Some(Exchange::new(Dialect::NatPmp, local, ports, suggested, sources, now));
        }
        packets.extend(self.nat_pmp.iter_mut().flat_map(|one| one.poll(now)));
        if self.upnp.is_none() && (self.are_dead() || waited >= UPNP_AFTER) {
            self.upnp = Some(Upnp::new(network, ports, suggested, random_port, now));
        }
        let mut orders = Vec::new();
        self.upnp.iter_mut().for_each(|upnp| upnp.poll(now, &mut orders));
        (packets, orders)
    }

    /// Whether no way is left, or no time.
    pub(super) fn has_failed(&self, now: Moment) -> bool {
        let has_ended = |upnp: &Upnp| matches!(upnp.progress(), Progress::Silent | Progress::Refused(_));
        self.are_dead() && self.upnp.as_ref().is_some_and(has_ended) || now - self.began >= ATTEMPT_TIME
    }

    /// Whether nothing comes of this exchange.
    fn is_dead(&self, exchange: &Exchange) -> bool {
        self.is_refused || matches!(exchange.progress(), Progress::Silent | Progress::Refused(_))
    }

    /// Whether nothing comes of PCP and NAT-PMP.
    fn are_dead(&self) -> bool {
        let is_nat_pmp_dead = || self.nat_pmp.as_ref().is_some_and(|one| self.is_dead(one));
        self.is_dead(&self.pcp) && (!self.pcp.is_ipv4() || self.is_refused || is_nat_pmp_dead())
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        let nat_pmp = (self.nat_pmp.is_none() && self.pcp.is_ipv4() && !self.is_refused)
            .then(|| self.began + NAT_PMP_AFTER);
        let upnp = self.upnp.is_none().then(|| self.began + UPNP_AFTER);
        let exchanges = [Some(&self.pcp), self.nat_pmp.as_ref()].into_iter().flatten();
        let exchanges = exchanges.filter(|_| !self.is_refused).filter_map(Exchange::deadline);
        let upnp_own = self.upnp.as_ref().and_then(Upnp::deadline);
        exchanges.chain(nat_pmp).chain(upnp).chain(upnp_own).chain([self.began + ATTEMPT_TIME]).min()
    }

    /// The way that has been granted a mapping. UPnP that has begun to add one goes on alone.
    pub(super) fn winner(&self) -> Option<(PortMapMethod, Granted)> {
        let granted = |method, progress: &Progress| match progress {
            Progress::Granted(granted) => Some((method, *granted)),
            _ => None,
        };
        let upnp = self.upnp.as_ref().and_then(|upnp| granted(PortMapMethod::Upnp, upnp.progress()));
        let is_adding =
            self.upnp.as_ref().is_some_and(|upnp| upnp.may_hold() && *upnp.progress() == Progress::Asking);
        let exchanges = || {
            let nat_pmp =
                self.nat_pmp.as_ref().and_then(|one| granted(PortMapMethod::NatPmp, one.progress()));
            granted(PortMapMethod::Pcp, self.pcp.progress()).or(nat_pmp)
        };
        upnp.or_else(|| if is_adding { None } else { exchanges() })
    }

    /// Why it failed, in one line.
    pub(super) fn why(&self) -> String {
        let refused = |way: &str, progress: &Progress| match progress {
            Progress::Refused(why) => Some(format!("the gateway maps no port by {way}: {why}")),
            _ => None,
        };
        let upnp = self.upnp.as_ref().and_then(|upnp| match upnp.progress() {
            Progress::Asking if upnp.may_hold() || upnp.has_been_answered() => {
                Some("the gateway maps no port by UPnP: it takes too long to answer".to_owned())
            }
            progress => refused("UPnP", progress),
        });
        let nat_pmp = || self.nat_pmp.as_ref().and_then(|one| refused("NAT-PMP", one.progress()));
        upnp.or_else(nat_pmp).or_else(|| refused("PCP", self.pcp.progress())).unwrap_or_else(|| {
            "the gateway answers neither PCP, NAT-PMP nor UPnP; if it can map ports, switch that on there"
                .to_owned()
        })
    }
}
