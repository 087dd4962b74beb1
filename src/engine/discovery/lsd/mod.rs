//! Local service discovery (BEP 14): one thread for the client that announces its torrents on the
//! local network and learns which peers there have them.
//!
//! It waits in one place, for a datagram, a command from a torrent, or the next announce. While
//! nothing is watched it has no socket, and nothing on the network wakes it. Private torrents are
//! never handed to it (BEP 27). What is announced when, and what is believed, is decided by
//! [`lsd_schedule`](crate::host::lsd_schedule).

mod multicast;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::multicast::{Group, Groups};
use crate::engine::inbox::TorrentSender;
use crate::engine::net::egress::Egress;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};
use crate::host::lsd_schedule::LsdSchedule;
use crate::id::InfoHash;
use crate::id::TorrentKey;
use crate::lock::lock;
use crate::moment::Moment;
use crate::random::entropy;
use crate::swarm::peers::Source;
use crate::torrent::Input;
use crate::wire::lsd::{Announce, MAX_BYTES, MAX_HASHES};

/// Datagrams taken from a socket before anything else is looked at.
const MAX_DATAGRAMS_PER_TURN: usize = 32;

/// What torrents ask of the thread.
enum ToLsd {
    Watch(TorrentKey, InfoHash, TorrentSender),
    Forget(TorrentKey),
    Reopen,
}

/// The thread, as torrents reach it. Dropping it ends the thread.
pub(crate) struct Lsd {
    commands: Sender<ToLsd>,
    /// A byte wakes the thread, the end of it ends it.
    waker: UnixStream,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lsd {
    /// Starts the thread. `port` is the one that peers may connect to.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`].
    pub(crate) fn start(egress: Arc<Egress>, port: u16, clock: Clock) -> Result<Lsd> {
        let pair = || {
            let (waker, woken) = UnixStream::pair()?;
            waker.set_nonblocking(true)?;
            woken.set_nonblocking(true)?;
            Ok((waker, woken))
        };
        let (waker, woken) = pair().map_err(|cause: std::io::Error| {
            Error::new(ErrorKind::Resources, "no descriptors for local discovery").because(cause)
        })?;
        let (commands, inbox) = unbounded();
        let cookie = u64::from_ne_bytes(entropy());
        let listening = Listening {
            egress,
            port,
            cookie: format!("{cookie:016x}"),
            clock,
            inbox,
            woken,
            schedule: LsdSchedule::default(),
            torrents: HashMap::new(),
            groups: None,
        };
        let thread = threads::spawn("lsd", move || listening.run())?;
        Ok(Lsd { commands, waker, thread: Mutex::new(Some(thread)) })
    }

    /// Announces a torrent from now on, and sends the peers found to its thread. Never for a private one. A
    /// second call for the same key changes the receiver.
    pub(crate) fn watch(&self, key: TorrentKey, info_hash: InfoHash, torrent: TorrentSender) {
        self.tell(ToLsd::Watch(key, info_hash, torrent));
    }

    /// Stops announcing it.
    pub(crate) fn forget(&self, key: TorrentKey) {
        self.tell(ToLsd::Forget(key));
    }

    /// The device that sockets are bound to is there again: new ones are needed.
    pub(crate) fn reopen(&self) {
        self.tell(ToLsd::Reopen);
    }

    fn tell(&self, command: ToLsd) {
        // A thread that has ended has no receiver; a waker that is full has something unread, which wakes.
        let _ = self.commands.send(command);
        let _ = (&self.waker).write(&[0]);
    }

    /// Ends the thread, at once.
    pub(crate) fn stop(&self) {
        let _ = self.waker.shutdown(Shutdown::Both);
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Lsd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The state of the thread.
struct Listening {
    egress: Arc<Egress>,
    port: u16,
    cookie: String,
    clock: Clock,
    inbox: Receiver<ToLsd>,
    woken: UnixStream,
    schedule: LsdSchedule<TorrentKey>,
    torrents: HashMap<TorrentKey, TorrentSender>,
    /// The sockets, while there is something to announce.
    groups: Option<Groups>,
}

impl Listening {
    fn run(mut self) {
        while self.listen() {
            for command in self.inbox.try_iter() {
                match command {
                    ToLsd::Watch(key, info_hash, torrent) => {
                        self.schedule.watch(key, info_hash, self.clock.now());
                        self.torrents.insert(key, torrent);
                    }
                    ToLsd::Forget(key) => {
                        self.schedule.forget(key);
                        self.torrents.remove(&key);
                    }
                    ToLsd::Reopen => self.groups = None,
                }
            }
            if self.schedule.is_empty() {
                self.groups = None;
            } else if self.groups.is_none() {
                self.groups = Some(Groups::open(&self.egress));
            }
            self.announce();
        }
    }

    fn announce(&mut self) {
        let info_hashes = self.schedule.announce(MAX_HASHES, self.clock.now());
        if info_hashes.is_empty() {
            return;
        }
        let announce = Announce { port: self.port, info_hashes, cookie: Some(self.cookie.clone()) };
        if let Some(groups) = &mut self.groups {
            groups.send(&announce);
        }
    }

    /// Waits until something is to be done, and takes in the datagrams that came. False at the end.
    fn listen(&mut self) -> bool {
        let now = self.clock.now();
        let deaf = self.schedule.deaf_until(now);
        let deadline = self.schedule.deadline().into_iter().chain(deaf).min();
        let (is_woken, received) = {
            let open: Vec<&Group> =
                self.groups.iter().filter(|_| deaf.is_none()).flat_map(Groups::iter).collect();
            let mut fds = vec![PollFd::new(&self.woken, PollFlags::IN)];
            fds.extend(open.iter().map(|group| PollFd::new(&group.socket, PollFlags::IN)));
            let timeout = deadline.and_then(|deadline| Timespec::try_from(deadline.since(now)).ok());
            // Interrupted, or no memory just now: the next poll shows which.
            let _ = poll(&mut fds, timeout.as_ref());
            let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
            let is_woken = ready.next().unwrap_or_default();
            let heard = open.iter().zip(ready).filter(|(_, ready)| *ready);
            (is_woken, heard.flat_map(|(group, _)| received_by(group)).collect::<Vec<_>>())
        };
        let now = self.clock.now();
        for (announce, from) in received {
            self.take_in(announce, from, now);
        }
        !is_woken || self.is_open()
    }

    /// Reads what woke the thread. False where the handle was dropped.
    fn is_open(&mut self) -> bool {
        let mut bytes = [0; 64];
        loop {
            match self.woken.read(&mut bytes) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }

    /// A datagram was received: its torrents get the peer.
    fn take_in(&mut self, heard: Option<Announce>, from: SocketAddr, now: Moment) {
        let others = heard.filter(|announce| announce.cookie.as_ref() != Some(&self.cookie));
        let Some(announce) = others else { return self.schedule.ignored(now) };
        let ours = announce.info_hashes.iter().filter_map(|&info_hash| self.schedule.find(info_hash));
        let concerned: Vec<TorrentKey> = ours.collect();
        if concerned.is_empty() {
            return self.schedule.ignored(now);
        }
        if !self.schedule.believes(from.ip(), announce.port, now) {
            return;
        }
        let mut peer = from;
        peer.set_port(announce.port);
        for torrent in concerned.iter().filter_map(|key| self.torrents.get(key)) {
            // A torrent whose inbox is full gets it with the next announce, in five minutes.
            let _ = torrent.try_send(Input::Found(Source::Lsd, vec![peer]).into());
        }
    }
}

/// The datagrams of a socket, up to a batch.
fn received_by(group: &Group) -> Vec<(Option<Announce>, SocketAddr)> {
    // One more than an announce may have shows which were cut off; those are none.
    let mut datagram = [0; MAX_BYTES + 101];
    let mut told = Vec::new();
    while told.len() < MAX_DATAGRAMS_PER_TURN {
        let Ok((length, from)) = group.socket.recv_from(&mut datagram) else { break };
        let whole = datagram.get(..length).filter(|bytes| bytes.len() < datagram.len());
        told.push((whole.and_then(Announce::decode), from));
    }
    told
}
