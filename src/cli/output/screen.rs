//! Standard error as people see it: lines and, on a terminal, a live line below them, or a few.
//!
//! The size of the window is asked at every draw, so that it may change at any time. After live lines
//! were drawn the cursor stands at the beginning of the first of them: so they can be taken away however
//! a window that grew narrower has wrapped them, and what the terminal echoes, such as `^C`, lies in
//! them and goes with them. Invariant: a live line is never as long as the window is wide, there are
//! fewer of them than the window has rows, and they are gone before anything else is printed.

use std::io::{IsTerminal, stderr};
use std::time::{SystemTime, UNIX_EPOCH};

use super::secrets::masked;
use super::streams;
use super::terminal::Piece;
use super::text::{printable, without_os_numbers};
use super::units;

/// The size of the window if it is unknown.
const DEFAULT_WIDTH: usize = 80;
const DEFAULT_HEIGHT: usize = 24;

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Milestones and progress.
    #[default]
    Normal,
    /// Every connection too.
    Verbose,
}

/// Standard error as it is used here.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Whether a live line can be drawn.
    pub live: bool,
    /// Whether it may hold more than ASCII.
    pub utf8: bool,
    colour: bool,
    /// Whether lines begin with the time.
    stamped: bool,
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
            stamped: false,
        }
    }

    /// As [`Screen::new`], for a run that may take days: outside a terminal its lines begin with the time,
    /// unless systemd's journal adds it.
    pub fn of_a_run() -> Self {
        let stamped = !stderr().is_terminal() && std::env::var_os("JOURNAL_STREAM").is_none();
        Screen { stamped, ..Screen::new() }
    }

    /// Prints a line, made fit for a terminal and with the secrets in it masked.
    pub fn line(&self, tone: Tone, text: &str) {
        self.whole_line(tone, &masked(text));
    }

    /// As [`Screen::line`], but with secrets, for lines whose purpose is to show them.
    pub fn whole_line(&self, tone: Tone, text: &str) {
        let colour = match tone {
            Tone::Plain => None,
            Tone::Good => Some(32),
            Tone::Warning => Some(33),
            Tone::Error => Some(31),
        };
        let mut text = without_os_numbers(&printable(text));
        if self.stamped {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            text.insert_str(0, &format!("{} ", units::utc(now.as_secs() as i64)));
        }
        streams::note(Piece::Line(match colour.filter(|_| self.colour) {
            Some(colour) => format!("\x1b[{colour}m{text}\x1b[m"),
            None => text,
        }));
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
        let fit = |line: &String| line.chars().take(columns).collect();
        streams::note(Piece::Live(lines.iter().take(rows).map(fit).collect()));
    }

    /// Takes the live lines away.
    pub fn clear(&self) {
        if streams::is_live() {
            streams::note(Piece::Live(Vec::new()));
        }
    }

    /// Prints a picture of dark and light dots.
    pub fn picture(&self, rows: &[Vec<bool>]) {
        picture(rows, self.utf8, self.colour).into_iter().for_each(|line| streams::note(Piece::Line(line)));
    }
}

/// The lines of a picture: one character for two dots above one another, or in ASCII two characters for
/// one dot.
fn picture(rows: &[Vec<bool>], utf8: bool, colour: bool) -> Vec<String> {
    if !utf8 {
        let dot = |dark: &bool| match (dark, colour) {
            (true, true) => "\x1b[40m  ",
            (false, true) => "\x1b[107m  ",
            // Where colours cannot be set, the background is taken for dark.
            (true, false) => "  ",
            (false, false) => "##",
        };
        let end = if colour { "\x1b[m" } else { "" };
        return rows.iter().map(|row| row.iter().map(dot).chain([end]).collect()).collect();
    }
    let line = |pair: &[Vec<bool>]| {
        let upper = pair.first().into_iter().flatten();
        let lower = pair.get(1).into_iter().flatten().copied().chain(std::iter::repeat(false));
        let half = |(&upper, lower): (&bool, bool)| match (upper == colour, lower == colour) {
            (true, true) => '█',
            (false, false) => ' ',
            (true, false) => '▀',
            (false, true) => '▄',
        };
        let line: String = upper.zip(lower).map(half).collect();
        if colour { format!("\x1b[30;107m{line}\x1b[m") } else { line }
    };
    rows.chunks(2).map(line).collect()
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_ascii_where_nothing_else_can_be_shown() {
        let rows = [vec![true, false, true], vec![true, true, false], vec![false, false, true]];
        assert_eq!(picture(&rows, true, false), [" ▀▄", "██▄"]);
        assert_eq!(picture(&rows, true, true)[0], "\x1b[30;107m█▄▀\x1b[m");
        assert_eq!(picture(&rows, false, false), ["  ##  ", "    ##", "####  "]);
        let coloured = picture(&rows, false, true);
        assert!(coloured.iter().all(|line| line.is_ascii() && line.ends_with("\x1b[m")), "{coloured:?}");
    }
}
