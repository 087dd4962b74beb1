//! Bencoding against what other programs test themselves with, and against itself.

use bitwren::ErrorKind;
use bitwren::internals::bencode::{Dict, Encoder, MAX_DEPTH, Value, decode, decode_prefix, inspect};
use bitwren::internals::random::Random;

const VECTORS: &str = include_str!("../../testdata/vectors/bencode.tsv");

/// A value taken apart.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Dict(Vec<(Vec<u8>, Tree)>),
}

impl Tree {
    fn of(value: Value<'_>) -> Tree {
        if let Some(list) = value.list() {
            Tree::List(list.map(Tree::of).collect())
        } else if let Some(dict) = value.dict() {
            Tree::Dict(dict.map(|(key, value)| (key.to_vec(), Tree::of(value))).collect())
        } else if let Some(int) = value.as_int() {
            Tree::Int(int)
        } else {
            Tree::Bytes(value.as_bytes().unwrap().to_vec())
        }
    }

    /// Reads the notation of the vectors off the front of `text`.
    fn read(text: &mut &str) -> Tree {
        let rest = *text;
        match rest.as_bytes()[0] {
            b'"' => {
                let (hex, rest) = rest[1..].split_once('"').unwrap();
                *text = rest;
                Tree::Bytes(unhex(hex))
            }
            b'[' => Tree::List(Tree::several(text, ']', Tree::read)),
            b'{' => Tree::Dict(Tree::several(text, '}', |text| {
                let Tree::Bytes(key) = Tree::read(text) else { panic!("a key is a string: {text}") };
                *text = text.strip_prefix(':').unwrap();
                (key, Tree::read(text))
            })),
            _ => {
                let end = rest.find([',', ']', '}']).unwrap_or(rest.len());
                *text = &rest[end..];
                Tree::Int(rest[..end].parse().unwrap())
            }
        }
    }

    fn several<T>(text: &mut &str, close: char, mut one: impl FnMut(&mut &str) -> T) -> Vec<T> {
        let mut all = Vec::new();
        *text = &text[1..];
        while !text.starts_with(close) {
            all.push(one(text));
            *text = text.strip_prefix(',').unwrap_or(text);
        }
        *text = &text[1..];
        all
    }

    fn write(&self, encoder: &mut Encoder) {
        match self {
            Tree::Int(int) => encoder.int(*int),
            Tree::Bytes(bytes) => encoder.bytes(bytes),
            Tree::List(items) => encoder.list(|encoder| items.iter().for_each(|item| item.write(encoder))),
            Tree::Dict(entries) => encoder.dict(|dict| Tree::write_entries(entries, dict)),
        }
    }

    fn write_entries(entries: &[(Vec<u8>, Tree)], dict: &mut Dict<'_>) {
        for (key, value) in entries {
            match value {
                Tree::Int(int) => dict.int(key, *int),
                Tree::Bytes(bytes) => dict.bytes(key, bytes),
                Tree::List(items) => {
                    dict.list(key, |encoder| items.iter().for_each(|item| item.write(encoder)));
                }
                Tree::Dict(entries) => dict.dict(key, |inner| Tree::write_entries(entries, inner)),
            }
        }
    }

    fn encoded(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        self.write(&mut encoder);
        encoder.finish()
    }
}

/// The lines of one kind, split at tabs.
fn vectors(kind: &str) -> impl Iterator<Item = Vec<&'static str>> {
    VECTORS.lines().map(|line| line.split('\t').collect::<Vec<_>>()).filter(move |fields| fields[0] == kind)
}

fn unhex(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Of what programs differ on, this is refused: integers that BEP 3 calls invalid or that do not fit
/// 64 bits, and string lengths with leading zeros. Keys out of order and keys that come twice are
/// taken, because files and peers in the wild have them.
fn is_refused_by_choice(source: &str, bytes: &[u8]) -> bool {
    let numbers: &[&[u8]] = &[b"i01e", b"i04e", b"i-0e", b"i00e", b"00:", b"06:foobar"];
    numbers.contains(&bytes) || source.contains("big integer") || bytes == b"i18446744073709551615e"
}

#[test]
fn every_vector_is_taken_or_refused_as_recorded() {
    let mut seen = 0;
    for fields in vectors("decode") {
        let [_, verdict, hex, what, source] = fields[..] else { panic!("{fields:?}") };
        let bytes = if hex == "-" { Vec::new() } else { unhex(hex) };
        let result = decode(&bytes);
        let shown = bytes.escape_ascii();
        match verdict {
            "accept" => assert!(result.is_ok(), "{source}: {shown}: {result:?}"),
            "reject" => assert!(result.is_err(), "{source}: {shown}"),
            "either" => {
                assert_eq!(result.is_err(), is_refused_by_choice(source, &bytes), "{source}: {shown}")
            }
            "prefix" => assert!(result.is_err() && decode_prefix(&bytes).is_ok(), "{source}: {shown}"),
            _ => panic!("unknown verdict {verdict}"),
        }
        for what in what.split(' ') {
            match what.split_once('=') {
                None if what == "canonical" => {
                    assert_eq!(Tree::of(decode(&bytes).unwrap()).encoded(), bytes, "{source}: {shown}");
                }
                None => assert_eq!(what, "-"),
                Some(("value", mut value)) => {
                    let found = Tree::of(decode_prefix(&bytes).unwrap().0);
                    assert_eq!(found, Tree::read(&mut value), "{source}: {shown}");
                }
                Some(("used", used)) => {
                    assert_eq!(decode_prefix(&bytes).unwrap().1.to_string(), used, "{source}: {shown}");
                }
                Some(("pos", offset)) => {
                    let told = result.as_ref().unwrap_err().to_string();
                    assert!(told.contains(&format!("at byte {offset}:")), "{source}: {shown}: {told}");
                }
                Some(_) => panic!("{what}"),
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 157);
}

#[test]
fn every_value_is_encoded_as_recorded() {
    let mut seen = 0;
    for fields in vectors("encode") {
        let [_, mut value, text, source] = fields[..] else { panic!("{fields:?}") };
        assert_eq!(Tree::read(&mut value).encoded().escape_ascii().to_string(), text, "{source}");
        seen += 1;
    }
    assert_eq!(seen, 13);
}

#[test]
fn an_error_tells_the_byte_and_the_reason() {
    for (bytes, told) in [
        (&b"d3:foo"[..], "at byte 6: the dictionary from byte 0 is cut short"),
        (b"l3:fool", "at byte 7: the list from byte 6 is cut short"),
        (b"d3:fooe", "at byte 6: a dictionary key without a value"),
        (b"l5:spam", "at byte 1: a string of 5 bytes that is cut short"),
        (b"li12", "at byte 1: an integer that is cut short"),
        (b"l4spam", "at byte 2: a string length must end in ':'"),
        (b"i-0e", "at byte 0: an integer that is -0"),
        (b"l\xff", "at byte 1: a value cannot begin with '\\xff'"),
        (b"", "at byte 0: there is nothing"),
        (b"i1e\n", "at byte 3: there is more after the end of the value"),
    ] {
        let error = decode(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Bencode);
        assert_eq!(error.to_string(), format!("malformed bencoding {told}"));
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| [vec![b'l'; depth], vec![b'e'; depth]].concat();
    let deepest = nested(MAX_DEPTH);
    assert_eq!(decode(&deepest).unwrap().raw(), deepest);
    let told = decode(&nested(MAX_DEPTH + 1)).unwrap_err().to_string();
    assert!(told.contains(&format!("at byte {MAX_DEPTH}: nested deeper")), "{told}");
    // Neither the stack nor the time grows with what is refused.
    assert!(decode(&vec![b'd'; 10_000_000]).is_err());
}

#[test]
fn what_strays_from_canonical_form_is_told() {
    let quirks = |bytes| inspect(bytes).map(|found| (found.unsorted, found.repeated)).unwrap();
    assert_eq!(quirks(b"d1:ai1e1:bi2ee"), (None, None));
    assert_eq!(quirks(b"d1:bi1e1:ai2e1:0i3ee"), (Some(7), None));
    assert_eq!(quirks(b"ld1:ai1e1:ai2eee"), (None, Some(8)));
}

#[test]
fn values_are_slices_of_the_input() {
    // Keys out of order or twice are found all the same, the first first.
    let bytes = b"d4:listli-7e3:abce5:twice1:x5:twice1:y3:numi42ee";
    let value = decode(bytes).unwrap();
    assert_eq!(value.get(b"num").unwrap().as_int(), Some(42));
    assert_eq!(value.get(b"twice").unwrap().as_str(), Some("x"));
    assert_eq!(value.get(b"list").unwrap().raw(), b"li-7e3:abce");
    assert!(bytes.as_ptr_range().contains(&value.get(b"list").unwrap().raw().as_ptr()));
    assert_eq!(value.get(b"none"), None);
    // A value is one kind only.
    assert_eq!((value.as_int(), value.as_bytes(), value.list().is_none()), (None, None, true));
    let list = value.get(b"list").unwrap();
    assert!(list.dict().is_none() && list.get(b"num").is_none());
    assert_eq!(list.list().unwrap().count(), 2);
}

#[test]
fn dictionaries_are_written_sorted_and_each_key_once() {
    let mut encoder = Encoder::new();
    encoder.dict(|dict| {
        dict.bytes("b", "2");
        dict.dict("c", |inner| {
            inner.int("z", 1);
            inner.int("", -1);
        });
        dict.int("a", 1);
        dict.int("b", 3);
    });
    encoder.int(5);
    assert_eq!(encoder.finish().escape_ascii().to_string(), "d1:ai1e1:b1:21:cd0:i-1e1:zi1eeei5e");
}

/// Random bytes in the alphabet of bencoding, and mutations of good values: whatever is taken can be
/// walked to the end and covers exactly what it says.
#[test]
fn mutated_values_never_panic_and_stay_consistent() {
    let mut random = Random::seeded(5);
    let good: Vec<Vec<u8>> =
        vectors("decode").filter(|fields| fields[1] == "accept").map(|fields| unhex(fields[2])).collect();
    let mut taken = 0;
    for _ in 0..60_000 {
        let mut bytes = good[random.below(good.len() as u64) as usize].clone();
        bytes.truncate(200);
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() as u64 + 1) as usize;
            let byte = b"0123456789:idle-\xff\0"[random.below(18) as usize];
            match random.below(3) {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                _ => _ = bytes.drain(at.saturating_sub(2)..at),
            }
        }
        let Ok((value, used)) = decode_prefix(&bytes) else { continue };
        taken += 1;
        assert_eq!(value.raw(), &bytes[..used]);
        // Nothing is lost on the way through a tree, order and doubled keys apart.
        let again = Tree::of(value).encoded();
        assert_eq!(Tree::of(decode(&again).unwrap()).encoded(), again);
        if inspect(&bytes).unwrap().unsorted.or(inspect(&bytes).unwrap().repeated).is_none() {
            assert_eq!(again, value.raw());
        }
    }
    assert!(taken > 1000, "only {taken} were taken");
}
