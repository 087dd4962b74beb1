//! `edit`: changes trackers, web seeds, comment and the like of torrents that are there.

use std::ffi::OsStr;
use std::fs;

use bitwren::Metainfo;
use bitwren::metainfo::edit::{Edit, Edited};

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::Settings;
use crate::cli::exit::ExitStatus;
use crate::cli::exit::{Code, Failure};
use crate::cli::files::atomic_write;
use crate::cli::files::atomic_write::Deposit;
use crate::cli::output::json::Object;
use crate::cli::output::screen::Tone;
use crate::cli::output::streams::say;
use crate::cli::run::reporter::Reporter;
use crate::cli::run::source;
use crate::cli::run::source::Way;

/// Runs the command.
pub fn run(invocation: Invocation) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let to_stdout = settings.output.as_deref().is_some_and(atomic_write::is_stdout);
    if settings.output.is_some() && operands.len() > 1 {
        return Err(Failure::usage("--output takes one torrent; without it each file is replaced"));
    }
    if to_stdout && settings.json {
        return Err(Failure::usage("--json and --output - both use standard output; give a file"));
    }
    if !changes_anything(&settings) {
        return Err(Failure::usage("no change given; see bitwren help edit"));
    }
    let reporter = Reporter::new(&settings, operands.len());
    let mut exit_status = ExitStatus::default();
    for word in operands {
        if let Err(Failure { code, why }) = edit(&word, &settings, &reporter) {
            exit_status.failed(code);
            reporter.failure(code, why.as_deref().unwrap_or_default())?;
        }
    }
    Ok(exit_status.code())
}

fn changes_anything(settings: &Settings) -> bool {
    let changes = &settings.changes;
    changes.no_trackers
        || !settings.tiers.is_empty()
        || !changes.remove_trackers.is_empty()
        || !changes.replace_trackers.is_empty()
        || changes.no_web_seeds
        || !settings.web_seeds.is_empty()
        || changes.private.is_some()
        || settings.comment.is_some()
        || settings.source.is_some()
}

fn edit(word: &OsStr, settings: &Settings, reporter: &Reporter) -> Result<(), Failure> {
    let name = word.to_string_lossy();
    let named = |error: bitwren::Error| Failure::new(Code::of(error.kind()), format_args!("{name}: {error}"));
    let place = source::path(word);
    let place = place.as_path();
    let is_file = word != "-" && !source::is_web(&name);
    let deposit = match settings.output.as_deref() {
        None if !is_file || fs::metadata(place).is_ok_and(|about| !about.is_file() && !about.is_dir()) => {
            return Err(Failure::usage(format_args!("{name} cannot be changed in place; give --output")));
        }
        None => None,
        // Written as the torrent is called, which is not known yet.
        Some(output) if !is_file && atomic_write::is_directory(output) => {
            atomic_write::check_directory(output)?;
            None
        }
        Some(output) => {
            let own = place.file_name().unwrap_or_default().to_string_lossy();
            Some(Deposit::prepare(output, &own, settings.overwrite)?)
        }
    };
    let bytes = source::read(word, Way::default())?;
    let edited = plan(settings).apply(&bytes).map_err(named)?;
    if edited.before != edited.after && !settings.changes.allow_new_hash {
        return Err(Failure::usage(format_args!(
            "{name}: private and source are part of the info-hash: changing them makes another torrent, \
             which the peers of this one do not have; give --allow-new-hash to do so"
        )));
    }
    match (deposit, settings.output.as_deref()) {
        (Some(deposit), _) => deposit.write(&edited.bytes)?,
        (None, Some(output)) => {
            let called = atomic_write::torrent_name(Metainfo::from_bytes(&bytes).map_err(named)?.name());
            Deposit::prepare(output, &called, settings.overwrite)?.write(&edited.bytes)?;
        }
        // A file that would be the same is not written.
        (None, None) if edited.bytes == bytes => {}
        (None, None) => Deposit::prepare(place, "", true)?.write(&edited.bytes)?,
    }
    tell(&name, &edited, edited.bytes != bytes, settings, reporter)?;
    Ok(())
}

/// What the command line asks for. Whether the info-hash may change is seen once it is known to.
fn plan(settings: &Settings) -> Edit {
    let changes = &settings.changes;
    let unless_empty = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Edit {
        remove_trackers: changes.remove_trackers.clone(),
        replace_trackers: changes.replace_trackers.clone(),
        no_trackers: changes.no_trackers,
        add_tiers: settings.tiers.clone(),
        no_web_seeds: changes.no_web_seeds,
        add_web_seeds: settings.web_seeds.clone(),
        comment: settings.comment.as_ref().map(unless_empty),
        private: changes.private,
        source: settings.source.as_ref().map(unless_empty),
        allow_new_hash: true,
    }
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
        (false, _) => "nothing to change".to_owned(),
        (true, true) => format!("changed; the info-hash is still {}", edited.after),
        (true, false) => {
            format!("changed; the info-hash is now {}, it was {}", edited.after, edited.before)
        }
    };
    let tone = if edited.before == edited.after { Tone::Good } else { Tone::Warning };
    reporter.milestone(tone, format!("{name}: {line}"));
    Ok(())
}
