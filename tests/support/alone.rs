//! A test in a process of its own, for what it counts or changes of its process: beside others it would
//! count theirs, and change what they rely on.

use std::process::Command;

/// Set in the process that runs one test alone.
const ALONE: &str = "BITWREN_TEST_ALONE";

/// Runs `body` in a process that runs nothing but this test, whose name is its module's path and its own.
#[track_caller]
pub fn alone(module: &str, name: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    // Without the name of the program, as its list of tests has them.
    let module = module.split_once("::").map_or(module, |(_, inner)| inner);
    let test = format!("{module}::{name}");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{test} alone: {}\n{stdout}\n{stderr}", output.status);
    assert!(stdout.contains("1 passed"), "no test is called {test}:\n{stdout}");
}
