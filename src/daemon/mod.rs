//! The daemon: a session of many torrents that other programs drive over the Transmission RPC.
//!
//! A face of the library: it uses the client and what is below, and nothing uses it but the program.
//!
//! # Rooms
//!
//! A room imports from those above it in this table, and from no other; a test reads the table.
//!
//! | room | has |
//! |---|---|
//! | [`stored`] | values of settings as they are stored |
//! | [`settings`] | what clients may change of the session and of a torrent |
//! | [`view`] | what can be asked of the session and its torrents, as plain values |
//! | [`command`] | what can be done to them, as plain values; the [`Backend`](command::Backend) that carries it out |
//! | [`gate`] | who may ask: the checks of a request by its head |
//! | [`record`] | what is kept of torrents and session, and its form on the disk |
//! | [`store`] | the state directory |
//! | [`roots`] | the directories that requests may name |
//! | [`facts`] | what a torrent is, as clients are told |
//! | [`disk_work`] | moving, renaming and removing data |
//! | [`task`] | a torrent of the session |
//! | [`session`] | all of them |
//! | [`order`] | what the keeper is asked to do |
//! | [`torrent_config`] | a task's settings for the client |
//! | [`keeper`] | the thread that alone changes the session |
//! | [`library`] | the session for those who answer clients |
//! | [`page`] | the page for browsers: one file, packed, and what its head says |
//! | [`rpc`] | the Transmission RPC: the bytes of a request in, the bytes of the reply out; pure |
//! | [`serve`] | the RPC over HTTP |
//! | [`running`] | a daemon that runs |

pub mod command;
pub mod disk_work;
pub mod facts;
pub mod gate;
pub mod keeper;
pub mod library;
pub mod order;
pub mod page;
pub mod record;
pub mod roots;
pub mod rpc;
pub mod running;
pub mod serve;
pub mod session;
pub mod settings;
pub mod store;
pub mod stored;
pub mod task;
pub mod torrent_config;
pub mod view;
