//! The lists of `--blocklist`, and with `--allow` the filter that they make.
//!
//! Invariant: either every list was read or none counts, so that a run never goes on with less blocked than
//! it was told to.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use bitwren::{AddressFilter, Blocklist};

use crate::cli::args::settings::FilterSettings;
use crate::cli::exit::{Code, Failure};

/// The lists that were read.
pub struct Lists {
    pub filter: Arc<AddressFilter>,
    pub read: Vec<ListFacts>,
}

/// What is reported of a list.
pub struct ListFacts {
    pub path: PathBuf,
    pub ranges: usize,
    pub lines: u64,
    pub not_understood: u64,
    pub first_not_understood: Option<u64>,
}

/// Reads every list once more.
///
/// # Errors
/// As [`read_all`], and if one is no regular file: a pipe would be empty now, and block nothing.
pub fn read_again(settings: &FilterSettings) -> Result<Lists, Failure> {
    // Before it is opened: opening a pipe may wait for good.
    let other = settings.blocklists.iter().find(|path| path.metadata().is_ok_and(|found| !found.is_file()));
    match other {
        Some(path) => {
            let why = format_args!("--blocklist: {} is no regular file", path.display()).to_string();
            Err(Failure::new(Code::FILE_OPEN, why))
        }
        None => read_all(settings),
    }
}

/// Reads every list.
///
/// # Errors
/// A list cannot be opened, read, unpacked or understood.
pub fn read_all(settings: &FilterSettings) -> Result<Lists, Failure> {
    let mut blocked: Option<AddressFilter> = None;
    let mut read = Vec::new();
    for path in &settings.blocklists {
        let list = File::open(path).map_err(|error| Failure::file(Code::FILE_OPEN, "open", path, &error))?;
        let is_directory = list.metadata().is_ok_and(|metadata| metadata.is_dir());
        if is_directory {
            let why = format_args!("--blocklist: {} is a directory", path.display()).to_string();
            return Err(Failure::new(Code::FILE_OPEN, why));
        }
        let Blocklist { filter, lines, not_understood, first_not_understood, .. } = Blocklist::read(list)
            .map_err(|error| {
                Failure::new(Code::of(error.kind()), format_args!("--blocklist: {}: {error}", path.display()))
            })?;
        let (path, ranges) = (path.clone(), filter.ranges());
        read.push(ListFacts { path, ranges, lines, not_understood, first_not_understood });
        match &mut blocked {
            Some(blocked) => blocked.add(&filter),
            None => blocked = Some(filter),
        }
    }
    let filter = match (blocked, &settings.allow) {
        (Some(blocked), Some(allow)) => blocked.except(allow),
        (Some(blocked), None) => blocked,
        (None, Some(allow)) => AddressFilter::all_but(allow),
        (None, None) => AddressFilter::default(),
    };
    Ok(Lists { filter: filter.into(), read })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(ranges: &[&str]) -> Option<AddressFilter> {
        let mut allow = AddressFilter::default();
        ranges.iter().for_each(|range| allow.add(&range.parse().unwrap()));
        Some(allow)
    }

    fn blocks(settings: &FilterSettings, address: [u8; 4]) -> bool {
        read_all(settings).map(|lists| lists.filter.blocks(address.into())).unwrap()
    }

    #[test]
    fn what_is_allowed_is_an_exception_of_a_list_and_alone_everything() {
        let none = FilterSettings::default();
        assert!(!blocks(&none, [10, 0, 0, 1]));
        let only = FilterSettings { allow: allow(&["10.0.0.0/8", "::1"]), ..none.clone() };
        assert!(!blocks(&only, [10, 0, 0, 1]) && blocks(&only, [11, 0, 0, 1]));
        let path = std::env::temp_dir().join(format!("bitwren-blocklist-{}", std::process::id()));
        std::fs::write(&path, "10.0.0.0/8\n").unwrap();
        let both = FilterSettings { blocklists: vec![path.clone()], allow: allow(&["10.0.0.7"]) };
        assert!(
            !blocks(&both, [10, 0, 0, 7]) && blocks(&both, [10, 0, 0, 8]) && !blocks(&both, [11, 0, 0, 1])
        );
        std::fs::remove_file(path).unwrap();
        assert_eq!(read_all(&both).map(|lists| lists.read.len()).unwrap_err().code, Code::NOT_FOUND);
    }
}
