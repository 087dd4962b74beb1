//! Words that do not come back, in comments, names, help and errors: threads, peers and nodes are `it`, the
//! subject of a sentence is a thing of the field, and a sentence begins with it.

use std::path::Path;

use super::source::sources;

/// Words that no line has, in any case, be they words of a text or of a name. The manual for contributors says
/// what to write instead; it alone names them.
const UNWANTED: &[&str] = &[
    "anybody",
    "courier",
    "everybody",
    "foreman",
    "gone deaf",
    "he",
    "him",
    "himself",
    "his",
    "it is said",
    "nobody",
    "she",
    "so many",
    "so-manieth",
    "somebody",
    "whoever",
    "whom",
    "whomever",
];

/// Openings of comments that put the object first.
const OPENINGS: &[&str] = &["//! Of ", "/// Of ", "// Of "];

const MANUAL: &str = "manual/contributing.rs";

/// The unwanted words of a line. What is between letters and digits ends a word, `_` too.
fn unwanted(line: &str) -> Vec<&'static str> {
    let plain: String = line
        .chars()
        .map(|c| match c {
            '-' => '-',
            c if c.is_alphanumeric() => c.to_ascii_lowercase(),
            _ => ' ',
        })
        .collect();
    let plain = format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "));
    let word = |word: &&&str| plain.contains(&format!(" {word} "));
    let opening = |opening: &&&str| line.trim_start().starts_with(**opening);
    UNWANTED.iter().filter(word).chain(OPENINGS.iter().filter(opening)).copied().collect()
}

#[test]
fn plain_words_are_used() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let written = sources().iter().filter(|source| source.path != Path::new(MANUAL));
    let texts = written.map(|source| (source.path.as_path(), &*source.text));
    let mut broken = Vec::new();
    for (path, text) in texts.chain([(Path::new("README.md"), &*readme)]) {
        for (number, line) in text.lines().enumerate() {
            broken.extend(
                unwanted(line).iter().map(|word| format!("{}:{}: {word:?}", path.display(), number + 1)),
            );
        }
    }
    super::none("words that manual/contributing.rs replaces by plainer ones", broken);
}

#[test]
fn unwanted_words_are_found_as_whole_words() {
    assert_eq!(unwanted("/// Whoever asks, and he_waits"), ["he", "whoever"]);
    assert_eq!(unwanted("    // Of several, so  many"), ["so many", "// Of "]);
    assert_eq!(unwanted("the so-manieth time"), ["so-manieth"]);
    assert!(unwanted("the cache, this, history, somebodyelse, a whole of many").is_empty());
}
