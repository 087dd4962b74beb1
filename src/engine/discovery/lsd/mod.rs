//! Local service discovery (BEP 14): one thread for the client that announces its torrents on the
//! local network and hears who else has them.
//!
//! It waits in one place, for a datagram, a word from a torrent, or the next announce. While
//! nothing is watched it has no socket, and nothing on the network wakes it. Private torrents are
//! never handed to it (BEP 27). What is to be said and believed when is decided by
//! [`neighbours`](crate::host::lsd_schedule).

mod multicast;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::multicast::{Group, Groups};
use crate::config::Config;
use crate::engine::inbox::TorrentSender;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};
use crate::host::lsd_schedule::LsdSchedule;
use crate::id::InfoHash;
use crate::id::TorrentKey;
use crate::moment::Moment;
use crate::random::entropy;
use crate::swarm::peers::Source;
use crate::torrent::Input;
use crate::wire::lsd::{Announce, MOST_BYTES, MOST_HASHES};

/// Datagrams taken from a socket before anything else is looked at.
const BATCH: usize = 32;

/// What torrents say to the thread.
enum ToLsd {
    Watch(TorrentKey, InfoHash, TorrentSender),
    Forget(TorrentKey),
}

/// The thread, as torrents reach it. Dropping it ends the thread.
pub(crate) struct Lsd {
    words: Sender<ToLsd>,
    /// A byte wakes the thread, the end of it ends it.
    bell: UnixStream,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lsd {
    /// Starts the thread. `port` is where peers may call.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`].
    pub(crate) fn start(config: &Config, port: u16, clock: Clock) -> Result<Lsd> {
        let pair = || {
            let (bell, door) = UnixStream::pair()?;
            bell.set_nonblocking(true)?;
            door.set_nonblocking(true)?;
            Ok((bell, door))
        };
        let (bell, door) = pair().map_err(|cause: std::io::Error| {
            Error::new(ErrorKind::Resources, "no descriptors for local discovery").because(cause)
        })?;
        let (words, heard) = unbounded();
        let cookie = u64::from_ne_bytes(entropy());
        let listening = Listening {
            bind: config.bind,
            port,
            cookie: format!("{cookie:016x}"),
            clock,
            words: heard,
            door,
            neighbours: LsdSchedule::default(),
            torrents: HashMap::new(),
            groups: None,
        };
        let thread = threads::spawn("lsd", move || listening.run())?;
        Ok(Lsd { words, bell, thread: Mutex::new(Some(thread)) })
    }

    /// Announces a torrent from now on, and names the peers heard to its thread. Never of a
    /// private one. A second call for the same key changes who is told.
    pub(crate) fn watch(&self, key: TorrentKey, info_hash: InfoHash, torrent: TorrentSender) {
        self.say(ToLsd::Watch(key, info_hash, torrent));
    }

    /// And from now on no more.
    pub(crate) fn forget(&self, key: TorrentKey) {
        self.say(ToLsd::Forget(key));
    }

    fn say(&self, word: ToLsd) {
        // A thread that has ended hears nothing, and a bell that is full has been rung.
        let _ = self.words.send(word);
        let _ = (&self.bell).write(&[0]);
    }

    /// Ends the thread, at once.
    pub(crate) fn stop(&self) {
        let _ = self.bell.shutdown(Shutdown::Both);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
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

/// What the thread has.
struct Listening {
    bind: Option<IpAddr>,
    port: u16,
    cookie: String,
    clock: Clock,
    words: Receiver<ToLsd>,
    door: UnixStream,
    neighbours: LsdSchedule<TorrentKey>,
    torrents: HashMap<TorrentKey, TorrentSender>,
    /// The sockets, while there is something to announce.
    groups: Option<Groups>,
}

impl Listening {
    fn run(mut self) {
        while self.listen() {
            for word in self.words.try_iter() {
                match word {
                    ToLsd::Watch(key, info_hash, torrent) => {
                        self.neighbours.watch(key, info_hash, self.clock.now());
                        self.torrents.insert(key, torrent);
                    }
                    ToLsd::Forget(key) => {
                        self.neighbours.forget(key);
                        self.torrents.remove(&key);
                    }
                }
            }
            if self.neighbours.is_empty() {
                self.groups = None;
            } else if self.groups.is_none() {
                self.groups = Some(Groups::open(self.bind));
            }
            self.announce();
        }
    }

    fn announce(&mut self) {
        let info_hashes = self.neighbours.announce(MOST_HASHES, self.clock.now());
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
        let deaf = self.neighbours.deaf_until(now);
        let deadline = self.neighbours.deadline().into_iter().chain(deaf).min();
        let (rung, told) = {
            let open: Vec<&Group> =
                self.groups.iter().filter(|_| deaf.is_none()).flat_map(Groups::iter).collect();
            let mut fds = vec![PollFd::new(&self.door, PollFlags::IN)];
            fds.extend(open.iter().map(|group| PollFd::new(&group.socket, PollFlags::IN)));
            let timeout = deadline.and_then(|deadline| Timespec::try_from(deadline.since(now)).ok());
            // Interrupted, or no memory just now: whatever it is, the next look tells.
            let _ = poll(&mut fds, timeout.as_ref());
            let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
            let rung = ready.next().unwrap_or_default();
            let heard = open.iter().zip(ready).filter(|(_, ready)| *ready);
            (rung, heard.flat_map(|(group, _)| received(group)).collect::<Vec<_>>())
        };
        let now = self.clock.now();
        for (announce, from) in told {
            self.take_in(announce, from, now);
        }
        !rung || self.is_open()
    }

    /// Empties the bell. False where nobody holds it any more.
    fn is_open(&mut self) -> bool {
        let mut rings = [0; 64];
        loop {
            match self.door.read(&mut rings) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }

    /// A datagram was heard: whom it concerns is told.
    fn take_in(&mut self, heard: Option<Announce>, from: SocketAddr, now: Moment) {
        let others = heard.filter(|announce| announce.cookie.as_ref() != Some(&self.cookie));
        let Some(announce) = others else { return self.neighbours.ignored(now) };
        let ours = announce.info_hashes.iter().filter_map(|&info_hash| self.neighbours.find(info_hash));
        let concerned: Vec<TorrentKey> = ours.collect();
        if concerned.is_empty() {
            return self.neighbours.ignored(now);
        }
        if !self.neighbours.believes(from.ip(), announce.port, now) {
            return;
        }
        let mut peer = from;
        peer.set_port(announce.port);
        for torrent in concerned.iter().filter_map(|key| self.torrents.get(key)) {
            // One that is too busy hears of the peer in five minutes.
            let _ = torrent.try_send(Input::Found(Source::Lsd, vec![peer]).into());
        }
    }
}

/// What a socket has, up to a batch.
fn received(group: &Group) -> Vec<(Option<Announce>, SocketAddr)> {
    // One more than an announce may have shows which were cut off; those are none.
    let mut datagram = [0; MOST_BYTES + 101];
    let mut told = Vec::new();
    while told.len() < BATCH {
        let Ok((length, from)) = group.socket.recv_from(&mut datagram) else { break };
        let whole = datagram.get(..length).filter(|bytes| bytes.len() < datagram.len());
        told.push((whole.and_then(Announce::decode), from));
    }
    told
}
