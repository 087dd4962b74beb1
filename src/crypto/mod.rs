//! What Message Stream Encryption is made of: the cipher and the key exchange, and who is encrypted to what degree.
//!
//! It hides a connection from a look at its first bytes. It proves nothing of who is at the other end, and both
//! RC4 and a key of 768 bits are far too weak to keep a secret.

mod dh768;
mod policy;
mod rc4;

pub use dh768::{KEY_LENGTH, SECRET_LENGTH, public_key, shared_secret};
pub use policy::{Encryption, EncryptionPolicy};
pub use rc4::{Ciphers, Rc4};
