//! The kind of content that most bytes of a torrent have, told by the endings of names.

use crate::daemon::view::FileFacts;

/// What is said of anything else.
const UNKNOWN: &str = "application/octet-stream";

/// Endings in lower case, and what they stand for.
const ENDINGS: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("avi", "video/x-msvideo"),
    ("bz2", "application/x-bzip2"),
    ("cbr", "application/vnd.comicbook-rar"),
    ("cbz", "application/vnd.comicbook+zip"),
    ("deb", "application/vnd.debian.binary-package"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gz", "application/gzip"),
    ("html", "text/html"),
    ("iso", "application/x-iso9660-image"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("m4a", "audio/mp4"),
    ("m4b", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("mkv", "video/x-matroska"),
    ("mobi", "application/x-mobipocket-ebook"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rar", "application/vnd.rar"),
    ("rpm", "application/x-rpm"),
    ("srt", "application/x-subrip"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("ts", "video/mp2t"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("wma", "audio/x-ms-wma"),
    ("wmv", "video/x-ms-wmv"),
    ("xz", "application/x-xz"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// The kind that has most bytes among these files; of two alike the first of the table.
pub fn of_most(files: &[FileFacts]) -> &'static str {
    let mut bytes = [0u64; ENDINGS.len()];
    let mut unknown = 0u64;
    for file in files {
        let sum = match kind(&file.path) {
            // Two endings may stand for the same kind; the first counts for both.
            Some(kind) => ENDINGS.iter().position(|(_, other)| *other == kind).map(|at| &mut bytes[at]),
            None => None,
        };
        let sum = sum.unwrap_or(&mut unknown);
        *sum = sum.saturating_add(file.length);
    }
    let mut most = (unknown, UNKNOWN);
    for (sum, (_, kind)) in bytes.into_iter().zip(ENDINGS) {
        if sum > most.0 {
            most = (sum, kind);
        }
    }
    most.1
}

fn kind(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    let ending = ending.to_ascii_lowercase();
    ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_with_most_bytes_counts() {
        let file = |path: &str, length| FileFacts { path: path.into(), length, first_piece: 0, end_piece: 1 };
        assert_eq!(of_most(&[]), UNKNOWN);
        assert_eq!(of_most(&[file("big/one.bin", 9), file("big/a.mp4", 1)]), UNKNOWN);
        assert_eq!(of_most(&[file("x/a.MKV", 5), file("x/b.bin", 4)]), "video/x-matroska");
        let halves = [file("a.jpg", 2), file("b.jpeg", 2), file("c.pdf", 3)];
        assert_eq!(of_most(&halves), "image/jpeg");
        assert_eq!(of_most(&[file("x.y/README", u64::MAX), file("b", u64::MAX)]), UNKNOWN);
    }
}
