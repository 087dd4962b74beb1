//! Makes all sockets of the client, so that options that hold for all of them miss none. A test finds any other file
//! that makes a socket.
//!
//! Never decides which hosts to connect to, and waits for nothing but a connection, up to a deadline.
//!
//! Invariant: a socket has all options before it is bound, connected or listens: the first packet has them.

#[cfg(feature = "daemon")]
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
#[cfg(feature = "daemon")]
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
#[cfg(feature = "daemon")]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(feature = "daemon")]
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::proxy_route::{ProxyRoute, ReachProxy};
use super::stand_ins::StandIns;
use super::{device, names};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::lock::lock;
use crate::proxy::Proxy;
use crate::web_proxies::WebProxies;

/// The error for a protocol that needs a socket of its own.
pub(crate) const NOT_CARRIED: &str = "the proxy carries TCP connections alone";

/// What something is sent for: each may have a proxy of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To find peers and to be found, and to exchange data with them: everything but the other.
    Peers,
    /// To ask trackers and web servers.
    Trackers,
}

/// What all sockets of a client have in common.
#[derive(Debug, Default)]
pub(crate) struct Egress {
    /// The local address of every socket.
    bind: Option<IpAddr>,
    /// The network device that every socket is bound to.
    device: Option<String>,
    /// Differentiated services code point of every packet.
    #[cfg_attr(not(feature = "sys"), expect(dead_code))]
    dscp: u8,
    /// The TCP congestion control.
    #[cfg_attr(not(feature = "sys"), expect(dead_code))]
    congestion: Option<String>,
    /// The event that says why nothing can be sent at present, if that is so.
    outage: Mutex<Option<EventKind>>,
    /// What carries everything that is sent for peers.
    peers: Option<Arc<ProxyRoute>>,
    /// What carries everything that is sent for trackers.
    trackers: Option<Arc<ProxyRoute>>,
    /// Else what carries HTTP, and HTTPS, and to which hosts they do not.
    web: (Option<Arc<ProxyRoute>>, Option<Arc<ProxyRoute>>, WebProxies),
    /// The names that addresses stand for.
    stand_ins: StandIns,
}

impl Egress {
    /// The options in the settings of a client.
    pub(crate) fn of(config: &Config) -> Arc<Egress> {
        Arc::new_cyclic(|egress: &Weak<Egress>| {
            // The same proxy is one way, whatever it is for: it has one relay, and is lost once.
            let mut routes: Vec<Arc<ProxyRoute>> = Vec::new();
            let mut route = |proxy: Option<&Proxy>| {
                let proxy = proxy?;
                if let Some(route) = routes.iter().find(|route| route.proxy() == proxy) {
                    return Some(route.clone());
                }
                routes.push(ProxyRoute::new(proxy.clone(), egress.clone()));
                routes.last().cloned()
            };
            let web = Some(&config.web_proxies).filter(|_| config.proxy_trackers.is_none());
            Egress {
                bind: config.bind,
                device: config.device.clone(),
                dscp: config.dscp,
                congestion: config.congestion.clone(),
                outage: Mutex::default(),
                peers: route(config.proxy_peers.as_ref()),
                trackers: route(config.proxy_trackers.as_ref()),
                web: (
                    route(web.and_then(WebProxies::http)),
                    route(web.and_then(WebProxies::https)),
                    web.cloned().unwrap_or_default(),
                ),
                stand_ins: StandIns::default(),
            }
        })
    }

    /// What carries everything that is sent for this purpose, if anything was chosen for that.
    pub(crate) fn proxy(&self, purpose: Purpose) -> Option<&Arc<ProxyRoute>> {
        match purpose {
            Purpose::Peers => self.peers.as_ref(),
            Purpose::Trackers => self.trackers.as_ref(),
        }
    }

    /// What carries a request over HTTP, or over HTTPS, to this host, if anything does.
    pub(crate) fn proxy_of_request(&self, is_https: bool, host: &str) -> Option<&Arc<ProxyRoute>> {
        let (http, https, except) = &self.web;
        let web = if is_https { https } else { http };
        self.trackers.as_ref().or(web.as_ref().filter(|_| !except.excepts(host)))
    }

    /// The proxies in use, each once.
    pub(crate) fn proxies(&self) -> Vec<&Arc<ProxyRoute>> {
        let mut routes: Vec<&Arc<ProxyRoute>> = Vec::new();
        for route in [&self.peers, &self.trackers, &self.web.0, &self.web.1].into_iter().flatten() {
            if !routes.iter().any(|known| Arc::ptr_eq(known, route)) {
                routes.push(route);
            }
        }
        routes
    }

    /// Ends the relays of the proxies; others are asked for where they are needed.
    pub(crate) fn cut_relays(&self) {
        self.proxies().iter().filter_map(|route| route.relay()).for_each(|relay| relay.cut());
    }

    /// Ends the relays of the proxies for good.
    pub(crate) fn close_relays(&self) {
        self.proxies().iter().filter_map(|route| route.relay()).for_each(|relay| relay.close());
    }

    /// Connects to a peer within `timeout`, through the proxy where there is one.
    ///
    /// # Errors
    /// Whatever the system or the proxy says; [`io::ErrorKind::TimedOut`] when the time is over.
    pub(crate) fn connect(&self, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        match &self.peers {
            Some(route) => route.connect((&self.name_of(to.ip()), to.port()), timeout),
            None => self.dial(to, timeout),
        }
    }

    /// What the proxy of peers is told of an address: the name that it stands for, if it stands for one.
    pub(crate) fn name_of(&self, ip: IpAddr) -> String {
        self.stand_ins.name_of(ip).unwrap_or_else(|| ip.to_canonical().to_string())
    }

    /// What a proxy cannot carry has no socket.
    fn refuse_behind_proxy(&self, purpose: Purpose) -> io::Result<()> {
        match self.proxy(purpose) {
            Some(_) => Err(io::Error::new(io::ErrorKind::Unsupported, NOT_CARRIED)),
            None => Ok(()),
        }
    }

    /// The network device that was chosen.
    pub(crate) fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// The event that says why nothing can be sent at present, if that is so.
    pub(crate) fn outage(&self) -> Option<EventKind> {
        lock(&self.outage).clone()
    }

    /// Sets the event that says why nothing can be sent, or clears it.
    pub(crate) fn set_outage(&self, outage: Option<EventKind>) {
        *lock(&self.outage) = outage;
    }

    /// The addresses of a tracker or a web server, as [`names::look_up`]. While the chosen device is down nothing
    /// is asked: the system's resolver cannot be told by which device to ask, and would go another way.
    ///
    /// # Errors
    /// As [`names::look_up`], [`ErrorKind::Network`] while the device is down, and [`ErrorKind::Dns`] for every name
    /// where a proxy is used.
    pub(crate) fn look_up(&self, host: &str, port: u16, patience: Duration) -> Result<Vec<SocketAddr>> {
        if self.trackers.is_some() && host.parse::<IpAddr>().is_err() {
            return Err(Error::new(ErrorKind::Dns, "names are not looked up where a proxy is used"));
        }
        self.look_up_directly(host, port, patience)
    }

    /// The addresses of a peer or a node of the DHT, as [`look_up`](Egress::look_up). Behind a proxy, which looks
    /// the name up, it is one that stands for the name.
    ///
    /// # Errors
    /// As [`look_up`](Egress::look_up); [`ErrorKind::Dns`] where too many names are known already.
    pub(crate) fn look_up_peer(&self, host: &str, port: u16, patience: Duration) -> Result<Vec<SocketAddr>> {
        if self.peers.is_none() || host.parse::<IpAddr>().is_ok() {
            return self.look_up_directly(host, port, patience);
        }
        let stands = self.stand_ins.of(host);
        stands
            .map(|ip| vec![SocketAddr::new(ip, port)])
            .ok_or_else(|| Error::new(ErrorKind::Dns, "too many host names for the proxy to look up"))
    }

    /// The same for a host that is not reached through the proxy: the proxy itself.
    fn look_up_directly(&self, host: &str, port: u16, patience: Duration) -> Result<Vec<SocketAddr>> {
        if host.parse::<IpAddr>().is_err()
            && let Some(why) = self.device_trouble()
        {
            return Err(Error::new(ErrorKind::Network, why));
        }
        names::look_up(host, port, patience)
    }

    /// The address of this machine that was chosen.
    pub(crate) fn bind(&self) -> Option<IpAddr> {
        self.bind
    }

    /// Whether addresses of this one's family can be reached from the address that was chosen.
    pub(crate) fn has_family_of(&self, address: &SocketAddr) -> bool {
        self.bind.is_none_or(|bind| bind.is_ipv6() == address.is_ipv6())
    }

    /// Listens at the chosen address, or at every one: IPv6 and IPv4 in one socket where the system has both.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn listen(&self, port: u16) -> io::Result<TcpListener> {
        match self.bind {
            Some(ip) => self.listen_at((ip, port).into()),
            None => self
                .listen_at((Ipv6Addr::UNSPECIFIED, port).into())
                .or_else(|_| self.listen_at((Ipv4Addr::UNSPECIFIED, port).into())),
        }
    }

    /// Whether a device was chosen that is not there.
    pub(crate) fn is_device_absent(&self) -> bool {
        self.device().is_some_and(|name| matches!(device::look(name), Ok(None)))
    }

    /// Why the chosen device cannot be used at present.
    pub(crate) fn device_trouble(&self) -> Option<String> {
        let name = self.device()?;
        // If the kernel does not answer, the sockets are bound to the device all the same.
        trouble(name, device::look(name).ok()?)
    }

    /// A socket to receive and send datagrams with at this port, at the chosen address or else at `any` of a
    /// family.
    ///
    /// # Errors
    /// Whatever the system says; [`io::ErrorKind::Unsupported`] where a proxy is used for this purpose.
    pub(crate) fn udp(&self, purpose: Purpose, any: IpAddr, port: u16) -> io::Result<UdpSocket> {
        self.refuse_behind_proxy(purpose)?;
        self.open_udp((self.bind.unwrap_or(any), port).into())
    }

    /// As [`Egress::udp`] for peers, at exactly this address, whatever was chosen.
    #[cfg(feature = "sys")]
    pub(crate) fn udp_at(&self, at: SocketAddr) -> io::Result<UdpSocket> {
        self.refuse_behind_proxy(Purpose::Peers)?;
        self.open_udp(at)
    }
}

impl ReachProxy for Egress {
    fn reach(&self, host: &str, port: u16, end: Instant) -> io::Result<TcpStream> {
        let left = || end.saturating_duration_since(Instant::now());
        let missing = |why: String| io::Error::new(io::ErrorKind::NotFound, why);
        let found = self.look_up_directly(host, port, left()).map_err(|error| missing(error.to_string()))?;
        let found: Vec<SocketAddr> = found.into_iter().filter(|at| self.has_family_of(at)).collect();
        let mut failed = missing("the proxy has no address of the family in use".to_owned());
        for (&address, rest) in found.iter().zip((1..=found.len() as u32).rev()) {
            match self.dial(address, (left() / rest).max(Duration::from_millis(1))) {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn udp_to_relay(&self, control: &TcpStream, relay: SocketAddr) -> io::Result<UdpSocket> {
        keep_alive(control);
        let any = if relay.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = self.open_udp((self.bind.unwrap_or(any), 0).into())?;
        socket.connect(relay)?;
        Ok(socket)
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.close_relays();
    }
}

/// Listens for the requests of a server at an address. What it sends is answers alone, so that no option of
/// [`Egress`] counts.
///
/// # Errors
/// Whatever the system says.
#[cfg(feature = "daemon")]
pub(crate) fn listen_for_requests(at: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(at)
}

/// Listens for the requests of a server at a path, with this mode. A socket that another process left there is
/// replaced.
///
/// # Errors
/// Whatever the system says; [`io::ErrorKind::AddrInUse`] where another process listens or something else is there.
#[cfg(feature = "daemon")]
pub(crate) fn listen_at_path(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if let Ok(found) = path.symlink_metadata() {
        // Connecting is the way to learn whether a process listens.
        if !found.file_type().is_socket() || UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
    }
    // It gets its mode where no other can reach it, and then its name.
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let hidden = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    DirBuilder::new().mode(0o700).create(&hidden)?;
    let made = hidden.join("socket");
    let listening = (|| {
        let listener = UnixListener::bind(&made)?;
        fs::set_permissions(&made, Permissions::from_mode(mode))?;
        fs::rename(&made, path)?;
        Ok(listener)
    })();
    let _ = fs::remove_file(&made);
    let _ = fs::remove_dir(&hidden);
    listening
}

/// Why a device in this state cannot be used.
pub(crate) fn trouble(name: &str, link: Option<device::Link>) -> Option<String> {
    match link {
        None => Some(format!("there is no network device {name}")),
        Some(link) => (!link.is_up).then(|| format!("the network device {name} is down")),
    }
}

#[cfg(feature = "sys")]
mod sys {
    //! Socket options that std does not have.

    use super::*;
    use std::os::fd::OwnedFd;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

    /// Connections that may wait to be accepted; as std has it.
    const BACKLOG: i32 = 128;

    impl Egress {
        /// Connects within `timeout`, and through no proxy: for what has none.
        ///
        /// # Errors
        /// Whatever the system says; [`io::ErrorKind::TimedOut`] when the time is over, and
        /// [`io::ErrorKind::AddrNotAvailable`] where the chosen address is of the other family.
        pub(crate) fn dial(&self, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
            let socket = self.socket(to, SocketType::STREAM)?;
            if let Some(bind) = self.bind.filter(|bind| !bind.is_unspecified()) {
                if bind.is_ipv4() != to.is_ipv4() {
                    return Err(io::ErrorKind::AddrNotAvailable.into());
                }
                net::bind(&socket, &SocketAddr::new(bind, 0))?;
            }
            let stream = TcpStream::from(socket);
            stream.set_nonblocking(true)?;
            match net::connect(&stream, &to) {
                Err(Errno::INPROGRESS) => connected_within(&stream, timeout)?,
                done => done?,
            }
            stream.set_nonblocking(false)?;
            Ok(stream)
        }

        /// Begins to connect from exactly this address, whatever was chosen. It does not wait: the first bytes
        /// can be written when the connection is there.
        #[cfg(feature = "portmap")]
        pub(crate) fn begin_connect(&self, from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
            self.refuse_behind_proxy(Purpose::Peers)?;
            let socket = self.socket(to, SocketType::STREAM)?;
            net::bind(&socket, &from)?;
            let stream = TcpStream::from(socket);
            stream.set_nonblocking(true)?;
            match net::connect(&stream, &to) {
                Err(Errno::INPROGRESS) => Ok(stream),
                done => Ok(done.map(|()| stream)?),
            }
        }

        pub(super) fn listen_at(&self, at: SocketAddr) -> io::Result<TcpListener> {
            self.refuse_behind_proxy(Purpose::Peers)?;
            let socket = self.socket(at, SocketType::STREAM)?;
            // As std does: a port is free again at once when its last user has gone.
            sockopt::set_socket_reuseaddr(&socket, true)?;
            self.allow_absent_address(&socket, at)?;
            net::bind(&socket, &at)?;
            net::listen(&socket, BACKLOG)?;
            Ok(TcpListener::from(socket))
        }

        pub(super) fn open_udp(&self, at: SocketAddr) -> io::Result<UdpSocket> {
            let socket = self.socket(at, SocketType::DGRAM)?;
            self.allow_absent_address(&socket, at)?;
            net::bind(&socket, &at)?;
            Ok(UdpSocket::from(socket))
        }

        /// A socket that receives what is sent to this group, beside other programs that do. It does not wait.
        pub(crate) fn multicast(&self, group: SocketAddr) -> io::Result<UdpSocket> {
            self.refuse_behind_proxy(Purpose::Peers)?;
            let socket = self.socket(group, SocketType::DGRAM)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            if group.is_ipv6() {
                sockopt::set_ipv6_v6only(&socket, true)?;
            }
            net::bind(&socket, &group)?;
            let socket = UdpSocket::from(socket);
            socket.set_nonblocking(true)?;
            Ok(socket)
        }

        /// A socket of the family of this address that has every option.
        fn socket(&self, of: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
            let family = if of.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
            if let Some(device) = &self.device {
                let bound = socket2::SockRef::from(&socket).bind_device(Some(device.as_bytes()));
                bound.map_err(|error| explained(device, error))?;
            }
            if self.dscp != 0 {
                // Two bits below it are for congestion notification. A socket for IPv6 may carry IPv4 as well. It
                // is a wish: where the kernel refuses packets go as all others.
                let tos = self.dscp << 2;
                let _ = sockopt::set_ip_tos(&socket, tos);
                if !of.is_ipv4() {
                    let _ = sockopt::set_ipv6_tclass(&socket, tos.into());
                }
            }
            if let Some(name) = self.congestion.as_ref().filter(|_| kind == SocketType::STREAM) {
                sockopt::set_tcp_congestion(&socket, name)
                    .map_err(|error| unknown_congestion(name, error))?;
            }
            Ok(socket)
        }

        /// A device that was chosen may get its address later, and lose it at times.
        fn allow_absent_address(&self, socket: &OwnedFd, at: SocketAddr) -> io::Result<()> {
            match at {
                _ if self.device.is_none() => Ok(()),
                SocketAddr::V4(_) => Ok(sockopt::set_ip_freebind(socket, true)?),
                SocketAddr::V6(_) => Ok(sockopt::set_ipv6_freebind(socket, true)?),
            }
        }
    }

    /// Why a connection cannot have this congestion control.
    fn unknown_congestion(name: &str, errno: Errno) -> io::Error {
        let why = match errno {
            Errno::NOENT => "the kernel has no TCP congestion control of this name",
            Errno::PERM => "the kernel allows this TCP congestion control to root alone",
            _ => "the kernel refuses this TCP congestion control",
        };
        let known = "/proc/sys/net/ipv4/tcp_allowed_congestion_control has those that can be used";
        io::Error::new(io::ErrorKind::InvalidInput, format!("{name}: {why}; {known}"))
    }

    /// Why a socket cannot be bound to this device.
    fn explained(device: &str, error: io::Error) -> io::Error {
        let why = match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NODEV) => trouble(device, None).unwrap_or_default(),
            Some(Errno::PERM) => {
                format!(
                    "binding to the network device {device} needs Linux 5.7 or the capability CAP_NET_RAW"
                )
            }
            _ => return error,
        };
        io::Error::new(io::ErrorKind::InvalidInput, why)
    }

    /// How long a proxy is silent before the kernel asks whether it is there, how often it asks then, and how many
    /// times: a proxy whose machine is gone says nothing.
    const SILENCE: Duration = Duration::from_secs(60);
    const PROBE_INTERVAL: Duration = Duration::from_secs(15);
    const PROBES: u32 = 4;

    /// Finds out that the other end is gone although nothing is sent. It is a wish.
    pub(super) fn keep_alive(stream: &TcpStream) {
        let _ = sockopt::set_socket_keepalive(stream, true);
        let _ = sockopt::set_tcp_keepidle(stream, SILENCE);
        let _ = sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL);
        let _ = sockopt::set_tcp_keepcnt(stream, PROBES);
    }

    /// Waits until a connection attempt has succeeded or failed.
    fn connected_within(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            let mut fds = [PollFd::new(stream, PollFlags::OUT)];
            match poll(&mut fds, Some(&left)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(sockopt::socket_error(stream)??),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(feature = "sys")]
use sys::keep_alive;

/// The kernel cannot be asked without the feature `sys`.
#[cfg(not(feature = "sys"))]
fn keep_alive(_: &TcpStream) {}

#[cfg(not(feature = "sys"))]
impl Egress {
    /// Connects within `timeout`, and through no proxy: for what has none. From whichever address the system takes.
    ///
    /// # Errors
    /// Whatever the system says; [`io::ErrorKind::TimedOut`] when the time is over.
    pub(crate) fn dial(&self, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(&to, timeout)
    }

    fn listen_at(&self, at: SocketAddr) -> io::Result<TcpListener> {
        self.refuse_behind_proxy(Purpose::Peers)?;
        TcpListener::bind(at)
    }

    fn open_udp(&self, at: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sockets that leave from this address.
    fn from(bind: &str) -> Arc<Egress> {
        Egress::of(&Config::default().bind(Some(bind.parse().unwrap())))
    }

    #[test]
    fn a_socket_comes_from_the_address_that_was_chosen() {
        let egress = from("127.0.0.3");
        let listener = egress.listen(0).unwrap();
        let at = listener.local_addr().unwrap();
        assert_eq!(at.ip(), egress.bind().unwrap());
        let udp = egress.udp(Purpose::Trackers, Ipv4Addr::UNSPECIFIED.into(), 0).unwrap();
        assert_eq!(udp.local_addr().unwrap().ip(), at.ip());
        let stream = egress.connect(at, Duration::from_secs(5)).unwrap();
        if cfg!(feature = "sys") {
            assert_eq!(stream.local_addr().unwrap().ip(), at.ip());
        }
        drop(listener);
        let refused = egress.connect(at, Duration::from_secs(5)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[cfg(feature = "sys")]
    #[test]
    fn a_chosen_address_of_the_other_family_is_an_error() {
        let failed = from("::1").connect("127.0.0.1:1".parse().unwrap(), Duration::from_secs(1)).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[cfg(feature = "sys")]
    #[test]
    fn every_socket_has_its_traffic_class_before_it_sends() {
        use rustix::net::sockopt::{ip_tos, ipv6_tclass};
        let egress = Egress::of(&Config::default().dscp(46));
        for ip in ["127.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap()) {
            let class = |socket: &dyn std::os::fd::AsFd| match ip {
                IpAddr::V4(_) => u32::from(ip_tos(socket.as_fd()).unwrap()),
                IpAddr::V6(_) => ipv6_tclass(socket.as_fd()).unwrap(),
            };
            let Ok(listener) = egress.listen_at((ip, 0).into()) else { continue };
            let at = listener.local_addr().unwrap();
            let stream = egress.connect(at, Duration::from_secs(5)).unwrap();
            let accepted = listener.accept().unwrap().0;
            let udp = egress.udp(Purpose::Peers, ip, 0).unwrap();
            assert_eq!([class(&listener), class(&stream), class(&accepted), class(&udp)], [46 << 2; 4]);
        }
        // IPv4 that comes in at a socket for both.
        let both = egress.listen(0).unwrap();
        let at = (Ipv4Addr::LOCALHOST, both.local_addr().unwrap().port()).into();
        let _stream = Egress::default().connect(at, Duration::from_secs(5)).unwrap();
        assert_eq!(ip_tos(both.accept().unwrap().0).unwrap(), 46 << 2);
    }

    #[cfg(feature = "sys")]
    #[test]
    fn a_congestion_control_or_a_device_that_is_not_there_is_told_in_words() {
        let egress = Egress::of(&Config::default().congestion("no-such".to_owned()));
        let error = egress.listen(0).unwrap_err();
        assert!(
            error.to_string().starts_with("no-such: the kernel has no TCP congestion control"),
            "{error}"
        );
        assert!(egress.udp(Purpose::Trackers, Ipv4Addr::LOCALHOST.into(), 0).is_ok(), "UDP has none");
        let egress = Egress::of(&Config::default().device("no-such".to_owned()));
        assert!(egress.is_device_absent());
        let error = egress.connect("127.0.0.1:1".parse().unwrap(), Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.to_string(), "there is no network device no-such");
        let error = egress.look_up("localhost", 1, Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.to_string(), "there is no network device no-such");
        let known = rustix::net::sockopt::tcp_congestion(Egress::default().listen(0).unwrap()).unwrap();
        let egress = Egress::of(&Config::default().device("lo".to_owned()).congestion(known));
        let at = egress.listen(0).unwrap().local_addr().unwrap();
        assert!(egress.udp(Purpose::Trackers, Ipv4Addr::UNSPECIFIED.into(), at.port()).is_ok());
    }

    #[test]
    fn a_connection_that_is_not_accepted_has_an_end() {
        // A listener whose backlog is full does not answer any more.
        let listener = from("127.0.0.1").listen(0).unwrap();
        let at = listener.local_addr().unwrap();
        let brief = Duration::from_millis(50);
        let mut kept = Vec::new();
        let failed = loop {
            assert!(kept.len() < 2000, "the backlog has no end");
            match Egress::default().connect(at, brief) {
                Ok(stream) => kept.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    }
}
