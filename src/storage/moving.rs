//! Moving the files of a torrent to another directory: by names where the file system has both, and by a copy
//! where it does not.
//!
//! First every file has its new name, then the old names go. A copy is made under a name of its own, is synced, and
//! has its length compared before it gets its name. So the old directory has everything until the new one does, a
//! failure leaves what was there before, and a move that was killed goes on when it is asked for again.
//!
//! Invariant: no file is overwritten, and none is removed that is not in the new directory as well.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::io_error::{failed, show};
use super::renaming;
use super::resume;
use super::sandbox::Root;
use crate::config::TorrentConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::metainfo::Metainfo;

/// How much is copied or compared at once.
const CHUNK: usize = 256 * 1024;

/// The files of a torrent, which no thread has open, and where they go.
pub struct Moving {
    /// The torrent.
    pub metainfo: Arc<Metainfo>,
    /// Its settings: where the files are.
    pub config: TorrentConfig,
    /// The directory that they go to.
    pub to: PathBuf,
    /// Ends it early, with everything as it was.
    pub stop: Arc<AtomicBool>,
}

/// A file that is moved.
struct Item {
    path: PathBuf,
    /// It is at both places already: an earlier move was interrupted.
    is_there: bool,
}

impl Moving {
    /// Moves them. `on_moved` is told of bytes as they are copied, or named.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] if a file of the new directory is in the way, [`ErrorKind::Interrupted`] if it was ended
    /// early; as where a file cannot be read, made or written. Everything is where it was then.
    pub fn run(&self, on_moved: &dyn Fn(u64)) -> Result<()> {
        let (from, to) = (Root::new(&self.config.dir), Root::new(&self.to));
        let made = fs::create_dir_all(&self.to);
        made.map_err(|cause| failed(ErrorKind::MakeDir, "make the directory", &self.to, cause))?;
        if is_same_directory(&self.config.dir, &self.to) {
            return Ok(());
        }
        let data = self.data()?;
        let items = self.items(&data, &from, &to)?;
        let mut named = Vec::new();
        for item in items.iter().filter(|item| !item.is_there) {
            if let Err(error) = self.name(&from, &to, &item.path, on_moved) {
                named.iter().for_each(|path: &&PathBuf| _ = to.remove(path));
                remove_empty(&to, named.into_iter().chain([&item.path]));
                return Err(error);
            }
            named.push(&item.path);
        }
        if let Err(error) = sync_directories(&to, &items) {
            named.iter().for_each(|path| _ = to.remove(path));
            return Err(error);
        }
        // What cannot be removed is there twice, and nothing is lost.
        items.iter().for_each(|item| _ = from.remove(&item.path));
        remove_empty(&from, data.iter());
        Ok(())
    }

    /// Where the files are, below the directory.
    fn data(&self) -> Result<Vec<PathBuf>> {
        let names = renaming::known(&self.metainfo, &self.config)?;
        let stored = (0..).zip(self.metainfo.files().iter()).filter(|(_, file)| file.is_stored());
        Ok(stored.map(|(index, file)| names.get(&index).cloned().unwrap_or_else(|| file.path())).collect())
    }

    /// What there is to move; nothing where another file is in the way.
    fn items(&self, data: &[PathBuf], from: &Root, to: &Root) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for path in data {
            let Some(source) = from.stat(path)? else { continue };
            if is_same_directory(&parent(from, path), &parent(to, path)) {
                continue;
            }
            let is_there = match to.stat(path)? {
                None => false,
                Some(target) if is_same(&source, &target) || self.is_equal(from, to, path)? => true,
                Some(_) => {
                    let what = "is there already and is another file; move it away";
                    return Err(Error::new(ErrorKind::Exists, format!("{} {what}", show(&to.join(path)))));
                }
            };
            items.push(Item { path: path.clone(), is_there });
        }
        // Ours by their names; one that is there already stays, and is judged when the torrent is opened.
        let hash = self.metainfo.info_hash();
        let mut own = vec![format!(".{hash}.parts"), format!(".{hash}.bitwren.parts")];
        if self.config.state_dir.is_none() {
            own.extend([resume::usual_name(hash), format!("{hash}.metadata.bitwren")]);
        }
        for path in own.into_iter().map(PathBuf::from) {
            if from.stat(&path).is_ok_and(|found| found.is_some()) {
                match to.stat(&path)? {
                    None => items.push(Item { path, is_there: false }),
                    Some(_) if self.is_equal(from, to, &path)? => items.push(Item { path, is_there: true }),
                    Some(_) => {}
                }
            }
        }
        Ok(items)
    }

    /// Gives a file its new name, or its copy.
    fn name(&self, from: &Root, to: &Root, path: &Path, on_moved: &dyn Fn(u64)) -> Result<()> {
        self.go_on()?;
        let (old, new) = (from.join(path), to.join(path));
        let linked = to.making(path, || Ok(fs::hard_link(&old, &new)))?;
        let Err(cause) = linked else {
            on_moved(fs::metadata(&new).map_or(0, |found| found.len()));
            return Ok(());
        };
        if cause.kind() == io::ErrorKind::AlreadyExists {
            return Err(failed(ErrorKind::Exists, "move a file to", &new, cause));
        }
        // Another file system, or one without links.
        let temporary = PathBuf::from(format!(".{}.moving", self.metainfo.info_hash()));
        let copied = self.copy(from, to, path, &temporary, on_moved);
        if copied.is_err() {
            let _ = to.remove(&temporary); // What failed before it says more.
        }
        copied
    }

    fn copy(
        &self,
        from: &Root,
        to: &Root,
        path: &Path,
        temporary: &Path,
        on_moved: &dyn Fn(u64),
    ) -> Result<()> {
        let (old, new) = (from.join(path), to.join(path));
        // An interrupted copy.
        to.remove(temporary)?;
        let (mut source, found) = from.open_found(path, false)?;
        let is_executable = found.mode() & 0o111 != 0;
        let made = to.create(temporary, is_executable)?;
        let mut target = made.ok_or_else(|| {
            Error::new(ErrorKind::Exists, format!("{} is in the way", show(&to.join(temporary))))
        })?;
        let writing = |cause| failed(ErrorKind::FileIo, "write", &new, cause);
        let mut buffer = vec![0; CHUNK];
        let mut length = 0;
        loop {
            self.go_on()?;
            let read = source.read(&mut buffer);
            let read = read.map_err(|cause| failed(ErrorKind::FileIo, "read", &old, cause))?;
            if read == 0 {
                break;
            }
            let chunk = buffer.get(..read).unwrap_or_default();
            target.write_all(chunk).map_err(writing)?;
            length += read as u64;
            on_moved(read as u64);
        }
        // With its time, by which the resume state knows it.
        found.modified().and_then(|time| target.set_modified(time)).map_err(writing)?;
        target.sync_all().map_err(writing)?;
        let written = target.metadata().map_err(writing)?.len();
        if length != found.len() || written != length {
            let why = format!("{} was changed while it was moved; try again", show(&old));
            return Err(Error::new(ErrorKind::FileIo, why));
        }
        to.making(path, || {
            let placed = match to.stat(path)? {
                Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
                None => fs::rename(to.join(temporary), &new),
            };
            placed.map_err(|cause| failed(ErrorKind::FileCreate, "move a file to", &new, cause))
        })
    }

    /// Whether a file has the same bytes at both places.
    fn is_equal(&self, from: &Root, to: &Root, path: &Path) -> Result<bool> {
        let ((mut one, found), (mut other, there)) =
            (from.open_found(path, false)?, to.open_found(path, false)?);
        let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut ahead = found.len();
        if there.len() != ahead {
            return Ok(false);
        }
        let reading = |cause| failed(ErrorKind::FileIo, "read", &from.join(path), cause);
        while ahead > 0 {
            self.go_on()?;
            let length = ahead.min(CHUNK as u64) as usize;
            let (Some(left), Some(right)) = (left.get_mut(..length), right.get_mut(..length)) else { break };
            one.read_exact(left).map_err(reading)?;
            other.read_exact(right).map_err(reading)?;
            if left != right {
                return Ok(false);
            }
            ahead -= length as u64;
        }
        Ok(true)
    }

    fn go_on(&self) -> Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Interrupted, "the move was ended")),
            false => Ok(()),
        }
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The directory of a file.
fn parent(root: &Root, path: &Path) -> PathBuf {
    root.join(path.parent().unwrap_or(Path::new("")))
}

fn is_same_directory(one: &Path, other: &Path) -> bool {
    let (one, other) = (fs::metadata(one), fs::metadata(other));
    one.is_ok_and(|one| other.is_ok_and(|other| is_same(&one, &other)))
}

/// The names that files have now outlive a power cut.
fn sync_directories(root: &Root, items: &[Item]) -> Result<()> {
    let parents: BTreeSet<&Path> = items.iter().flat_map(|item| item.path.ancestors().skip(1)).collect();
    for parent in parents {
        let directory = root.join(parent);
        match File::open(&directory).and_then(|directory| directory.sync_all()) {
            // Some file systems cannot sync a directory and need not.
            Err(cause) if cause.kind() != io::ErrorKind::InvalidInput => {
                return Err(failed(ErrorKind::FileIo, "sync the directory", &directory, cause));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes the directories of these files that are empty by now, but for the root.
fn remove_empty<'a>(root: &Root, paths: impl Iterator<Item = &'a PathBuf>) {
    let mut parents: Vec<&Path> = paths.flat_map(|path| path.ancestors().skip(1)).collect();
    parents.sort_by_key(|parent| std::cmp::Reverse(parent.components().count()));
    parents.dedup();
    for parent in parents.into_iter().filter(|parent| !parent.as_os_str().is_empty()) {
        // One that is not empty stays.
        let _ = fs::remove_dir(root.join(parent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sample::{Dir, Sample};

    const FILES: [(&str, usize); 3] = [("a", 700_000), ("sub/b", 10), ("sub/c", 300_000)];

    struct World {
        sample: Sample,
        old: Dir,
        new: Dir,
    }

    impl World {
        fn new() -> World {
            let (sample, old, new) = (Sample::multi(&FILES, 16 << 10), Dir::new(), Dir::new());
            sample.fill(&old);
            World { sample, old, new }
        }

        fn moving(&self, to: &Path) -> Moving {
            Moving {
                metainfo: self.sample.metainfo.clone(),
                config: TorrentConfig::default().dir(self.old.path()),
                to: to.to_owned(),
                stop: Arc::default(),
            }
        }

        /// The names of the files, and of their directory.
        fn paths(&self) -> Vec<PathBuf> {
            self.sample.metainfo.files().iter().map(|file| file.path()).collect()
        }

        #[track_caller]
        fn is_whole(&self, dir: &Path) {
            let mut bytes = Vec::new();
            for path in self.paths() {
                bytes.extend(fs::read(dir.join(path)).unwrap());
            }
            assert!(bytes == self.sample.bytes);
        }

        #[track_caller]
        fn is_empty(&self, dir: &Path) {
            let left: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }

    #[test]
    fn everything_is_in_the_new_directory_and_nothing_in_the_old() {
        let world = World::new();
        let state = format!(".{}.bitwren", world.sample.metainfo.info_hash());
        fs::write(world.old.join(&state), b"state").unwrap();
        let to = world.new.join("deep/er");
        let moved = std::cell::Cell::new(0);
        world.moving(&to).run(&|bytes| moved.set(moved.get() + bytes)).unwrap();
        world.is_whole(&to);
        world.is_empty(world.old.path());
        assert_eq!(fs::read(to.join(state)).unwrap(), b"state");
        assert_eq!(moved.get(), world.sample.bytes.len() as u64 + 5);
    }

    #[test]
    fn a_file_in_the_way_leaves_everything_where_it_was() {
        let world = World::new();
        let last = world.paths().pop().unwrap();
        fs::create_dir_all(world.new.path().join(&last).parent().unwrap()).unwrap();
        fs::write(world.new.path().join(&last), b"another's").unwrap();
        let error = world.moving(world.new.path()).run(&|_| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        world.is_whole(world.old.path());
        assert_eq!(fs::read(world.new.path().join(&last)).unwrap(), b"another's");
        assert!(!world.new.path().join(&world.paths()[0]).exists());
    }

    #[test]
    fn a_move_that_was_killed_goes_on_at_every_point() {
        for done in 0..=6 {
            let world = World::new();
            let paths = world.paths();
            for path in paths.iter().take(done) {
                fs::create_dir_all(world.new.path().join(path).parent().unwrap()).unwrap();
                // A link, or a copy.
                match done % 2 {
                    0 => fs::hard_link(world.old.path().join(path), world.new.path().join(path)).unwrap(),
                    _ => _ = fs::copy(world.old.path().join(path), world.new.path().join(path)).unwrap(),
                }
            }
            let gone = done.saturating_sub(paths.len());
            paths.iter().take(gone).for_each(|path| fs::remove_file(world.old.path().join(path)).unwrap());
            let temporary = format!(".{}.moving", world.sample.metainfo.info_hash());
            fs::write(world.new.path().join(&temporary), b"half").unwrap();
            world.moving(world.new.path()).run(&|_| {}).unwrap();
            world.is_whole(world.new.path());
            world.is_empty(world.old.path());
        }
    }

    #[test]
    fn to_another_file_system_files_are_copied_with_their_times() {
        let (world, memory) = (World::new(), Path::new("/dev/shm"));
        let to = memory.join(world.new.path().file_name().unwrap());
        fs::create_dir_all(&to).unwrap();
        let times = |dir: &Path| -> Vec<_> {
            let time = |path: PathBuf| fs::metadata(dir.join(path)).unwrap().modified().unwrap();
            world.paths().into_iter().map(time).collect()
        };
        let before = times(world.old.path());
        let outcome = world.moving(&to).run(&|_| {});
        let after = outcome.is_ok().then(|| times(&to));
        if outcome.is_ok() {
            world.is_whole(&to);
        }
        fs::remove_dir_all(&to).unwrap();
        outcome.unwrap();
        assert_eq!(after, Some(before));
        world.is_empty(world.old.path());
    }

    #[test]
    fn a_copy_is_whole_and_overwrites_nothing() {
        let world = World::new();
        let moving = world.moving(world.new.path());
        let (from, to) = (Root::new(world.old.path()), Root::new(world.new.path()));
        let temporary = PathBuf::from(".moving");
        for path in world.paths() {
            moving.copy(&from, &to, &path, &temporary, &|_| {}).unwrap();
            let again = moving.copy(&from, &to, &path, &temporary, &|_| {}).unwrap_err();
            assert_eq!(again.kind(), ErrorKind::FileCreate);
        }
        world.is_whole(world.new.path());
        world.is_whole(world.old.path());
    }

    #[test]
    fn one_that_is_ended_early_leaves_everything_where_it_was() {
        let world = World::new();
        let moving = world.moving(world.new.path());
        let stop = moving.stop.clone();
        let error = moving.run(&|_| stop.store(true, Ordering::Relaxed)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        world.is_whole(world.old.path());
        world.is_empty(world.new.path());
    }

    #[test]
    fn a_directory_that_is_the_same_is_left_alone() {
        let world = World::new();
        let link = world.new.join("link");
        std::os::unix::fs::symlink(world.old.path(), &link).unwrap();
        world.moving(&link).run(&|_| {}).unwrap();
        world.is_whole(world.old.path());
    }
}
