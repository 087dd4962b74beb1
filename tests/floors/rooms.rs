//! The order of the rooms of `engine`, of `cli` and of `daemon`: each room imports from rooms that stand above it in the
//! table of the house's `mod.rs`, and from no other. The house itself may import any of them.

use std::path::Path;

use super::imports::Imports;
use super::source::{Source, sources};

/// Houses with a table of rooms.
const HOUSES: &[&str] = &["engine", "cli", "daemon"];

/// The room of a file in this house; nothing for the house's own `mod.rs` and for files elsewhere.
fn room_in(house: &str, file: &Path) -> Option<String> {
    let mut parts = file.strip_prefix(house).ok()?.iter();
    let first = parts.next()?.to_str()?.trim_end_matches(".rs");
    (first != "mod").then(|| first.to_owned())
}

/// The rooms of a house in the order of its table.
fn table_of(house: &Source) -> Vec<String> {
    let rows = house.text.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

/// What breaks the order: an import of a room that does not stand above, and a room that the table has not
/// or has in vain.
fn broken(house: &str, table: &[String], imports: &Imports) -> Vec<String> {
    let place = |room: &str| table.iter().position(|listed| listed == room);
    let mut broken = Vec::new();
    for (from, targets) in &imports.of {
        let Some(room) = room_in(house, from) else { continue };
        let Some(own) = place(&room) else {
            broken.push(format!("{}: its room is not in the table of {house}/mod.rs", from.display()));
            continue;
        };
        for to in targets {
            let arrow = format!("{} -> {}", from.display(), to.display());
            match room_in(house, to) {
                Some(other) if place(&other).is_some_and(|other| other > own) => broken.push(arrow),
                None if to.starts_with(house) => broken.push(arrow),
                _ => {}
            }
        }
    }
    let is_room = |room: &str| imports.of.keys().any(|file| room_in(house, file).as_deref() == Some(room));
    let in_vain = table.iter().filter(|room| !is_room(room));
    broken.extend(in_vain.map(|room| format!("{house}/{room} is in the table, and no room")));
    broken
}

#[test]
fn rooms_import_only_rooms_above_them_in_the_table() {
    let imports = Imports::read();
    for house in HOUSES {
        let own = Path::new(house).join("mod.rs");
        let source = sources().iter().find(|source| source.path == own).unwrap();
        let table = table_of(source);
        assert!(table.len() > 1, "the table of {house} was not found");
        super::none("a room imports one below it", broken(house, &table, &imports));
    }
}

#[test]
fn an_arrow_against_the_order_is_found() {
    let files = [
        ("lib.rs", ""),
        ("a/mod.rs", "mod low; mod high; use low::x; use high::y;"),
        ("a/low.rs", "use super::high::part;"),
        ("a/high/mod.rs", "use super::low::x;"),
        ("a/high/part.rs", "use crate::a::thing; use super::y;"),
        ("a/new.rs", ""),
    ];
    let imports = Imports::among(files.iter().map(|(path, code)| (Path::new(path), *code)));
    let table = ["low", "high", "gone"].map(String::from);
    let expected = [
        "a/high/part.rs -> a/mod.rs",
        "a/low.rs -> a/high/part.rs",
        "a/new.rs: its room is not in the table of a/mod.rs",
        "a/gone is in the table, and no room",
    ];
    assert_eq!(broken("a", &table, &imports), expected);
}
