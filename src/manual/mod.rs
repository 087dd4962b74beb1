//! The manual: documentation only, no code.
//!
//! - [`embedding`]: how to use the library, with examples.
//! - [`files`]: names of files on the disk, and what becomes of files that change.
//! - [`network`]: which addresses are blocked, and which way packets leave.
//! - [`security`]: what is defended, what is not, and every limit.
//! - [`design`]: how it is built, what a block costs, how far it scales.
//! - [`measuring`]: how the figures of the README are taken.
//! - [`contributing`]: how to build, test and write for it.
//! - [`changelog`]: what changed for users.

pub mod changelog;
pub mod contributing;
pub mod design;
pub mod embedding;
pub mod files;
pub mod measuring;
pub mod network;
pub mod security;
