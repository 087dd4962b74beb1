//! The peer wire protocol (BEP 3, BEP 6) as plain values: handshake, messages, and the framing of
//! a byte stream; and what travels inside `extended` messages (BEP 10): their handshake, metadata
//! (BEP 9) and peer exchange (BEP 11). Besides, messages of the DHT, of local discovery, and the head of an
//! HTTP request.
//!
//! Nothing here decides anything: what a message means to a conversation is the business of
//! [`peer`](crate::peer). No byte off the wire makes this panic, or allocate past a stated cap.

pub mod extended;
pub mod frame;
pub mod handshake;
pub mod http_chunks;
pub mod http_head;
pub mod krpc;
pub mod lsd;
pub mod message;
pub mod pex;
pub mod ut_metadata;
