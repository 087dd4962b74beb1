use super::*;
use crate::storage::sample::Dir;

fn owner(byte: u8) -> Owner {
    Owner { info_hash: InfoHash::from_bytes([byte; 20]), name: format!("torrent {byte}") }
}

/// Claims of torrents 1, 2 and 3, and two files.
fn claims(dir: &Dir) -> (Claims, Metadata, Metadata) {
    let claims = Claims::default();
    (1..=3).for_each(|n| claims.register(n, owner(n as u8)));
    let [a, b] = ["a", "b"].map(|name| {
        std::fs::write(dir.join(name), name).unwrap();
        std::fs::metadata(dir.join(name)).unwrap()
    });
    (claims, a, b)
}

#[test]
fn a_file_belongs_to_the_torrent_that_took_it_first() {
    let dir = Dir::new();
    let (claims, a, b) = claims(&dir);
    claims.take(1, 0, &a, false).unwrap();
    claims.take(1, 0, &a, false).unwrap();
    assert_eq!(claims.take(2, 0, &a, false), Err(Taken::By(owner(1))));
    claims.take(2, 0, &b, false).unwrap();
    assert_eq!((claims.writer(1, &a), claims.writer(3, &a)), (None, Some(owner(1))));
    claims.end(1);
    assert_eq!(claims.writer(3, &a), None);
    claims.take(3, 9, &a, false).unwrap();
}

#[test]
fn two_files_of_a_torrent_are_never_one() {
    let dir = Dir::new();
    let (claims, a, _) = claims(&dir);
    std::fs::hard_link(dir.join("a"), dir.join("A")).unwrap();
    claims.take(1, 4, &a, false).unwrap();
    let again = std::fs::metadata(dir.join("A")).unwrap();
    assert_eq!(claims.take(1, 5, &again, false), Err(Taken::Twice(4)));
}

/// Reading what another torrent completed does no harm; writing to it does, also when it has ended.
#[test]
fn what_is_complete_may_be_read_by_others_and_not_written() {
    let dir = Dir::new();
    let (claims, a, _) = claims(&dir);
    claims.take(1, 0, &a, false).unwrap();
    claims.complete(1);
    for _ in 0..2 {
        assert_eq!(claims.writer(2, &a), None);
        assert_eq!(claims.take(2, 0, &a, false), Err(Taken::By(owner(1))));
        claims.end(1);
    }
    // The same torrent, started again, may.
    claims.register(7, owner(1));
    claims.take(7, 0, &a, false).unwrap();
}

/// The system gives the number of a removed file to a new one.
#[test]
fn a_file_made_just_now_is_of_no_one_else() {
    let dir = Dir::new();
    let (claims, a, _) = claims(&dir);
    claims.take(1, 0, &a, false).unwrap();
    claims.take(2, 3, &a, true).unwrap();
    assert_eq!(claims.take(1, 0, &a, false), Err(Taken::By(owner(2))));
    claims.end(1);
    assert_eq!(claims.writer(1, &a), Some(owner(2)));
}

#[test]
fn torrents_that_ended_are_forgotten_in_the_end() {
    let dir = Dir::new();
    let (claims, a, b) = claims(&dir);
    claims.take(1, 0, &a, false).unwrap();
    claims.take(2, 0, &b, false).unwrap();
    for torrent in [1, 2] {
        claims.complete(torrent);
        claims.end(torrent);
    }
    claims.lock().torrents.get_mut(&2).unwrap().files = MAX_ENDED;
    claims.end(2);
    assert!(claims.take(3, 0, &a, false).is_ok(), "the oldest is forgotten");
    assert!(claims.take(3, 0, &b, false).is_err());
}
