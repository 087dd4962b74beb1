//! What to write for lines and live lines, and how many live lines are on the terminal. Pure.
//!
//! After live lines were written the cursor stands at the beginning of the first of them. Invariant: live
//! lines are erased before anything else is written.

/// One thing to write.
#[derive(Debug)]
pub enum Piece {
    /// A line without its newline.
    Line(String),
    /// Live lines in place of those that are there; only on standard error.
    Live(Vec<String>),
}

/// How many live lines are on the terminal.
#[derive(Debug)]
pub struct Terminal {
    live: usize,
}

impl Terminal {
    /// Nothing is drawn yet.
    pub const fn new() -> Self {
        Terminal { live: 0 }
    }

    /// Whether there is a live line.
    pub fn is_live(&self) -> bool {
        self.live > 0
    }

    /// What to write for a piece, in one write, so that lines of several programs do not mix.
    pub fn bytes(&mut self, piece: Piece) -> Vec<u8> {
        let erase = if self.live > 0 { "\r\x1b[J" } else { "" };
        match piece {
            Piece::Line(line) => {
                self.live = 0;
                format!("{erase}{line}\n").into_bytes()
            }
            Piece::Live(lines) if lines.is_empty() => {
                self.live = 0;
                erase.into()
            }
            Piece::Live(lines) => {
                self.live = lines.len();
                let back = if self.live > 1 { format!("\x1b[{}A", self.live - 1) } else { String::new() };
                format!("\r{}\x1b[J\r{back}", lines.join("\x1b[K\n")).into_bytes()
            }
        }
    }

    /// What to write for the live lines to stay.
    pub fn leave(&mut self) -> Vec<u8> {
        "\n".repeat(std::mem::take(&mut self.live)).into_bytes()
    }
}

#[cfg(test)]
mod tests;
