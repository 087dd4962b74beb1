//! The Transmission RPC: the bytes of a request and a [`Backend`] in, the bytes of the reply out.
//!
//! It speaks both dialects of Transmission 4.1.3 over one set of handlers: the legacy one, and JSON-RPC 2.0, which
//! a request chooses by its `jsonrpc`. It knows no socket, thread or clock, keeps nothing between requests, and
//! never builds a reply in memory.
//!
//! Invariants: whatever the bytes are, a reply is valid JSON or nothing at all; a request that only asks runs no
//! [`Command`](super::command::Command).

mod answer;
mod args;
mod change;
mod fault;
mod groups;
mod keys;
mod methods;
mod mime;
mod peers;
mod reply;
mod session;
mod skin;
mod torrent_fields;
mod torrents;
mod torrents_add;
mod torrents_set;
mod tracker_fields;
mod tracker_list;

use std::io::{self, Write};

use self::fault::{Code, Fault};
use self::methods::Method;
use self::reply::{Dialect, Reply};
use self::skin::{jsonrpc, legacy};
use super::command::Backend;
use crate::json::{self, Value};

pub use session::{RPC_VERSION, RPC_VERSION_MINIMUM, RPC_VERSION_SEMVER, version};

/// Whether something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// A body: status 200, `application/json; charset=UTF-8`.
    Body,
    /// Nothing, for there were only notifications: status 204, no body.
    Nothing,
}

/// Carries out a request and writes the reply into `out`, in many small pieces: give it a buffer.
///
/// `body` is the whole body of a POST, whatever its content type; what is not JSON is answered with an error in
/// JSON, too, and with status 200. The status is known when the first byte is written: a server sends its head
/// then, and where this returns [`Sent::Nothing`], no byte was.
///
/// # Errors
/// Only those of `out`. What was asked for has been done all the same, as far as it had been read.
pub fn answer(body: &[u8], backend: &mut dyn Backend, out: &mut dyn Write) -> io::Result<Sent> {
    let request = match json::parse(body) {
        Ok(request) => request,
        Err(error) => {
            let mut reply = Reply::new(out, Dialect::JsonRpc);
            jsonrpc::refuse(&mut reply, &Value::Null, &Fault::new(Code::ParseError, error.to_string()))?;
            return Ok(Sent::Body);
        }
    };
    match &request {
        Value::List(requests) => answer_batch(requests, backend, out),
        Value::Object(_) if request.get("jsonrpc").is_none() => {
            answer_legacy(&request, backend, &mut Reply::new(out, Dialect::Legacy))
        }
        Value::Object(_) => {
            let mut reply = Reply::new(out, Dialect::JsonRpc);
            Ok(if answer_jsonrpc(&request, backend, &mut reply, &mut |_| Ok(()))? {
                Sent::Body
            } else {
                Sent::Nothing
            })
        }
        _ => {
            let fault = Fault::new(Code::InvalidRequest, "request must be an Array or Object");
            jsonrpc::refuse(&mut Reply::new(out, Dialect::JsonRpc), &Value::Null, &fault)?;
            Ok(Sent::Body)
        }
    }
}

fn answer_legacy(request: &Value, backend: &mut dyn Backend, reply: &mut Reply) -> io::Result<Sent> {
    let request = legacy::Request::read(request);
    let outcome = match Method::find(request.method) {
        Some(method) => method.handle(request.args, backend),
        None => Err(Fault::bare(Code::MethodNotFound)),
    };
    match outcome {
        Ok(answer) => request.answer(reply, |reply| answer.write(reply, backend))?,
        Err(fault) => request.refuse(reply, &fault)?,
    }
    Ok(Sent::Body)
}

/// Answers one request of JSON-RPC, alone or in a batch, and returns whether there was anything to write.
/// `begin` is called before anything is written.
fn answer_jsonrpc(
    request: &Value,
    backend: &mut dyn Backend,
    reply: &mut Reply,
    begin: &mut dyn FnMut(&mut Reply) -> io::Result<()>,
) -> io::Result<bool> {
    let request = match jsonrpc::Request::read(request) {
        Ok(request) => request,
        Err(fault) => {
            begin(reply)?;
            jsonrpc::refuse(reply, &Value::Null, &fault)?;
            return Ok(true);
        }
    };
    let method = Method::find(request.method);
    let Some(id) = request.id else {
        // What only asks has nothing to do without an answer.
        if let Some(method) = method.filter(|method| method.changes()) {
            let _ = method.handle(request.args, backend);
        }
        return Ok(false);
    };
    let outcome = match method {
        Some(method) => method.handle(request.args, backend),
        None => Err(Fault::bare(Code::MethodNotFound)),
    };
    begin(reply)?;
    match outcome {
        Ok(answer) => jsonrpc::answer(reply, id, |reply| answer.write(reply, backend))?,
        Err(fault) => jsonrpc::refuse(reply, id, &fault)?,
    }
    Ok(true)
}

fn answer_batch(requests: &[Value], backend: &mut dyn Backend, out: &mut dyn Write) -> io::Result<Sent> {
    let mut reply = Reply::new(out, Dialect::JsonRpc);
    if requests.is_empty() {
        let fault = Fault::new(Code::InvalidRequest, "the batch is empty");
        jsonrpc::refuse(&mut reply, &Value::Null, &fault)?;
        return Ok(Sent::Body);
    }
    // The list is opened by the first answer in it: notifications alone are answered by nothing at all.
    let mut is_open = false;
    let mut open = |reply: &mut Reply| {
        if std::mem::replace(&mut is_open, true) { Ok(()) } else { reply.json().begin_list() }
    };
    let mut sent = Sent::Nothing;
    for request in requests {
        let is_answered = match request {
            Value::Object(_) => answer_jsonrpc(request, backend, &mut reply, &mut open)?,
            _ => {
                open(&mut reply)?;
                let fault = Fault::new(Code::InvalidRequest, "request must be an Object");
                jsonrpc::refuse(&mut reply, &Value::Null, &fault)?;
                true
            }
        };
        if is_answered {
            sent = Sent::Body;
        }
    }
    if sent == Sent::Body {
        reply.json().end_list()?;
    }
    Ok(sent)
}
