//! The attempts of one dial: in plain or with an encrypted handshake first, and the other way where that was cut
//! off. How an attempt is made is the caller's.
//!
//! Invariant: there is one attempt of each kind at the most.

use crate::crypto::EncryptionPolicy;
use crate::violation::DisconnectReason;

/// Makes the attempts of a dial until one succeeds, or none is left. `wants_encryption` is what is known of the
/// peer; an attempt is told whether it is encrypted. The second one is made if `goes_on` has it so.
///
/// # Errors
/// Why the last attempt failed. A peer that cut off both kinds does not mind encryption, or the lack of it:
/// [`DisconnectReason::Lost`].
pub fn reach<T>(
    policy: EncryptionPolicy,
    wants_encryption: Option<bool>,
    goes_on: impl Fn() -> bool,
    mut attempt: impl FnMut(bool) -> Result<T, DisconnectReason>,
) -> Result<T, DisconnectReason> {
    use DisconnectReason::{EncryptionRefused, Lost, PlainRefused};
    let begins_encrypted = policy.begins_encrypted(wants_encryption);
    match attempt(begins_encrypted) {
        Err(PlainRefused | EncryptionRefused) if policy.tries_the_other() && goes_on() => {
            attempt(!begins_encrypted).map_err(|why| match why {
                PlainRefused | EncryptionRefused => Lost,
                _ => why,
            })
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attempts that are made, and what comes of them where `cut_off` cuts off the kinds that it names.
    fn made(
        policy: EncryptionPolicy,
        known: Option<bool>,
        cut_off: &[bool],
    ) -> (Vec<bool>, Result<bool, DisconnectReason>) {
        let mut attempts = Vec::new();
        let refused = |encrypted| match encrypted {
            true => DisconnectReason::EncryptionRefused,
            false => DisconnectReason::PlainRefused,
        };
        let outcome = reach(
            policy,
            known,
            || true,
            |encrypted| {
                attempts.push(encrypted);
                if cut_off.contains(&encrypted) { Err(refused(encrypted)) } else { Ok(encrypted) }
            },
        );
        (attempts, outcome)
    }

    #[test]
    fn what_is_cut_off_is_tried_the_other_way_once_where_the_policy_has_it_so() {
        use DisconnectReason::{EncryptionRefused, Lost, PlainRefused};
        use EncryptionPolicy::{Allow, Off, Prefer, Require};
        assert_eq!(made(Off, Some(true), &[false]), (vec![false], Err(PlainRefused)));
        assert_eq!(made(Allow, None, &[false]), (vec![false, true], Ok(true)));
        assert_eq!(made(Allow, Some(true), &[false]), (vec![true], Ok(true)));
        assert_eq!(made(Prefer, None, &[true]), (vec![true, false], Ok(false)));
        assert_eq!(made(Prefer, Some(false), &[true]), (vec![false], Ok(false)));
        assert_eq!(made(Require, Some(false), &[true]), (vec![true], Err(EncryptionRefused)));
        assert_eq!(made(Allow, None, &[false, true]), (vec![false, true], Err(Lost)));
    }

    #[test]
    fn what_fails_for_another_reason_is_not_tried_again_nor_is_anything_once_the_client_ends() {
        for (why, goes_on) in [(DisconnectReason::Unreachable, true), (DisconnectReason::PlainRefused, false)]
        {
            let mut attempts = 0;
            let outcome = reach(
                EncryptionPolicy::Allow,
                None,
                || goes_on,
                |_| {
                    attempts += 1;
                    Err::<(), _>(why)
                },
            );
            assert_eq!((outcome, attempts), (Err(why), 1));
        }
    }
}
