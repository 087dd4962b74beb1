//! A daemon that runs: the state, the client, the keeper and the server of the RPC, started and ended in order.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};

use crate::crypto::EncryptionPolicy;
use crate::daemon::gate::{Gate, GateConfig};
use crate::daemon::keeper::Keeper;
use crate::daemon::library::Library;
use crate::daemon::order::Message;
use crate::daemon::roots::Roots;
use crate::daemon::serve::{LIMITS, RpcRoutes, new_session_id};
use crate::daemon::session::Session;
use crate::daemon::settings::{Encryption, Settings};
use crate::daemon::store::{Found, Store};
use crate::daemon::task::Task;
use crate::daemon::view::Totals;
use crate::engine::http::server::HttpServer;
use crate::engine::net::egress;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads::{self, Waited};
use crate::{AddressFilter, Client, Config, Error, ErrorKind, InfoHash, Result};

/// Longest that the keeper is waited for at the end.
const MAX_END: Duration = Duration::from_secs(3);

/// The mode of the Unix socket: those of the daemon's group may ask.
const SOCKET_MODE: u32 = 0o660;

/// What a daemon is started with.
pub struct DaemonConfig {
    /// The settings of the client. Those that are also settings of the session are taken from there.
    pub client: Config,
    /// The settings of the session that hold unless they were changed over the RPC.
    pub settings: Settings,
    /// Where the state is.
    pub state_dir: PathBuf,
    /// What requests may name besides the download directory.
    pub roots: Vec<PathBuf>,
    /// Where the RPC is served.
    pub listen: Vec<SocketAddr>,
    /// Where it is served on this machine alone.
    pub socket: Option<PathBuf>,
    /// Who may ask.
    pub gate: GateConfig,
    /// Rules of the blocklist, for clients to see.
    pub blocklist_rules: u64,
    /// Told of what happens, in a line each.
    pub log: Arc<dyn Fn(&str) + Send + Sync>,
    /// Called when a request asks for the end.
    pub close: Arc<dyn Fn() + Send + Sync>,
}

/// A daemon that runs, until it is dropped.
pub struct Daemon {
    server: Option<HttpServer<RpcRoutes>>,
    addresses: Vec<SocketAddr>,
    socket: Option<PathBuf>,
    port: u16,
    torrents: usize,
    keeper: Sender<Message>,
    thread: Option<Waited>,
}

impl Daemon {
    /// Starts a daemon; when this returns, it answers.
    ///
    /// # Errors
    /// Those of the state directory ([`ErrorKind::Exists`] if another daemon uses it), of the client, and
    /// [`ErrorKind::Network`] where the RPC cannot be served.
    pub fn start(config: DaemonConfig) -> Result<Daemon> {
        let DaemonConfig {
            client,
            settings,
            state_dir,
            roots,
            listen,
            socket,
            gate,
            blocklist_rules,
            log,
            close,
        } = config;
        let (store, found) = Store::open(&state_dir)?;
        found.warnings.iter().for_each(|warning| log(warning));
        let session = session(settings, found, blocklist_rules);
        let (settings, torrents) = (session.settings.clone(), session.tasks.len());
        let (down, up) = session.limits();
        let mut listeners = Vec::new();
        for address in &listen {
            let listener =
                egress::listen_for_requests(*address).map_err(|cause| no_rpc(&address.to_string(), cause))?;
            listeners.push(listener);
        }
        let named = |cause| no_rpc(&socket.as_deref().unwrap_or(&state_dir).display().to_string(), cause);
        let local = socket
            .as_ref()
            .map(|path| egress::listen_at_path(path, SOCKET_MODE))
            .transpose()
            .map_err(named)?;
        let client = with_settings(client, &settings).down_limit(down).up_limit(up);
        let network = Arc::new(client.clone());
        let client = Arc::new(Client::start(client)?);
        let (port, watched) = (client.port(), Arc::downgrade(&client));
        let session = Arc::new(RwLock::new(session));
        let (keeper, messages) = unbounded();
        let shown: Arc<str> = state_dir.to_string_lossy().into();
        let keep = Keeper::new(session.clone(), store, client, log, keeper.clone());
        let thread = threads::spawn_waited("keeper", move || keep.run(&messages))?;
        let clock = Clock::start();
        let gate = Arc::new(Mutex::new(Gate::new(gate, new_session_id(), clock.now())));
        let download_dir = PathBuf::from(&settings.download_dir);
        let library = Library {
            session,
            keeper: keeper.clone(),
            roots: Arc::new(Roots::new(roots.into_iter().chain([download_dir]))),
            network,
            gate: gate.clone(),
            state_dir: shown,
            port_map: Arc::new(move || Weak::upgrade(&watched)?.port_map()),
            close,
        };
        let routes = RpcRoutes { gate, library, clock };
        let mut server = HttpServer::start("rpc", routes, LIMITS, clock);
        let mut addresses = Vec::new();
        for listener in listeners {
            addresses.extend(listener.local_addr().ok());
            server.listen(listener)?;
        }
        local.map_or(Ok(()), |listener| server.listen(listener))?;
        Ok(Daemon { server: Some(server), addresses, socket, port, torrents, keeper, thread: Some(thread) })
    }

    /// Where the RPC is served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The port for peers.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Torrents that there were at the start.
    pub fn torrents(&self) -> usize {
        self.torrents
    }

    /// Whether the keeper does its work: it answers within a second.
    pub fn is_alive(&self) -> bool {
        let (asker, answer) = crossbeam_channel::bounded(0);
        let is_sent = self.keeper.send(Message::Ping(asker)).is_ok();
        is_sent
            && answer.recv_timeout(Duration::from_secs(1))
                == Err(crossbeam_channel::RecvTimeoutError::Disconnected)
    }

    /// Changes what is blocked, by as many rules.
    pub fn set_filter(&self, filter: Arc<AddressFilter>, rules: u64) {
        // Fails only at the end.
        let _ = self.keeper.send(Message::Filter(filter, rules));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.keeper.send(Message::End);
        if let Some(thread) = self.thread.take() {
            thread.join_within(MAX_END);
        }
        // Last: the answer to a request for the end is still to be sent.
        drop(self.server.take());
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

fn no_rpc(at: &str, cause: std::io::Error) -> Error {
    let hint = match cause.kind() {
        std::io::ErrorKind::AddrInUse => "; is another daemon running? choose another place with --rpc-bind",
        _ => "",
    };
    Error::new(ErrorKind::Network, format!("cannot serve the RPC at {at}{hint}")).because(cause)
}

/// The session as it begins.
fn session(mut settings: Settings, found: Found, blocklist_rules: u64) -> Session {
    let Found { session: mut record, torrents, .. } = found;
    let changed_settings = record.settings.clone();
    changed_settings.clone().apply(&mut settings);
    record.next_id = record.next_id.max(1);
    let mut tasks = BTreeMap::new();
    let mut by_hash: HashMap<InfoHash, u32> = HashMap::new();
    for (kept, metainfo) in torrents {
        let Ok(hash) = kept.hash.parse::<InfoHash>() else { continue };
        by_hash.insert(hash, kept.id);
        tasks.insert(kept.id, Task::new(kept, hash, metainfo, &settings));
    }
    let mut queue: Vec<u32> = tasks.keys().copied().collect();
    queue.sort_by_key(|id| tasks.get(id).map(|task| task.record.queue_position));
    let mut session = Session {
        tasks,
        by_hash,
        queue,
        settings: Arc::new(settings),
        changed_settings,
        record,
        past: Totals::default(),
        started: Instant::now(),
        removed: Vec::new(),
        blocklist_rules,
        was_reached: false,
    };
    session.renew_places();
    session
}

/// The settings of the client, with those of the session.
fn with_settings(config: Config, settings: &Settings) -> Config {
    let is_never_encrypted = config.encryption == EncryptionPolicy::Off;
    let config = config
        .max_active(if settings.download_queue_enabled { settings.download_queue_size } else { 0 })
        .max_peers(settings.peer_limit_global.clamp(1, 10_000))
        .portmap(settings.port_forwarding_enabled)
        .dht(settings.dht_enabled)
        .pex(settings.pex_enabled)
        .lsd(settings.lpd_enabled)
        .encryption(match settings.encryption {
            Encryption::Required => EncryptionPolicy::Require,
            Encryption::Preferred => EncryptionPolicy::Prefer,
            // The RPC has no word for it.
            Encryption::Allowed if is_never_encrypted => EncryptionPolicy::Off,
            Encryption::Allowed => EncryptionPolicy::Allow,
        });
    match settings.peer_port_random_on_start {
        true => config.port(0),
        false => config.port(settings.peer_port),
    }
}
