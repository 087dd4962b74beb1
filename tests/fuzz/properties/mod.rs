//! What must hold for any bytes at all: one function a target, which panics where it does not.
//!
//! Shared by the fuzzer (`make fuzz`) and by the replay of its corpus on any toolchain (tests/it/replay.rs).
//! Formats are given the bytes as they are. What takes a sequence of events is driven by a [`Script`].

mod bencode;
mod cli;
mod dht;
mod encryption;
mod filter;
mod json;
mod metainfo;
mod picker;
mod portmap;
mod proxy;
mod resume;
pub mod rpc;
mod session;
mod tracker;
mod wire;

/// A name, which is that of the corpus in `testdata/fuzz` too, and what must hold.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("bencode", bencode::bencode),
    ("bitfield", wire::bitfield),
    ("blocklist", filter::blocklist),
    ("cli", cli::cli),
    ("compact", wire::compact),
    ("dht_node", dht::node),
    ("encryption", encryption::encryption),
    ("extension", wire::extension),
    ("frames", wire::frames),
    ("gateway_http", portmap::gateway_http),
    ("http_answer", tracker::http_answer),
    ("http_connect", proxy::http_connect),
    ("igd", portmap::igd),
    ("json", json::json),
    ("krpc", wire::krpc),
    ("lsd", wire::lsd),
    ("magnet", metainfo::magnet),
    ("metainfo", metainfo::metainfo),
    ("natpmp", portmap::natpmp),
    ("paths", metainfo::paths),
    ("pcp", portmap::pcp),
    ("picker", picker::picker),
    ("portmap", portmap::portmap),
    ("resume", resume::resume),
    ("rpc", rpc::rpc),
    ("session", session::session),
    ("socks", proxy::socks),
    ("ssdp", portmap::ssdp),
    ("tracker_http", tracker::http_server),
    ("tracker_udp", tracker::udp_server),
    ("tracker_url", tracker::url),
    ("udp_packet", tracker::udp_packet),
];

/// Input read as a sequence of choices. At its end every choice is 0.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Script(data)
    }

    /// Whether there is nothing left to choose by.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn bit(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `bound`, which is at most 256.
    pub fn below(&mut self, bound: u32) -> u32 {
        u32::from(self.byte()) % bound
    }

    pub fn word(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub fn long(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// The next bytes, as far as there are so many.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Up to 255 bytes, or up to 65,535, as the script itself says.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = match self.byte() {
            255 => usize::from(u16::from_be_bytes(self.array())),
            length => usize::from(length),
        };
        self.take(length)
    }
}

/// Whether a text can be printed on one line.
pub fn is_one_line(text: &str) -> bool {
    !text.contains(|c: char| c.is_control())
}
