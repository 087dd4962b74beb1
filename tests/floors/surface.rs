//! The example that uses every door of the API uses every name that `lib.rs` passes on: a name that is added
//! has to be used as another program would, and one that goes is missed.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::{names, sources};

/// What `pub use` passes on in this code, by the name it has outside.
fn passed_on(code: &str) -> BTreeSet<String> {
    let statements = code.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    let leaves = statements.flat_map(|statement| {
        let list = statement.rsplit_once('{').map_or(statement, |(_, list)| list.trim_end_matches('}'));
        list.split(',').map(|leaf| leaf.rsplit([' ', ':']).next().unwrap_or_default().trim().to_owned())
    });
    leaves.filter(|leaf| leaf.chars().all(|c| c.is_alphanumeric() || c == '_') && !leaf.is_empty()).collect()
}

#[test]
fn the_example_of_the_surface_uses_every_name() {
    let lib = sources().iter().find(|source| source.path == Path::new("lib.rs")).unwrap();
    let (api, _) = lib.code.split_once("pub mod internals").unwrap();
    let passed = passed_on(api);
    assert!(passed.len() > 30, "{passed:?}");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples/surface.rs");
    let example = std::fs::read_to_string(example).unwrap();
    let unused = passed.into_iter().filter(|name| !names(&example, name));
    super::none("not used in tests/examples/surface.rs", unused.collect());
}

#[test]
fn every_form_of_passing_on_is_seen() {
    let code = "pub use a::One;\npub use b::{Two,\n c::Three as Four,\n};\npub use d::e; use f::Five;";
    let seen: Vec<String> = passed_on(code).into_iter().collect();
    assert_eq!(seen, ["Four", "One", "Two", "e"]);
}
