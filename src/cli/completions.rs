//! Completion scripts for bash, zsh and fish, made from the tables.

use super::commands::{COMMANDS, Command, Entry, Operand};
use super::flags::{self, Flag, Hint};

/// The script for a shell, where there is one.
pub fn script(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(zsh()),
        "fish" => Some(fish()),
        _ => None,
    }
}

/// The words an operand is completed with.
fn operands(entry: &Entry) -> Vec<&'static str> {
    match entry.operand {
        Operand::OneOf(words) if entry.command == Command::Help => {
            COMMANDS.iter().map(|entry| entry.name).chain(words.iter().copied()).collect()
        }
        Operand::OneOf(words) => words.to_vec(),
        _ => Vec::new(),
    }
}

fn spellings(flag: &Flag) -> Vec<String> {
    flag.short.map(|c| format!("-{c}")).into_iter().chain([format!("--{}", flag.long)]).collect()
}

fn bash() -> String {
    let names: Vec<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
    let mut out = format!(
        "_bitwren() {{\n    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} opts words kind\n    \
         if [[ $COMP_CWORD -eq 1 ]]; then\n        COMPREPLY=($(compgen -W \"{} --help --version\" -- \"$cur\"))\n        \
         return\n    fi\n    case ${{COMP_WORDS[1]}}:$prev in\n",
        names.join(" ")
    );
    for entry in COMMANDS {
        for (hint, flag) in [(Hint::Dir, "-d"), (Hint::File, "-f")] {
            let taking = options_taking(entry, hint);
            if !taking.is_empty() {
                out.push_str(&format!(
                    "        {taking}) compopt -o filenames; COMPREPLY=($(compgen {flag} -- \"$cur\")); return ;;\n"
                ));
            }
        }
        let taking = options_taking(entry, Hint::None);
        if !taking.is_empty() {
            out.push_str(&format!("        {taking}) COMPREPLY=(); return ;;\n"));
        }
    }
    out.push_str("    esac\n    case ${COMP_WORDS[1]} in\n");
    for entry in COMMANDS {
        let opts: Vec<String> = flags::of(entry.command).flat_map(spellings).collect();
        let kind = if matches!(entry.operand, Operand::Torrent | Operand::Path) { "file" } else { "" };
        out.push_str(&format!(
            "        {}) opts=\"{}\" words=\"{}\" kind={kind} ;;\n",
            entry.name,
            opts.join(" "),
            operands(entry).join(" ")
        ));
    }
    out.push_str(
        "    esac\n    if [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\"))\n    \
         elif [[ $kind == file ]]; then\n        compopt -o filenames\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n    \
         else\n        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n    fi\n}\ncomplete -F _bitwren bitwren\n",
    );
    out
}

/// `get:--dir|get:-d`
fn options_taking(entry: &Entry, hint: Hint) -> String {
    let taking = flags::of(entry.command).filter(|flag| flag.value().is_some() && flag.hint() == hint);
    taking.flat_map(spellings).map(|name| format!("{}:{name}", entry.name)).collect::<Vec<_>>().join("|")
}

fn zsh() -> String {
    let mut out = String::from("#compdef bitwren\n_bitwren() {\n  local -a commands\n  commands=(\n");
    for entry in COMMANDS {
        out.push_str(&format!("    {}\n", quoted(&format!("{}:{}", entry.name, entry.summary))));
    }
    out.push_str(
        "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n  \
         local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n",
    );
    for entry in COMMANDS {
        out.push_str(&format!("    {})\n      _arguments -s", entry.name));
        for flag in flags::of(entry.command) {
            let help = flag.help.replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
            let action = match (flag.value(), flag.hint()) {
                (None, _) => String::new(),
                (Some(name), Hint::Dir) => format!(":{name}:_files -/"),
                (Some(name), Hint::File) => format!(":{name}:_files"),
                (Some(name), Hint::None) => format!(":{}: ", name.replace(':', "\\:")),
            };
            for name in spellings(flag) {
                let joined = if action.is_empty() || !name.starts_with("--") { "" } else { "=" };
                out.push_str(&format!(
                    " \\\n        {}",
                    quoted(&format!("*{name}{joined}[{help}]{action}"))
                ));
            }
        }
        let rest = match entry.operand {
            Operand::Torrent | Operand::Path => "'*:file:_files'".to_owned(),
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
    let mut out = String::from("complete -c bitwren -f\n");
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
            Operand::Torrent | Operand::Path => out.push_str(&format!("{when} -F\n")),
            Operand::OneOf(_) => out.push_str(&format!("{when} -a {}\n", quoted(&operands(entry).join(" ")))),
            Operand::Nothing => {}
        }
        for flag in flags::of(entry.command) {
            let short = flag.short.map_or_else(String::new, |c| format!(" -s {c}"));
            let takes = match (flag.value(), flag.hint()) {
                (None, _) => "",
                (Some(_), Hint::Dir) => " -x -a '(__fish_complete_directories)'",
                (Some(_), Hint::File) => " -r -F",
                (Some(_), Hint::None) => " -x",
            };
            out.push_str(&format!("{when}{short} -l {}{takes} -d {}\n", flag.long, quoted(flag.help)));
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
        for shell in super::super::commands::SHELLS {
            let script = script(shell).unwrap();
            for flag in flags::all() {
                let name =
                    if *shell == "fish" { format!("-l {}", flag.long) } else { format!("--{}", flag.long) };
                assert!(script.contains(&name), "{shell} {name}");
            }
        }
        assert!(script("tcsh").is_none());
    }
}
