//! Methods about torrents that are there: torrent-get, and what is done to them.

use super::answer::Answer;
use super::args::Args;
use super::fault::{Code, Details, Fault, write_rename};
use super::torrent_fields::{FIELDS, Field, Torrent};
use crate::daemon::command::{Backend, Command, Failure};
use crate::daemon::facts;
use crate::daemon::view::TorrentId;
use crate::json::Value;

/// Fields of torrents, as objects or as a table.
pub fn get<'a>(args: Args<'a>, backend: &dyn Backend) -> Result<Answer<'a>, Fault> {
    let fields = fields(args);
    if fields.is_empty() {
        return Err(Fault::params("no fields specified"));
    }
    let ids = args.torrents(backend);
    let removed = args.asks_for_recent().then(|| backend.recently_removed());
    let is_table = args.text("format") == Some("table");
    Ok(Answer::new(move |reply, backend| {
        if let Some(removed) = removed {
            reply.key("removed")?;
            reply.values(removed)?;
        }
        reply.key("torrents")?;
        reply.json().begin_list()?;
        if is_table {
            reply.list(&fields, |reply, field| reply.put(reply.spelled_field(field.name)))?;
        }
        for id in ids {
            // It may have been removed in between.
            let Some(view) = backend.torrent(id) else { continue };
            let torrent = Torrent::new(view, backend);
            if is_table {
                reply.list(&fields, |reply, field| (field.write)(reply, &torrent))?;
                continue;
            }
            reply.object(|reply| {
                fields.iter().try_for_each(|field| {
                    reply.plain_key(reply.spelled_field(field.name))?;
                    (field.write)(reply, &torrent)
                })
            })?;
        }
        reply.json().end_list()
    }))
}

/// The fields that are asked for, each once; unknown ones are left out.
fn fields(args: Args) -> Vec<&'static Field> {
    let names = args.list("fields").unwrap_or_default().iter().filter_map(Value::as_text);
    let mut fields: Vec<&'static Field> = Vec::new();
    for name in names {
        let Some(field) = FIELDS.iter().find(|field| field.is_called(name)) else { continue };
        if !fields.iter().any(|other| std::ptr::eq(*other, field)) {
            fields.push(field);
        }
    }
    fields
}

/// A method that has a command for the torrents it names, and no answer.
pub fn command<'a>(
    args: Args<'a>,
    backend: &mut dyn Backend,
    command: fn(Vec<TorrentId>) -> Command,
) -> Result<Answer<'a>, Fault> {
    backend.run(command(args.torrents(backend)))?;
    Ok(Answer::nothing())
}

/// torrent-remove.
pub fn remove<'a>(args: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
    let ids = args.torrents(backend);
    let data = args.flag("delete_local_data").unwrap_or(false);
    backend.run(Command::Remove { ids, data })?;
    Ok(Answer::nothing())
}

/// torrent-set-location.
pub fn set_location<'a>(args: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
    let Some(location) = args.text("location") else { return Err(Fault::params("no location")) };
    if !location.starts_with('/') {
        return Err(Fault::new(Code::PathNotAbsolute, "new location path is not absolute"));
    }
    let ids = args.torrents(backend);
    let data = args.flag("move").unwrap_or(false);
    backend.run(Command::Move { ids, to: location.to_owned(), data })?;
    Ok(Answer::nothing())
}

/// torrent-rename-path.
pub fn rename<'a>(args: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
    let only = match args.torrents(backend)[..] {
        [id] => backend.torrent(id),
        _ => None,
    };
    let Some(view) = only else { return Err(Fault::params("torrent_rename_path requires 1 torrent")) };
    let id: TorrentId = view.id;
    let path = args.text("path").unwrap_or_default();
    let name = args.text("name").unwrap_or_default();
    let outcome = match facts::renamed(&view.facts, path, name) {
        Some(_) => backend.run(Command::Rename { id, path: path.to_owned(), name: name.to_owned() }),
        None => Err(Failure::invalid()),
    };
    match outcome {
        Ok(_) => Ok(Answer::new(move |reply, _| write_rename(reply, id, path, name))),
        Err(failure) => {
            let details = Details::Rename { id, path: path.to_owned(), name: name.to_owned() };
            Err(Fault::from(failure).with(details))
        }
    }
}
