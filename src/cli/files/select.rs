//! Selects files of a torrent by `1-4,8`, globs and exclusions, from the list that `--list` prints.
//!
//! Pure. Numbers count from 1 over the files that are stored, padding left out. A glob without a
//! slash is compared with the last part of a path, one with a slash with the whole path, with or
//! without the torrent's name in front; one that matches no file but a directory means everything
//! below that. A part that begins with `!` is taken out of what the others select, or of all files
//! if there are only such parts. Matching takes time in the product of the two lengths.

/// The files that `patterns` select, as positions in `paths`, ascending, each once. `paths` are the
/// stored files as they are listed.
///
/// # Errors
/// One line that names the part that is invalid or matches no file.
pub fn select(patterns: &[String], paths: &[String]) -> Result<Vec<usize>, String> {
    let parts: Vec<String> = patterns.iter().flat_map(|pattern| split(pattern)).collect();
    let only_exclusions = parts.iter().all(|part| part.starts_with('!'));
    let (mut chosen, mut left_out) = (vec![only_exclusions; paths.len()], vec![false; paths.len()]);
    for part in &parts {
        let (marks, wanted) = match part.strip_prefix('!') {
            Some(rest) => (&mut left_out, rest.trim_start()),
            None => (&mut chosen, part.as_str()),
        };
        let hits = matches(wanted, paths)?;
        if hits.is_empty() {
            return Err(format!("{wanted:?} matches no file; --list shows all files"));
        }
        hits.into_iter().for_each(|at| marks[at] = true);
    }
    let left: Vec<usize> = (0..paths.len()).filter(|&at| chosen[at] && !left_out[at]).collect();
    if left.is_empty() { Err("no file is left to download".to_owned()) } else { Ok(left) }
}

/// The files that one part selects, as positions.
fn matches(part: &str, paths: &[String]) -> Result<Vec<usize>, String> {
    if let Some(range) = range(part, paths.len()) {
        return Ok(range?.collect());
    }
    let with = |pattern: &str| {
        let glob = Glob::new(pattern);
        (0..paths.len()).filter(|&at| paths.get(at).is_some_and(|path| glob.selects(path))).collect()
    };
    let files: Vec<usize> = with(part);
    if !files.is_empty() || part.is_empty() || part.ends_with('/') {
        return Ok(files);
    }
    // A directory, named without its slash: below the torrent's own, or, without a path, anywhere.
    let below = with(&format!("{part}/"));
    let anywhere = if part.contains('/') { Vec::new() } else { with(&format!("**/{part}/")) };
    Ok((0..paths.len()).filter(|at| below.contains(at) || anywhere.contains(at)).collect())
}

/// Splits at commas but not at escaped ones. Blanks around a part are dropped, and so are empty parts.
fn split(patterns: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in patterns.chars() {
        match parts.last_mut() {
            Some(_) if c == ',' && !escaped => parts.push(String::new()),
            Some(part) => part.push(c),
            None => {}
        }
        escaped = c == '\\' && !escaped;
    }
    parts.iter_mut().for_each(|part| *part = trimmed(part).to_owned());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Without the blanks around it; an escaped blank at the end stays.
fn trimmed(part: &str) -> &str {
    let bare = part.trim();
    let escapes = bare.bytes().rev().take_while(|byte| *byte == b'\\').count();
    if escapes % 2 == 0 {
        return bare;
    }
    let start = part.trim_start();
    let escaped = start.get(bare.len()..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    start.get(..bare.len() + escaped).unwrap_or(bare)
}

/// Reads `8`, `1-4` or `5-` (to the end); nothing where it is not meant as numbers.
fn range(part: &str, files: usize) -> Option<Result<std::ops::Range<usize>, String>> {
    if !part.starts_with(|c: char| c.is_ascii_digit())
        || part.contains(|c: char| !c.is_ascii_digit() && c != '-')
    {
        return None;
    }
    let (first, last) = match part.split_once('-') {
        None => (part, part),
        Some((first, "")) => (first, ""),
        Some((first, last)) => (first, last),
    };
    let first: usize = first.parse().unwrap_or(usize::MAX);
    let last = if last.is_empty() { files.max(first) } else { last.parse().unwrap_or(usize::MAX) };
    Some(if first >= 1 && first <= last && last <= files {
        Ok(first - 1..last)
    } else {
        Err(format!("{part:?} is not within 1-{files}; --list shows the numbers"))
    })
}

enum Token {
    /// This character.
    One(char),
    /// `?`: any character but a slash.
    Any,
    /// `[a-z]` or `[!a-z]`: a character in, or not in, these ranges; never a slash.
    Class(Vec<(char, char)>, bool),
    /// `*`: any characters but slashes.
    Run,
    /// `**`: any characters at all.
    Deep,
}

/// A glob, held against paths.
pub struct Glob {
    tokens: Vec<Token>,
    /// Whether there is a slash, so that whole paths are compared.
    path: bool,
}

impl Glob {
    /// Parses a glob; every string is valid.
    pub fn new(pattern: &str) -> Self {
        let trimmed = pattern.trim_start_matches("./");
        let mut tokens = Vec::new();
        let mut rest = trimmed.chars();
        while let Some(c) = rest.next() {
            let token = match c {
                '*' if matches!(tokens.last(), Some(Token::Run | Token::Deep)) => {
                    tokens.pop();
                    Token::Deep
                }
                '*' => Token::Run,
                '?' => Token::Any,
                '[' => match class(rest.as_str()) {
                    Some((class, left)) => {
                        rest = left.chars();
                        class
                    }
                    None => Token::One('['),
                },
                '\\' => Token::One(rest.next().unwrap_or('\\')),
                c => Token::One(c),
            };
            tokens.push(token);
        }
        // A directory stands for everything below it.
        if trimmed.ends_with('/') {
            tokens.push(Token::Deep);
        }
        Glob { tokens, path: trimmed.contains('/') }
    }

    /// Whether it selects the path, which begins with the torrent's name.
    pub fn selects(&self, path: &str) -> bool {
        if !self.path {
            return self.matches(path.rsplit('/').next().unwrap_or(path));
        }
        self.matches(path) || path.split_once('/').is_some_and(|(_, below)| self.matches(below))
    }

    /// Runs all alternatives at once: `at[i]` says whether the first `i` tokens can match what was
    /// read so far.
    fn matches(&self, text: &str) -> bool {
        let mut at = vec![false; self.tokens.len() + 1];
        at[0] = true;
        self.skip_runs(&mut at);
        for c in text.chars() {
            let mut next = vec![false; at.len()];
            for (i, token) in self.tokens.iter().enumerate().filter(|(i, _)| at[*i]) {
                match token {
                    Token::Run if c != '/' => next[i] = true,
                    Token::Deep => next[i] = true,
                    Token::One(want) if c == *want => next[i + 1] = true,
                    Token::Any if c != '/' => next[i + 1] = true,
                    Token::Class(ranges, outside) if c != '/' => {
                        let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                        next[i + 1] |= inside != *outside;
                    }
                    _ => {}
                }
            }
            at = next;
            self.skip_runs(&mut at);
        }
        at.last().copied().unwrap_or(false)
    }

    /// A run may match nothing at all.
    fn skip_runs(&self, at: &mut [bool]) {
        for (i, token) in self.tokens.iter().enumerate() {
            if at[i] && matches!(token, Token::Run | Token::Deep) {
                at[i + 1] = true;
            }
        }
    }
}

/// Reads what follows `[` up to its `]`, and gives what is left; nothing where it never closes.
fn class(rest: &str) -> Option<(Token, &str)> {
    let (outside, body) = match rest.strip_prefix(['!', '^']) {
        Some(body) => (true, body),
        None => (false, rest),
    };
    // A bracket right at the start is a member.
    let first = body.chars().next()?.len_utf8();
    let end = first + body.get(first..)?.find(']')?;
    let members: Vec<char> = body.get(..end)?.chars().collect();
    let mut ranges = Vec::new();
    let mut i = 0;
    while let Some(&low) = members.get(i) {
        match (members.get(i + 1), members.get(i + 2)) {
            (Some('-'), Some(&high)) => {
                ranges.push((low, high));
                i += 3;
            }
            _ => {
                ranges.push((low, low));
                i += 1;
            }
        }
    }
    Some((Token::Class(ranges, outside), body.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(patterns: &str) -> Result<Vec<usize>, String> {
        let paths =
            ["show/s1/e01.mkv", "show/s1/e02.mkv", "show/s2/e01.mkv", "show/read me.txt", "show/a,b[1].nfo"];
        select(&[patterns.to_owned()], &paths.map(str::to_owned))
    }

    #[test]
    fn numbers_and_ranges_count_from_one() {
        assert_eq!(chosen("1-2,4").unwrap(), [0, 1, 3]);
        assert_eq!(chosen("4-,1").unwrap(), [0, 3, 4]);
        assert_eq!(chosen("2,2,1-2").unwrap(), [0, 1]);
        for bad in ["0", "6", "2-1", "1-6", "6-", "99999999999999999999", "1-2-3"] {
            assert!(chosen(bad).unwrap_err().contains("1-5"), "{bad}");
        }
    }

    #[test]
    fn a_glob_without_a_slash_is_about_the_name() {
        assert_eq!(chosen("*.mkv").unwrap(), [0, 1, 2]);
        assert_eq!(chosen("e01.*").unwrap(), [0, 2]);
        assert_eq!(chosen("e0[2-9].mkv,read*").unwrap(), [1, 3]);
        assert_eq!(chosen("e0[!1].mkv").unwrap(), [1]);
        assert_eq!(chosen("a\\,b*").unwrap(), [4]);
        assert_eq!(chosen("*\\[1].nfo").unwrap(), [4]);
        assert!(chosen("E01.mkv").is_err());
    }

    #[test]
    fn a_glob_with_a_slash_is_about_the_path() {
        assert_eq!(chosen("s1/*").unwrap(), [0, 1]);
        assert_eq!(chosen("show/s2/").unwrap(), [2]);
        assert_eq!(chosen("show/*").unwrap(), [3, 4]);
        assert_eq!(chosen("**/e01.mkv").unwrap(), [0, 2]);
        assert_eq!(chosen("s?/e01.mkv").unwrap(), [0, 2]);
        assert!(chosen("1/e01.mkv").is_err());
    }

    #[test]
    fn blanks_around_a_part_do_not_count() {
        assert_eq!(chosen("1, 3").unwrap(), [0, 2]);
        assert_eq!(chosen(" 1-2 ,\tread me.txt ").unwrap(), [0, 1, 3]);
        let paths = ["d/ends with a blank ", "d/\\ "].map(str::to_owned);
        assert_eq!(select(&["ends*blank\\ ".into()], &paths), Ok(vec![0]));
        assert_eq!(select(&["\\\\\\ ".into()], &paths), Ok(vec![1]));
    }

    #[test]
    fn what_an_exclamation_mark_names_is_left_out() {
        assert_eq!(chosen("!*.mkv").unwrap(), [3, 4]);
        assert_eq!(chosen("1-4, !s1/*").unwrap(), [2, 3]);
        assert_eq!(chosen("! 2,*.mkv").unwrap(), [0, 2]);
        assert_eq!(chosen("!s1,!4-").unwrap(), [2]);
        assert!(chosen("!*.avi").unwrap_err().contains("\"*.avi\""));
        assert!(chosen("1,!1").unwrap_err().contains("no file is left"));
        assert!(chosen("!").is_err());
        assert_eq!(select(&["\\!a".into()], &["d/!a".to_owned(), "d/a".to_owned()]), Ok(vec![0]));
    }

    #[test]
    fn a_directory_needs_no_slash() {
        assert_eq!(chosen("s1").unwrap(), [0, 1]);
        assert_eq!(chosen("show/s2").unwrap(), [2]);
        assert_eq!(chosen("show").unwrap(), [0, 1, 2, 3, 4]);
        let paths = ["d/a/x/1", "d/b/x/2", "d/x"].map(str::to_owned);
        // A file of that name comes first.
        assert_eq!(select(&["x".into()], &paths), Ok(vec![2]));
        assert_eq!(select(&["x".into()], &paths[..2]), Ok(vec![0, 1]));
    }

    #[test]
    fn odd_patterns_end_in_an_answer() {
        for odd in ["[", "[]", "[!", "\\", "[a-", "***", "é[é-ü]", "[]]"] {
            let _ = chosen(odd);
        }
        assert!(chosen("nothing").unwrap_err().contains("--list"));
        let long = "*a".repeat(200);
        assert!(!Glob::new(&long).matches(&"a".repeat(199)));
    }
}
