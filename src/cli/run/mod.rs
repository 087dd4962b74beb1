//! A run of one or more torrents: its sources, its jobs, its signals and its reports.

pub(crate) mod blocklist;
pub(crate) mod client_config;
pub(crate) mod given_peers;
pub(crate) mod hidden_names;
pub(crate) mod hook;
pub(crate) mod inbox;
pub(crate) mod job;
pub(crate) mod leftovers;
pub(crate) mod load;
pub(crate) mod notify;
pub(crate) mod precheck;
pub(crate) mod proxy_ways;
pub(crate) mod reporter;
pub(crate) mod signals;
pub(crate) mod silence;
pub(crate) mod source;
pub(crate) mod state_home;
pub(crate) mod transfer;
