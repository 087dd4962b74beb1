//! The graph of imports: which file of `src` names something in which other one, by `use` or by a path in
//! the middle of the code. Declaring a module is no import of it.
//!
//! A path leads to the file of the longest module in it. What a file only passes on (`pub use`) counts as
//! its own, so that who takes a thing from there depends on that file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::source::sources;

/// The modules of `src`, and which names which.
pub struct Imports {
    /// By file, those that it imports.
    pub of: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

/// What the binary calls the library.
const LIBRARY: [&str; 1] = ["bitwren"];

/// A path in the code, such as `crate::wire::pex`.
type Names = Vec<String>;

impl Imports {
    /// Of the files of `src`, tests apart.
    pub fn read() -> Imports {
        let sources = sources().iter().filter(|source| !source.is_test());
        Imports::among(sources.map(|source| (source.path.as_path(), source.code.as_str())))
    }

    /// Of these files, by their path below `src`, and their code.
    pub fn among<'a>(files: impl Iterator<Item = (&'a Path, &'a str)> + Clone) -> Imports {
        let modules: HashMap<Names, &Path> = files
            .clone()
            .map(|(path, _)| (module_of(path), path))
            .filter(|(names, _)| !names.is_empty())
            .collect();
        let of = files.map(|(path, code)| {
            let mut named: BTreeSet<PathBuf> = paths(&module_of(path), code, &modules)
                .iter()
                .filter_map(|names| target(path, names, &modules))
                .collect();
            named.remove(path);
            (path.to_owned(), named)
        });
        Imports { of: of.collect() }
    }

    /// The circles: sets of files each of which reaches all others of its set.
    pub fn circles(&self) -> Vec<BTreeSet<PathBuf>> {
        let reached: BTreeMap<&Path, BTreeSet<&Path>> =
            self.of.keys().map(|file| (file.as_path(), self.reached_from(file))).collect();
        let mut found = BTreeSet::new();
        for (file, others) in &reached {
            let back = |other: &&&Path| reached.get(**other).is_some_and(|them| them.contains(file));
            let circle: BTreeSet<PathBuf> =
                others.iter().filter(back).map(|other| (*other).to_owned()).collect();
            if !circle.is_empty() {
                found.insert(circle);
            }
        }
        found.into_iter().collect()
    }

    fn reached_from<'a>(&'a self, file: &'a Path) -> BTreeSet<&'a Path> {
        let mut reached = BTreeSet::new();
        let mut open = vec![file];
        while let Some(at) = open.pop() {
            for next in self.of.get(at).into_iter().flatten() {
                if reached.insert(next.as_path()) {
                    open.push(next);
                }
            }
        }
        reached
    }

    /// The arrows between the files of a circle, to see where it is cut best.
    pub fn arrows_within(&self, circle: &BTreeSet<PathBuf>) -> Vec<String> {
        let arrows =
            circle.iter().flat_map(|from| self.of[from].intersection(circle).map(move |to| (from, to)));
        arrows.map(|(from, to)| format!("{} -> {}", from.display(), to.display())).collect()
    }
}

/// The module that a file is, without `crate`; nothing for the roots of library and binary.
pub fn module_of(path: &Path) -> Names {
    let mut names: Names =
        path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        names.pop();
    }
    names
}

/// The file that a path from the root leads to, named in the file `from`.
fn target(from: &Path, names: &[String], modules: &HashMap<Names, &Path>) -> Option<PathBuf> {
    if names == LIBRARY {
        return Some("lib.rs".into());
    }
    let found = (1..=names.len()).rev().find_map(|length| modules.get(&names[..length]));
    let is_face = from.starts_with("cli") || from == Path::new("main.rs");
    let root = if is_face { "main.rs" } else { "lib.rs" };
    Some(found.map_or_else(|| root.into(), |found| found.to_path_buf()))
}

/// All paths in the code of the module `own` that lead into the house, from its root.
fn paths(own: &[String], code: &str, modules: &HashMap<Names, &Path>) -> BTreeSet<Names> {
    let words = words(code);
    let mut found = BTreeSet::new();
    let mut known: HashMap<String, Names> = HashMap::new();
    let mut others = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if words[at] == "use" {
            let end =
                words[at..].iter().position(|word| *word == ";").map_or(words.len(), |length| at + length);
            let mut leaves = Vec::new();
            tree(&words[at + 1..end], &[], &mut leaves);
            for (path, name) in leaves {
                if let Some(path) = from_root(own, &path, modules) {
                    known.insert(name, path.clone());
                    found.insert(path);
                }
            }
            at = end;
        } else if is_name(words[at]) && words.get(at + 1) == Some(&"::") {
            let start = at;
            while words.get(at + 1) == Some(&"::") && words.get(at + 2).is_some_and(|word| is_name(word)) {
                at += 2;
            }
            // Not where a path goes on behind generic arguments.
            if start == 0 || words[start - 1] != "::" {
                let path: Names =
                    words[start..=at].iter().step_by(2).map(|word| (*word).to_owned()).collect();
                others.push(path);
            }
        }
        at += 1;
    }
    for path in others {
        if let Some(path) = from_root(own, &path, modules) {
            found.insert(path);
        } else if let Some(start) = known.get(&path[0]) {
            found.insert(start.iter().chain(&path[1..]).cloned().collect());
        }
    }
    found
}

/// A path as seen from the root of the house; nothing for one into another crate, or to a local name.
fn from_root(own: &[String], path: &[String], modules: &HashMap<Names, &Path>) -> Option<Names> {
    let mut base = own.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => (base, rest) = (Names::new(), &path[1..]),
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|word| word == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
        }
        // The library as the binary sees it.
        "bitwren" => return Some(LIBRARY.map(String::from).into()),
        child => {
            base.push(child.into());
            modules.get(&base)?;
            rest = &path[1..];
        }
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// The paths that a tree behind `use` stands for, each with the name it is known by.
fn tree(words: &[&str], before: &[String], leaves: &mut Vec<(Names, String)>) {
    let mut path = before.to_vec();
    let mut at = 0;
    while at < words.len() {
        match words[at] {
            "{" => {
                let mut depth = 0;
                let mut start = at + 1;
                for (end, word) in words.iter().enumerate().skip(at) {
                    match *word {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 || depth == 1 && *word == "," {
                        if start < end {
                            tree(&words[start..end], &path, leaves);
                        }
                        start = end + 1;
                    }
                    if depth == 0 {
                        return;
                    }
                }
                return;
            }
            "as" => {
                let name = words.get(at + 1).copied().unwrap_or_default();
                return leaves.push((path, name.to_owned()));
            }
            // `self` at the end of a tree is the module itself.
            "self" if !path.is_empty() => {}
            word if is_name(word) => path.push(word.to_owned()),
            _ => {}
        }
        at += 1;
    }
    if let Some(name) = path.last().cloned() {
        leaves.push((path, name));
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and other signs.
fn words(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            found.push(&rest[..length]);
        }
        rest = &rest[length..];
    }
    found
}

/// The reader itself: each way to name another file, and what is none.
#[test]
fn every_way_to_name_a_file_is_seen() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use b::c::Thing;"),
        ("a.rs", "use crate::b::{self, c::{Thing as Other, d}, e}; use std::b::x;"),
        ("b/mod.rs", "mod c; mod e; use e::f; fn f() { c::g() }"),
        ("b/c.rs", "use super::e; fn f() { e::x(); Vec::<super::Y>::new(); let g::<x>::h = 1; }"),
        ("b/c/d.rs", "fn f(x: super::super::e::X) { crate::Thing }"),
        ("b/e.rs", "fn f() { x.a(); std::a::b(); }"),
        ("cli/mod.rs", "use bitwren::Thing; use crate::cli::x;"),
    ];
    let imports = Imports::among(files.iter().map(|(path, code)| (Path::new(path), *code)));
    let seen: Vec<String> = imports
        .of
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| format!("{} {}", from.display(), to.display())))
        .collect();
    let expected = [
        "a.rs b/c/d.rs",
        "a.rs b/c.rs",
        "a.rs b/e.rs",
        "a.rs b/mod.rs",
        "b/c/d.rs b/e.rs",
        "b/c/d.rs lib.rs",
        "b/c.rs b/e.rs",
        "b/c.rs b/mod.rs",
        "b/mod.rs b/c.rs",
        "b/mod.rs b/e.rs",
        "cli/mod.rs lib.rs",
        "lib.rs b/c.rs",
    ];
    assert_eq!(seen, expected);
    let circles: Vec<String> =
        imports.circles().iter().map(|circle| imports.arrows_within(circle).join(", ")).collect();
    assert_eq!(circles.len(), 1, "{circles:?}");
}
