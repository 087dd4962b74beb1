//! libFuzzer on the target that `TARGET` names. Memory is capped: what wants more than this for an input of a
//! few KiB is a finding, as a panic is.
#![no_main]

use std::alloc::System;
use std::sync::LazyLock;

use cap::Cap;
use libfuzzer_sys::fuzz_target;

#[path = "../properties/mod.rs"]
mod properties;

/// What Rust code may hold at once; libFuzzer itself is not counted.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 64 << 20);

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("TARGET").expect("TARGET names what to fuzz");
    let target = properties::TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("there is no target {name}")).1
});

fuzz_target!(|data: &[u8]| TARGET(data));
