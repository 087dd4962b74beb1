//! Trackers and web seeds of a torrent, changed entry by entry. Items that are no URLs, repeated URLs and
//! white space around them stay unchanged; so does `announce` if the list does not have it.

use std::collections::HashSet;

use super::Edit;
use super::entries::Entries;
use crate::bencode::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::metainfo::addresses::{is_url, read_url};
use crate::metainfo::build;

/// Does to the trackers what `edit` says.
///
/// # Errors
/// [`ErrorKind::NotFound`] where a URL to be removed or replaced is not there, and
/// [`ErrorKind::Argument`] where a replaced URL would not be one of a tracker.
pub(super) fn trackers(edit: &Edit, outer: Value<'_>, entries: &mut Entries<'_>) -> Result<()> {
    let mut trackers = Trackers::of(outer);
    let mut absent = Vec::new();
    for url in &edit.remove_trackers {
        if !trackers.remove(url) {
            absent.push(format!("{url:?}"));
        }
    }
    for (old, new) in &edit.replace_trackers {
        if !trackers.replace(old, new)? {
            absent.push(format!("{old:?}"));
        }
    }
    if !absent.is_empty() {
        let why = format!("it has no tracker {}, so nothing was changed", absent.join(" or "));
        return Err(Error::new(ErrorKind::NotFound, why));
    }
    if edit.no_trackers {
        trackers = Trackers { announce: None, list: None, announce_changed: true, list_changed: true };
    }
    trackers.add(&edit.add_tiers);
    if trackers.announce_changed {
        entries.put("announce", trackers.announce.map(|url| url.written()));
    }
    if trackers.list_changed {
        entries.put("announce-list", trackers.list.map(|tiers| Item::List(tiers).written()));
    }
    Ok(())
}

/// Does to the web seeds what `edit` says.
pub(super) fn web_seeds(edit: &Edit, outer: Value<'_>, entries: &mut Entries<'_>) {
    let now = outer.get(b"url-list").filter(|_| !edit.no_web_seeds);
    let mut items = match now.map(Item::of) {
        None => Vec::new(),
        Some(Item::List(items)) => items,
        // One string, which may be empty, or something that is not read at all.
        Some(one) => Vec::from_iter(Some(one).filter(|one| one.text().is_some_and(|text| !text.is_empty()))),
    };
    // The same address with and without a slash at its end is one web seed.
    let key = |url: &str| url.trim_end_matches('/').to_owned();
    let mut known: HashSet<String> = items.iter().filter_map(Item::text).map(key).collect();
    let new: Vec<&String> = edit.add_web_seeds.iter().filter(|url| known.insert(key(url))).collect();
    if new.is_empty() {
        if edit.no_web_seeds {
            entries.put("url-list", None);
        }
        return;
    }
    items.extend(new.into_iter().cloned().map(Item::Url));
    let value = match &items[..] {
        [Item::Url(one)] => build::url_list(std::slice::from_ref(one)),
        _ => Some(Item::List(items).written()),
    };
    entries.put("url-list", value);
}

/// Something in `announce`, `announce-list` or `url-list`.
enum Item<'a> {
    /// As it came.
    Kept(Value<'a>),
    /// A new URL, or one that was changed.
    Url(String),
    List(Vec<Item<'a>>),
}

impl<'a> Item<'a> {
    fn of(value: Value<'a>) -> Self {
        match value.list() {
            Some(items) => Item::List(items.map(Item::of).collect()),
            None => Item::Kept(value),
        }
    }

    /// The text, if it is one.
    fn full_text(&self) -> Option<&str> {
        match self {
            Item::Kept(value) => value.as_str(),
            Item::Url(url) => Some(url),
            Item::List(_) => None,
        }
    }

    /// The text without white space around it.
    fn text(&self) -> Option<&str> {
        self.full_text().map(|text| text.trim_matches(|c: char| c.is_ascii_whitespace()))
    }

    fn is_url(&self) -> bool {
        self.text().and_then(read_url).is_some()
    }

    /// This item, or those of the list that it is: a tier, or an address where a tier should be.
    fn each(&mut self, act: &mut dyn FnMut(&mut Item<'a>)) {
        match self {
            Item::List(items) => items.iter_mut().for_each(act),
            item => act(item),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Item::Kept(value) => out.extend_from_slice(value.raw()),
            Item::Url(url) => out.extend_from_slice(&super::string(url)),
            Item::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.write(out));
                out.push(b'e');
            }
        }
    }

    fn written(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

/// The trackers as the file has them.
struct Trackers<'a> {
    announce: Option<Item<'a>>,
    /// The tiers; none if there is no list of them.
    list: Option<Vec<Item<'a>>>,
    announce_changed: bool,
    list_changed: bool,
}

impl<'a> Trackers<'a> {
    fn of(outer: Value<'a>) -> Self {
        let list = outer.get(b"announce-list").and_then(Value::list);
        Trackers {
            announce: outer.get(b"announce").map(Item::Kept),
            list: list.map(|tiers| tiers.map(Item::of).collect()),
            announce_changed: false,
            list_changed: false,
        }
    }

    /// Removes a URL from every place. A tier, or a list, that is empty then goes too. If it was `announce`,
    /// the first of the list takes its place, for programs that do not read the list.
    fn remove(&mut self, url: &str) -> bool {
        // As it came, or as it is shown: with its spaces escaped.
        let is = |item: &Item<'_>| {
            item.text().is_some_and(|text| text == url || read_url(text).as_deref() == Some(url))
        };
        let mut found = false;
        if let Some(tiers) = &mut self.list {
            tiers.retain_mut(|tier| match tier {
                Item::List(items) => {
                    let before = items.len();
                    items.retain(|item| !is(item));
                    found |= items.len() < before;
                    items.len() == before || !items.is_empty()
                }
                one => {
                    found |= is(one);
                    !is(one)
                }
            });
            self.list_changed |= found;
            if found && tiers.is_empty() {
                self.list = None;
            }
        }
        if self.announce.as_ref().is_some_and(is) {
            (found, self.announce_changed) = (true, true);
            let first = self.list.iter().flatten().find_map(first_url);
            self.announce = first.map(|url| Item::Url(url.to_owned()));
        }
        found
    }

    /// Writes `new` for `old` in every tracker's URL.
    fn replace(&mut self, old: &str, new: &str) -> Result<bool> {
        let mut wrong = None;
        let mut change = |item: &mut Item<'a>| {
            let text = item.full_text().filter(|text| text.contains(old))?;
            let url = text.replace(old, new);
            if !is_tracker_like(url.trim(), text.trim()) {
                wrong.get_or_insert(url.clone());
            }
            *item = Item::Url(url);
            Some(())
        };
        self.announce_changed |= self.announce.as_mut().and_then(&mut change).is_some();
        let found = self.announce_changed;
        let mut found_in_list = false;
        for tier in self.list.iter_mut().flatten() {
            tier.each(&mut |item| found_in_list |= change(item).is_some());
        }
        self.list_changed |= found_in_list;
        match wrong {
            Some(url) => {
                let why = format!("with {old:?} replaced, {url:?} is not the URL of a tracker");
                Err(Error::new(ErrorKind::Argument, why))
            }
            None => Ok(found || found_in_list),
        }
    }

    /// Adds tiers, of each only the URLs that are not there yet.
    fn add(&mut self, tiers: &[Vec<String>]) {
        let mut known = HashSet::new();
        let mut note = |item: &mut Item<'_>| _ = item.text().map(|text| known.insert(text.to_owned()));
        self.announce.as_mut().map(&mut note);
        self.list.iter_mut().flatten().for_each(|tier| tier.each(&mut note));
        let fresh = tiers.iter().map(|tier| {
            tier.iter().filter(|url| known.insert((*url).clone())).cloned().map(Item::Url).collect::<Vec<_>>()
        });
        let fresh: Vec<Vec<Item<'a>>> = fresh.filter(|tier| !tier.is_empty()).collect();
        let first = fresh.first().and_then(|tier| tier.first()).and_then(Item::text);
        let Some(first) = first.map(str::to_owned) else { return };
        let listed = self.list.iter().flatten().any(|tier| first_url(tier).is_some());
        let announced = self.announce.as_ref().filter(|url| url.is_url()).and_then(Item::text);
        let announced = announced.map(str::to_owned);
        if !listed && announced.is_none() {
            self.announce = Some(Item::Url(first));
            self.announce_changed = true;
            // One tracker needs no list.
            if let ([tier], None) = (&fresh[..], &self.list) {
                if tier.len() == 1 {
                    return;
                }
            }
        }
        // If there is a list, programs ignore `announce`.
        let own = announced.filter(|_| !listed).map(|url| Item::List(vec![Item::Url(url)]));
        let list = self.list.get_or_insert_default();
        list.extend(own);
        list.extend(fresh.into_iter().map(Item::List));
        self.list_changed = true;
    }
}

/// The first URL in a tier.
fn first_url<'i>(tier: &'i Item<'_>) -> Option<&'i str> {
    let items = match tier {
        Item::List(items) => items,
        one => std::slice::from_ref(one),
    };
    items.iter().find(|item| item.is_url()).and_then(Item::text)
}

/// Whether a URL is one of a tracker, or as much of one as the URL it was made from.
fn is_tracker_like(url: &str, before: &str) -> bool {
    let scheme = |url: &str| url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let known = matches!(scheme(url).as_deref(), Some("http" | "https" | "udp"));
    is_url(url) && (known || scheme(url) == scheme(before))
}
