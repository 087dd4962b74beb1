//! Events of a torrent as lines: for people with a tone, for programs as JSON. Pure.

use std::time::Duration;

use bitwren::{Encryption, EventKind, InfoHash, Phase, Progress};

use super::json::json_line;
use super::screen::{Tone, Verbosity};
use super::{status, units};
use crate::cli::exit::Code;

/// The line for people about an event; `None` if it has none at this verbosity. `news` is false if a
/// tracker repeats itself. The caller prints completion and failure, as it knows more about the run.
pub fn line(what: &EventKind, news: bool, verbosity: Verbosity) -> Option<(Tone, String)> {
    let verbose = verbosity == Verbosity::Verbose;
    let plain = |text: String| Some((Tone::Plain, text));
    let warning = |text: String| Some((Tone::Warning, text));
    match what {
        EventKind::Metadata { kept: true, .. } if verbose => {
            plain("using the metadata saved by an earlier run".to_owned())
        }
        EventKind::Metadata { bytes, .. } if verbose => {
            plain(format!("metadata received, {}", units::size((*bytes).into())))
        }
        EventKind::Queued if verbose => plain("queued".to_owned()),
        EventKind::Checking if verbose => plain("checking existing data".to_owned()),
        EventKind::Checked { have, of } if *have > 0 || verbose => {
            plain(format!("{have} of {} are already there", units::count((*of).into(), "piece")))
        }
        EventKind::Note { what } => warning(what.clone()),
        EventKind::StorageFailed { why, .. } => warning(format!("{why}; waiting to retry")),
        EventKind::StorageRecovered => plain("the disk works again; continuing".to_owned()),
        EventKind::TrackerAnswered { url, warning: Some(said), .. } if news || verbose => {
            warning(format!("{url} warns: {said}"))
        }
        EventKind::TrackerFailed { url, why, retry } if news || verbose => {
            let next = retry.map_or("not tried again".to_owned(), |retry| {
                format!("next try in {}", units::duration(retry))
            });
            warning(format!("{}; {next}", about(url, why)))
        }
        EventKind::TrackerSilent { url, waited } if news || verbose => {
            warning(format!("{url} does not answer yet, after {}", units::duration(*waited)))
        }
        EventKind::TrackerAnswered { url, peers, interval, .. } if news || verbose => plain(format!(
            "{url} knows {}, next announce in {}",
            units::count((*peers).into(), "peer"),
            units::duration(*interval)
        )),
        EventKind::DeviceLost { why, .. } => warning(format!("{why}; nothing is sent until it is up")),
        EventKind::ProxyLost { proxy, why } => warning(format!("{proxy}: {why}; nothing goes another way")),
        EventKind::ProxyFound { proxy } => plain(format!("{proxy} works again; continuing")),
        EventKind::DeviceFound { device } => plain(format!("the network device {device} is up; continuing")),
        EventKind::SeedingDone { why } => plain(format!("seeding ended: --seed-{why} is reached")),
        EventKind::PeerBanned { peer, violation } if verbose => {
            warning(format!("{peer} is banned: {violation}"))
        }
        EventKind::PieceFailed { index, contributors } if verbose => warning(format!(
            "piece {index} from {} does not match its hash",
            units::count((*contributors).into(), "peer")
        )),
        EventKind::PeerConnected { peer, incoming, encryption } if verbose => {
            let to_us = if *incoming { " to us" } else { "" };
            let encrypted = match encryption {
                Encryption::None => "",
                Encryption::Handshake => ", handshake encrypted",
                _ => ", encrypted",
            };
            plain(format!("{peer} connected{to_us}{encrypted}"))
        }
        EventKind::PeerGone { peer, why, .. } if verbose => plain(format!("{peer} disconnected: {why}")),
        _ => None,
    }
}

/// What became of a file that another program changed, after its name.
pub fn changed(gone: bool, lost: u32, of: u32, again: bool) -> String {
    let what = if gone { "was removed" } else { "was changed" };
    let pieces = units::count(of.into(), "piece");
    match (lost, again) {
        (0, _) => "was touched by another program; its contents are as they were".to_owned(),
        (_, true) => format!("{what} by another program: {lost} of {pieces} are downloaded again"),
        (_, false) => {
            format!("{what} while it was seeded: {lost} of {pieces} are wrong and no longer offered")
        }
    }
}

/// A reason with the URL it is about, once.
fn about(url: &str, why: &str) -> String {
    if why.contains(url) { why.to_owned() } else { format!("{url}: {why}") }
}

/// The JSON line about an event that concerns all torrents.
pub fn network_json(what: &EventKind) -> Option<String> {
    let line = match what {
        EventKind::DeviceLost { device, why } => {
            json_line("device_lost").text("device", device).text("why", why)
        }
        EventKind::DeviceFound { device } => json_line("device_found").text("device", device),
        EventKind::ProxyLost { proxy, why } => json_line("proxy_lost").text("proxy", proxy).text("why", why),
        EventKind::ProxyFound { proxy } => json_line("proxy_found").text("proxy", proxy),
        _ => return None,
    };
    Some(line.end())
}

/// The JSON line about an event; `None` if it has none at this verbosity.
pub fn json(torrent: InfoHash, what: &EventKind, verbosity: Verbosity) -> Option<String> {
    let verbose = verbosity == Verbosity::Verbose;
    let line = |event| json_line(event).text("torrent", &torrent.to_string());
    let line = match what {
        EventKind::Metadata { name, bytes, kept } => {
            line("metadata").text("name", name).number("bytes", (*bytes).into()).flag("kept", *kept)
        }
        EventKind::Queued => line("queued"),
        EventKind::Checking => line("checking"),
        EventKind::Checked { have, of } => {
            line("checked").number("have", (*have).into()).number("of", (*of).into())
        }
        EventKind::Note { what } => line("note").text("what", what),
        EventKind::Started => line("started"),
        EventKind::Piece { index } if verbose => line("piece").number("index", (*index).into()),
        EventKind::Finished { took } => line("finished").seconds("took", *took),
        EventKind::PieceFailed { index, contributors } => line("piece_failed")
            .number("index", (*index).into())
            .number("contributors", (*contributors).into()),
        EventKind::PeerConnected { peer, incoming, encryption } if verbose => line("peer_connected")
            .text("peer", &peer.to_string())
            .flag("incoming", *incoming)
            .text("encryption", &encryption.to_string()),
        EventKind::PeerGone { peer, why, .. } if verbose => {
            line("peer_gone").text("peer", &peer.to_string()).text("why", &why.to_string())
        }
        EventKind::PeerBanned { peer, violation } => {
            line("peer_banned").text("peer", &peer.to_string()).text("why", &violation.to_string())
        }
        EventKind::TrackerAnswered { url, peers, interval, warning } => line("tracker")
            .text("url", url)
            .number("peers", (*peers).into())
            .seconds("interval", *interval)
            .text_if("warning", warning.as_deref()),
        EventKind::TrackerFailed { url, why, retry } => {
            let line = line("tracker_failed").text("url", url).text("why", why);
            match retry {
                Some(retry) => line.seconds("retry", *retry),
                None => line,
            }
        }
        EventKind::TrackerSilent { url, waited } => {
            line("tracker_silent").text("url", url).seconds("waited", *waited)
        }
        EventKind::StorageFailed { kind, why } => {
            line("storage_failed").text("why", why).number("exit", Code::of(*kind).0.into())
        }
        EventKind::StorageRecovered => line("storage_recovered"),
        EventKind::Paused => line("paused"),
        EventKind::Resumed => line("resumed"),
        EventKind::SeedingDone { why } => line("seeding_done").text("why", &why.to_string()),
        EventKind::Failed { kind, why } => {
            line("failed").text("why", why).number("exit", Code::of(*kind).0.into())
        }
        _ => return None,
    };
    Some(line.end())
}

/// The JSON line about a torrent's progress.
pub fn progress(torrent: InfoHash, progress: &Progress) -> String {
    let line = json_line("progress")
        .text("torrent", &torrent.to_string())
        .text("phase", phase(progress.phase))
        .number("total", progress.total)
        .number("wanted", progress.wanted)
        .number("verified", progress.verified)
        .number("pieces", progress.pieces.into())
        .number("pieces_total", progress.pieces_total.into())
        .number("checked", progress.checked.into())
        .number("downloaded", progress.downloaded)
        .number("uploaded", progress.uploaded)
        .number("wasted", progress.wasted)
        .number("down_rate", progress.down_rate)
        .number("up_rate", progress.up_rate)
        .number("peers", progress.peers.into())
        .number("seeds", progress.seeds.into())
        .number("known", progress.known.into())
        .number("blocked", progress.blocked)
        .number("metadata", progress.metadata.into())
        .number("metadata_total", progress.metadata_total.into())
        .seconds("elapsed", progress.elapsed);
    match progress.eta().filter(|_| !progress.is_finished()) {
        Some(eta) => line.seconds("eta", eta).end(),
        None => line.end(),
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::FetchingMetadata => "metadata",
        Phase::Queued => "queued",
        Phase::Checking => "checking",
        Phase::Downloading => "downloading",
        Phase::Seeding => "seeding",
        Phase::Paused => "paused",
        Phase::Stalled => "stalled",
        Phase::Failed => "failed",
        _ => "stopped",
    }
}

/// The closing line about a download: its size, how much of it was downloaded in this run, time, mean
/// rate, peers, waste and upload.
pub fn closing(size: u64, took: Duration, progress: &Progress, peers: u64) -> String {
    if (1..size).contains(&progress.wanted) {
        // Only existing pieces are wanted, as by `seed --partial`.
        return format!("{} of {} available", units::size(progress.wanted), units::size(size));
    }
    let mut line = format!("complete, {}", units::size(size));
    if progress.downloaded > 0 {
        let came = progress.downloaded.saturating_sub(progress.wasted);
        if came < size {
            line.push_str(&format!(", {} downloaded", units::size(came)));
        }
        line.push_str(&format!(" in {}", units::took(took)));
        // Over a very short time a rate means nothing.
        if took >= MIN_TIME_FOR_RATE {
            line.push_str(&format!(" at {}", units::rate(mean_rate(progress.downloaded, took))));
        }
        line.push_str(&format!(", {}", units::count(peers, "peer")));
    } else {
        line.push_str(", already there");
    }
    if progress.wasted > 0 {
        line.push_str(&format!(", {} wasted", units::size(progress.wasted)));
    }
    if progress.uploaded > 0 {
        line.push_str(&format!(", {}", sent(progress)));
    }
    line
}

/// The shortest download whose mean rate is printed.
const MIN_TIME_FOR_RATE: Duration = Duration::from_millis(100);

/// The last line about an incomplete torrent: its progress, and whether that is saved.
pub fn stopped(progress: &Progress, failed: bool, keeps: bool) -> String {
    let done = status::percent(progress.verified, progress.wanted);
    let what = if failed { "failed" } else { "stopped" };
    let kept = match () {
        () if progress.saved => ", state saved",
        () if !keeps => ", no state kept",
        () if progress.verified == 0 => "",
        () => ", state not saved",
    };
    format!("{what} at {}{kept}", done.trim_start())
}

/// The last line about a torrent that was seeded: the upload of this run and, if there were earlier
/// ones, of all runs.
pub fn sent(progress: &Progress) -> String {
    let all = match progress.uploaded_before {
        0 => String::new(),
        before => format!(", {} in all", units::size(progress.uploaded.saturating_add(before))),
    };
    format!("{} sent{all}, ratio {}", units::size(progress.uploaded), units::fixed(progress.ratio(), 2))
}

/// Bytes a second over a whole download.
pub fn mean_rate(bytes: u64, took: Duration) -> u64 {
    (bytes as f64 / took.as_secs_f64().max(0.001)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::with;
    use bitwren::ErrorKind;

    const HASH: InfoHash = InfoHash::from_bytes([0xab; 20]);

    #[test]
    fn what_is_only_for_the_verbose_is_kept_from_others() {
        let gone = EventKind::PieceFailed { index: 3, contributors: 1 };
        assert_eq!(line(&gone, true, Verbosity::Normal), None);
        let (tone, text) = line(&gone, true, Verbosity::Verbose).unwrap();
        assert_eq!((tone, text.as_str()), (Tone::Warning, "piece 3 from 1 peer does not match its hash"));
        assert_eq!(json(HASH, &EventKind::Piece { index: 1 }, Verbosity::Normal), None);
    }

    #[test]
    fn a_failing_tracker_is_named_once() {
        let failed = |why: &str| {
            let (url, retry) = ("udp://t:1".to_owned(), Some(Duration::from_secs(15)));
            let failed = EventKind::TrackerFailed { url, why: why.into(), retry };
            assert_eq!(line(&failed, false, Verbosity::Normal), None);
            line(&failed, true, Verbosity::Normal).unwrap().1
        };
        assert_eq!(failed("no answer"), "udp://t:1: no answer; next try in 15s");
        assert_eq!(failed("udp://t:1 is silent"), "udp://t:1 is silent; next try in 15s");
    }

    #[test]
    fn a_tracker_that_is_not_tried_again_has_no_time_for_it() {
        let (url, why) = ("udp://t:1".to_owned(), "go away".to_owned());
        let failed = EventKind::TrackerFailed { url, why, retry: None };
        let text = line(&failed, true, Verbosity::Normal).unwrap().1;
        assert_eq!(text, "udp://t:1: go away; not tried again");
        let told = json(HASH, &failed, Verbosity::Normal).unwrap();
        assert!(told.ends_with(r#""url":"udp://t:1","why":"go away"}"#), "{told}");
    }

    #[test]
    fn failures_carry_their_exit_code() {
        let failed = EventKind::Failed { kind: ErrorKind::DiskFull, why: "full".into() };
        let hash = "ab".repeat(20);
        assert_eq!(
            json(HASH, &failed, Verbosity::Quiet).unwrap(),
            format!(r#"{{"v":1,"event":"failed","torrent":"{hash}","why":"full","exit":9}}"#)
        );
    }

    #[test]
    fn progress_is_a_line_of_numbers() {
        let moving = with(Progress::default(), |it| {
            it.phase = Phase::Downloading;
            it.wanted = 10;
            it.verified = 5;
            it.down_rate = 5;
        });
        let line = progress(HASH, &moving);
        assert!(line.starts_with(r#"{"v":1,"event":"progress","torrent":"abab"#), "{line}");
        assert!(line.ends_with(r#""elapsed":0.000,"eta":1.000}"#), "{line}");
    }

    #[test]
    fn the_last_line_says_what_became_of_the_state() {
        let half = with(Progress::default(), |it| {
            it.wanted = 10;
            it.verified = 5;
        });
        let saved = with(half.clone(), |it| it.saved = true);
        assert_eq!(stopped(&saved, false, true), "stopped at 50.0%, state saved");
        assert_eq!(stopped(&half, false, true), "stopped at 50.0%, state not saved");
        assert_eq!(stopped(&half, true, false), "failed at 50.0%, no state kept");
        let nothing = with(Progress::default(), |it| it.wanted = 10);
        assert_eq!(stopped(&nothing, true, true), "failed at 0.0%");
    }

    #[test]
    fn the_ratio_is_that_of_all_sessions() {
        let now = with(Progress::default(), |it| {
            it.wanted = 1024;
            it.uploaded = 512;
        });
        assert_eq!(sent(&now), "512 B sent, ratio 0.50");
        let before = with(now, |it| it.uploaded_before = 1024);
        assert_eq!(sent(&before), "512 B sent, 1.50 KiB in all, ratio 1.50");
    }

    #[test]
    fn the_closing_line_tells_size_time_rate_and_waste() {
        let took = Duration::from_secs(2);
        let progress = with(Progress::default(), |it| {
            it.downloaded = 4 << 20;
            it.wasted = 1024;
        });
        assert_eq!(
            closing(3 << 20, took, &progress, 2),
            "complete, 3.00 MiB in 2.0s at 2.00 MiB/s, 2 peers, 1.00 KiB wasted"
        );
        let few = with(Progress::default(), |it| {
            it.downloaded = 32 << 10;
            it.uploaded = 3 << 20;
            it.wanted = 3 << 20;
        });
        assert_eq!(
            closing(3 << 20, Duration::from_millis(3), &few, 1),
            "complete, 3.00 MiB, 32.0 KiB downloaded in 0.0s, 1 peer, 3.00 MiB sent, ratio 1.00"
        );
        assert_eq!(closing(5, took, &Progress::default(), 0), "complete, 5 B, already there");
        let partial = with(Progress::default(), |it| it.wanted = 1024);
        assert_eq!(closing(4096, took, &partial, 0), "1.00 KiB of 4.00 KiB available");
    }
}
