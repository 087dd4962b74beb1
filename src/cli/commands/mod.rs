//! One file for each command: settings in, exit code out.

pub(crate) mod create;
pub(crate) mod daemon;
pub(crate) mod edit;
pub(crate) mod get;
pub(crate) mod magnet;
pub(crate) mod scrape;
pub(crate) mod seed;
pub(crate) mod share;
pub(crate) mod show;
pub(crate) mod tracker;
pub(crate) mod verify;
