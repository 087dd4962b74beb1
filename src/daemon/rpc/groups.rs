//! group-get and group-set: groups of bandwidth.

use super::answer::Answer;
use super::args::Args;
use super::fault::Fault;
use crate::daemon::command::{Backend, Command, GroupChange};
use crate::json::Value;

/// The groups of the names in `name`, or all of them.
pub fn get<'a>(args: Args<'a>, _: &dyn Backend) -> Result<Answer<'a>, Fault> {
    let names: Vec<&str> = match args.get("name") {
        Some(Value::Text(name)) => vec![name],
        Some(Value::List(names)) => names.iter().filter_map(Value::as_text).collect(),
        _ => Vec::new(),
    };
    Ok(Answer::new(move |reply, backend| {
        let groups = backend.session().groups;
        let asked = groups.iter().filter(|group| names.is_empty() || names.contains(&&*group.name));
        reply.key("group")?;
        reply.list(asked, |reply, group| {
            reply.object(|reply| {
                reply.member("honors_session_limits", group.honors_session_limits)?;
                reply.member("name", &group.name)?;
                reply.member("speed_limit_down", group.speed_limit_down)?;
                reply.member("speed_limit_down_enabled", group.speed_limit_down_enabled)?;
                reply.member("speed_limit_up", group.speed_limit_up)?;
                reply.member("speed_limit_up_enabled", group.speed_limit_up_enabled)
            })
        })
    }))
}

/// Makes or changes a group.
pub fn set<'a>(args: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
    let name = args.text("name").unwrap_or_default().trim();
    if name.is_empty() {
        return Err(Fault::params("No group name given"));
    }
    backend.run(Command::SetGroup(GroupChange {
        name: name.to_owned(),
        honors_session_limits: args.flag("honors_session_limits"),
        speed_limit_down: args.number("speed_limit_down"),
        speed_limit_down_enabled: args.flag("speed_limit_down_enabled"),
        speed_limit_up: args.number("speed_limit_up"),
        speed_limit_up_enabled: args.flag("speed_limit_up_enabled"),
    }))?;
    Ok(Answer::nothing())
}
