//! JSON (RFC 8259): values, a parser that trusts nothing, and a writer into any sink.
//!
//! It reads what clients and servers send, whole and in memory, and writes what they are answered, piece by piece.
//! It never recurses deeper than [`MAX_DEPTH`], never builds more than [`MAX_VALUES`], and knows no schema.
//!
//! Invariants: what is written is valid JSON on one line, whatever text was put in; parsing what was written of a
//! parsed value gives the same value.

mod object;
mod parse;
mod value;
mod write;

pub use object::Object;
pub use parse::{MAX_DEPTH, MAX_VALUES, ParseError, parse};
pub use value::Value;
pub use write::{Writer, is_unseen};

#[cfg(test)]
mod tests;
