//! Decides which route serves a request (`docs/src/reference/wire-contract.md`,
//! sections 1 and 2).
//!
//! The decision depends on the method, the decoded path, and whether a header
//! names a deployment. If the first segment is neither an environment nor a
//! reserved name, the path is *bare*: it belongs to the environment of the
//! header, or else the request is redirected below the default environment, so
//! that clients of a single environment can omit its name.

use std::borrow::Cow;

use orwd_model::{EnvName, RESERVED_PATHS};
use percent_encoding::percent_decode_str;

/// A route with the parameters of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'p> {
    Health,
    Ready,
    Version,
    ListEnvironments,
    CreateSession,
    Create,
    Ping,
    Delete,
    DeleteSession,
    /// The secrets that an environment requires. `name` may be that of a
    /// deployment, which is not an environment here.
    RequiredSecrets {
        name: &'p str,
    },
    /// A route of the admin API, which is not part of the contract.
    Admin(AdminRoute<'p>),
    /// A route below an environment.
    Env {
        target: TargetEnv<'p>,
        route: EnvRoute,
    },
}

/// The environment that a request is for. A session may be on another: it
/// decides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetEnv<'p> {
    /// The one of the path, as the client wrote it.
    Path(&'p str),
    /// The one of the request's deployment; the path names none.
    Deployment,
}

impl TargetEnv<'_> {
    /// Returns the name that a response repeats: as in the path, or that of the
    /// environment.
    pub(crate) fn name<'n>(&'n self, env: &'n EnvName) -> &'n str {
        match self {
            TargetEnv::Path(name) => name,
            TargetEnv::Deployment => env.as_str(),
        }
    }
}

/// The routes of the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminRoute<'p> {
    Sessions,
    Session(&'p str),
    Fork(&'p str),
    Receipt(&'p str),
    Steps(&'p str),
}

/// The routes below an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnvRoute {
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

/// How a request is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoutingDecision<'p> {
    /// By this route.
    Serve(Route<'p>),
    /// With a redirect to the same path below the default environment: 308.
    RedirectToDefault,
    /// With a redirect to the same path without trailing slashes: 307.
    RedirectWithoutSlash,
    /// There is no such path: 404.
    NotFound,
    /// The path supports only this method: 405.
    MethodNotAllowed(&'static str),
}

/// Decides how a request is served. `path` is decoded; `is_environment` is called
/// with its first segment; `has_deployment` says whether a header names a
/// deployment.
pub(crate) fn decide<'p>(
    method: &str,
    path: &'p str,
    is_environment: impl FnOnce(&str) -> bool,
    has_deployment: bool,
) -> RoutingDecision<'p> {
    let first = path.trim_matches('/').split('/').next().unwrap_or_default();
    let exempt = matches!(
        find(path),
        Some((Route::RequiredSecrets { .. } | Route::Ready, _))
    );
    let reserved = RESERVED_PATHS
        .iter()
        .any(|name| first.eq_ignore_ascii_case(name));
    let bare = !exempt && !reserved && !is_environment(first);
    if bare && !has_deployment {
        return RoutingDecision::RedirectToDefault;
    }
    let find = if bare { find_bare } else { find };
    match find(path) {
        Some((route, allowed)) if method == allowed || (method == "HEAD" && allowed == "GET") => {
            RoutingDecision::Serve(route)
        }
        Some((_, allowed)) => RoutingDecision::MethodNotAllowed(allowed),
        None => {
            let bare = path.trim_end_matches('/');
            if bare.len() < path.len() && find(bare).is_some() {
                RoutingDecision::RedirectWithoutSlash
            } else {
                RoutingDecision::NotFound
            }
        }
    }
}

/// Finds the route of a path, and its method.
fn find(path: &str) -> Option<(Route<'_>, &'static str)> {
    // A client that concatenates a base address with a trailing slash requests
    // `//ping`.
    if path == "//ping" {
        return Some((Route::Ping, "POST"));
    }
    let path = path.strip_prefix('/')?;
    let mut segments = path.split('/');
    let first = segments.next()?;
    match (segments.next(), segments.next()) {
        (None, _) => top_level(first),
        (Some("sessions"), id) if first == "orwd" => {
            let (route, method) = admin(id, segments.next())?;
            let more = segments.next().is_some();
            (!more).then_some((Route::Admin(route), method))
        }
        (Some(last), None) if !first.is_empty() => {
            let (route, method) = below_environment(last)?;
            let target = TargetEnv::Path(first);
            Some((Route::Env { target, route }, method))
        }
        (Some("environments"), Some(_owner)) if first == "v1" => {
            // A client gives the name in as many segments as its user did, and an
            // empty owner before a name without one.
            let (names, last) = path.rsplit_once('/')?;
            let name = names.splitn(4, '/').nth(3)?.rsplit('/').next()?;
            let found = last == "required-secrets" && !name.is_empty();
            found.then_some((Route::RequiredSecrets { name }, "GET"))
        }
        _ => None,
    }
}

/// Finds the route of a path without an environment.
fn find_bare(path: &str) -> Option<(Route<'_>, &'static str)> {
    let (route, method) = below_environment(path.strip_prefix('/')?)?;
    let target = TargetEnv::Deployment;
    Some((Route::Env { target, route }, method))
}

fn admin<'p>(id: Option<&'p str>, action: Option<&str>) -> Option<(AdminRoute<'p>, &'static str)> {
    Some(match (id.filter(|id| !id.is_empty()), action) {
        (None, None) if id.is_none() => (AdminRoute::Sessions, "GET"),
        (Some(id), None) => (AdminRoute::Session(id), "GET"),
        (Some(id), Some("fork")) => (AdminRoute::Fork(id), "POST"),
        (Some(id), Some("receipt")) => (AdminRoute::Receipt(id), "GET"),
        (Some(id), Some("steps")) => (AdminRoute::Steps(id), "GET"),
        _ => return None,
    })
}

fn top_level(name: &str) -> Option<(Route<'_>, &'static str)> {
    Some(match name {
        "health" => (Route::Health, "GET"),
        "ready" => (Route::Ready, "GET"),
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

fn below_environment(name: &str) -> Option<(EnvRoute, &'static str)> {
    Some(match name {
        "tools" => (EnvRoute::Tools, "GET"),
        "splits" => (EnvRoute::Splits, "GET"),
        "tasks" => (EnvRoute::Tasks, "POST"),
        "num_tasks" => (EnvRoute::NumTasks, "POST"),
        "task" => (EnvRoute::Task, "POST"),
        "task_range" => (EnvRoute::TaskRange, "POST"),
        "task_tools" => (EnvRoute::TaskTools, "GET"),
        "prompt" => (EnvRoute::Prompt, "GET"),
        "messages" => (EnvRoute::Messages, "GET"),
        "call" => (EnvRoute::Call, "POST"),
        "score_group" => (EnvRoute::ScoreGroup, "POST"),
        _ => return None,
    })
}

/// Decodes the percent escapes of a path. Invalid UTF-8 becomes the replacement
/// character, which no name contains.
pub(crate) fn decode_path(path: &str) -> Cow<'_, str> {
    percent_decode_str(path).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::RoutingDecision::{
        MethodNotAllowed, NotFound, RedirectToDefault, RedirectWithoutSlash, Serve,
    };
    use super::*;

    fn env(name: &str, route: EnvRoute) -> RoutingDecision<'_> {
        let target = TargetEnv::Path(name);
        Serve(Route::Env { target, route })
    }

    #[test]
    fn decides_every_path() {
        for (method, path, expected) in [
            ("GET", "/health", Serve(Route::Health)),
            ("GET", "/ready", Serve(Route::Ready)),
            ("POST", "/ready", MethodNotAllowed("GET")),
            ("GET", "/ready/tools", RedirectToDefault),
            ("GET", "/READY", RedirectToDefault),
            // A HEAD is a GET without a body.
            ("HEAD", "/health", Serve(Route::Health)),
            ("HEAD", "/alpha/tools", env("alpha", EnvRoute::Tools)),
            ("HEAD", "/tools", RedirectToDefault),
            ("HEAD", "/ping", MethodNotAllowed("POST")),
            ("HEAD", "/alpha/nosuch", NotFound),
            ("GET", "/version", Serve(Route::Version)),
            ("GET", "/list_environments", Serve(Route::ListEnvironments)),
            ("POST", "/create_session", Serve(Route::CreateSession)),
            ("POST", "/create", Serve(Route::Create)),
            ("POST", "/ping", Serve(Route::Ping)),
            ("POST", "/delete", Serve(Route::Delete)),
            ("POST", "/delete_session", Serve(Route::DeleteSession)),
            ("GET", "/alpha/tools", env("alpha", EnvRoute::Tools)),
            ("GET", "/alpha/splits", env("alpha", EnvRoute::Splits)),
            ("POST", "/alpha/tasks", env("alpha", EnvRoute::Tasks)),
            ("POST", "/alpha/num_tasks", env("alpha", EnvRoute::NumTasks)),
            ("POST", "/alpha/task", env("alpha", EnvRoute::Task)),
            (
                "POST",
                "/alpha/task_range",
                env("alpha", EnvRoute::TaskRange),
            ),
            (
                "GET",
                "/alpha/task_tools",
                env("alpha", EnvRoute::TaskTools),
            ),
            ("GET", "/alpha/prompt", env("alpha", EnvRoute::Prompt)),
            ("GET", "/alpha/messages", env("alpha", EnvRoute::Messages)),
            ("POST", "/alpha/call", env("alpha", EnvRoute::Call)),
            (
                "POST",
                "/alpha/score_group",
                env("alpha", EnvRoute::ScoreGroup),
            ),
            // An environment is matched in any case, a route is not.
            ("GET", "/ALpha/tools", env("ALpha", EnvRoute::Tools)),
            ("GET", "/alpha/Tools", NotFound),
            ("GET", "/HEALTH", NotFound),
            // A reserved name may stand for the environment.
            ("POST", "/health/call", env("health", EnvRoute::Call)),
            ("GET", "/docs/tools", env("docs", EnvRoute::Tools)),
            ("GET", "/docs", NotFound),
            // The admin API.
            (
                "GET",
                "/orwd/sessions",
                Serve(Route::Admin(AdminRoute::Sessions)),
            ),
            ("POST", "/orwd/sessions", MethodNotAllowed("GET")),
            (
                "GET",
                "/orwd/sessions/s",
                Serve(Route::Admin(AdminRoute::Session("s"))),
            ),
            (
                "POST",
                "/orwd/sessions/s/fork",
                Serve(Route::Admin(AdminRoute::Fork("s"))),
            ),
            ("GET", "/orwd/sessions/s/fork", MethodNotAllowed("POST")),
            (
                "GET",
                "/orwd/sessions/s/receipt",
                Serve(Route::Admin(AdminRoute::Receipt("s"))),
            ),
            (
                "GET",
                "/orwd/sessions/s/steps",
                Serve(Route::Admin(AdminRoute::Steps("s"))),
            ),
            ("GET", "/orwd/sessions/", RedirectWithoutSlash),
            ("GET", "/orwd/sessions/s/nosuch", NotFound),
            ("GET", "/orwd/sessions/s/fork/more", NotFound),
            ("GET", "/orwd", NotFound),
            ("GET", "/openapi.json", NotFound),
            // Below the default environment.
            ("GET", "/", RedirectToDefault),
            ("GET", "", RedirectToDefault),
            ("GET", "//", RedirectToDefault),
            ("GET", "/tools", RedirectToDefault),
            ("GET", "/tools/", RedirectToDefault),
            ("GET", "//tools", RedirectToDefault),
            ("DELETE", "/nosuch/tools", RedirectToDefault),
            ("GET", "/v1/environments", RedirectToDefault),
            ("GET", "/v1/tools", RedirectToDefault),
            // No such path.
            ("GET", "/alpha", NotFound),
            ("GET", "/alpha/", NotFound),
            ("GET", "/alpha//tools", NotFound),
            ("GET", "/alpha/nosuch", NotFound),
            ("GET", "/alpha/nosuch/tools", NotFound),
            ("GET", "//alpha/tools", NotFound),
            ("GET", "//health", NotFound),
            // Another method.
            ("POST", "/health", MethodNotAllowed("GET")),
            ("OPTIONS", "/alpha/call", MethodNotAllowed("POST")),
            ("GET", "/ping", MethodNotAllowed("POST")),
            ("GET", "/create", MethodNotAllowed("POST")),
            ("DELETE", "/alpha/tools", MethodNotAllowed("GET")),
            ("PUT", "/alpha/task", MethodNotAllowed("POST")),
            // Trailing slashes.
            ("GET", "/health/", RedirectWithoutSlash),
            ("GET", "/health//", RedirectWithoutSlash),
            ("GET", "/create/", RedirectWithoutSlash),
            ("GET", "/alpha/tools/", RedirectWithoutSlash),
            ("POST", "/ping/", RedirectWithoutSlash),
            // Extensions for clients.
            ("POST", "//ping", Serve(Route::Ping)),
            ("GET", "//ping", MethodNotAllowed("POST")),
            (
                "GET",
                "/v1/environments/me/Alpha/required-secrets",
                Serve(Route::RequiredSecrets { name: "Alpha" }),
            ),
            (
                "POST",
                "/v1/environments/me/Alpha/required-secrets",
                MethodNotAllowed("GET"),
            ),
            (
                "GET",
                "/v1/environments//Alpha/required-secrets",
                Serve(Route::RequiredSecrets { name: "Alpha" }),
            ),
            (
                "GET",
                "/v1/environments/a/b/Alpha/required-secrets",
                Serve(Route::RequiredSecrets { name: "Alpha" }),
            ),
            (
                "GET",
                "/v1/environments/me//required-secrets",
                RedirectToDefault,
            ),
            (
                "GET",
                "/v1/environments/me/required-secrets",
                RedirectToDefault,
            ),
            (
                "GET",
                "/v1/environments/me/Alpha/required-secrets/x",
                RedirectToDefault,
            ),
        ] {
            let decision = decide(
                method,
                path,
                |name| name.eq_ignore_ascii_case("alpha"),
                false,
            );
            assert_eq!(decision, expected, "{method} {path}");
        }
    }

    #[test]
    fn a_deployment_has_the_bare_paths() {
        let deployment = |route| {
            let target = TargetEnv::Deployment;
            Serve(Route::Env { target, route })
        };
        for (method, path, expected) in [
            ("GET", "/tools", deployment(EnvRoute::Tools)),
            ("HEAD", "/splits", deployment(EnvRoute::Splits)),
            ("POST", "/task_range", deployment(EnvRoute::TaskRange)),
            ("POST", "/call", deployment(EnvRoute::Call)),
            ("POST", "/tools", MethodNotAllowed("GET")),
            ("GET", "/tools/", RedirectWithoutSlash),
            ("GET", "/", NotFound),
            ("GET", "//tools", NotFound),
            ("GET", "/Tools", NotFound),
            ("GET", "/nosuch/tools", NotFound),
            ("GET", "/v1/environments", NotFound),
            // Any other path is what it is without one.
            ("GET", "/alpha/tools", env("alpha", EnvRoute::Tools)),
            ("GET", "/docs/tools", env("docs", EnvRoute::Tools)),
            ("POST", "/create", Serve(Route::Create)),
            ("POST", "//ping", Serve(Route::Ping)),
            ("GET", "/ready", Serve(Route::Ready)),
            ("GET", "/alpha", NotFound),
        ] {
            let decision = decide(method, path, |name| name == "alpha", true);
            assert_eq!(decision, expected, "{method} {path}");
        }
    }

    #[test]
    fn an_environment_shadows_a_bare_path() {
        for (path, expected) in [
            ("/tools", NotFound),
            ("/tools/tools", env("tools", EnvRoute::Tools)),
        ] {
            for has_deployment in [false, true] {
                let decision = decide("GET", path, |name| name == "tools", has_deployment);
                assert_eq!(decision, expected);
            }
        }
    }

    #[test]
    fn decodes_percent_escapes() {
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
            assert_eq!(decode_path(path), expected, "{path}");
        }
    }
}
