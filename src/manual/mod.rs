//! The manual: documentation only, no code.
//!
//! - [`embedding`]: how to use the library, with examples.
//! - [`design`]: how it is built, what a block costs, how far it scales.
//! - [`contributing`]: how to build, test and write for it.
//! - [`changelog`]: what changed for users.

pub mod changelog;
pub mod contributing;
pub mod design;
pub mod embedding;
