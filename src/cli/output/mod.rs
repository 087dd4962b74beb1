//! What the program prints, as text and as JSON, and the two streams that it goes to.

pub(crate) mod event_lines;
pub(crate) mod json;
pub(crate) mod meter;
pub(crate) mod pace;
pub(crate) mod port_lines;
pub(crate) mod qr;
pub(crate) mod schema;
pub(crate) mod screen;
pub(crate) mod secrets;
pub(crate) mod status;
pub(crate) mod streams;
pub(crate) mod terminal;
pub(crate) mod text;
pub(crate) mod units;
