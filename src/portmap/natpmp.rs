//! The NAT Port Mapping Protocol (RFC 6886): requests, and what a gateway answers. A form: bytes to
//! values and back, nothing decided.
//!
//! Invariant: a decoded grant with a lifetime has an external port that is not 0; what is cut short or no
//! answer at all is nothing.

use std::net::Ipv4Addr;

use super::Protocol;

/// The version of the protocol in its packets.
pub const VERSION: u8 = 0;

const ANSWER: u8 = 0x80;

/// A request for the external address.
pub const ADDRESS_REQUEST: [u8; 2] = [VERSION, 0];

/// A request for a mapping, or with a lifetime of 0 for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapRequest {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port it leads to.
    pub internal: u16,
    /// The external port that would be best; to be 0 where the mapping is to end.
    pub suggested: u16,
    /// Seconds.
    pub lifetime: u32,
}

/// What a gateway says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its external address; also announced, unasked, where it has restarted or got another address.
    Address {
        /// Seconds since it lost its mappings.
        epoch: u32,
        /// The address.
        ip: Ipv4Addr,
    },
    /// A mapping; with a lifetime of 0, that it was ended.
    Map {
        /// TCP or UDP.
        protocol: Protocol,
        /// Seconds since the gateway lost its mappings.
        epoch: u32,
        /// The port it leads to.
        internal: u16,
        /// The external port.
        external: u16,
        /// Seconds.
        lifetime: u32,
    },
    /// It refuses a request of this opcode, or every request.
    Refused {
        /// TCP or UDP, where it was a mapping.
        protocol: Option<Protocol>,
        /// Why.
        result: u16,
    },
}

impl MapRequest {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, opcode(self.protocol), 0, 0];
        out.extend(self.internal.to_be_bytes());
        out.extend(self.suggested.to_be_bytes());
        out.extend(self.lifetime.to_be_bytes());
        out
    }
}

impl Answer {
    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Option<Answer> {
        let [VERSION, opcode, high, low, rest @ ..] = packet else { return None };
        if opcode & ANSWER == 0 {
            return None;
        }
        let protocol = match opcode & !ANSWER {
            0 => None,
            1 => Some(Protocol::Udp),
            2 => Some(Protocol::Tcp),
            _ => return None,
        };
        let result = u16::from_be_bytes([*high, *low]);
        let (epoch, rest) =
            rest.split_first_chunk().map(|(epoch, rest)| (u32::from_be_bytes(*epoch), rest))?;
        match (result, protocol) {
            (1.., _) => Some(Answer::Refused { protocol, result }),
            (0, None) => {
                let [a, b, c, d] = *rest.first_chunk()?;
                Some(Answer::Address { epoch, ip: Ipv4Addr::new(a, b, c, d) })
            }
            (0, Some(protocol)) => {
                let [a, b, c, d, l0, l1, l2, l3] = *rest.first_chunk()?;
                let (internal, external) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                let lifetime = u32::from_be_bytes([l0, l1, l2, l3]);
                (external != 0 || lifetime == 0).then_some(Answer::Map {
                    protocol,
                    epoch,
                    internal,
                    external,
                    lifetime,
                })
            }
        }
    }
}

/// What a result code says.
pub fn reason(result: u16) -> &'static str {
    match result {
        1 => "it does not support this version of the protocol",
        2 => "it is set to refuse mappings",
        3 => "it has no external address",
        4 => "it has no resources left",
        5 => "it does not support mappings",
        _ => "it refuses",
    }
}

fn opcode(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Udp => 1,
        Protocol::Tcp => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_laid_out_as_the_rfc_has_them() {
        let request = MapRequest { protocol: Protocol::Tcp, internal: 6881, suggested: 6882, lifetime: 600 };
        assert_eq!(request.encode(), [0, 2, 0, 0, 0x1a, 0xe1, 0x1a, 0xe2, 0, 0, 2, 88]);
        let granted = [0, 130, 0, 0, 0, 0, 0, 9, 0x1a, 0xe1, 0x1a, 0xe3, 0, 0, 2, 88];
        let (epoch, internal, external, lifetime) = (9, 6881, 6883, 600);
        let map = Answer::Map { protocol: Protocol::Tcp, epoch, internal, external, lifetime };
        assert_eq!(Answer::decode(&granted), Some(map));
        let address = [0, 128, 0, 0, 0, 0, 0, 9, 198, 17, 0, 1];
        assert_eq!(Answer::decode(&address), Some(Answer::Address { epoch: 9, ip: [198, 17, 0, 1].into() }));
        let refused = [0, 129, 0, 4, 0, 0, 0, 9];
        assert_eq!(
            Answer::decode(&refused),
            Some(Answer::Refused { protocol: Some(Protocol::Udp), result: 4 })
        );
    }

    #[test]
    fn what_is_no_answer_is_nothing() {
        let good = [0, 130, 0, 0, 0, 0, 0, 9, 0x1a, 0xe1, 0x1a, 0xe3, 0, 0, 2, 88];
        assert!((0..16).all(|length| Answer::decode(&good[..length]).is_none()));
        let changed = |at: usize, to: u8| {
            let mut packet = good;
            packet[at] = to;
            Answer::decode(&packet)
        };
        assert_eq!(changed(0, 2), None, "another version");
        assert_eq!(changed(1, 2), None, "a request");
        assert_eq!(changed(1, 131), None, "another opcode");
        let mut none = good;
        (none[10], none[11]) = (0, 0);
        assert_eq!(Answer::decode(&none), None, "external port 0");
        none[14..].fill(0);
        assert!(Answer::decode(&none).is_some(), "but for a mapping that was ended");
        assert_eq!(Answer::decode(&[0, 128, 0, 0, 0, 0, 0, 9, 1, 2, 3]), None, "11 bytes");
    }
}
