//! `show`: what a torrent holds.

use std::io::{self, Write};
use std::path::PathBuf;

use bitwren::{Magnet, Metainfo};

use crate::cli::args::parse::Invocation;
use crate::cli::exit::ExitStatus;
use crate::cli::exit::{Code, Failure};
use crate::cli::output::json::{Object, json_line};
use crate::cli::output::text::printable;
use crate::cli::output::units;
use crate::cli::run::client_config;
use crate::cli::run::load::load_all;
use crate::cli::run::precheck::check_stdin;
use crate::cli::run::reporter::Reporter;
use crate::cli::run::source;
use crate::cli::run::source::TorrentSource;

/// Where the values start.
const COLUMN: usize = 15;

/// Runs the command.
pub fn run(invocation: Invocation) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let json_lines = settings.output.json;
    check_stdin(&operands)?;
    let reporter = Reporter::new(settings.output, operands.len());
    let mut exit_status = ExitStatus::default();
    let loaded =
        load_all(operands, &[], &client_config::of_network(&settings.transfer), &reporter, &mut exit_status)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (at, one) in loaded.iter().enumerate() {
        if at > 0 && !json_lines {
            writeln!(out)?;
        }
        match &one.source {
            TorrentSource::Torrent(metainfo) if json_lines => writeln!(out, "{}", json(metainfo))?,
            TorrentSource::Torrent(metainfo) => people(&mut out, metainfo)?,
            TorrentSource::Magnet(magnet) if json_lines => writeln!(out, "{}", link_json(magnet))?,
            TorrentSource::Magnet(magnet) => link_for_people(&mut out, magnet)?,
        }
    }
    out.flush()?;
    Ok(exit_status.code())
}

fn people(out: &mut impl Write, metainfo: &Metainfo) -> io::Result<()> {
    let mut row = |name: &str, value: &str| {
        writeln!(out, "{}", format!("{name:COLUMN$}{}", printable(value)).trim_end())
    };
    let pieces = metainfo.pieces();
    row("Name", metainfo.name())?;
    row("Size", &format!("{} ({} bytes)", units::size(pieces.total()), pieces.total()))?;
    row("Pieces", &format!("{} of {}", pieces.count(), units::size(pieces.piece_length().into())))?;
    row("Info-hash", &metainfo.info_hash().to_string())?;
    row("Magnet link", &metainfo.magnet_link())?;
    if metainfo.is_private() {
        row("Private", "yes")?;
    }
    for (name, value) in [
        ("Source", metainfo.source()),
        ("Comment", metainfo.comment()),
        ("Created by", metainfo.created_by()),
    ] {
        value.map_or(Ok(()), |value| row(name, value))?;
    }
    if let Some(date) = metainfo.creation_date() {
        row("Created", &units::utc(date))?;
    }
    for (tier, url) in trackers(metainfo) {
        row(&format!("Tracker {tier}"), url)?;
    }
    metainfo.web_seeds().iter().try_for_each(|url| row("Web seed", url))?;
    metainfo.nodes().iter().try_for_each(|(host, port)| row("DHT node", &format!("{host}:{port}")))?;
    metainfo.warnings().iter().try_for_each(|warning| row("Warning", warning))?;
    links(metainfo).try_for_each(|(path, target)| row("Symbolic link", &format!("{path} to {target}")))?;
    row("Files", "")?;
    for (number, (path, size)) in (1u64..).zip(files(metainfo)) {
        writeln!(out, "{number:>5}  {:>10}  {}", units::size(size), printable(&path))?;
    }
    Ok(())
}

fn json(metainfo: &Metainfo) -> String {
    let pieces = metainfo.pieces();
    let mut line = json_line("show")
        .text("name", metainfo.name())
        .text("torrent", &metainfo.info_hash().to_string())
        .text("magnet", &metainfo.magnet_link())
        .number("size", pieces.total())
        .number("pieces", pieces.count().into())
        .number("piece_length", pieces.piece_length().into())
        .flag("private", metainfo.is_private())
        .text_if("source", metainfo.source())
        .text_if("comment", metainfo.comment())
        .text_if("created_by", metainfo.created_by());
    if let Some(date) = metainfo.creation_date() {
        line = line.signed("created", date);
    }
    line.objects(
        "trackers",
        trackers(metainfo).map(|(tier, url)| Object::new().number("tier", tier).text("url", url)),
    )
    .texts("web_seeds", metainfo.web_seeds().iter().map(String::as_str))
    .objects(
        "nodes",
        metainfo
            .nodes()
            .iter()
            .map(|(host, port)| Object::new().text("host", host).number("port", (*port).into())),
    )
    .objects(
        "files",
        (1u64..).zip(files(metainfo)).map(|(number, (path, size))| {
            Object::new().number("index", number).text("path", &path).number("size", size)
        }),
    )
    .objects(
        "links",
        links(metainfo).map(|(path, target)| Object::new().text("path", &path).text("target", &target)),
    )
    .texts("warnings", metainfo.warnings().iter().map(String::as_str))
    .end()
}

/// The symbolic links that are made, and what they lead to.
fn links(metainfo: &Metainfo) -> impl Iterator<Item = (String, String)> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let files = metainfo.files().iter();
    files.filter_map(move |file| Some((text(file.path()), text(file.target()?))))
}

/// The content of a link, which is all that is known before the metadata is fetched.
fn link_for_people(out: &mut impl Write, magnet: &Magnet) -> io::Result<()> {
    let mut row = |name: &str, value: &str| writeln!(out, "{name:COLUMN$}{}", printable(value));
    magnet.name.iter().try_for_each(|name| row("Name", name))?;
    row("Info-hash", &magnet.info_hash.to_string())?;
    row("Magnet link", &magnet.to_string())?;
    for (tier, url) in (1..).zip(&magnet.trackers) {
        row(&format!("Tracker {tier}"), url)?;
    }
    magnet.web_seeds.iter().try_for_each(|url| row("Web seed", url))?;
    magnet.peers.iter().try_for_each(|(host, port)| row("Peer", &format!("{host}:{port}")))?;
    magnet.nodes.iter().try_for_each(|(host, port)| row("DHT node", &format!("{host}:{port}")))?;
    if !magnet.select.is_empty() {
        row("Files", &numbers(magnet))?;
    }
    Ok(())
}

fn link_json(magnet: &Magnet) -> String {
    let place =
        |(host, port): &(String, u16)| Object::new().text("host", host).number("port", (*port).into());
    json_line("show")
        .text_if("name", magnet.name.as_deref())
        .text("torrent", &magnet.info_hash.to_string())
        .text("magnet", &magnet.to_string())
        .objects(
            "trackers",
            (1..)
                .zip(&magnet.trackers)
                .map(|(tier, url)| Object::new().number("tier", tier).text("url", url)),
        )
        .texts("web_seeds", magnet.web_seeds.iter().map(String::as_str))
        .objects("peers", magnet.peers.iter().map(place))
        .objects("nodes", magnet.nodes.iter().map(place))
        .text_if("select", Some(numbers(magnet)).as_deref().filter(|numbers| !numbers.is_empty()))
        .end()
}

/// The files that a link selects, numbered from 1 as in `--list` (a link counts from 0).
fn numbers(magnet: &Magnet) -> String {
    let number = |range: &std::ops::RangeInclusive<u32>| match (range.start() + 1, range.end() + 1) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    magnet.select.iter().map(number).collect::<Vec<_>>().join(",")
}

/// Trackers with the number of their tier, from 1.
fn trackers(metainfo: &Metainfo) -> impl Iterator<Item = (u64, &str)> {
    let tiers = (1u64..).zip(metainfo.tiers());
    tiers.flat_map(|(tier, urls)| urls.iter().map(move |url| (tier, url.as_str())))
}

fn files(metainfo: &Metainfo) -> impl Iterator<Item = (String, u64)> {
    let length = |index: u32| metainfo.files().get(index as usize).map_or(0, |file| file.length);
    source::stored(metainfo).into_iter().map(move |(index, path)| (path, length(index)))
}
