//! KRPC, the messages of the DHT (BEP 5): bencoded dictionaries in single packets. Nodes over IPv6
//! (BEP 32), the receiver's address and the mark of read-only nodes (BEP 42, BEP 43).
//!
//! Reading judges form alone and copies next to nothing: what a message says stays in the packet it
//! came in. A list whose length is no multiple of an entry gives its whole entries.

use std::net::SocketAddr;

use crate::bencode::{self, Encoder, Value};
use crate::id::InfoHash;
use crate::tracker::compact;

/// The longest token and transaction id that is taken.
const MAX_TOKEN_BYTES: usize = 64;
/// The value of `v` in our messages.
const VERSION: &[u8] = b"bw\0\x01";

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Goes into the answer unchanged; chosen by the asking node.
    pub transaction: &'a [u8],
    /// The message itself.
    pub body: Body<'a>,
    /// The address the sender sees us at (BEP 42).
    pub ip: Option<SocketAddr>,
    /// The sender answers no questions (BEP 43).
    pub read_only: bool,
}

/// The kinds of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// A query, and the id of the asking node.
    Query([u8; 20], Query<'a>),
    /// An answer.
    Response(Response<'a>),
    /// A question that was not answered, and the code of BEP 5.
    Error(i64),
    /// A question of an unknown kind, or one that lacks something: the code to answer with.
    BadQuery(i64),
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query<'a> {
    /// Are you there?
    Ping,
    /// Which nodes are nearest to this id?
    FindNode([u8; 20]),
    /// Which peers have this torrent, or which nodes are nearest to it?
    GetPeers(InfoHash),
    /// We have this torrent.
    Announce {
        /// The torrent.
        info_hash: InfoHash,
        /// The TCP port of the peer; none if it is the port the packet comes from.
        port: Option<u16>,
        /// The token that the node gave us with its answer to `get_peers`.
        token: &'a [u8],
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response<'a> {
    /// The id of the answering node.
    pub id: [u8; 20],
    /// Nodes over IPv4 and over IPv6 that are nearer.
    pub nodes: Vec<([u8; 20], SocketAddr)>,
    /// Peers of the torrent.
    pub peers: Vec<SocketAddr>,
    /// To be sent with an announce.
    pub token: Option<&'a [u8]>,
}

impl<'a> Packet<'a> {
    /// Reads a packet; none if it is no message that could be answered or used.
    pub fn decode(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let message = bencode::decode(bytes).ok()?;
        let transaction = message.get(b"t")?.as_bytes().filter(|id| id.len() <= MAX_TOKEN_BYTES)?;
        let body = match message.get(b"y")?.as_bytes()? {
            b"q" => query(message),
            b"r" => Body::Response(response(message.get(b"r")?)?),
            b"e" => Body::Error(message.get(b"e").and_then(Value::list)?.next()?.as_int()?),
            _ => return None,
        };
        let ip = message.get(b"ip").and_then(Value::as_bytes).and_then(address);
        let read_only = message.get(b"ro").and_then(Value::as_int) == Some(1);
        Some(Packet { transaction, body, ip, read_only })
    }
}

/// The code of a message that lacks something.
const PROTOCOL: i64 = 203;
/// The code of an unknown query.
const UNKNOWN: i64 = 204;
/// The code of an error that says that we cannot do what was asked (BEP 5: Server Error).
pub const SERVER: i64 = 202;

fn query(message: Value<'_>) -> Body<'_> {
    let Some((name, args)) = message.get(b"q").and_then(Value::as_bytes).zip(message.get(b"a")) else {
        return Body::BadQuery(PROTOCOL);
    };
    let Some(id) = id(args, b"id") else { return Body::BadQuery(PROTOCOL) };
    let query = match name {
        b"ping" => Some(Query::Ping),
        b"find_node" => self::id(args, b"target").map(Query::FindNode),
        b"get_peers" => self::id(args, b"info_hash").map(|hash| Query::GetPeers(InfoHash::from_bytes(hash))),
        b"announce_peer" => announce(args),
        _ => return Body::BadQuery(UNKNOWN),
    };
    query.map_or(Body::BadQuery(PROTOCOL), |query| Body::Query(id, query))
}

fn announce(args: Value<'_>) -> Option<Query<'_>> {
    let info_hash = InfoHash::from_bytes(id(args, b"info_hash")?);
    let token = args.get(b"token")?.as_bytes().filter(|token| token.len() <= MAX_TOKEN_BYTES)?;
    let implied = args.get(b"implied_port").and_then(Value::as_int).is_some_and(|implied| implied != 0);
    let port = match implied {
        true => None,
        false => Some(u16::try_from(args.get(b"port")?.as_int()?).ok().filter(|port| *port != 0)?),
    };
    Some(Query::Announce { info_hash, port, token })
}

fn response(values: Value<'_>) -> Option<Response<'_>> {
    let mut response = Response { id: id(values, b"id")?, ..Response::default() };
    for (key, value) in values.dict()? {
        match key {
            b"nodes" => response.nodes.extend(nodes(value, compact::V4)),
            b"nodes6" => response.nodes.extend(nodes(value, compact::V6)),
            b"token" => response.token = value.as_bytes().filter(|token| token.len() <= MAX_TOKEN_BYTES),
            b"values" => {
                let peers = value.list().into_iter().flatten();
                response.peers.extend(peers.filter_map(Value::as_bytes).filter_map(address));
            }
            _ => {}
        }
    }
    Some(response)
}

fn id(values: Value<'_>, key: &[u8]) -> Option<[u8; 20]> {
    values.get(key)?.as_bytes()?.try_into().ok()
}

fn nodes(value: Value<'_>, address_length: usize) -> impl Iterator<Item = ([u8; 20], SocketAddr)> + '_ {
    value.as_bytes().unwrap_or_default().chunks_exact(20 + address_length).filter_map(node)
}

/// A node as BEP 5 and BEP 32 write it: id, address, port; the family shows in the length.
pub fn node(bytes: &[u8]) -> Option<([u8; 20], SocketAddr)> {
    let (id, addr) = bytes.split_first_chunk::<20>()?;
    Some((*id, address(addr)?))
}

/// Appends a node in that form.
pub fn write_node(id: &[u8; 20], addr: SocketAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(id);
    compact::write(addr, out);
}

fn address(bytes: &[u8]) -> Option<SocketAddr> {
    match bytes.len() {
        compact::V4 => compact::read_v4(bytes).next(),
        compact::V6 => compact::read_v6(bytes).next(),
        _ => None,
    }
}

/// A question as it travels.
pub fn encode_query(transaction: &[u8], id: &[u8; 20], query: &Query<'_>, read_only: bool) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| {
        out.dict("a", |args| {
            args.bytes("id", id);
            match query {
                Query::Ping => {}
                Query::FindNode(target) => args.bytes("target", target),
                Query::GetPeers(info_hash) => args.bytes("info_hash", *info_hash.as_bytes()),
                Query::Announce { info_hash, port, token } => {
                    args.int("implied_port", port.is_none().into());
                    args.bytes("info_hash", *info_hash.as_bytes());
                    args.int("port", port.unwrap_or(1).into());
                    args.bytes("token", token);
                }
            }
        });
        let name = match query {
            Query::Ping => "ping",
            Query::FindNode(_) => "find_node",
            Query::GetPeers(_) => "get_peers",
            Query::Announce { .. } => "announce_peer",
        };
        out.bytes("q", name);
        if read_only {
            out.int("ro", 1);
        }
        finish(out, transaction, "q");
    });
    out.finish()
}

/// An answer as it travels; `to` is told where we see it. All nodes are of the family of `to`.
pub fn encode_response(transaction: &[u8], to: SocketAddr, response: &Response<'_>) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| {
        out.bytes("ip", compact_of(to));
        out.dict("r", |values| {
            values.bytes("id", response.id);
            let mut nodes = Vec::new();
            response.nodes.iter().for_each(|(id, addr)| write_node(id, *addr, &mut nodes));
            values.bytes(if to.is_ipv4() { "nodes" } else { "nodes6" }, nodes);
            if let Some(token) = response.token {
                values.bytes("token", token);
            }
            if !response.peers.is_empty() {
                values.list("values", |list| {
                    response.peers.iter().for_each(|peer| list.bytes(compact_of(*peer)))
                });
            }
        });
        finish(out, transaction, "r");
    });
    out.finish()
}

/// A refusal as it travels.
pub fn encode_error(transaction: &[u8], code: i64) -> Vec<u8> {
    let why = match code {
        UNKNOWN => "Method Unknown",
        SERVER => "Server Error",
        _ => "Protocol Error",
    };
    let mut out = Encoder::new();
    out.dict(|out| {
        out.list("e", |list| {
            list.int(code);
            list.bytes(why);
        });
        finish(out, transaction, "e");
    });
    out.finish()
}

fn finish(out: &mut bencode::Dict<'_>, transaction: &[u8], kind: &str) {
    out.bytes("t", transaction);
    out.bytes("v", VERSION);
    out.bytes("y", kind);
}

fn compact_of(addr: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(compact::V6);
    compact::write(addr, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of `testdata/vectors/krpc.txt`.
    fn vector(name: &str) -> Vec<u8> {
        let all = include_str!("../../testdata/vectors/krpc.txt");
        let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t')).unwrap();
        line.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    const ID: [u8; 20] = *b"abcdefghij0123456789";
    const OTHER: [u8; 20] = *b"mnopqrstuvwxyz123456";

    #[test]
    fn the_questions_of_bep_5_are_understood() {
        let hash = InfoHash::from_bytes(OTHER);
        let announce = Query::Announce { info_hash: hash, port: None, token: b"aoeusnth" };
        for (name, query) in [
            ("ping query", Query::Ping),
            ("find_node query", Query::FindNode(OTHER)),
            ("get_peers query", Query::GetPeers(hash)),
            ("announce_peer query", announce),
        ] {
            let bytes = vector(name);
            let packet = Packet::decode(&bytes).unwrap();
            assert_eq!((packet.transaction, &packet.body), (&b"aa"[..], &Body::Query(ID, query)), "{name}");
            // Our queries are understood as they were meant.
            for read_only in [false, true] {
                let ours = encode_query(b"aa", &ID, &query, read_only);
                let again = Packet::decode(&ours).unwrap();
                assert_eq!((again.read_only, again.body), (read_only, Body::Query(ID, query)), "{name}");
            }
        }
    }

    #[test]
    fn the_answers_of_bep_5_are_understood() {
        let response = |bytes: &[u8]| match Packet::decode(bytes).unwrap().body {
            Body::Response(Response { id, nodes, peers, token }) => {
                (id, nodes, peers, token.map(<[u8]>::to_vec))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(response(&vector("ping response")), (OTHER, vec![], vec![], None));
        assert_eq!(response(&vector("announce_peer response")).0, OTHER);
        // Nine bytes are no node.
        assert_eq!(response(&vector("find_node response")).1, []);
        let token = Some(b"aoeusnth".to_vec());
        assert_eq!(response(&vector("get_peers response with nodes")), (ID, vec![], vec![], token.clone()));
        let peers = ["97.120.106.101:11893", "105.100.104.116:28269"].map(|peer| peer.parse().unwrap());
        assert_eq!(response(&vector("get_peers response with peers")), (ID, vec![], peers.into(), token));
        assert_eq!(Packet::decode(&vector("error")).unwrap().body, Body::Error(201));
    }

    #[test]
    fn what_is_broken_is_refused() {
        assert_eq!(Packet::decode(&vector("corrupted packet from the wild")), None);
        assert_eq!(Packet::decode(&vector("reply with binary key in r")), None);
        let body = |text: &'static str| Packet::decode(text.as_bytes()).map(|packet| packet.body);
        assert_eq!(body("d1:q4:ping1:t2:aa1:y1:qe"), Some(Body::BadQuery(PROTOCOL)));
        let unknown = "d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe";
        assert_eq!(body(unknown), Some(Body::BadQuery(UNKNOWN)));
        for none in ["", "de", "i1e", "d1:y1:qe", "d1:t2:aa1:y1:xe", "d1:rd2:id3:abce1:t2:aa1:y1:re"] {
            assert_eq!(body(none), None, "{none}");
        }
    }

    #[test]
    fn answers_survive_the_wire_over_both_families() {
        for (to, addr) in [("1.2.3.4:5", "9.8.7.6:5432"), ("[2001:db8::1]:5", "[2001:db8::2]:5432")] {
            let (to, addr): (SocketAddr, SocketAddr) = (to.parse().unwrap(), addr.parse().unwrap());
            let ours =
                Response { id: ID, nodes: vec![(OTHER, addr)], peers: vec![addr, to], token: Some(b"token") };
            let bytes = encode_response(b"tt", to, &ours);
            let packet = Packet::decode(&bytes).unwrap();
            assert_eq!((packet.ip, packet.body), (Some(to), Body::Response(ours)));
        }
    }
}
