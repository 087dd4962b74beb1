//! Crash safety, proven: the real binary under fault injection at every system call that changes the
//! disk, after power cuts at every point of a run, and with the disk, descriptors, threads and memory
//! running out. Whatever happens, the state never claims a piece that the disk lacks, a further run
//! completes byte for byte, and nothing is written outside the directory.
//!
//! `make crash`. It takes strace, and root for file systems of its own; where one is missing the test
//! says so and passes.

#[path = "../support/mod.rs"]
// Each target compiles this on its own and uses the part it needs.
#[allow(dead_code)]
mod support;

mod calls;
mod changed;
mod faults;
mod means;
mod power;
mod runs;
mod slow;
mod state;
