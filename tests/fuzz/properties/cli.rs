//! What people type: sizes, durations, and which files they mean. These belong to the program, not to the
//! library, and stand alone; so they are taken in here as they are.

use std::time::Duration;

#[path = "../../../src/cli/files/select.rs"]
#[allow(dead_code, reason = "the program uses more of it")]
mod select;
#[path = "../../../src/cli/output/units.rs"]
#[allow(dead_code, reason = "the program uses more of it")]
mod units;

pub fn cli(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    sizes(first);
    durations(first);
    // Matching takes time in the product of both lengths, so both stay short here.
    let cut = |line: &str| line.chars().take(120).collect::<String>();
    let paths: Vec<String> = lines.take(12).map(cut).collect();
    let patterns = [cut(first)];
    if let Ok(chosen) = select::select(&patterns, &paths) {
        assert!(chosen.is_sorted_by(|a, b| a < b) && chosen.iter().all(|&at| at < paths.len()));
        // What is chosen by pattern can be chosen by number.
        let numbers: Vec<String> = chosen.iter().map(|at| (at + 1).to_string()).collect();
        assert_eq!(select::select(&[numbers.join(",")], &paths), Ok(chosen));
    }
}

fn sizes(text: &str) {
    let Some(size) = units::parse_size(text) else { return };
    assert_eq!(units::parse_size(&size.to_string()), Some(size));
    // Rounded, the largest would be shown as 2^64.
    if size > u64::MAX / 2 {
        return;
    }
    let shown = units::size(size);
    let again = units::parse_size(&shown).expect("what is shown is read");
    // Shown with three digits.
    assert!(size.abs_diff(again) as f64 <= size as f64 / 190.0 + 1.0, "{size} is shown as {shown}");
}

fn durations(text: &str) {
    let Some(duration) = units::parse_duration(text) else { return };
    let seconds = duration.as_secs();
    assert_eq!(units::parse_duration(&seconds.to_string()), Some(duration));
    let shown = units::duration(duration);
    let again = units::parse_duration(&shown).expect("what is shown is read");
    // Two units: at least half an hour is told to the hour or better.
    assert!(
        again <= duration && duration - again < Duration::from_secs(3600),
        "{seconds} is shown as {shown}"
    );
}
