//! Connections through a proxy: connects to it and asks it for the host, all within one deadline.
//!
//! There is no fallback to a direct connection. An event is sent when the proxy fails, and when it works again.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::bounded::Bounded;
use crate::event::EventKind;
use crate::lock::lock;
use crate::proxy::{Proxy, ProxyKind};
use crate::transport::proxied;

/// Takes the events.
type Tell = Box<dyn Fn(&EventKind) + Send + Sync>;

/// The way through a proxy.
pub(crate) struct ProxyRoute {
    proxy: Proxy,
    /// The event that says why it cannot be used, while that is so.
    trouble: Mutex<Option<EventKind>>,
    tell: OnceLock<Tell>,
}

impl fmt::Debug for ProxyRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proxy.fmt(f)
    }
}

impl ProxyRoute {
    pub(super) fn new(proxy: Proxy) -> ProxyRoute {
        ProxyRoute { proxy, trouble: Mutex::default(), tell: OnceLock::new() }
    }

    /// Sends events when the proxy fails and when it works again.
    pub(crate) fn tell_to(&self, tell: impl Fn(&EventKind) + Send + Sync + 'static) {
        // The client calls this once.
        let _ = self.tell.set(Box::new(tell));
    }

    /// Why it cannot be used at present, if that is so.
    pub(crate) fn trouble(&self) -> Option<EventKind> {
        lock(&self.trouble).clone()
    }

    /// Asks for a connection to this host, a name or an address, over what `reach` gives for the proxy's own host
    /// and port; all within `timeout`.
    ///
    /// # Errors
    /// Those of `reach`, and those of [`proxied`].
    pub(super) fn connect(
        &self,
        (host, port): (&str, u16),
        timeout: Duration,
        reach: impl FnOnce(&str, u16, Instant) -> io::Result<TcpStream>,
    ) -> io::Result<TcpStream> {
        let end = Instant::now() + timeout;
        let asked = reach(&self.proxy.host, self.proxy.port, end).map(|stream| {
            let mut bounded = Bounded::new(&stream, end);
            let login = self.proxy.login.as_ref().map(|(name, password)| (&**name, &**password));
            let asked = match self.proxy.kind {
                ProxyKind::Socks5 => proxied::socks5(&mut bounded, host, port, login),
                ProxyKind::Http => proxied::http_connect(&mut bounded, host, port, login),
            };
            // That it cannot reach one host is no failure of the proxy.
            asked.map(|()| stream)
        });
        let (why, outcome) = match asked {
            Err(error) => (Some(error.to_string()), Err(error)),
            Ok(Err(error))
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidData) =>
            {
                (Some(error.to_string()), Err(error))
            }
            Ok(Err(error)) if error.kind() != ErrorKind::ConnectionRefused => return Err(error),
            Ok(outcome) => (None, outcome),
        };
        self.note(why);
        let stream = outcome?;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok(stream)
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
        self.tell.get().into_iter().for_each(|tell| tell(&event));
    }
}

#[cfg(test)]
mod tests;
