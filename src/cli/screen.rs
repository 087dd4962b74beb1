//! Standard error: lines for people and, on a terminal, a live line below them, or a few.
//!
//! The size of the window is asked at every draw, so that it may change at any time. Invariant: a
//! live line is never as long as the window is wide, there are fewer of them than the window has
//! rows, and they are gone before anything else is printed.
//! That standard error cannot be written to is nobody's concern.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::text::{printable, without_os_numbers};

/// How many live lines are on the screen, for whoever must end the program at once.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// The size where none can be found out.
const DEFAULT_WIDTH: usize = 80;
const DEFAULT_HEIGHT: usize = 24;

/// Standard error as it is used here.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Whether a live line can be drawn.
    pub live: bool,
    /// Whether it may hold more than ASCII.
    pub utf8: bool,
    colour: bool,
}

/// What a line is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Warning,
    Error,
}

impl Screen {
    /// Looks at what standard error is and at the environment.
    pub fn new() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let terminal = stderr().is_terminal() && set("TERM").is_none_or(|term| term != "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        Screen {
            live: terminal,
            utf8: locale.is_some_and(|locale| is_utf8(&locale.to_string_lossy())),
            colour: terminal && set("NO_COLOR").is_none(),
        }
    }

    /// Prints a line, made fit for a terminal.
    pub fn line(&self, tone: Tone, text: &str) {
        let colour = match tone {
            Tone::Plain => None,
            Tone::Good => Some(32),
            Tone::Warning => Some(33),
            Tone::Error => Some(31),
        };
        let text = without_os_numbers(&printable(text));
        self.clear();
        let _ = match colour.filter(|_| self.colour) {
            // One write, so that lines of several programs do not mix.
            Some(colour) => stderr().write_all(format!("\x1b[{colour}m{text}\x1b[m\n").as_bytes()),
            None => stderr().write_all(format!("{text}\n").as_bytes()),
        };
    }

    /// Prints an error.
    pub fn error(&self, why: &str) {
        self.line(Tone::Error, &format!("bitwren: {why}"));
    }

    /// Draws the live line that `render` makes for a number of columns.
    pub fn draw(&self, render: impl FnOnce(usize) -> String) {
        self.draw_lines(|columns, _| vec![render(columns)]);
    }

    /// Draws the live lines that `render` makes for a number of columns and of rows.
    pub fn draw_lines(&self, render: impl FnOnce(usize, usize) -> Vec<String>) {
        if !self.live {
            return;
        }
        let size = rustix::termios::tcgetwinsize(stderr());
        let (width, height) =
            size.map_or((0, 0), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let known = |size: usize, default| if size == 0 { default } else { size };
        // The last column stays free: a line that fills it makes some terminals wrap. So does the
        // first row, for what scrolls away cannot be taken back.
        let (columns, rows) = (known(width, DEFAULT_WIDTH) - 1, known(height, DEFAULT_HEIGHT).max(2) - 1);
        let lines = render(columns, rows);
        let lines: Vec<String> =
            lines.iter().take(rows).map(|line| line.chars().take(columns).collect()).collect();
        let mut out = to_the_first(LIVE.swap(lines.len(), Ordering::Relaxed));
        out.push_str(&lines.join("\x1b[K\n"));
        out.push_str("\x1b[J");
        let _ = stderr().write_all(out.as_bytes());
    }

    /// Takes the live lines away.
    pub fn clear(&self) {
        let lines = LIVE.swap(0, Ordering::Relaxed);
        if lines > 0 {
            let _ = stderr().write_all(format!("{}\x1b[J", to_the_first(lines)).as_bytes());
        }
    }

    /// Prints a picture of dark and light dots, two of which stand above one another in a character.
    pub fn picture(&self, rows: &[Vec<bool>]) {
        self.clear();
        let mut out = String::new();
        for pair in rows.chunks(2) {
            let upper = pair.first().into_iter().flatten();
            let lower = pair.get(1).into_iter().flatten().copied().chain(std::iter::repeat(false));
            let half = |(&upper, lower): (&bool, bool)| match (upper, lower) {
                // Where colours cannot be set, the background is taken for dark.
                (false, false) => {
                    if self.colour {
                        ' '
                    } else {
                        '█'
                    }
                }
                (true, true) => {
                    if self.colour {
                        '█'
                    } else {
                        ' '
                    }
                }
                (upper, _) => {
                    if upper == self.colour {
                        '▀'
                    } else {
                        '▄'
                    }
                }
            };
            let line: String = upper.zip(lower).map(half).collect();
            if self.colour {
                out.push_str(&format!("\x1b[30;107m{line}\x1b[m\n"));
            } else {
                out.push_str(&format!("{line}\n"));
            }
        }
        let _ = stderr().write_all(out.as_bytes());
    }
}

/// Moves to the start of the first of so many live lines.
fn to_the_first(lines: usize) -> String {
    if lines > 1 { format!("\r\x1b[{}A", lines - 1) } else { "\r".to_owned() }
}

/// Leaves the screen in order, for whoever ends the program at once: what the live lines said last
/// stays to be read.
pub fn leave() {
    if LIVE.swap(0, Ordering::Relaxed) > 0 {
        let _ = stderr().write_all(b"\n");
    }
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
