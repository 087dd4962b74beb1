//! JSON: what is read is bounded, and reading and writing are inverse to each other.

use bitwren::internals::json::{MAX_DEPTH, MAX_VALUES, Value, Writer, parse};

pub fn json(data: &[u8]) {
    let value = match parse(data) {
        Ok(value) => value,
        Err(error) => {
            assert!(error.offset <= data.len() && super::is_one_line(&error.to_string()));
            return;
        }
    };
    let (depth, count) = size(&value);
    assert!(depth <= MAX_DEPTH && count <= MAX_VALUES);
    let json = written(&value);
    assert!(super::is_one_line(&json));
    let again = parse(json.as_bytes()).expect("what was written is read");
    assert_eq!(again, value);
    assert_eq!(written(&again), json);
}

fn written(value: &Value) -> String {
    let mut writer = Writer::new(Vec::new());
    writer.value(value).expect("memory takes all");
    String::from_utf8(writer.into_inner()).expect("JSON is text")
}

/// How deep a value goes, and how many values there are in it.
fn size(value: &Value) -> (usize, usize) {
    let within = |values: &mut dyn Iterator<Item = &Value>| {
        values.map(size).fold((1, 1), |(depth, count), (deep, more)| (depth.max(deep + 1), count + more))
    };
    match value {
        Value::List(values) => within(&mut values.iter()),
        Value::Object(members) => within(&mut members.iter().map(|(_, value)| value)),
        _ => (0, 1),
    }
}
