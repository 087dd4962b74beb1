//! The live line of `verify` and `create` while they hash.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bitwren::{Phase, Progress};

use super::json::json_line;
use super::screen::{Screen, Tone};
use super::status;
use super::status::View;
use super::streams::say;

/// The time between two draws.
const DRAW_INTERVAL: Duration = Duration::from_millis(200);

/// Counts pieces on the screen; any thread may report progress.
pub struct Meter {
    screen: Screen,
    total: u32,
    done: Arc<AtomicU32>,
    drawn: Mutex<Instant>,
    quiet: bool,
}

impl Meter {
    /// A meter of `total` pieces.
    pub fn new(screen: Screen, total: u32, quiet: bool) -> Self {
        Meter { screen, total, done: Arc::default(), drawn: Mutex::new(Instant::now()), quiet }
    }

    /// What prints a line about how far it is, from any thread and whatever the verbosity.
    pub fn status(&self, json: bool) -> impl Fn() + Send + 'static {
        let (screen, total, done) = (self.screen, self.total, self.done.clone());
        move || {
            let done = done.load(Ordering::Relaxed);
            if json {
                let line = json_line("progress").text("phase", "checking");
                // A standard output that is closed is for the run to find.
                let _ = say(&line.number("checked", done.into()).number("pieces_total", total.into()).end());
            } else {
                screen.line(Tone::Plain, &status::plain(&hashing(done, total)));
            }
        }
    }

    /// Shows that `done` pieces are done.
    pub fn at(&self, done: u32) {
        self.done.fetch_max(done, Ordering::Relaxed);
        // Another thread is already drawing.
        let Ok(mut drawn) = self.drawn.try_lock() else { return };
        if self.quiet || drawn.elapsed() < DRAW_INTERVAL {
            return;
        }
        *drawn = Instant::now();
        let sum = hashing(done, self.total);
        let view = View { sum, ..View::default() };
        self.screen.draw(|columns| status::live(&view, columns, self.screen.utf8));
    }
}

/// Where hashing stands.
fn hashing(done: u32, total: u32) -> Progress {
    let mut progress = Progress::default();
    (progress.phase, progress.checked, progress.pieces_total) = (Phase::Checking, done, total);
    progress
}
