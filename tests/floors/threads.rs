//! The table of threads in `engine/mod.rs` names every thread that the library starts, by the name that
//! `top -H` shows, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::{Source, names, sources};

/// Where threads are started for others, by a name that these give.
const STARTS: &[&str] = &["engine/runtime/threads.rs", "engine/udp/reader.rs", "engine/http/server.rs"];

/// What a name of a thread stands behind.
const MARKS: &[&str] = &[
    "threads::spawn(",
    "threads::spawn_waited(",
    "thread::Builder::new().name(",
    "UdpReader::start(",
    "HttpServer::start(",
];

/// The start of the name behind a mark, up to what is put into it, such as a port; nothing where there is
/// none in words.
fn name_in(text: &str, all: &[Source]) -> Option<String> {
    let text = text.trim_start().trim_start_matches('&').trim_start();
    let quoted = text.strip_prefix('"').or_else(|| text.strip_prefix("format!(\"")).map(literal);
    quoted.or_else(|| {
        // A function that makes it.
        let call = text.split(['(', ',']).next()?.rsplit("::").next()?.trim();
        let body = all
            .iter()
            .find_map(|source| source.text.split_once(&format!("fn {call}(")))
            .map(|(_, body)| body)?;
        body.split_once('"').map(|(_, name)| literal(name))
    })
}

fn literal(text: &str) -> String {
    text.split(['"', '{']).next().unwrap().trim_end_matches(['-', ' ']).to_owned()
}

fn is_of_library(source: &&Source) -> bool {
    !source.is_test() && source.room != "cli" && !STARTS.iter().any(|path| source.path == Path::new(path))
}

#[test]
fn the_table_of_threads_names_every_thread() {
    let all = sources();
    let mut started = BTreeSet::new();
    let mut unnamed = Vec::new();
    for source in all.iter().filter(is_of_library) {
        for (at, mark) in MARKS.iter().flat_map(|mark| source.text.match_indices(mark)) {
            match name_in(&source.text[at + mark.len()..], all) {
                Some(name) => _ = started.insert(name),
                None => unnamed.push(format!("{}: {mark}…", source.path.display())),
            }
        }
        if names(&source.code, "thread::spawn") {
            unnamed.push(format!("{}: thread::spawn", source.path.display()));
        }
    }
    super::none("a thread is started without a name", unnamed);
    let engine = all.iter().find(|source| source.path == Path::new("engine/mod.rs")).unwrap();
    let rows = engine.text.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let table: BTreeSet<String> = rows.map(literal_of_row).collect();
    assert!(table.len() > 10, "the table was not found");
    let tell = |what: &str, names: BTreeSet<&String>| {
        names.into_iter().map(|name| format!("{what}: {name}")).collect()
    };
    super::none(
        "threads that are not in the table of engine/mod.rs",
        tell("started", started.difference(&table).collect()),
    );
    super::none(
        "the table of engine/mod.rs has threads that nothing starts",
        tell("listed", table.difference(&started).collect()),
    );
}

fn literal_of_row(row: &str) -> String {
    literal(row.split('`').next().unwrap())
}
