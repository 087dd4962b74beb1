//! What a torrent may cost in memory, as the allocator counts it: the parsed metainfo at most three times
//! the bytes of the `.torrent` file, and parsing at most six times, whatever the file says.
//!
//! A program of its own, since the allocator of a program is one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bitwren::Metainfo;
use bitwren::internals::bencode::{Dict, Encoder};

/// What is allowed besides: warnings, cut comments, the short addresses of a thousand trackers, web seeds
/// and nodes.
const CONSTANT: usize = 1 << 20;

thread_local! {
    /// Bytes that live, of those that this thread allocated and freed, and the most there were.
    static LIVING: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(more: usize, less: usize) {
    // A thread that ends has no counters any more.
    let _ = LIVING.try_with(|living| {
        living.set(living.get().wrapping_add(more).wrapping_sub(less));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(living.get())));
    });
}

// Safety: all of it is the system's, and counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there for a while.
        count(size, 0);
        count(0, layout.size());
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Bytes that the torrent keeps, and that there are at most while it is parsed, both with its bytes.
fn cost(bytes: Vec<u8>) -> (usize, usize) {
    // What others allocated and this thread freed may have put it below.
    let before = LIVING.get().wrapping_sub(bytes.capacity());
    PEAK.set(LIVING.get());
    let metainfo = Metainfo::from_vec(bytes).unwrap();
    let (living, peak) = (LIVING.get().wrapping_sub(before), PEAK.get().wrapping_sub(before));
    drop(metainfo);
    (living, peak)
}

/// The bound, for the torrent that is moved in and for the one that is copied.
#[track_caller]
fn assert_cheap(what: &str, mut bytes: Vec<u8>) {
    bytes.shrink_to_fit();
    let size = bytes.len();
    let (living, peak) = cost(bytes);
    println!("{what}: {size} bytes, {:.2} kept, {:.2} at most", ratio(living, size), ratio(peak, size));
    assert!(living <= 3 * size + CONSTANT, "{what}: {living} bytes are kept of {size}");
    assert!(peak <= 6 * size + 3 * CONSTANT, "{what}: {peak} bytes at most for {size}");
}

fn ratio(bytes: usize, size: usize) -> f64 {
    bytes as f64 / size as f64
}

/// A torrent of these entries.
fn torrent(name: &[u8], count: usize, mut entry: impl FnMut(usize, &mut Dict<'_>)) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.dict(|outer| {
        outer.dict("info", |info| {
            info.list("files", |list| (0..count).for_each(|n| list.dict(|dict| entry(n, dict))));
            info.bytes("name", name);
            info.int("piece length", 1 << 30);
            info.bytes("pieces", [1; 20]);
        });
    });
    encoder.finish()
}

/// The same where each has a path alone, and a byte.
fn with_paths(name: &[u8], count: usize, path: impl Fn(usize) -> Vec<Vec<u8>>) -> Vec<u8> {
    torrent(name, count, |n, entry| {
        entry.int("length", 1);
        entry.list("path", |list| path(n).iter().for_each(|part| list.bytes(part)));
    })
}

/// Of short names: enough for the tables to count for more than [`CONSTANT`].
const FILES: usize = 50_000;

#[test]
fn many_pieces() {
    let mut encoder = Encoder::new();
    encoder.dict(|outer| {
        outer.dict("info", |info| {
            info.int("length", 400_000 << 14);
            info.bytes("name", "one");
            info.int("piece length", 1 << 14);
            info.bytes("pieces", vec![7; 400_000 * 20]);
        });
    });
    assert_cheap("many pieces", encoder.finish());
}

#[test]
fn many_tiny_files() {
    assert_cheap("short names", with_paths(b"d", FILES, |n| vec![format!("{n:x}").into_bytes()]));
    assert_cheap("names of one letter", with_paths(b"d", FILES, |_| vec![b"a".to_vec()]));
    assert_cheap("empty names", with_paths(b"d", FILES, |_| vec![Vec::new()]));
    assert_cheap(
        "names as they are on disks",
        with_paths(b"A torrent", FILES, |n| {
            vec![format!("Directory {}", n / 100).into_bytes(), format!("File number {n}.flac").into_bytes()]
        }),
    );
}

#[test]
fn names_that_are_not_as_they_should_be() {
    assert_cheap("not safe", with_paths(b"d", FILES, |n| vec![format!("{n:x}\n").into_bytes()]));
    assert_cheap("not safe and equal", with_paths(b"d", FILES, |n| vec![vec![1 + (n % 9) as u8]]));
    assert_cheap("no text", with_paths(b"d", FILES, |_| vec![vec![0xFF]]));
    assert_cheap("equal and long", with_paths(b"d", 1000, |_| vec![vec![b'x'; 250]; 15]));
    assert_cheap(
        "not safe, equal and long",
        with_paths(b"d", 1000, |n| {
            let mut path = vec![vec![b'x'; 250]; 15];
            path.push(vec![b'y', 1 + (n % 9) as u8]);
            path
        }),
    );
}

#[test]
fn deep_directories() {
    let deep = |n: usize| {
        let mut path = vec![vec![b'a' + (n % 26) as u8]; 98];
        path[0] = format!("{n}").into_bytes();
        path
    };
    assert_cheap("deep", with_paths(b"d", 3000, deep));
    assert_cheap("deep and equal", with_paths(b"d", 3000, |_| vec![b"a".to_vec(); 98]));
}

/// A long name costs once, and where paths would be much longer than the torrent there is none.
#[test]
fn a_long_name() {
    assert_cheap("a long name", with_paths(&[b'n'; 250], FILES, |n| vec![format!("{n:x}").into_bytes()]));
    let name = [&[b'n'; 3900][..], b"\n"].concat();
    let bomb = with_paths(&name, FILES, |n| vec![format!("{n:x}").into_bytes()]);
    let before = LIVING.get();
    PEAK.set(before);
    let refused = Metainfo::from_bytes(&bomb).unwrap_err().to_string();
    assert!(refused.contains("each begins with the torrent's name"), "{refused}");
    assert!(PEAK.get() - before < 3 * bomb.len(), "{} bytes for {}", PEAK.get() - before, bomb.len());
}

#[test]
fn symbolic_links() {
    let links = |target: fn(usize) -> Vec<Vec<u8>>| {
        torrent(b"d", 30_000, |n, entry| {
            entry.bytes("attr", if n == 0 { "" } else { "l" });
            entry.int("length", 1);
            entry.list("path", |list| list.bytes(format!("{n:x}")));
            entry.list("symlink path", |list| target(n).iter().for_each(|part| list.bytes(part)));
        })
    };
    assert_cheap("links to one file", links(|_| vec![b"0".to_vec()]));
    assert_cheap("links to links", links(|n| vec![format!("{:x}", n - n.min(1)).into_bytes()]));
    assert_cheap("links to nothing", links(|_| vec![b"none".to_vec()]));
    // One link among deep directories.
    assert_cheap(
        "a link beside deep directories",
        torrent(b"d", 3000, |n, entry| {
            entry.bytes("attr", if n == 0 { "l" } else { "" });
            entry.int("length", 1);
            entry.list("path", |list| {
                list.bytes(format!("{n:x}"));
                (0..90).for_each(|_| list.bytes("a"));
            });
            entry.list("symlink path", |list| list.bytes("1"));
        }),
    );
}

/// What stands outside the info dictionary is not kept, or cut.
#[test]
fn everything_else() {
    let mut encoder = Encoder::new();
    let text = vec![0xFF; 8 << 20];
    let url = |n: usize| format!("http://tracker.example:{n}/announce");
    encoder.dict(|outer| {
        outer.bytes("announce", url(0));
        outer.list("announce-list", |list| {
            (0..5000).for_each(|n| list.list(|tier| tier.bytes(url(n))));
        });
        outer.bytes("comment", &text);
        outer.bytes("created by", &text);
        outer.bytes("encoding", &text);
        outer.dict("info", |info| {
            info.int("length", 1);
            info.bytes("name", &text);
            info.int("piece length", 1 << 14);
            info.bytes("pieces", [1; 20]);
            info.bytes("source", &text);
        });
        outer.list("url-list", |list| (0..5000).for_each(|n| list.bytes(url(n))));
    });
    assert_cheap("everything else", encoder.finish());
}
