//! The client's process from outside: what it is told, what it tells, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What a process holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Bytes resident.
    pub resident: u64,
    /// Bytes allocated and not given back, as the client's own allocator counts them; at rest.
    pub heap: u64,
    pub descriptors: u64,
    /// Sockets for UDP trackers, which are kept for a minute and are none of the above.
    pub kept: u64,
    pub threads: u64,
}

pub struct Puppet {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    pub address: SocketAddr,
    tracker: SocketAddr,
}

impl Puppet {
    /// Starts it, with these nodes of the DHT and this UDP tracker in its world.
    pub fn start(nodes: &str, tracker: SocketAddr) -> Puppet {
        let mut command = Command::new(std::env::current_exe().unwrap());
        // Else the C library keeps what was freed once for every few threads.
        command
            .arg("client")
            .env("NODES", nodes)
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let first = lines.recv_timeout(Duration::from_secs(60)).expect("the client starts");
        let port: u16 = first.strip_prefix("port ").and_then(|port| port.parse().ok()).expect(&first);
        let input = child.stdin.take();
        Puppet { child, input, lines, address: ([127, 0, 0, 1], port).into(), tracker }
    }

    pub fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").expect("the client lives");
    }

    /// The next line, waiting up to `patience`.
    pub fn hear(&mut self, patience: Duration) -> Option<String> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the client ended: {:?}", self.child.wait()),
        }
    }

    /// How many of its sockets are connected to the UDP tracker.
    fn sockets_to_tracker(&self) -> u64 {
        let end = format!(":{:04X}", self.tracker.port());
        let table = fs::read_to_string(format!("/proc/{}/net/udp", self.child.id())).unwrap();
        table
            .lines()
            .filter(|line| line.split_whitespace().nth(2).is_some_and(|to| to.ends_with(&end)))
            .count() as u64
    }

    pub fn figures(&self) -> Figures {
        let root = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{root}/status")).unwrap();
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            value.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        let descriptors = fs::read_dir(format!("{root}/fd")).unwrap().count() as u64;
        let kept = self.sockets_to_tracker();
        let resident = field("VmRSS:") * 1024;
        Figures { resident, heap: 0, descriptors: descriptors - kept, kept, threads: field("Threads:") }
    }

    /// What its threads are called and where its descriptors lead, for a failure's sake.
    pub fn inventory(&self) -> String {
        let root = format!("/proc/{}", self.child.id());
        let list = |below: &str, look: &dyn Fn(std::path::PathBuf) -> String| {
            let entries = fs::read_dir(format!("{root}/{below}")).into_iter().flatten().flatten();
            entries.map(|entry| look(entry.path())).collect::<Vec<_>>().join(" ")
        };
        let threads = list("task", &|task| fs::read_to_string(task.join("comm")).unwrap_or_default());
        let files = list("fd", &|fd| fs::read_link(fd).unwrap_or_default().display().to_string());
        format!("threads: {}\ndescriptors: {files}", threads.replace('\n', " "))
    }

    /// Ends it, in good order.
    pub fn end(mut self) -> Result<(), String> {
        self.input = None;
        while self.lines.recv_timeout(Duration::from_secs(10)).is_ok() {}
        let status = self.child.wait().unwrap();
        if status.success() { Ok(()) } else { Err(format!("the client ended with {status}")) }
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        // It may have ended in good order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
