//! Words that do not come back: threads, peers and nodes are `it`, and a sentence begins with its subject.

use super::source::sources;

/// What no line of the source has, be it a comment, help or an error; tests apart, and the manual, which names
/// these words itself.
const UNWANTED: &[&str] =
    &[" he ", " his ", " himself", "so-manieth", "/// Of ", "//! Of ", "gone deaf", "courier"];

#[test]
fn plain_words_are_used() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test() && source.room != "manual") {
        for (number, line) in source.text.lines().enumerate() {
            let unwanted = UNWANTED.iter().filter(|word| line.contains(**word));
            broken.extend(unwanted.map(|word| format!("{}:{}: {word:?}", source.path.display(), number + 1)));
        }
    }
    super::none("words that the contributing manual replaces", broken);
}
