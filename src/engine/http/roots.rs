//! Which certificates are trusted: those of `SSL_CERT_FILE` and `SSL_CERT_DIR` if set, else of the system if
//! it has any, else Mozilla's as built in. A file that cannot be read or parsed counts as missing; it never
//! ends the program. When a server's certificate is refused, the error names the trusted roots and the places
//! that were searched for others.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Where systems keep all their roots in one file; the first that is there counts.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

/// Largest file of certificates that is read.
const MAX_FILE: u64 = 8 << 20;

/// Most files read of a directory of certificates.
const MAX_FILES: usize = 2000;

/// Trusted certificates and where they are from.
struct Roots {
    certificates: Vec<Certificate<'static>>,
    /// Every file and directory that was looked at, in order, the last one with the trusted certificates.
    tried: Vec<PathBuf>,
}

/// TLS with the roots of this system, and which they are, in words for an error.
pub(crate) fn tls_config() -> (TlsConfig, String) {
    let roots = trusted(std::env::var_os("SSL_CERT_FILE"), std::env::var_os("SSL_CERT_DIR"), &BUNDLES);
    let words = roots.describe();
    let certs = match roots.certificates {
        none if none.is_empty() => RootCerts::WebPki,
        some => some.into_iter().into(),
    };
    (TlsConfig::builder().root_certs(certs).build(), words)
}

impl Roots {
    fn describe(&self) -> String {
        let one_line = |path: &PathBuf| crate::tracker::clean_text(path.as_os_str().as_encoded_bytes());
        let tried = self.tried.iter().map(one_line).collect::<Vec<_>>().join(", ");
        match self.certificates.len() {
            0 => format!("held to the built-in roots; no others in {tried}"),
            count => format!("held to {count} roots; looked for in {tried}"),
        }
    }

    fn add(&mut self, path: &Path) {
        self.certificates.extend(read(path));
    }
}

/// The certificates of the named file and directory together, else of the first bundle with any.
fn trusted(file: Option<OsString>, dir: Option<OsString>, bundles: &[&str]) -> Roots {
    let mut roots = Roots { certificates: Vec::new(), tried: Vec::new() };
    for file in file.iter().map(PathBuf::from) {
        roots.add(&file);
        roots.tried.push(file);
    }
    for dir in dir.iter().flat_map(std::env::split_paths) {
        files_of(&dir).iter().for_each(|file| roots.add(file));
        roots.tried.push(dir);
    }
    for bundle in bundles.iter().map(PathBuf::from) {
        if !roots.certificates.is_empty() {
            break;
        }
        roots.add(&bundle);
        roots.tried.push(bundle);
    }
    roots
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.take(MAX_FILES).map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Vec<Certificate<'static>> {
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_FILE);
    let pem = if small { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    let items = parse_pem(&pem).map_while(Result::ok);
    items.filter_map(|item| if let PemItem::Certificate(cert) = item { Some(cert) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    #[test]
    fn the_environment_comes_before_the_system_and_rubbish_is_nothing() {
        let dir = std::env::temp_dir().join(format!("bitwren-roots-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("many")).unwrap();
        let path = |name: &str| dir.join(name);
        std::fs::write(path("one.pem"), PEM).unwrap();
        std::fs::write(path("two.pem"), PEM.repeat(2)).unwrap();
        std::fs::write(path("many/a"), PEM).unwrap();
        std::fs::write(path("many/b"), format!("rubbish\n{PEM}")).unwrap();
        std::fs::write(path("rubbish"), [0xFF; 100]).unwrap();
        let bundles = [path("gone"), path("rubbish"), path("two.pem"), path("one.pem")];
        let bundles: Vec<&str> = bundles.iter().map(|path| path.to_str().unwrap()).collect();
        let count = |file: Option<&str>, dir: Option<&str>| {
            trusted(file.map(|f| path(f).into()), dir.map(|d| path(d).into()), &bundles).certificates.len()
        };
        assert_eq!(count(None, None), 2);
        assert_eq!(count(Some("one.pem"), None), 1);
        assert_eq!(count(Some("one.pem"), Some("many")), 3);
        assert_eq!(count(Some("gone"), Some("gone")), 2);
        assert_eq!(trusted(None, None, &[]).certificates.len(), 0);

        let words = |file: &str, bundles: &[&str]| trusted(Some(path(file).into()), None, bundles).describe();
        let shown = |name: &str| path(name).display().to_string();
        let [gone, rubbish, two] = ["gone", "rubbish", "two.pem"].map(shown);
        assert_eq!(words("two.pem", &bundles), format!("held to 2 roots; looked for in {two}"));
        assert_eq!(
            words("gone", &bundles[1..]),
            format!("held to 2 roots; looked for in {gone}, {rubbish}, {two}")
        );
        assert_eq!(
            words("gone", &bundles[1..2]),
            format!("held to the built-in roots; no others in {gone}, {rubbish}")
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
