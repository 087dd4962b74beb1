//! A proxy for TCP: SOCKS5 with a login and HTTP with CONNECT on one port. Host names all lead to this machine.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The proxy, for as long as the test runs.
pub struct Proxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Listens at this address. SOCKS5 takes the login `me`, `secret`; HTTP takes it as well.
    pub fn start(at: SocketAddr) -> Proxy {
        let listener = TcpListener::bind(at).unwrap();
        let (asked, open) = (Arc::default(), Arc::default());
        let proxy = Proxy { address: listener.local_addr().unwrap(), asked, open };
        let (asked, open) = (proxy.asked.clone(), proxy.open.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, open) = (asked.clone(), open.clone());
                open.lock().unwrap().push(stream.try_clone().unwrap());
                std::thread::spawn(move || _ = serve(stream, &asked, &open));
            }
        });
        proxy
    }

    /// What was asked for, as `HOST:PORT`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Cuts every connection there is.
    pub fn cut(&self) {
        self.open.lock().unwrap().drain(..).for_each(|stream| _ = stream.shutdown(Shutdown::Both));
    }
}

fn serve(mut near: TcpStream, asked: &Mutex<Vec<String>>, open: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let is_socks = read::<1>(&mut near)? == [5];
    let target = if is_socks { socks(&mut near)? } else { http(&mut near)? };
    asked.lock().unwrap().push(target.clone());
    let (host, port) = target.rsplit_once(':').unwrap();
    let host = host.trim_matches(['[', ']']);
    let ip = host.parse().unwrap_or([127, 0, 0, 1].into());
    let reached = TcpStream::connect(SocketAddr::new(ip, port.parse().unwrap()));
    near.write_all(match (is_socks, reached.is_ok()) {
        (true, true) => b"\x05\0\0\x01\0\0\0\0\0\0",
        (true, false) => b"\x05\x05\0\x01\0\0\0\0\0\0",
        (false, true) => b"HTTP/1.1 200 Connection established\r\n\r\n",
        (false, false) => b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
    })?;
    let mut far = reached?;
    open.lock().unwrap().push(far.try_clone()?);
    let (mut back, mut forth) = (far.try_clone()?, near.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut back, &mut forth);
        let _ = forth.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut near, &mut far);
    far.shutdown(Shutdown::Both)
}

fn socks(near: &mut TcpStream) -> io::Result<String> {
    let [count] = read(near)?;
    near.read_exact(&mut vec![0; count.into()])?;
    near.write_all(b"\x05\x02")?;
    assert_eq!(read::<11>(near)?, *b"\x01\x02me\x06secret");
    near.write_all(b"\x01\0")?;
    let [_, command, _, kind] = read(near)?;
    assert_eq!(command, 1);
    let host = match kind {
        1 => std::net::Ipv4Addr::from(read::<4>(near)?).to_string(),
        4 => format!("[{}]", std::net::Ipv6Addr::from(read::<16>(near)?)),
        _ => {
            let mut name = vec![0; read::<1>(near)?[0].into()];
            near.read_exact(&mut name)?;
            String::from_utf8(name).unwrap()
        }
    };
    Ok(format!("{host}:{}", u16::from_be_bytes(read(near)?)))
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

fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
