//! Torrents made by hand: bytes from a seed, their `.torrent`, and the check that a copy is right.

use std::path::{Path, PathBuf};

use super::bencode::{Value, bytes, dict, int, list};

/// The unit of request, 16 KiB.
pub const BLOCK: u32 = 16 * 1024;

/// A torrent with all its bytes.
#[derive(Clone)]
pub struct Torrent {
    pub name: String,
    pub piece_length: u32,
    /// Paths below the torrent's name (empty for a single file) and where they lie in `data`.
    files: Vec<(Vec<String>, std::ops::Range<usize>)>,
    pub data: Vec<u8>,
    pub info_hash: [u8; 20],
    pub metainfo: Vec<u8>,
}

/// What to make a torrent of.
pub struct Recipe {
    name: String,
    piece_length: u32,
    files: Vec<(Vec<String>, usize)>,
    trackers: Vec<String>,
    private: bool,
    /// Changes the bytes, but not the name.
    edition: u64,
    /// Bytes at the beginning that are zero.
    zeros: usize,
    /// What it is of, in place of noise.
    given: Option<Vec<u8>>,
}

impl Recipe {
    /// One file of `length` bytes.
    pub fn single(name: &str, length: usize) -> Self {
        Recipe {
            name: name.into(),
            piece_length: 4 * BLOCK,
            files: vec![(Vec::new(), length)],
            trackers: Vec::new(),
            private: false,
            edition: 0,
            zeros: 0,
            given: None,
        }
    }

    /// One file of these bytes.
    pub fn of(name: &str, bytes: Vec<u8>) -> Self {
        let recipe = Recipe::single(name, bytes.len());
        Recipe { given: Some(bytes), ..recipe }
    }

    /// A directory with files, given as `a/b` and their lengths.
    pub fn multi(name: &str, files: &[(&str, usize)]) -> Self {
        let files = files
            .iter()
            .map(|(path, length)| (path.split('/').map(str::to_owned).collect(), *length))
            .collect();
        Recipe { files, ..Recipe::single(name, 0) }
    }

    /// Other bytes under the same name.
    pub fn edition(mut self, edition: u64) -> Self {
        self.edition = edition;
        self
    }

    /// The first bytes are zero.
    pub fn zeros(mut self, bytes: usize) -> Self {
        self.zeros = bytes;
        self
    }

    pub fn piece_length(mut self, bytes: u32) -> Self {
        self.piece_length = bytes;
        self
    }

    /// A tracker, in a tier of its own.
    pub fn tracker(mut self, url: &str) -> Self {
        self.trackers.push(url.into());
        self
    }

    /// Private (BEP 27): peers are its tracker's business alone.
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }

    pub fn make(self) -> Torrent {
        let mut files = Vec::new();
        let mut end = 0;
        for (path, length) in self.files {
            files.push((path, end..end + length));
            end += length;
        }
        let seed = self.name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let noise = || noise(seed ^ self.edition.wrapping_mul(0x9e37_79b9_7f4a_7c15), end);
        let mut data = self.given.unwrap_or_else(noise);
        data[..self.zeros].fill(0);
        let hashes: Vec<u8> = data.chunks(self.piece_length as usize).flat_map(sha1).collect();
        let mut info: Vec<(&str, Value)> = Vec::new();
        match &files[..] {
            [(path, range)] if path.is_empty() => info.push(("length", int(range.len() as u64))),
            _ => info.push((
                "files",
                list(files.iter().map(|(path, range)| {
                    dict([("length", int(range.len() as u64)), ("path", list(path.iter().map(bytes)))])
                })),
            )),
        }
        info.push(("name", bytes(&self.name)));
        info.push(("piece length", int(self.piece_length.into())));
        info.push(("pieces", bytes(hashes)));
        if self.private {
            info.push(("private", int(1)));
        }
        let info = dict(info);
        let mut outer: Vec<(&str, Value)> = Vec::new();
        if let Some(first) = self.trackers.first() {
            outer.push(("announce", bytes(first)));
            outer.push(("announce-list", list(self.trackers.iter().map(|url| list([bytes(url)])))));
        }
        let info_hash = sha1(&info.encode());
        outer.push(("info", info));
        Torrent {
            name: self.name,
            piece_length: self.piece_length,
            files,
            data,
            info_hash,
            metainfo: dict(outer).encode(),
        }
    }
}

impl Torrent {
    pub fn pieces(&self) -> u32 {
        self.data.len().div_ceil(self.piece_length as usize) as u32
    }

    /// Length of piece `index`; the last may be shorter.
    pub fn length_of(&self, index: u32) -> u32 {
        let start = index as usize * self.piece_length as usize;
        (self.data.len() - start).min(self.piece_length as usize) as u32
    }

    /// Bytes of a block, or nothing where it does not lie within its piece.
    pub fn block(&self, piece: u32, begin: u32, length: u32) -> Option<&[u8]> {
        if piece >= self.pieces() || begin.checked_add(length)? > self.length_of(piece) {
            return None;
        }
        let start = piece as usize * self.piece_length as usize + begin as usize;
        self.data.get(start..start + length as usize)
    }

    /// The bitfield of one who has everything.
    pub fn full_bitfield(&self) -> Vec<u8> {
        let mut bits = vec![0u8; self.pieces().div_ceil(8) as usize];
        for piece in 0..self.pieces() {
            bits[piece as usize / 8] |= 0x80 >> (piece % 8);
        }
        bits
    }

    /// Where its files are below `dir`, and what they hold.
    pub fn files(&self, dir: &Path) -> Vec<(PathBuf, &[u8])> {
        self.files
            .iter()
            .map(|(path, range)| {
                let mut full = dir.join(&self.name);
                full.extend(path);
                (full, &self.data[range.clone()])
            })
            .collect()
    }

    /// Writes its files below `dir`.
    pub fn write_to(&self, dir: &Path) {
        for (path, bytes) in self.files(dir) {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// Compares what lies below `dir`, byte for byte.
    pub fn compare(&self, dir: &Path) -> Result<(), String> {
        for (path, want) in self.files(dir) {
            let got = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if got.len() != want.len() {
                return Err(format!("{}: {} bytes, not {}", path.display(), got.len(), want.len()));
            }
            if let Some(at) = got.iter().zip(want).position(|(a, b)| a != b) {
                return Err(format!("{}: wrong from byte {at} on", path.display()));
            }
        }
        Ok(())
    }

    /// The same, except that empty files may be missing: some clients do not make them.
    #[allow(dead_code)] // The long suites use it.
    pub fn compare_filled(&self, dir: &Path) -> Result<(), String> {
        for (path, _) in self.files(dir).iter().filter(|(path, bytes)| bytes.is_empty() && !path.exists()) {
            std::fs::create_dir_all(path.parent().unwrap()).and_then(|()| std::fs::write(path, b"")).unwrap();
        }
        self.compare(dir)
    }

    /// The same, as an assertion.
    pub fn assert_complete(&self, dir: &Path) {
        if let Err(wrong) = self.compare(dir) {
            panic!("{wrong}");
        }
    }

    pub fn hex(&self) -> String {
        self.info_hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// SHA-1, straight from the portable crate.
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    sha1_smol::Sha1::from(bytes).digest().bytes()
}

/// `length` bytes that do not compress or repeat, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        out.extend(dice.roll().to_le_bytes());
    }
    out.truncate(length);
    out
}

/// Numbers from a seed (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed | 1)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}
