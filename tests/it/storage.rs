//! How a torrent's bytes get to disk and are found there again, through the library's own types.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::digest::sha1;
use bitwren::internals::job::PeerKey;
use bitwren::internals::random::Random;
use bitwren::internals::storage::assembly::Assembly;
use bitwren::internals::storage::fd_cache::FdCache;
use bitwren::internals::storage::files::Files;
use bitwren::internals::storage::hash::{self, Source};
use bitwren::internals::storage::layout::Layout;
use bitwren::internals::storage::survey::{Survey, survey};
use bitwren::internals::storage::verify::{self, Condition, Hashed};
use bitwren::metainfo::build::{Content, Entry, Torrent};
use bitwren::{Allocation, ErrorKind, Existing, Metainfo, Result, TorrentConfig};

const PIECE: u32 = 32 * 1024;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bitwren-t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Everything below it, directories ending in `/`.
    fn list(&self) -> BTreeSet<String> {
        fn walk(directory: &Path, prefix: &str, into: &mut BTreeSet<String>) {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), &format!("{name}/"), into);
                    into.insert(format!("{name}/"));
                } else {
                    into.insert(name);
                }
            }
        }
        let mut list = BTreeSet::new();
        walk(&self.0, "", &mut list);
        list
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A torrent `set` of files given by name and length, of random bytes but for names with `pad`.
struct Sample {
    metainfo: Arc<Metainfo>,
    bytes: Vec<u8>,
}

impl Sample {
    fn new(files: &[(&str, usize)]) -> Sample {
        let mut random = Random::seeded(9);
        let mut bytes = Vec::new();
        let mut entries = Vec::new();
        for (name, length) in files {
            let (pad, zeros) = (name.starts_with("pad"), name.starts_with("zeros"));
            let byte = |random: &mut Random| if pad || zeros { 0 } else { random.next_u64() as u8 };
            bytes.extend((0..*length).map(|_| byte(&mut random)));
            let entry = Entry::new(name.split('/'), *length as u64);
            entries.push(entry.pad(pad).executable(name.starts_with("run")));
        }
        let hashes = bytes.chunks(PIECE as usize).flat_map(sha1).collect();
        let torrent = Torrent::new("set", Content::Directory(entries), PIECE, hashes);
        let metainfo = Arc::new(Metainfo::from_bytes(&torrent.encode().unwrap()).unwrap());
        Sample { metainfo, bytes }
    }

    /// Three files, padding, an empty one, an executable; pieces run across borders.
    fn usual() -> Sample {
        Sample::new(&[
            ("a/one", 100_000),
            ("empty", 0),
            ("a/b/two", 3),
            ("pad/61", 63_837),
            ("run", 70_000),
            ("last", 5),
        ])
    }

    fn open(&self, dir: &Dir, select: Option<&[u32]>) -> Arc<Files> {
        self.open_with(dir, select, &Arc::new(FdCache::new(4)), Allocation::Sparse)
    }

    fn open_with(
        &self,
        dir: &Dir,
        select: Option<&[u32]>,
        cache: &Arc<FdCache>,
        how: Allocation,
    ) -> Arc<Files> {
        let layout = Layout::new(self.metainfo.clone(), select).unwrap();
        Arc::new(Files::open(&dir.0, layout, cache.clone(), how))
    }

    fn piece(&self, piece: u32) -> &[u8] {
        let pieces = self.metainfo.pieces();
        &self.bytes[pieces.offset(piece) as usize..][..pieces.length(piece) as usize]
    }

    fn count(&self) -> u32 {
        self.metainfo.pieces().count()
    }

    /// The whole of a download: what is wanted and not known is accepted piece by piece.
    fn download(&self, files: &Arc<Files>, existing: Existing) -> Bitfield {
        files.prepare(existing, false).unwrap();
        let mut assembly = Assembly::new(files.clone(), Bitfield::empty(self.count()));
        for piece in files.layout().wanted().iter() {
            let verdict = assembly.accept(piece, 0, self.piece(piece), PeerKey(1)).unwrap().unwrap();
            assert!(verdict.good);
        }
        assembly.verified().clone()
    }
}

fn config() -> TorrentConfig {
    TorrentConfig::default()
}

fn hash_all(files: &Files, which: &Bitfield) -> Result<Bitfield> {
    verify::check(files, which, 2, &|_| {}, &AtomicBool::new(false)).map(|hashed| hashed.right)
}

/// What a start does: survey, hash, conclude.
fn start(files: &Arc<Files>, config: &TorrentConfig) -> Result<Bitfield> {
    let mut found: Survey = survey(files, config)?;
    let right = hash_all(files, &found.suspect)?;
    found.conclude(&right)
}

fn pieces(set: &Bitfield) -> Vec<u32> {
    set.iter().collect()
}

#[test]
fn a_download_makes_the_files_and_nothing_else() {
    let (dir, sample) = (Dir::new(), Sample::usual());
    let files = sample.open(&dir, None);
    assert!(dir.list().is_empty(), "opening makes nothing");
    assert!(sample.download(&files, Existing::Check).is_full());
    let want = ["set/", "set/a/", "set/a/b/", "set/a/b/two", "set/a/one", "set/empty", "set/last", "set/run"];
    assert_eq!(dir.list(), want.map(str::to_owned).into());
    assert_eq!(fs::read(dir.join("set/a/one")).unwrap(), sample.bytes[..100_000]);
    assert_eq!(fs::read(dir.join("set/a/b/two")).unwrap(), sample.bytes[100_000..100_003]);
    assert_eq!(fs::read(dir.join("set/last")).unwrap(), sample.bytes[233_840..]);
    let mode = |name| fs::metadata(dir.join(name)).unwrap().permissions().mode();
    assert_ne!(mode("set/run") & 0o100, 0, "executable");
    assert_eq!(mode("set/last") & 0o111, 0, "not executable");
    assert!(start(&sample.open(&dir, None), &config()).unwrap().is_full());
    let every = Hashed { right: Bitfield::full(sample.count()), untold: Bitfield::empty(sample.count()) };
    for file in verify::by_file(&files, &every).unwrap() {
        assert_eq!(file.condition, Condition::Right, "{}", file.path.display());
    }
}

#[test]
fn ranges_past_the_end_are_refused() {
    let (dir, sample) = (Dir::new(), Sample::usual());
    let files = sample.open(&dir, None);
    let end = sample.bytes.len() as u64;
    for (offset, length) in [(end, 1), (end - 1, 2), (u64::MAX, 1)] {
        assert_eq!(files.write_at(offset, &vec![0; length]).unwrap_err().kind(), ErrorKind::Argument);
    }
    sample.download(&files, Existing::Check);
    assert_eq!(files.read_at(end - 1, &mut [0; 2]).unwrap_err().kind(), ErrorKind::Argument);
    assert!(files.read_at(end, &mut []).is_ok());
}

#[test]
fn padding_is_zeros_and_is_never_stored() {
    let (dir, sample) = (Dir::new(), Sample::usual());
    let files = sample.open(&dir, None);
    files.write_at(100_003, &[0xFF; 63_837]).unwrap();
    assert!(dir.list().is_empty());
    let mut read = vec![1; 63_837];
    files.read_at(100_003, &mut read).unwrap();
    assert!(read.iter().all(|&byte| byte == 0));
}

#[test]
fn selected_files_are_made_and_the_others_are_not() {
    let sample = Sample::new(&[("a", 40_000), ("b", 40_000), ("e", 0), ("c", 90_000), ("d", 9)]);
    let dir = Dir::new();
    let files = sample.open(&dir, Some(&[1, 2]));
    let got = sample.download(&files, Existing::Check);
    assert_eq!(pieces(&got), [1, 2]);
    let part = format!(".{}.parts", sample.metainfo.info_hash());
    assert_eq!(dir.list(), ["set/", "set/b", "set/e", &part].map(str::to_owned).into());
    assert_eq!(fs::read(dir.join("set/b")).unwrap(), sample.bytes[40_000..80_000]);
    // The pieces are whole for those who ask for them, also after a restart.
    let mut read = vec![0; 2 * PIECE as usize];
    sample.open(&dir, Some(&[1, 2])).read_at(PIECE.into(), &mut read).unwrap();
    assert_eq!(read, sample.bytes[PIECE as usize..3 * PIECE as usize]);
    assert_eq!(pieces(&start(&sample.open(&dir, Some(&[1, 2])), &config()).unwrap()), [1, 2]);
    // Then the rest is asked for: what is there is found, and there is no part file in the end.
    let files = sample.open(&dir, None);
    let found = start(&files, &config());
    assert_eq!(found.unwrap_err().kind(), ErrorKind::Exists, "no state, and no piece that is whole");
    assert!(sample.download(&files, Existing::Check).is_full());
    files.remove_part().unwrap();
    assert!(!dir.join(&part).exists());
    assert!(start(&sample.open(&dir, Some(&[3])), &config()).unwrap().is_full(), "unselected files serve");
}

#[test]
fn symbolic_links_inside_are_not_followed_and_the_directory_may_be_one() {
    let sample = Sample::usual();
    let (dir, outside) = (Dir::new(), Dir::new());
    fs::write(outside.join("victim"), "precious").unwrap();
    let refused = |error: bitwren::Error| {
        assert_eq!(error.kind(), ErrorKind::FileOpen);
        assert!(error.to_string().contains("symbolic link"), "{error}");
    };
    // The file itself.
    fs::create_dir_all(dir.join("set/a")).unwrap();
    symlink(outside.join("victim"), dir.join("set/a/one")).unwrap();
    let files = sample.open(&dir, None);
    refused(files.write_at(0, b"x").unwrap_err());
    refused(files.read_at(0, &mut [0]).unwrap_err());
    refused(survey(&files, &config()).unwrap_err());
    // One that leads nowhere yet.
    fs::remove_file(dir.join("set/a/one")).unwrap();
    symlink(outside.join("new"), dir.join("set/a/one")).unwrap();
    refused(files.write_at(0, b"x").unwrap_err());
    // A directory above it, and the torrent's own.
    for above in ["set/a", "set"] {
        fs::remove_dir_all(dir.join(above)).unwrap();
        symlink(&outside.0, dir.join(above)).unwrap();
        refused(files.write_at(0, b"x").unwrap_err());
        refused(files.write_at(100_000, b"x").unwrap_err());
        fs::remove_file(dir.join(above)).unwrap();
    }
    assert_eq!(outside.list(), ["victim".to_owned()].into());
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"precious");
    // The part file.
    let part = format!(".{}.parts", sample.metainfo.info_hash());
    symlink(outside.join("victim"), dir.join(&part)).unwrap();
    refused(sample.open(&dir, Some(&[0])).write_at(100_000, b"x").unwrap_err());
    // The user's own choice of directory.
    symlink(&outside.0, dir.join("chosen")).unwrap();
    let layout = Layout::new(sample.metainfo.clone(), None).unwrap();
    let cache = Arc::new(FdCache::new(4));
    let files = Files::open(&dir.join("chosen"), layout, cache, Allocation::Sparse);
    files.write_at(0, b"x").unwrap();
    assert!(outside.join("set/a/one").exists());
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let sample = Sample::usual();
    let dir = Dir::new();
    fs::create_dir_all(dir.join("set/a/one")).unwrap();
    let files = sample.open(&dir, None);
    for error in [files.write_at(0, b"x").unwrap_err(), survey(&files, &config()).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::FileOpen);
        assert!(error.to_string().contains("is a directory"), "{error}");
    }
    fs::remove_dir_all(dir.join("set")).unwrap();
    fs::write(dir.join("set"), "in the way").unwrap();
    assert!(files.write_at(0, b"x").unwrap_err().to_string().contains("a file, not a directory"));
    // A socket stands for pipes and devices: opening it to read would not do what a file does.
    fs::remove_file(dir.join("set")).unwrap();
    fs::create_dir_all(dir.join("set/a")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("set/a/one")).unwrap();
    assert!(files.read_at(0, &mut [0]).unwrap_err().to_string().contains("not a regular file"));
}

/// Everything is there and nothing may be written: nothing is.
#[test]
fn a_read_only_directory_can_seed() {
    let (dir, sample) = (Dir::new(), Sample::usual());
    sample.download(&sample.open(&dir, None), Existing::Check);
    let all: Vec<PathBuf> = dir.list().iter().map(|name| dir.join(name)).chain([dir.0.clone()]).collect();
    let set_all = |write: u32| {
        for path in &all {
            let mode = if path.is_dir() { 0o555 | write } else { 0o444 | write };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set_all(0);
    let times = |all: &[PathBuf]| -> Vec<_> {
        all.iter()
            .map(|path| fs::metadata(path).map(|found| (found.ctime(), found.ctime_nsec())).unwrap())
            .collect()
    };
    let before = times(&all);
    let files = sample.open_with(&dir, None, &Arc::new(FdCache::new(4)), Allocation::Full);
    assert!(start(&files, &config()).unwrap().is_full());
    assert_eq!(files.prepare(Existing::Overwrite, false).unwrap(), None);
    let mut read = vec![0; sample.bytes.len()];
    files.read_at(0, &mut read).unwrap();
    assert_eq!(read, sample.bytes);
    let after = times(&all);
    set_all(0o200);
    assert_eq!(before, after, "not even a time was changed");
}

#[test]
fn many_files_go_through_few_descriptors_and_many_threads() {
    let names: Vec<String> = (0..300).map(|n| format!("{}/{n}", n % 7)).collect();
    let list: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1000)).collect();
    let (dir, sample) = (Dir::new(), Sample::new(&list));
    let cache = Arc::new(FdCache::new(5));
    let files = sample.open_with(&dir, None, &cache, Allocation::Sparse);
    std::thread::scope(|scope| {
        for (nth, chunk) in (0u64..).zip(sample.bytes.chunks(sample.bytes.len() / 3)) {
            let (files, cache) = (&files, &cache);
            scope.spawn(move || {
                let offset = nth * (300_000 / 3);
                for (at, bytes) in (0u64..).step_by(700).zip(chunk.chunks(700)) {
                    files.write_at(offset + at, bytes).unwrap();
                    let mut read = vec![0; bytes.len()];
                    files.read_at(offset + at, &mut read).unwrap();
                    assert_eq!(read, bytes);
                    assert!(cache.len() <= 5);
                }
            });
        }
    });
    assert!(hash_all(&files, &Bitfield::full(sample.count())).unwrap().is_full());
    drop(files);
    assert!(cache.is_empty(), "a torrent that goes closes its files");
}

#[test]
fn files_are_sparse_unless_all_space_is_asked_for() {
    let sample = Sample::new(&[("big", 8 << 20), ("small", 10)]);
    for how in [Allocation::Sparse, Allocation::Full] {
        let dir = Dir::new();
        let files = sample.open_with(&dir, None, &Arc::new(FdCache::new(4)), how);
        let note = files.prepare(Existing::Check, false).unwrap();
        assert_eq!(dir.join("set/big").exists(), how == Allocation::Full);
        files.write_at(0, &sample.bytes[..PIECE as usize]).unwrap();
        let found = fs::metadata(dir.join("set/big")).unwrap();
        assert_eq!(found.len(), 8 << 20);
        let taken = found.blocks() * 512;
        if how == Allocation::Sparse {
            assert!(taken < 1 << 20, "{taken} bytes taken");
        } else {
            // A note says that the file system does not support it.
            assert!(taken >= 8 << 20 || note.is_some(), "{taken} bytes taken");
        }
        // What is reserved and not written is no data, but the one piece is.
        assert_eq!(pieces(&start(&files, &config()).unwrap()), [0]);
    }
}

#[test]
fn files_that_are_not_of_this_torrent_are_refused() {
    let sample = Sample::usual();
    for length in [10, 100_000, 100_001] {
        let dir = Dir::new();
        fs::create_dir_all(dir.join("set/a")).unwrap();
        fs::write(dir.join("set/a/one"), vec![b'x'; length]).unwrap();
        let files = sample.open(&dir, None);
        let error = start(&files, &config()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        assert!(error.to_string().contains("set/a/one"), "{error}");
        assert_eq!(fs::read(dir.join("set/a/one")).unwrap(), vec![b'x'; length]);
        let overwrite = config().existing(Existing::Overwrite);
        assert_eq!(pieces(&start(&files, &overwrite).unwrap()), [4], "the one that is all padding");
        assert!(sample.download(&files, Existing::Overwrite).is_full());
        assert_eq!(fs::read(dir.join("set/a/one")).unwrap(), sample.bytes[..100_000]);
    }
}

/// Our own state says that the files are ours, however little of them is right.
#[test]
fn with_a_state_nothing_is_in_the_way() {
    let (dir, sample) = (Dir::new(), Sample::usual());
    let files = sample.open(&dir, None);
    let config = config().dir(dir.0.clone());
    let found = survey(&files, &config).unwrap();
    files.take(&found.strangers, None, Existing::Check, &AtomicBool::new(false)).unwrap();
    let mut resume = found.resume.unwrap();
    resume.snapshot(&Bitfield::empty(sample.count()), 0, 0).commit().unwrap();
    files.write_at(0, &sample.bytes[..10]).unwrap();
    let again = sample.open(&dir, None);
    assert_eq!(pieces(&start(&again, &config).unwrap()), [4], "the one that is all padding");
    resume.remove().unwrap();
    assert_eq!(start(&sample.open(&dir, None), &config).unwrap_err().kind(), ErrorKind::Exists);
}

/// Nothing but holes is no data; holes that are right are right.
#[test]
#[cfg(feature = "sys")]
fn holes_are_not_read() {
    let sample = Sample::new(&[("data", 100 * PIECE as usize), ("zeros", 50 * PIECE as usize)]);
    let dir = Dir::new();
    let files = sample.open(&dir, None);
    fs::create_dir(dir.join("set")).unwrap();
    for (name, pieces) in [("set/data", 100), ("set/zeros", 50)] {
        File::create(dir.join(name)).unwrap().set_len(pieces * u64::from(PIECE)).unwrap();
    }
    let found = survey(&files, &config()).unwrap();
    assert_eq!(pieces(&found.known), (100..150).collect::<Vec<_>>());
    assert_eq!(found.suspect.count(), 0);
    files.write_at(70 * u64::from(PIECE), sample.piece(70)).unwrap();
    let found = survey(&files, &config()).unwrap();
    assert!(found.suspect.has(70) && found.suspect.count() < 10, "{} pieces", found.suspect.count());
    assert_eq!(hash_all(&files, &found.suspect).unwrap().iter().collect::<Vec<_>>(), [70]);
}

#[test]
fn a_check_tells_what_is_wrong_and_where() {
    let (dir, sample) = (Dir::new(), Sample::usual());
    let files = sample.open(&dir, None);
    sample.download(&files, Existing::Check);
    let spoil = |name: &str, at: usize| {
        let mut bytes = fs::read(dir.join(name)).unwrap();
        bytes[at] ^= 1;
        fs::write(dir.join(name), bytes).unwrap();
    };
    spoil("set/a/one", 40_000);
    fs::remove_file(dir.join("set/last")).unwrap();
    fs::remove_file(dir.join("set/empty")).unwrap();
    files.close();
    let seen = AtomicU32::new(0);
    let progress = |done: u32| {
        seen.fetch_max(done, Ordering::Relaxed);
    };
    let every = Bitfield::full(sample.count());
    let mut outcomes = BTreeSet::new();
    for threads in [0, 1, 3] {
        let good = verify::check(&files, &every, threads, &progress, &AtomicBool::new(false)).unwrap();
        outcomes.insert((pieces(&good.right), pieces(&good.untold)));
    }
    assert_eq!(outcomes, [(vec![0, 2, 3, 4, 5, 6], vec![7])].into());
    assert_eq!(seen.into_inner(), sample.count());
    let good = verify::check(&files, &every, 2, &|_| {}, &AtomicBool::new(false)).unwrap();
    let by_file = verify::by_file(&files, &good).unwrap();
    let conditions: Vec<_> = by_file.iter().map(|file| (file.file, file.condition)).collect();
    assert_eq!(
        conditions,
        [
            (0, Condition::Damaged { pieces: 1, of: 4 }),
            (1, Condition::Missing),
            (2, Condition::Right),
            // Its last piece reaches into the file that is missing.
            (4, Condition::Untold { pieces: 1, of: 3 }),
            (5, Condition::Missing),
        ]
    );
    File::options().write(true).open(dir.join("set/run")).unwrap().set_len(7).unwrap();
    let by_file = verify::by_file(&files, &good).unwrap();
    assert_eq!(by_file[3].condition, Condition::WrongLength { found: 7 });
}

#[test]
fn a_check_stops_when_told_to() {
    let (dir, sample) = (Dir::new(), Sample::usual());
    let files = sample.open(&dir, None);
    sample.download(&files, Existing::Check);
    let every = Bitfield::full(sample.count());
    let stopped = verify::check(&files, &every, 2, &|_| {}, &AtomicBool::new(true));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn files_are_hashed_as_one_stream() {
    let (dir, sample) = (Dir::new(), Sample::new(&[("a", 100_000), ("e", 0), ("b", 1), ("c", 700_000)]));
    sample.download(&sample.open(&dir, None), Existing::Check);
    let sources: Vec<Source> = [("a", 100_000), ("e", 0), ("b", 1), ("c", 700_000)]
        .map(|(name, length)| Source { path: dir.join("set").join(name), length })
        .into();
    let hash =
        |threads, sources: &[Source]| hash::pieces(sources, PIECE, threads, &|_| {}, &AtomicBool::new(false));
    let want: Vec<u8> = sample.bytes.chunks(PIECE as usize).flat_map(sha1).collect();
    for threads in [0, 1, 4] {
        assert_eq!(hash(threads, &sources).unwrap(), want);
    }
    assert_eq!(hash(1, &[]).unwrap(), [0u8; 0]);
    let stopped = hash::pieces(&sources, PIECE, 2, &|_| {}, &AtomicBool::new(true));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
    for length in [0, 99_999, 100_001] {
        File::options().write(true).open(dir.join("set/a")).unwrap().set_len(length).unwrap();
        let error = hash(2, &sources).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileIo);
        assert!(error.to_string().contains("set/a changed its length"), "{error}");
    }
    fs::remove_file(dir.join("set/a")).unwrap();
    assert_eq!(hash(2, &sources).unwrap_err().kind(), ErrorKind::NotFound);
}

/// A file that grows or shrinks after it was opened is caught too.
#[test]
fn a_file_that_changes_while_it_is_hashed_is_caught() {
    for length in [5, 2_000_000] {
        let (dir, sample) = (Dir::new(), Sample::new(&[("a", 1_000_000)]));
        sample.download(&sample.open(&dir, None), Existing::Check);
        let source = Source { path: dir.join("set/a"), length: 1_000_000 };
        let change = |done: u32| {
            if done == 3 {
                File::options().write(true).open(dir.join("set/a")).unwrap().set_len(length).unwrap();
            }
        };
        let error = hash::pieces(&[source], PIECE, 1, &change, &AtomicBool::new(false)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileIo);
    }
}

/// Commits run beside the writer, killed at any moment: what the state claims is always right.
#[test]
fn a_commit_beside_the_writer_claims_only_what_is_right() {
    let (dir, sample) = (Dir::new(), Sample::new(&[("a", 1_000_000), ("b", 500_000), ("c", 2_000_000)]));
    let files = sample.open(&dir, None);
    let config = config().dir(dir.0.clone());
    let mut resume = survey(&files, &config).unwrap().resume.unwrap();
    let mut order: Vec<u32> = (0..sample.count()).collect();
    Random::seeded(4).shuffle(&mut order);
    let mut assembly = Assembly::new(files.clone(), Bitfield::empty(sample.count()));
    let (send, receive) = std::sync::mpsc::channel::<bitwren::internals::storage::resume::Snapshot>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for snapshot in receive {
                snapshot.commit().unwrap();
                // What a start at this moment would believe, against the bytes themselves.
                let fresh = sample.open(&dir, None);
                let known = survey(&fresh, &config).unwrap().known;
                assert_eq!(hash_all(&fresh, &known).unwrap(), known);
            }
        });
        for (nth, piece) in order.into_iter().enumerate() {
            for block in 0..sample.metainfo.pieces().blocks(piece) {
                let block = sample.metainfo.pieces().block(piece, block);
                let data = &sample.piece(piece)[block.begin as usize..][..block.length as usize];
                assembly.accept(piece, block.begin, data, PeerKey(1)).unwrap();
            }
            if nth % 10 == 0 {
                send.send(resume.snapshot(assembly.verified(), 0, 0)).unwrap();
            }
        }
        drop(send);
    });
    resume.snapshot(assembly.verified(), 0, 0).commit().unwrap();
    assert!(survey(&sample.open(&dir, None), &config).unwrap().known.is_full());
}
