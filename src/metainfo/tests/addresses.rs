//! Trackers, web seeds and nodes.

use super::*;

/// A torrent of one file whose outer dictionary has what `outer` writes.
fn single(outer: impl FnOnce(&mut Dict<'_>)) -> Metainfo {
    let bytes = torrent(outer, |info| {
        info.bytes("name", "n");
        info.int("length", 5);
        info.int("piece length", 4);
        info.bytes("pieces", [0; 40]);
    });
    let metainfo = Metainfo::from_bytes(&bytes).unwrap();
    check(&metainfo);
    metainfo
}

/// Two web seeds became one when they got the slash they lacked, and were kept twice.
#[test]
fn a_web_seed_with_and_without_its_slash_is_one() {
    let long = format!("http://s/{}", "x".repeat(4096 - 9));
    let bytes = torrent(
        |outer| {
            outer.list("url-list", |list| {
                ["http://s/f", "http://s/f/", &long].iter().for_each(|url| list.bytes(url))
            });
        },
        |info| {
            info.list("files", |list| {
                for name in ["a", "b"] {
                    list.dict(|file| {
                        file.int("length", 5);
                        file.list("path", |path| path.bytes(name));
                    });
                }
            });
            info.bytes("name", "n");
            info.int("piece length", 16_384);
            info.bytes("pieces", [1; 20]);
        },
    );
    let metainfo = Metainfo::from_bytes(&bytes).unwrap();
    assert_eq!(metainfo.web_seeds(), ["http://s/f/"]);
    assert_eq!(Metainfo::from_bytes(&metainfo.to_bytes()).unwrap().web_seeds(), metainfo.web_seeds());
}

#[test]
fn junk_among_addresses_is_dropped_with_a_warning() {
    let tiers = |announce_list: &dyn Fn(&mut Encoder)| {
        let metainfo = single(|outer| {
            outer.list("announce-list", announce_list);
            outer.bytes("announce", "http://fallback/");
        });
        (metainfo.tiers().to_vec(), metainfo.warnings().len())
    };
    let urls = |tiers: &[&[&str]]| -> Vec<Vec<String>> {
        tiers.iter().map(|tier| tier.iter().map(|&url| url.to_owned()).collect()).collect()
    };
    let fallback = urls(&[&["http://fallback/"]]);
    assert_eq!(tiers(&|_| {}), (fallback.clone(), 0));
    assert_eq!(tiers(&|list| list.list(|tier| tier.bytes(""))), (fallback.clone(), 0));
    assert_eq!(tiers(&|list| list.list(|tier| tier.int(5))), (fallback, 1));
    let mixed = |list: &mut Encoder| {
        list.list(|tier| {
            for url in ["udp://a:1", "no url", "http:///x", "://x", "http://b b/", " wss://c ", "udp://a:1"] {
                tier.bytes(url);
            }
            tier.bytes(b"http://\xff/");
        });
        list.list(|tier| tier.bytes("udp://a:1"));
        list.bytes("http://alone/");
    };
    assert_eq!(tiers(&mixed), (urls(&[&["udp://a:1", "wss://c"], &["http://alone/"]]), 6));

    let metainfo = single(|outer| {
        outer.bytes("announce-list", "http://not-a-list/");
        outer.int("announce", 1);
        outer.list("url-list", |list| {
            let urls = ["http://s/f", "/8/items/", "HTTPS://t/", "file:///etc/passwd", ""];
            urls.iter().for_each(|url| list.bytes(url));
        });
        outer.list("nodes", |nodes| {
            for (host, port) in [("h", 1), ("::1", 65535), ("h", 1), ("h", 0), ("", 5), ("h h", 5), ("h", -1)]
            {
                nodes.list(|node| {
                    node.bytes(host);
                    node.int(port);
                });
            }
            nodes.int(3);
        });
    });
    assert!(metainfo.tiers().is_empty());
    assert_eq!(metainfo.web_seeds(), ["http://s/f", "HTTPS://t/"]);
    assert_eq!(metainfo.nodes(), [("h".to_owned(), 1), ("::1".to_owned(), 65535)]);
    assert_eq!(metainfo.warnings().len(), 5, "{:?}", metainfo.warnings());
}

/// With a slash it would be a directory, and there is none of that name.
#[test]
fn a_web_seed_of_one_file_is_that_file_however_the_file_is_listed() {
    let bytes = torrent(
        |outer| outer.bytes("url-list", "http://s/one.iso"),
        |info| {
            info.list("files", |list| {
                list.dict(|file| {
                    file.int("length", 5);
                    file.list("path", |path| path.bytes("one.iso"));
                });
            });
            info.bytes("name", "n");
            info.int("piece length", 16_384);
            info.bytes("pieces", [1; 20]);
        },
    );
    assert_eq!(Metainfo::from_bytes(&bytes).unwrap().web_seeds(), ["http://s/one.iso"]);
}

#[test]
fn spaces_in_urls_are_escaped_and_not_a_reason_to_leave_them_out() {
    let metainfo = single(|outer| {
        outer.bytes("announce", " http://t/an nounce?a b ");
        outer.list("url-list", |list| {
            let urls = ["http://s/my file.iso", "http://s/my%20file.iso", "http://ho st/f", "http://s/a\tb"];
            urls.iter().for_each(|url| list.bytes(url));
        });
    });
    assert_eq!(metainfo.tiers(), [["http://t/an%20nounce?a%20b"]]);
    assert_eq!(metainfo.web_seeds(), ["http://s/my%20file.iso"]);
    assert_eq!(Metainfo::from_bytes(&metainfo.to_bytes()).unwrap().web_seeds(), metainfo.web_seeds());
    let hash = "ab".repeat(20);
    let link = format!("magnet:?xt=urn:btih:{hash}&tr=http%3A%2F%2Ft%2Fa%20b&ws=http%3A%2F%2Fs%2Fc%20d");
    let magnet = Magnet::parse(&link).unwrap();
    assert_eq!(magnet.trackers, ["http://t/a%20b"]);
    assert_eq!(magnet.web_seeds, ["http://s/c%20d"]);
}

#[test]
fn addresses_and_warnings_are_bounded() {
    let metainfo = single(|outer| {
        outer.list("announce-list", |list| {
            (0..MAX_ADDRESSES + 10).for_each(|n| list.list(|tier| tier.bytes(format!("udp://h:{n}"))));
            (0..MAX_WARNINGS * 3).for_each(|_| list.list(|tier| tier.bytes("junk")));
        });
    });
    assert_eq!(metainfo.tiers().len(), MAX_ADDRESSES);
    assert_eq!(metainfo.warnings().len(), MAX_WARNINGS + 1);
    assert_eq!(metainfo.warnings()[MAX_WARNINGS], "and 101 more things like these");
}
