//! Torrents with their data on disk: noise from a seed, written and hashed piece by piece, so that no
//! size is too large for memory; and the check that a copy has every byte.
//!
//! Nothing here uses the library under test.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::support::bencode::{bytes, dict, int};
use crate::support::content::{noise, sha1};

const MIB: u64 = 1 << 20;

/// A torrent of one file.
#[derive(Debug, Clone)]
pub struct Torrent {
    pub name: String,
    pub length: u64,
    pub piece_length: u32,
    pub info_hash: [u8; 20],
    /// Its data.
    pub path: PathBuf,
    /// The `.torrent`.
    pub file: PathBuf,
}

impl Torrent {
    /// Makes one of `mib` MiB in `dir`; data of that name and size that is there already is used again.
    pub fn make(dir: &Path, name: &str, mib: u64, piece_length: u32, tracker: &str) -> io::Result<Torrent> {
        let path = dir.join(name);
        let length = mib * MIB;
        if path.metadata().map(|found| found.len()).ok() != Some(length) {
            write_noise(&path, mib)?;
        }
        let pieces = hash(&path, piece_length as usize)?;
        let info = dict([
            ("length", int(length)),
            ("name", bytes(name)),
            ("piece length", int(piece_length.into())),
            ("pieces", bytes(pieces)),
        ]);
        let info_hash = sha1(&info.encode());
        let file = dir.join(format!("{name}-{}.torrent", piece_length / 1024));
        std::fs::write(&file, dict([("announce", bytes(tracker)), ("info", info)]).encode())?;
        Ok(Torrent { name: name.to_owned(), length, piece_length, info_hash, path, file })
    }

    pub fn pieces(&self) -> u32 {
        self.length.div_ceil(self.piece_length.into()) as u32
    }

    /// Where a block lies in the data; nothing where it does not lie within its piece.
    pub fn offset(&self, piece: u32, begin: u32, length: u32) -> Option<u64> {
        let start = u64::from(piece) * u64::from(self.piece_length);
        let end = (start + u64::from(self.piece_length)).min(self.length);
        let offset = start + u64::from(begin);
        (piece < self.pieces() && offset + u64::from(length) <= end).then_some(offset)
    }

    /// The bitfield of one who has everything.
    pub fn full_bitfield(&self) -> Vec<u8> {
        let mut bits = vec![0xff; self.pieces().div_ceil(8) as usize];
        if self.pieces() % 8 != 0 {
            *bits.last_mut().unwrap() = 0xff << (8 - self.pieces() % 8);
        }
        bits
    }

    /// Compares every byte of a copy in `dir`.
    pub fn compare(&self, dir: &Path) -> Result<(), String> {
        let path = dir.join(&self.name);
        let wrong = |error: io::Error| format!("{}: {error}", self.name);
        let (mut copy, mut data) =
            (File::open(&path).map_err(wrong)?, File::open(&self.path).map_err(wrong)?);
        let (mut got, mut want) = (vec![0; MIB as usize], vec![0; MIB as usize]);
        if copy.metadata().map_err(wrong)?.len() != self.length {
            return Err(format!("{}: {} bytes too many or too few", self.name, self.length));
        }
        for mib in 0..self.length / MIB {
            copy.read_exact(&mut got).map_err(wrong)?;
            data.read_exact(&mut want).map_err(wrong)?;
            if got != want {
                return Err(format!("{}: wrong in MiB {mib}", self.name));
            }
        }
        Ok(())
    }
}

/// The same bytes for the same name.
fn write_noise(path: &Path, mib: u64) -> io::Result<()> {
    let seed = sha1(path.file_name().unwrap().as_encoded_bytes());
    let seed = u64::from_le_bytes(seed[..8].try_into().unwrap());
    let mut file = BufWriter::new(File::create(path)?);
    for index in 0..mib {
        file.write_all(&noise(seed.wrapping_add(index << 8), MIB as usize))?;
    }
    file.flush()
}

/// The pieces' hashes, all in a row, by as many threads as there are cores.
fn hash(path: &Path, piece_length: usize) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let file = File::open(path)?;
    let length = file.metadata()?.len() as usize;
    let pieces = length.div_ceil(piece_length);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut hashes = vec![0; pieces * 20];
    let share = pieces.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts = hashes.chunks_mut(share * 20).enumerate();
        let hashing = parts.map(|(part, hashes)| {
            let file = &file;
            scope.spawn(move || -> io::Result<()> {
                let mut piece = vec![0; piece_length];
                for (index, hash) in hashes.chunks_mut(20).enumerate() {
                    let start = (part * share + index) * piece_length;
                    let piece = &mut piece[..piece_length.min(length - start)];
                    file.read_exact_at(piece, start as u64)?;
                    hash.copy_from_slice(&sha1(piece));
                }
                Ok(())
            })
        });
        hashing.collect::<Vec<_>>().into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    Ok(hashes)
}
