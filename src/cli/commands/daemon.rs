//! `daemon`: runs the session of many torrents until it is told to end.
//!
//! It makes the daemon's settings of the options, and then only waits: for a signal, and for blocklists that are
//! to be read again. The daemon has threads of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bitwren::EncryptionPolicy;
use bitwren::internals::base64;
use bitwren::internals::daemon::gate::GateConfig;
use bitwren::internals::daemon::running::{Daemon, DaemonConfig};
use bitwren::internals::daemon::settings::{Encryption, Settings as SessionSettings};

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::{DaemonSettings, Settings, TransferSettings};
use crate::cli::exit::{Code, Failure};
use crate::cli::output::screen::{Screen, Tone, Verbosity};
use crate::cli::output::{streams, units};
use crate::cli::run::blocklist::{self, Lists};
use crate::cli::run::inbox::{Inbox, Wake};
use crate::cli::run::notify::{self, State};
use crate::cli::run::precheck::RPC_PASSWORD;
use crate::cli::run::signals::Signals;
use crate::cli::run::{client_config, state_home};

/// Where the RPC is served by default.
const DEFAULT_RPC: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9091);

/// What all paths of the RPC begin with.
const BASE: &str = "/transmission/";

/// What only a daemon listens to: lists that were read again.
type Reread = Result<Lists, Failure>;

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Settings { output, mut transfer, daemon, .. } = invocation.settings;
    if let Some(umask) = daemon.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    }
    let screen = Screen::of_a_run();
    let is_chatty = output.verbosity > Verbosity::Quiet;
    let say = move |line: &str| {
        if is_chatty {
            screen.line(Tone::Plain, line);
        }
    };
    let state_dir = state_home::daemon(&transfer.storage).ok_or_else(|| {
        Failure::usage("there is no home directory for the state; name one with --state-dir")
    })?;
    let state_dir = absolute(&state_dir)?;
    transfer.storage.state_dir = Some(state_dir.clone());
    let lists = blocklist::read_all(&transfer.filter)?;
    let rules = lists.read.iter().map(|list| list.ranges as u64).sum();
    let inbox = Inbox::<Reread>::new();
    inbox.end_at(signals);
    let filter = transfer.filter.clone();
    inbox.reload_at(signals, "reload", move || {
        notify::tell(State::Reloading);
        blocklist::read_again(&filter)
    })?;
    let download_dir = download_dir(&daemon)?;
    let settings = session_settings(&transfer, &download_dir);
    let listen = if daemon.rpc_bind.is_empty() { vec![DEFAULT_RPC] } else { daemon.rpc_bind.clone() };
    let gate = gate(&daemon, &listen)?;
    let roots = daemon.roots.iter().map(|root| absolute(root)).collect::<Result<Vec<PathBuf>, Failure>>()?;
    let to_end = signals.clone();
    let config = DaemonConfig {
        client: client_config::of_client(&transfer, lists.filter.clone(), 1, false)
            .seed_time(transfer.seed_limits.time)
            .port_required(transfer.listen.port.is_some()),
        settings,
        state_dir: state_dir.clone(),
        roots,
        listen,
        socket: daemon.rpc_socket.as_deref().map(absolute).transpose()?,
        gate,
        blocklist_rules: rules,
        log: Arc::new(say),
        close: Arc::new(move || _ = to_end.ask_for_end()),
    };
    let socket = config.socket.clone();
    let running = Daemon::start(config)?;
    streams::detach().map_err(Failure::no_thread)?;
    let pid_file = daemon.pid_file.as_deref().map(PidFile::write).transpose()?;
    say(&started(&running, socket.as_deref(), &state_dir));
    notify::tell(State::Ready);
    wait(&running, &inbox, &say);
    notify::tell(State::Stopping);
    say("stopping; a second signal quits at once");
    drop(running);
    drop(pid_file);
    // Only a signal or a request ends it.
    Ok(Code::OK)
}

/// Waits for the end, and hands on what is read again.
fn wait(daemon: &Daemon, inbox: &Inbox<Reread>, say: &dyn Fn(&str)) {
    let watchdog = notify::watchdog();
    let mut next = watchdog.map(|interval| Instant::now() + interval);
    while !inbox.is_interrupted() {
        match inbox.wait(next) {
            Some(Wake::Other(Ok(lists))) => {
                let rules = lists.read.iter().map(|list| list.ranges as u64).sum();
                daemon.set_filter(lists.filter, rules);
                say(&format!("read again: {}", units::count(rules, "blocked range")));
                notify::tell(State::Ready);
            }
            Some(Wake::Other(Err(failure))) => {
                let why = failure.why.unwrap_or_default();
                say(&format!("{why}; what was blocked before stays blocked"));
                notify::tell(State::Ready);
            }
            _ => {}
        }
        if let (Some(interval), Some(due)) = (watchdog, next)
            && Instant::now() >= due
        {
            // One whose keeper hangs is not alive.
            if daemon.is_alive() {
                notify::tell(State::Alive);
            }
            next = Some(Instant::now() + interval);
        }
    }
}

/// Where it listens, in a line.
fn started(daemon: &Daemon, socket: Option<&Path>, state_dir: &Path) -> String {
    let urls = daemon.addresses().iter().map(|address| format!("http://{address}{BASE}rpc"));
    let places: Vec<String> = urls.chain(socket.map(|path| path.display().to_string())).collect();
    format!(
        "the RPC is at {}; peers reach port {}; {} in {}",
        places.join(" and "),
        daemon.port(),
        units::count(daemon.torrents() as u64, "torrent"),
        state_dir.display()
    )
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file(Code::NOT_FOUND, "find", path, &error))
}

/// Where torrents go that are added without a directory.
fn download_dir(daemon: &DaemonSettings) -> Result<String, Failure> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join("Downloads"));
    let dir = daemon.download_dir.clone().or_else(home);
    let dir =
        dir.ok_or_else(|| Failure::usage("there is no home directory to download into; use --download-dir"))?;
    let dir = absolute(&dir)?;
    let text = dir.to_str().map(|text| text.trim_end_matches('/').to_owned());
    let text = text.ok_or_else(|| Failure::usage("--download-dir must be UTF-8: clients are told of it"))?;
    Ok(if text.is_empty() { "/".to_owned() } else { text })
}

/// The settings of the session, as the options have them.
fn session_settings(transfer: &TransferSettings, download_dir: &str) -> SessionSettings {
    let TransferSettings { listen, limits, sources, seed_limits, .. } = transfer;
    let kilobytes = |rate: u64| u32::try_from(rate / 1000).unwrap_or(u32::MAX);
    let or_default = |rate: u64| if rate > 0 { kilobytes(rate) } else { 100 };
    SessionSettings {
        speed_limit_down: or_default(limits.down),
        speed_limit_down_enabled: limits.down > 0,
        speed_limit_up: or_default(limits.up),
        speed_limit_up_enabled: limits.up > 0,
        alt_speed_down: 50,
        alt_speed_up: 50,
        alt_speed_enabled: false,
        alt_speed_time_enabled: false,
        alt_speed_time_begin: 9 * 60,
        alt_speed_time_end: 17 * 60,
        alt_speed_time_day: 127,
        download_dir: download_dir.to_owned(),
        incomplete_dir: download_dir.to_owned(),
        incomplete_dir_enabled: false,
        download_queue_enabled: limits.jobs > 0,
        download_queue_size: if limits.jobs > 0 { limits.jobs } else { 5 },
        seed_queue_enabled: false,
        seed_queue_size: 10,
        queue_stalled_enabled: true,
        queue_stalled_minutes: 30,
        seed_ratio_limit: seed_limits.ratio.unwrap_or(2.0),
        seed_ratio_limited: seed_limits.ratio.is_some(),
        idle_seeding_limit: seed_limits
            .idle
            .map_or(30, |idle| (idle.as_secs() / 60).try_into().unwrap_or(u32::MAX)),
        idle_seeding_limit_enabled: seed_limits.idle.is_some(),
        peer_limit_global: limits.max_peers.saturating_mul(2),
        peer_limit_per_torrent: limits.max_peers,
        peer_port: listen.port.unwrap_or(bitwren::Config::DEFAULT_PORT),
        peer_port_random_on_start: false,
        port_forwarding_enabled: listen.portmap.unwrap_or(true),
        utp_enabled: false,
        tcp_enabled: true,
        dht_enabled: sources.dht,
        pex_enabled: sources.pex,
        lpd_enabled: sources.lsd,
        encryption: match transfer.encryption {
            EncryptionPolicy::Require => Encryption::Required,
            EncryptionPolicy::Prefer => Encryption::Preferred,
            _ => Encryption::Allowed,
        },
        reqq: 2000,
        start_added_torrents: true,
        trash_original_torrent_files: false,
        rename_partial_files: false,
        cache_size_mib: 4,
        default_trackers: String::new(),
        sequential_download: false,
        blocklist_enabled: !transfer.filter.blocklists.is_empty(),
        blocklist_url: String::new(),
        anti_brute_force_enabled: true,
        anti_brute_force_threshold: 5,
    }
}

/// Who may ask.
fn gate(daemon: &DaemonSettings, listen: &[SocketAddr]) -> Result<GateConfig, Failure> {
    let credentials = credentials(daemon.rpc_password_file.as_deref())?;
    let open = listen.iter().find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(address) = open.filter(|_| credentials.is_none() && !daemon.rpc_open) {
        return Err(Failure::usage(format_args!(
            "--rpc-bind: others reach {}; set a password with --rpc-password-file, or permit everyone with --rpc-open",
            address.ip()
        )));
    }
    let mut hosts = daemon.rpc_hosts.clone();
    // A stranger on the Internet cannot own these names of this machine.
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_ascii_lowercase();
    if !own.is_empty() && !own.contains('*') {
        let short = own.split('.').next().unwrap_or(&own).to_owned();
        hosts.extend([format!("{short}.local"), format!("{short}.lan"), short, own]);
    }
    Ok(GateConfig { base: BASE.to_owned(), credentials, addresses: daemon.rpc_allow.clone(), hosts })
}

/// Name and password, from the file or the environment, as a request has them.
fn credentials(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let (line, from) = match file {
        Some(path) => {
            let about =
                fs::metadata(path).map_err(|error| Failure::file(Code::FILE_OPEN, "open", path, &error))?;
            if about.is_file() && about.mode() & 0o077 != 0 {
                let shown = path.display();
                return Err(Failure::usage(format_args!(
                    "--rpc-password-file: other users can read {shown}; chmod 600 {shown}"
                )));
            }
            let text = fs::read_to_string(path)
                .map_err(|error| Failure::file(Code::FILE_IO, "read", path, &error))?;
            (text, "--rpc-password-file")
        }
        None => match std::env::var(RPC_PASSWORD) {
            Ok(line) => (line, RPC_PASSWORD),
            Err(_) => return Ok(None),
        },
    };
    let line = line.lines().next().unwrap_or_default();
    match line.split_once(':') {
        Some((_, password)) if !password.is_empty() => Ok(Some(base64::encode(line.as_bytes()))),
        _ => Err(Failure::usage(format_args!("{from} must hold NAME:PASSWORD in its first line"))),
    }
}

/// The file with the number of the process; it goes with the process.
struct PidFile(PathBuf);

impl PidFile {
    fn write(path: &Path) -> Result<PidFile, Failure> {
        fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| Failure::file(Code::FILE_CREATE, "write", path, &error))?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
