//! The envelope of JSON-RPC 2.0: `{"jsonrpc", "method", "params", "id"}`, answered by `{"jsonrpc", "result", "id"}`
//! or `{"jsonrpc", "error", "id"}`. A request without an id is a notification and is not answered.

use std::io;

use crate::daemon::rpc::args::Args;
use crate::daemon::rpc::fault::{Code, Fault};
use crate::daemon::rpc::reply::Reply;
use crate::json::Value;

/// The value of `jsonrpc`.
const VERSION: &str = "2.0";

/// A request.
pub struct Request<'a> {
    /// What is asked for.
    pub method: &'a str,
    /// With which arguments.
    pub args: Args<'a>,
    /// By what the answer is known; `None` for a notification.
    pub id: Option<&'a Value>,
}

impl<'a> Request<'a> {
    /// Reads what has a `jsonrpc`.
    ///
    /// # Errors
    /// Another version; an id that is neither text nor number nor null. Both are answered with id null.
    pub fn read(object: &'a Value) -> Result<Self, Fault> {
        let refuse = |why| Err(Fault::new(Code::InvalidRequest, why));
        if object.get("jsonrpc").and_then(Value::as_text) != Some(VERSION) {
            return refuse("JSON-RPC version is not 2.0");
        }
        let id = object.get("id");
        if let Some(Value::Bool(_) | Value::List(_) | Value::Object(_)) = id {
            return refuse("id type must be String, Number, or Null");
        }
        Ok(Request {
            method: object.get("method").and_then(Value::as_text).unwrap_or_default(),
            args: Args::new(object.get("params")),
            id,
        })
    }
}

/// Writes the answer; `write` gives the members of its result.
pub fn answer(
    reply: &mut Reply,
    id: &Value,
    write: impl FnOnce(&mut Reply) -> io::Result<()>,
) -> io::Result<()> {
    envelope(reply, id, |reply| {
        reply.key("result")?;
        reply.object(write)
    })
}

/// Writes an error.
pub fn refuse(reply: &mut Reply, id: &Value, fault: &Fault) -> io::Result<()> {
    let (code, message) = fault.code.spelled();
    envelope(reply, id, |reply| {
        reply.key("error")?;
        reply.object(|reply| {
            reply.member("code", code)?;
            reply.member("message", message)?;
            if fault.text.is_empty() && fault.details.is_none() {
                return Ok(());
            }
            reply.key("data")?;
            reply.object(|reply| {
                if !fault.text.is_empty() {
                    reply.member("error_string", &fault.text)?;
                }
                if fault.details.is_some() {
                    reply.key("result")?;
                    reply.object(|reply| fault.write_details(reply))?;
                }
                Ok(())
            })
        })
    })
}

fn envelope(
    reply: &mut Reply,
    id: &Value,
    write: impl FnOnce(&mut Reply) -> io::Result<()>,
) -> io::Result<()> {
    reply.object(|reply| {
        reply.member("jsonrpc", VERSION)?;
        write(reply)?;
        reply.key("id")?;
        reply.json().value(id)
    })
}
