use super::*;

/// A terminal as far as it is needed here: logical lines that are wrapped at its width. Where it
/// rewraps what is there when its width changes, the cursor stays with its character.
struct Emulator {
    columns: usize,
    rows: Vec<Vec<char>>,
    /// Whether a row is the continuation of the one above.
    wrapped: Vec<bool>,
    at: (usize, usize),
}

impl Emulator {
    fn new(columns: usize) -> Self {
        Emulator { columns, rows: vec![Vec::new()], wrapped: vec![false], at: (0, 0) }
    }

    fn write(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.at.1 = 0,
                '\n' => self.down(false),
                '\x1b' => self.escape(&mut chars),
                c => self.print(c),
            }
        }
    }

    /// The terminal's driver makes a carriage return of a newline, too.
    fn down(&mut self, wrapped: bool) {
        self.at = (self.at.0 + 1, 0);
        if self.at.0 == self.rows.len() {
            self.rows.push(Vec::new());
            self.wrapped.push(wrapped);
        }
    }

    fn print(&mut self, c: char) {
        if self.at.1 == self.columns {
            self.down(true);
        }
        let row = &mut self.rows[self.at.0];
        row.resize(row.len().max(self.at.1 + 1), ' ');
        row[self.at.1] = c;
        self.at.1 += 1;
    }

    fn escape(&mut self, chars: &mut std::str::Chars<'_>) {
        assert_eq!(chars.next(), Some('['));
        let mut number = String::new();
        let command = chars.by_ref().find(|c| {
            number.extend(c.is_ascii_digit().then_some(*c));
            c.is_ascii_alphabetic()
        });
        match command.unwrap() {
            'A' => self.at.0 -= number.parse::<usize>().unwrap(),
            'K' => self.rows[self.at.0].truncate(self.at.1),
            'J' => {
                self.rows[self.at.0].truncate(self.at.1);
                self.rows.truncate(self.at.0 + 1);
                self.wrapped.truncate(self.at.0 + 1);
            }
            'm' => {}
            other => panic!("{other} is not used"),
        }
    }

    /// The window gets another width.
    fn resize(&mut self, columns: usize, rewraps: bool) {
        self.columns = columns;
        if !rewraps {
            self.rows.iter_mut().for_each(|row| row.truncate(columns));
            return;
        }
        // The cursor stands at the start of a logical line.
        assert!(self.at.1 == 0 && !self.wrapped[self.at.0]);
        let mut lines: Vec<Vec<char>> = Vec::new();
        let mut cursor = 0;
        for (number, (row, wrapped)) in self.rows.iter().zip(&self.wrapped).enumerate() {
            match lines.last_mut().filter(|_| *wrapped) {
                Some(line) => line.extend(row),
                None => lines.push(row.clone()),
            }
            if number == self.at.0 {
                cursor = lines.len() - 1;
            }
        }
        (self.rows, self.wrapped) = (Vec::new(), Vec::new());
        for (number, line) in lines.iter().enumerate() {
            if number == cursor {
                self.at = (self.rows.len(), 0);
            }
            let rows = line.chunks(columns).map(<[char]>::to_vec);
            let rows: Vec<Vec<char>> = if line.is_empty() { vec![Vec::new()] } else { rows.collect() };
            self.wrapped.extend((0..rows.len()).map(|part| part > 0));
            self.rows.extend(rows);
        }
    }

    fn text(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|row| row.iter().collect()).collect();
        rows.join("\n")
    }
}

fn live(lines: &[&str]) -> Piece {
    Piece::Live(lines.iter().map(|line| (*line).to_owned()).collect())
}

fn line(text: &str) -> Piece {
    Piece::Line(text.to_owned())
}

#[test]
fn live_lines_are_replaced_and_gone_before_a_line() {
    let (mut terminal, mut window) = (Terminal::new(), Emulator::new(40));
    let mut show = |piece| {
        window.write(&terminal.bytes(piece));
        window.text()
    };
    assert_eq!(show(line("first")), "first\n");
    assert_eq!(show(live(&["10% of everything", "one"])), "first\n10% of everything\none");
    assert_eq!(show(live(&["20%", "one", "two"])), "first\n20%\none\ntwo");
    assert_eq!(show(live(&["30%"])), "first\n30%");
    assert_eq!(show(line("second")), "first\nsecond\n");
    assert_eq!(show(live(&["40%", "one"])), "first\nsecond\n40%\none");
    assert_eq!(show(live(&[])), "first\nsecond\n");
    assert_eq!(show(live(&[])), "first\nsecond\n");
}

#[test]
fn a_window_of_another_width_keeps_nothing_of_the_old_lines() {
    for rewraps in [true, false] {
        for (before, after) in [(40, 10), (40, 7), (10, 40), (40, 39)] {
            let (mut terminal, mut window) = (Terminal::new(), Emulator::new(before));
            window.write(&terminal.bytes(line("first")));
            let wide = "x".repeat(before - 1);
            for lines in [vec![wide.as_str()], vec![&wide, &wide, "short"]] {
                window.write(&terminal.bytes(live(&lines)));
                window.resize(after, rewraps);
                window.write(&terminal.bytes(live(&["new"])));
                assert_eq!(window.text(), "first\nnew", "{before} to {after}, {rewraps}");
                window.resize(before, rewraps);
            }
            window.write(&terminal.bytes(line("last")));
            assert_eq!(window.text(), "first\nlast\n");
        }
    }
}

#[test]
fn what_the_terminal_echoes_goes_with_the_live_lines() {
    let (mut terminal, mut window) = (Terminal::new(), Emulator::new(20));
    window.write(&terminal.bytes(live(&["1234567890123456789", "second"])));
    window.write(b"^C");
    window.write(&terminal.bytes(line("stopping")));
    assert_eq!(window.text(), "stopping\n");
}

#[test]
fn live_lines_stay_where_the_program_ends_at_once() {
    let (mut terminal, mut window) = (Terminal::new(), Emulator::new(20));
    window.write(&terminal.bytes(live(&["one", "two"])));
    window.write(&terminal.leave());
    assert_eq!((window.text().as_str(), window.at), ("one\ntwo\n", (2, 0)));
    assert_eq!(terminal.leave(), b"");
}
