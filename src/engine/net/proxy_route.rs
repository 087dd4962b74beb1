//! Connections and datagrams through a proxy: it is dialled and asked for the host, or for a relay, all within one
//! deadline.
//!
//! Nothing goes another way, whatever the proxy does. That it cannot be used is told once, and that it can again;
//! so is that it relays no datagrams.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::bounded::Bounded;
use super::relay::{Association, Relay};
use super::told_ports::is_near;
use crate::event::EventKind;
use crate::lock::lock;
use crate::proxy::{Proxy, ProxyKind};
use crate::transport::proxied::{self, Login};

/// How long a proxy may take to give us a relay.
const RELAY_TIMEOUT: Duration = Duration::from_secs(20);

/// Takes the events.
type Tell = Box<dyn Fn(&EventKind) + Send + Sync>;

/// What reaches a proxy itself.
pub(super) trait ReachProxy: Send + Sync {
    /// A connection to this host and port, by `end`.
    ///
    /// # Errors
    /// Why there is none.
    fn reach(&self, host: &str, port: u16, end: Instant) -> io::Result<TcpStream>;

    /// A socket that is connected to the relay of a proxy, and to nothing else; what it was asked for on is `control`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn udp_to_relay(&self, control: &TcpStream, relay: SocketAddr) -> io::Result<UdpSocket>;
}

/// The way through a proxy.
pub(crate) struct ProxyRoute {
    proxy: Proxy,
    way: Weak<dyn ReachProxy>,
    /// Why it cannot be used, if that is so: the event that tells it.
    trouble: Mutex<Option<EventKind>>,
    tell: OnceLock<Tell>,
    /// Called whenever there is a relay again.
    on_relay: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// What sends datagrams, where the proxy's kind has such a thing.
    relay: Option<Arc<Relay>>,
}

impl fmt::Debug for ProxyRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proxy.fmt(f)
    }
}

impl ProxyRoute {
    /// The way through this proxy, which is reached by `way`.
    pub(super) fn new(proxy: Proxy, way: Weak<dyn ReachProxy>) -> Arc<ProxyRoute> {
        Arc::new_cyclic(|route: &Weak<ProxyRoute>| {
            let route = route.clone();
            let ask = move || route.upgrade().ok_or(ErrorKind::NotConnected)?.associate();
            ProxyRoute {
                relay: (proxy.kind == ProxyKind::Socks5).then(|| Relay::new(ask)),
                proxy,
                way,
                trouble: Mutex::default(),
                tell: OnceLock::new(),
                on_relay: OnceLock::new(),
            }
        })
    }

    /// Which proxy it is.
    pub(crate) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// What sends datagrams, where the proxy's kind has such a thing.
    pub(crate) fn relay(&self) -> Option<&Arc<Relay>> {
        self.relay.as_ref()
    }

    /// Calls this from now on whenever there is a relay again.
    pub(crate) fn on_relay(&self, call: impl Fn() + Send + Sync + 'static) {
        // The client calls this once.
        let _ = self.on_relay.set(Box::new(call));
    }

    /// Sends events when the proxy fails and when it works again.
    pub(crate) fn tell_to(&self, tell: impl Fn(&EventKind) + Send + Sync + 'static) {
        // The client calls this once.
        let _ = self.tell.set(Box::new(tell));
    }

    /// Why it cannot be used at present, if that is so, and that it relays nothing.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = EventKind> {
        let refusal = self.relay.as_ref().and_then(|relay| relay.refusal());
        lock(&self.trouble).clone().into_iter().chain(refusal.map(|why| self.no_relay(&why)))
    }

    fn no_relay(&self, why: &str) -> EventKind {
        let what = format!("{}: {why}: what needs it is off, the DHT and UDP trackers", self.proxy);
        EventKind::Note { what }
    }

    /// Asks for a relay. Where it is unspecified, or cannot be reached from here although the proxy is, it is at the
    /// address of the proxy.
    fn associate(&self) -> io::Result<Association> {
        let asked = self.ask(RELAY_TIMEOUT, |stream, login| proxied::socks5_associate(stream, login));
        let (control, (said, port)) = asked.inspect_err(|error| {
            if error.kind() == ErrorKind::Unsupported {
                self.tell(&self.no_relay(&error.to_string()));
            }
        })?;
        let proxy = control.peer_addr()?.ip().to_canonical();
        let relay = SocketAddr::new(relay_address(proxy, said), port);
        let socket = self.way.upgrade().ok_or(ErrorKind::NotConnected)?.udp_to_relay(&control, relay)?;
        self.on_relay.get().into_iter().for_each(|call| call());
        Ok((control, socket))
    }

    /// A connection to a host, a name that the proxy looks up or an address, within `timeout`.
    ///
    /// # Errors
    /// Why the proxy cannot be reached, and those of [`proxied`].
    pub(crate) fn connect(&self, (host, port): (&str, u16), timeout: Duration) -> io::Result<TcpStream> {
        let asked = self.ask(timeout, |stream, login| match self.proxy.kind {
            ProxyKind::Socks5 => proxied::socks5(stream, host, port, login),
            ProxyKind::Http => proxied::http_connect(stream, host, port, login),
        });
        asked.map(|(stream, ())| stream)
    }

    /// Dials the proxy and asks it for something.
    fn ask<T>(
        &self,
        timeout: Duration,
        ask: impl FnOnce(&mut Bounded<&TcpStream>, Login<'_>) -> io::Result<T>,
    ) -> io::Result<(TcpStream, T)> {
        let end = Instant::now() + timeout;
        let way = self.way.upgrade().ok_or(ErrorKind::NotConnected)?;
        let reached = way.reach(&self.proxy.host, self.proxy.port, end);
        let stream = reached.inspect_err(|error| self.note(Some(error.to_string())))?;
        let login = self.proxy.login.as_ref().map(|(name, password)| (&**name, &**password));
        let asked = ask(&mut Bounded::new(&stream, end), login);
        match &asked {
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidData) => {
                self.note(Some(error.to_string()));
            }
            // A host that it cannot reach, and what it cannot do, say nothing against the proxy.
            Err(error) if !matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::Unsupported) => {}
            _ => self.note(None),
        }
        let answer = asked?;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok((stream, answer))
    }

    /// Notes that the proxy fails, or works again.
    fn note(&self, why: Option<String>) {
        let mut trouble = lock(&self.trouble);
        let proxy = self.proxy.to_string();
        let event = match (why, trouble.is_some()) {
            (Some(why), false) => {
                let lost = EventKind::ProxyLost { proxy, why };
                *trouble = Some(lost.clone());
                lost
            }
            (None, true) => {
                *trouble = None;
                EventKind::ProxyFound { proxy }
            }
            _ => return,
        };
        drop(trouble);
        self.tell(&event);
    }

    fn tell(&self, event: &EventKind) {
        self.tell.get().into_iter().for_each(|tell| tell(event));
    }
}

/// Where the relay of a proxy is that says it is at `said`. A proxy behind a gateway may know itself by an address
/// that no one outside can reach, and that may be another host here.
fn relay_address(proxy: IpAddr, said: Option<IpAddr>) -> IpAddr {
    let is_here = |ip: IpAddr| ip.is_loopback() && !proxy.is_loopback() || is_near(ip) && !is_near(proxy);
    let is_host = |ip: &IpAddr| {
        !ip.is_unspecified() && !ip.is_multicast() && *ip != IpAddr::V4(Ipv4Addr::BROADCAST) && !is_here(*ip)
    };
    said.map(|ip| ip.to_canonical()).filter(is_host).unwrap_or(proxy)
}

#[cfg(test)]
mod tests;
