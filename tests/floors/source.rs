//! The source as the rules read it: stripped of comments, literals and test modules, and then looked at as
//! words. There is no parser, so that a rule is a line.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub struct Source {
    pub path: PathBuf,
    /// As written.
    pub text: String,
    /// Without comments, literals and `#[cfg(test)]` items.
    pub code: String,
    /// Top-level module it belongs to.
    pub room: String,
}

/// All files of `src`, in order.
pub fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(read)
}

fn read() -> Vec<Source> {
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
    pub fn floor(&self) -> u8 {
        floor_of(&self.room).unwrap_or_else(|| panic!("{}: on which floor is it?", self.path.display()))
    }

    /// Whether it is nothing but tests, a module's `tests.rs` or `x_tests.rs` or a file below `tests/`.
    pub fn is_test(&self) -> bool {
        self.path.iter().any(|part| part == "tests")
            || self.path.file_stem().unwrap().to_str().unwrap().rsplit('_').next() == Some("tests")
    }

    pub fn head(&self) -> String {
        self.text.lines().take_while(|line| line.starts_with("//!")).collect()
    }
}

/// The floor of a top-level module, as `lib.rs` has it: below the comment that names the floor. The binary
/// is floor 6.
pub fn floor_of(room: &str) -> Option<u8> {
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
pub fn names(code: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

/// Top-level modules that `code` names: after `crate::`, also within braces, and in `std::{fs, thread}`
/// fashion for other roots.
pub fn named_below(code: &str, root: &str) -> BTreeSet<String> {
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
