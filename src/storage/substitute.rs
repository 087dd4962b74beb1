//! Substitutes for names that a file system does not take: without the characters that Windows
//! reserves, shorter, in ASCII alone.
//!
//! Pure. A form applies to every name of a path, since what a file system refuses it refuses
//! everywhere: so the files of a directory stay together. The order is fixed, so that every run
//! tries the same paths. Invariant: a form of a safe path is a safe path of as many names.

use std::path::{Path, PathBuf};

use crate::metainfo::{cut, shortened, split};

/// Longest name where every name is encrypted (eCryptfs).
const ENCRYPTED: usize = 143;
/// Longest name that even old file systems take.
const SHORT: usize = 60;
/// Longest name on nearly every file system.
const USUAL: usize = 255;

/// How a name is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    /// Which characters stay.
    keeps: Keeps,
    /// Most bytes of a name.
    longest: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    All,
    /// What FAT, NTFS and Windows shares take.
    Portable,
    /// Those of them that are ASCII.
    Ascii,
}

/// The forms, those that change least first. A name that is only too long keeps its characters.
pub(super) const FORMS: [Form; 5] = [
    Form { keeps: Keeps::All, longest: ENCRYPTED },
    Form { keeps: Keeps::Portable, longest: USUAL },
    Form { keeps: Keeps::Portable, longest: ENCRYPTED },
    Form { keeps: Keeps::Ascii, longest: ENCRYPTED },
    Form { keeps: Keeps::Ascii, longest: SHORT },
];

impl Form {
    /// The path in this form.
    pub(super) fn of(self, path: &Path) -> PathBuf {
        path.iter().map(|name| self.name(&name.to_string_lossy())).collect()
    }

    /// A path of this form with the number of its file, where another file has that path.
    pub(super) fn numbered(self, path: &Path, number: usize) -> PathBuf {
        numbered(path, number, self.longest)
    }

    fn name(self, name: &str) -> String {
        let mut name = match self.keeps {
            Keeps::All => name.to_owned(),
            Keeps::Portable => portable(name, |_| true),
            Keeps::Ascii => portable(name, |c| c.is_ascii()),
        };
        name = shortened(&name, self.longest);
        if self.keeps != Keeps::All {
            // A cut name may end in characters that must not stand at the end.
            let end = name.trim_end_matches(['.', ' ']).len();
            let lost = name.len() - end;
            name.truncate(end);
            name.push_str(&"_".repeat(lost));
        }
        name
    }
}

/// Whether a path has no other form, at a glance.
pub(super) fn is_ordinary(path: &str) -> bool {
    let plain = |c: u8| c.is_ascii() && !is_reserved(c.into());
    path.split('/').all(|name| {
        name.len() <= SHORT && name.bytes().all(plain) && !name.ends_with(['.', ' ']) && !is_device(name)
    })
}

/// The forms of a path that differ from it and from one another, in order.
pub(super) fn forms(path: &Path) -> Vec<(Form, PathBuf)> {
    let mut found: Vec<(Form, PathBuf)> = Vec::new();
    for form in FORMS {
        let changed = form.of(path);
        if changed != path && found.iter().all(|(_, other)| *other != changed) {
            found.push((form, changed));
        }
    }
    found
}

/// The path with a number in front of the extension.
pub(super) fn numbered(path: &Path, number: usize, longest: usize) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, extension) = split(&name);
    let number = format!(".{number}");
    let room = longest.saturating_sub(extension.len() + number.len());
    path.with_file_name(format!("{}{number}{extension}", cut(stem, room)))
}

/// A name of characters that FAT, NTFS and Windows shares take, and that is no device of Windows.
fn portable(name: &str, keep: impl Fn(char) -> bool) -> String {
    let clean: String = name.chars().map(|c| if is_reserved(c) || !keep(c) { '_' } else { c }).collect();
    if is_device(&clean) { format!("_{clean}") } else { clean }
}

/// Whether Windows has another use for a character than in names.
fn is_reserved(c: char) -> bool {
    c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// Whether Windows takes a name for a device, with any extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let is = |device: &str| stem.eq_ignore_ascii_case(device);
    let numbered = |port: &str| {
        let digit = stem.get(3..).unwrap_or_default();
        stem.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(port))
            && matches!(digit, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    };
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].into_iter().any(is)
        || numbered("COM")
        || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Vec<String> {
        forms(Path::new(path)).into_iter().map(|(_, path)| path.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn an_ordinary_name_has_no_other_form() {
        for path in ["set/track 01 - plain.mp3", ".hidden/x", "CONSOLE", "com0"] {
            assert!(of(path).is_empty() && is_ordinary(path), "{path}");
        }
        for path in ["a:", "x/aux.c", "e.", "é", "a\\b", &"a".repeat(61)] {
            assert!(!of(path).is_empty() && !is_ordinary(path), "{path}");
        }
    }

    #[test]
    fn what_windows_reserves_is_replaced_in_every_name_of_the_path() {
        assert_eq!(of("a: b/01 - Why?.mp4"), ["a_ b/01 - Why_.mp4"]);
        assert_eq!(of("x/aux.c"), ["x/_aux.c"]);
        assert_eq!(of("x/LPT².txt"), ["x/_LPT².txt", "x/LPT_.txt"]);
        assert_eq!(of("etc./a\\b"), ["etc_/a_b"]);
        assert_eq!(of("x/CONSOLE"), [""; 0]);
    }

    #[test]
    fn what_is_long_is_cut_in_front_of_the_extension() {
        let long = format!("x/{}.mkv", "a".repeat(200));
        let cut: Vec<usize> = of(&long).iter().map(|path| path.len() - 2).collect();
        assert_eq!(cut, [143, 60]);
        assert!(of(&long).iter().all(|path| path.ends_with("a.mkv")));
        let wide = of(&format!("x/{}.mkv", "語".repeat(60)));
        assert_eq!(wide[0], format!("x/{}.mkv", "語".repeat(46)));
        assert_eq!(wide[1], format!("x/{}.mkv", "_".repeat(60)));
        assert_eq!(wide.len(), 3, "{wide:?}");
    }

    #[test]
    fn a_number_stands_in_front_of_the_extension_and_is_never_cut() {
        let path = |name: &str| Path::new("x").join(name);
        assert_eq!(numbered(&path("a.txt"), 12, USUAL), path("a.12.txt"));
        let long = numbered(&path(&format!("{}.txt", "a".repeat(60))), 1_000_000, SHORT);
        assert_eq!(long, path(&format!("{}.1000000.txt", "a".repeat(48))));
    }

    /// For any name: no form has a separator or is `..`, and none is longer than it says.
    #[test]
    fn a_form_of_a_safe_path_is_safe() {
        for name in ["..a", ". .", "a/..b", "\u{1b}", "...", "?", &"é.".repeat(120), "NUL", &"\\".repeat(255)]
        {
            for (form, path) in forms(Path::new(name)) {
                let names = path.components().count();
                assert_eq!(names, Path::new(name).components().count(), "{name:?} {path:?}");
                let plain =
                    |part| matches!(part, std::path::Component::Normal(name) if name.len() <= form.longest);
                assert!(path.components().all(plain), "{name:?} {path:?}");
            }
        }
    }
}
