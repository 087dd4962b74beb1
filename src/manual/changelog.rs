//! Changelog: what changed for users of the library and of the program, newest first.
//!
//! Versions follow semantic versioning. Before 1.0 a minor version may break the API; it says so here.
//!
//! # 0.1.0 (not released yet)
//!
//! Library:
//! - [`Config`](crate::Config) and [`TorrentConfig`](crate::TorrentConfig) have private fields, one setter for
//!   each setting, and `validate`. Setters take paths as `impl Into<PathBuf>`, lists as
//!   `impl IntoIterator`, and optional values with or without `Some`.
//! - Settings renamed: `Config::seed` is [`random_seed`](crate::Config::random_seed),
//!   `TorrentConfig::spread` is [`fast_first_copy`](crate::TorrentConfig::fast_first_copy),
//!   `TorrentConfig::choose` is [`file_selector`](crate::TorrentConfig::file_selector), `Chooser` is
//!   [`FileSelector`](crate::FileSelector).
//! - [`Events`](crate::Events) has `recv`, `recv_timeout`, `try_recv` and iterators, which tell a time-out
//!   from the end of the client. `next_within` is gone.
//! - [`InfoHash`](crate::InfoHash) and [`PeerId`](crate::PeerId) are opaque: `from_bytes`, `as_bytes`.
//! - [`Config::portmap`](crate::Config::portmap) has the gateway let peers in,
//!   [`Client::port_map`](crate::Client::port_map) shows what it maps. Feature `portmap`.
//! - [`Config::filter`](crate::Config::filter) blocks addresses, [`Blocklist`](crate::Blocklist) reads them
//!   from a list, [`Client::set_filter`](crate::Client::set_filter) changes them.
//! - A [`Torrent`](crate::Torrent) is changed while it runs: `verify`, `reannounce`, `set_files` (selection and
//!   [`Priority`](crate::Priority)), `set_trackers`, `move_to`, `locate`, `start_now`, and its limits; a
//!   [`Client`](crate::Client) has its limits and the order of its queue changed. `pieces`, `files` and `trackers`
//!   are snapshots; [`Progress`](crate::Progress) and [`PeerSnapshot`](crate::PeerSnapshot) say more.
//! - The field of [`EventKind::PeerBanned`](crate::EventKind::PeerBanned) that says why is `violation`.
//! - [`Config::device`](crate::Config::device), [`Config::dscp`](crate::Config::dscp) and
//!   [`Config::congestion`](crate::Config::congestion); [`Config::proxy`](crate::Config::proxy) takes a
//!   [`Proxy`](crate::Proxy), [`Config::proxy_peers`](crate::Config::proxy_peers) and
//!   [`Config::proxy_trackers`](crate::Config::proxy_trackers) one for a purpose, and
//!   [`Config::web_proxies`](crate::Config::web_proxies) the [`WebProxies`](crate::WebProxies) of the environment.
//!   [`fetch_torrent`](crate::fetch_torrent) and
//!   [`scrape`](crate::scrape) take a [`Config`](crate::Config), of which the settings of sockets count.
//! - [`metainfo::build::Torrent`](crate::metainfo::build::Torrent) and its `Entry`,
//!   [`metainfo::edit::Edit`](crate::metainfo::edit::Edit) and `TrackerServerConfig` have private fields and a
//!   setter for each; [`piece_hash`](crate::metainfo::build::piece_hash) hashes a piece.
//! - An [`Error`](crate::Error) has its cause in its line and at [`Error::cause`](crate::Error::cause);
//!   `source` has none, so that no report says it twice.
//! - The iterators over events are [`events::Iter`](crate::events::Iter) and
//!   [`events::IntoIter`](crate::events::IntoIter).
//! - Everything below the API is hidden. What is public is named at the root of the crate or in
//!   [`metainfo`](crate::metainfo).
