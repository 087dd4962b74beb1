//! The threads that touch the disk: the writer, and the checker of existing data.

pub(crate) mod checker;
pub(crate) mod writer;
