//! The live line of work that only counts: hashing for `verify` and `create`.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use bitwren::Phase;

use super::screen::Screen;
use super::status;
use super::status::View;

/// How often it is drawn.
const DRAW: Duration = Duration::from_millis(200);

/// Counts pieces on the screen; any thread may tell it.
pub struct Meter {
    screen: Screen,
    total: u32,
    drawn: Mutex<Instant>,
    quiet: bool,
}

impl Meter {
    /// A meter of `total` pieces.
    pub fn new(screen: Screen, total: u32, quiet: bool) -> Self {
        Meter { screen, total, drawn: Mutex::new(Instant::now()), quiet }
    }

    /// So many are done.
    pub fn at(&self, done: u32) {
        // Who finds it taken has nothing to add.
        let Ok(mut drawn) = self.drawn.try_lock() else { return };
        if self.quiet || drawn.elapsed() < DRAW {
            return;
        }
        *drawn = Instant::now();
        let mut view = View::default();
        (view.sum.phase, view.sum.checked, view.sum.pieces_total) = (Phase::Checking, done, self.total);
        self.screen.draw(|columns| status::live(&view, columns, self.screen.utf8));
    }
}
