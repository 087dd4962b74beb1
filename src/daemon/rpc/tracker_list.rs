//! Changes to the trackers of a torrent: added, removed and replaced, or a whole new list as text.
//!
//! It makes the list that the torrent has afterwards. A tracker that stays keeps its id and its place.

use super::args::Args;
use super::fault::{Code, Fault};
use crate::daemon::view::Tracker;
use crate::json::Value;
use crate::tracker::url::TrackerUrl;

/// Trackers of a torrent. Each that is added is compared with all others.
const MAX_TRACKERS: usize = 1000;

/// The trackers after the change, or nothing if none is asked for.
///
/// # Errors
/// An edit that changes nothing; a text with a line that is no URL of a tracker.
pub fn changed(args: Args, trackers: &[Tracker]) -> Result<Option<Vec<Tracker>>, Fault> {
    let mut list = trackers.to_vec();
    let mut is_asked = false;
    if let Some(urls) = args.list("tracker_add") {
        is_asked = true;
        edit(&mut list, |list| {
            for url in urls.iter().take(MAX_TRACKERS).filter_map(Value::as_text) {
                let tier = list.last().map_or(0, |last| last.tier.saturating_add(1));
                add(list, url, tier, trackers);
            }
        })?;
    }
    if let Some(ids) = args.list("tracker_remove") {
        is_asked = true;
        let ids: Vec<u32> = super::change::numbers(ids).collect();
        edit(&mut list, |list| list.retain(|tracker| !ids.contains(&tracker.id)))?;
    }
    if let Some(pairs) = args.list("tracker_replace") {
        is_asked = true;
        edit(&mut list, |list| {
            for pair in pairs.chunks_exact(2).take(MAX_TRACKERS) {
                if let (Some(id), Some(url)) = (super::args::number(&pair[0]), pair[1].as_text()) {
                    replace(list, id, url, trackers);
                }
            }
        })?;
    }
    if let Some(text) = args.text("tracker_list") {
        is_asked = true;
        list = from_text(text, trackers)?;
    }
    Ok(is_asked.then_some(list))
}

/// The list as clients edit it: a URL a line, an empty line between tiers.
pub fn to_text(trackers: &[Tracker]) -> String {
    let mut text = String::new();
    let mut tier = None;
    for tracker in trackers {
        if tier.replace(tracker.tier).is_some_and(|before| before != tracker.tier) {
            text.push('\n');
        }
        text.push_str(&tracker.announce);
        text.push('\n');
    }
    text
}

fn edit(list: &mut Vec<Tracker>, edit: impl FnOnce(&mut Vec<Tracker>)) -> Result<(), Fault> {
    let before = list.clone();
    edit(list);
    if *list == before { Err(Fault::bare(Code::AnnounceList)) } else { Ok(()) }
}

/// Puts a tracker at the end of the list, if there is room, and its URL is usable and not there yet.
fn add(list: &mut Vec<Tracker>, url: &str, tier: u32, old: &[Tracker]) {
    if list.len() >= MAX_TRACKERS {
        return;
    }
    if let Some(announce) = usable(url, list) {
        let id = free_id(list, old);
        list.push(Tracker { id, tier, announce });
    }
}

fn replace(list: &mut [Tracker], id: u32, url: &str, old: &[Tracker]) {
    if let (Some(announce), Some(at)) = (usable(url, list), list.iter().position(|tracker| tracker.id == id))
    {
        list[at] = Tracker { id: free_id(list, old), announce, ..list[at] };
    }
}

/// The URL, trimmed, if a tracker may be there and is not in the list yet.
fn usable(url: &str, list: &[Tracker]) -> Option<String> {
    let parsed = TrackerUrl::parse(url).ok()?;
    let is_there = list
        .iter()
        .filter_map(|tracker| TrackerUrl::parse(&tracker.announce).ok())
        .any(|other| other.is_same(&parsed));
    (!is_there).then(|| url.trim().to_owned())
}

/// An id that no tracker has, nor had before this change.
fn free_id(list: &[Tracker], old: &[Tracker]) -> u32 {
    list.iter().chain(old).map(|tracker| tracker.id).max().map_or(0, |highest| highest.saturating_add(1))
}

fn from_text(text: &str, old: &[Tracker]) -> Result<Vec<Tracker>, Fault> {
    let mut list: Vec<Tracker> = Vec::new();
    let mut tier = 0;
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            tier = list.last().map_or(0, |last: &Tracker| last.tier + 1);
            continue;
        }
        if TrackerUrl::parse(line).is_err() {
            return Err(Fault::bare(Code::TrackerList));
        }
        add(&mut list, line, tier, old);
    }
    for tracker in &mut list {
        if let Some(same) = old.iter().find(|old| old.announce == tracker.announce) {
            tracker.id = same.id;
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn trackers(text: &str) -> Vec<Tracker> {
        from_text(text, &[]).unwrap()
    }

    #[track_caller]
    fn after(list: &[Tracker], args: &str) -> Result<Option<Vec<Tracker>>, Code> {
        let args = json::parse(args.as_bytes()).unwrap();
        changed(Args::new(Some(&args)), list).map_err(|fault| fault.code)
    }

    fn told(list: &[Tracker]) -> Vec<(u32, u32, &str)> {
        list.iter().map(|tracker| (tracker.id, tracker.tier, &*tracker.announce)).collect()
    }

    #[test]
    fn a_text_has_a_tier_between_empty_lines() {
        let list = trackers("\nhttp://a/announce\n udp://b:1 \r\n\n\nhttps://c/x\n");
        assert_eq!(told(&list), [(0, 0, "http://a/announce"), (1, 0, "udp://b:1"), (2, 1, "https://c/x")]);
        assert_eq!(to_text(&list), "http://a/announce\nudp://b:1\n\nhttps://c/x\n");
        assert_eq!(after(&list, r#"{"trackerList":"no url"}"#), Err(Code::TrackerList));
        assert_eq!(after(&list, r#"{"tracker_list":""}"#), Ok(Some(vec![])));
        assert_eq!(after(&list, r#"{"labels":[]}"#), Ok(None));
    }

    #[test]
    fn trackers_that_stay_keep_their_ids() {
        let list = trackers("http://a/announce\n\nhttp://b/announce");
        let new = after(&list, r#"{"trackerList":"http://b/announce\nhttp://c/announce"}"#).unwrap().unwrap();
        assert_eq!((new[0].id, new[0].tier, &*new[0].announce), (1, 0, "http://b/announce"));
        assert!(new[1].id > 1 && new[1].tier == 0);
        let new = after(&list, r#"{"trackerRemove":[0]}"#).unwrap().unwrap();
        assert_eq!(told(&new), [(1, 1, "http://b/announce")]);
        let new =
            after(&list, r#"{"trackerAdd":["http://c/announce"],"trackerRemove":[1]}"#).unwrap().unwrap();
        assert_eq!(told(&new), [(0, 0, "http://a/announce"), (2, 2, "http://c/announce")]);
        let new = after(&list, r#"{"trackerReplace":[1,"udp://d:5"]}"#).unwrap().unwrap();
        assert_eq!(told(&new), [(0, 0, "http://a/announce"), (2, 1, "udp://d:5")]);
        // As Flood edits: every tracker goes, then others come.
        let none = after(&list, r#"{"trackerRemove":[0,1]}"#).unwrap().unwrap();
        assert!(none.is_empty());
        let new = after(&none, r#"{"trackerAdd":["http://a/announce"]}"#).unwrap().unwrap();
        assert_eq!(told(&new), [(0, 0, "http://a/announce")]);
    }

    #[test]
    fn what_changes_nothing_is_an_error() {
        let list = trackers("http://a/announce");
        for args in [
            r#"{"trackerAdd":[]}"#,
            r#"{"trackerAdd":["http://A:80/announce"]}"#,
            r#"{"trackerAdd":["ftp://b/announce", 7]}"#,
            r#"{"trackerRemove":[7]}"#,
            r#"{"trackerReplace":[0]}"#,
            r#"{"trackerReplace":[0,"no url"]}"#,
            r#"{"trackerReplace":[9,"http://b/announce"]}"#,
        ] {
            assert_eq!(after(&list, args), Err(Code::AnnounceList), "{args}");
        }
    }
}
