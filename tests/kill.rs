//! SIGKILL at fifty random moments of one download, then completion: no byte wrong, and nothing that
//! was verified fetched again.
//!
//! The bound: a piece that the killed process had announced as verified (`--json`, read up to the last
//! byte it wrote, and `have` as the seeder heard it) is never requested again, except where it was
//! announced so shortly before the kill that neither its data nor the state that claims it need have
//! been on the disk: SIGKILL loses no page cache, so that exception is empty here and the count must be 0.
//! Pieces that were open are fetched again from their first block: at most as many as were open.

// Each target compiles this on its own and uses the part it needs.
#[allow(dead_code)]
mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use support::child::{Child, PATIENCE, bitwren};
use support::content::{BLOCK, Dice, Recipe};
use support::peer::Block;
use support::scratch::Scratch;
use support::seeder::{Manner, Seeder};

const KILLS: usize = 50;
/// 40 MiB in pieces of 128 KiB; at this rate about 8 s in all if nobody killed it.
const SIZE: usize = (40 << 20) + 777;
const RATE: u64 = 5 << 20;
const PIECE: u32 = 8 * BLOCK;
/// Pieces that one connection of that rate may reasonably hold open, each fetched again after a kill.
const OPEN: usize = 2;

#[test]
fn fifty_kills_lose_no_verified_piece() {
    let seed = std::env::var("KILL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("KILL_SEED={seed} repeats these moments");
    let mut dice = Dice::new(seed);
    let torrent = Arc::new(Recipe::single("killed.bin", SIZE).piece_length(PIECE).make());
    let scratch = Scratch::new("kill");
    let file = scratch.file("killed.torrent", &torrent.metainfo);
    let got = scratch.dir("got");
    let seeder = Seeder::start(&torrent, Manner { rate: Some(RATE), ..Manner::default() });
    let spawn = || {
        let options = [
            "get",
            "--json",
            "--verbose",
            "--no-dht",
            "--no-lsd",
            "--no-portmap",
            "--no-tracker",
            "--port",
            "0",
        ];
        let mut command = bitwren(scratch.path(), &options);
        command.args(["--peer", &seeder.address().to_string(), "-d"]).arg(&got).arg(&file);
        Child::spawn(&mut command)
    };

    let mut verified: HashMap<u32, usize> = HashMap::new();
    let mut again = Vec::new();
    let mut early = 0;
    for round in 0..KILLS {
        let from = seeder.books(|books| books.served.len());
        let child = spawn();
        // Most moments are in the middle of things: after a number of blocks have been served. Some are
        // at the very start, while existing data is checked.
        if dice.below(5) == 0 {
            std::thread::sleep(Duration::from_millis(dice.below(60)));
        } else {
            let blocks = 1 + dice.below(60) as usize;
            seeder.wait(PATIENCE, |books| books.served.len() >= from + blocks || child.has_ended());
        }
        // Some hit it while it saves its state.
        if dice.below(4) == 0 && !child.has_ended() {
            child.signal("INT");
            std::thread::sleep(Duration::from_millis(dice.below(15)));
        }
        if torrent.compare(&got).is_ok() {
            early = round;
            break;
        }
        let ended = child.finish_off();
        assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
        // What it had verified before this round and asked for in it all the same.
        seeder.books(|books| {
            again.extend(
                books.served[from..]
                    .iter()
                    .filter(|block| verified.contains_key(&block.piece))
                    .map(|block| (round, block.piece)),
            );
        });
        for piece in ended.stdout.lines().filter_map(verified_piece) {
            verified.entry(piece).or_insert(round);
        }
    }
    assert_eq!(early, 0, "complete before {KILLS} kills: too few to say anything");
    println!("{} of {} pieces verified after {KILLS} kills", verified.len(), torrent.pieces());
    assert!(!verified.is_empty() && verified.len() < torrent.pieces() as usize);

    let from = seeder.books(|books| books.served.len());
    spawn().wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&got);
    seeder.books(|books| {
        let last = books.served[from..].iter().filter(|block| verified.contains_key(&block.piece));
        again.extend(last.map(|block| (KILLS, block.piece)));
    });
    assert!(again.is_empty(), "verified, and fetched again (round, piece): {again:?}");

    let served = seeder.books(|books| books.served.clone());
    let twice = repeated(&served);
    let bound = KILLS * OPEN * PIECE as usize;
    println!("{} KiB of {} fetched, {} of them again", total(&served) / 1024, SIZE / 1024, twice / 1024);
    assert!(twice <= bound, "{twice} bytes came twice; open pieces account for {bound}");
}

/// The piece that a line of `--json` says is verified.
fn verified_piece(line: &str) -> Option<u32> {
    let rest = line.contains("\"event\":\"piece\"").then_some(line)?.split("\"index\":").nth(1)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn total(served: &[Block]) -> usize {
    served.iter().map(|block| block.length as usize).sum()
}

/// Bytes of blocks served after the first time.
fn repeated(served: &[Block]) -> usize {
    let first: std::collections::HashSet<&Block> = served.iter().collect();
    total(served) - first.into_iter().map(|block| block.length as usize).sum::<usize>()
}
