//! The lines of `--json`: what all of them begin with, and the version of their schema.

pub use bitwren::internals::json::Object;

/// The version of the schema, which is `v` of every line. It changes when a field changes its meaning or
/// is removed; new fields and events do not change it.
pub const SCHEMA: u64 = 1;

/// A line: the schema's version and what the line is about.
pub fn json_line(event: &str) -> Object {
    Object::new().number("v", SCHEMA).text("event", event)
}

#[test]
fn a_line_begins_with_the_version_and_the_event() {
    assert_eq!(json_line("test").flag("yes", true).end(), r#"{"v":1,"event":"test","yes":true}"#);
}
