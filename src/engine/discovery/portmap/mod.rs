//! Port mapping: one thread for the client that carries out what the mappers of both address families decide
//! ([`mapper`](crate::portmap::mapper)).
//!
//! It waits in one place, for the gateway, for an announcement of it, for the next renewal, or for its end.
//! Where there is nothing to renew and nothing to ask, nothing wakes it. Sockets are open only while they are
//! needed: those to the gateway, and one that hears gateways announce that they have restarted.

mod gateway;
mod sockets;

use std::io::Read;
use std::net::{IpAddr, Shutdown, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub(super) use self::gateway::Found;
use self::sockets::GatewaySockets;
use crate::engine::net::egress::Egress;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads::{self, Waited};
use crate::error::{Error, ErrorKind, Result};
use crate::event::PortMapStatus;
use crate::lock::lock;
use crate::portmap::mapper::{Action, Input, PortMapper, Setup};
use crate::portmap::{Ports, pcp};
use crate::random::{Random, entropy};

/// The thread, as the client holds it. It ends when this is dropped.
pub(crate) struct PortMap {
    /// The end of it ends the thread.
    waker: UnixStream,
    thread: Waited,
    status: Arc<Mutex<PortMapStatus>>,
}

/// Finds the gateway of a family (`true` is IPv6); why there is none.
type Find = Box<dyn Fn(bool) -> std::result::Result<Found, String> + Send>;

impl PortMap {
    /// Starts to map the port of peers, and that of the DHT. `changed` is called whenever there is another
    /// state of it.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`].
    pub(crate) fn start(
        egress: Arc<Egress>,
        ports: (u16, Option<u16>),
        clock: Clock,
        random: Random,
        changed: impl Fn(&PortMapStatus) + Send + 'static,
    ) -> Result<PortMap> {
        let by = egress.clone();
        let find = Box::new(move |ipv6| gateway::find(&by, ipv6));
        PortMap::start_with(egress, ports, clock, random, find, changed)
    }

    fn start_with(
        egress: Arc<Egress>,
        (tcp, udp): (u16, Option<u16>),
        clock: Clock,
        mut random: Random,
        find: Find,
        changed: impl Fn(&PortMapStatus) + Send + 'static,
    ) -> Result<PortMap> {
        let pair = UnixStream::pair().map_err(|cause| {
            Error::new(ErrorKind::Resources, "no descriptors for port mapping").because(cause)
        });
        let (waker, woken) = pair?;
        let families = match egress.bind() {
            None => vec![false, true],
            Some(ip) if ip.is_unspecified() => vec![false, ip.is_ipv6()],
            Some(ip) => vec![ip.is_ipv6()],
        };
        let nonce: fn() -> pcp::Nonce = entropy;
        let mut mapper = |ipv6| {
            let setup = Setup { ipv6, ports: Ports { tcp, udp }, nonce };
            Family { ipv6, mapper: PortMapper::new(setup, Random::seeded(random.next_u64())), sockets: None }
        };
        let status = Arc::new(Mutex::new(PortMapStatus::default()));
        let mapping = Mapping {
            egress,
            clock,
            find,
            families: families.into_iter().map(&mut mapper).collect(),
            announcements: None,
            woken,
            is_stopping: false,
            status: status.clone(),
            changed: Box::new(changed),
        };
        let thread = threads::spawn_waited("portmap", move || mapping.run())?;
        Ok(PortMap { waker, thread, status })
    }

    /// The present state.
    pub(crate) fn status(&self) -> PortMapStatus {
        lock(&self.status).clone()
    }

    /// Begins to remove the mappings.
    pub(crate) fn close(&self) {
        let _ = self.waker.shutdown(Shutdown::Both);
    }

    /// Waits until the mappings have been removed, for so long.
    pub(crate) fn stop(self, patience: Duration) {
        self.close();
        self.thread.join_within(patience);
    }
}

/// The mapper of an address family, and what it reaches its gateway by.
struct Family {
    ipv6: bool,
    mapper: PortMapper,
    sockets: Option<GatewaySockets>,
}

/// What the thread has.
struct Mapping {
    egress: Arc<Egress>,
    clock: Clock,
    find: Find,
    families: Vec<Family>,
    /// Hears what gateways announce to all.
    announcements: Option<UdpSocket>,
    woken: UnixStream,
    is_stopping: bool,
    status: Arc<Mutex<PortMapStatus>>,
    changed: Box<dyn Fn(&PortMapStatus) + Send>,
}

impl Mapping {
    fn run(mut self) {
        let group = (pcp::ANNOUNCE_GROUP, pcp::ANNOUNCE_PORT).into();
        let has_v4 = self.families.iter().any(|family| !family.ipv6);
        self.announcements = if has_v4 { self.egress.multicast(group).ok() } else { None };
        loop {
            self.carry_out();
            if self.families.iter().all(|family| family.mapper.is_over()) {
                return;
            }
            self.wait();
            let now = self.clock.now();
            for family in &mut self.families {
                family.mapper.handle(Input::Tick, now);
            }
        }
    }

    /// Does all that the mappers want.
    fn carry_out(&mut self) {
        for at in 0..self.families.len() {
            while let Some(action) = self.families[at].mapper.poll_action() {
                self.act(at, action);
            }
        }
    }

    fn act(&mut self, at: usize, action: Action) {
        let now = self.clock.now();
        let Family { ipv6, mapper, sockets } = &mut self.families[at];
        match action {
            Action::FindNetwork => {
                *sockets = None;
                let opened = (self.find)(*ipv6).and_then(|found| {
                    let network = found.network;
                    let opened = GatewaySockets::open(found, self.egress.clone());
                    opened.map(|sockets| (network, sockets)).map_err(|error| {
                        format!("the gateway {} cannot be reached: {error}", network.gateway)
                    })
                });
                let network = opened.map(|(network, opened)| {
                    *sockets = Some(opened);
                    network
                });
                mapper.handle(Input::Network(network), now);
            }
            Action::ToGateway(packet) => {
                if sockets.as_ref().is_some_and(|sockets| sockets.send(&packet).is_err()) {
                    mapper.handle(Input::GatewayRefused, now);
                }
            }
            Action::Search(to, datagram) => {
                sockets.iter_mut().for_each(|sockets| sockets.search(to, &datagram))
            }
            Action::Request(to, request) => {
                let begun = sockets.as_mut().map(|sockets| sockets.request(to, request));
                if let Some(Err(failure)) = begun {
                    mapper.handle(Input::Answered(Err(failure)), now);
                }
            }
            Action::HangUp => sockets.iter_mut().for_each(GatewaySockets::hang_up),
            Action::EndSearch => sockets.iter_mut().for_each(GatewaySockets::end_search),
            Action::Mapped(mapping) => {
                let is_v6 = *ipv6;
                self.tell(|status| {
                    let place = if is_v6 { &mut status.pinhole } else { &mut status.mapping };
                    *place = Some(mapping);
                    status.failed = None;
                });
            }
            Action::Failed(why) => {
                let is_v6 = *ipv6;
                let is_only = self.families.len() == 1;
                self.tell(|status| {
                    *(if is_v6 { &mut status.pinhole } else { &mut status.mapping }) = None;
                    // That a firewall has no pinhole is of no interest where IPv4 goes through.
                    let has_other = status.mapping.is_some() || status.pinhole.is_some();
                    if (!is_v6 || is_only) && !has_other {
                        status.failed = Some(why);
                    }
                });
            }
        }
    }

    fn tell(&self, change: impl FnOnce(&mut PortMapStatus)) {
        let status = {
            let mut status = lock(&self.status);
            change(&mut status);
            status.clone()
        };
        (self.changed)(&status);
    }

    /// Waits until something is to be done, and takes in what has come.
    fn wait(&mut self) {
        let now = self.clock.now();
        let deadline = self.families.iter().filter_map(|family| family.mapper.deadline()).min();
        let (is_woken, is_announced) = {
            let mut fds = Vec::new();
            if !self.is_stopping {
                fds.push(PollFd::new(&self.woken, PollFlags::IN));
            }
            let announcements = self.announcements.iter().map(|socket| PollFd::new(socket, PollFlags::IN));
            fds.extend(announcements);
            let own = fds.len();
            for sockets in self.families.iter().filter_map(|family| family.sockets.as_ref()) {
                fds.extend(sockets.waits().map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
            }
            // Rounded up, so that the wait never ends early.
            let timeout = deadline.map(|deadline| deadline.since(now) + Duration::from_millis(1));
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            // Interrupted, or no memory just now: whatever it is, the next look tells.
            let _ = poll(&mut fds, timeout.as_ref());
            let is_ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
            (!self.is_stopping && is_ready(0), self.announcements.is_some() && is_ready(own - 1))
        };
        let now = self.clock.now();
        if is_woken && !matches!(self.woken.read(&mut [0; 8]), Ok(1..)) {
            self.is_stopping = true;
            for family in &mut self.families {
                family.mapper.handle(Input::Stop, now);
            }
        }
        if is_announced {
            self.hear();
        }
        for Family { mapper, sockets, .. } in &mut self.families {
            sockets.iter_mut().for_each(|sockets| sockets.receive(mapper, now));
        }
    }

    /// Takes in what gateways announce.
    fn hear(&mut self) {
        let now = self.clock.now();
        let mut packet = [0; 64];
        for _ in 0..sockets::MAX_DATAGRAMS_PER_TURN {
            let received = self.announcements.as_ref().map(|socket| socket.recv_from(&mut packet));
            let Some(Ok((length, from))) = received else { return };
            let from: IpAddr = from.ip().to_canonical();
            for family in &mut self.families {
                if family.sockets.as_ref().is_some_and(|sockets| sockets.gateway() == from) {
                    family.mapper.handle(Input::Announced(&packet[..length]), now);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
