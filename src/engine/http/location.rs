//! Where a redirect leads: a `Location` joined to the URL it came from (RFC 3986, section 5). Pure.

use crate::tracker::url::TrackerUrl;

/// The URL that a location means, relative to `base`. One that has a scheme of its own stays as it is.
pub(super) fn join(base: &TrackerUrl, location: &str) -> String {
    let location = location.trim_matches(|c: char| c.is_ascii_whitespace());
    if scheme(location).is_some() {
        return location.to_owned();
    }
    let whole = base.as_str();
    let own = base.path_and_query();
    let root = whole.strip_suffix(own).unwrap_or(whole);
    if location.starts_with("//") {
        let scheme = whole.split("//").next().unwrap_or_default();
        return format!("{scheme}{location}");
    }
    let path = own.split('?').next().unwrap_or_default();
    let (place, query) = location.split_at(location.find(['?', '#']).unwrap_or(location.len()));
    match place {
        "" if query.starts_with('?') => format!("{root}{path}{query}"),
        "" => whole.to_owned(),
        _ if place.starts_with('/') => format!("{root}{}{query}", without_dots(place)),
        _ => {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            format!("{root}{}{query}", without_dots(&format!("{directory}/{place}")))
        }
    }
}

/// The scheme of a URL, if it has one.
pub(super) fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain)).then_some(scheme)
}

/// A path that begins with a slash, with `.` and `..` worked out.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." => {}
            ".." => _ = kept.pop(),
            _ => {
                kept.push(part);
                continue;
            }
        }
        // At the end they stand for a directory.
        if parts.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_joined_to_where_it_came_from() {
        let base = TrackerUrl::parse("http://u:p@h.example:81/a/b/c?q=/x/y").unwrap();
        for (location, wanted) in [
            ("https://other.example/z", "https://other.example/z"),
            ("magnet:?xt=urn:btih:ab", "magnet:?xt=urn:btih:ab"),
            (" //other.example/z ", "http://other.example/z"),
            ("/z?b=//c", "http://u:p@h.example:81/z?b=//c"),
            ("z", "http://u:p@h.example:81/a/b/z"),
            ("../z?a=../b", "http://u:p@h.example:81/a/z?a=../b"),
            ("./", "http://u:p@h.example:81/a/b/"),
            ("../../../../z/..", "http://u:p@h.example:81/"),
            ("?q=2", "http://u:p@h.example:81/a/b/c?q=2"),
            ("", "http://u:p@h.example:81/a/b/c?q=/x/y"),
            ("1:2", "http://u:p@h.example:81/a/b/1:2"),
        ] {
            assert_eq!(join(&base, location), wanted, "{location}");
        }
        let bare = TrackerUrl::parse("http://h.example").unwrap();
        assert_eq!(join(&bare, "z"), "http://h.example/z");
        assert_eq!(join(&bare, "?z"), "http://h.example?z");
    }
}
