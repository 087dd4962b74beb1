//! Bencoding: what is accepted can be walked, and written again in its one canonical form.

use bitwren::internals::bencode::{self, Encoder, Value};

pub fn bencode(data: &[u8]) {
    let Ok(found) = bencode::inspect(data) else {
        assert!(bencode::decode(data).is_err() && bencode::decode_prefix(data).is_err());
        return;
    };
    let (value, length) = (found.value, found.length);
    assert_eq!(value.raw(), &data[..length]);
    assert_eq!(bencode::decode_prefix(data).ok(), Some((value, length)));
    assert_eq!(bencode::decode(data).is_ok(), length == data.len());
    // A value says itself where it ends, so that nothing short of that is one.
    for cut in [length / 2, length - 1] {
        assert!(bencode::decode_prefix(&data[..cut]).is_err());
    }
    let again = canonical(value);
    let second = bencode::inspect(&again).expect("what was written is read");
    assert_eq!((second.length, second.unsorted, second.repeated), (again.len(), None, None));
    assert_eq!(canonical(second.value), again);
    if found.unsorted.is_none() && found.repeated.is_none() {
        assert_eq!(again, value.raw());
    }
    for (key, entry) in value.dict().into_iter().flatten().take(8) {
        let first = value.dict().into_iter().flatten().find(|(other, _)| *other == key);
        assert_eq!(value.get(key), first.map(|(_, value)| value));
        assert!(bencode::decode(entry.raw()).is_ok());
    }
}

fn canonical(value: Value<'_>) -> Vec<u8> {
    let mut encoder = Encoder::new();
    write(value, &mut encoder);
    encoder.finish()
}

/// Recursion is bounded by what decoding accepts.
fn write(value: Value<'_>, encoder: &mut Encoder) {
    if let Some(int) = value.as_int() {
        encoder.int(int);
    } else if let Some(bytes) = value.as_bytes() {
        encoder.bytes(bytes);
    } else if let Some(items) = value.list() {
        encoder.list(|list| items.for_each(|item| write(item, list)));
    } else {
        let entries = value.dict().expect("there is no fifth kind");
        encoder.dict(|dict| entries.for_each(|(key, value)| dict.raw(key, &canonical(value))));
    }
}
