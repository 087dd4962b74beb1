//! The fields of torrent-get: how each is written.
//!
//! What costs much is asked for once a torrent, and only if a field needs it.

use std::cell::OnceCell;
use std::io;

use super::keys;
use super::mime;
use super::peers;
use super::reply::Reply;
use super::tracker_fields;
use super::tracker_list;
use crate::Magnet;
use crate::base64;
use crate::daemon::command::Backend;
use crate::daemon::settings::{LimitMode, Priority};
use crate::daemon::view::{Eta, FileState, PiecesState, Status, TorrentView, TrackerState, Trouble};

/// A torrent that is being written.
pub struct Torrent<'b> {
    view: TorrentView,
    backend: &'b dyn Backend,
    files: OnceCell<Vec<FileState>>,
    pieces: OnceCell<PiecesState>,
    trackers: OnceCell<Vec<TrackerState>>,
}

impl<'b> Torrent<'b> {
    /// A torrent of which nothing dear is known yet.
    pub fn new(view: TorrentView, backend: &'b dyn Backend) -> Self {
        let (files, pieces, trackers) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Torrent { view, backend, files, pieces, trackers }
    }

    fn files(&self) -> &[FileState] {
        self.files.get_or_init(|| self.backend.files(self.view.id))
    }

    fn pieces(&self) -> &PiecesState {
        self.pieces.get_or_init(|| self.backend.pieces(self.view.id))
    }

    fn trackers(&self) -> &[TrackerState] {
        self.trackers.get_or_init(|| self.backend.trackers(self.view.id))
    }

    fn magnet_link(&self) -> String {
        let facts = &self.view.facts;
        let mut magnet = Magnet::new(facts.info_hash);
        magnet.name = Some(facts.name.clone());
        magnet.trackers = self.view.trackers.iter().map(|tracker| tracker.announce.clone()).collect();
        magnet.web_seeds.clone_from(&facts.web_seeds);
        magnet.to_string()
    }
}

/// A field.
pub struct Field {
    /// Its name in JSON-RPC.
    pub name: &'static str,
    /// Writes its value.
    pub write: fn(&mut Reply, &Torrent) -> io::Result<()>,
}

impl Field {
    /// Whether it has this name in either dialect.
    pub fn is_called(&self, name: &str) -> bool {
        name == self.name || name == keys::legacy_field(self.name)
    }
}

const fn field(name: &'static str, write: fn(&mut Reply, &Torrent) -> io::Result<()>) -> Field {
    Field { name, write }
}

/// All fields, by name.
#[rustfmt::skip]
pub const FIELDS: &[Field] = &[
    field("activity_date", |reply, t| reply.put(t.view.active)),
    field("added_date", |reply, t| reply.put(t.view.added)),
    field("availability", write_availability),
    field("bandwidth_priority", |reply, t| reply.put(priority(t.view.settings.bandwidth_priority))),
    field("bytes_completed", |reply, t| reply.values(t.files().iter().map(|file| file.completed))),
    field("comment", |reply, t| reply.put(&t.view.facts.comment)),
    field("corrupt_ever", |reply, t| reply.put(t.view.corrupt)),
    field("creator", |reply, t| reply.put(&t.view.facts.creator)),
    field("date_created", |reply, t| reply.put(t.view.facts.created)),
    field("desired_available", |reply, t| reply.put(t.view.desired_available)),
    field("done_date", |reply, t| reply.put(t.view.done)),
    field("download_dir", |reply, t| reply.put(&t.view.download_dir)),
    field("download_limit", |reply, t| reply.put(t.view.settings.download_limit)),
    field("download_limited", |reply, t| reply.put(t.view.settings.download_limited)),
    field("downloaded_ever", |reply, t| reply.put(t.view.downloaded)),
    field("edit_date", |reply, t| reply.put(t.view.edited)),
    field("error", |reply, t| reply.put(trouble(&t.view.trouble).0)),
    field("error_string", |reply, t| reply.put(trouble(&t.view.trouble).1)),
    field("eta", |reply, t| reply.put(eta(t.view.eta))),
    field("eta_idle", |reply, t| reply.put(eta(t.view.eta_idle))),
    field("file_count", |reply, t| reply.put(t.view.facts.files.len() as u64)),
    field("file_stats", write_file_stats),
    field("files", write_files),
    field("group", |reply, t| reply.put(&t.view.settings.group)),
    field("hash_string", |reply, t| reply.put(&t.view.facts.info_hash.to_string())),
    field("have_unchecked", |reply, t| reply.put(t.view.unchecked)),
    field("have_valid", |reply, t| reply.put(t.view.verified)),
    field("honors_session_limits", |reply, t| reply.put(t.view.settings.honors_session_limits)),
    field("id", |reply, t| reply.put(t.view.id)),
    field("is_finished", |reply, t| reply.put(t.view.is_finished)),
    field("is_private", |reply, t| reply.put(t.view.facts.is_private)),
    field("is_stalled", |reply, t| reply.put(t.view.is_stalled)),
    field("labels", |reply, t| reply.values(&t.view.settings.labels)),
    field("left_until_done", |reply, t| reply.put(t.view.left)),
    field("magnet_link", |reply, t| reply.put(&t.magnet_link())),
    field("manual_announce_time", |reply, t| reply.put(some_time(t.view.next_manual_announce))),
    field("max_connected_peers", |reply, t| reply.put(t.view.settings.peer_limit)),
    field("metadata_percent_complete", |reply, t| reply.put(t.view.metadata_progress)),
    field("name", |reply, t| reply.put(&t.view.facts.name)),
    field("peer_limit", |reply, t| reply.put(t.view.settings.peer_limit)),
    field("peers", |reply, t| reply.list(&t.backend.peers(t.view.id), peers::write)),
    field("peers_connected", |reply, t| reply.put(t.view.peers.connected)),
    field("peers_from", |reply, t| peers::write_sources(reply, &t.view.peers.from)),
    field("peers_getting_from_us", |reply, t| reply.put(t.view.peers.getting_from_us)),
    field("peers_sending_to_us", |reply, t| reply.put(t.view.peers.sending_to_us)),
    field("percent_complete", |reply, t| reply.put(percent_complete(&t.view))),
    field("percent_done", |reply, t| reply.put(percent_done(&t.view))),
    field("piece_count", |reply, t| reply.put(t.view.facts.piece_count)),
    field("piece_size", |reply, t| reply.put(t.view.facts.piece_length)),
    field("pieces", |reply, t| reply.json().plain_text(|out| base64::write(&t.pieces().have, out))),
    field("primary_mime_type", |reply, t| reply.put(mime::of_most(&t.view.facts.files))),
    field("priorities", |reply, t| reply.values(t.files().iter().map(|file| priority(file.priority)))),
    field("queue_position", |reply, t| reply.put(t.view.queue_position)),
    field("rate_download", |reply, t| reply.put(t.view.rates.0)),
    field("rate_upload", |reply, t| reply.put(t.view.rates.1)),
    field("recheck_progress", |reply, t| reply.put(t.view.verify_progress)),
    field("seconds_downloading", |reply, t| reply.put(t.view.seconds_downloading)),
    field("seconds_seeding", |reply, t| reply.put(t.view.seconds_seeding)),
    field("seed_idle_limit", |reply, t| reply.put(t.view.settings.seed_idle_limit)),
    field("seed_idle_mode", |reply, t| reply.put(limit_mode(t.view.settings.seed_idle_mode))),
    field("seed_ratio_limit", |reply, t| reply.put(t.view.settings.seed_ratio_limit)),
    field("seed_ratio_mode", |reply, t| reply.put(limit_mode(t.view.settings.seed_ratio_mode))),
    field("sequential_download", |reply, t| reply.put(t.view.settings.sequential_download)),
    field("sequential_download_from_piece", |reply, t| reply.put(t.view.settings.sequential_download_from_piece)),
    field("size_when_done", |reply, t| reply.put(t.view.wanted)),
    field("source", |reply, t| reply.put(&t.view.facts.source)),
    field("start_date", |reply, t| reply.put(t.view.started)),
    field("status", |reply, t| reply.put(status(t.view.status))),
    field("torrent_file", |reply, t| reply.put(&t.view.facts.torrent_file)),
    field("total_size", |reply, t| reply.put(t.view.facts.size)),
    field("tracker_list", |reply, t| reply.put(&tracker_list::to_text(&t.view.trackers))),
    field("tracker_stats", |reply, t| tracker_fields::write_stats(reply, &t.view.trackers, t.trackers())),
    field("trackers", |reply, t| reply.list(&t.view.trackers[..], tracker_fields::write)),
    field("upload_limit", |reply, t| reply.put(t.view.settings.upload_limit)),
    field("upload_limited", |reply, t| reply.put(t.view.settings.upload_limited)),
    field("upload_ratio", |reply, t| reply.put(upload_ratio(&t.view))),
    field("uploaded_ever", |reply, t| reply.put(t.view.uploaded)),
    field("wanted", |reply, t| reply.wanted(t.files().iter().map(|file| file.wanted))),
    field("webseeds", |reply, t| reply.values(&t.view.facts.web_seeds)),
    field("webseeds_ex", write_web_seeds),
    field("webseeds_sending_to_us", |reply, t| reply.put(t.view.peers.web_seeds_sending)),
];

fn priority(priority: Priority) -> i64 {
    match priority {
        Priority::Low => -1,
        Priority::Normal => 0,
        Priority::High => 1,
    }
}

fn limit_mode(mode: LimitMode) -> u32 {
    match mode {
        LimitMode::Session => 0,
        LimitMode::Own => 1,
        LimitMode::Unlimited => 2,
    }
}

fn status(status: Status) -> u32 {
    match status {
        Status::Stopped => 0,
        Status::VerifyQueued => 1,
        Status::Verifying => 2,
        Status::DownloadQueued => 3,
        Status::Downloading => 4,
        Status::SeedQueued => 5,
        Status::Seeding => 6,
    }
}

fn trouble(trouble: &Trouble) -> (u32, &str) {
    match trouble {
        Trouble::None => (0, ""),
        Trouble::TrackerWarning(text) => (1, text),
        Trouble::TrackerError(text) => (2, text),
        Trouble::Local(text) => (3, text),
    }
}

fn eta(eta: Eta) -> i64 {
    match eta {
        Eta::NotApplicable => -1,
        Eta::Unknown => -2,
        Eta::Seconds(seconds) => i64::try_from(seconds).unwrap_or(i64::MAX),
    }
}

/// A time, or -1 for never.
fn some_time(time: u64) -> i64 {
    if time == 0 { -1 } else { i64::try_from(time).unwrap_or(i64::MAX) }
}

/// A share: exactly 1 if it is the whole.
fn share(part: u64, whole: u64) -> f64 {
    if part >= whole { 1.0 } else { part as f64 / whole as f64 }
}

fn percent_done(view: &TorrentView) -> f64 {
    if view.facts.piece_count == 0 { 0.0 } else { share(view.wanted.saturating_sub(view.left), view.wanted) }
}

fn percent_complete(view: &TorrentView) -> f64 {
    if view.facts.piece_count == 0 {
        0.0
    } else {
        share(view.verified.saturating_add(view.unchecked), view.facts.size)
    }
}

/// -1 if nothing can be said yet, -2 if it has no bound.
fn upload_ratio(view: &TorrentView) -> f64 {
    match (view.uploaded, view.wanted) {
        (0, 0) => -1.0,
        (_, 0) => -2.0,
        (uploaded, wanted) => uploaded as f64 / wanted as f64,
    }
}

/// Connected peers that have each piece; -1 for those we have.
fn write_availability(reply: &mut Reply, torrent: &Torrent) -> io::Result<()> {
    let pieces = torrent.pieces();
    let ours = |at: usize| pieces.have.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0);
    let counts = pieces.availability.iter().enumerate();
    reply.values(counts.map(|(at, &peers)| if ours(at) { -1 } else { i64::from(peers) }))
}

fn write_files(reply: &mut Reply, torrent: &Torrent) -> io::Result<()> {
    let files = torrent.view.facts.files.iter().zip(torrent.files());
    reply.list(files, |reply, (facts, state)| {
        reply.object(|reply| {
            reply.member("begin_piece", facts.first_piece)?;
            reply.member("bytes_completed", state.completed)?;
            reply.member("end_piece", facts.end_piece)?;
            reply.member("length", facts.length)?;
            reply.member("name", &facts.path)
        })
    })
}

fn write_file_stats(reply: &mut Reply, torrent: &Torrent) -> io::Result<()> {
    reply.list(torrent.files(), |reply, file| {
        reply.object(|reply| {
            reply.member("bytes_completed", file.completed)?;
            reply.member("priority", priority(file.priority))?;
            reply.member("wanted", file.wanted)
        })
    })
}

/// How fast each web seed sends is not known one by one.
fn write_web_seeds(reply: &mut Reply, torrent: &Torrent) -> io::Result<()> {
    let is_downloading = torrent.view.peers.web_seeds_sending > 0;
    reply.list(&torrent.view.facts.web_seeds, |reply, url| {
        reply.object(|reply| {
            reply.member("download_bytes_per_second", 0u32)?;
            reply.member("is_downloading", is_downloading)?;
            reply.member("url", url)
        })
    })
}
