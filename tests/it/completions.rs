//! The completion scripts in the shells that they are for: bash always, zsh and fish where they are
//! installed.
//!
//! A shell runs on a terminal of its own (`script`), the keys are typed, and what the completed command
//! line hands to the program is read: so quoting is tested, which is the shell's and readline's part.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::scratch::Scratch;

/// A directory with names that shells treat specially, and with files that are not torrents.
fn names() -> Scratch {
    let scratch = Scratch::new("completions");
    for name in ["my file.torrent", "it's [1].torrent", "notes.txt", "only text/a.txt", "sub dir/in.torrent"]
    {
        let path = scratch.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    scratch
}

fn script_of(shell: &str, dir: &Path) -> PathBuf {
    let output = Command::new(env!("CARGO_BIN_EXE_bitwren")).args(["completions", shell]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let path = dir.join(format!(".{shell}"));
    std::fs::write(&path, output.stdout).unwrap();
    path
}

fn installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    if !found.status.success() {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found.status.success()
}

/// Stands in for the program: tells the words that it was given.
const STAND_IN: &str =
    "bitwren() { printf 'WORDS'; printf '<%s>' \"$@\"; printf 'END\\n'; }\nPS1='READY> '\n";

/// A shell on a terminal, into which lines are typed.
struct Terminal {
    child: std::process::Child,
    heard: Vec<u8>,
}

impl Terminal {
    /// Starts `shell` in `dir` and waits for its prompt. Ends within two minutes, whatever happens.
    fn open(dir: &Path, shell: &str) -> Self {
        let child = Command::new("timeout")
            .args(["120", "script", "-qefc", shell, "/dev/null"])
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "dumb")
            .env("LC_ALL", "C.UTF-8")
            .env("ZDOTDIR", dir)
            .env("HOME", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut terminal = Terminal { child, heard: Vec::new() };
        terminal.hear("READY> ");
        terminal
    }

    /// Reads until `mark` is shown, and gives what came before it.
    #[track_caller]
    fn hear(&mut self, mark: &str) -> String {
        let stdout = self.child.stdout.as_mut().unwrap();
        loop {
            let text = String::from_utf8_lossy(&self.heard).into_owned();
            if let Some((before, after)) = text.split_once(mark) {
                self.heard = after.as_bytes().to_vec();
                return before.to_owned();
            }
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "no {mark:?} in {text:?}");
            self.heard.extend(byte);
        }
    }

    /// Types a line, with tabs in it, and gives the words that the program then has.
    #[track_caller]
    fn words(&mut self, typed: &str) -> String {
        write!(self.child.stdin.as_mut().unwrap(), "{typed}\r").unwrap();
        self.hear("WORDS");
        self.hear("END")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What must be completed to what, in a shell that quotes as POSIX shells do.
const TYPED: &[(&str, &str)] = &[
    ("bitwren get my\t", "<get><my file.torrent>"),
    ("bitwren get my\\ f\t", "<get><my file.torrent>"),
    ("bitwren get 'my f\t", "<get><my file.torrent>"),
    ("bitwren get it\t", "<get><it's [1].torrent>"),
    ("bitwren show sub\tin\t", "<show><sub dir/in.torrent>"),
    // Where there is no torrent, what else there is.
    ("bitwren get not\t", "<get><notes.txt>"),
    ("bitwren create not\t", "<create><notes.txt>"),
    ("bitwren get -d sub\t", "<get><-d><sub dir/>"),
    ("bitwren get --dir on\t", "<get><--dir><only text/>"),
    ("bitwren get --dir=sub\t", "<get><--dir=sub dir/>"),
    ("bitwren edit --no-pri\tx", "<edit><--no-private><x>"),
    ("bitwren get --sequ\tx", "<get><--sequential><x>"),
    ("bitwren verif\tx", "<verify><x>"),
    ("bitwren get --encryption req\tx", "<get><--encryption><require><x>"),
    ("bitwren seed --encryption pref\tx", "<seed><--encryption><prefer><x>"),
    ("bitwren --vers\t", "<--version>"),
];

/// A file is never offered where a directory is asked for.
const NOT_A_DIRECTORY: (&str, &str) = ("bitwren get -d not\tX", "<get><-d><notX>");

#[test]
fn bash_completes_names_with_blanks_and_quotes_as_one_word() {
    let scratch = names();
    let dir = scratch.path();
    let script = script_of("bash", dir);
    let rc = format!("{STAND_IN}source '{}'\n", script.display());
    std::fs::write(dir.join(".rc"), rc).unwrap();
    if !installed("script") {
        return;
    }
    let mut bash = Terminal::open(dir, "bash --noprofile --rcfile .rc -i");
    for (typed, words) in TYPED.iter().chain([&NOT_A_DIRECTORY]) {
        assert_eq!(bash.words(typed), *words, "{typed:?}");
    }
}

#[test]
fn bash_offers_torrents_and_directories_before_other_files() {
    let scratch = names();
    let script = script_of("bash", scratch.path());
    let offered = |words: &str| {
        let ask = format!(
            "compopt() {{ :; }}; source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); \
             _bitwren; printf '%s\\n' \"${{COMPREPLY[@]}}\" | sort",
            script.display()
        );
        let output = Command::new("bash").current_dir(scratch.path()).args(["-c", &ask]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for command in ["get", "seed", "show", "edit", "verify", "magnet", "scrape"] {
        let wanted = ["it's [1].torrent", "my file.torrent", "only text", "sub dir"];
        assert_eq!(offered(&format!("bitwren {command} ''")), wanted, "{command}");
    }
    assert!(offered("bitwren create ''").contains(&"notes.txt".to_owned()));
    for words in ["bitwren get -d ''", "bitwren get --dir = ''", "bitwren get --state-dir ''"] {
        assert_eq!(offered(words), ["only text", "sub dir"], "{words}");
    }
    assert_eq!(offered("bitwren get --dir=s"), ["--dir=sub dir"]);
    assert_eq!(offered("bitwren get --down ''"), [""]);
}

#[test]
fn zsh_completes_names_with_blanks_and_quotes_as_one_word() {
    if !installed("zsh") || !installed("script") {
        return;
    }
    let scratch = names();
    let dir = scratch.path();
    let script = script_of("zsh", dir);
    let rc = format!(
        "unsetopt BEEP PROMPT_SP AUTO_REMOVE_SLASH\nautoload -U compinit\ncompinit -u -D\nsource '{}'\n{STAND_IN}",
        script.display()
    );
    std::fs::write(dir.join(".zshrc"), rc).unwrap();
    let mut zsh = Terminal::open(dir, "zsh -d -i");
    for (typed, words) in TYPED {
        assert_eq!(zsh.words(typed), *words, "{typed:?}");
    }
}

#[test]
fn fish_completes_names_and_options() {
    if !installed("fish") {
        return;
    }
    let scratch = names();
    let script = script_of("fish", scratch.path());
    let offered = |line: &str| {
        let ask = format!("source '{}'; complete -C \"{line}\"", script.display());
        let output = Command::new("fish")
            .args(["--no-config", "-c", &ask])
            .current_dir(scratch.path())
            .env("HOME", scratch.path())
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(offered("bitwren get my"), ["my file.torrent"]);
    assert_eq!(offered("bitwren show it"), ["it's [1].torrent"]);
    let first = offered("bitwren get ");
    assert!(first[0].ends_with(".torrent") && first[1].ends_with(".torrent"), "{first:?}");
    assert_eq!(offered("bitwren get --dir=sub"), ["--dir=sub dir/"]);
    assert_eq!(offered("bitwren get -d not"), [""; 0]);
    assert_eq!(offered("bitwren edit --no-pri"), ["--no-private"]);
    assert_eq!(offered("bitwren get --encryption r"), ["require"]);
    assert_eq!(offered("bitwren --he"), ["--help"]);
    assert_eq!(offered("bitwren verif"), ["verify"]);
}
