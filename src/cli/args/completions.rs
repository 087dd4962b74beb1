//! Completion scripts for bash, zsh and fish, made from the tables.

use super::commands::{COMMANDS, Command, Entry, Operand};
use super::flags;
use super::flags::flag::{Flag, Hint};

/// The script for a shell, where there is one.
pub fn script(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(zsh()),
        "fish" => Some(fish()),
        _ => None,
    }
}

/// The words that an operand is completed with.
fn operands(entry: &Entry) -> Vec<&'static str> {
    match entry.operand {
        Operand::OneOf(words) if entry.command == Command::Help => {
            COMMANDS.iter().map(|entry| entry.name).chain(words.iter().copied()).collect()
        }
        Operand::OneOf(words) => words.to_vec(),
        _ => Vec::new(),
    }
}

/// The options of a command that the help names, each with its names: `-d`, `--dir`, and `--no-private`
/// where the help says that there is one.
fn options(entry: &Entry) -> impl Iterator<Item = (&'static Flag, Vec<String>)> {
    flags::shown(entry.command).map(|flag| {
        let short = flag.short.map(|c| format!("-{c}"));
        let names = [flag.long.to_owned()].into_iter().chain(flags::shown_opposite(flag));
        (flag, short.into_iter().chain(names.map(|name| format!("--{name}"))).collect())
    })
}

/// What bash does once it knows the command and the word before the one that is completed. A word
/// may hold blanks, so candidates are read line by line.
const BASH_END: &str = r#"    esac
    case $kind in
        option) mapfile -t COMPREPLY < <(compgen -W "$opts" -- "$cur") ;;
        dir) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        file) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        torrent)
            mapfile -t COMPREPLY < <(compgen -f -X '!*.torrent' -- "$cur"; compgen -d -- "$cur")
            if [[ ${#COMPREPLY[@]} -eq 0 ]]; then mapfile -t COMPREPLY < <(compgen -f -- "$cur"); fi
            ;;
        word) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
    esac
    if [[ $kind == dir || $kind == file || $kind == torrent ]]; then compopt -o filenames; fi
    COMPREPLY=("${COMPREPLY[@]/#/$stem}")
}
complete -F _bitwren bitwren
"#;

/// The start, up to the names of the commands. By default bash passes `--dir=x` as three words.
const BASH_START: &str = r#"_bitwren() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} opts='' words='' kind='' stem=''
    COMPREPLY=()
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*} stem=${cur%%=*}= cur=${cur#*=}
    elif [[ $cur == = ]]; then
        cur=''
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
"#;

fn bash() -> String {
    let names: Vec<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
    let mut out = format!(
        "{BASH_START}    if [[ $COMP_CWORD -eq 1 ]]; then\n        mapfile -t COMPREPLY < <(compgen -W '{} \
         --help --version' -- \"$cur\")\n        return\n    fi\n    case ${{COMP_WORDS[1]}} in\n",
        names.join(" ")
    );
    for entry in COMMANDS {
        let opts: Vec<String> = options(entry).flat_map(|(_, names)| names).collect();
        let kind = match entry.operand {
            Operand::Torrent => "torrent",
            Operand::Path => "file",
            Operand::OneOf(_) | Operand::Nothing => "word",
        };
        out.push_str(&format!(
            "        {}) opts='{}' words='{}' kind='{kind}' ;;\n",
            entry.name,
            opts.join(" "),
            operands(entry).join(" ")
        ));
    }
    out.push_str(
        "    esac\n    if [[ $cur == -* ]]; then kind=option; fi\n    case ${COMP_WORDS[1]}:$prev in\n",
    );
    for entry in COMMANDS {
        for (hint, kind) in [(Hint::Dir, "dir"), (Hint::File, "file"), (Hint::None, "nothing")] {
            let taking = options(entry).filter(|(flag, _)| flag.value().is_some() && flag.hint() == hint);
            let names = taking.flat_map(|(_, names)| names).map(|name| format!("{}:{name}", entry.name));
            let names = names.collect::<Vec<_>>().join("|");
            if !names.is_empty() {
                out.push_str(&format!("        {names}) kind='{kind}' ;;\n"));
            }
        }
    }
    for entry in COMMANDS {
        for (flag, names) in options(entry) {
            let Hint::OneOf(words) = flag.hint() else { continue };
            let names =
                names.iter().map(|name| format!("{}:{name}", entry.name)).collect::<Vec<_>>().join("|");
            out.push_str(&format!("        {names}) kind='word' words='{}' ;;\n", words.join(" ")));
        }
    }
    out.push_str(BASH_END);
    out
}

fn zsh() -> String {
    let mut out = String::from("#compdef bitwren\n_bitwren() {\n  local -a commands\n  commands=(\n");
    for entry in COMMANDS {
        out.push_str(&format!("    {}\n", quoted(&format!("{}:{}", entry.name, entry.summary))));
    }
    out.push_str(
        "  )\n  local -a options\n  options=('--help:Print help' '--version:Print version and features')\n  \
         if (( CURRENT == 2 )); then\n    _describe -o option options\n    _describe command commands\n    \
         return\n  fi\n  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n",
    );
    for entry in COMMANDS {
        out.push_str(&format!("    {})\n      _arguments -s", entry.name));
        for (flag, names) in options(entry) {
            let help = flag.help.replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
            let action = match (flag.value(), flag.hint()) {
                (None, _) => String::new(),
                (Some(name), Hint::Dir) => format!(":{name}:_files -/"),
                (Some(name), Hint::File) => format!(":{name}:_files"),
                (Some(name), Hint::None) => format!(":{}: ", name.replace(':', "\\:")),
                (Some(name), Hint::OneOf(words)) => format!(":{name}:({})", words.join(" ")),
            };
            for name in names {
                let joined = if action.is_empty() || !name.starts_with("--") { "" } else { "=" };
                out.push_str(&format!(
                    " \\\n        {}",
                    quoted(&format!("*{name}{joined}[{help}]{action}"))
                ));
            }
        }
        let rest = match entry.operand {
            // Torrents and directories first, other files if there are none.
            Operand::Torrent => "'*:torrent:_files -g \"*.torrent\"'".to_owned(),
            Operand::Path => "'*:file:_files'".to_owned(),
            Operand::OneOf(_) => quoted(&format!("*:word:({})", operands(entry).join(" "))),
            Operand::Nothing => String::new(),
        };
        if !rest.is_empty() {
            out.push_str(&format!(" \\\n        {rest}"));
        }
        out.push_str("\n      ;;\n");
    }
    out.push_str("  esac\n}\nif [ \"$funcstack[1]\" = _bitwren ]; then\n  _bitwren \"$@\"\nelse\n  compdef _bitwren bitwren\nfi\n");
    out
}

fn fish() -> String {
    let mut out = String::from(
        "complete -c bitwren -f\n\
         complete -c bitwren -n __fish_use_subcommand -s h -l help -d 'Print help'\n\
         complete -c bitwren -n __fish_use_subcommand -s V -l version -d 'Print version and features'\n",
    );
    for entry in COMMANDS {
        out.push_str(&format!(
            "complete -c bitwren -n __fish_use_subcommand -a {} -d {}\n",
            entry.name,
            quoted(entry.summary)
        ));
    }
    for entry in COMMANDS {
        let when = format!("complete -c bitwren -n '__fish_seen_subcommand_from {}'", entry.name);
        match entry.operand {
            Operand::Torrent => {
                out.push_str(&format!("{when} -k -a '(__fish_complete_suffix .torrent)'\n"));
            }
            Operand::Path => out.push_str(&format!("{when} -F\n")),
            Operand::OneOf(_) => out.push_str(&format!("{when} -a {}\n", quoted(&operands(entry).join(" ")))),
            Operand::Nothing => {}
        }
        for (flag, _) in options(entry) {
            let short = flag.short.map_or_else(String::new, |c| format!(" -s {c}"));
            let takes = match (flag.value(), flag.hint()) {
                (None, _) => String::new(),
                (Some(_), Hint::Dir) => " -x -a '(__fish_complete_directories)'".to_owned(),
                (Some(_), Hint::File) => " -r -F".to_owned(),
                (Some(_), Hint::None) => " -x".to_owned(),
                (Some(_), Hint::OneOf(words)) => format!(" -x -a {}", quoted(&words.join(" "))),
            };
            out.push_str(&format!("{when}{short} -l {}{takes} -d {}\n", flag.long, quoted(flag.help)));
            if let Some(name) = flags::shown_opposite(flag) {
                out.push_str(&format!("{when} -l {name} -d {}\n", quoted(flag.help)));
            }
        }
    }
    out
}

/// In single quotes; the tables hold none (a test sees to it), since shells escape them differently.
fn quoted(text: &str) -> String {
    format!("'{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_can_be_quoted() {
        let helps = flags::all().map(|flag| flag.help).chain(COMMANDS.iter().map(|entry| entry.summary));
        // An apostrophe would end the quotes.
        assert_eq!(helps.filter(|help| help.contains(['\'', '\\'])).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn every_option_of_every_command_is_completed() {
        for shell in crate::cli::args::commands::SHELLS {
            let script = script(shell).unwrap();
            for flag in flags::all().filter(|flag| !flag.is_hidden()) {
                let name =
                    if *shell == "fish" { format!("-l {}", flag.long) } else { format!("--{}", flag.long) };
                assert!(script.contains(&name), "{shell} {name}");
            }
        }
        for shell in crate::cli::args::commands::SHELLS {
            let script = script(shell).unwrap();
            assert!(script.contains("no-private") && script.contains("portmap"), "{shell}");
        }
        assert!(script("tcsh").is_none());
    }
}
