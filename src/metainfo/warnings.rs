//! Deviations that were tolerated in a torrent: lines for people, bounded, each one line and printable.

/// How many warnings about one torrent are kept.
pub const MAX_WARNINGS: usize = 50;

/// Collects warnings; counts those past [`MAX_WARNINGS`] instead of keeping them.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    lines: Vec<String>,
    more: usize,
}

impl Warnings {
    /// Adds the line that `line` makes, if there is room for it.
    pub(super) fn add(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < MAX_WARNINGS {
            self.lines.push(line());
        } else {
            self.more += 1;
        }
    }

    /// The lines, and one that tells how many there would have been more.
    pub(super) fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("and {} more things like these", self.more));
        }
        self.lines
    }
}

/// Text from a torrent as a warning or an error may quote it: in quotes, on one line, nothing
/// unprintable, at most 80 characters.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..400).unwrap_or(bytes));
    let cut = text.char_indices().nth(80).map_or(text.len(), |(at, _)| at);
    let dots = if cut < text.len() || bytes.len() > 400 { "…" } else { "" };
    format!("{:?}{dots}", &text[..cut])
}
