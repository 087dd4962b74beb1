//! A small download with everything in it that can go wrong: files that share pieces, a directory, an
//! empty file; a seeder that can stop half-way; and what must hold afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::state;
use crate::support::child::{Child, Ended, PATIENCE, bitwren, run};
use crate::support::content::{BLOCK, Recipe, Torrent};
use crate::support::latch::Latch;
use crate::support::peer::{BITFIELD, Block, Peer, REQUEST, Talk, UNCHOKE};
use crate::support::scratch::{Scratch, files_below};

/// Blocks that are served before the first run is stopped.
pub const HALF: u32 = 6;

/// One torrent, one place, and as many runs as wanted.
pub struct Runs {
    pub torrent: Arc<Torrent>,
    pub scratch: Scratch,
    /// Files that are asked for; none is all.
    selected: &'static [&'static str],
}

/// A seeder that stops after so many blocks.
pub struct Server {
    peer: Peer,
    /// It has served all that it will.
    pub spent: Latch,
}

impl Server {
    pub fn start(torrent: &Arc<Torrent>, blocks: u32) -> Server {
        let (spent, left) = (Latch::new(), Arc::new(AtomicU32::new(blocks)));
        let tells = spent.clone();
        let peer = Peer::start(torrent, move |talk| serve(talk, &left, &tells));
        Server { peer, spent }
    }

    pub fn address(&self) -> String {
        self.peer.address.to_string()
    }
}

fn serve(talk: &mut Talk, left: &AtomicU32, spent: &Latch) -> std::io::Result<()> {
    talk.answer([0; 8])?;
    let bitfield = talk.torrent.full_bitfield();
    talk.send(BITFIELD, &bitfield)?;
    talk.send(UNCHOKE, &[])?;
    loop {
        let Some((REQUEST, body)) = talk.read()? else { continue };
        let block = Block::parse(&body).ok_or(std::io::ErrorKind::InvalidData)?;
        let one_less = |left: u32| left.checked_sub(1);
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            talk.send_block(block)?;
        }
        if left.load(Ordering::Relaxed) == 0 {
            spent.open();
        }
    }
}

impl Runs {
    pub fn new(name: &str) -> Runs {
        let files = [("one", 100_000), ("two/three", 90_000), ("two/four", 1), ("empty", 0)];
        Runs::of(name, &files, &[])
    }

    /// One of which only some files are asked for, which share pieces with the others.
    pub fn in_part(name: &str) -> Runs {
        let files = [("one", 50_000), ("two/three", 60_000), ("two/four", 30_000), ("five", 50_000)];
        Runs::of(name, &files, &["two/three", "five"])
    }

    fn of(name: &str, files: &[(&str, usize)], selected: &'static [&'static str]) -> Runs {
        let torrent = Arc::new(Recipe::multi("crashed", files).piece_length(BLOCK).make());
        let scratch = Scratch::new(name);
        scratch.file("crashed.torrent", &torrent.metainfo);
        Runs { torrent, scratch, selected }
    }

    pub fn got(&self) -> PathBuf {
        self.scratch.path().join("got")
    }

    /// The download, to be run as it is or by another program. Its path is absolute.
    pub fn get(&self, from: &Server) -> Command {
        let options = ["get", "--quiet", "--no-tracker", "--port", "0", "--peer"];
        let mut command = bitwren(self.scratch.path(), &options);
        command.arg(from.address()).arg("-d").arg(self.got());
        if !self.selected.is_empty() {
            command.args(["--select", &self.selected.join(",")]);
        }
        command.arg(self.scratch.path().join("crashed.torrent"));
        command
    }

    /// Runs it until the seeder is spent, and then stops it; or until it ends by itself.
    #[track_caller]
    pub fn half(&self, command: &mut Command, server: &Server) -> Ended {
        let child = Child::spawn(command);
        while !child.has_ended() && !server.spent.wait(std::time::Duration::from_millis(20)) {
            assert!(child.age() < PATIENCE, "it hangs\n{}", child.said());
        }
        if !child.has_ended() {
            // It may end in this very moment.
            let interrupt = format!("kill -INT {} 2>/dev/null; true", child.pid());
            Command::new("sh").args(["-c", &interrupt]).status().unwrap();
        }
        child.wait_end(PATIENCE)
    }

    /// What must hold after any run at all, without another word.
    #[track_caller]
    pub fn assert_sound(&self, ended: &Ended, what: &str) {
        let said = format!("{what}: {ended:#?}");
        assert!(!ended.stderr.contains("panicked"), "{said}");
        assert!(ended.stderr.lines().count() <= 2, "more than there is to say: {said}");
        if let Err(lie) = state::claims_are_true(&self.torrent, &self.got()) {
            panic!("{lie}\n{said}");
        }
        self.assert_inside(&said);
    }

    /// A run without faults completes, byte for byte, and leaves nothing else behind.
    #[track_caller]
    pub fn assert_completes(&self, what: &str) {
        let ended = run(&mut self.get(&Server::start(&self.torrent, u32::MAX)));
        assert_eq!(ended.code, Some(0), "{what}: {ended:#?}");
        self.assert_right(what);
        self.assert_inside(what);
        // What lies in the part file alone is needed again, and with it what is known of it.
        let (part, state) = (self.part(), state::path(&self.torrent, &self.got()));
        let kept = |path: &Path| !self.selected.is_empty() && (path == part || path == state);
        let strays: Vec<_> = files_below(&self.got())
            .into_iter()
            .filter(|path| !path.starts_with("crashed") && !kept(&self.got().join(path)))
            .collect();
        assert!(strays.is_empty(), "{what}: left behind: {strays:?}");
        if !self.selected.is_empty() {
            // Without any peer, the same command has all it needs.
            let claimed = state::claims_are_true(&self.torrent, &self.got());
            assert!(claimed.is_ok(), "{what}: {claimed:?}");
            let again = run(&mut self.get(&Server::start(&self.torrent, 0)));
            assert_eq!(again.code, Some(0), "{what}: {again:#?}");
            self.assert_right(what);
        }
    }

    /// The part file.
    pub fn part(&self) -> PathBuf {
        state::part_path(&self.torrent, &self.got())
    }

    #[track_caller]
    fn assert_right(&self, what: &str) {
        for (path, want) in self.torrent.files(&self.got()) {
            let name = path.strip_prefix(self.got().join("crashed")).unwrap();
            if self.selected.is_empty() || self.selected.iter().any(|selected| name == Path::new(selected)) {
                assert!(fs::read(&path).is_ok_and(|bytes| bytes == want), "{what}: {}", path.display());
            } else {
                assert!(!path.exists(), "{what}: {} was not asked for", path.display());
            }
        }
    }

    #[track_caller]
    fn assert_inside(&self, what: &str) {
        let ours = |path: &PathBuf| {
            path.starts_with("got")
                || path.starts_with("before")
                || path == Path::new("crashed.torrent")
                || path == Path::new("log")
        };
        let strays: Vec<_> =
            files_below(self.scratch.path()).into_iter().filter(|path| !ours(path)).collect();
        assert!(strays.is_empty(), "{what}: written outside: {strays:?}");
    }
}
