//! The symbolic links of a torrent on disk (BEP 47).
//!
//! A link says the way from its own directory, which is a real one, up to that of the torrent and down by
//! plain names: wherever the data is moved, it leads to data of the torrent. Nothing is ever opened through
//! one. Invariant: an existing file stays.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::files::Files;
use super::io_error::{failed, show};
use super::sandbox::Root;
use crate::error::{Error, ErrorKind, Result};

/// Links that could not be made of which it is told.
const MAX_REPORTED: usize = 20;

/// A link of the torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symlink {
    /// Its path below the download directory.
    pub path: PathBuf,
    /// Its target.
    pub leads: PathBuf,
}

impl Symlink {
    /// Whether it is there and says that.
    pub fn is_there(&self, dir: &Path) -> bool {
        fs::read_link(dir.join(&self.path)).is_ok_and(|found| found == self.leads)
    }
}

/// The links of a torrent whose target was selected, or holds something that was.
pub fn links(files: &Files) -> Vec<Symlink> {
    let layout = files.layout();
    let links: Vec<(PathBuf, PathBuf)> =
        layout.files().iter().filter_map(|file| Some((file.path(), file.target()?))).collect();
    if links.is_empty() {
        return Vec::new();
    }
    let places: HashMap<PathBuf, u32> =
        layout.files().iter().zip(0..).map(|(file, index)| (file.path(), index)).collect();
    let selected = |target: &Path| {
        let all = (0u32..).zip(layout.files()).filter(|(index, _)| layout.is_selected(*index));
        layout.is_whole() || { all }.any(|(_, file)| file.path().starts_with(target))
    };
    let wanted = links.into_iter().filter(|(_, target)| selected(target));
    let link = |(path, target): (PathBuf, PathBuf)| {
        // A file may have had to take another name.
        let place = places.get(&target).map_or(target, |&index| files.relative(index));
        let mut leads: PathBuf = path.components().skip(2).map(|_| "..").collect();
        leads.extend(place.components().skip(1));
        Symlink { path, leads }
    };
    wanted.map(link).collect()
}

/// Makes the links that are not there. What could not be made is told, and no reason to fail.
pub fn make(files: &Files) -> Vec<String> {
    let links = links(files);
    let failed = links.iter().filter(|link| !link.is_there(files.root()));
    let failed = failed.filter_map(|link| make_one(&files.root, link).err());
    failed.map(|error| error.to_string()).take(MAX_REPORTED).collect()
}

fn make_one(root: &Root, link: &Symlink) -> Result<()> {
    let path = root.join(&link.path);
    root.making(&link.path, || {
        symlink(&link.leads, &path).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::AlreadyExists => {
                let context = format!("{} is in the way of a symbolic link of the torrent", show(&path));
                Error::new(ErrorKind::Exists, context)
            }
            _ => failed(ErrorKind::FileCreate, "make the symbolic link", &path, cause),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sample::{Dir, Sample};

    fn there(dir: &Dir) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for name in ["set/a/b/link", "set/dir", "set/twice"] {
            if let Ok(leads) = fs::read_link(dir.join(name)) {
                found.push((name.to_owned(), leads.to_str().unwrap().to_owned()));
            }
        }
        found
    }

    fn sample() -> Sample {
        let mut sample = Sample::multi(&[("a/b/c", 20), ("x/y", 20)], 16);
        let links = [("a/b/link", "x/y"), ("dir", "x"), ("twice", "dir")];
        sample.metainfo = std::sync::Arc::new(sample.metainfo.with_links(&links));
        sample
    }

    #[test]
    fn links_lead_to_the_data_from_where_they_lie_and_are_made_once() {
        let (dir, sample) = (Dir::new(), sample());
        sample.fill(&dir);
        let files = sample.files(&dir);
        assert_eq!(make(&files), Vec::<String>::new());
        let made = [("set/a/b/link", "../../x/y"), ("set/dir", "x"), ("set/twice", "dir")];
        assert_eq!(there(&dir), made.map(|(path, leads)| (path.to_owned(), leads.to_owned())));
        assert_eq!(fs::read(dir.join("set/a/b/link")).unwrap(), &sample.bytes[20..]);
        assert_eq!(fs::read(dir.join("set/twice/y")).unwrap(), &sample.bytes[20..]);
        assert_eq!(make(&files), Vec::<String>::new(), "they are there");
        assert!(links(&files).iter().all(|link| link.is_there(dir.path())));
    }

    #[test]
    fn what_is_in_the_way_of_a_link_stays_and_no_link_is_gone_through() {
        let (dir, sample) = (Dir::new(), sample());
        fs::create_dir_all(dir.join("set")).unwrap();
        fs::create_dir(dir.join("elsewhere")).unwrap();
        fs::write(dir.join("set/dir"), "mine").unwrap();
        symlink("/nowhere", dir.join("set/twice")).unwrap();
        symlink(dir.join("elsewhere"), dir.join("set/a")).unwrap();
        let told = make(&sample.files(&dir));
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(fs::read(dir.join("set/dir")).unwrap(), b"mine");
        assert_eq!(fs::read_link(dir.join("set/twice")).unwrap(), Path::new("/nowhere"));
        assert_eq!(fs::read_dir(dir.join("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn a_link_to_what_was_not_selected_is_not_made() {
        let (dir, sample) = (Dir::new(), sample());
        let files = sample.select(&dir, Some(&[0]));
        assert_eq!(links(&files), []);
        let files = sample.select(&dir, Some(&[1]));
        let paths: Vec<PathBuf> = links(&files).into_iter().map(|link| link.path).collect();
        assert_eq!(paths, [Path::new("set/a/b/link"), Path::new("set/dir")]);
    }
}
