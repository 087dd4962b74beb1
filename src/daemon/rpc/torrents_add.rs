//! torrent-add: what is to be added, and how.

use super::answer::Answer;
use super::args::Args;
use super::change::{self, labels};
use super::fault::{Code, Fault};
use crate::base64;
use crate::daemon::command::{Add, Added, Backend, Command, Failure, FilesChange, Outcome, Source};
use crate::daemon::settings::Priority;
use crate::{InfoHash, Magnet};

/// Adds a torrent.
pub fn add<'a>(args: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
    let filename = args.text("filename").unwrap_or_default();
    let metainfo = args.text("metainfo").unwrap_or_default();
    if filename.is_empty() && metainfo.is_empty() {
        return Err(Fault::params("no filename or metainfo specified"));
    }
    let download_dir = args.text("download_dir").filter(|dir| !dir.is_empty());
    if download_dir.is_some_and(|dir| !dir.starts_with('/')) {
        return Err(Fault::new(Code::PathNotAbsolute, "download directory path is not absolute"));
    }
    let mut settings = change::settings(args);
    settings.labels = labels(args)?;
    let source = if filename.is_empty() {
        Source::Metainfo(base64::decode(metainfo).ok_or(Fault::bare(Code::UnrecognizedInfo))?)
    } else {
        source(filename, args.text("cookies").unwrap_or_default())
    };
    let add = Add {
        source,
        download_dir: download_dir.map(str::to_owned),
        paused: args.flag("paused"),
        settings,
        files: files(args),
    };
    let (key, Added { id, name, info_hash }) = match backend.run(Command::Add(Box::new(add)))? {
        Outcome::Added(added) => ("torrent_added", added),
        Outcome::Duplicate(there) => ("torrent_duplicate", there),
        _ => return Err(Failure::Unavailable.into()),
    };
    Ok(Answer::new(move |reply, _| {
        reply.key(key)?;
        reply.object(|reply| {
            reply.member("hash_string", &info_hash.to_string())?;
            reply.member("id", id)?;
            reply.member("name", &name)
        })
    }))
}

/// What a `filename` stands for.
fn source(filename: &str, cookies: &str) -> Source {
    let is_url = filename.split_once("://").is_some_and(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    if is_url {
        return Source::Url { url: filename.to_owned(), cookies: cookies.to_owned() };
    }
    if Magnet::is_meant(filename) || InfoHash::from_hex(filename).is_ok() {
        return Source::Magnet(filename.to_owned());
    }
    Source::Path(filename.to_owned())
}

/// The files that are wanted. What the torrent has is not known yet, so an empty list means nothing here.
fn files(args: Args) -> FilesChange {
    let indices = |name| change::numbers(args.list(name).unwrap_or_default());
    let priorities = [
        ("priority_low", Priority::Low),
        ("priority_normal", Priority::Normal),
        ("priority_high", Priority::High),
    ];
    FilesChange {
        unwanted: indices("files_unwanted").collect(),
        wanted: indices("files_wanted").collect(),
        priorities: priorities
            .into_iter()
            .flat_map(|(name, priority)| indices(name).map(move |index| (index, priority)))
            .collect(),
    }
}
