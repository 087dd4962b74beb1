//! Reads a command line against the flag table.
//!
//! Takes `--opt=value`, `--opt value`, `-d DIR`, `-dDIR`, clustered letters (`-qd DIR`), `--` and the
//! `--no-` form of every switch; options and operands may be mixed after the command. The environment
//! fills in what the command line leaves open. Pure: the environment comes in as a function.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use bitwren::{Magnet, WebProxies};

use super::commands;
use super::commands::{COMMANDS, Entry};
use super::flags;
use super::flags::flag::{Flag, Kind};
use super::settings::{HelpLength, Settings};
use super::suggest;
use crate::cli::exit::Failure;
use crate::cli::output::text::printable;

/// What a command line asks for.
pub enum Parsed {
    /// Nothing: the command line is empty.
    Nothing,
    /// Help on a command, or on the program.
    Help(Option<&'static Entry>, HelpLength),
    /// The version.
    Version,
    /// To run a command.
    Run(Box<Invocation>),
}

/// A command with its settings and its operands.
pub struct Invocation {
    pub entry: &'static Entry,
    pub settings: Settings,
    pub operands: Vec<OsString>,
}

/// An option as it was found.
struct Found {
    flag: &'static Flag,
    /// How it was written, for messages.
    written: String,
    input: Input,
}

enum Input {
    Switch(bool),
    Value(OsString),
    Pair(OsString, OsString),
}

/// Parses the arguments after the program's name.
pub fn parse(args: Vec<OsString>, env: impl Fn(&str) -> Option<OsString>) -> Result<Parsed, Failure> {
    let mut args = args.into_iter();
    let Some(first) = args.next() else {
        return Ok(Parsed::Nothing);
    };
    match first.to_str() {
        Some("-h") => return Ok(Parsed::Help(None, HelpLength::Short)),
        Some("--help") => return Ok(Parsed::Help(None, HelpLength::Long)),
        Some("-V" | "--version") => return Ok(Parsed::Version),
        _ => {}
    }
    let entry = first.to_str().and_then(commands::find).ok_or_else(|| no_command(&first))?;
    let (found, operands) = scan(entry, args)?;
    let mut settings = Settings::default();
    from_environment(entry, &found, &mut settings, &env)?;
    for one in &found {
        apply(one.flag, &one.input, &one.written, &mut settings)?;
    }
    if let Some(length) = settings.help {
        return Ok(Parsed::Help(Some(entry), length));
    }
    if settings.version {
        return Ok(Parsed::Version);
    }
    web_proxies(entry, &mut settings, &env)?;
    check_operands(entry, &operands)?;
    Ok(Parsed::Run(Box::new(Invocation { entry, settings, operands })))
}

/// Sorts what follows the command into options and operands.
fn scan(
    entry: &'static Entry,
    mut args: impl Iterator<Item = OsString>,
) -> Result<(Vec<Found>, Vec<OsString>), Failure> {
    let (mut found, mut operands) = (Vec::new(), Vec::new());
    while let Some(arg) = args.next() {
        match arg.as_bytes() {
            b"--" => operands.extend(args.by_ref()),
            [b'-', b'-', long @ ..] => found.push(scan_long(entry, long, &mut args)?),
            [b'-', letters @ ..] if !letters.is_empty() => {
                scan_letters(entry, letters, &mut args, &mut found)?
            }
            _ => operands.push(arg),
        }
    }
    Ok((found, operands))
}

fn scan_long(
    entry: &Entry,
    long: &[u8],
    args: &mut impl Iterator<Item = OsString>,
) -> Result<Found, Failure> {
    let cut = long.iter().position(|b| *b == b'=');
    let (name, joined) = match cut {
        Some(at) => (long.get(..at).unwrap_or(long), long.get(at + 1..).map(OsStr::from_bytes)),
        None => (long, None),
    };
    let name = String::from_utf8_lossy(name).into_owned();
    let written = format!("--{name}");
    let (flag, on) = lookup(entry, &name).ok_or_else(|| unknown(entry, &name))?;
    let input = match flag.value() {
        None if joined.is_some() => return Err(Failure::usage(format_args!("{written} takes no value"))),
        None => Input::Switch(on),
        Some(value) => {
            let mut next = || args.next().ok_or_else(|| missing(&written, value));
            let first = joined.map_or_else(&mut next, |joined| Ok(joined.to_owned()))?;
            match flag.kind {
                Kind::Pair { .. } => Input::Pair(first, next()?),
                _ => Input::Value(first),
            }
        }
    };
    Ok(Found { flag, written, input })
}

fn scan_letters(
    entry: &Entry,
    letters: &[u8],
    args: &mut impl Iterator<Item = OsString>,
    found: &mut Vec<Found>,
) -> Result<(), Failure> {
    for (at, &letter) in letters.iter().enumerate() {
        let written = format!("-{}", letter as char);
        let flag = flags::of(entry.command).find(|flag| flag.short == Some(letter as char));
        let flag = flag.ok_or_else(|| unknown_letter(entry, letters))?;
        let Some(value) = flag.value() else {
            // The single letter asks for the short help.
            found.push(Found { flag, written, input: Input::Switch(flag.long != "help") });
            continue;
        };
        let rest = letters.get(at + 1..).unwrap_or_default();
        let value = match rest.strip_prefix(b"=").unwrap_or(rest) {
            [] if rest.is_empty() => args.next().ok_or_else(|| missing(&written, value))?,
            rest => OsStr::from_bytes(rest).to_owned(),
        };
        // No option of one letter takes two.
        found.push(Found { flag, written, input: Input::Value(value) });
        return Ok(());
    }
    Ok(())
}

/// The option of a long name, and whether the name turns it on.
fn lookup(entry: &Entry, name: &str) -> Option<(&'static Flag, bool)> {
    let straight = flags::of(entry.command).find(|flag| flag.long == name).map(|flag| (flag, true));
    straight.or_else(|| {
        let turned = flags::of(entry.command).find(|flag| flags::opposite(flag).as_deref() == Some(name));
        turned.map(|flag| (flag, false))
    })
}

/// Applies the environment variables of the options that are not on the command line.
fn from_environment(
    entry: &Entry,
    found: &[Found],
    settings: &mut Settings,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<(), Failure> {
    for flag in flags::of(entry.command) {
        if found.iter().any(|one| std::ptr::eq(one.flag, flag)) {
            continue;
        }
        let straight = flag.env().map(|name| (name, true));
        let turned = flags::opposite(flag)
            .map(|name| (format!("BITWREN_{}", name.replace('-', "_").to_uppercase()), false));
        for (name, on) in straight.into_iter().chain(turned) {
            let Some(value) = env(&name).filter(|value| !value.is_empty()) else { continue };
            match flag.kind {
                Kind::Switch(_) => {
                    let said = truth(&value).ok_or_else(|| bad(&name, &value, "1 or 0"))?;
                    apply(flag, &Input::Switch(said == on), &name, settings)?;
                }
                Kind::Value { .. } => apply(flag, &Input::Value(value), &name, settings)?,
                Kind::List { .. } => {
                    for part in parts_of(&value) {
                        apply(flag, &Input::Value(part), &name, settings)?;
                    }
                }
                Kind::Pair { names, .. } => {
                    let mut parts = parts_of(&value);
                    while let Some(first) = parts.next() {
                        let second = parts.next().ok_or_else(|| bad(&name, &value, names))?;
                        apply(flag, &Input::Pair(first, second), &name, settings)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The proxies that the environment names for all programs, where no option says otherwise.
fn web_proxies(
    entry: &Entry,
    settings: &mut Settings,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<(), Failure> {
    let egress = &mut settings.transfer.egress;
    if !flags::of(entry.command).any(|flag| flag.long == "proxy") || !egress.asks_environment() {
        return Ok(());
    }
    let text = |name: &str| env(name).map(|value| value.to_string_lossy().into_owned());
    egress.web_proxies = WebProxies::from_variables(text)
        .map_err(|error| Failure::usage(format_args!("{error}; --no-proxy ignores the environment")))?;
    Ok(())
}

/// The values in a variable that holds several, separated by spaces.
fn parts_of(value: &OsStr) -> impl Iterator<Item = OsString> {
    let parts = value.as_bytes().split(u8::is_ascii_whitespace).filter(|part| !part.is_empty());
    parts.map(|part| OsStr::from_bytes(part).to_owned())
}

fn apply(flag: &Flag, input: &Input, written: &str, settings: &mut Settings) -> Result<(), Failure> {
    match (&flag.kind, input) {
        (Kind::Switch(set), Input::Switch(on)) => {
            set(settings, *on);
            Ok(())
        }
        (Kind::Value { set: read, .. } | Kind::List { add: read, .. }, Input::Value(value)) => {
            read(settings, value).map_err(|wanted| bad(written, value, &wanted))
        }
        (Kind::Pair { add, .. }, Input::Pair(first, second)) => {
            add(settings, first, second).map_err(|wanted| {
                let both = match first.is_empty() {
                    true => first.to_owned(),
                    false => [first.as_os_str(), second].join(OsStr::new(" ")),
                };
                bad(written, &both, &wanted)
            })
        }
        (_, Input::Switch(_) | Input::Value(_) | Input::Pair(..)) => Ok(()),
    }
}

fn truth(value: &OsStr) -> Option<bool> {
    match value.to_str()?.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn check_operands(entry: &Entry, operands: &[OsString]) -> Result<(), Failure> {
    let (least, most) = entry.count;
    let name = entry.name;
    if operands.len() < least {
        return Err(Failure::usage(format_args!("{name} needs {}; try bitwren help {name}", entry.takes)));
    }
    match operands.get(most) {
        Some(word) => {
            Err(Failure::usage(format_args!("{name} does not take {}; try bitwren help {name}", shown(word))))
        }
        None => Ok(()),
    }
}

fn bad(written: &str, value: &OsStr, wanted: &str) -> Failure {
    if value.is_empty() {
        return Failure::usage(format_args!("{written} must not be empty"));
    }
    Failure::usage(format_args!("{written}: {} is not {wanted}", shown(value)))
}

fn missing(written: &str, value: &str) -> Failure {
    Failure::usage(format_args!("{written} needs a value: {written} {value}"))
}

fn no_command(word: &OsStr) -> Failure {
    let name = word.to_string_lossy();
    if name.starts_with('-') && name.len() > 1 {
        return Failure::usage(format_args!(
            "option {} before the command; write bitwren COMMAND [OPTIONS]",
            shown(word)
        ));
    }
    if name.ends_with(".torrent") || name.contains("://") || name == "-" || Magnet::is_meant(&name) {
        return Failure::usage(format_args!(
            "{} is not a command; to download it: bitwren get {}",
            shown(word),
            quoted(&name)
        ));
    }
    let hint = match suggest::nearest(&name, COMMANDS.iter().map(|entry| entry.name)) {
        Some(near) => format!("did you mean {near}?"),
        None => "bitwren help lists the commands".to_owned(),
    };
    Failure::usage(format_args!("unknown command {}; {hint}", shown(word)))
}

fn unknown(entry: &Entry, name: &str) -> Failure {
    // Never suggest the opposite: --no-… is suggested only for what begins with "no". The opposite of a
    // --no-… option is the default and not in the help.
    let opposites = flags::of(entry.command).filter_map(flags::opposite).filter(|it| it.starts_with("no-"));
    let known: Vec<String> = flags::of(entry.command)
        .map(|flag| flag.long.to_owned())
        .chain(opposites)
        .filter(|known| known.starts_with("no-") == name.starts_with("no"))
        .collect();
    let elsewhere = COMMANDS.iter().find(|other| lookup(other, name).is_some());
    let hint = match (suggest::nearest(name, known.iter().map(String::as_str)), elsewhere) {
        (_, Some(other)) => {
            format!("it is an option of {}; try bitwren help {}", other.name, entry.name)
        }
        (Some(near), None) => format!("did you mean --{near}?"),
        (None, None) => format!("try bitwren help {}", entry.name),
    };
    Failure::usage(format_args!("{} has no option --{}; {hint}", entry.name, printable(name)))
}

fn unknown_letter(entry: &Entry, letters: &[u8]) -> Failure {
    let written = String::from_utf8_lossy(letters).into_owned();
    // `-dir` is most likely meant as `--dir`.
    let hint = match suggest::nearest(&written, flags::of(entry.command).map(|flag| flag.long)) {
        Some(near) if written.len() > 1 => format!("did you mean --{near}?"),
        _ => format!("try bitwren help {}", entry.name),
    };
    Failure::usage(format_args!("{} has no option -{}; {hint}", entry.name, printable(&written)))
}

/// A word as a shell takes it, to be copied from a message.
pub fn quoted(word: &str) -> String {
    format!("'{}'", printable(word).replace('\'', "'\\''"))
}

fn shown(word: &OsStr) -> String {
    format!("{:?}", printable(&word.to_string_lossy())).replace("\\\\u", "\\u")
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
