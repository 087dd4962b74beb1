//! `edit`: changes trackers, web seeds, comment and other fields of existing torrents.

use std::ffi::OsStr;
use std::fs;

use bitwren::metainfo::edit::{Edit, Edited};
use bitwren::{Config, Metainfo};

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::{EditSettings, OutputSettings, Settings, TorrentFields, WriteSettings};
use crate::cli::exit::ExitStatus;
use crate::cli::exit::{Code, Failure};
use crate::cli::files::atomic_write;
use crate::cli::files::atomic_write::OutputFile;
use crate::cli::output::json::json_line;
use crate::cli::output::screen::Tone;
use crate::cli::output::streams::say;
use crate::cli::run::client_config;
use crate::cli::run::reporter::Reporter;
use crate::cli::run::source;

/// What is changed, and where the result goes.
struct Plan {
    write: WriteSettings,
    fields: TorrentFields,
    edit: EditSettings,
    json: bool,
    network: Config,
}

/// Runs the command.
pub fn run(invocation: Invocation) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let Settings { output: OutputSettings { json, .. }, write, fields, edit, transfer, .. } = settings;
    let reporter = Reporter::new(settings.output, operands.len());
    let network = client_config::of_network(&transfer);
    let plan = Plan { write, fields, edit, json, network };
    let to_stdout = plan.write.output.as_deref().is_some_and(atomic_write::is_stdout);
    if plan.write.output.is_some() && operands.len() > 1 {
        return Err(Failure::usage("--output takes one torrent; without it each file is replaced"));
    }
    if to_stdout && json {
        return Err(Failure::usage("--json and --output - both use standard output; give a file"));
    }
    if !plan.changes_anything() {
        return Err(Failure::usage("no change given; see bitwren help edit"));
    }
    let mut exit_status = ExitStatus::default();
    for operand in operands {
        if let Err(Failure { code, why }) = edit_one(&operand, &plan, &reporter) {
            exit_status.failed(code);
            reporter.failure(code, why.as_deref().unwrap_or_default())?;
        }
    }
    Ok(exit_status.code())
}

fn edit_one(word: &OsStr, plan: &Plan, reporter: &Reporter) -> Result<(), Failure> {
    let name = word.to_string_lossy();
    let named = |error: bitwren::Error| Failure::new(Code::of(error.kind()), format_args!("{name}: {error}"));
    let place = source::path(word);
    let place = place.as_path();
    let is_file = word != "-" && !source::is_web(&name);
    let file = match plan.write.output.as_deref() {
        None if !is_file || fs::metadata(place).is_ok_and(|about| !about.is_file() && !about.is_dir()) => {
            return Err(Failure::usage(format_args!("{name} cannot be changed in place; give --output")));
        }
        None => None,
        // The file is named after the torrent, which is not read yet.
        Some(output) if !is_file && atomic_write::is_directory(output) => {
            atomic_write::check_directory(output)?;
            None
        }
        Some(output) => {
            let own = place.file_name().unwrap_or_default().to_string_lossy();
            Some(OutputFile::prepare(output, &own, plan.write.overwrite)?)
        }
    };
    let bytes = source::read(word, &plan.network)?;
    let edited = plan.changes().apply(&bytes).map_err(named)?;
    if edited.before != edited.after && !plan.edit.allow_new_hash {
        return Err(Failure::usage(format_args!(
            "{name}: private and source are part of the info-hash: changing them makes another torrent, \
             which the peers of this one do not have; give --allow-new-hash to do so"
        )));
    }
    match (file, plan.write.output.as_deref()) {
        (Some(file), _) => file.write(&edited.bytes)?,
        (None, Some(output)) => {
            let called = atomic_write::torrent_name(Metainfo::from_bytes(&bytes).map_err(named)?.name());
            OutputFile::prepare(output, &called, plan.write.overwrite)?.write(&edited.bytes)?;
        }
        // An unchanged file is not written.
        (None, None) if edited.bytes == bytes => {}
        (None, None) => OutputFile::prepare(place, "", true)?.write(&edited.bytes)?,
    }
    tell(&name, &edited, edited.bytes != bytes, plan.json, reporter)?;
    Ok(())
}

impl Plan {
    fn changes_anything(&self) -> bool {
        let (edit, fields) = (&self.edit, &self.fields);
        edit.no_trackers
            || !fields.tiers.is_empty()
            || !edit.remove_trackers.is_empty()
            || !edit.replace_trackers.is_empty()
            || edit.no_web_seeds
            || !fields.web_seeds.is_empty()
            || edit.private.is_some()
            || fields.comment.is_some()
            || fields.source.is_some()
    }

    /// The changes. Whether the info-hash may change is checked once it is known to.
    fn changes(&self) -> Edit {
        let (edit, fields) = (&self.edit, &self.fields);
        let unless_empty = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let mut changes = Edit::default()
            .remove_trackers(&edit.remove_trackers)
            .replace_trackers(edit.replace_trackers.clone())
            .no_trackers(edit.no_trackers)
            .add_tiers(fields.tiers.clone())
            .no_web_seeds(edit.no_web_seeds)
            .add_web_seeds(&fields.web_seeds)
            .allow_new_hash(true);
        if let Some(comment) = &fields.comment {
            changes = changes.comment(unless_empty(comment));
        }
        if let Some(private) = edit.private {
            changes = changes.private(private);
        }
        if let Some(source) = &fields.source {
            changes = changes.source(unless_empty(source));
        }
        changes
    }
}

fn tell(name: &str, edited: &Edited, changed: bool, json: bool, reporter: &Reporter) -> Result<(), Failure> {
    if json {
        say(&json_line("edited")
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
