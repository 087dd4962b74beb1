//! The legacy envelope: `{"method", "arguments", "tag"}`, answered by `{"arguments", "result", "tag"}`.
//!
//! An error is a text in `result`. A tag comes back if it was a whole number.

use std::io;

use crate::daemon::rpc::args::Args;
use crate::daemon::rpc::fault::{Code, Fault};
use crate::daemon::rpc::reply::Reply;
use crate::json::Value;

/// A request.
pub struct Request<'a> {
    /// What is asked for.
    pub method: &'a str,
    /// With which arguments.
    pub args: Args<'a>,
    tag: Option<i64>,
}

impl<'a> Request<'a> {
    /// Reads an object. Whatever is missing in it is as if it were empty.
    pub fn read(object: &'a Value) -> Self {
        Request {
            method: object.get("method").and_then(Value::as_text).unwrap_or_default(),
            args: Args::new(object.get("arguments")),
            tag: object.get("tag").and_then(Value::as_int),
        }
    }

    /// Writes the answer; `write` gives the members of its arguments.
    pub fn answer(
        &self,
        reply: &mut Reply,
        write: impl FnOnce(&mut Reply) -> io::Result<()>,
    ) -> io::Result<()> {
        self.envelope(reply, "success", write)
    }

    /// Writes an error.
    pub fn refuse(&self, reply: &mut Reply, fault: &Fault) -> io::Result<()> {
        let text = match (fault.code, &*fault.text) {
            (Code::MethodNotFound, _) => "no method name",
            (code, "") => code.spelled().1,
            (_, text) => text,
        };
        self.envelope(reply, text, |reply| fault.write_details(reply))
    }

    fn envelope(
        &self,
        reply: &mut Reply,
        result: &str,
        write: impl FnOnce(&mut Reply) -> io::Result<()>,
    ) -> io::Result<()> {
        reply.object(|reply| {
            reply.key("arguments")?;
            reply.object(write)?;
            reply.member("result", result)?;
            match self.tag {
                Some(tag) => reply.member("tag", tag),
                None => Ok(()),
            }
        })
    }
}
