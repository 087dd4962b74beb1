//! The Port Control Protocol (RFC 6887): requests for a mapping, and what a gateway answers. A form:
//! bytes to values and back, nothing decided.
//!
//! Invariant: a decoded grant has an external port that is not 0; what is too short or too long, of
//! another version or no answer at all is nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Protocol;

/// The UDP port of gateways, for PCP and NAT-PMP.
pub const GATEWAY_PORT: u16 = 5351;
/// The UDP port to which gateways announce that they have restarted, and the group they announce to.
pub const ANNOUNCE_PORT: u16 = 5350;
/// See [`ANNOUNCE_PORT`].
pub const ANNOUNCE_GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// The version of the protocol in its packets.
pub const VERSION: u8 = 2;

/// Longest packet (RFC 6887, 7).
const MAX_PACKET: usize = 1100;
const OP_ANNOUNCE: u8 = 0;
const OP_MAP: u8 = 1;
const ANSWER: u8 = 0x80;
/// The header of a packet, and a whole `MAP` packet.
const HEADER: usize = 24;
const MAP: usize = 60;

/// What marks the requests for one mapping; an answer repeats it.
pub type Nonce = [u8; 12];

/// A request for a mapping, or with a lifetime of 0 for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapRequest {
    /// Which mapping.
    pub nonce: Nonce,
    /// The address it leads to, from which the request has to come.
    pub client: IpAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port it leads to.
    pub internal: u16,
    /// The external port that would be best.
    pub suggested: u16,
    /// Seconds.
    pub lifetime: u32,
}

/// What a gateway says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It has restarted, or tells that it has not.
    Announce {
        /// Seconds since it lost its mappings.
        epoch: u32,
    },
    /// About a mapping.
    Map {
        /// Which mapping.
        nonce: Nonce,
        /// TCP or UDP.
        protocol: Protocol,
        /// The port it leads to.
        internal: u16,
        /// Seconds since the gateway lost its mappings.
        epoch: u32,
        /// What became of the request.
        result: Result<Grant, u8>,
    },
    /// The gateway does not speak this version, or refuses in a way that says nothing of the mapping.
    Refused(u8),
}

/// A mapping that was granted; with a lifetime of 0, one that was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The external port.
    pub external: u16,
    /// The external address.
    pub ip: IpAddr,
    /// Seconds.
    pub lifetime: u32,
}

impl MapRequest {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAP);
        out.extend([VERSION, OP_MAP, 0, 0]);
        out.extend(self.lifetime.to_be_bytes());
        out.extend(to_v6(self.client).octets());
        out.extend(self.nonce);
        out.extend([self.protocol.number(), 0, 0, 0]);
        out.extend(self.internal.to_be_bytes());
        out.extend(self.suggested.to_be_bytes());
        // Any address, of the family that is wanted.
        let any =
            if self.client.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        out.extend(to_v6(any).octets());
        out
    }
}

impl Answer {
    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Option<Answer> {
        let header = packet.get(..HEADER)?;
        let (version, opcode, result) = (header[0], header[1], header[3]);
        if version != VERSION || opcode & ANSWER == 0 || packet.len() > MAX_PACKET {
            return None;
        }
        let (lifetime, epoch) = (word(header, 4)?, word(header, 8)?);
        match opcode & !ANSWER {
            OP_ANNOUNCE => {
                Some(if result == 0 { Answer::Announce { epoch } } else { Answer::Refused(result) })
            }
            OP_MAP => {
                let Some(map) = packet.get(HEADER..MAP) else {
                    // An error may come without the body of the request.
                    return (result != 0).then_some(Answer::Refused(result));
                };
                let (protocol, internal) = (Protocol::from_number(map[12])?, half(map, 16)?);
                let ip = Ipv6Addr::from(<[u8; 16]>::try_from(map.get(20..36)?).ok()?);
                let grant = Grant { external: half(map, 18)?, ip: IpAddr::V6(ip).to_canonical(), lifetime };
                if result == 0 && grant.external == 0 && lifetime != 0 {
                    return None;
                }
                let result = if result == 0 { Ok(grant) } else { Err(result) };
                Some(Answer::Map { nonce: map[..12].try_into().ok()?, protocol, internal, epoch, result })
            }
            _ => None,
        }
    }
}

/// What a result code says.
pub fn reason(result: u8) -> &'static str {
    match result {
        1 => "it does not support this version of the protocol",
        2 => "it is set to refuse mappings",
        3 => "it finds the request malformed",
        4 => "it does not support mappings",
        7 => "it has a failure of its network",
        8 => "it has no resources left",
        9 => "it does not map this protocol",
        10 => "its quota of mappings for this host is used up",
        11 => "it cannot provide this external port or address",
        12 => "another router is between it and this host",
        _ => "it refuses",
    }
}

fn to_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    fn answer(opcode: u8, result: u8, lifetime: u32, external: u16) -> Vec<u8> {
        let mut packet = vec![2, 0x80 | opcode, 0, result];
        packet.extend(lifetime.to_be_bytes());
        packet.extend(77u32.to_be_bytes());
        packet.extend([0; 12]);
        packet.extend(NONCE);
        packet.extend([6, 0, 0, 0, 0x1a, 0xe1]);
        packet.extend(external.to_be_bytes());
        packet.extend(Ipv4Addr::new(198, 17, 0, 1).to_ipv6_mapped().octets());
        packet
    }

    #[test]
    fn a_request_is_laid_out_as_the_rfc_has_it() {
        let client = IpAddr::from([192, 168, 77, 10]);
        let request = MapRequest {
            nonce: NONCE,
            client,
            protocol: Protocol::Udp,
            internal: 6881,
            suggested: 6882,
            lifetime: 600,
        };
        let packet = request.encode();
        assert_eq!(packet[..8], [2, 1, 0, 0, 0, 0, 2, 88]);
        assert_eq!(packet[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 168, 77, 10]);
        assert_eq!(packet[24..36], NONCE);
        assert_eq!(packet[36..44], [17, 0, 0, 0, 0x1a, 0xe1, 0x1a, 0xe2]);
        assert_eq!(packet[44..], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0]);
        let pinhole = MapRequest { client: "2001:db8::5".parse().unwrap(), ..request }.encode();
        assert_eq!((pinhole.len(), &pinhole[44..]), (60, &[0; 16][..]));
    }

    #[test]
    fn a_grant_is_read() {
        let granted = Answer::decode(&answer(1, 0, 600, 6900)).unwrap();
        let grant = Grant { external: 6900, ip: IpAddr::from([198, 17, 0, 1]), lifetime: 600 };
        let expected = Answer::Map {
            nonce: NONCE,
            protocol: Protocol::Tcp,
            internal: 6881,
            epoch: 77,
            result: Ok(grant),
        };
        assert_eq!(granted, expected);
        let refused = Answer::decode(&answer(1, 8, 30, 0)).unwrap();
        assert!(matches!(refused, Answer::Map { result: Err(8), .. }));
        assert_eq!(Answer::decode(&answer(0, 0, 0, 0)[..24]), Some(Answer::Announce { epoch: 77 }));
        assert_eq!(Answer::decode(&answer(1, 1, 0, 0)[..24]), Some(Answer::Refused(1)));
    }

    #[test]
    fn what_is_no_answer_is_nothing() {
        let good = answer(1, 0, 600, 6900);
        assert!((0..60).all(|length| Answer::decode(&good[..length]).is_none()));
        let changed = |at: usize, to: u8| {
            let mut packet = good.clone();
            packet[at] = to;
            Answer::decode(&packet)
        };
        assert_eq!(changed(0, 1), None, "another version");
        assert_eq!(changed(1, 1), None, "a request");
        assert_eq!(changed(1, 0x83), None, "another opcode");
        assert_eq!(changed(36, 1), None, "neither TCP nor UDP");
        assert_eq!(Answer::decode(&answer(1, 0, 600, 0)), None, "external port 0");
        assert_eq!(Answer::decode(&[&good[..], &[0; 1100]].concat()), None, "too long");
    }
}
