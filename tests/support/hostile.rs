//! What the hostile tests share: a real download between a liar and an honest seeder, held to a bound of
//! memory and of descriptors, and a table of the outcome of each attack.
//!
//! Two kinds of wrong: what no honest program does gets a peer *dropped*, for a reason that the
//! client's events name, and the honest seeder serves nothing before that has happened; what an
//! overloaded one might do (silence, chokes, stalls) gets it *starved*: the honest seeder starts once
//! the other has done its worst, and what the other holds is taken over.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::child::{Child, Ended, PATIENCE, bitwren};
use super::content::{BLOCK, Recipe, Torrent};
use super::latch::Latch;
use super::peer::{Peer, Talk};
use super::scratch::Scratch;
use super::seeder::{Manner, Seeder};

/// The most memory a download may have resident whatever anyone does to it, in an unoptimised build.
pub const MEMORY: u64 = 48 << 20;

/// The most descriptors it may have open: few are connected in these tests.
pub const DESCRIPTORS: usize = 64;

/// How soon one is to be dropped for what it does; well before the scripts give up by themselves. A
/// bound for hangs, not a measure: the table has what it took.
pub const SOON: Duration = Duration::from_secs(30);

/// 21 pieces, so that a bitfield has spare bits; the last is short.
pub fn torrent() -> Arc<Torrent> {
    Arc::new(Recipe::single("precious.bin", 20 * 4 * BLOCK as usize + 1234).make())
}

/// Starts the download of a torrent file, or of what a link names, from these peers.
pub fn get(scratch: &Scratch, what: &Path, more: &[&str], peers: &[SocketAddr]) -> Child {
    let mut command = bitwren(scratch.path(), &["get", "--json", "--verbose", "--port", "0"]);
    command.arg("-d").arg(scratch.dir("got")).args(more);
    for peer in peers {
        command.args(["--peer", &peer.to_string()]);
    }
    Child::spawn(command.arg(what))
}

/// Within bounds, whatever happened.
#[track_caller]
pub fn assert_modest(ended: &Ended) {
    assert!(ended.peak < MEMORY, "{} KiB resident", ended.peak / 1024);
    assert!(ended.descriptors < DESCRIPTORS, "{} descriptors open", ended.descriptors);
}

/// It completed, every byte right, within bounds.
#[track_caller]
pub fn completed(child: Child, scratch: &Scratch, torrent: &Torrent) -> Ended {
    let ended = child.wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    assert_modest(&ended);
    ended
}

/// The script's connection is hung up on, and the client says why in these words; only then does the
/// honest seeder serve.
#[track_caller]
pub fn dropped(why: &str, script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static) -> Ended {
    dropped_from(&torrent(), why, script)
}

/// The same of a torrent of one's own.
#[track_caller]
pub fn dropped_from(
    torrent: &Arc<Torrent>,
    why: &str,
    script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
) -> Ended {
    let scratch = Scratch::new("liar");
    let took: Arc<Mutex<Option<Duration>>> = Arc::default();
    let noted = took.clone();
    // However the script ends, it has been hung up on when it can read no more.
    let liar = Peer::start(torrent, move |talk| {
        let begun = Instant::now();
        let end = script(talk).and_then(|()| talk.listen());
        noted.lock().unwrap().get_or_insert(begun.elapsed());
        end
    });
    let gate = Latch::new();
    let honest = Seeder::start(torrent, Manner { gate: Some(gate.clone()), ..Manner::default() });
    let file = scratch.file("precious.torrent", &torrent.metainfo);
    let child = get(&scratch, &file, &["--no-tracker"], &[liar.address, honest.address()]);
    assert!(liar.wait_over(SOON), "the liar was never dropped\n{}", child.said());
    gate.open();
    let ended = completed(child, &scratch, torrent);
    assert_named(&ended, &liar.address.to_string(), why);
    let took = took.lock().unwrap().expect("its conversation is over");
    row(&format!("dropped: {why}"), took, &ended);
    ended
}

/// The script tells, by opening the latch, when it has done its worst; the honest seeder starts then,
/// and the download completes although the script goes on as it likes.
#[track_caller]
pub fn starved(script: impl Fn(&mut Talk, &Latch) -> io::Result<()> + Send + Sync + 'static) -> Ended {
    let torrent = torrent();
    let scratch = Scratch::new("sloth");
    let gate = Latch::new();
    let opener = gate.clone();
    let sloth = Peer::start(&torrent, move |talk| script(talk, &opener));
    let honest = Seeder::start(&torrent, Manner { gate: Some(gate.clone()), ..Manner::default() });
    let file = scratch.file("precious.torrent", &torrent.metainfo);
    let child = get(&scratch, &file, &["--no-tracker"], &[sloth.address, honest.address()]);
    assert!(gate.wait(PATIENCE), "it never came to it: {:?}\n{}", sloth.endings(), child.said());
    let worst = Instant::now();
    let ended = completed(child, &scratch, &torrent);
    row("starved", worst.elapsed(), &ended);
    ended
}

/// An event tells that this peer was left, and why.
#[track_caller]
pub fn assert_named(ended: &Ended, peer: &str, why: &str) {
    let (whom, words) = (format!(r#""peer":"{peer}""#), format!(r#""why":"{why}""#));
    let tells = |line: &&str| line.contains(&whom) && line.contains("\"why\"");
    let told: Vec<&str> = ended.stdout.lines().filter(tells).collect();
    assert!(told.iter().any(|line| line.contains(&words)), "wanted {why:?}, told {told:#?}");
}

/// A row of the table: the running test, the outcome, and how long it took.
pub fn row(outcome: &str, took: Duration, ended: &Ended) {
    println!(
        "| {} | {outcome} | {:.2} s | {:.1} MiB | {} fds |",
        attack(),
        took.as_secs_f64(),
        ended.peak as f64 / (1 << 20) as f64,
        ended.descriptors
    );
}

/// The attack, as the running test has it in its name.
pub fn attack() -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    name.trim_start_matches("hostile::").replace("::", " | ").replace('_', " ")
}
