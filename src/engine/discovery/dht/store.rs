//! The file in which nodes are remembered from one run to the next, so that the second start needs no router:
//! bencoded, for each family the id we had and the nodes that answered.
//!
//! The id is used again only at the same port: two clients of one machine must not pass for one node. The
//! contents are bounded when they are read, and the worst they can hold is nodes that do not answer. A file
//! that is something else is never replaced, and no link is written through: the directory may be one that
//! others may write to.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;

use crate::bencode::{self, Encoder};
use crate::dht::{Family, Node, NodeId};
use crate::error::Result;
use crate::storage::replace::replace;
use crate::tracker::compact;
use crate::wire::krpc;

/// Most bytes of the file that are read.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// How the file begins, with nodes of either family or none.
const STARTS: [&[u8]; 3] = [b"d3:ip4d2:id20:", b"d3:ip6d2:id20:", b"d4:porti"];

/// The remembered nodes.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    port: u16,
    families: Vec<Remembered>,
}

/// A node as it was: its family, its id, the nodes it knew.
type Remembered = (Family, NodeId, Vec<(NodeId, SocketAddr)>);

impl Saved {
    /// Our id in an earlier run.
    pub(crate) fn id(&self, family: Family, port: u16) -> Option<NodeId> {
        self.of(family).filter(|_| self.port == port).map(|(_, id, _)| *id)
    }

    /// The nodes known then.
    pub(crate) fn nodes(&self, family: Family) -> &[(NodeId, SocketAddr)] {
        self.of(family).map_or(&[], |(.., nodes)| nodes)
    }

    fn of(&self, family: Family) -> Option<&Remembered> {
        self.families.iter().find(|(its, ..)| *its == family)
    }
}

/// Reads the file; none if there is no file, or it is something else.
pub(crate) fn load(path: &Path) -> Option<Saved> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    let saved = bencode::decode(&bytes).ok()?;
    let port = saved.get(b"port")?.as_int()?.try_into().ok()?;
    let family = |family: Family| {
        let its = saved.get(key(family))?;
        let id = NodeId(its.get(b"id")?.as_bytes()?.try_into().ok()?);
        let nodes = its.get(b"nodes")?.as_bytes()?;
        let nodes = nodes.chunks_exact(length(family)).filter_map(krpc::node);
        let nodes = nodes.map(|(id, addr)| (NodeId(id), addr)).collect();
        Some((family, id, nodes))
    };
    Some(Saved { port, families: [Family::V4, Family::V6].into_iter().filter_map(family).collect() })
}

/// Replaces the file as a whole.
///
/// # Errors
/// Those of the file system; [`ErrorKind::Exists`](crate::error::ErrorKind::Exists) where a file that is not
/// ours has the name.
pub(crate) fn save(path: &Path, nodes: &[Node], port: u16) -> Result<()> {
    let mut out = Encoder::new();
    out.dict(|out| {
        for node in nodes {
            out.dict(key(node.family()), |out| {
                out.bytes("id", node.id().0);
                let mut nodes = Vec::new();
                node.state().iter().for_each(|(id, addr)| krpc::write_node(&id.0, *addr, &mut nodes));
                out.bytes("nodes", nodes);
            });
        }
        out.int("port", port.into());
    });
    let is_ours = |start: &[u8]| STARTS.iter().any(|known| start.starts_with(known));
    replace(path, "the nodes of the DHT", &out.finish(), &is_ours)
}

fn key(family: Family) -> &'static [u8] {
    match family {
        Family::V4 => b"ip4",
        Family::V6 => b"ip6",
    }
}

/// Bytes of a node.
fn length(family: Family) -> usize {
    match family {
        Family::V4 => 20 + compact::V4,
        Family::V6 => 20 + compact::V6,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::ErrorKind;

    fn scratch(name: &str) -> std::path::PathBuf {
        let directory = std::env::temp_dir().join(format!("bitwren-dht-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn a_file_of_ours_is_replaced_and_a_foreign_one_is_not() {
        let directory = scratch("foreign");
        let path = directory.join("dht.nodes");
        save(&path, &[], 6881).unwrap();
        save(&path, &[], 6882).unwrap();
        assert_eq!(load(&path).unwrap().port, 6882);
        fs::write(&path, "my own notes").unwrap();
        assert_eq!(save(&path, &[], 6883).unwrap_err().kind(), ErrorKind::Exists);
        assert_eq!(fs::read(&path).unwrap(), b"my own notes");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_the_temporary_file_is_not_written_through() {
        let directory = scratch("link");
        let (path, precious) = (directory.join("dht.nodes"), directory.join("precious"));
        fs::write(&precious, "keep me").unwrap();
        let temporary = directory.join(format!(".dht.nodes.{}.tmp", std::process::id()));
        std::os::unix::fs::symlink(&precious, temporary).unwrap();
        save(&path, &[], 6881).unwrap();
        assert_eq!(fs::read(&precious).unwrap(), b"keep me");
        assert!(load(&path).is_some());
        fs::remove_dir_all(directory).unwrap();
    }
}
