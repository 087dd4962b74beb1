//! A network device by its name: whether it is there and up, and a thread that tells whenever that changes.
//!
//! The kernel is asked, and tells of changes by itself (rtnetlink(7)), so that nothing wakes while nothing
//! happens. What it answers is read within its bounds. Nothing here uses the network.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

use crate::engine::runtime::threads::{self, Waited};
use crate::error::{Error, ErrorKind, Result};

/// Numbers of rtnetlink(7), netlink(7) and netdevice(7).
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const ERROR: u16 = 2;
const REQUEST: u16 = 1;
const GROUP_LINKS: u32 = 1;
const ATTRIBUTE_NAME: u16 = 3;
const HEADER: usize = 16;
const LINK_HEADER: usize = 16;
const FLAG_UP: u32 = 0x1;
const FLAG_RUNNING: u32 = 0x40;

/// How long the kernel may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest message that is read: that about one device takes some 2 KiB.
const MAX_MESSAGE: usize = 32 << 10;
/// How long the thread has to end.
const MAX_END: Duration = Duration::from_millis(100);

/// A device that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its number. One that is made again under the same name has another.
    pub(crate) index: u32,
    /// Whether anything can be sent by it.
    pub(crate) is_up: bool,
}

/// The device of this name, if there is one.
///
/// # Errors
/// Where the kernel does not answer.
pub(crate) fn look(name: &str) -> io::Result<Option<Link>> {
    let socket = netlink(SocketFlags::CLOEXEC)?;
    sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
    sendto(&socket, &request(name), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = vec![0; MAX_MESSAGE];
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    read(answer.get(..length).unwrap_or_default())
}

fn netlink(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?)
}

/// Asks for the device of this name.
fn request(name: &str) -> Vec<u8> {
    let attribute = 4 + name.len() + 1;
    let length = HEADER + LINK_HEADER + attribute.next_multiple_of(4);
    let mut request = (length as u32).to_ne_bytes().to_vec();
    request.extend(GET_LINK.to_ne_bytes());
    request.extend(REQUEST.to_ne_bytes());
    request.resize(HEADER + LINK_HEADER, 0);
    request.extend((attribute as u16).to_ne_bytes());
    request.extend(ATTRIBUTE_NAME.to_ne_bytes());
    request.extend(name.as_bytes());
    request.resize(length, 0);
    request
}

/// Reads the answer to a request.
fn read(answer: &[u8]) -> io::Result<Option<Link>> {
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is strange");
    let u32_at = |at: usize| answer.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    match kind.ok_or_else(strange)? {
        NEW_LINK => {
            let (Some(index), Some(flags)) = (u32_at(HEADER + 4), u32_at(HEADER + 8)) else {
                return Err(strange());
            };
            Ok(Some(Link { index, is_up: flags & FLAG_UP != 0 && flags & FLAG_RUNNING != 0 }))
        }
        ERROR => {
            let number = u32_at(HEADER).ok_or_else(strange)? as i32;
            match number.wrapping_neg() {
                number if number == Errno::NODEV.raw_os_error() => Ok(None),
                number => Err(io::Error::from_raw_os_error(number)),
            }
        }
        _ => Err(strange()),
    }
}

/// The thread that watches a device. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct DeviceWatch {
    /// The end of it ends the thread.
    waker: UnixStream,
    thread: Option<Waited>,
}

impl DeviceWatch {
    /// Tells of this device at once, and whenever it has changed.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`].
    pub(crate) fn start(
        name: String,
        mut tell: impl FnMut(Option<Link>) + Send + 'static,
    ) -> Result<DeviceWatch> {
        let open = || -> io::Result<_> {
            // Before the first look: no change falls between the two.
            let news = netlink(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
            bind(&news, &SocketAddrNetlink::new(0, GROUP_LINKS))?;
            Ok((news, UnixStream::pair()?))
        };
        let (news, (waker, woken)) = open().map_err(|cause| {
            let what = format!("changes of the network device {name} cannot be watched");
            Error::new(ErrorKind::Resources, what).because(cause)
        })?;
        let thread = threads::spawn_waited("device", move || {
            let mut last = None;
            loop {
                // Where the kernel does not answer nothing is known to have changed.
                if let Ok(now) = look(&name)
                    && last != Some(now)
                {
                    last = Some(now);
                    tell(now);
                }
                if !is_changed(&news, &woken) {
                    return;
                }
            }
        })?;
        Ok(DeviceWatch { waker, thread: Some(thread) })
    }
}

impl Drop for DeviceWatch {
    fn drop(&mut self) {
        let _ = self.waker.shutdown(Shutdown::Both);
        self.thread.take().into_iter().for_each(|thread| _ = thread.join_within(MAX_END));
    }
}

/// Waits for news and reads all there are: what they say is asked for afterwards. False at the end.
fn is_changed(news: &OwnedFd, mut woken: &UnixStream) -> bool {
    loop {
        let mut fds = [PollFd::new(woken, PollFlags::IN), PollFd::new(news, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        if !fds[0].revents().is_empty() && woken.read(&mut [0]).unwrap_or(0) == 0 {
            return false;
        }
        let mut message = vec![0; MAX_MESSAGE];
        // Too many at once are lost, which is told as an error (ENOBUFS) and is as good as news.
        while matches!(recv(news, &mut message[..], RecvFlags::empty()), Ok(_) | Err(Errno::NOBUFS)) {}
        return true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there_and_what_is_not_there_is_not() {
        let loopback = look("lo").unwrap().unwrap();
        assert!(loopback.index > 0);
        assert_eq!(look("no-such-device").unwrap(), None);
    }

    #[test]
    fn an_answer_is_read_whatever_it_is() {
        let mut answer = request("eth0");
        answer[4..6].copy_from_slice(&NEW_LINK.to_ne_bytes());
        answer[HEADER + 4..HEADER + 8].copy_from_slice(&7u32.to_ne_bytes());
        assert_eq!(read(&answer).unwrap(), Some(Link { index: 7, is_up: false }));
        answer[HEADER + 8..HEADER + 12].copy_from_slice(&(FLAG_UP | FLAG_RUNNING).to_ne_bytes());
        assert_eq!(read(&answer).unwrap(), Some(Link { index: 7, is_up: true }));
        answer[4..6].copy_from_slice(&ERROR.to_ne_bytes());
        answer[HEADER..HEADER + 4].copy_from_slice(&(-19i32).to_ne_bytes());
        assert_eq!(read(&answer).unwrap(), None);
        for number in [0, 1, -1, i32::MIN, i32::MAX] {
            answer[HEADER..HEADER + 4].copy_from_slice(&number.to_ne_bytes());
            assert!(read(&answer).is_err());
        }
        for cut in 0..answer.len() {
            let _ = read(&answer[..cut]);
        }
    }

    #[test]
    fn a_watch_tells_of_the_device_at_once_and_ends_when_it_is_dropped() {
        let (sender, told) = crossbeam_channel::unbounded();
        let watch = DeviceWatch::start("lo".to_owned(), move |link| _ = sender.send(link)).unwrap();
        assert!(told.recv().unwrap().is_some());
        drop(watch);
        while told.recv().is_ok() {}
    }
}
