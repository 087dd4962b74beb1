//! Attributes of files, and symbolic links.

use super::*;

#[test]
fn attributes_are_read_and_links_are_never_stored() {
    let files: &[(&str, &[&str], i64)] = &[
        ("xh?", &["run"], 3),
        ("p", &["fill"], 5),
        ("", &[".pad", "7"], 7),
        ("", &[".pad", "7"], 8),
        ("", &["a", "_____padding_file_0_of BitComet____"], 9),
        // A link has no length whatever it says, and its path is free for others.
        ("l", &["link"], 1000),
        ("", &["link", "below"], 1),
    ];
    let bytes = with_files(files.len(), |n, entry| {
        let (attr, path, length) = files[n];
        entry.bytes("attr", attr);
        entry.int("length", length);
        entry.list("path", |list| path.iter().for_each(|part| list.bytes(part)));
        entry.list("symlink path", |list| list.bytes("/etc/passwd"));
    });
    let metainfo = Metainfo::from_bytes(&bytes).unwrap();
    check(&metainfo);
    let files: Vec<File<'_>> = metainfo.files().iter().collect();
    assert!(files[0].executable && files[0].hidden && files[0].is_stored());
    let pads: Vec<bool> = files.iter().map(|file| file.pad).collect();
    assert_eq!(pads, [false, true, true, false, true, false, false]);
    assert!(files[5].symlink && !files[5].is_stored() && files[5].length == 0);
    assert_eq!(files[6].path(), Path::new("d/link/below"));
    assert_eq!(metainfo.pieces().total(), 33);
}

/// A link is made if it leads to something of the torrent, and if nothing else has its place.
#[test]
fn a_link_that_leads_anywhere_else_is_told_and_not_made() {
    let entries: &[(&str, &str, Option<&str>)] = &[
        ("", "a/file", None),
        ("l", "to-file", Some("a/file")),
        ("l", "b/to-dir", Some("a")),
        ("l", "to-link", Some("b/to-dir")),
        ("l", "up", Some("../x")),
        ("l", "dots", Some("a/../../x")),
        ("l", "absolute", Some("/etc/passwd")),
        ("l", "empty", Some("")),
        ("l", "nothing", Some("a/none")),
        ("l", "through", Some("b/to-dir/file")),
        ("l", "loop", Some("pool")),
        ("l", "pool", Some("loop")),
        ("l", "no-target", None),
        ("l", "a", Some("b/to-dir")),
        ("l", "a/file", Some("b/to-dir")),
        ("l", "to-file/below", Some("a/file")),
        ("l", "twice", Some("a/file")),
        ("l", "twice", Some("a")),
        ("l", "odd\n", Some("a/file")),
    ];
    let bytes = with_files(entries.len(), |n, entry| {
        let (attr, path, target) = entries[n];
        entry.bytes("attr", attr);
        entry.int("length", 5);
        entry.list("path", |list| path.split('/').for_each(|part| list.bytes(part)));
        if let Some(target) = target {
            entry.list("symlink path", |list| target.split('/').for_each(|part| list.bytes(part)));
        }
    });
    let metainfo = Metainfo::from_bytes(&bytes).unwrap();
    check(&metainfo);
    let files = metainfo.files().iter();
    let made: Vec<(PathBuf, PathBuf)> =
        files.filter_map(|file| Some((file.path(), file.target()?))).collect();
    let links = [("to-file", "a/file"), ("b/to-dir", "a"), ("to-link", "b/to-dir"), ("odd_", "a/file")];
    let links = links.map(|(path, target)| (Path::new("d").join(path), Path::new("d").join(target)));
    assert_eq!(made, links);
    let told = |what: &str| metainfo.warnings().iter().filter(|line| line.contains(what)).count();
    assert_eq!(told("is not made"), 14);
    assert_eq!(told("\"d/up\" is not made: it does not say where in the torrent it leads"), 1);
    assert_eq!(told("it leads to nothing in the torrent"), 4);
}
