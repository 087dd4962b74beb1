//! The directories that requests may name: a client may have data put below them and nowhere else.
//!
//! Links are followed before it is decided. A path that is not there yet counts by the part of it that is.

use std::path::{Component, Path, PathBuf};

/// The directories that may be named.
#[derive(Debug, Clone, Default)]
pub struct Roots(Vec<PathBuf>);

impl Roots {
    /// These directories and all below them.
    pub fn new(dirs: impl IntoIterator<Item = PathBuf>) -> Roots {
        Roots(dirs.into_iter().collect())
    }

    /// Whether a path lies below one of them. It has to be absolute and without `..`.
    pub fn permit(&self, path: &Path) -> bool {
        let is_plain =
            path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let Some(real) = resolve(path).filter(|_| is_plain && path.is_absolute()) else { return false };
        // A root may be made, or mounted, after the daemon started.
        self.0.iter().any(|root| resolve(root).is_some_and(|root| real.starts_with(root)))
    }

    /// All of them, for a message.
    pub fn shown(&self) -> String {
        let shown: Vec<String> = self.0.iter().map(|root| root.display().to_string()).collect();
        shown.join(", ")
    }
}

/// A directory as it is kept and compared: without a slash at its end, unless it is the root of all.
pub fn without_end_slash(dir: &str) -> &str {
    match dir.trim_end_matches('/') {
        "" => "/",
        dir => dir,
    }
}

/// A path with the links of the part that is there resolved.
fn resolve(path: &Path) -> Option<PathBuf> {
    for there in path.ancestors() {
        match there.canonicalize() {
            Ok(real) => return path.strip_prefix(there).ok().map(|rest| real.join(rest)),
            // What is there and leads nowhere could lead anywhere later.
            Err(_) if there.symlink_metadata().is_ok() => return None,
            Err(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sample::Dir;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_lies_below_a_root_is_permitted_wherever_links_lead() {
        let dir = Dir::new();
        let at = |path: &str| dir.join(path);
        fs::create_dir_all(at("root/sub")).unwrap();
        fs::create_dir_all(at("outside")).unwrap();
        symlink(at("outside"), at("root/out")).unwrap();
        symlink(at("root/sub"), at("in")).unwrap();
        symlink(at("nowhere"), at("root/dangling")).unwrap();
        symlink(at("root"), at("alias")).unwrap();
        let roots = Roots::new([at("alias")]);
        for good in ["root", "root/", "root/sub", "root/sub/new/deep", "root/new", "in/x", "alias/sub"] {
            assert!(roots.permit(&at(good)), "{good}");
        }
        for bad in [
            "outside",
            "root/out",
            "root/out/new",
            "root/dangling/x",
            "rootx",
            "root/../outside",
            "root/new/../..",
        ] {
            assert!(!roots.permit(&at(bad)), "{bad}");
        }
        assert!(
            !roots.permit(Path::new("root")) && !roots.permit(Path::new("")) && !roots.permit(Path::new("/"))
        );
        assert!(Roots::new([PathBuf::from("/")]).permit(&at("outside")));
        assert!(!Roots::default().permit(&at("root")));
    }
}
