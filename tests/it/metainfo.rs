//! Torrents made by other programs: each read, or refused, as recorded.

use std::collections::HashMap;

use bitwren::internals::digest::sha1;
use bitwren::metainfo::File;
use bitwren::metainfo::build::{Content, Entry, Torrent, piece_length_for};
use bitwren::{ErrorKind, Metainfo};

const VECTORS: &str = include_str!("../../testdata/vectors/torrents.tsv");

/// What is recorded about one torrent: its lines, by their first field.
#[derive(Default)]
struct Record {
    file: &'static str,
    lines: HashMap<&'static str, Vec<Vec<&'static str>>>,
}

impl Record {
    fn all() -> Vec<Record> {
        let mut records = Vec::new();
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let key = fields.next().unwrap();
            let fields: Vec<_> = fields.collect();
            if key == "torrent" {
                records.push(Record { file: fields[0], ..Record::default() });
            } else {
                let record: &mut Record = records.last_mut().unwrap();
                record.lines.entry(key).or_default().push(fields);
            }
        }
        assert_eq!(records.len(), 53);
        records
    }

    fn several(&self, key: &str) -> &[Vec<&'static str>] {
        self.lines.get(key).map_or(&[], Vec::as_slice)
    }

    fn one(&self, key: &str) -> Option<&'static str> {
        self.several(key).first().map(|fields| fields[0])
    }

    fn bytes(&self) -> Vec<u8> {
        fixture(self.file)
    }
}

fn fixture(file: &str) -> Vec<u8> {
    let path = format!("{}/testdata/torrents/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where bitwren is deliberately not what is recorded, and why.
enum Exception {
    Refused(ErrorKind),
    Accepted,
    Trackers(&'static [&'static str]),
    WebSeeds(&'static [&'static str]),
}

fn exception(file: &str) -> Option<Exception> {
    Some(match file {
        // v2 is not supported; the file has no v1 part.
        "anacrolix/bittorrent-v2-test.torrent" => Exception::Refused(ErrorKind::V2Only),
        // Not a torrent but what Transmission saves of a magnet link before it has the metadata.
        "transmission/gimp-2.10.32-1-arm64.dmg.torrent" => Exception::Refused(ErrorKind::Torrent),
        // Two files of one name: one is renamed, as libtorrent does, rather than the torrent refused,
        // as Transmission does.
        "transmission/dup-files.torrent" => Exception::Accepted,
        // White space around a tracker is dropped, as in aria2, whose test files these are; libtorrent
        // drops the tracker.
        "aria2/single.torrent" => Exception::Trackers(&["http://aria.rednoah.com/announce.php"]),
        "aria2/test.torrent" | "aria2/utf8.torrent" => {
            Exception::Trackers(&["http://tracker1", "http://tracker2", "http://tracker3"])
        }
        // The third in the file is "/8/items/", which names no host.
        "transmission/alice_in_wonderland_librivox_archive.torrent" => {
            Exception::WebSeeds(&["https://archive.org/download/", "http://ia600707.us.archive.org/8/items/"])
        }
        _ => return None,
    })
}

#[test]
fn every_recorded_torrent_is_read_or_refused_as_recorded() {
    for record in Record::all() {
        let file = record.file;
        let result = Metainfo::from_bytes(&record.bytes());
        let exception = exception(file);
        match (&exception, record.one("valid").unwrap()) {
            (Some(Exception::Refused(kind)), "true") => {
                assert_eq!(result.unwrap_err().kind(), *kind, "{file}");
                continue;
            }
            (Some(Exception::Accepted), "false") => {}
            (_, "false") => {
                let kind = result.map(|_| ()).unwrap_err().kind();
                assert!(matches!(kind, ErrorKind::Bencode | ErrorKind::Torrent), "{file}: {kind:?}");
                continue;
            }
            (_, valid) => assert_eq!(valid, "true"),
        }
        let metainfo = result.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(metainfo.info_hash().to_string(), record.one("hash").unwrap(), "{file}");
        assert_eq!(metainfo.name(), record.one("name").unwrap(), "{file}");
        let pieces = metainfo.pieces();
        assert_eq!(pieces.total().to_string(), record.one("total").unwrap(), "{file}");
        assert_eq!(pieces.piece_length().to_string(), record.one("piece length").unwrap(), "{file}");
        assert_eq!(pieces.count().to_string(), record.one("pieces").unwrap(), "{file}");
        assert_eq!(metainfo.is_private(), record.one("private").is_some(), "{file}");
        assert_eq!(metainfo.created_by(), record.one("creator"), "{file}");
        let date = metainfo.creation_date().map(|date| date.to_string());
        assert_eq!(date.as_deref(), record.one("date"), "{file}");
        let comment = record.one("comment").map(|text| text.replace("\\n", "\n").replace("\\\"", "\""));
        assert_eq!(metainfo.comment(), comment.as_deref(), "{file}");

        let found: Vec<_> = metainfo
            .files()
            .iter()
            .map(|file| {
                let letters =
                    [(file.pad, "p"), (file.executable, "x"), (file.hidden, "h"), (file.symlink, "l")];
                let attr: String =
                    letters.iter().filter(|(has, _)| *has).map(|(_, letter)| *letter).collect();
                let attr = if attr.is_empty() { "-".to_owned() } else { attr };
                vec![file.length.to_string(), attr, file.path().to_str().unwrap().to_owned()]
            })
            .collect();
        assert_eq!(found, record.several("file"), "{file}");

        let found: Vec<_> = metainfo.tiers().iter().flatten().collect();
        match &exception {
            Some(Exception::Trackers(trackers)) => assert_eq!(found, *trackers, "{file}"),
            _ => {
                assert_eq!(
                    found,
                    record.several("tracker").iter().map(|f| f[1]).collect::<Vec<_>>(),
                    "{file}"
                );
                let tiers: Vec<_> =
                    (0..).zip(metainfo.tiers()).flat_map(|(n, tier)| vec![n; tier.len()]).collect();
                let recorded: Vec<i32> =
                    record.several("tracker").iter().map(|f| f[0].parse().unwrap()).collect();
                assert_eq!(tiers, recorded, "{file}");
            }
        }
        match &exception {
            Some(Exception::WebSeeds(seeds)) => assert_eq!(metainfo.web_seeds(), *seeds, "{file}"),
            _ => assert_eq!(metainfo.web_seeds(), record.several("webseed").concat(), "{file}"),
        }
        let nodes: Vec<_> =
            metainfo.nodes().iter().map(|(host, port)| vec![host.clone(), port.to_string()]).collect();
        assert_eq!(nodes, record.several("node"), "{file}");
    }
}

#[test]
fn a_buffer_given_away_reads_the_same() {
    for file in ["made/lt-hybrid.torrent", "transmission/Android-x86 8.1 r6 iso.torrent"] {
        let bytes = fixture(file);
        let (copied, kept) = (Metainfo::from_bytes(&bytes).unwrap(), Metainfo::from_vec(bytes).unwrap());
        assert_eq!(copied.info_bytes(), kept.info_bytes());
        assert_eq!(sha1(kept.info_bytes()), *kept.info_hash().as_bytes());
        let count = kept.pieces().count();
        assert!((0..count).all(|piece| copied.piece_hash(piece) == kept.piece_hash(piece)));
        assert_ne!(kept.piece_hash(count - 1), &[0; 20]);
    }
}

/// What a made torrent says, as what the builder is told.
fn rebuilt(metainfo: &Metainfo) -> Torrent {
    let content = if metainfo.is_multi_file() {
        let entry = |file: File<'_>| {
            let path = file.path();
            let names = path.iter().skip(1).map(|part| part.to_str().unwrap());
            Entry::new(names, file.length).pad(file.pad).executable(file.executable)
        };
        Content::Directory(metainfo.files().iter().map(entry).collect())
    } else {
        Content::File { length: metainfo.pieces().total() }
    };
    let hashes = (0..metainfo.pieces().count()).flat_map(|piece| *metainfo.piece_hash(piece)).collect();
    Torrent::new(metainfo.name(), content, metainfo.pieces().piece_length(), hashes)
        .tiers(metainfo.tiers().to_vec())
        .web_seeds(metainfo.web_seeds())
        .private(metainfo.is_private())
        .source(metainfo.source().map(str::to_owned))
        .comment(metainfo.comment().map(str::to_owned))
        .created_by(metainfo.created_by().map(str::to_owned))
        .creation_date(metainfo.creation_date())
}

/// The fixtures `made/` were made from the same files by libtorrent 2.1 (`lt-`) and
/// transmission-create 3.00 (`tr-`, which adds an `encoding` of its own).
#[test]
fn the_builder_writes_what_other_programs_write() {
    for (file, hash, whole) in [
        ("made/lt-single.torrent", "7bab283441a74ef4170b4455fcc53001b99932e7", true),
        ("made/lt-multi.torrent", "8b0e77d77b2b4bc842b8df2cf34b8077b4aef221", true),
        ("made/tr-single.torrent", "581212dcfe20d681e8ade09d5243a3714e8b9d71", false),
        ("made/tr-multi.torrent", "6678ac578fba3666c5bd74efad2b27fa184e2843", false),
    ] {
        let theirs = fixture(file);
        let metainfo = Metainfo::from_bytes(&theirs).unwrap();
        let ours = rebuilt(&metainfo).encode().unwrap();
        let again = Metainfo::from_bytes(&ours).unwrap();
        assert_eq!(again.info_bytes(), metainfo.info_bytes(), "{file}");
        assert_eq!(again.info_hash().to_string(), hash, "{file}");
        assert!(!whole || ours == theirs, "{file}: {}", ours.escape_ascii());
        assert_eq!((again.tiers(), again.comment()), (metainfo.tiers(), metainfo.comment()), "{file}");
    }
}

#[test]
fn the_builder_refuses_what_is_no_torrent() {
    let good = || Torrent::new("name", Content::File { length: 20 }, 16384, vec![1; 20]);
    assert!(good().encode().is_ok());
    let entry = |path: &[&'static str], length| Entry::new(path.iter().copied(), length);
    let files = |files: Vec<Entry>| good().content(Content::Directory(files));
    for (bad, why) in [
        (good().name(""), "\"\" cannot be the name"),
        (good().name("a/b"), "\"a/b\" cannot be the name"),
        (good().hashes(vec![1; 40]), "1 pieces have 40 bytes"),
        (good().piece_length(0), "the piece length is 0"),
        (files(vec![]), "no data"),
        (files(vec![entry(&["a"], 0)]), "no data"),
        (files(vec![entry(&[], 20)]), "a file has no name"),
        (files(vec![entry(&["a", ".."], 20)]), "\"..\" cannot be the name"),
        (files(vec![entry(&["a"], u64::MAX), entry(&["b"], 2)]), "longer than 2^63"),
        (files(vec![entry(&["a"], 1 << 63)]), "longer than 2^63"),
    ] {
        let error = bad.encode().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn the_builder_keeps_everything_it_is_told() {
    let entry =
        |name: &'static str, pad, executable| Entry::new(["dir", name], 10).pad(pad).executable(executable);
    let files = vec![entry("ü", false, true), entry("fill", true, false)];
    let web_seeds = ["http://one/", "https://two/"];
    let tiers = [vec!["http://a/".to_owned(), "udp://b:1".to_owned()], vec!["http://c/".to_owned()]];
    let torrent = Torrent::new("n", Content::Directory(files), 16384, vec![7; 20])
        .source("tracker".to_owned())
        .web_seeds(web_seeds)
        .tiers(tiers.clone());
    let metainfo = Metainfo::from_bytes(&torrent.encode().unwrap()).unwrap();
    assert_eq!(metainfo.source(), Some("tracker"));
    assert_eq!(metainfo.web_seeds(), web_seeds);
    assert_eq!(metainfo.tiers(), tiers);
    let [first, second] = metainfo.files().iter().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(first.path().to_str(), Some("n/dir/ü"));
    assert!(first.executable && first.is_stored() && second.pad && !second.is_stored());
    assert!(metainfo.warnings().is_empty(), "{:?}", metainfo.warnings());
}

#[test]
fn piece_lengths_make_one_to_two_thousand_pieces() {
    const MIB: u64 = 1 << 20;
    assert_eq!(piece_length_for(0), 16 << 10);
    assert_eq!(piece_length_for(u64::MAX), 16 << 20);
    for total in [40 * MIB, 100 * MIB, 700 * MIB, 4096 * MIB, 16_000 * MIB, 31 * MIB + 1, 2000 << 14] {
        let length = u64::from(piece_length_for(total));
        assert!(length.is_power_of_two());
        assert!((1000..=2000).contains(&total.div_ceil(length)), "{total} in pieces of {length}");
    }
}

#[test]
fn a_magnet_link_names_the_torrent_its_trackers_and_web_seeds() {
    let metainfo = Metainfo::from_bytes(&fixture("made/lt-single.torrent")).unwrap();
    assert_eq!(
        metainfo.magnet_link(),
        "magnet:?xt=urn:btih:7bab283441a74ef4170b4455fcc53001b99932e7&dn=single.bin\
         &tr=http%3A%2F%2Fa.example%2Fannounce&ws=http%3A%2F%2Fw.example%2Fsingle.bin"
    );
    let named = Torrent::new("a b&ü%.iso", Content::File { length: 1 }, 16384, vec![0; 20]);
    let link = Metainfo::from_bytes(&named.encode().unwrap()).unwrap().magnet_link();
    assert!(link.ends_with("&dn=a%20b%26%C3%BC%25.iso"), "{link}");
}
