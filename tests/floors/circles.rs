//! No circles: two files that import each other are one file in two places, and neither can be read,
//! tested or moved alone. A parent module may share one with up to two of its children, where it is the
//! type whose methods they hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::imports::{Imports, module_of};

/// Files that hold other rooms: no circle passes through them.
const HOUSES: &[&str] = &["lib.rs", "main.rs", "cli/mod.rs", "daemon/mod.rs", "engine/mod.rs"];

/// Circles that are still to be cut. A list may only become shorter: a file is struck from it when it is in
/// a circle no more.
const TO_CUT: &[&[&str]] = &[];

fn is_family(circle: &BTreeSet<PathBuf>) -> bool {
    let is_child_of = |file: &Path, parent: &Path| {
        let (mut module, above) = (module_of(file), module_of(parent));
        module.pop();
        module == above
    };
    let has_all = |parent: &&PathBuf| circle.iter().all(|file| file == *parent || is_child_of(file, parent));
    let is_house = |file: &PathBuf| HOUSES.iter().any(|house| Path::new(house) == file);
    circle.len() <= 3 && circle.iter().any(|parent| has_all(&parent)) && !circle.iter().any(is_house)
}

#[test]
fn there_are_no_circles_of_imports() {
    let imports = Imports::read();
    let circles: Vec<_> = imports.circles().into_iter().filter(|circle| !is_family(circle)).collect();
    let known: Vec<BTreeSet<PathBuf>> =
        TO_CUT.iter().map(|circle| circle.iter().map(PathBuf::from).collect()).collect();
    let new = circles.iter().filter(|circle| !known.iter().any(|known| known.is_superset(circle)));
    let new = new.map(|circle| {
        let files: Vec<String> =
            circle.iter().map(|file| format!("{:?}", file.display().to_string())).collect();
        format!("{}\n    {}", files.join(", "), imports.arrows_within(circle).join("\n    "))
    });
    super::none("files import each other in a circle", new.collect());
    let gone = known.iter().flatten().filter(|file| !circles.iter().any(|circle| circle.contains(*file)));
    super::none(
        "in no circle any more: strike it from TO_CUT",
        gone.map(|file| file.display().to_string()).collect(),
    );
}
