//! `share`: makes torrents in memory, runs a tracker, seeds, and prints the line to type elsewhere.
//!
//! The tracker answers for these torrents alone, and serves the `.torrent` files too. It never writes a
//! file. Here everything is started; [`serving`] runs it.

mod addresses;
mod recipients;
mod secret;
mod serving;
mod torrents;

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::sync_channel;

use bitwren::{Client, Config, Existing, Torrent, TorrentConfig};

use recipients::Recipients;
use serving::Serving;

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::{Settings, ShareSettings};
use crate::cli::exit::Code;
use crate::cli::exit::Failure;
use crate::cli::output::screen::Screen;
use crate::cli::output::streams;
use crate::cli::run::inbox::Inbox;
use crate::cli::run::signals::Signals;

/// Announces that wait to be looked at.
const MAX_WAITING_ANNOUNCES: usize = 1024;
/// Upload slots of each torrent: one for every recipient, if they are not too many for a thread each.
const UPLOAD_SLOTS: u32 = 64;
/// The most connections of each torrent.
const MAX_PEERS: u32 = 200;

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let Settings { output, files, share, .. } = settings;
    let screen = Screen::of_a_run();
    let drafts = torrents::draft_all(operands, &files, share.secret.as_deref(), output, &screen)?;
    // Ports that are taken are noticed before anything is hashed.
    let client = start_client(&share, drafts.len())?;
    drop(torrents::track(&[], &share, sync_channel(1).0)?);
    let mut shared = torrents::make_all(drafts, output, &screen)?;
    let (watch, announces) = sync_channel(MAX_WAITING_ANNOUNCES);
    let tracker = torrents::track(&shared, &share, watch)?;
    let own = share.listen.bind.map_or_else(addresses::addresses, |address| match address {
        address if address.is_unspecified() => addresses::addresses(),
        address => vec![address],
    });
    let port = tracker.http_addresses().first().map_or(0, |address| address.port());
    let lines = torrents::publish(&mut shared, &tracker, &own, port, &share)?;
    let inbox = Inbox::new();
    inbox.hand_on("announces", announces)?;
    inbox.hand_on_events(client.events(), output.json && output.is_verbose())?;
    // Over UDP, from the address of --bind: the tracker gives others the address that it was asked from.
    let tracker_of = |ip: &IpAddr| format!("udp://{}/announce", SocketAddr::new(*ip, port));
    let trackers: Vec<String> = own.iter().map(tracker_of).collect();
    let torrents = shared.iter().map(|one| {
        let config = TorrentConfig::default()
            .dir(one.dir.clone())
            .resume(false)
            .seed_only(true)
            .existing(Existing::Trust)
            .max_peers(MAX_PEERS)
            .fast_first_copy(true)
            .upload_slots(Some(UPLOAD_SLOTS))
            // The trackers in the torrent are for others; this machine uses its own addresses.
            .use_trackers(false)
            .trackers(trackers.clone());
        client.add(one.metainfo.clone(), config)
    });
    let torrents = torrents.collect::<Result<Vec<Torrent>, _>>()?;
    let pieces = shared.iter().map(|one| one.metainfo.pieces().count()).collect();
    let serving = Serving {
        output,
        copies: share.copies,
        screen,
        client,
        tracker,
        torrents,
        own,
        inbox,
        recipients: Recipients::new(pieces),
        seeding: 0,
        failed: None,
    };
    serving.begin(&shared, &lines, share.qr)?;
    serving.inbox.end_at(signals);
    serving.inbox.report_at(signals);
    streams::detach().map_err(Failure::no_thread)?;
    serving.run()
}

fn start_client(share: &ShareSettings, torrents: usize) -> Result<Client, Failure> {
    let several = torrents.clamp(1, 10) as u32;
    let config = Config::default().bind(share.listen.bind).up_limit(share.up).max_peers(MAX_PEERS * several);
    Ok(Client::start(match share.listen.port {
        Some(port) => config.port(port).port_required(true),
        None => config,
    })?)
}
