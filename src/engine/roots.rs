//! Which certificates are trusted: those of `SSL_CERT_FILE` and `SSL_CERT_DIR` if set, else of the
//! system if it has any, else Mozilla's as built in. A file that cannot be read or parsed counts as
//! not there; it never ends the program.

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

/// TLS with the roots of this system.
pub(crate) fn tls_config() -> TlsConfig {
    let found = trusted(std::env::var_os("SSL_CERT_FILE"), std::env::var_os("SSL_CERT_DIR"), &BUNDLES);
    let roots = match found {
        roots if roots.is_empty() => RootCerts::WebPki,
        roots => roots.into_iter().into(),
    };
    TlsConfig::builder().root_certs(roots).build()
}

/// The certificates of the named file and directory together, else of the first bundle with any.
fn trusted(file: Option<OsString>, dir: Option<OsString>, bundles: &[&str]) -> Vec<Certificate<'static>> {
    let mut roots = Vec::new();
    let dirs = dir.iter().flat_map(std::env::split_paths);
    for path in file.iter().map(PathBuf::from).chain(dirs.flat_map(|dir| files_of(&dir))) {
        roots.extend(read(&path));
    }
    if roots.is_empty() {
        roots = bundles
            .iter()
            .map(|path| read(Path::new(path)))
            .find(|found| !found.is_empty())
            .unwrap_or_default();
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
            trusted(file.map(|f| path(f).into()), dir.map(|d| path(d).into()), &bundles).len()
        };
        assert_eq!(count(None, None), 2);
        assert_eq!(count(Some("one.pem"), None), 1);
        assert_eq!(count(Some("one.pem"), Some("many")), 3);
        assert_eq!(count(Some("gone"), Some("gone")), 2);
        assert_eq!(trusted(None, None, &[]).len(), 0);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
