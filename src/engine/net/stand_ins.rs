//! The host names that addresses stand for ([`stand_in`]), which the proxy of peers looks up.
//!
//! Invariant: a name has one address, and an address one name, for as long as the client runs.

use std::net::IpAddr;
use std::sync::Mutex;

use crate::lock::lock;
use crate::stand_in;

/// The names, each at its number.
#[derive(Debug, Default)]
pub(super) struct StandIns(Mutex<Vec<String>>);

impl StandIns {
    /// The address that stands for this name; nothing where there are too many.
    pub(super) fn of(&self, name: &str) -> Option<IpAddr> {
        let mut names = lock(&self.0);
        let number = names.iter().position(|known| known.eq_ignore_ascii_case(name)).unwrap_or(names.len());
        let address = stand_in::address(number)?;
        if number == names.len() {
            names.push(name.to_owned());
        }
        Some(address)
    }

    /// The name that this address stands for.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<String> {
        lock(&self.0).get(stand_in::number(address)?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_address_and_there_is_an_end_to_them() {
        let names = StandIns::default();
        let first = names.of("a.example").unwrap();
        assert_eq!(
            (names.of("A.example"), names.name_of(first)),
            (Some(first), Some("a.example".to_owned()))
        );
        assert!(names.of("b.example").is_some_and(|second| second != first));
        assert_eq!(names.name_of([1, 2, 3, 4].into()), None);
        for nth in 2..stand_in::MAX_NAMES {
            assert!(names.of(&nth.to_string()).is_some());
        }
        assert_eq!(names.of("one.more"), None);
        assert_eq!(names.name_of(first), Some("a.example".to_owned()));
    }
}
