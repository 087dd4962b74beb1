//! The two envelopes around requests and answers. What is inside is the same for both.
pub mod jsonrpc;
pub mod legacy;
