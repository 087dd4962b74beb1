//! Other BitTorrent programs, as the interoperability suite and the benchmark both start and ask them: what
//! every command line has in common, and transmission's RPC. `setup.sh` installs them.
//!
//! All of them speak TCP and the plain protocol, do not preallocate, and look for peers only as they are told.

pub mod aria2;
pub mod libtorrent;
pub mod transmission;
