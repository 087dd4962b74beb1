//! A proxy: SOCKS5 with a login, connections and datagrams, and HTTP with CONNECT, on one port. Host names all lead
//! to this machine.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The proxy, for as long as the test runs.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listens: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// What was asked for, as `HOST:PORT`, with `udp ` before it where a datagram was sent there.
    asked: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Proxy {
    /// Listens at this address. SOCKS5 takes the login `me`, `secret`; HTTP takes it as well.
    pub fn start(at: SocketAddr) -> Proxy {
        let listener = TcpListener::bind(at).unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::<Shared>::default());
        let accepting = shared.clone();
        let listens = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = accepting.clone();
                shared.open.lock().unwrap().push(stream.try_clone().unwrap());
                std::thread::spawn(move || _ = serve(stream, &shared));
            }
        });
        Proxy { address, shared, listens: Some(listens) }
    }

    /// What was asked for, as `HOST:PORT`, with `udp ` before it where a datagram was sent there.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Cuts every connection there is.
    pub fn cut(&self) {
        self.shared.open.lock().unwrap().drain(..).for_each(|stream| _ = stream.shutdown(Shutdown::Both));
    }

    /// Dies: listens no more and cuts every connection.
    pub fn kill(mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.listens.take().unwrap().join().unwrap();
        self.cut();
    }
}

fn serve(mut near: TcpStream, shared: &Shared) -> io::Result<()> {
    let is_socks = read::<1>(&mut near)? == [5];
    let target = if is_socks { socks(&mut near)? } else { http(&mut near)? };
    if target == RELAY {
        return relay(near, shared);
    }
    shared.asked.lock().unwrap().push(target.clone());
    let reached = TcpStream::connect(here(&target));
    near.write_all(match (is_socks, reached.is_ok()) {
        (true, true) => b"\x05\0\0\x01\0\0\0\0\0\0",
        (true, false) => b"\x05\x05\0\x01\0\0\0\0\0\0",
        (false, true) => b"HTTP/1.1 200 Connection established\r\n\r\n",
        (false, false) => b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
    })?;
    let mut far = reached?;
    shared.open.lock().unwrap().push(far.try_clone()?);
    let (mut back, mut forth) = (far.try_clone()?, near.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut back, &mut forth);
        let _ = forth.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut near, &mut far);
    far.shutdown(Shutdown::Both)
}

/// What is asked for where datagrams are to be relayed.
const RELAY: &str = "relay";

/// Where a host is: at its address, or here.
fn here(target: &str) -> SocketAddr {
    let (host, port) = target.rsplit_once(':').unwrap();
    let ip = host.trim_matches(['[', ']']).parse().unwrap_or([127, 0, 0, 1].into());
    SocketAddr::new(ip, port.parse().unwrap())
}

/// Relays datagrams until the connection ends.
fn relay(mut near: TcpStream, shared: &Shared) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let port = socket.local_addr()?.port().to_be_bytes();
    // Where the relay is the client has to know: at the proxy.
    near.write_all(&[b"\x05\0\0\x01\0\0\0\0", &port[..]].concat())?;
    let far = UdpSocket::bind("127.0.0.1:0")?;
    let (ours, theirs) = (socket.try_clone()?, far.try_clone()?);
    let client = Arc::new(Mutex::new(None));
    let known = client.clone();
    std::thread::spawn(move || -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = theirs.recv_from(&mut buffer)?;
            let (SocketAddr::V4(from), Some(client)) = (from, *known.lock().unwrap()) else { continue };
            let head = [&[0, 0, 0, 1], &from.ip().octets()[..], &from.port().to_be_bytes()].concat();
            ours.send_to(&[&head, &buffer[..length]].concat(), client)?;
        }
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if length == 0 {
                    return;
                }
                *client.lock().unwrap() = Some(from);
                let mut rest = &buffer[..length];
                let head: [u8; 4] = read(&mut rest).unwrap();
                assert_eq!(head[..3], [0; 3]);
                let target = target(head[3], &mut rest).unwrap();
                shared.asked.lock().unwrap().push(format!("udp {target}"));
                let _ = far.send_to(rest, here(&target));
            }
        });
        let ended = near.read(&mut [0]);
        // Nothing else ends a wait for a datagram.
        let _ = far.send_to(&[], socket.local_addr().unwrap());
        ended.map(drop)
    })
}

fn socks(near: &mut TcpStream) -> io::Result<String> {
    let [count] = read(near)?;
    near.read_exact(&mut vec![0; count.into()])?;
    near.write_all(b"\x05\x02")?;
    assert_eq!(read::<11>(near)?, *b"\x01\x02me\x06secret");
    near.write_all(b"\x01\0")?;
    let [_, command, _, kind] = read(near)?;
    let target = target(kind, near)?;
    Ok(if command == 3 { RELAY.to_owned() } else { target })
}

/// A host of this kind, and a port.
fn target(kind: u8, from: &mut impl Read) -> io::Result<String> {
    let host = match kind {
        1 => IpAddr::from(Ipv4Addr::from(read::<4>(from)?)).to_string(),
        4 => format!("[{}]", Ipv6Addr::from(read::<16>(from)?)),
        _ => {
            let mut name = vec![0; read::<1>(from)?[0].into()];
            from.read_exact(&mut name)?;
            String::from_utf8(name).unwrap()
        }
    };
    Ok(format!("{host}:{}", u16::from_be_bytes(read(from)?)))
}

fn http(near: &mut TcpStream) -> io::Result<String> {
    let mut head = vec![b'C'];
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read::<1>(near)?);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
    Ok(head.split(' ').nth(1).unwrap().to_owned())
}

fn read<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
