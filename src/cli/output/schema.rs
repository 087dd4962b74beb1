//! What the lines of `--json` mean: the documentation of the schema, for `help json` and the man
//! page. A new event or field of the output is added here too.

use super::json::SCHEMA;
use super::text::wrap;

/// An event and its fields.
pub struct Line {
    pub event: &'static str,
    pub fields: &'static str,
    pub meaning: &'static str,
}

/// The rules that hold for every line.
pub const RULES: &str = "Every line is one JSON object. v is the version of the schema, event the kind of \
                         line. Lines about a torrent have torrent, its info-hash. Sizes are in bytes, rates \
                         in bytes per second, times in seconds. v changes when a field changes its meaning \
                         or is removed. Fields and events may be added without a change of v: ignore what \
                         you do not know. With -q there are no progress lines. Lines of get, seed, share \
                         and tracker have ts, the time in seconds since 1970.";

/// Every event.
pub const LINES: &[Line] = &[
    Line { event: "listening", fields: "port", meaning: "get, seed: the TCP port that accepts connections" },
    Line {
        event: "dropped",
        fields: "lines",
        meaning: "get, seed, share, tracker: lines is the number of lines missing here because the reader \
                  was too slow",
    },
    Line {
        event: "blocklist",
        fields: "path, ranges, lines, not_understood, first_not_understood",
        meaning: "get, seed: a list of --blocklist was read, at the start and after SIGHUP; ranges is how \
                  many address ranges it blocks, first_not_understood the number of the first line that was \
                  skipped, and absent if there is none",
    },
    Line {
        event: "refused",
        fields: "connections",
        meaning: "get, seed: at the end, how many connections from blocked addresses were closed unread",
    },
    Line {
        event: "dht",
        fields: "port, nodes, nodes6",
        meaning: "get, seed: the number of known DHT nodes that have answered, over IPv4 and IPv6; at most \
                  once a minute, when it has changed",
    },
    Line {
        event: "mapped",
        fields: "family, method, tcp, udp, external_ip, outer_nat, lease",
        meaning: "get, seed: the router lets peers in at its ports tcp and udp, over IPv4 by a mapping (family \
                  4), over IPv6 through its firewall (family 6); method is PCP, NAT-PMP or UPnP; udp is absent \
                  without the DHT; outer_nat is the router's own address if that is private, which means that \
                  another router is in front of it; lease is 0 if the router gives permanent mappings only",
    },
    Line {
        event: "portmap_failed",
        fields: "why",
        meaning: "get, seed: no router maps the port, or no longer; bitwren keeps trying, and says so once",
    },
    Line {
        event: "asking",
        fields: "name",
        meaning: "get, seed: a magnet link whose metadata is being fetched; added follows",
    },
    Line {
        event: "metadata",
        fields: "name, bytes, kept",
        meaning: "the metadata of a magnet link is known; kept is true if an earlier run had saved it",
    },
    Line { event: "saved", fields: "name, path", meaning: "get --metadata-only: the .torrent was written" },
    Line {
        event: "added",
        fields: "name, dir, size, wanted, files, pieces",
        meaning: "get, seed: a torrent was added; wanted is the size of the selected files",
    },
    Line {
        event: "queued",
        fields: "",
        meaning: "get: this torrent waits because others are downloading (-j)",
    },
    Line { event: "checking", fields: "", meaning: "existing data is being hashed" },
    Line {
        event: "checked",
        fields: "have, of",
        meaning: "have is the number of pieces already on disk, of the number of all pieces",
    },
    Line {
        event: "note",
        fields: "what",
        meaning: "a remark about the torrent, such as an option that has no effect on it",
    },
    Line {
        event: "stored_as",
        fields: "index, path, why",
        meaning: "a file is stored under another path than the torrent says, path below dir; index counts \
                  from 1 as in --list",
    },
    Line {
        event: "file_changed",
        fields: "index, path, gone, lost, of, again",
        meaning: "another program changed (or removed: gone) a file, and it was hashed again: lost of its pieces are \
                  wrong and no longer offered; again is true if they are downloaded again",
    },
    Line { event: "started", fields: "", meaning: "the download starts" },
    Line {
        event: "progress",
        fields: "phase, total, wanted, verified, pieces, pieces_total, checked, downloaded, uploaded, \
                 wasted, down_rate, up_rate, peers, seeds, known, blocked, metadata, metadata_total, elapsed, eta",
        meaning: "once a second if anything has changed, and when SIGUSR1 asks (of create and verify only phase, checked and pieces_total); phase is metadata, queued, checking, downloading, \
                  seeding, paused, stalled, failed or stopped; blocked counts the addresses refused because --blocklist \
                  or --allow blocks them, each time one is named; eta is absent while nothing arrives",
    },
    Line {
        event: "file",
        fields: "index, path",
        meaning: "a file is complete; index counts from 1 as in --list",
    },
    Line { event: "finished", fields: "took", meaning: "all selected files are complete and verified" },
    Line {
        event: "summary",
        fields: "name, path, size, verified, downloaded, uploaded, wasted, took, rate, connections, peers, \
                 blocked, left",
        meaning: "get, seed: the last line about a torrent; left lists the files that a complete download \
                  of selected files leaves beside the data, and is absent if there are none",
    },
    Line { event: "tracker", fields: "url, peers, interval, warning", meaning: "a tracker answered" },
    Line {
        event: "tracker_failed",
        fields: "url, why, retry",
        meaning: "a tracker did not answer, or refused; retry is the time until the next try, absent if \
                  there is none",
    },
    Line {
        event: "tracker_silent",
        fields: "url, waited",
        meaning: "a tracker has not answered yet; bitwren is still waiting",
    },
    Line { event: "peer_banned", fields: "peer, why", meaning: "a peer broke the protocol and is banned" },
    Line { event: "piece_failed", fields: "index, contributors", meaning: "a piece did not match its hash" },
    Line { event: "piece", fields: "index", meaning: "with -v: a piece was verified" },
    Line {
        event: "peer_connected",
        fields: "peer, incoming, encryption",
        meaning: "with -v: a peer connected; incoming is true if it connected to bitwren; encryption is none, \
                  handshake (what follows it is plain) or rc4 (everything)",
    },
    Line { event: "peer_gone", fields: "peer, why", meaning: "with -v: a peer disconnected" },
    Line {
        event: "sharing",
        fields: "name, url, others, size, pieces",
        meaning: "share: the .torrent is served at url, and at the URLs in others through other addresses \
                  of this machine",
    },
    Line {
        event: "guest",
        fields: "peer, whole, guests",
        meaning: "share: another machine has connected; guests is the number of machines so far, whole the \
                  number of those that have everything",
    },
    Line { event: "guest_done", fields: "peer, whole, guests", meaning: "share: the machine has everything" },
    Line { event: "shared", fields: "whole, uploaded", meaning: "share: the last line" },
    Line {
        event: "edited",
        fields: "path, before, changed",
        meaning: "edit: before is the info-hash before the change",
    },
    Line { event: "magnet", fields: "name, magnet", meaning: "magnet: the link" },
    Line {
        event: "storage_failed",
        fields: "why, exit",
        meaning: "a disk error: the torrent waits and continues by itself",
    },
    Line {
        event: "storage_recovered",
        fields: "",
        meaning: "the disk works again and the torrent continues",
    },
    Line {
        event: "device_lost",
        fields: "device, why",
        meaning: "get, seed: the network device of --device is down or gone, and nothing is sent",
    },
    Line {
        event: "device_found",
        fields: "device",
        meaning: "get, seed: the network device is up, and the run continues",
    },
    Line {
        event: "proxy_lost",
        fields: "proxy, why",
        meaning: "get, seed: the proxy cannot be reached or refuses the login; nothing goes another way",
    },
    Line { event: "proxy_found", fields: "proxy", meaning: "get, seed: the proxy works again" },
    Line { event: "paused", fields: "", meaning: "the torrent is paused" },
    Line { event: "resumed", fields: "", meaning: "the torrent is resumed" },
    Line {
        event: "seeding_done",
        fields: "why",
        meaning: "a seed limit is reached; why is ratio, time or idle",
    },
    Line { event: "failed", fields: "why, exit", meaning: "the torrent has failed" },
    Line {
        event: "stopped",
        fields: "saved",
        meaning: "the torrent has ended; saved is true if the resume state covers all verified data",
    },
    Line {
        event: "hook",
        fields: "name, exit",
        meaning: "the command of --on-complete ended; exit is absent if a signal ended it or it did not run",
    },
    Line { event: "list", fields: "index, path, size", meaning: "get --list: a file" },
    Line {
        event: "show",
        fields: "name, torrent, magnet, size, pieces, piece_length, private, source, comment, created_by, \
                 created, trackers, web_seeds, peers, nodes, select, files, links, warnings",
        meaning: "show: a torrent; created is seconds since 1970; trackers is a list of {tier, url}, files \
                  of {index, path, size}; fields that the torrent or the link does not have are absent",
    },
    Line {
        event: "verified_file",
        fields: "torrent, index, path, size, condition, bad_pieces, cannot_be_told",
        meaning: "verify: a file; condition is right, missing, wrong_length, damaged or cannot_be_told; \
                  cannot_be_told is the number of pieces that extend into missing data, and is present only \
                  with that condition",
    },
    Line {
        event: "verify",
        fields: "have, of, bad, good, cannot_be_told, untold, removed, took",
        meaning: "verify: the result, in pieces; bad lists the wrong pieces, counted from 0, such as 0-4,7; \
                  cannot_be_told is the number, and untold the list, of pieces that extend into missing \
                  data and cannot be checked; removed lists the files that --clean removed",
    },
    Line {
        event: "scrape",
        fields: "url, torrent, seeders, leechers, downloaded",
        meaning: "scrape: a tracker's answer; tracker_failed if there is none",
    },
    Line {
        event: "create",
        fields: "path, name, torrent, magnet, size, files, pieces, piece_length",
        meaning: "create: the torrent was made",
    },
    Line { event: "tracking", fields: "http, udp", meaning: "tracker: its announce URLs" },
    Line {
        event: "stats",
        fields: "torrents, seeders, leechers, connections, announces, scrapes, limited, hung_up",
        meaning: "tracker -v: every ten seconds if something has changed, and at the end; announces, \
                  scrapes, limited (requests over --rate) and hung_up (connections closed early to make \
                  room) count from the start",
    },
    Line {
        event: "warning",
        fields: "message",
        meaning: "every command: a doubtful option, environment variable or network condition; the run \
                  continues",
    },
    Line {
        event: "scrape_unknown",
        fields: "url, torrent",
        meaning: "scrape: the tracker does not know this info-hash",
    },
    Line {
        event: "error",
        fields: "message, exit",
        meaning: "the run failed; the same is on standard error",
    },
];

/// The documentation as a help text.
pub fn text() -> String {
    let mut out = format!("Lines of --json, version {SCHEMA} of the schema:\n\n");
    wrap(RULES, 78).iter().for_each(|line| out.push_str(&format!("  {line}\n")));
    for line in LINES {
        out.push_str(&format!("\n  {}\n", line.event));
        for (text, indent) in [(line.fields, 6), (line.meaning, 10)] {
            wrap(text, 80 - indent).iter().for_each(|line| out.push_str(&format!("{:indent$}{line}\n", "")));
        }
    }
    out
}
