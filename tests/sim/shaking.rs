//! How two nodes shake hands: in plain or encrypted, as the policies of both have it and as the boxes between them
//! let through. What an encrypted handshake comes to the real one says.

use std::sync::OnceLock;

use bitwren::internals::peer::encryption::{EncryptedHandshake, Secrets};
use bitwren::internals::wire::handshake::Handshake;
use bitwren::{DisconnectReason, Encryption, EncryptionPolicy, InfoHash, PeerId};

use super::plan::NodePlan;

/// The handshakes that a box in front of a node cuts off, whichever end begins them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutsOff {
    Plain,
    Encrypted,
}

/// What an attempt comes to, should the one node be there that the other dials.
pub fn shake(caller: &NodePlan, called: &NodePlan, encrypted: bool) -> Result<Encryption, DisconnectReason> {
    let (kind, refused) = match encrypted {
        true => (CutsOff::Encrypted, DisconnectReason::EncryptionRefused),
        false => (CutsOff::Plain, DisconnectReason::PlainRefused),
    };
    let requires = |node: &NodePlan| node.encryption == EncryptionPolicy::Require;
    let understands = match encrypted {
        true => called.encryption != EncryptionPolicy::Off,
        false => !requires(called),
    };
    match understands && caller.cuts_off != Some(kind) && called.cuts_off != Some(kind) {
        true if encrypted => Ok(agreed(requires(caller), requires(called))),
        true => Ok(Encryption::None),
        false => Err(refused),
    }
}

/// What two nodes agree on of which either may require RC4.
fn agreed(caller: bool, called: bool) -> Encryption {
    static AGREED: OnceLock<[Encryption; 4]> = OnceLock::new();
    let agreed = AGREED.get_or_init(|| [0, 1, 2, 3].map(|which| talk(which & 1 != 0, which & 2 != 0)));
    agreed[usize::from(caller) + 2 * usize::from(called)]
}

fn talk(caller: bool, called: bool) -> Encryption {
    let torrent = InfoHash::from_bytes([7; 20]);
    let says = |who| Handshake::ours(torrent, PeerId::from_bytes([who; 20])).encode();
    let secrets = |byte| Secrets::with_pads([byte; 20], vec![byte; 30], 9);
    let mut ends = [
        EncryptedHandshake::initiator(torrent, says(1), caller, secrets(3)),
        EncryptedHandshake::responder(called, secrets(5)),
    ];
    let mut turn = 0;
    while !ends.iter().all(EncryptedHandshake::is_done) {
        let bytes = ends[turn].outgoing();
        turn = 1 - turn;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let taken = ends[turn].receive(rest).unwrap();
            rest = &rest[taken..];
            if ends[turn].asks_for().is_some() {
                ends[turn].found(torrent, says(2)).unwrap();
            }
        }
    }
    let [one, other] = ends.map(|end| end.finish().map_err(drop).unwrap().encryption());
    assert_eq!(one, other, "both ends say the same of what is encrypted");
    one
}
