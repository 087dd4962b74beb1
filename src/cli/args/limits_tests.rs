//! Every option that takes a number, a size, a rate or a time, at the limits of what it may be: the list
//! is made from the flag table, so that no option is forgotten.

use std::ffi::OsString;

use super::commands::COMMANDS;
use super::flags;
use super::flags::flag::{Flag, Kind};
use super::parse::{Parsed, parse};
use crate::cli::exit::Code;

/// What values with a number in them are called in the help, as the runs of the program look for them
/// there (`tests/it/cli/limits.rs`).
const NUMBERS: [&str; 8] = ["PORT", "N", "SIZE", "RATE", "DURATION", "MIN", "R", "CLASS"];

/// Numbers at the edges of every type, and what is none.
const EDGES: [&str; 38] = [
    "0",
    "1",
    "2",
    "-1",
    "-0",
    "+1",
    "00",
    "0.0",
    "0.5",
    "1.5",
    ".",
    "1e9",
    "1e999",
    "nan",
    "inf",
    "٣",
    "999",
    "1000",
    "1001",
    "10000",
    "10001",
    "65535",
    "65536",
    "1000000",
    "1000001",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "16777215T",
    "16777216T",
    "213503982334601d",
    "5124095576030431h",
    "18446744073709551615s",
    "999999999",
];

fn accepts(command: &str, flag: &Flag, value: &str) -> Result<(), String> {
    let args = [command, &format!("--{}={value}", flag.long), "word"];
    let args = args.iter().take(if command == "tracker" { 2 } else { 3 }).map(OsString::from).collect();
    match parse(args, |_| None) {
        Ok(Parsed::Run(_)) => Ok(()),
        Ok(_) => panic!("--{} asks for help", flag.long),
        Err(failure) => {
            assert_eq!(failure.code, Code::OPTION);
            Err(failure.why.unwrap())
        }
    }
}

/// The options with a number in their value, by command: they take one, and no word.
fn numeric() -> impl Iterator<Item = (&'static str, &'static Flag)> {
    let all = COMMANDS.iter().flat_map(|entry| flags::of(entry.command).map(|flag| (entry.name, flag)));
    all.filter(|(command, flag)| {
        let one = matches!(flag.kind, Kind::Value { .. } | Kind::List { .. });
        one && accepts(command, flag, "1048576").or_else(|_| accepts(command, flag, "1")).is_ok()
            && accepts(command, flag, "word").is_err()
    })
}

#[test]
fn a_number_is_called_what_the_runs_look_for() {
    for (command, flag) in numeric() {
        assert!(flag.value().is_some_and(|name| NUMBERS.contains(&name)), "{command} --{}", flag.long);
    }
    assert!(numeric().count() >= 25, "{}", numeric().count());
}

#[test]
fn at_every_edge_a_number_is_taken_or_refused_in_a_line() {
    let long = "9".repeat(400);
    for (command, flag) in numeric() {
        let mut taken = 0;
        for value in EDGES.into_iter().chain([long.as_str()]) {
            match accepts(command, flag, value) {
                Ok(()) => taken += 1,
                Err(why) => {
                    assert!(why.starts_with(&format!("--{}: ", flag.long)) && !why.contains('\n'), "{why}")
                }
            }
        }
        assert!(taken > 0, "{command} --{}", flag.long);
        for never in ["-1", "1e9", "nan", "inf", "٣", "."] {
            assert!(accepts(command, flag, never).is_err(), "{command} --{} {never}", flag.long);
        }
    }
}

#[test]
fn a_range_is_the_one_that_the_refusal_names() {
    let mut ranges = 0;
    for (command, flag) in numeric() {
        let why = accepts(command, flag, "x").unwrap_err();
        let Some((_, range)) = why.split_once(" is not a number from ") else { continue };
        let (least, most) = range.split_once(" to ").unwrap();
        let (least, most): (u64, u64) = (least.parse().unwrap(), most.parse().unwrap());
        for good in [least, most] {
            assert_eq!(accepts(command, flag, &good.to_string()), Ok(()), "--{}", flag.long);
        }
        for bad in least.checked_sub(1).into_iter().chain([most + 1]) {
            assert!(accepts(command, flag, &bad.to_string()).is_err(), "--{} {bad}", flag.long);
        }
        ranges += 1;
    }
    assert!(ranges >= 8);
}
