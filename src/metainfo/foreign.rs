//! What something is that is not bencoded at all: mostly the answer of a web server, or a file that was
//! packed. Said in words that help more than where the bencoding is malformed.

use super::magnet::Magnet;

/// The first bytes of packed files, and the kind of each.
const PACKED: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ\0", "compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
];

/// The kind of file that these bytes are instead of a torrent, if that can be told.
pub(super) fn foreign(bytes: &[u8]) -> Option<String> {
    if let Some((_, what)) = PACKED.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(format!("this is {what}"));
    }
    if Magnet::in_text(bytes).is_some() {
        return Some("this is a magnet link, not a .torrent".to_owned());
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    match text.first() {
        Some(b'<') => Some("this is a web page, not a .torrent".to_owned()),
        Some(b'{' | b'[') => Some("this is JSON, not a .torrent".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::error::ErrorKind;
    use crate::metainfo::Metainfo;

    #[test]
    fn what_is_something_else_is_called_by_its_name() {
        for (bytes, said) in [
            (&b"\n <!DOCTYPE html><html>"[..], "this is a web page, not a .torrent"),
            (b"\xef\xbb\xbf<html>", "this is a web page, not a .torrent"),
            (b"\x1f\x8b\x08\0", "this is compressed with gzip"),
            (b"PK\x03\x04...", "this is a zip archive"),
            (b"magnet:?xt=urn:btih:ab\n", "this is a magnet link, not a .torrent"),
            (b"{\"error\":\"login\"}", "this is JSON, not a .torrent"),
        ] {
            let error = Metainfo::from_bytes(bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Torrent);
            assert!(error.to_string().contains(said), "{error}");
        }
        // Bencoded bytes, or unknown ones, give the same error as before.
        for bytes in [&b"d"[..], b"hello", b"d8:announce", b""] {
            assert_eq!(Metainfo::from_bytes(bytes).unwrap_err().kind(), ErrorKind::Bencode);
        }
    }
}
