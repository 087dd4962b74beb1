use std::path::Path;
use std::time::Duration;

use super::*;
use crate::cli::exit::Code;
use crate::cli::output::screen::Verbosity;

fn parse_with(args: &[&str], env: &[(&str, &str)]) -> Result<Parsed, Failure> {
    parse(args.iter().map(OsString::from).collect(), |name| {
        env.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    })
}

#[track_caller]
fn line(args: &[&str]) -> Invocation {
    line_with(args, &[])
}

#[track_caller]
fn line_with(args: &[&str], env: &[(&str, &str)]) -> Invocation {
    match parse_with(args, env) {
        Ok(Parsed::Run(invocation)) => *invocation,
        Ok(_) => panic!("{args:?} asks for help"),
        Err(failure) => panic!("{args:?}: {failure:?}"),
    }
}

#[track_caller]
fn refusal(args: &[&str], env: &[(&str, &str)]) -> String {
    let failure = parse_with(args, env).err().unwrap_or_else(|| panic!("{args:?} is taken"));
    assert_eq!(failure.code, Code::OPTION);
    let why = failure.why.unwrap();
    assert!(!why.contains('\n') && !why.is_empty());
    why
}

#[test]
fn a_value_may_be_joined_or_follow() {
    for args in [
        ["get", "--dir=/x", "t"].as_slice(),
        &["get", "--dir", "/x", "t"],
        &["get", "-d", "/x", "t"],
        &["get", "-d/x", "t"],
        &["get", "-d=/x", "t"],
        &["get", "t", "-qd/x"],
        &["get", "-vqd", "/x", "--", "t"],
    ] {
        let line = line(args);
        assert_eq!(
            (line.settings.transfer.storage.dir.as_path(), line.operands.len()),
            (Path::new("/x"), 1),
            "{args:?}"
        );
    }
    assert_eq!(line(&["get", "--dir=a=b", "t"]).settings.transfer.storage.dir, Path::new("a=b"));
    assert_eq!(line(&["get", "--dir", "--json", "t"]).settings.transfer.storage.dir, Path::new("--json"));
}

#[test]
fn a_limit_of_zero_is_no_limit() {
    let settings = line(&["get", "--max-time", "0", "--down=0", "--up=0", "--max-memory", "0", "t"]).settings;
    assert_eq!(
        (
            settings.transfer.max_time,
            settings.transfer.limits.down,
            settings.transfer.limits.up,
            settings.transfer.limits.max_memory
        ),
        (None, 0, 0, 0)
    );
}

#[test]
fn words_after_two_dashes_are_words() {
    let line = line(&["get", "a", "--", "--json", "-q", "-"]);
    assert_eq!(line.operands, ["a", "--json", "-q", "-"]);
    assert!(!line.settings.output.json);
}

#[test]
fn every_switch_can_be_said_both_ways() {
    assert!(!line(&["get", "--no-resume", "t"]).settings.transfer.storage.resume);
    assert!(line(&["get", "--no-resume", "--resume", "t"]).settings.transfer.storage.resume);
    assert!(!line(&["get", "--seed", "--no-seed", "t"]).settings.get.seed);
    for entry in COMMANDS {
        for flag in flags::of(entry.command) {
            let names = [Some(flag.long.to_owned()), flags::opposite(flag)];
            assert!(
                names
                    .iter()
                    .flatten()
                    .all(|name| lookup(entry, name).is_some_and(|(f, _)| std::ptr::eq(f, flag)))
            );
        }
    }
}

#[test]
fn the_options_reach_the_settings() {
    let settings = line(&[
        "get",
        "--down",
        "2M",
        "--up=500K",
        "--peer",
        "a:1",
        "--peer",
        "[::1]:2",
        "--tracker",
        "udp://t:1",
        "--no-tracker",
        "--bind",
        "127.0.0.1",
        "--max-time",
        "1h30m",
        "--seed-ratio",
        "1.5",
        "--seed-time",
        "2",
        "--select",
        "1-4,8",
        "-v",
        "--no-dht",
        "--dht-node",
        "[::1]:6881",
        "--no-lsd",
        "--no-portmap",
        "--port",
        "0",
        "--max-peers",
        "7",
        "t",
    ])
    .settings;
    assert_eq!((settings.transfer.limits.down, settings.transfer.limits.up), (2 << 20, 500 << 10));
    assert_eq!(settings.transfer.sources.peers, ["a:1", "[::1]:2"]);
    assert_eq!(
        (settings.transfer.sources.trackers.len(), settings.transfer.sources.use_trackers),
        (1, false)
    );
    assert_eq!(
        (settings.transfer.sources.dht, &settings.transfer.sources.dht_nodes[..]),
        (false, &["[::1]:6881".to_owned()][..])
    );
    assert_eq!(settings.transfer.max_time, Some(Duration::from_secs(5400)));
    assert_eq!(
        (settings.transfer.seed_limits.ratio, settings.transfer.seed_limits.time),
        (Some(1.5), Some(Duration::from_secs(120)))
    );
    assert_eq!(
        (settings.output.verbosity, settings.transfer.listen.port, settings.transfer.limits.max_peers),
        (Verbosity::Verbose, Some(0), 7)
    );
}

#[test]
fn the_environment_fills_in_and_the_command_line_wins() {
    let env = [
        ("BITWREN_DIR", "/env"),
        ("BITWREN_NO_RESUME", "1"),
        ("BITWREN_SEED", "yes"),
        ("BITWREN_PEER", "a:1 b:2"),
        ("BITWREN_PIECE_LENGTH", "nonsense that get does not look at"),
        ("BITWREN_HELP", "1"),
        ("BITWREN_UP", ""),
    ];
    let from_env = line_with(&["get", "t"], &env).settings;
    assert_eq!(
        (from_env.transfer.storage.dir.as_path(), from_env.transfer.storage.resume, from_env.get.seed),
        (Path::new("/env"), false, true)
    );
    assert_eq!(from_env.transfer.sources.peers, ["a:1", "b:2"]);
    let both =
        line_with(&["get", "-d", "/here", "--no-seed", "--resume", "--peer", "c:3", "t"], &env).settings;
    assert_eq!(
        (both.transfer.storage.dir.as_path(), both.transfer.storage.resume, both.get.seed),
        (Path::new("/here"), true, false)
    );
    assert_eq!(both.transfer.sources.peers, ["c:3"]);
    assert!(!line_with(&["get", "t"], &[("BITWREN_RESUME", "0")]).settings.transfer.storage.resume);
}

#[test]
fn a_bad_value_is_told_with_where_it_stands() {
    assert_eq!(
        refusal(&["get", "--down", "fast", "t"], &[]),
        "--down: \"fast\" is not a rate; write bytes a second such as 500K or 2M (MiB/s), 0 for no limit"
    );
    assert!(
        refusal(&["get", "t"], &[("BITWREN_PORT", "x")]).starts_with("BITWREN_PORT: \"x\" is not a number")
    );
    assert!(refusal(&["get", "t"], &[("BITWREN_JSON", "maybe")]).ends_with("is not 1 or 0"));
    assert_eq!(refusal(&["get", "t", "--dir"], &[]), "--dir needs a value: --dir DIR");
    assert_eq!(refusal(&["get", "t", "-d"], &[]), "-d needs a value: -d DIR");
    assert_eq!(refusal(&["get", "--json=1", "t"], &[]), "--json takes no value");
    assert!(!refusal(&["get", "--down", "\x1b[2J", "t"], &[]).contains('\x1b'));
}

#[test]
fn what_is_misspelt_is_guessed() {
    assert_eq!(
        refusal(&["get", "--sequental", "t"], &[]),
        "get has no option --sequental; did you mean --sequential?"
    );
    assert_eq!(refusal(&["get", "-dri", "t", "-x"], &[]), "get has no option -x; try bitwren help get");
    assert!(refusal(&["show", "-json", "t"], &[]).ends_with("did you mean --json?"));
    assert!(refusal(&["get", "--piece-length", "1M"], &[]).contains("option of create"));
    assert!(refusal(&["get", "--zzzzzz", "t"], &[]).ends_with("try bitwren help get"));
    assert!(refusal(&["gte", "t"], &[]).ends_with("did you mean get?"));
    assert!(refusal(&["x.torrent"], &[]).ends_with("bitwren get 'x.torrent'"));
    assert!(
        refusal(&["magnet:?xt=urn:btih:ab&dn=it's"], &[])
            .ends_with("get 'magnet:?xt=urn:btih:ab&dn=it'\\''s'")
    );
    assert!(refusal(&["0123456789abcdef0123456789abcdef01234567"], &[]).contains("bitwren get '0123"));
    assert!(refusal(&["--json", "get"], &[]).contains("COMMAND"));
}

#[test]
fn the_opposite_of_an_option_is_never_suggested() {
    for entry in COMMANDS {
        for flag in flags::of(entry.command) {
            // Everything one letter away from a name that begins like it.
            for name in [Some(flag.long.to_owned()), flags::opposite(flag)].into_iter().flatten() {
                let missing = &name[..name.len() - 1];
                let typed = format!("--{missing}");
                let Err(failure) = parse_with(&[entry.name, &typed, "t"], &[]) else { continue };
                let why = failure.why.unwrap();
                if let Some((_, near)) = why.split_once("did you mean --") {
                    assert_eq!(near.starts_with("no-"), missing.starts_with("no"), "{why}");
                }
            }
        }
    }
    assert!(!refusal(&["get", "--bt-tracker", "t"], &[]).contains("no-tracker"));
    assert!(!refusal(&["get", "--resum", "t"], &[]).contains("did you mean"));
    assert!(refusal(&["get", "--no-rsume", "t"], &[]).contains("--no-resume"));
    assert!(refusal(&["get", "--nodht", "t"], &[]).contains("--no-dht"));
}

#[test]
fn a_value_that_is_empty_is_said_to_be() {
    for (args, option) in [
        (["get", "--select", "", "t"].as_slice(), "--select"),
        (&["get", "--down=", "t"], "--down"),
        (&["get", "-d", "", "t"], "-d"),
        (&["create", "--name", "", "t"], "--name"),
        (&["edit", "--replace-tracker", "", "x", "t"], "--replace-tracker"),
    ] {
        assert_eq!(refusal(args, &[]), format!("{option} must not be empty"));
    }
    assert!(refusal(&["create", "--name", " ", "t"], &[]).contains("must not be blank"));
}

#[test]
fn the_number_of_words_is_checked() {
    assert!(refusal(&["get"], &[]).contains("TORRENT"));
    assert!(refusal(&["tracker", "x"], &[]).contains("does not take \"x\""));
    assert!(matches!(parse_with(&[], &[]), Ok(Parsed::Nothing)));
}

#[test]
fn help_and_version_go_before_everything_but_a_bad_option() {
    assert!(matches!(parse_with(&["get", "-h"], &[]), Ok(Parsed::Help(Some(_), HelpLength::Short))));
    assert!(matches!(parse_with(&["get", "--help"], &[]), Ok(Parsed::Help(Some(_), HelpLength::Long))));
    assert!(matches!(parse_with(&["--help"], &[]), Ok(Parsed::Help(None, HelpLength::Long))));
    assert!(matches!(parse_with(&["show", "-V"], &[]), Ok(Parsed::Version)));
}

#[test]
fn bytes_that_are_not_text_are_taken_for_paths_and_refused_elsewhere() {
    let raw = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let args = vec!["get".into(), raw(b"--dir=/\xff"), raw(b"\xfe")];
    let Ok(Parsed::Run(line)) = parse(args, |_| None) else { panic!("refused") };
    assert_eq!(line.settings.transfer.storage.dir.as_os_str().as_bytes(), b"/\xff");
    assert!(parse(vec!["get".into(), raw(b"--down=\xff"), "t".into()], |_| None).is_err());
    assert!(parse(vec!["get".into(), raw(b"--\xff"), "t".into()], |_| None).is_err());
    assert!(parse(vec!["get".into(), raw(b"-\xff"), "t".into()], |_| None).is_err());
    assert!(parse(vec![raw(b"\xff")], |_| None).is_err());
}
