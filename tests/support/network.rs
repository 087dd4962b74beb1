//! A network of its own to test in, made of namespaces: nothing in it reaches anything else, and it goes with
//! the test. It takes root, `unshare`, `nsenter` and `ip`; without them the test is skipped.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The network, as long as it is held.
pub struct Network(std::process::Child);

impl Network {
    /// A network that this script of the shell makes. Namespaces besides the first are made with `ip netns add`.
    pub fn new(setup: &str) -> Option<Network> {
        let script = format!(
            "mount -t tmpfs none /run && mount -t sysfs none /sys && ip link set lo up || exit 99\n\
             set -e\n{setup}\necho ready\nexec sleep 3600"
        );
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--net", "sh", "-c", &script]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
        if line == "ready\n" {
            return Some(Network(child));
        }
        let ended = child.wait_with_output().ok()?;
        let why = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            ended.status.code() == Some(99) || why.contains("unshare"),
            "the network was not made: {why}"
        );
        eprintln!("SKIPPED: a network of its own takes root, unshare, nsenter and ip");
        None
    }

    /// This command in the namespace `of`, or in the first.
    pub fn command(&self, of: Option<&str>, plain: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--mount", "--net"]);
        if let Some(namespace) = of {
            command.args(["ip", "netns", "exec", namespace]);
        }
        command.arg(plain.get_program()).args(plain.get_args()).env_clear();
        command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs this script of the shell in the first namespace; what it printed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let done = self.command(None, Command::new("sh").args(["-ec", script])).output().unwrap();
        assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
