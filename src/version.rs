//! The name and version of this program, in each form in which others see it.

/// The version alone.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// As people read it: in the extension handshake (BEP 10) and the output of the program.
pub const NAME_AND_VERSION: &str = concat!("bitwren ", env!("CARGO_PKG_VERSION"));

/// As one word: in HTTP requests and in the torrents that are created here.
pub const PRODUCT: &str = concat!("bitwren/", env!("CARGO_PKG_VERSION"));

/// The start of our peer ids: two letters and the version (BEP 20).
pub(crate) const PEER_ID_PREFIX: &[u8; 8] = b"-BW0100-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_ids_name_the_version() {
        let version = VERSION.replace('.', "");
        assert_eq!(PEER_ID_PREFIX[..], *format!("-BW{version}0-").as_bytes());
    }
}
