//! Sizes, rates and durations, read from people and written for them.
//!
//! Pure. Every K, M, G and T is binary (1024, 1024²…), with or without `iB` after it; what is
//! printed says KiB, MiB and so on. Fractions are read and written here digit by digit: what std has for that is
//! exact to the last bit, which no size or ratio needs, and brings 24 KiB of code and tables.

use std::time::Duration;

const STEPS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Reads a size in bytes or a rate in bytes a second: `65536`, `500K`, `1.5M`, `2GiB`.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (text.get(..digits)?, text.get(digits..)?);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "ki" | "kb" | "kib" => 10,
        "m" | "mi" | "mb" | "mib" => 20,
        "g" | "gi" | "gb" | "gib" => 30,
        "t" | "ti" | "tb" | "tib" => 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let bytes = parse_decimal(number)? * (1u64 << shift) as f64;
    (shift > 0 && bytes < 9e18).then_some(bytes as u64)
}

/// Digits of a fraction that are read: an `f64` holds no more.
const FRACTION_DIGITS: usize = 17;

/// Reads a number such as `2`, `1.5` or `.5`: not negative, no exponent, finite.
pub fn parse_decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.bytes().take(FRACTION_DIGITS);
    let scale = fraction.clone().fold(1.0, |scale, _| scale * 10.0);
    let value =
        whole.bytes().chain(fraction).fold(0.0, |value, digit| value * 10.0 + f64::from(digit - b'0'));
    Some(value / scale).filter(|value| value.is_finite())
}

/// A number that is not negative, with `digits` digits behind the point.
pub fn fixed(value: f64, digits: usize) -> String {
    let scale = 10u64.pow(digits as u32);
    let value = (value * scale as f64 + 0.5) as u64;
    match digits {
        0 => value.to_string(),
        _ => format!("{}.{:0digits$}", value / scale, value % scale),
    }
}

/// Reads a duration: seconds (`90`), or parts with units (`2m`, `1h30m`, `1d`), largest first.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let (mut rest, mut total, mut last) = (text, 0u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest.get(..digits)?.parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86400,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        total = total.checked_add(count.checked_mul(unit)?)?;
        last = unit;
        rest = rest.get(digits + 1..)?;
    }
    (last != u64::MAX).then(|| Duration::from_secs(total))
}

/// A size for people, with three digits at least: `512 B`, `1.50 MiB`, `23.4 GiB`.
pub fn size(bytes: u64) -> String {
    let (mut value, mut step) = (bytes as f64, 0);
    // 1023.5 would round to "1024 KiB".
    while value >= 1023.5 && step + 1 < STEPS.len() {
        value /= 1024.0;
        step += 1;
    }
    let digits = match () {
        () if step == 0 => 0,
        () if value < 9.995 => 2,
        () if value < 99.95 => 1,
        () => 0,
    };
    format!("{} {}", fixed(value, digits), STEPS[step])
}

/// A rate for people.
pub fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", size(bytes_per_second))
}

/// A duration for people, two units at most: `7s`, `3m05s`, `2h10m`, `3d4h`.
pub fn duration(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{}h", s / 86400, s / 3600 % 24),
    }
}

/// A whole number and its noun: `1 peer`, `2 peers`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Seconds with tenths below ten, for how long something took.
pub fn took(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 9.95 => format!("{}s", fixed(seconds, 1)),
        _ => self::duration(duration),
    }
}

/// A point in time in UTC, from seconds since 1970; the number itself where the year is far off.
pub fn utc(seconds: i64) -> String {
    // Year 9999; some torrents have milliseconds.
    if !(0..253_402_300_800).contains(&seconds) {
        return format!("{seconds} (seconds since 1970)");
    }
    let (days, time) = (seconds / 86400, seconds % 86400);
    // Days since 1 March of year 0, so that the leap day is the last of its year.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_whatever_their_letter_case() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65536),
            ("500K", 500 << 10),
            ("2m", 2 << 20),
            ("1.5M", 3 << 19),
            ("2 GiB", 2 << 30),
            ("1tb", 1 << 40),
            ("10B", 10),
            (".5k", 512),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in
            ["", "K", "-1", "1X", "1.5", "1e3", "1..2M", "99999999999T", "18446744073709551616", "∞", "1é"]
        {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn decimals_are_read_as_std_reads_them() {
        for text in ["2", "1.5", ".5", "2.", "0", "0.1", "1.1", "123.456", "0.001", "1000000.25"] {
            assert_eq!(parse_decimal(text), text.parse().ok(), "{text}");
        }
        let close = parse_decimal(&format!("0.{}", "3".repeat(400))).unwrap() - 1.0 / 3.0;
        assert!(close.abs() < 1e-15, "{close}");
        for text in ["", ".", "1..2", "1.2.3", "-1", "+1", "1e3", "inf", "NaN", " 1", &"9".repeat(400)] {
            assert_eq!(parse_decimal(text), None, "{text}");
        }
    }

    #[test]
    fn fractions_are_written_as_std_writes_them() {
        for value in [0.0, 0.004, 0.5, 1.0, 1.996, 9.994, 12.34, 99.94, 1023.4, 4_503_599_627_370_496.0] {
            assert_eq!(fixed(value, 2), format!("{value:.2}"));
            assert_eq!(fixed(value, 1), format!("{value:.1}"));
            assert_eq!(fixed(value + 0.1, 0), format!("{:.0}", value + 0.1));
        }
    }

    #[test]
    fn durations_are_seconds_or_parts_with_units() {
        for (text, seconds) in
            [("90", 90), ("0", 0), ("2m", 120), ("1h30m", 5400), ("1d1s", 86401), ("1m60s", 120)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "1.5", "30m1h", "1h2", "5m5m", "-1", "1w", "999999999999999999d", "1é", "é"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_written_with_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (10_236, "10.0 KiB"),
            (102_350, "100 KiB"),
            (1_048_575, "1.00 MiB"),
            (23 << 30, "23.0 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn durations_are_written_with_two_units() {
        for (seconds, text) in [(7, "7s"), (185, "3m05s"), (7800, "2h10m"), (273_600, "3d4h")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(took(Duration::from_millis(1234)), "1.2s");
        assert_eq!(took(Duration::from_millis(9990)), "9s");
        assert_eq!((count(1, "peer"), count(0, "peer")), ("1 peer".into(), "0 peers".into()));
    }

    /// Compared with `date -u -d @N`.
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_868_799, "2000-02-29 23:59:59 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (-1, "-1 (seconds since 1970)"),
            (1_735_689_599_000, "1735689599000 (seconds since 1970)"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
