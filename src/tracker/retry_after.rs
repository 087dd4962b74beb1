//! How long an HTTP server asks to be left alone: `Retry-After` (RFC 9110, section 10.2.3), which is
//! a number of seconds or a date.
//!
//! A date is held against the `Date` of the same answer, never against a clock of this machine, which
//! may stand anywhere. Without that header it says nothing.

use std::time::Duration;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The time that the headers `Retry-After` and `Date` give; zero if the date is in the past.
pub fn read(retry_after: &[u8], date: Option<&[u8]>) -> Option<Duration> {
    let text = std::str::from_utf8(retry_after).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = seconds(text)?;
    let now = seconds(std::str::from_utf8(date?).ok()?)?;
    Some(Duration::from_secs(until.saturating_sub(now)))
}

/// Seconds since the year 0 of a date in one of the three forms of RFC 9110, section 5.6.7:
/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
fn seconds(text: &str) -> Option<u64> {
    let text = text.get(..text.len().min(64))?.to_ascii_lowercase();
    let words: Vec<&str> = text.split([' ', '-', ',']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, time) = match words[..] {
        [_, day, month, year, time, "gmt"] => (day, month, year, time),
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let number = |text: &str, most: u64| {
        let fits = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &u64| fits && *number <= most)
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let day = number(day, 31)?.checked_sub(1)?;
    // Two digits are of the years about 2000: both dates of one answer are read alike.
    let year = number(year, 9999)? + if year.len() == 2 { 2000 } else { 0 };
    let mut parts = time.split(':');
    let mut part = |most| number(parts.next()?, most);
    let (hour, minute, second) = (part(23)?, part(59)?, part(60)?);
    // Years that begin in March have the leap day at their end.
    let (year, month) = if month < 2 { (year.checked_sub(1)?, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry_after: &str, date: &str) -> Option<u64> {
        read(retry_after.as_bytes(), Some(date.as_bytes())).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_stand_for_themselves() {
        assert_eq!(read(b"120", None), Some(Duration::from_secs(120)));
        assert_eq!(read(b" 0 ", None), Some(Duration::ZERO));
        assert_eq!(read(b"99999999999999999999999", None), Some(Duration::from_secs(u64::MAX)));
        for bad in ["", "-1", "1.5", "1h", "soon", "+3", "\u{661}"] {
            assert_eq!(read(bad.as_bytes(), Some(b"Sun, 06 Nov 1994 08:49:37 GMT")), None, "{bad}");
        }
    }

    #[test]
    fn a_date_is_as_far_away_as_the_answers_own_date_says() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(wait("Sun, 06 Nov 1994 08:51:37 GMT", date), Some(120));
        assert_eq!(wait("Mon, 07 Nov 1994 00:00:00 GMT", date), Some(15 * 3600 + 10 * 60 + 23));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", date), Some(0), "it has passed");
        assert_eq!(wait("Sun Nov  6 08:50:37 1994", date), Some(60));
        assert_eq!(wait("Sunday, 06-Nov-94 08:50:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"), Some(60));
        // Across the ends of February, of a leap year and of a century that is none, and of a year.
        assert_eq!(wait("Fri, 01 Mar 2024 00:00:00 GMT", "Wed, 28 Feb 2024 00:00:00 GMT"), Some(172_800));
        assert_eq!(wait("Mon, 01 Mar 2100 00:00:00 GMT", "Sun, 28 Feb 2100 00:00:00 GMT"), Some(86_400));
        assert_eq!(wait("Fri, 01 Jan 2027 00:00:09 GMT", "Thu, 31 Dec 2026 23:59:59 GMT"), Some(10));
    }

    #[test]
    fn what_is_no_date_says_nothing() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(read(date.as_bytes(), None), None, "no date to hold it against");
        for bad in [
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Jan 0 08:49:37 GMT",
        ] {
            assert_eq!(wait(bad, date), None, "{bad}");
        }
    }
}
