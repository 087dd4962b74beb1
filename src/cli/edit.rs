//! `edit`: changes trackers, web seeds, comment and the like of torrents that are there.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use bitwren::Metainfo;
use bitwren::metainfo::edit::{Edit, Edited};

use super::deposit;
use super::exit::{Code, Failure};
use super::flags::is_tracker;
use super::job::Verdict;
use super::json::Object;
use super::parse::Line;
use super::reporter::{Reporter, say};
use super::screen::Tone;
use super::settings::Settings;
use super::source;

/// What is to be changed, besides what `create` sets too.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub remove_trackers: Vec<String>,
    /// What is to be replaced, and by what.
    pub replace_trackers: Vec<(String, String)>,
    pub no_trackers: bool,
    pub no_web_seeds: bool,
    pub private: Option<bool>,
    pub allow_new_hash: bool,
}

/// Runs the command.
pub fn run(line: Line) -> Result<Code, Failure> {
    let Line { settings, words, .. } = line;
    let to_stdout = settings.output.as_deref() == Some(Path::new("-"));
    if settings.output.is_some() && words.len() > 1 {
        return Err(Failure::usage("--output is for one torrent; without it each is replaced"));
    }
    if to_stdout && settings.json {
        return Err(Failure::usage("--json and --output - both want standard output; give a file"));
    }
    if !changes_anything(&settings) {
        return Err(Failure::usage("nothing is to be changed; bitwren help edit tells what can be"));
    }
    let reporter = Reporter::new(&settings, words.len());
    let mut verdict = Verdict::default();
    for word in words {
        if let Err(Failure { code, why }) = edit(&word, &settings, &reporter) {
            verdict.failed(code);
            reporter.failure(code, why.as_deref().unwrap_or_default())?;
        }
    }
    Ok(verdict.code())
}

fn changes_anything(settings: &Settings) -> bool {
    let changes = &settings.changes;
    touches_trackers(settings)
        || touches_web_seeds(settings)
        || changes.private.is_some()
        || settings.comment.is_some()
        || settings.source.is_some()
}

fn touches_trackers(settings: &Settings) -> bool {
    let changes = &settings.changes;
    changes.no_trackers
        || !settings.tiers.is_empty()
        || !changes.remove_trackers.is_empty()
        || !changes.replace_trackers.is_empty()
}

fn touches_web_seeds(settings: &Settings) -> bool {
    settings.changes.no_web_seeds || !settings.web_seeds.is_empty()
}

fn edit(word: &OsStr, settings: &Settings, reporter: &Reporter) -> Result<(), Failure> {
    let name = word.to_string_lossy();
    let named = |error: bitwren::Error| Failure::new(Code::of(error.kind()), format_args!("{name}: {error}"));
    let place = Path::new(word);
    if settings.output.is_none() && (word == "-" || source::is_web(&name)) {
        return Err(Failure::usage(format_args!("{name} cannot be replaced; give --output")));
    }
    let bytes = source::read(word, None)?;
    let metainfo = Metainfo::from_bytes(&bytes).map_err(named)?;
    let (edit, idle) = plan(settings, &metainfo)?;
    for absent in idle {
        reporter.milestone(Tone::Warning, format!("{name}: no tracker is or has {absent}"));
    }
    let edited = edit.apply(&bytes).map_err(|error| {
        let hint = if settings.changes.allow_new_hash { "" } else { " (--allow-new-hash)" };
        Failure::new(Code::of(error.kind()), format_args!("{name}: {error}{hint}"))
    })?;
    match settings.output.as_deref() {
        Some(output) if output == Path::new("-") => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&edited.bytes)?;
            stdout.flush()?;
        }
        Some(output) => deposit::write(output, &edited.bytes, settings.overwrite)?,
        // A file that would be the same is not written.
        None if edited.bytes == bytes => {}
        None => deposit::write(place, &edited.bytes, true)?,
    }
    tell(&name, &edited, edited.bytes != bytes, settings, reporter)?;
    Ok(())
}

/// The edit for one torrent, and what was to be removed or replaced and is not there.
fn plan<'a>(settings: &'a Settings, metainfo: &Metainfo) -> Result<(Edit, Vec<&'a str>), Failure> {
    let changes = &settings.changes;
    let mut idle = Vec::new();
    let mut edit =
        Edit { private: changes.private, allow_new_hash: changes.allow_new_hash, ..Edit::default() };
    let unless_empty = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    edit.comment = settings.comment.as_ref().map(unless_empty);
    edit.source = settings.source.as_ref().map(unless_empty);
    if touches_trackers(settings) {
        let mut tiers = metainfo.tiers().to_vec();
        for url in &changes.remove_trackers {
            let before = tiers.concat().len();
            tiers.iter_mut().for_each(|tier| tier.retain(|other| other != url));
            if tiers.concat().len() == before {
                idle.push(url.as_str());
            }
        }
        for (old, new) in &changes.replace_trackers {
            let mut found = false;
            for url in tiers.iter_mut().flatten().filter(|url| url.contains(old.as_str())) {
                found = true;
                *url = url.replace(old.as_str(), new);
                if !is_tracker(url) {
                    let why =
                        format_args!("--replace-tracker: {url:?} would come of it, which is no tracker");
                    return Err(Failure::usage(why));
                }
            }
            if !found {
                idle.push(old);
            }
        }
        if changes.no_trackers {
            tiers.clear();
        }
        tiers.extend(settings.tiers.iter().cloned());
        edit.tiers = Some(each_once(tiers));
    }
    if touches_web_seeds(settings) {
        let own = if changes.no_web_seeds { &[] } else { metainfo.web_seeds() };
        let all = own.iter().chain(&settings.web_seeds).cloned().collect();
        edit.web_seeds = Some(each_once(vec![all]).concat());
    }
    Ok((edit, idle))
}

/// The tiers with each URL where it comes first, and none that is empty.
fn each_once(mut tiers: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut seen = std::collections::HashSet::new();
    tiers.iter_mut().for_each(|tier| tier.retain(|url| seen.insert(url.clone())));
    tiers.retain(|tier| !tier.is_empty());
    tiers
}

fn tell(
    name: &str,
    edited: &Edited,
    changed: bool,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<(), Failure> {
    if settings.json {
        say(&Object::line("edited")
            .text("path", name)
            .text("torrent", &edited.after.to_string())
            .text("before", &edited.before.to_string())
            .flag("changed", changed)
            .end())?;
        return Ok(());
    }
    let line = match (changed, edited.before == edited.after) {
        (false, _) => "is so already".to_owned(),
        (true, true) => format!("changed, its info-hash is {} as before", edited.after),
        (true, false) => format!("changed, its info-hash is now {}, it was {}", edited.after, edited.before),
    };
    let tone = if edited.before == edited.after { Tone::Good } else { Tone::Warning };
    reporter.milestone(tone, format!("{name}: {line}"));
    Ok(())
}
