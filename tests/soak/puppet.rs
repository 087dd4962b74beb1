//! The client's process from outside: what it is told, what it tells, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::support::proc;

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
    /// Starts it, with these nodes of the DHT and this UDP tracker.
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
        let root = proc::of(self.child.id());
        let number = |name| proc::number(&root, name).expect(name);
        let (descriptors, kept) = (proc::descriptors(&root) as u64, self.sockets_to_tracker());
        let (resident, threads) = (number("VmRSS") * 1024, number("Threads"));
        Figures { resident, heap: 0, descriptors: descriptors - kept, kept, threads }
    }

    /// What its threads are called and where its descriptors lead, for a failure's sake.
    pub fn inventory(&self) -> String {
        let root = proc::of(self.child.id());
        let open = fs::read_dir(format!("{root}/fd")).into_iter().flatten().flatten();
        let files = open.map(|fd| fs::read_link(fd.path()).unwrap_or_default().display().to_string());
        let files = files.collect::<Vec<_>>().join(" ");
        format!("threads: {}\ndescriptors: {files}", proc::thread_names(&root).join(" "))
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
