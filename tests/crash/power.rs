//! Power cuts: what a run asked of the disk is traced, and at every point of it the disk is made anew as
//! a cut could have left it. What was synced is there; of the rest nothing, or by a seed some, torn at
//! sectors, in any order. Names are there when their directory was synced, and not before.
//!
//! The files get the times by which the state vouches for them, whatever is in them: the most that a
//! file system could do to have a lie believed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::faults::{is_there, traced};
use crate::runs::{HALF, Runs, Server};
use crate::state::{self, State};
use crate::support::child::{Child, PATIENCE};
use crate::support::content::Dice;
use crate::support::scratch::files_below;

/// How often each cut is looked at, with more or less luck each time.
const LUCKS: usize = 12;

/// What a disk writes as a whole.
const SECTOR: u64 = 512;

/// Something that was asked of the disk.
#[derive(Debug, Clone)]
enum Op {
    /// Bytes of a file, by its number, from there on.
    Write(usize, u64, Vec<u8>),
    Length(usize, u64),
    Sync(usize),
    /// A name is for this file from now on, or for none.
    Name(PathBuf, Option<usize>),
    /// One name for another.
    Rename(PathBuf, PathBuf, usize),
    Directory(PathBuf),
    SyncDirectory(PathBuf),
}

/// A disk as it was when a run began, and what the run asked of it.
#[derive(Default)]
struct Tape {
    /// Where all of it is.
    root: PathBuf,
    files: Vec<Vec<u8>>,
    names: BTreeMap<PathBuf, usize>,
    directories: BTreeSet<PathBuf>,
    ops: Vec<Op>,
}

impl Tape {
    /// Traces a run in `got`. `end` sees it to its end.
    fn record(runs: &Runs, server: &Server, end: impl FnOnce(&mut std::process::Command)) -> Tape {
        let mut tape = Tape { root: runs.got(), ..Tape::default() };
        if runs.got().exists() {
            tape.directories.insert(runs.got());
            for path in files_below(&runs.got()) {
                let path = runs.got().join(path);
                tape.directories.extend(
                    path.ancestors()
                        .skip(1)
                        .take_while(|up| up.starts_with(runs.got()))
                        .map(Path::to_path_buf),
                );
                tape.names.insert(path.clone(), tape.files.len());
                tape.files.push(fs::read(path).unwrap());
            }
        }
        let log = runs.scratch.path().join("log");
        let calls = "trace=openat,openat2,close,write,pwrite64,ftruncate,fsync,fdatasync,rename,unlink,mkdir";
        end(&mut traced(&runs.get(server), &log, &["-xx", "-s", "100000", "-e", calls]));
        tape.read(&fs::read_to_string(&log).unwrap(), &runs.got());
        fs::remove_file(log).unwrap();
        tape
    }

    /// Reads strace's lines; a call that another interrupts counts when it ends.
    fn read(&mut self, log: &str, got: &Path) {
        let mut begun: HashMap<&str, String> = HashMap::new();
        let mut open: HashMap<i64, (PathBuf, Option<usize>, u64)> = HashMap::new();
        let mut names = self.names.clone();
        for line in log.lines() {
            let (thread, line) = line.split_once(' ').unwrap();
            let line = line.trim_start();
            if let Some(first) = line.strip_suffix(" <unfinished ...>") {
                begun.insert(thread, first.to_owned());
                continue;
            }
            let whole = match line.strip_prefix("<... ") {
                Some(rest) => {
                    let rest = rest.split_once(" resumed>").unwrap().1;
                    begun.remove(thread).unwrap_or_default() + rest
                }
                None => line.to_owned(),
            };
            let Some((call, result)) = whole.rsplit_once(" = ") else { continue };
            let Some(result) = result.split(' ').next().and_then(|number| number.parse::<i64>().ok()) else {
                continue;
            };
            let Some((name, arguments)) = call.split_once('(') else { continue };
            if result < 0 {
                continue;
            }
            let fields: Vec<&str> = arguments.trim_end().trim_end_matches(')').split(", ").collect();
            let number = |at: usize| fields[at].parse::<i64>().unwrap();
            let path = |at: usize| PathBuf::from(String::from_utf8(unhex(fields[at])).unwrap());
            match name {
                "openat" | "openat2" => {
                    let path = path(1);
                    if !path.starts_with(got) {
                        open.remove(&result);
                        continue;
                    }
                    if fields[2].contains("O_CREAT") {
                        names.insert(path.clone(), self.files.len());
                        self.ops.push(Op::Name(path.clone(), Some(self.files.len())));
                        self.files.push(Vec::new());
                    }
                    let file = names.get(&path).copied();
                    open.insert(result, (path, file, 0));
                }
                "close" => _ = open.remove(&number(0)),
                "write" | "pwrite64" => {
                    let Some((_, Some(file), at)) = open.get_mut(&number(0)) else { continue };
                    let bytes = unhex(fields[1])[..result as usize].to_vec();
                    let from = if name == "write" { *at } else { number(3) as u64 };
                    *at = from + bytes.len() as u64;
                    self.ops.push(Op::Write(*file, from, bytes));
                }
                "ftruncate" => {
                    let Some((_, Some(file), _)) = open.get(&number(0)) else { continue };
                    self.ops.push(Op::Length(*file, number(1) as u64));
                }
                "fsync" | "fdatasync" => match open.get(&number(0)) {
                    Some((_, Some(file), _)) => self.ops.push(Op::Sync(*file)),
                    Some((path, None, _)) => self.ops.push(Op::SyncDirectory(path.clone())),
                    None => {}
                },
                "rename" => {
                    let file = names.remove(&path(0)).unwrap();
                    names.insert(path(1), file);
                    self.ops.push(Op::Rename(path(0), path(1), file));
                }
                "unlink" => {
                    names.remove(&path(0));
                    self.ops.push(Op::Name(path(0), None));
                }
                "mkdir" => self.ops.push(Op::Directory(path(0))),
                _ => {}
            }
        }
    }

    /// The disk after a cut before the operation `cut`, below a scratch directory. `lucky` says of
    /// what was not synced whether it is there, and of how many bytes of it the first are.
    fn restore(&self, cut: usize, mut lucky: impl FnMut(u64) -> Option<u64>) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut files, mut names, mut directories) =
            (self.files.clone(), self.names.clone(), self.directories.clone());
        for (at, op) in self.ops[..cut].iter().enumerate() {
            let later = &self.ops[at + 1..cut];
            let file_synced = |file: usize| later.iter().any(|op| matches!(op, Op::Sync(it) if *it == file));
            let name_synced = |name: &Path| {
                let up = name.parent();
                later.iter().any(|op| matches!(op, Op::SyncDirectory(it) if Some(&**it) == up))
            };
            match op {
                Op::Write(file, from, bytes) => {
                    let all = bytes.len() as u64;
                    let there = if file_synced(*file) { Some(all) } else { lucky(all) };
                    let bytes = &bytes[..there.unwrap_or(0) as usize];
                    let (file, from) = (&mut files[*file], *from as usize);
                    if !bytes.is_empty() {
                        file.resize(file.len().max(from + bytes.len()), 0);
                        file[from..from + bytes.len()].copy_from_slice(bytes);
                    }
                }
                Op::Length(file, length) if file_synced(*file) || lucky(0).is_some() => {
                    files[*file].resize(*length as usize, 0);
                }
                Op::Name(name, file) if name_synced(name) || lucky(0).is_some() => match file {
                    Some(file) => _ = names.insert(name.clone(), *file),
                    None => _ = names.remove(name),
                },
                Op::Rename(old, new, file) if name_synced(new) || lucky(0).is_some() => {
                    names.remove(old);
                    names.insert(new.clone(), *file);
                }
                Op::Directory(name) if name_synced(name) || lucky(0).is_some() => {
                    directories.insert(name.clone());
                }
                _ => {}
            }
        }
        let above = |name: &Path| {
            name.ancestors()
                .skip(1)
                .take_while(|up| up.starts_with(&self.root))
                .all(|up| directories.contains(up))
        };
        let there = |name: &PathBuf| above(name);
        names
            .into_iter()
            .filter(|(name, _)| there(name))
            .map(|(name, file)| (name, files[file].clone()))
            .collect()
    }
}

impl Tape {
    /// Whether a file is the torrent's, and not the state.
    fn is_data(&self, file: usize, got: &Path) -> bool {
        let named = |op: &Op| matches!(op, Op::Name(name, Some(it)) if *it == file && name.starts_with(got.join("crashed")));
        self.ops.iter().any(named)
    }
}

fn unhex(quoted: &str) -> Vec<u8> {
    let digits = quoted.trim_matches('"').split("\\x").skip(1);
    digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
}

/// Cuts the power before each operation of a tape; how many cuts that were.
fn cut_everywhere(runs: &Runs, tape: &Tape, seed: u64) -> u32 {
    let mut dice = Dice::new(seed);
    let mut cuts = 0;
    for cut in 0..=tape.ops.len() {
        for luck in 0..LUCKS {
            // Nothing of what was not synced; then some, half, most of it.
            let lucky = |bytes: u64| {
                (dice.below(4) < [0, 1, 2, 3][luck % 4]).then(|| match dice.below(3) {
                    0 if bytes > 0 => dice.below(bytes / SECTOR + 1) * SECTOR,
                    _ => bytes,
                })
            };
            let disk = tape.restore(cut, lucky);
            let what = format!("POWER_SEED={seed}, cut {cut} of {}, luck {luck}", tape.ops.len());
            lay_out(runs, &disk);
            if let Err(lie) = state::claims_are_true(&runs.torrent, &runs.got()) {
                panic!("{what}: {lie}");
            }
            runs.assert_completes(&what);
            cuts += 1;
        }
    }
    cuts
}

/// Puts a disk in the place of that of the runs.
fn lay_out(runs: &Runs, disk: &BTreeMap<PathBuf, Vec<u8>>) {
    let _ = fs::remove_dir_all(runs.got());
    fs::create_dir(runs.got()).unwrap();
    for (path, bytes) in disk {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        // Where nothing was written there are holes, as there were.
        for (page, at) in bytes.chunks(4096).zip((0..).step_by(4096)) {
            if page.iter().any(|byte| *byte != 0) {
                file.write_all_at(page, at).unwrap();
            }
        }
    }
    let place = state::path(&runs.torrent, &runs.got());
    if let Some(bytes) = disk.get(&place) {
        fs::write(&place, state::renumber(bytes.clone(), &runs.torrent, &runs.got())).unwrap();
    }
    let state = disk.get(&place);
    let Some(state) = state.and_then(|bytes| State::read(bytes, &runs.torrent)) else { return };
    let files = runs.torrent.files(&runs.got()).into_iter().map(|(path, _)| path);
    for (path, record) in files.chain([runs.part()]).zip(&state.records) {
        let (Some((_, modified)), Ok(file)) = (record, fs::File::options().write(true).open(path)) else {
            continue;
        };
        file.set_modified(*modified).unwrap();
    }
}

#[test]
fn the_power_is_cut_at_every_point() {
    cut_a_download(&Runs::new("power"));
}

/// The same where pieces reach into files that were not asked for.
#[test]
fn the_power_is_cut_at_every_point_with_a_part_file() {
    cut_a_download(&Runs::in_part("power-part"));
}

fn cut_a_download(runs: &Runs) {
    if !is_there("strace") {
        return;
    }
    let seed = std::env::var("POWER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20);
    let server = Server::start(&runs.torrent, HALF);
    let beginning = Tape::record(runs, &server, |command| _ = runs.half(command, &server).expect(7));
    let claimed = state::claims_are_true(&runs.torrent, &runs.got()).unwrap();
    assert!(claimed > 0, "nothing was saved");
    // A name is known by its directory: none of those the run began with is in doubt.
    let all = Server::start(&runs.torrent, u32::MAX);
    let going_on = Tape::record(runs, &all, |command| _ = Child::spawn(command).wait_end(PATIENCE).expect(0));
    // Played back to the end without a cut, the tape is what there is.
    for (path, bytes) in going_on.restore(going_on.ops.len(), Some) {
        assert_eq!(fs::read(&path).ok().as_deref(), Some(&*bytes), "{}", path.display());
    }
    let operations = beginning.ops.len() + going_on.ops.len();
    let cuts = cut_everywhere(runs, &beginning, seed) + cut_everywhere(runs, &going_on, seed + 1);
    // Had the bytes never been synced, this would have found it out.
    let mut careless = beginning;
    let is_data = |file: usize| careless.files.len() > file && careless.is_data(file, &runs.got());
    let synced: Vec<bool> =
        careless.ops.iter().map(|op| matches!(op, Op::Sync(it) if is_data(*it))).collect();
    let mut synced = synced.into_iter();
    careless.ops.retain(|_| !synced.next().unwrap());
    // Of what was written only the length is there, as where space is found late.
    let mut lengths: HashMap<usize, u64> = HashMap::new();
    let data: Vec<bool> = (0..careless.files.len()).map(|file| careless.is_data(file, &runs.got())).collect();
    for op in &mut careless.ops {
        let Op::Write(file, from, bytes) = &*op else { continue };
        if data[*file] {
            let length = lengths.entry(*file).or_default();
            *length = (*length).max(*from + bytes.len() as u64);
            *op = Op::Length(*file, *length);
        }
    }
    lay_out(runs, &careless.restore(careless.ops.len(), |bytes| (bytes == 0).then_some(0)));
    assert!(state::claims_are_true(&runs.torrent, &runs.got()).is_err(), "the model believes everything");
    println!("{cuts} power cuts in a run of {} operations", operations);
    assert!(cuts > 100, "{cuts}: too few to say anything");
}
