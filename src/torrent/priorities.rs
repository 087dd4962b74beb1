//! The priorities of pieces, from those of the files.
//!
//! A piece that several files share has the highest of them; files that are not wanted do not count.

use crate::bitfield::Bitfield;
use crate::config::{Priority, TorrentConfig};
use crate::metainfo::Metainfo;
use crate::swarm::picker::Priorities;

/// The priorities of the pieces; nothing where all have the usual one.
pub(super) fn of_pieces(metainfo: &Metainfo, config: &TorrentConfig) -> Option<Priorities> {
    if config.file_priorities.is_empty() {
        return None;
    }
    let (pieces, files) = (metainfo.pieces(), metainfo.files());
    let nothing = || Bitfield::empty(pieces.count());
    let (mut high, mut normal, mut low) = (nothing(), nothing(), nothing());
    let mut levels = vec![Priority::Normal; files.len()];
    for &(file, priority) in &config.file_priorities {
        levels.get_mut(file as usize).into_iter().for_each(|level| *level = priority);
    }
    let selected = config.selected(files.len());
    for ((index, file), level) in (0..).zip(files.iter()).zip(levels) {
        let set = match level {
            _ if !selected.as_ref().is_none_or(|selected| selected.has(index)) => continue,
            Priority::High => &mut high,
            Priority::Normal => &mut normal,
            Priority::Low => &mut low,
        };
        pieces.covering(file.offset..file.offset + file.length).for_each(|piece| _ = set.insert(piece));
    }
    for piece in high.iter().chain(normal.iter()) {
        low.remove(piece);
    }
    Some(Priorities { high, low })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metainfo::build::{Content, Entry, Torrent};

    #[test]
    fn a_shared_piece_has_the_highest_priority_of_its_wanted_files() {
        // 16 KiB a piece: a has 0 and half of 1, b the rest of 1 and 2, c has 3.
        let entries = [("a", 24 << 10), ("b", 24 << 10), ("c", 16 << 10)];
        let entries = entries.into_iter().map(|(name, length)| Entry::new([name], length)).collect();
        let build = Torrent::new("t", Content::Directory(entries), 16 << 10, vec![0; 4 * 20]);
        let metainfo = Metainfo::from_bytes(&build.encode().unwrap()).unwrap();
        let of = |config: TorrentConfig| {
            let Priorities { high, low } = of_pieces(&metainfo, &config)?;
            Some((high.iter().collect::<Vec<_>>(), low.iter().collect::<Vec<_>>()))
        };
        let config = TorrentConfig::default;
        assert_eq!(of(config()), None);
        let levels = [(0, Priority::High), (1, Priority::Low), (7, Priority::High)];
        assert_eq!(of(config().file_priorities(levels)), Some((vec![0, 1], vec![2])));
        assert_eq!(of(config().file_priorities(levels).select(vec![1, 2])), Some((vec![], vec![1, 2])));
    }
}
