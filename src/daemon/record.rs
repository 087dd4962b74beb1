//! What is kept of a torrent and of the session from one run to the next, and its form on the disk: bencoding.
//!
//! Keys that are not known are passed over, and missing ones have a default, so that a state of the version
//! before or after can be read. What has no id or no info-hash is no record.

use std::collections::BTreeMap;

use crate::bencode::{self, Dict, Encoder, Value};
use crate::daemon::settings::{Priority, SettingsChange, TorrentSettingsChange};
use crate::daemon::stored::Stored;
use crate::daemon::view::{Group, Time, TorrentId, Totals, Tracker};
use crate::{Error, ErrorKind, InfoHash, Result};

/// What the record of a torrent begins with.
pub const TASK: &[u8] = b"d12:bitwren task";

/// What the record of the session begins with.
pub const SESSION: &[u8] = b"d15:bitwren session";

/// The version of both forms.
const VERSION: i64 = 1;

/// A torrent as it is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TorrentRecord {
    /// Its number.
    pub id: TorrentId,
    /// Its info-hash in hexadecimal digits.
    pub hash: String,
    /// The link it was added by, while its metadata is not there.
    pub magnet: Option<String>,
    /// What it was renamed to.
    pub name: Option<String>,
    /// The paths of renamed files, by index.
    pub paths: BTreeMap<u32, String>,
    /// Where its data are; absolute.
    pub dir: String,
    /// Where its data may still be while they are moved to `dir`.
    pub moving_from: Vec<String>,
    /// Paths below `dir` that are still to be renamed: from one to the next, by pairs.
    pub renaming: Vec<String>,
    /// Whether it is stopped.
    pub is_stopped: bool,
    /// Whether a limit of seeding stopped it.
    pub is_finished: bool,
    /// Why it cannot go on.
    pub error: Option<String>,
    /// Files that are not wanted, ascending.
    pub unwanted: Vec<u32>,
    /// Priorities of files that are not normal.
    pub priorities: BTreeMap<u32, Priority>,
    /// Its settings.
    pub settings: TorrentSettingsChange,
    /// Its trackers, if they are not those of the torrent any more.
    pub trackers: Option<Vec<Tracker>>,
    /// Its place in the queue.
    pub queue_position: u32,
    /// Bytes received, in all runs.
    pub downloaded: u64,
    /// Bytes sent, in all runs.
    pub uploaded: u64,
    /// Bytes received in vain, in all runs.
    pub corrupt: u64,
    /// When it was added.
    pub added: Time,
    /// When it was complete.
    pub done: Time,
    /// When it was started last.
    pub started: Time,
    /// When data were sent or received last.
    pub active: Time,
    /// When its settings were changed last.
    pub edited: Time,
    /// Seconds spent downloading, in all runs.
    pub seconds_downloading: u64,
    /// Seconds spent seeding, in all runs.
    pub seconds_seeding: u64,
    /// Wanted bytes, as of the last look.
    pub wanted: u64,
    /// Wanted bytes that are verified, as of the last look.
    pub verified: u64,
    /// Whether the data were looked at since it was added or moved.
    pub is_checked: bool,
}

/// The session as it is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionRecord {
    /// The next number of a torrent.
    pub next_id: TorrentId,
    /// The settings that were changed over the RPC.
    pub settings: SettingsChange,
    /// Groups of bandwidth.
    pub groups: Vec<Group>,
    /// Totals of all runs.
    pub totals: Totals,
}

fn read<T: Stored>(value: Value<'_>, key: &str) -> Option<T> {
    T::read(value.get(key.as_bytes())?)
}

fn or_default<T: Stored + Default>(value: Value<'_>, key: &str) -> T {
    read(value, key).unwrap_or_default()
}

fn store_if<T: Stored>(value: &Option<T>, key: &str, dict: &mut Dict<'_>) {
    value.iter().for_each(|value| value.store(key, dict));
}

/// What stands under numbers: a dictionary has them as digits.
fn store_map<T: Stored>(map: &BTreeMap<u32, T>, key: &str, dict: &mut Dict<'_>) {
    if !map.is_empty() {
        dict.dict(key, |dict| map.iter().for_each(|(index, value)| value.store(&index.to_string(), dict)));
    }
}

fn read_map<T: Stored>(value: Value<'_>, key: &str) -> BTreeMap<u32, T> {
    let entries = value.get(key.as_bytes()).and_then(Value::dict).into_iter().flatten();
    let read = |(key, value): (&[u8], Value<'_>)| {
        Some((std::str::from_utf8(key).ok()?.parse().ok()?, T::read(value)?))
    };
    entries.filter_map(read).collect()
}

/// The whole: what it is comes first, as dictionaries are sorted, and shows that the file is ours.
fn closed(kind: &str, fill: impl FnOnce(&mut Dict<'_>)) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|dict| {
        dict.int(kind, VERSION);
        dict.dict("record", fill);
    });
    out.finish()
}

/// Takes the whole apart, which must be of this kind.
fn open<'a>(bytes: &'a [u8], kind: &str) -> Result<Value<'a>> {
    let value = bencode::decode(bytes)?;
    match value.get(kind.as_bytes()).and_then(Value::as_int) {
        Some(VERSION) => {
            value.get(b"record").ok_or_else(|| Error::new(ErrorKind::Bencode, "it holds no record"))
        }
        Some(version) => {
            Err(Error::new(ErrorKind::Bencode, format!("it is of version {version}, and {VERSION} is known")))
        }
        None => Err(Error::new(ErrorKind::Bencode, format!("it is no {kind}"))),
    }
}

macro_rules! plain {
    ($record:ident, $with:ident) => {
        $with! { $record:
            moving_from renaming is_stopped is_finished unwanted queue_position downloaded uploaded corrupt added done started active
            edited seconds_downloading seconds_seeding wanted verified is_checked
        }
    };
}

impl TorrentRecord {
    /// Its form on the disk.
    pub fn encode(&self) -> Vec<u8> {
        closed("bitwren task", |dict| {
            self.id.store("id", dict);
            self.hash.store("hash", dict);
            self.dir.store("dir", dict);
            macro_rules! store {
                ($record:ident: $($field:ident)*) => { $($record.$field.store(stringify!($field), dict);)* };
            }
            plain!(self, store);
            store_if(&self.magnet, "magnet", dict);
            store_if(&self.name, "name", dict);
            store_if(&self.error, "error", dict);
            store_map(&self.paths, "paths", dict);
            store_map(&self.priorities, "priorities", dict);
            dict.dict("settings", |dict| self.settings.store(dict));
            if let Some(trackers) = &self.trackers {
                dict.list("trackers", |list| {
                    for tracker in trackers {
                        list.dict(|dict| {
                            tracker.id.store("id", dict);
                            tracker.tier.store("tier", dict);
                            tracker.announce.store("announce", dict);
                        });
                    }
                });
            }
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`ErrorKind::Bencode`] where it is no record of a torrent.
    pub fn decode(bytes: &[u8]) -> Result<TorrentRecord> {
        let value = open(bytes, "bitwren task")?;
        let lacks = |what: &str| Error::new(ErrorKind::Bencode, format!("it has no {what}"));
        let mut record = TorrentRecord {
            id: read(value, "id").filter(|id| *id > 0).ok_or_else(|| lacks("id"))?,
            hash: read::<String>(value, "hash")
                .filter(|hash| hash.parse::<InfoHash>().is_ok())
                .ok_or_else(|| lacks("info-hash"))?,
            dir: read::<String>(value, "dir")
                .filter(|dir| dir.starts_with('/'))
                .ok_or_else(|| lacks("directory"))?,
            magnet: read(value, "magnet"),
            name: read(value, "name"),
            error: read(value, "error"),
            paths: read_map(value, "paths"),
            priorities: read_map(value, "priorities"),
            ..TorrentRecord::default()
        };
        macro_rules! take {
            ($record:ident: $($field:ident)*) => { $($record.$field = or_default(value, stringify!($field));)* };
        }
        plain!(record, take);
        if let Some(settings) = value.get(b"settings") {
            record.settings = TorrentSettingsChange::read(settings);
        }
        record.trackers = value.get(b"trackers").and_then(Value::list).map(|list| {
            let tracker = |value: Value<'_>| {
                Some(Tracker {
                    id: read(value, "id")?,
                    tier: read(value, "tier")?,
                    announce: read(value, "announce")?,
                })
            };
            list.filter_map(tracker).collect()
        });
        Ok(record)
    }
}

impl SessionRecord {
    /// Its form on the disk.
    pub fn encode(&self) -> Vec<u8> {
        closed("bitwren session", |dict| {
            self.next_id.store("next_id", dict);
            dict.dict("settings", |dict| self.settings.store(dict));
            dict.dict("totals", |dict| {
                let Totals { uploaded, downloaded, files_added, sessions, seconds_active } = self.totals;
                dict.int("uploaded", uploaded as i64);
                dict.int("downloaded", downloaded as i64);
                dict.int("files_added", files_added as i64);
                dict.int("sessions", sessions as i64);
                dict.int("seconds_active", seconds_active as i64);
            });
            dict.list("groups", |list| {
                for group in &self.groups {
                    list.dict(|dict| {
                        group.name.store("name", dict);
                        group.honors_session_limits.store("honors_session_limits", dict);
                        group.speed_limit_down.store("speed_limit_down", dict);
                        group.speed_limit_down_enabled.store("speed_limit_down_enabled", dict);
                        group.speed_limit_up.store("speed_limit_up", dict);
                        group.speed_limit_up_enabled.store("speed_limit_up_enabled", dict);
                    });
                }
            });
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`ErrorKind::Bencode`] where it is no record of a session.
    pub fn decode(bytes: &[u8]) -> Result<SessionRecord> {
        let value = open(bytes, "bitwren session")?;
        let totals = value.get(b"totals").map_or(Totals::default(), |value| Totals {
            uploaded: or_default(value, "uploaded"),
            downloaded: or_default(value, "downloaded"),
            files_added: or_default(value, "files_added"),
            sessions: or_default(value, "sessions"),
            seconds_active: or_default(value, "seconds_active"),
        });
        let group = |value: Value<'_>| {
            Some(Group {
                name: read(value, "name")?,
                honors_session_limits: or_default(value, "honors_session_limits"),
                speed_limit_down: or_default(value, "speed_limit_down"),
                speed_limit_down_enabled: or_default(value, "speed_limit_down_enabled"),
                speed_limit_up: or_default(value, "speed_limit_up"),
                speed_limit_up_enabled: or_default(value, "speed_limit_up_enabled"),
            })
        };
        let groups = value.get(b"groups").and_then(Value::list).into_iter().flatten();
        Ok(SessionRecord {
            next_id: or_default(value, "next_id"),
            settings: value.get(b"settings").map(SettingsChange::read).unwrap_or_default(),
            groups: groups.filter_map(group).collect(),
            totals,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> TorrentRecord {
        TorrentRecord {
            id: 7,
            hash: "0123456789abcdef0123456789abcdef01234567".into(),
            magnet: Some("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567".into()),
            name: Some("other".into()),
            paths: [(0, "other/a".into()), (12, "other/b".into())].into(),
            dir: "/data".into(),
            moving_from: vec!["/old".into(), "/older".into()],
            renaming: vec!["a".into(), "b".into()],
            is_stopped: true,
            is_finished: true,
            error: Some("no space".into()),
            unwanted: vec![1, 3],
            priorities: [(0, Priority::High), (2, Priority::Low)].into(),
            settings: TorrentSettingsChange {
                labels: Some(vec!["a".into(), "b".into()]),
                seed_ratio_limit: Some(1.25),
                download_limited: Some(true),
                ..TorrentSettingsChange::default()
            },
            trackers: Some(vec![Tracker { id: 3, tier: 1, announce: "http://a/b".into() }]),
            queue_position: 4,
            downloaded: 1 << 40,
            uploaded: 2,
            corrupt: 3,
            added: 4,
            done: 5,
            started: 6,
            active: 7,
            edited: 8,
            seconds_downloading: 9,
            seconds_seeding: 10,
            wanted: 11,
            verified: 12,
            is_checked: true,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let bytes = record().encode();
        assert!(bytes.starts_with(TASK), "{}", bytes.escape_ascii());
        assert_eq!(TorrentRecord::decode(&bytes).unwrap(), record());
        let session = SessionRecord {
            next_id: 9,
            settings: SettingsChange {
                speed_limit_down: Some(5),
                seed_ratio_limit: Some(0.5),
                ..SettingsChange::default()
            },
            groups: vec![Group { name: "g".into(), speed_limit_up: 3, ..Group::default() }],
            totals: Totals { uploaded: 1, downloaded: 2, files_added: 3, sessions: 4, seconds_active: 5 },
        };
        let bytes = session.encode();
        assert!(bytes.starts_with(SESSION), "{}", bytes.escape_ascii());
        assert_eq!(SessionRecord::decode(&bytes).unwrap(), session);
    }

    #[test]
    fn what_is_no_record_is_refused_and_what_lacks_has_a_default() {
        let good = record().encode();
        for cut in 0..good.len() {
            assert!(TorrentRecord::decode(&good[..cut]).is_err(), "cut at {cut}");
        }
        for bad in [
            &b"de"[..],
            b"d12:bitwren taski2e2:idi1ee",
            b"d12:bitwren taski1ee",
            b"d12:bitwren taski1e6:recordd3:dir1:/4:hash3:abc2:idi1eee",
            b"d15:bitwren sessioni1ee",
        ] {
            assert!(TorrentRecord::decode(bad).is_err(), "{}", bad.escape_ascii());
        }
        let hash = "0123456789abcdef0123456789abcdef01234567";
        let least = format!(
            "d12:bitwren taski1e6:recordd3:dir2:/d4:hash40:{hash}2:idi3e5:new 1i1e8:settingsd4:xxxxi1eeee"
        );
        let read = TorrentRecord::decode(least.as_bytes()).unwrap();
        assert_eq!(
            read,
            TorrentRecord { id: 3, hash: hash.into(), dir: "/d".into(), ..TorrentRecord::default() }
        );
        assert!(TorrentRecord::decode(least.replace("2:idi3e", "2:idi0e").as_bytes()).is_err());
        assert!(SessionRecord::decode(&good).is_err());
    }
}
