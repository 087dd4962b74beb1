//! Which addresses this client has nothing to do with: a set of address ranges, and the lists that such a
//! set is read from.
//!
//! A filter is plain values: sorted ranges of IPv4 and of IPv6 addresses, 8 and 32 bytes each, and a binary
//! search. Exceptions are taken out of the ranges when the filter is made, so that one look-up decides.
//!
//! Never does: open a file, or say what happens to an address that is blocked.

mod line;
mod list;
mod ranges;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

pub use self::list::Blocklist;
use self::ranges::Ranges;
use crate::error::{Error, ErrorKind};
use crate::stand_in;

/// Addresses that are blocked: no peer there is dialled, no connection from there is let in, and no
/// datagram of the DHT goes there or is taken from there.
///
/// An IPv4 address inside an IPv6 one (`::ffff:1.2.3.4`) counts as the IPv4 address.
///
/// ```
/// use bitwren::AddressFilter;
///
/// let list: AddressFilter = "10.0.0.0/8".parse()?;
/// let filter = list.except(&"10.1.2.0-10.1.2.9".parse()?);
/// assert!(filter.blocks([10, 1, 3, 0].into()) && !filter.blocks([10, 1, 2, 7].into()));
///
/// let only_home = AddressFilter::all_but(&"192.168.0.0/16".parse()?);
/// assert!(only_home.blocks([8, 8, 8, 8].into()) && !only_home.blocks([192, 168, 0, 7].into()));
/// # Ok::<(), bitwren::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AddressFilter {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl AddressFilter {
    /// Blocks every address but those that `permitted` has.
    pub fn all_but(permitted: &AddressFilter) -> AddressFilter {
        AddressFilter { v4: permitted.v4.complement(), v6: permitted.v6.complement() }
    }

    /// The same without the addresses that `permitted` has.
    #[must_use]
    pub fn except(&self, permitted: &AddressFilter) -> AddressFilter {
        AddressFilter { v4: self.v4.without(&permitted.v4), v6: self.v6.without(&permitted.v6) }
    }

    /// Blocks what `other` blocks, too.
    pub fn add(&mut self, other: &AddressFilter) {
        self.v4.add(&other.v4);
        self.v6.add(&other.v6);
    }

    /// Whether this address is blocked. One that stands for a host name behind a proxy is not: no one here knows
    /// the address of the host.
    pub fn blocks(&self, address: IpAddr) -> bool {
        if stand_in::number(address).is_some() {
            return false;
        }
        match address.to_canonical() {
            IpAddr::V4(v4) => self.v4.has(v4.into()),
            IpAddr::V6(v6) => self.v6.has(v6.into()),
        }
    }

    /// How many ranges it has; overlapping and adjacent ones count as one.
    pub fn ranges(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether it blocks nothing.
    pub fn is_empty(&self) -> bool {
        self.ranges() == 0
    }

    fn push(&mut self, range: line::Range) {
        match range {
            line::Range::V4(first, last) => self.v4.push(first, last),
            line::Range::V6(first, last) => self.v6.push(first, last),
        }
    }

    fn settle(&mut self) {
        self.v4.settle();
        self.v6.settle();
    }
}

/// An address, a range (`10.0.0.1-10.0.0.9`) or a network (`10.0.0.0/8`, `2001:db8::/32`).
impl FromStr for AddressFilter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let range = line::range(text.as_bytes()).ok_or_else(|| {
            let what = "an address, a range such as 10.0.0.1-10.0.0.9 or a network such as 10.0.0.0/8";
            Error::new(ErrorKind::Argument, format!("{} is not {what}", text.escape_debug()))
        })?;
        let mut filter = AddressFilter::default();
        filter.push(range);
        Ok(filter)
    }
}

impl fmt::Debug for AddressFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (v4, v6) = (self.v4.len(), self.v6.len());
        f.debug_struct("AddressFilter").field("v4_ranges", &v4).field("v6_ranges", &v6).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(ranges: &[&str]) -> AddressFilter {
        let mut filter = AddressFilter::default();
        ranges.iter().for_each(|range| filter.add(&range.parse().unwrap()));
        filter
    }

    fn blocks(filter: &AddressFilter, address: &str) -> bool {
        filter.blocks(address.parse().unwrap())
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_is_the_former() {
        for written in ["10.0.0.0/8", "::ffff:10.0.0.0-::ffff:10.255.255.255", "::ffff:10.0.0.0/104"] {
            let filter = filter(&[written]);
            assert!(blocks(&filter, "10.1.2.3") && blocks(&filter, "::ffff:10.1.2.3"), "{written}");
            assert!(!blocks(&filter, "11.0.0.0") && !blocks(&filter, "::10.1.2.3"), "{written}");
        }
        let everything_v6 = filter(&["::/0"]);
        assert!(blocks(&everything_v6, "::1") && !blocks(&everything_v6, "::ffff:10.1.2.3"));
    }

    #[test]
    fn an_exception_goes_before_the_list() {
        let list = filter(&["0.0.0.0/0", "2001:db8::/32"]);
        let open = list.except(&filter(&["192.168.0.0/16", "2001:db8:1::-2001:db8:2::"]));
        assert!(!blocks(&open, "192.168.255.255") && !blocks(&open, "2001:db8:2::"));
        for blocked in ["192.167.255.255", "192.169.0.0", "255.255.255.255", "0.0.0.0", "2001:db8:2::1"] {
            assert!(blocks(&open, blocked), "{blocked}");
        }
        assert_eq!(open.ranges(), 4);
        assert!(list.except(&list).is_empty());
    }

    #[test]
    fn only_what_is_permitted_is_let_through() {
        let only = AddressFilter::all_but(&filter(&["10.0.0.0/8", "::1"]));
        assert!(!blocks(&only, "10.0.0.0") && !blocks(&only, "10.255.255.255") && !blocks(&only, "::1"));
        for blocked in ["9.255.255.255", "11.0.0.0", "0.0.0.0", "255.255.255.255", "::", "::2"] {
            assert!(blocks(&only, blocked), "{blocked}");
        }
        assert!(AddressFilter::all_but(&only) == filter(&["10.0.0.0/8", "::1"]));
        assert!(AddressFilter::all_but(&filter(&["0.0.0.0/0", "::/0"])).is_empty());
    }

    #[test]
    fn what_is_no_range_is_refused_in_one_line() {
        for wrong in ["", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "1.2.3", "::1-1.2.3.4", "a\nb", "fe80::1%eth0"]
        {
            let error = wrong.parse::<AddressFilter>().expect_err(wrong);
            assert!(error.kind() == ErrorKind::Argument && !error.to_string().contains('\n'), "{error}");
        }
    }
}
