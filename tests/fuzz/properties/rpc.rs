//! The Transmission RPC: whatever the body is, the reply is JSON or nothing, what only asks changes nothing, and
//! both dialects do the same.

use bitwren::internals::daemon::command::Command;
use bitwren::internals::daemon::rpc::{Sent, answer};
use bitwren::internals::json::{Value, Writer, parse};

#[allow(dead_code, reason = "the tests of the RPC use more of it")]
pub mod fake;

use fake::Fake;

/// The methods that only ask.
const ASKING: &[&str] =
    &["session_get", "session_stats", "torrent_get", "free_space", "port_test", "group_get"];

pub fn rpc(data: &[u8]) {
    let mut fake = Fake::with(3);
    let reply = answered(&mut fake, data);
    let Ok(request) = parse(data) else {
        assert!(fake.commands.is_empty());
        assert!(reply.is_some_and(|reply| reply.get("error").is_some()));
        return;
    };
    let alone = std::slice::from_ref(&request);
    if request.as_list().unwrap_or(alone).iter().all(only_asks) {
        assert!(fake.commands.is_empty(), "{:?}", fake.commands);
    }
    let Some(method) = request.get("method") else { return };
    let args = request.get("arguments").or(request.get("params")).unwrap_or(&Value::Null);
    let (legacy, legacy_commands) = asked(&[("method", method), ("arguments", args)]);
    let (version, id) = (Value::Text("2.0".into()), Value::Int(1));
    let (modern, modern_commands) =
        asked(&[("jsonrpc", &version), ("method", method), ("params", args), ("id", &id)]);
    let succeeded = legacy.get("result").and_then(Value::as_text) == Some("success");
    assert_eq!(succeeded, modern.get("result").is_some());
    assert_eq!(legacy_commands, modern_commands);
}

fn only_asks(request: &Value) -> bool {
    let method = request.get("method").and_then(Value::as_text).unwrap_or_default();
    ASKING.contains(&&*method.replace('-', "_"))
}

/// The reply, if there is one.
fn answered(fake: &mut Fake, body: &[u8]) -> Option<Value> {
    let mut out = Vec::new();
    let sent = answer(body, fake, &mut out).expect("memory takes all");
    assert_eq!(sent == Sent::Nothing, out.is_empty());
    (sent == Sent::Body).then(|| parse(&out).expect("a reply is JSON"))
}

/// The reply to a request of these members, and what came of it.
fn asked(members: &[(&str, &Value)]) -> (Value, Vec<Command>) {
    let mut writer = Writer::new(Vec::new());
    let members = members.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())).collect();
    writer.value(&Value::Object(members)).expect("memory takes all");
    let mut fake = Fake::with(3);
    let reply = answered(&mut fake, &writer.into_inner()).expect("it has an id");
    (reply, fake.commands)
}
