//! The status line and the plain lines between: progress as text. Pure.
//!
//! Invariant: [`live`] is never longer than the columns it is given. If room is short, the least important
//! parts are left out first: upload, peers, the bar, the time left, the rate.

use bitwren::{Phase, Progress};

use super::units;

/// The bar's width.
const BAR: std::ops::RangeInclusive<usize> = 8..=32;

/// Several torrents taken together.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Where they stand as if they were one.
    pub sum: Progress,
    /// How many have everything.
    pub finished: usize,
    /// How many there are.
    pub torrents: usize,
    /// Nodes of the DHT that are known, where peers are looked for in it.
    pub dht: Option<u32>,
}

impl View {
    /// Takes together what is running.
    pub fn of(all: &[Progress]) -> Self {
        let mut view = View { torrents: all.len(), ..View::default() };
        let sum = &mut view.sum;
        for one in all {
            view.finished += usize::from(one.is_finished());
            sum.total = sum.total.saturating_add(one.total);
            sum.wanted = sum.wanted.saturating_add(one.wanted);
            sum.verified = sum.verified.saturating_add(one.verified);
            sum.pieces = sum.pieces.saturating_add(one.pieces);
            sum.pieces_total = sum.pieces_total.saturating_add(one.pieces_total);
            sum.metadata = sum.metadata.saturating_add(one.metadata);
            sum.metadata_total = sum.metadata_total.saturating_add(one.metadata_total);
            sum.checked = sum.checked.saturating_add(one.checked);
            sum.uploaded = sum.uploaded.saturating_add(one.uploaded);
            sum.uploaded_before = sum.uploaded_before.saturating_add(one.uploaded_before);
            sum.downloaded = sum.downloaded.saturating_add(one.downloaded);
            sum.down_rate = sum.down_rate.saturating_add(one.down_rate);
            sum.up_rate = sum.up_rate.saturating_add(one.up_rate);
            sum.peers = sum.peers.saturating_add(one.peers);
            sum.known = sum.known.saturating_add(one.known);
        }
        sum.phase = overall(all);
        view
    }

    /// How many nodes of the DHT are known, where that is what peers wait for.
    fn nodes(&self) -> Option<String> {
        let searching = matches!(self.sum.phase, Phase::FetchingMetadata | Phase::Downloading)
            && (self.sum.peers == 0 || self.sum.phase == Phase::FetchingMetadata);
        self.dht.filter(|_| searching).map(|nodes| format!("DHT {}", units::count(nodes.into(), "node")))
    }
}

/// What several torrents are doing together: whatever still has to come counts most.
fn overall(all: &[Progress]) -> Phase {
    let order = [
        Phase::Downloading,
        Phase::FetchingMetadata,
        Phase::Checking,
        Phase::Stalled,
        Phase::Queued,
        Phase::Seeding,
        Phase::Paused,
        Phase::Failed,
    ];
    let doing = |phase: &Phase| all.iter().any(|one| one.phase == *phase);
    order.into_iter().find(doing).unwrap_or(Phase::Stopped)
}

/// A part of the line and how much it matters; 0 is the bar, which has no text yet.
struct Part(u8, String);

/// The line for `columns` columns.
pub fn live(view: &View, columns: usize, utf8: bool) -> String {
    let sum = &view.sum;
    let up = if utf8 { "↑" } else { "up" };
    let up_rate = Part(1, format!("{up} {}", units::rate(sum.up_rate)));
    let peers = Part(2, units::count(sum.peers.into(), "peer"));
    let mut parts = Vec::new();
    if view.torrents > 1 {
        parts.push(Part(3, format!("{}/{} done", view.finished, view.torrents)));
    }
    let part = match sum.phase {
        Phase::FetchingMetadata => {
            parts.push(Part(6, metadata(sum)));
            parts.extend([peers, Part(1, format!("{} known", sum.known))]);
            parts.extend(view.nodes().map(|nodes| Part(2, nodes)));
            0.0
        }
        Phase::Checking => {
            parts.push(Part(5, "checking".to_owned()));
            parts.push(Part(6, percent(sum.checked.into(), sum.pieces_total.into())));
            parts.push(Part(0, String::new()));
            ratio(sum.checked.into(), sum.pieces_total.into())
        }
        Phase::Seeding => {
            let sent = format!("{} sent, ratio {}", units::size(sum.uploaded), units::fixed(sum.ratio(), 2));
            parts.extend([Part(6, "seeding".to_owned()), Part(5, up_rate.1), peers, Part(1, sent)]);
            0.0
        }
        Phase::Stalled => {
            parts.push(Part(6, percent(sum.verified, sum.wanted)));
            parts.push(Part(5, "waiting for the disk".to_owned()));
            0.0
        }
        Phase::Queued => {
            parts.push(Part(6, percent(sum.verified, sum.wanted)));
            parts.push(Part(5, "queued".to_owned()));
            0.0
        }
        _ => {
            parts.push(Part(6, percent(sum.verified, sum.wanted)));
            parts.push(Part(0, String::new()));
            parts.push(Part(5, units::rate(sum.down_rate)));
            if let Some(eta) = sum.eta() {
                parts.push(Part(4, format!("ETA {}", units::duration(eta))));
            }
            parts.push(peers);
            parts.extend(view.nodes().map(|nodes| Part(1, nodes)));
            parts.push(up_rate);
            ratio(sum.verified, sum.wanted)
        }
    };
    fit(parts, columns, part, utf8)
}

/// Drops what matters least until the rest fits, and gives the bar the room that is left.
fn fit(mut parts: Vec<Part>, columns: usize, ratio: f64, utf8: bool) -> String {
    let wide = |parts: &[Part]| {
        let text: usize = parts.iter().map(|Part(_, text)| text.chars().count()).sum();
        text + 2 * parts.len().saturating_sub(1)
    };
    let has_bar = |parts: &[Part]| parts.iter().any(|Part(weight, _)| *weight == 0);
    // The bar goes before the rate and the time left, but after the peers.
    let weight = |part: &Part| if part.0 == 0 { 7 } else { part.0 * 2 };
    while wide(&parts) + if has_bar(&parts) { *BAR.start() } else { 0 } > columns {
        match parts.iter().enumerate().min_by_key(|(_, part)| weight(part)) {
            Some((least, _)) if parts.len() > 1 => drop(parts.remove(least)),
            _ => break,
        }
    }
    let room = columns.saturating_sub(wide(&parts)).min(*BAR.end());
    let texts: Vec<String> = parts
        .into_iter()
        .map(|Part(weight, text)| if weight == 0 { bar(ratio, room, utf8) } else { text })
        .collect();
    texts.join("  ").chars().take(columns).collect()
}

/// A bar of `columns` columns, its ends included.
pub fn bar(ratio: f64, columns: usize, utf8: bool) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let inner = columns.saturating_sub(2);
    let eighths = ((ratio.clamp(0.0, 1.0) * (inner * 8) as f64) as usize).min(inner * 8);
    let full = eighths / 8;
    if !utf8 {
        return format!("[{}{}]", "#".repeat(full), "-".repeat(inner - full));
    }
    let rest = EIGHTHS[eighths % 8];
    let blank = inner - full - usize::from(!rest.is_empty());
    format!("▕{}{rest}{}▏", "█".repeat(full), " ".repeat(blank))
}

/// A plain line about everything, without a name.
pub fn plain_all(view: &View) -> String {
    let all = match view.torrents {
        0 | 1 => String::new(),
        several => format!("{several} torrents, {} done: ", view.finished),
    };
    let nodes = view.nodes().map_or_else(String::new, |nodes| format!(", {nodes}"));
    format!("{all}{}{nodes}", plain(&view.sum))
}

/// A plain line about one torrent, without its name.
pub fn plain(progress: &Progress) -> String {
    match progress.phase {
        Phase::Stalled => format!(
            "{} of {}, waiting for the disk",
            percent(progress.verified, progress.wanted).trim_start(),
            units::size(progress.wanted)
        ),
        Phase::FetchingMetadata => {
            format!("{}, {}", metadata(progress), units::count(progress.peers.into(), "peer"))
        }
        Phase::Queued => "queued".to_owned(),
        Phase::Checking => {
            format!(
                "checking, {} hashed",
                percent(progress.checked.into(), progress.pieces_total.into()).trim_start()
            )
        }
        Phase::Seeding => format!(
            "seeding to {} at {}, {} sent",
            units::count(progress.peers.into(), "peer"),
            units::rate(progress.up_rate),
            units::size(progress.uploaded)
        ),
        _ => {
            let eta =
                progress.eta().map_or_else(String::new, |eta| format!(", {} left", units::duration(eta)));
            format!(
                "{} of {} at {}{eta}, {}",
                percent(progress.verified, progress.wanted).trim_start(),
                units::size(progress.wanted),
                units::rate(progress.down_rate),
                units::count(progress.peers.into(), "peer")
            )
        }
    }
}

/// How far the metadata of a magnet link is.
fn metadata(progress: &Progress) -> String {
    match progress.metadata_total {
        0 => "looking for the metadata".to_owned(),
        all => format!(
            "metadata {} of {}",
            percent(progress.metadata.into(), all.into()).trim_start(),
            units::size(all.into())
        ),
    }
}

/// Percent with a tenth, rounded down, so that 100.0% is all of it.
pub fn percent(part: u64, whole: u64) -> String {
    let permille = permille(part, whole);
    format!("{:>3}.{}%", permille / 10, permille % 10)
}

/// Thousandths, rounded down; all of nothing is everything.
pub fn permille(part: u64, whole: u64) -> u64 {
    if whole == 0 { 1000 } else { (u128::from(part.min(whole)) * 1000 / u128::from(whole)) as u64 }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::with;

    fn downloading() -> View {
        View::of(&[with(Progress::default(), |it| {
            it.phase = Phase::Downloading;
            it.total = 1 << 30;
            it.wanted = 1 << 30;
            it.verified = 3 << 28;
            it.down_rate = 12 << 20;
            it.up_rate = 1 << 20;
            it.peers = 5;
        })])
    }

    #[test]
    fn a_wide_window_shows_everything() {
        assert_eq!(
            live(&downloading(), 90, true),
            " 75.0%  ▕██████████████████████▌       ▏  12.0 MiB/s  ETA 22s  5 peers  ↑ 1.00 MiB/s"
        );
        assert_eq!(
            live(&downloading(), 70, false),
            " 75.0%  [###########----]  12.0 MiB/s  ETA 22s  5 peers  up 1.00 MiB/s"
        );
    }

    #[test]
    fn what_matters_least_goes_first() {
        let at = |columns| live(&downloading(), columns, false);
        assert_eq!(at(50), " 75.0%  [#######---]  12.0 MiB/s  ETA 22s  5 peers");
        assert_eq!(at(40), " 75.0%  [######---]  12.0 MiB/s  ETA 22s");
        assert_eq!(at(29), " 75.0%  12.0 MiB/s  ETA 22s");
        assert_eq!(at(20), " 75.0%  12.0 MiB/s");
        assert_eq!((at(7), at(3), at(0)), (" 75.0%".into(), " 75".into(), String::new()));
    }

    #[test]
    fn no_line_is_longer_than_the_window() {
        let extreme = with(Progress::default(), |it| {
            it.wanted = u64::MAX;
            it.verified = u64::MAX / 3;
            it.down_rate = u64::MAX;
            it.up_rate = u64::MAX;
            it.uploaded = u64::MAX;
            it.peers = u32::MAX;
            it.pieces_total = u32::MAX;
            it.metadata_total = u32::MAX;
            it.known = u32::MAX;
            it.checked = u32::MAX - 1;
        });
        for phase in [
            Phase::FetchingMetadata,
            Phase::Queued,
            Phase::Checking,
            Phase::Downloading,
            Phase::Seeding,
            Phase::Stalled,
            Phase::Paused,
            Phase::Failed,
        ] {
            for torrents in 1..3 {
                let view = View::of(&vec![with(extreme.clone(), |it| it.phase = phase); torrents]);
                for columns in 0..200 {
                    for utf8 in [false, true] {
                        let line = live(&view, columns, utf8);
                        assert!(line.chars().count() <= columns, "{columns}: {line:?}");
                        assert!(utf8 || line.is_ascii(), "{line:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn who_has_no_peers_is_told_of_the_nodes_that_could_know_some() {
        let mut view = View { dht: Some(3), ..downloading() };
        assert!(!live(&view, 200, false).contains("DHT") && !plain_all(&view).contains("DHT"));
        view.sum.peers = 0;
        assert!(live(&view, 200, false).contains("  0 peers  DHT 3 nodes  "));
        view.sum.phase = Phase::FetchingMetadata;
        view.dht = Some(0);
        assert_eq!(live(&view, 200, false), "looking for the metadata  0 peers  0 known  DHT 0 nodes");
        assert_eq!(plain_all(&view), "looking for the metadata, 0 peers, DHT 0 nodes");
    }

    #[test]
    fn several_torrents_have_one_line() {
        let mut view = View { torrents: 3, finished: 1, ..downloading() };
        assert_eq!(
            plain_all(&view),
            "3 torrents, 1 done: 75.0% of 1.00 GiB at 12.0 MiB/s, 22s left, 5 peers"
        );
        view.sum.phase = Phase::Stalled;
        assert_eq!(plain_all(&view), "3 torrents, 1 done: 75.0% of 1.00 GiB, waiting for the disk");
    }

    #[test]
    fn the_bar_moves_by_eighths() {
        assert_eq!(bar(0.0, 4, true), "▕  ▏");
        assert_eq!(bar(0.5, 3, true), "▕▌▏");
        assert_eq!(bar(1.0, 4, true), "▕██▏");
        assert_eq!(bar(7.0, 4, false), "[##]");
        assert_eq!(bar(0.999, 4, false), "[#-]");
    }

    #[test]
    fn a_hundred_percent_is_all_of_it() {
        assert_eq!(percent(9999, 10_000), " 99.9%");
        assert_eq!(
            (percent(5, 5), percent(0, 0), percent(1, u64::MAX)),
            ("100.0%".into(), "100.0%".into(), "  0.0%".into())
        );
    }

    #[test]
    fn plain_lines_say_it_in_words() {
        assert_eq!(plain(&downloading().sum), "75.0% of 1.00 GiB at 12.0 MiB/s, 22s left, 5 peers");
        let checking = with(Progress::default(), |it| {
            it.checked = 1;
            it.pieces_total = 4;
        });
        let queued = with(Progress::default(), |it| it.phase = Phase::Queued);
        assert_eq!(plain(&queued), "queued");
        assert_eq!(overall(&[queued, checking.clone()]), Phase::Checking);
        assert_eq!(plain(&checking), "checking, 25.0% hashed");
        let seeding = with(Progress::default(), |it| {
            it.phase = Phase::Seeding;
            it.peers = 1;
            it.uploaded = 2048;
        });
        assert_eq!(plain(&seeding), "seeding to 1 peer at 0 B/s, 2.00 KiB sent");
        assert_eq!(overall(&[seeding.clone(), checking]), Phase::Checking);
        assert_eq!(overall(&[]), Phase::Stopped);
    }
}
