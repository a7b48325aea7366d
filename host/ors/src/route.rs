//! Which route a request takes (wire contract sections 1 and 2).
//!
//! A decision on the method and the decoded path alone. A first segment that
//! names neither an environment nor something reserved is redirected below the
//! default environment, so that clients which know one environment only can
//! leave its name out.

use std::borrow::Cow;

use orwd_model::RESERVED;

/// A route, with what the path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'p> {
    Health,
    Version,
    ListEnvironments,
    CreateSession,
    Create,
    Ping,
    Delete,
    DeleteSession,
    /// The secrets that an environment asks for; `name` may be that of a
    /// deployment, which is no environment here.
    RequiredSecrets {
        name: &'p str,
    },
    /// A route of ours, which is none of the contract's.
    Beyond(Beyond<'p>),
    /// A route below an environment, whose name is as the client wrote it.
    Env {
        name: &'p str,
        tail: Tail,
    },
}

/// The routes of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond<'p> {
    Sessions,
    Session(&'p str),
    Fork(&'p str),
    Receipt(&'p str),
}

/// The routes below an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Tools,
    Splits,
    Tasks,
    NumTasks,
    Task,
    TaskRange,
    TaskTools,
    Prompt,
    Messages,
    Call,
    ScoreGroup,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision<'p> {
    /// It takes this route.
    Take(Route<'p>),
    /// It is sent below the default environment: 308.
    ToDefault,
    /// It is sent to the same path without the slashes at its end: 307.
    WithoutSlash,
    /// There is no such path: 404.
    NotFound,
    /// The path takes this method alone: 405.
    Only(&'static str),
}

/// Decides on a request. `path` is decoded, `is_environment` is asked about
/// its first segment.
pub(super) fn decide<'p>(
    method: &str,
    path: &'p str,
    is_environment: impl FnOnce(&str) -> bool,
) -> Decision<'p> {
    let first = path.trim_matches('/').split('/').next().unwrap_or_default();
    let found = find(path);
    let exempt = matches!(found, Some((Route::RequiredSecrets { .. }, _)));
    let reserved = RESERVED.iter().any(|name| first.eq_ignore_ascii_case(name));
    if !exempt && !reserved && !is_environment(first) {
        return Decision::ToDefault;
    }
    match found {
        Some((route, allowed)) if method == allowed => Decision::Take(route),
        Some((_, allowed)) => Decision::Only(allowed),
        None => {
            let bare = path.trim_end_matches('/');
            if bare.len() < path.len() && find(bare).is_some() {
                Decision::WithoutSlash
            } else {
                Decision::NotFound
            }
        }
    }
}

/// The route of a path, and its method.
fn find(path: &str) -> Option<(Route<'_>, &'static str)> {
    // A client's own concatenation gives `//ping` where its base address ends
    // in a slash.
    if path == "//ping" {
        return Some((Route::Ping, "POST"));
    }
    let path = path.strip_prefix('/')?;
    let mut segments = path.split('/');
    let first = segments.next()?;
    match (segments.next(), segments.next()) {
        (None, _) => top(first),
        (Some("sessions"), id) if first == "orwd" => {
            let (route, method) = ours(id, segments.next())?;
            let more = segments.next().is_some();
            (!more).then_some((Route::Beyond(route), method))
        }
        (Some(tail), None) if !first.is_empty() => {
            let (tail, method) = below_environment(tail)?;
            Some((Route::Env { name: first, tail }, method))
        }
        (Some("environments"), Some(owner)) if first == "v1" && !owner.is_empty() => {
            let name = segments.next().filter(|name| !name.is_empty())?;
            let last = segments.next()? == "required-secrets" && segments.next().is_none();
            last.then_some((Route::RequiredSecrets { name }, "GET"))
        }
        _ => None,
    }
}

fn ours<'p>(id: Option<&'p str>, verb: Option<&str>) -> Option<(Beyond<'p>, &'static str)> {
    Some(match (id.filter(|id| !id.is_empty()), verb) {
        (None, None) if id.is_none() => (Beyond::Sessions, "GET"),
        (Some(id), None) => (Beyond::Session(id), "GET"),
        (Some(id), Some("fork")) => (Beyond::Fork(id), "POST"),
        (Some(id), Some("receipt")) => (Beyond::Receipt(id), "GET"),
        _ => return None,
    })
}

fn top(name: &str) -> Option<(Route<'_>, &'static str)> {
    Some(match name {
        "health" => (Route::Health, "GET"),
        "version" => (Route::Version, "GET"),
        "list_environments" => (Route::ListEnvironments, "GET"),
        "create_session" => (Route::CreateSession, "POST"),
        "create" => (Route::Create, "POST"),
        "ping" => (Route::Ping, "POST"),
        "delete" => (Route::Delete, "POST"),
        "delete_session" => (Route::DeleteSession, "POST"),
        _ => return None,
    })
}

fn below_environment(name: &str) -> Option<(Tail, &'static str)> {
    Some(match name {
        "tools" => (Tail::Tools, "GET"),
        "splits" => (Tail::Splits, "GET"),
        "tasks" => (Tail::Tasks, "POST"),
        "num_tasks" => (Tail::NumTasks, "POST"),
        "task" => (Tail::Task, "POST"),
        "task_range" => (Tail::TaskRange, "POST"),
        "task_tools" => (Tail::TaskTools, "GET"),
        "prompt" => (Tail::Prompt, "GET"),
        "messages" => (Tail::Messages, "GET"),
        "call" => (Tail::Call, "POST"),
        "score_group" => (Tail::ScoreGroup, "POST"),
        _ => return None,
    })
}

/// A path with its percent escapes read. Bytes that are no UTF-8 become the
/// replacement character, which is in no name.
pub(super) fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let escape = || {
            let mut ahead = bytes.clone();
            let high = char::from(ahead.next()?).to_digit(16)?;
            let low = char::from(ahead.next()?).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        };
        match (byte, escape()) {
            (b'%', Some(escaped)) => {
                bytes.nth(1);
                out.push(escaped);
            }
            _ => out.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::Decision::{NotFound, Only, Take, ToDefault, WithoutSlash};
    use super::*;

    fn env(name: &str, tail: Tail) -> Decision<'_> {
        Take(Route::Env { name, tail })
    }

    #[test]
    fn every_path_gets_its_decision() {
        for (method, path, expected) in [
            ("GET", "/health", Take(Route::Health)),
            ("GET", "/version", Take(Route::Version)),
            ("GET", "/list_environments", Take(Route::ListEnvironments)),
            ("POST", "/create_session", Take(Route::CreateSession)),
            ("POST", "/create", Take(Route::Create)),
            ("POST", "/ping", Take(Route::Ping)),
            ("POST", "/delete", Take(Route::Delete)),
            ("POST", "/delete_session", Take(Route::DeleteSession)),
            ("GET", "/alpha/tools", env("alpha", Tail::Tools)),
            ("GET", "/alpha/splits", env("alpha", Tail::Splits)),
            ("POST", "/alpha/tasks", env("alpha", Tail::Tasks)),
            ("POST", "/alpha/num_tasks", env("alpha", Tail::NumTasks)),
            ("POST", "/alpha/task", env("alpha", Tail::Task)),
            ("POST", "/alpha/task_range", env("alpha", Tail::TaskRange)),
            ("GET", "/alpha/task_tools", env("alpha", Tail::TaskTools)),
            ("GET", "/alpha/prompt", env("alpha", Tail::Prompt)),
            ("GET", "/alpha/messages", env("alpha", Tail::Messages)),
            ("POST", "/alpha/call", env("alpha", Tail::Call)),
            ("POST", "/alpha/score_group", env("alpha", Tail::ScoreGroup)),
            // An environment's name is taken in any case, a route's is not.
            ("GET", "/ALpha/tools", env("ALpha", Tail::Tools)),
            ("GET", "/alpha/Tools", NotFound),
            ("GET", "/HEALTH", NotFound),
            // Reserved names may stand where an environment should.
            ("POST", "/health/call", env("health", Tail::Call)),
            ("GET", "/docs/tools", env("docs", Tail::Tools)),
            ("GET", "/docs", NotFound),
            // Ours.
            (
                "GET",
                "/orwd/sessions",
                Take(Route::Beyond(Beyond::Sessions)),
            ),
            ("POST", "/orwd/sessions", Only("GET")),
            (
                "GET",
                "/orwd/sessions/s",
                Take(Route::Beyond(Beyond::Session("s"))),
            ),
            (
                "POST",
                "/orwd/sessions/s/fork",
                Take(Route::Beyond(Beyond::Fork("s"))),
            ),
            ("GET", "/orwd/sessions/s/fork", Only("POST")),
            (
                "GET",
                "/orwd/sessions/s/receipt",
                Take(Route::Beyond(Beyond::Receipt("s"))),
            ),
            ("GET", "/orwd/sessions/", WithoutSlash),
            ("GET", "/orwd/sessions/s/nosuch", NotFound),
            ("GET", "/orwd/sessions/s/fork/more", NotFound),
            ("GET", "/orwd", NotFound),
            ("GET", "/openapi.json", NotFound),
            // Below the default environment.
            ("GET", "/", ToDefault),
            ("GET", "", ToDefault),
            ("GET", "//", ToDefault),
            ("GET", "/tools", ToDefault),
            ("GET", "/tools/", ToDefault),
            ("GET", "//tools", ToDefault),
            ("DELETE", "/nosuch/tools", ToDefault),
            ("GET", "/v1/environments", ToDefault),
            ("GET", "/v1/tools", ToDefault),
            // Nothing there.
            ("GET", "/alpha", NotFound),
            ("GET", "/alpha/", NotFound),
            ("GET", "/alpha//tools", NotFound),
            ("GET", "/alpha/nosuch", NotFound),
            ("GET", "/alpha/nosuch/tools", NotFound),
            ("GET", "//alpha/tools", NotFound),
            ("GET", "//health", NotFound),
            // Another method.
            ("POST", "/health", Only("GET")),
            ("HEAD", "/health", Only("GET")),
            ("OPTIONS", "/alpha/call", Only("POST")),
            ("GET", "/ping", Only("POST")),
            ("GET", "/create", Only("POST")),
            ("DELETE", "/alpha/tools", Only("GET")),
            ("PUT", "/alpha/task", Only("POST")),
            // A slash too many.
            ("GET", "/health/", WithoutSlash),
            ("GET", "/health//", WithoutSlash),
            ("GET", "/create/", WithoutSlash),
            ("GET", "/alpha/tools/", WithoutSlash),
            ("POST", "/ping/", WithoutSlash),
            // What clients ask for beyond the protocol.
            ("POST", "//ping", Take(Route::Ping)),
            ("GET", "//ping", Only("POST")),
            (
                "GET",
                "/v1/environments/me/Alpha/required-secrets",
                Take(Route::RequiredSecrets { name: "Alpha" }),
            ),
            (
                "POST",
                "/v1/environments/me/Alpha/required-secrets",
                Only("GET"),
            ),
            ("GET", "/v1/environments//Alpha/required-secrets", ToDefault),
            ("GET", "/v1/environments/me/required-secrets", ToDefault),
            (
                "GET",
                "/v1/environments/me/Alpha/required-secrets/x",
                ToDefault,
            ),
        ] {
            let decision = decide(method, path, |name| name.eq_ignore_ascii_case("alpha"));
            assert_eq!(decision, expected, "{method} {path}");
        }
    }

    #[test]
    fn an_environment_shadows_a_bare_path() {
        for (path, expected) in [
            ("/tools", NotFound),
            ("/tools/tools", env("tools", Tail::Tools)),
        ] {
            assert_eq!(decide("GET", path, |name| name == "tools"), expected);
        }
    }

    #[test]
    fn percent_escapes_are_read() {
        for (path, expected) in [
            ("/alpha/tools", "/alpha/tools"),
            ("/alph%61/tools", "/alpha/tools"),
            ("/a%2Fb", "/a/b"),
            ("/%c3%A9", "/é"),
            ("/%ff", "/\u{fffd}"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz%41", "/%zzA"),
        ] {
            assert_eq!(decoded(path), expected, "{path}");
        }
    }
}
