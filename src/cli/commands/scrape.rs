//! `scrape`: asks trackers for the numbers of seeders, leechers and completed downloads.

use std::ffi::OsString;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bitwren::{Config, Error, InfoHash, ScrapeEntry};

use crate::cli::args::parse::Invocation;
use crate::cli::exit::ExitStatus;
use crate::cli::exit::{Code, Failure};
use crate::cli::output::json::json_line;
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::secrets::masked;
use crate::cli::output::streams::say;
use crate::cli::output::text::printable;
use crate::cli::output::units;
use crate::cli::run::client_config;
use crate::cli::run::source;
use crate::cli::run::source::TorrentSource;

/// The most trackers that are asked at the same time.
const MAX_CONCURRENT: usize = 16;
/// Bytes of stack for each.
const STACK: usize = if cfg!(debug_assertions) { 512 << 10 } else { 192 << 10 };

/// Runs the command.
pub fn run(invocation: Invocation) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let network = client_config::of_network(&settings.transfer);
    let (urls, hashes) = questions(operands, &network)?;
    let answers = ask(&urls, &hashes, settings.scrape.timeout, &network);
    let (mut answered, mut exit_status) = (false, ExitStatus::default());
    for (url, answer) in urls.iter().zip(answers) {
        match answer {
            Ok(entries) => {
                answered = true;
                print(url, &entries, &hashes, settings.output.json)?;
            }
            Err(error) => {
                exit_status.failed(Code::of(error.kind()));
                if settings.output.json {
                    let line = json_line("tracker_failed")
                        .text("url", &masked(url))
                        .text("why", &masked(&error.to_string()));
                    say(&line.end())?;
                } else {
                    Screen::new().line(Tone::Warning, &format!("bitwren: {error}"));
                }
            }
        }
    }
    Ok(if answered { Code::OK } else { exit_status.code() })
}

/// Which trackers to ask about which torrents.
fn questions(operands: Vec<OsString>, network: &Config) -> Result<(Vec<String>, Vec<InfoHash>), Failure> {
    let mut operands = operands.into_iter();
    let first = operands.next().unwrap_or_default();
    let url = first.to_string_lossy().into_owned();
    let hashes = operands.map(|word| {
        let read = word.to_str().and_then(|text| InfoHash::from_hex(text).ok());
        read.ok_or_else(|| {
            Failure::usage(format_args!("{word:?} is not an info-hash of 40 hexadecimal digits"))
        })
    });
    let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
    if hashes.is_empty() && is_announce_url(&url) {
        return Err(Failure::usage("the URL of a tracker needs an info-hash after it"));
    }
    if !hashes.is_empty() {
        return if url.contains("://") {
            Ok((vec![url], hashes))
        } else {
            Err(Failure::usage(format_args!(
                "{url:?} is not the URL of a tracker; give info-hashes only after one"
            )))
        };
    }
    let named = source::read_source(&first, network).map_err(|mut failure| {
        if url.contains("://") && matches!(failure.code, Code::TORRENT | Code::BENCODE) {
            let hint = "; to ask a tracker, give an info-hash after its URL";
            failure.why = failure.why.map(|why| why + hint);
        }
        failure
    })?;
    let urls: Vec<String> = match &named {
        TorrentSource::Torrent(metainfo) => metainfo.tiers().iter().flatten().cloned().collect(),
        TorrentSource::Magnet(magnet) => magnet.trackers.clone(),
    };
    if urls.is_empty() {
        return Err(Failure::usage(format_args!("{} has no tracker", named.name())));
    }
    Ok((urls, vec![named.info_hash()]))
}

/// Whether it is an announce URL and not that of a `.torrent`.
fn is_announce_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    // A magnet link may have such a URL in it, as it is.
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    scheme.eq_ignore_ascii_case("udp")
        || is_scheme && path.contains('/') && last.starts_with("announce") && !last.ends_with(".torrent")
}

type Answer = Result<Vec<ScrapeEntry>, Error>;

/// Asks all trackers, several at once, so that a dead one delays no other. Answers are in the order of the
/// URLs.
fn ask(urls: &[String], hashes: &[InfoHash], timeout: Duration, network: &Config) -> Vec<Answer> {
    let answers: Vec<OnceLock<Answer>> = urls.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(url), Some(answer)) = (urls.get(at), answers.get(at)) else { return };
            // Each is set once; none is asked of again.
            let _ = answer.set(bitwren::scrape(url, hashes, timeout, network));
        }
    };
    std::thread::scope(|scope| {
        // This thread is one of them: if no other can be started, it asks one tracker after the other.
        let others = (1..urls.len().min(MAX_CONCURRENT))
            .map_while(|_| std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).ok());
        drop(others.collect::<Vec<_>>());
        work();
    });
    answers.into_iter().filter_map(OnceLock::into_inner).collect()
}

fn print(url: &str, entries: &[ScrapeEntry], asked: &[InfoHash], json: bool) -> io::Result<()> {
    let several = asked.len() > 1;
    for entry in entries {
        let (seeders, leechers, downloaded) =
            (entry.seeders.into(), entry.leechers.into(), entry.downloaded.into());
        if json {
            let line =
                json_line("scrape").text("url", &masked(url)).text("torrent", &entry.info_hash.to_string());
            say(&line
                .number("seeders", seeders)
                .number("leechers", leechers)
                .number("downloaded", downloaded)
                .end())?;
        } else {
            let which = if several { format!(" {}", entry.info_hash) } else { String::new() };
            say(&format!(
                "{}{which}: {}, {}, {}",
                printable(&masked(url)),
                units::count(seeders, "seeder"),
                units::count(leechers, "leecher"),
                units::count(downloaded, "completed download")
            ))?;
        }
    }
    // A tracker's answer leaves out unknown info-hashes.
    let unknown = |hash: &&InfoHash| !entries.iter().any(|entry| entry.info_hash == **hash);
    for hash in asked.iter().filter(unknown) {
        if json {
            let line =
                json_line("scrape_unknown").text("url", &masked(url)).text("torrent", &hash.to_string());
            say(&line.end())?;
        } else {
            let which = if several { format!(" {hash}") } else { String::new() };
            say(&format!("{}{which}: unknown to this tracker", printable(&masked(url))))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announce_url_is_told_from_that_of_a_torrent() {
        for url in ["udp://t:1", "UDP://t:1/x", "http://t/announce", "https://t/a/announce.php?passkey=1"] {
            assert!(is_announce_url(url), "{url}");
        }
        for url in
            ["http://t/a.torrent", "http://t/announce.torrent", "http://announce", "announce", "a.torrent"]
        {
            assert!(!is_announce_url(url), "{url}");
        }
        // A magnet link with a tracker in it that is not escaped.
        let link = "magnet:?xt=urn:btih:ad7d7be954ea124b3688474c3d99f32af9d3851e&tr=http://t/announce";
        assert!(!is_announce_url(link));
    }
}
