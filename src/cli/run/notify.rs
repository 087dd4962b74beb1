//! Tells the supervisor how the program stands, as systemd wants it: a datagram to the socket that `NOTIFY_SOCKET`
//! names. Without a supervisor nothing is told.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It answers.
    Ready,
    /// Files are being read again; `Ready` follows.
    Reloading,
    /// It ends.
    Stopping,
    /// It is alive.
    Alive,
}

/// Tells the supervisor, if there is one. Whether it hears is its own business.
pub fn tell(state: State) {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = tell_at(&socket, state);
    }
}

/// How often the supervisor wants to hear that the program is alive: twice in its interval.
pub fn watchdog() -> Option<Duration> {
    let var = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = var("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
    var("WATCHDOG_USEC").filter(|time| is_ours && *time > 0).map(|time| Duration::from_micros(time / 2))
}

fn tell_at(socket: &OsStr, state: State) -> std::io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let message = match state {
        State::Ready => "READY=1".to_owned(),
        State::Reloading => {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1_000)
        }
        State::Stopping => "STOPPING=1".to_owned(),
        State::Alive => "WATCHDOG=1".to_owned(),
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisor_hears_it_at_a_path_and_at_an_abstract_name() {
        let path = std::env::temp_dir().join(format!("bitwren-notify-{}", std::process::id()));
        let name = format!("bitwren-notify-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (supervisor, socket) in [
            (UnixDatagram::bind(&path).unwrap(), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}").into()),
        ] {
            let mut heard = [0; 100];
            tell_at(&socket, State::Ready).unwrap();
            let len = supervisor.recv(&mut heard).unwrap();
            assert_eq!(&heard[..len], b"READY=1");
            tell_at(&socket, State::Reloading).unwrap();
            let len = supervisor.recv(&mut heard).unwrap();
            assert!(heard[..len].starts_with(b"RELOADING=1\nMONOTONIC_USEC="));
        }
        std::fs::remove_file(path).unwrap();
        assert!(tell_at(OsStr::new("/nonexistent/socket"), State::Ready).is_err());
    }
}
