//! The arguments of a request, by the names that JSON-RPC has; either spelling is taken.
//!
//! A value of a wrong type is as if it were not there, as clients rely on.

use super::fault::Fault;
use super::keys;
use crate::InfoHash;
use crate::daemon::command::Backend;
use crate::daemon::view::TorrentId;
use crate::json::Value;

/// Arguments that a request may have. Each is looked for among all; clients send thirty at most.
const MAX_ARGUMENTS: usize = 1000;

/// The arguments of a request.
#[derive(Clone, Copy)]
pub struct Args<'a>(Option<&'a Value>);

impl<'a> Args<'a> {
    /// Those in this object; none in anything else.
    pub fn new(value: Option<&'a Value>) -> Self {
        Args(value)
    }

    /// Refuses what is not worth looking into, and what is no object where something is to be done: taken for no
    /// argument at all, a list of ids would stand for every torrent.
    pub fn check(self, changes: bool) -> Result<(), Fault> {
        match self.0 {
            Some(Value::Object(members)) if members.len() > MAX_ARGUMENTS => {
                Err(Fault::params(format!("more than {MAX_ARGUMENTS} arguments")))
            }
            None | Some(Value::Object(_) | Value::Null) => Ok(()),
            Some(_) if changes => Err(Fault::params("arguments must be an Object")),
            Some(_) => Ok(()),
        }
    }

    /// The argument of this name.
    pub fn get(self, name: &str) -> Option<&'a Value> {
        let value = self.0?;
        let (legacy, field) = (keys::legacy(name), keys::legacy_field(name));
        value
            .get(name)
            .or_else(|| if legacy == name { None } else { value.get(legacy) })
            .or_else(|| if field == legacy { None } else { value.get(field) })
    }

    /// A flag.
    pub fn flag(self, name: &str) -> Option<bool> {
        flag(self.get(name)?)
    }

    /// A whole number from 0 up.
    pub fn number(self, name: &str) -> Option<u32> {
        number(self.get(name)?)
    }

    /// A whole number.
    pub fn int(self, name: &str) -> Option<i64> {
        self.get(name)?.as_int()
    }

    /// A number from 0 up.
    pub fn float(self, name: &str) -> Option<f64> {
        float(self.get(name)?)
    }

    /// A text.
    pub fn text(self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_text()
    }

    /// A list.
    pub fn list(self, name: &str) -> Option<&'a [Value]> {
        self.get(name)?.as_list()
    }

    /// The torrents that `ids` stands for: all if it is absent, none for an empty list, unknown ones left out,
    /// each once.
    pub fn torrents(self, backend: &dyn Backend) -> Vec<TorrentId> {
        let Some(ids) = self.get("ids") else { return backend.torrents() };
        let mut chosen = Vec::new();
        let all = backend.torrents();
        let one = std::slice::from_ref(ids);
        for value in ids.as_list().unwrap_or(one) {
            match value {
                Value::Int(id) => {
                    let known = u32::try_from(*id).ok().filter(|id| all.binary_search(id).is_ok());
                    chosen.extend(known);
                }
                Value::Text(text) if is_recently_active(text) => chosen.extend(backend.recently_active()),
                Value::Text(text) => {
                    chosen.extend(InfoHash::from_hex(text).ok().and_then(|hash| backend.find(&hash)));
                }
                _ => {}
            }
        }
        each_once(chosen)
    }

    /// Whether `ids` asks for what changed lately.
    pub fn asks_for_recent(self) -> bool {
        self.text("ids").is_some_and(is_recently_active)
    }
}

fn is_recently_active(text: &str) -> bool {
    matches!(text, "recently_active" | "recently-active")
}

/// The ids in their order, without those that stood there before.
fn each_once(ids: Vec<TorrentId>) -> Vec<TorrentId> {
    let mut seen = std::collections::HashSet::new();
    ids.into_iter().filter(|id| seen.insert(*id)).collect()
}

/// A flag; clients send 0 and 1 too.
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Int(number @ (0 | 1)) => Some(*number == 1),
        _ => None,
    }
}

/// A whole number from 0 up.
pub fn number(value: &Value) -> Option<u32> {
    value.as_int().and_then(|number| number.try_into().ok())
}

/// A number from 0 up.
pub fn float(value: &Value) -> Option<f64> {
    value.as_number().filter(|number| *number >= 0.0)
}
