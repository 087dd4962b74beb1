//! Torrents, magnet links, and the one promise about paths: whatever a torrent says, its files lie below the
//! directory, under plain names, and none on top of another.

use std::collections::HashSet;
use std::path::Component;
use std::sync::Arc;

use bitwren::internals::bencode::Encoder;
use bitwren::internals::storage::layout::Layout;
use bitwren::metainfo::edit::Edit;
use bitwren::metainfo::{FileList, MAX_ADDRESSES, MAX_MAGNET, MAX_PATH_BYTES, MAX_PATH_DEPTH, MAX_WARNINGS};
use bitwren::{Magnet, Metainfo};

use super::is_one_line;

pub fn metainfo(data: &[u8]) {
    let Ok(metainfo) = Metainfo::from_bytes(data) else {
        assert!(Metainfo::from_vec(data.to_vec()).is_err());
        return;
    };
    assert_bounded(&metainfo);
    assert_files(metainfo.files());
    let moved = Metainfo::from_vec(data.to_vec()).expect("either way it is the same");
    assert_same(&metainfo, &moved);
    let again = Metainfo::from_bytes(&metainfo.to_bytes()).expect("what was written is read");
    assert_same(&metainfo, &again);
    assert_linked(&metainfo);
    assert_edited(&metainfo, data);
    assert_added(&metainfo, data);
    assert_laid_out(metainfo);
}

fn assert_bounded(metainfo: &Metainfo) {
    let addresses = metainfo.tiers().iter().flatten().count();
    assert!(addresses.max(metainfo.web_seeds().len()).max(metainfo.nodes().len()) <= MAX_ADDRESSES);
    assert!(metainfo.warnings().len() <= MAX_WARNINGS + 1);
    assert!(metainfo.warnings().iter().all(|line| is_one_line(line)));
    assert!(metainfo.tiers().iter().all(|tier| !tier.is_empty()));
    assert_eq!(metainfo.files().iter().map(|file| file.length).sum::<u64>(), metainfo.pieces().total());
    let mut offset = 0;
    for file in metainfo.files() {
        assert_eq!(file.offset, offset);
        offset += file.length;
    }
    assert!(metainfo.pieces().count() > 0);
}

fn assert_same(one: &Metainfo, other: &Metainfo) {
    assert_eq!(one.info_hash(), other.info_hash());
    assert_eq!(one.info_bytes(), other.info_bytes());
    assert_eq!((one.name(), one.files(), one.pieces()), (other.name(), other.files(), other.pieces()));
    assert_eq!(
        (one.tiers(), one.web_seeds(), one.nodes()),
        (other.tiers(), other.web_seeds(), other.nodes())
    );
    assert_eq!((one.is_private(), one.source()), (other.is_private(), other.source()));
}

/// Its link names it, and makes the same torrent of its info dictionary.
fn assert_linked(metainfo: &Metainfo) {
    let link = metainfo.magnet_link();
    if link.len() <= MAX_MAGNET {
        let magnet = Magnet::parse(&link).expect("what was written is read");
        assert_eq!(magnet, metainfo.magnet());
        let whole = magnet.with_info(metainfo.info_bytes()).expect("it is the one that is named");
        assert_eq!((whole.info_hash(), whole.files()), (metainfo.info_hash(), metainfo.files()));
        assert_eq!(whole.web_seeds(), metainfo.web_seeds());
    }
}

/// A tracker that is added comes after those that were there.
fn assert_added(metainfo: &Metainfo, data: &[u8]) {
    let mut wanted = metainfo.tiers().to_vec();
    wanted.push(vec!["http://added.example/".to_owned()]);
    let known = metainfo.tiers().concat();
    if known.len() < MAX_ADDRESSES && !known.iter().any(|url| url.contains("added.example")) {
        let edit = Edit::default().add_tiers(wanted[wanted.len() - 1..].to_vec());
        let edited = edit.apply(data).expect("a torrent can be edited");
        assert_eq!(Metainfo::from_bytes(&edited.bytes).expect("an edited torrent is one").tiers(), wanted);
    }
}

/// An edit changes what it is told to and nothing else.
fn assert_edited(metainfo: &Metainfo, data: &[u8]) {
    let none = Edit::default().apply(data).expect("a torrent can be edited");
    assert_eq!((none.bytes.as_slice(), none.before), (data, none.after));
    let tiers = vec![vec!["http://a/".to_owned()], vec!["udp://b:1".to_owned()]];
    for private in [true, false] {
        let edit = Edit::default()
            .no_trackers(true)
            .add_tiers(tiers.clone())
            .no_web_seeds(true)
            .comment("c".to_owned())
            .private(private)
            .source("s".to_owned())
            .allow_new_hash(true);
        let Ok(edited) = edit.apply(data) else { panic!("it cannot be edited") };
        let after = Metainfo::from_bytes(&edited.bytes).expect("an edited torrent is one");
        assert_eq!((after.tiers(), after.comment()), (tiers.as_slice(), Some("c")));
        assert_eq!((after.is_private(), after.source()), (private, Some("s")));
        assert!(after.web_seeds().is_empty());
        assert_eq!((after.files(), after.pieces()), (metainfo.files(), metainfo.pieces()));
        assert_eq!((edited.before, edited.after), (metainfo.info_hash(), after.info_hash()));
        assert_eq!(edit.apply(&edited.bytes).expect("again").bytes, edited.bytes);
    }
}

/// Every byte of a piece has one place.
fn assert_laid_out(metainfo: Metainfo) {
    let pieces = metainfo.pieces();
    let Ok(layout) = Layout::new(Arc::new(metainfo), None) else { return };
    for piece in (0..pieces.count()).take(4).chain([pieces.count() - 1]) {
        let mut at = pieces.offset(piece);
        for segment in layout.piece(piece) {
            let file = layout.files().get(segment.file as usize).expect("a file of the torrent");
            assert_eq!(file.offset + segment.at, at);
            assert!(segment.length > 0 && segment.at + segment.length <= file.length);
            at += segment.length;
        }
        assert_eq!(at, pieces.offset(piece) + u64::from(pieces.length(piece)));
    }
}

/// Files as a torrent names them: its name up to the first 0xFF, then a file up to each next; components end
/// with 0xFE.
pub fn paths(data: &[u8]) {
    let mut parts = data.split(|&byte| byte == 0xFF);
    let name = parts.next().unwrap_or_default();
    let files: Vec<Vec<&[u8]>> = parts.map(|file| file.split(|&byte| byte == 0xFE).collect()).collect();
    let Ok(metainfo) = Metainfo::from_bytes(&torrent(name, &files)) else { return };
    assert_files(metainfo.files());
    assert!(metainfo.warnings().iter().all(|line| is_one_line(line)));
    // What is safe stays as it is, so that every run finds the data of the run before.
    let safe: Vec<Vec<Vec<u8>>> = metainfo
        .files()
        .iter()
        .map(|file| file.path().iter().skip(1).map(|part| part.as_encoded_bytes().to_vec()).collect())
        .collect();
    if metainfo.is_multi_file() && metainfo.files().iter().all(|file| file.is_stored()) {
        let again = Metainfo::from_bytes(&torrent(metainfo.name().as_bytes(), &safe));
        match again {
            Ok(again) => {
                let laid = |metainfo: &Metainfo| -> Vec<_> {
                    metainfo.files().iter().map(|file| (file.path(), file.offset, file.length)).collect()
                };
                assert_eq!(laid(&again), laid(&metainfo));
                assert!(again.files().iter().all(|file| file.own().is_none()), "a safe name is its own");
            }
            // A number may have made a path longer than may be.
            Err(_) => {
                assert!(metainfo.files().iter().any(|file| file.path().as_os_str().len() > MAX_PATH_BYTES))
            }
        }
    }
}

fn torrent(name: &[u8], files: &[Vec<impl AsRef<[u8]>>]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.dict(|outer| {
        outer.dict("info", |info| {
            match files {
                [] => info.int("length", 1),
                files => info.list("files", |list| {
                    for file in files {
                        list.dict(|entry| {
                            entry.int("length", 1);
                            entry.list("path", |path| file.iter().for_each(|part| path.bytes(part)));
                        });
                    }
                }),
            }
            info.bytes("name", name);
            info.int("piece length", 1 << 20);
            info.bytes("pieces", [1; 20]);
        });
    });
    encoder.finish()
}

/// The promise about paths.
fn assert_files(files: FileList<'_>) {
    let (mut taken, mut directories) = (HashSet::new(), HashSet::new());
    for file in files {
        let on_disk = file.path();
        let path = on_disk.to_str().expect("a path is text");
        let stored = if file.is_stored() { "" } else { "not stored: " };
        let longest = MAX_PATH_BYTES + if file.is_stored() { 11 } else { 0 };
        assert!(path.len() <= longest, "{stored}{} bytes", path.len());
        assert!(on_disk.is_relative() && on_disk.components().count() <= MAX_PATH_DEPTH, "{path:?}");
        // Names that differ in case only are two: a file system that folds them is found out by looking.
        let mut whole = String::new();
        let depth = path.split('/').count();
        for (at, (component, name)) in on_disk.components().zip(path.split('/')).enumerate() {
            assert!(matches!(component, Component::Normal(plain) if plain == name), "{path:?}");
            assert!(!name.is_empty() && name.len() <= 255, "{path:?}");
            assert!(is_one_line(name) && !name.contains(['\u{202E}', '\u{2028}']), "{path:?}");
            if at > 0 {
                whole.push('/');
            }
            whole.push_str(name);
            if at + 1 < depth && file.is_stored() {
                directories.insert(whole.clone());
            }
        }
        assert_eq!(on_disk.components().count(), depth, "{path:?}");
        if file.is_stored() {
            assert!(taken.insert(whole), "{path:?} is taken");
        }
    }
    assert!(taken.is_disjoint(&directories), "a file stands where a directory must be");
}

pub fn magnet(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(magnet) = Magnet::parse(&text) else { return };
    assert!(Magnet::is_meant(&text));
    let Magnet { trackers, web_seeds, peers, nodes, select, name, .. } = &magnet;
    assert!(trackers.len().max(web_seeds.len()).max(peers.len()).max(nodes.len()) <= MAX_ADDRESSES);
    assert!(select.windows(2).all(|pair| pair[0].end() + 1 < *pair[1].start()));
    if let Some(name) = name {
        assert!(!name.is_empty() && name.len() <= 255 && is_one_line(name) && !name.contains('/'));
        assert!(name != "." && name != "..");
    }
    let few = magnet.selected(100);
    assert!(few.is_none_or(|few| few.is_sorted_by(|a, b| a < b) && few.iter().all(|&index| index < 100)));
    let link = magnet.to_string();
    assert!(link.bytes().all(|byte| byte.is_ascii_graphic()), "{link}");
    // Percent-encoding may have made it longer than what is read.
    if link.len() <= MAX_MAGNET {
        let again = Magnet::parse(&link).expect("what was written is read");
        assert_eq!(again, magnet);
        assert_eq!(again.to_string(), link);
    }
}
