//! The rules of the house that can be read off the source: imports go down only, the minds touch
//! neither network nor clock, files stay small and say what they are for.
//!
//! The source is stripped of comments, literals and test modules first, and then looked at as words:
//! no parser, so a rule is a line here.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What floors 1 to 3 may not name: sockets, files, threads, channels, the clock.
const HANDS: &[&str] = &[
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "std::fs",
    "std::thread",
    "crossbeam",
    "crossbeam_channel",
    "Instant::now",
    "SystemTime::now",
];

/// Who may name some of it after all, and what for.
const EXCEPTIONS: &[(&str, &[&str])] = &[
    // A connection as reader, writer and closer; a file goes out straight from the page cache.
    ("transport", &["std::fs", "TcpStream"]),
    // The room that keeps the files; it hashes in parallel.
    ("storage", &["std::fs", "std::thread", "crossbeam", "crossbeam_channel", "SystemTime::now"]),
];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "misc", "manager", "helpers"];

/// Lines of code a file may have before it has to argue, with this word in its head.
const LONG: usize = 500;
const ARGUMENT: &str = "Long because";

struct Source {
    path: PathBuf,
    /// As written.
    text: String,
    /// Without comments, literals and `#[cfg(test)]` items.
    code: String,
    /// Top-level module it belongs to.
    room: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let relative = path.strip_prefix(&root).unwrap().to_path_buf();
                let room =
                    relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
                let code = without_tests(&bare(&text));
                found.push(Source { path: relative, text, code, room });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 10, "the source was not found");
    found
}

impl Source {
    fn floor(&self) -> u8 {
        floor_of(&self.room).unwrap_or_else(|| panic!("{}: on which floor is it?", self.path.display()))
    }

    /// Whether it is nothing but tests, a module's `tests.rs` or `x_tests.rs` or a file below `tests/`.
    fn is_test(&self) -> bool {
        self.path.iter().any(|part| part == "tests")
            || self.path.file_stem().unwrap().to_str().unwrap().rsplit('_').next() == Some("tests")
    }

    fn head(&self) -> String {
        self.text.lines().take_while(|line| line.starts_with("//!")).collect()
    }
}

/// The floor of a top-level module, as `lib.rs` has it: below the comment that names the floor. The binary
/// is floor 6.
fn floor_of(room: &str) -> Option<u8> {
    static FLOORS: OnceLock<HashMap<String, u8>> = OnceLock::new();
    let floors = FLOORS.get_or_init(|| {
        let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
        let mut floors: HashMap<String, u8> = [("cli".into(), 6), ("main".into(), 6)].into();
        let mut floor = 0;
        for line in std::fs::read_to_string(lib).unwrap().lines() {
            if let Some(number) = line.strip_prefix("// Floor ") {
                floor = number[..1].parse().unwrap();
            } else if let Some(module) = line.trim_start_matches("pub ").strip_prefix("mod ") {
                floors.insert(module.trim_end_matches(';').into(), floor);
            }
        }
        floors.insert("lib".into(), floor);
        floors
    });
    floors.get(room).copied()
}

/// Replaces comments by nothing and literals by empty ones.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if next == '"' {
            quoted(rest, '"')
        } else if let Some(length) = character(rest) {
            length
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        // Lines stay lines, so that they can be counted.
        out.extend(rest[..skip].chars().filter(|&c| c == '\n'));
        rest = &rest[skip..];
    }
    out
}

/// Length of the raw string that `rest` starts with.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(body.len(), |at| at + close.len());
    Some(rest.len() - body.len() + end)
}

/// Length of the quoted text that `rest` starts with.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// Length of the character literal that `rest` starts with; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices();
    let ((_, '\''), (_, second), third) = (chars.next()?, chars.next()?, chars.next()?) else { return None };
    (second == '\\' || third.1 == '\'').then(|| quoted(rest, '\''))
}

/// Leaves out everything under `#[cfg(test)]`: an item up to its semicolon or the end of its braces, a
/// field up to its comma.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        rest = &rest[at + MARK.len()..];
        let mut depth = 0u32;
        let mut end = rest.len();
        for (offset, c) in rest.char_indices() {
            match c {
                '{' | '(' | '[' => depth += 1,
                // What holds a last field without a comma is not part of it.
                '}' | ')' | ']' if depth == 0 => {
                    end = offset;
                    break;
                }
                '}' | ')' | ']' => depth -= 1,
                _ => {}
            }
            if depth == 0 && matches!(c, ';' | ',' | '}') {
                end = offset + 1;
                break;
            }
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Whether `name` stands in `code` as a path or a word of its own.
fn names(code: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

/// Top-level modules that `code` names: after `crate::`, also within braces, and in `std::{fs, thread}`
/// fashion for other roots.
fn named_below(code: &str, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let start = format!("{root}::");
    for (at, _) in code.match_indices(&start) {
        if code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = code[at + start.len()..].trim_start();
        if !rest.starts_with('{') {
            found.extend(first_word(rest));
            continue;
        }
        // A group: the first word after each brace or comma of the outermost level.
        let mut depth = 0;
        let mut expecting = false;
        for (offset, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && matches!(c, '{' | ',') {
                expecting = true;
            } else if expecting && !c.is_whitespace() {
                found.extend(first_word(&rest[offset..]));
                expecting = false;
            }
        }
    }
    found
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// Asserts that nothing was found, and tells all that was.
#[track_caller]
fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn imports_go_down_only() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.room != "lib") {
        let floor = source.floor();
        let binary = source.floor() == 6;
        for named in named_below(&source.code, "crate") {
            // What the binary calls `crate` is itself.
            match floor_of(&named) {
                Some(other) if other > floor && !source.is_test() => {
                    broken.push(format!("{}: crate::{named}", source.path.display()))
                }
                Some(_) => {}
                // `crate::Error` and the like are the door's re-exports: nobody below it may use them.
                None if !binary && !source.is_test() && named.starts_with(char::is_uppercase) => {
                    broken.push(format!("{}: crate::{named}, by the door", source.path.display()));
                }
                None => {}
            }
        }
    }
    none("a floor names one above it", broken);
}

#[test]
fn peer_swarm_and_storage_meet_only_in_job() {
    let rooms = ["peer", "swarm", "storage"];
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| rooms.contains(&&*source.room)) {
        let named = named_below(&source.code, "crate");
        broken.extend(
            rooms
                .iter()
                .filter(|other| **other != source.room && named.contains(**other))
                .map(|other| format!("{}: crate::{other}", source.path.display())),
        );
    }
    none("a mind imports another", broken);
}

#[test]
fn the_lower_floors_have_no_hands() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.floor() <= 3 && !source.is_test()) {
        let allowed =
            EXCEPTIONS.iter().find(|(room, _)| *room == source.room).map_or(&[][..], |(_, what)| what);
        let grouped: Vec<String> =
            named_below(&source.code, "std").into_iter().map(|module| format!("std::{module}")).collect();
        for hand in HANDS.iter().filter(|hand| !allowed.contains(hand)) {
            if names(&source.code, hand) || grouped.iter().any(|module| module == hand) {
                broken.push(format!("{}: {hand}", source.path.display()));
            }
        }
    }
    none("floors 1 to 3 touch the world", broken);
}

/// The seeded generator is no source of secrets: each place that draws from it says in the table of
/// `random.rs` why its draws may be guessed.
#[test]
fn every_use_of_the_seeded_generator_is_argued() {
    let all = sources();
    let head = all.iter().find(|source| source.path == Path::new("random.rs")).unwrap().head();
    let first_cells = head.split("//! | ").filter_map(|row| row.split(" |").next());
    let argued: BTreeSet<&str> = first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(argued.contains("dht/node"), "the table was not found");
    let room_of = |source: &Source| source.path.with_extension("").to_str().unwrap().to_owned();
    let is_argued = |room: &str| {
        argued.contains(room) || room.rsplit_once('/').is_some_and(|(parent, _)| argued.contains(parent))
    };
    let users = all.iter().filter(|source| {
        let is_sample = source.path == Path::new("storage/sample.rs");
        !source.is_test() && !is_sample && source.room != "random" && names(&source.code, "Random")
    });
    let broken: Vec<String> = users.map(room_of).filter(|room| !is_argued(room)).collect();
    none("draws from the seeded generator without a row in random.rs", broken);
}

#[test]
fn there_is_no_unsafe_code() {
    let all = sources();
    let broken = all.iter().filter(|source| names(&source.code, "unsafe"));
    none("unsafe", broken.map(|source| source.path.display().to_string()).collect());
}

#[test]
fn every_file_says_what_it_is_for() {
    let all = sources();
    let broken = all.iter().filter(|source| !source.is_test() && !source.text.starts_with("//! "));
    none("does not start with `//!`", broken.map(|source| source.path.display().to_string()).collect());
}

#[test]
fn files_are_short_or_argue() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.code.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > LONG && !source.head().contains(ARGUMENT) {
            broken.push(format!(
                "{}: {lines} lines of code, and no `{ARGUMENT} …` in its head",
                source.path.display()
            ));
        }
    }
    none("a file is too long", broken);
}

#[test]
fn names_say_something() {
    let all = sources();
    let empty = |source: &&Source| {
        source.path.iter().any(|part| {
            let part = part.to_str().unwrap().trim_end_matches(".rs");
            part.split('_').any(|word| EMPTY_NAMES.contains(&word))
        })
    };
    none("an empty name", all.iter().filter(empty).map(|source| source.path.display().to_string()).collect());
}

/// The scanner itself: what it must see and what it must not.
#[test]
fn the_scanner_sees_code_and_nothing_else() {
    let code = bare(
        "use a; // unsafe\n/* unsafe */ let x = \"unsafe \\\" unsafe\"; let r = r#\"un\"safe\"#; let c = '\"'; fn f<'a>() {}",
    );
    assert!(!names(&code, "unsafe"), "{code}");
    assert!(code.contains("fn f<'a>"), "{code}");
    let code = without_tests("struct S { #[cfg(test)] x: f(a, b), y: u8, #[cfg(test)] z: u8 }");
    assert_eq!(code.split_whitespace().collect::<String>(), "structS{y:u8,}");
    let code = without_tests("a\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod more { fn f() { g(); } }\nc");
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "c"]);
    let named =
        named_below("use crate::{swarm::{picker, x}, peer}; crate::job::f(); notcrate::engine::x", "crate");
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["job", "peer", "swarm"]);
    assert!(names("a std::fs::read", "std::fs") && !names("std::fsx", "std::fs"));
}
