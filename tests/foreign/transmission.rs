//! transmission: the settings of its daemon, and its RPC.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::support::http;

/// `settings.json` of a daemon or a command line whose files are in `dir`. `more` is what the suite adds, fields
/// with commas between them.
pub fn settings(dir: &Path, port: u16, rpc: SocketAddr, more: &str) -> String {
    format!(
        r#"{{ "peer-port": {port}, "peer-port-random-on-start": false, "port-forwarding-enabled": false,
        "utp-enabled": false, "encryption": 0, "preallocation": 0, "download-dir": "{}",
        "rename-partial-files": false, "ratio-limit-enabled": false, "idle-seeding-limit-enabled": false,
        "seed-queue-enabled": false, "download-queue-enabled": false, "rpc-enabled": true,
        "rpc-bind-address": "{}", "rpc-port": {}, "rpc-authentication-required": false,
        "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false, {more} }}"#,
        dir.display(),
        rpc.ip(),
        rpc.port(),
    )
}

/// Asks a daemon.
///
/// # Errors
/// It does not listen, or does not answer.
pub fn call(rpc: SocketAddr, body: &str) -> io::Result<String> {
    const NAME: &str = "X-Transmission-Session-Id: ";
    let head = "POST /transmission/rpc HTTP/1.0";
    // It refuses the first call and names the session to call with.
    let (refusal, _) = http::request(rpc, head, b"")?;
    let session = refusal.lines().find_map(|line| line.strip_prefix(NAME));
    let session = session.ok_or_else(|| io::Error::other("it names no session"))?;
    let (_, answer) = http::request(rpc, &format!("{head}\r\n{NAME}{session}"), body.as_bytes())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
