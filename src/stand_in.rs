//! Addresses that stand for host names which a proxy alone looks up: what keeps peers and nodes by their addresses
//! can then keep these as well, and the way out puts the name back.
//!
//! They lie in a part of what is reserved for ever and routed nowhere (240.0.0.0/4, RFC 1112): what is sent to one
//! by mistake goes nowhere. Never told to anyone.

use std::net::{IpAddr, Ipv4Addr};

/// Most names that addresses stand for at a time.
pub(crate) const MAX_NAMES: usize = 4096;

const FIRST: u32 = 240 << 24;

/// The address that stands for the name of this number.
pub(crate) fn address(number: usize) -> Option<IpAddr> {
    let number = u32::try_from(number).ok().filter(|number| (*number as usize) < MAX_NAMES)?;
    Some(Ipv4Addr::from(FIRST + number).into())
}

/// The number of the name that this address stands for, if it stands for one.
pub(crate) fn number(address: IpAddr) -> Option<usize> {
    let IpAddr::V4(address) = address.to_canonical() else { return None };
    let number = u32::from(address).checked_sub(FIRST)? as usize;
    (number < MAX_NAMES).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_one_name_and_no_other_address_for_any() {
        for nth in [0, 1, 255, 256, MAX_NAMES - 1] {
            assert_eq!(number(address(nth).unwrap()), Some(nth));
        }
        assert_eq!(address(MAX_NAMES), None);
        for other in ["239.255.255.255", "240.0.16.0", "255.255.255.255", "1.2.3.4", "::1"] {
            assert_eq!(number(other.parse().unwrap()), None, "{other}");
        }
    }
}
