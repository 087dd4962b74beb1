//! How much a client encrypts, and how much of a connection is.

use std::fmt;

/// Whether connections to peers are encrypted (Message Stream Encryption, also called protocol encryption).
///
/// It hides from a look at single packets that a connection is BitTorrent's, and reaches peers that accept nothing
/// else. It hides neither addresses nor amounts, and proves nothing of who a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EncryptionPolicy {
    /// Neither offered nor understood.
    Off,
    /// Connections begin in plain; one that is cut off then, and one to a peer that is known to prefer
    /// encryption, begins with an encrypted handshake. Both are accepted.
    #[default]
    Allow,
    /// Connections begin with an encrypted handshake; one that is cut off then begins in plain. Both are accepted.
    Prefer,
    /// Every byte is encrypted with RC4, and no connection without that is made or accepted.
    Require,
}

impl EncryptionPolicy {
    /// Whether peers are told that we would rather be dialed with an encrypted handshake.
    pub fn is_preferred(self) -> bool {
        matches!(self, EncryptionPolicy::Prefer | EncryptionPolicy::Require)
    }

    /// Whether a connection to a peer begins with an encrypted handshake; `known` is what is known of the peer:
    /// whether it prefers that.
    pub fn begins_encrypted(self, known: Option<bool>) -> bool {
        match self {
            EncryptionPolicy::Off => false,
            EncryptionPolicy::Allow => known == Some(true),
            EncryptionPolicy::Prefer => known != Some(false),
            EncryptionPolicy::Require => true,
        }
    }

    /// Whether a peer that cut off the one kind of handshake is offered the other.
    pub fn tries_the_other(self) -> bool {
        matches!(self, EncryptionPolicy::Allow | EncryptionPolicy::Prefer)
    }
}

/// How much of a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Encryption {
    /// Nothing.
    None,
    /// The beginning: what the end that dialed says first. All that follows is plain, the answer included.
    Handshake,
    /// All of it, with RC4.
    Rc4,
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encryption::None => "none",
            Encryption::Handshake => "handshake",
            Encryption::Rc4 => "rc4",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_connection_begins_follows_from_the_policy_and_what_is_known_of_the_peer() {
        use EncryptionPolicy::{Allow, Off, Prefer, Require};
        for (policy, unknown, plain, encrypted, tries_the_other, is_preferred) in [
            (Off, false, false, false, false, false),
            (Allow, false, false, true, true, false),
            (Prefer, true, false, true, true, true),
            (Require, true, true, true, false, true),
        ] {
            let begins = [None, Some(false), Some(true)].map(|known| policy.begins_encrypted(known));
            assert_eq!(begins, [unknown, plain, encrypted], "{policy:?}");
            assert_eq!((policy.tries_the_other(), policy.is_preferred()), (tries_the_other, is_preferred));
        }
    }
}
