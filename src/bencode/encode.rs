//! Writing bencoding in its canonical form: keys sorted, numbers without leading zeros.
//!
//! Dictionaries sort themselves, so that callers name their entries in the order that reads best.

/// Writes values one after the other into a buffer.
///
/// ```
/// use bitwren::internals::bencode::Encoder;
///
/// let mut encoder = Encoder::new();
/// encoder.dict(|dict| {
///     dict.int("interval", 1800);
///     dict.bytes("peers", b"");
///     dict.list("errors", |list| list.bytes("none"));
/// });
/// assert_eq!(encoder.finish(), b"d6:errorsl4:nonee8:intervali1800e5:peers0:e");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// An encoder with nothing written.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Writes an integer.
    pub fn int(&mut self, value: i64) {
        self.out.extend_from_slice(format!("i{value}e").as_bytes());
    }

    /// Writes a string.
    pub fn bytes(&mut self, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.out.extend_from_slice(format!("{}:", value.len()).as_bytes());
        self.out.extend_from_slice(value);
    }

    /// Writes a list of the values that `fill` writes.
    pub fn list(&mut self, fill: impl FnOnce(&mut Encoder)) {
        self.out.push(b'l');
        fill(self);
        self.out.push(b'e');
    }

    /// Writes a dictionary of the entries that `fill` writes, in any order. Where a key comes
    /// twice, the first counts.
    pub fn dict(&mut self, fill: impl FnOnce(&mut Dict<'_>)) {
        self.out.push(b'd');
        let start = self.out.len();
        let mut dict = Dict { encoder: self, entries: Vec::new() };
        fill(&mut dict);
        let entries = std::mem::take(&mut dict.entries);
        sort(&mut self.out, start, entries);
        self.out.push(b'e');
    }
}

/// The entries of a dictionary being written: each call adds a key and its value.
#[derive(Debug)]
pub struct Dict<'e> {
    encoder: &'e mut Encoder,
    entries: Vec<Entry>,
}

/// A key and where its entry begins in the buffer.
#[derive(Debug)]
struct Entry {
    key: Vec<u8>,
    start: usize,
}

impl Dict<'_> {
    /// Adds an integer.
    pub fn int(&mut self, key: impl AsRef<[u8]>, value: i64) {
        self.key(key).int(value);
    }

    /// Adds a string.
    pub fn bytes(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.key(key).bytes(value);
    }

    /// Adds a list of the values that `fill` writes.
    pub fn list(&mut self, key: impl AsRef<[u8]>, fill: impl FnOnce(&mut Encoder)) {
        self.key(key).list(fill);
    }

    /// Adds a dictionary of the entries that `fill` writes.
    pub fn dict(&mut self, key: impl AsRef<[u8]>, fill: impl FnOnce(&mut Dict<'_>)) {
        self.key(key).dict(fill);
    }

    /// Adds a value that is bencoded already, as it is.
    pub fn raw(&mut self, key: impl AsRef<[u8]>, value: &[u8]) {
        self.key(key).out.extend_from_slice(value);
    }

    fn key(&mut self, key: impl AsRef<[u8]>) -> &mut Encoder {
        let key = key.as_ref();
        self.entries.push(Entry { key: key.to_vec(), start: self.encoder.out.len() });
        self.encoder.bytes(key);
        self.encoder
    }
}

/// Puts the entries that begin at `start` in the order of their keys, each key once. Touches
/// nothing where they are already.
fn sort(out: &mut Vec<u8>, start: usize, entries: Vec<Entry>) {
    if entries.is_sorted_by(|a, b| a.key < b.key) {
        return;
    }
    let ends = entries.iter().skip(1).map(|entry| entry.start).chain([out.len()]);
    let mut ranges: Vec<_> =
        entries.iter().zip(ends).map(|(entry, end)| (&entry.key, entry.start..end)).collect();
    ranges.sort_by(|a, b| a.0.cmp(b.0));
    ranges.dedup_by(|later, first| later.0 == first.0);
    let sorted: Vec<u8> = ranges.iter().flat_map(|(_, range)| out[range.clone()].iter().copied()).collect();
    out.truncate(start);
    out.extend_from_slice(&sorted);
}
