//! The DHT of a client: one thread that owns both nodes, IPv4 and IPv6, and is a client of the UDP port.
//!
//! The nodes are pure ([`crate::dht`]); here it is decided when each torrent is looked up ([`thread`]), how
//! the network is found ([`bootstrap`]) and how nodes are remembered ([`store`]). All others have a
//! [`DhtHandle`] and never wait: a command is queued, and peers come to the torrent's inbox as
//! [`Input::Found`](crate::torrent::Input::Found).
//!
//! The thread waits in one place: for datagrams, for commands, or for the next deadline of a node, which with
//! an idle table is minutes away. Datagrams come on a queue of their own that drops those that do not fit, so
//! that a flood neither fills memory nor delays commands.
//!
//! A private torrent is never watched (BEP 27); its thread does not ask.

mod bootstrap;
pub(crate) mod handle;
mod store;
mod thread;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, unbounded};

use self::handle::{DhtHandle, ToDht};
use self::thread::{DhtThread, Queues};
use crate::config::Config;
use crate::engine::net::told_ports::ToldPorts;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads;
use crate::engine::udp::port::{Datagram, UdpPort};
use crate::error::Result;
use crate::event::DhtStatus;
use crate::random::Random;

/// Datagrams that may wait for the thread.
pub(crate) const MAX_DATAGRAMS_WAITING: usize = 128;
/// Nodes named by peers that may wait for it.
const MAX_NODES_WAITING: usize = 32;

/// The running DHT, as the client holds it.
pub(crate) struct Dht {
    handle: DhtHandle,
    /// Disconnected when the thread has ended.
    done: Receiver<()>,
}

impl Dht {
    /// Starts on this port, which offers it `datagrams`.
    ///
    /// # Errors
    /// As [`threads::spawn`].
    pub(crate) fn start(
        config: &Config,
        port: Arc<UdpPort>,
        told_ports: Arc<ToldPorts>,
        datagrams: Receiver<Datagram>,
        clock: Clock,
        random: Random,
    ) -> Result<Dht> {
        let (commands, inbox) = unbounded();
        let (named_nodes, nodes) = bounded(MAX_NODES_WAITING);
        let number = port.number();
        let status = Arc::new(Mutex::new(DhtStatus { port: number, ..DhtStatus::default() }));
        let setup = thread::Setup {
            names: config.dht_nodes.clone(),
            state: config.dht_state.clone(),
            read_only: config.dht_read_only,
            port,
            told_ports,
            clock,
            random,
            status: status.clone(),
            own_inbox: commands.clone(),
        };
        let (end, done) = bounded::<()>(0);
        let queues = Queues { commands: inbox, datagrams, named_nodes: nodes };
        threads::spawn("dht", move || {
            DhtThread::new(setup).run(&queues);
            drop(end);
        })?;
        Ok(Dht { handle: DhtHandle { commands, named_nodes, status }, done })
    }

    pub(crate) fn handle(&self) -> DhtHandle {
        self.handle.clone()
    }

    /// Begins to end: the table is saved meanwhile.
    pub(crate) fn close(&self) {
        let _ = self.handle.commands.send(ToDht::Close);
    }

    /// Ends; what takes longer than `most` to save the table is left behind.
    pub(crate) fn stop(self, most: Duration) {
        self.close();
        // Nothing is sent on this channel: its disconnection is the signal.
        let _ = self.done.recv_timeout(most);
    }
}

impl Drop for Dht {
    fn drop(&mut self) {
        self.close();
    }
}
