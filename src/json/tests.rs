use std::io::Write;
use std::time::Duration;

use super::Value::{Bool, Float, Int, List, Null, Text};
use super::*;

fn written(value: &Value) -> String {
    let mut writer = Writer::new(Vec::new());
    writer.value(value).unwrap();
    String::from_utf8(writer.into_inner()).unwrap()
}

#[track_caller]
fn reads(json: &str, expected: Value) {
    assert_eq!(parse(json.as_bytes()), Ok(expected), "{json}");
}

#[track_caller]
fn refuses(json: impl AsRef<[u8]>, offset: usize, reason: &str) {
    let error = parse(json.as_ref()).unwrap_err();
    assert_eq!((error.offset, error.reason), (offset, reason), "{}", String::from_utf8_lossy(json.as_ref()));
}

#[test]
fn every_kind_of_value_is_read() {
    reads(" null ", Null);
    reads("true", Bool(true));
    reads("false", Bool(false));
    reads("[]", List(Vec::new()));
    reads("{ }", Value::Object(Vec::new()));
    reads("[1, [2,[ ]], \"x\"]", List(vec![Int(1), List(vec![Int(2), List(vec![])]), Text("x".into())]));
    let value = parse(br#"{"a": {"b": [true, null]}, "c": 1.5, "a": 7}"#).unwrap();
    assert_eq!(value.get("a"), Some(&Int(7)));
    assert_eq!(value.get("c").and_then(Value::as_number), Some(1.5));
    assert_eq!(value.get("d"), None);
    assert_eq!(written(&value), r#"{"a":{"b":[true,null]},"c":1.5,"a":7}"#);
}

#[test]
fn whole_numbers_and_others_are_kept_apart() {
    reads("9223372036854775807", Int(i64::MAX));
    reads("-9223372036854775808", Int(i64::MIN));
    reads("9223372036854775808", Float(9223372036854775808.0));
    reads("100.0", Int(100));
    reads("1e3", Int(1000));
    reads("-0", Int(0));
    reads("-0.0", Int(0));
    reads("0.25", Float(0.25));
    reads("-12.5E-1", Float(-1.25));
    reads("1e16", Float(1e16));
    for (number, expected) in [(2.0, "2"), (-0.0, "0"), (0.25, "0.25"), (1e300, "1e300"), (1e-7, "1e-7")] {
        assert_eq!(written(&Float(number)), expected);
    }
    assert_eq!(written(&Float(9007199254740994.0)), "9.007199254740994e15");
    assert_eq!(written(&Float(f64::NAN)), "null");
}

#[test]
fn strings_are_unescaped() {
    reads(r#""\"\\\/\b\f\n\r\tA""#, Text("\"\\/\u{8}\u{c}\n\r\tA".into()));
    reads(r#""\u00e9\uD83D\ude00é""#, Text("é😀é".into()));
    reads(r#""\ud83d""#, Text("\u{fffd}".into()));
    reads(r#""\ud83d\u0041""#, Text("\u{fffd}A".into()));
    reads(r#""\ude00\ud83d\n""#, Text("\u{fffd}\u{fffd}\n".into()));
}

#[test]
fn what_is_no_json_is_refused_where_it_ends_to_be() {
    refuses("", 0, "a value is missing");
    refuses("  ", 2, "a value is missing");
    refuses("{nonsense", 1, "a name is missing");
    refuses("[1,]", 3, "a value is missing");
    refuses("[1 2]", 3, "a comma or ] is missing");
    refuses("[1", 1, "a comma or ] is missing");
    refuses(r#"{"a" 1}"#, 5, "a colon is missing");
    refuses(r#"{"a":1,}"#, 7, "a name is missing");
    refuses(r#"{"a":1]"#, 6, "a comma or } is missing");
    refuses("1 2", 2, "more behind the value");
    refuses("01", 2, "a number begins with 0");
    refuses("-", 1, "a digit is missing");
    refuses("1.", 2, "a digit is missing");
    refuses("1e+", 3, "a digit is missing");
    refuses("1e999", 4, "a number is out of range");
    refuses("tru", 0, "a value is missing");
    refuses("\"a", 2, "a string does not end");
    refuses("\"a\nb\"", 2, "a control character stands in a string");
    refuses(r#""\x""#, 2, "an escape is not known");
    refuses(r#""\u12g4""#, 5, "a hexadecimal digit is missing");
    refuses(b"\"a\xff\"", 2, "a string is not UTF-8");
    refuses(b"\xef\xbb\xbf1", 0, "a value is missing");
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    refuses(nested(MAX_DEPTH + 1), MAX_DEPTH, "nested too deep");
    refuses(vec![b'['; 200_000], MAX_DEPTH, "nested too deep");
    let deep = "{\"a\":".repeat(200_000);
    refuses(deep, 5 * MAX_DEPTH, "nested too deep");
    let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    assert!(parse(list(MAX_VALUES - 1).as_bytes()).is_ok());
    refuses(list(MAX_VALUES), 1 + 2 * (MAX_VALUES - 1), "too many values");
}

#[test]
fn an_object_holds_every_kind_of_value() {
    let line = Object::new()
        .text("name", "x")
        .text_if("none", None)
        .number("n", u64::MAX)
        .signed("s", -1)
        .seconds("t", Duration::from_millis(1_005))
        .flag("yes", true)
        .texts("list", ["a", "b"])
        .objects("objects", [Object::new(), Object::new().flag("no", false)])
        .end();
    let members = r#""t":1.005,"yes":true,"list":["a","b"],"objects":[{},{"no":false}]"#;
    assert_eq!(line, format!(r#"{{"name":"x","n":18446744073709551615,"s":-1,{members}}}"#));
    assert!(parse(line.as_bytes()).is_ok());
}

#[test]
fn strings_are_escaped() {
    let text = "q\" b\\ \n\r\t\0\x1b\u{7f}\u{9b}\u{202e}\u{200b}\u{e0041} é 世 😀";
    let json = written(&Text(text.into()));
    let unseen = r"\u0000\u001b\u007f\u009b\u202e\u200b\udb40\udc41";
    assert_eq!(json, format!(r#""q\" b\\ \n\r\t{unseen} é 世 😀""#));
    reads(&json, Text(text.into()));
}

#[test]
fn a_string_is_written_in_parts() {
    let mut writer = Writer::new(Vec::new());
    writer.begin_list().unwrap();
    writer.plain_text(|out| out.write_all(b"YWJj")).unwrap();
    writer.number(1).unwrap();
    writer.end_list().unwrap();
    assert_eq!(writer.into_inner(), br#"["YWJj",1]"#);
}
