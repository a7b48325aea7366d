//! Whether a component is an environment, and all that keeps it from being one.
//!
//! wasmtime stops at the first item that does not fit; an author wants to see
//! all of them. So each function of the world is looked up and its type
//! compared here, and each import is held against the table of grants.

use std::fmt;

use orwd_bindings::exports::orwd::environment::orwd_catalog::{Description, TaskError};
use orwd_bindings::exports::orwd::environment::orwd_episode::{
    Block, Candidate, Message, Score, Secret, TaskTool, ToolError, ToolOutput,
};
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{ComponentNamedList, Lift, Lower, ResourceAny};

use orwd_sandbox::{Grant, grant_of};

/// The package, and the version of it that this host serves.
pub(super) const PACKAGE: &str = "orwd:environment";
pub(super) const VERSION: &str = "0.1.0";

/// One import of a component and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The interface, with its version.
    pub name: String,
    /// What it comes to.
    pub grant: Grant,
}

/// What keeps a component from being an environment; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(Vec<String>);

impl std::error::Error for Mismatch {}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the component is no environment for this host, which serves {PACKAGE}@{VERSION}:"
        )?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// Lists what a component imports.
pub(super) fn imports(component: &wasmtime::component::Component) -> Vec<Import> {
    let ty = component.component_type();
    ty.imports(component.engine())
        .map(|(name, _)| Import {
            grant: grant_of(name),
            name: name.to_owned(),
        })
        .collect()
}

/// Lists what a component exports.
pub(super) fn exports(component: &wasmtime::component::Component) -> Vec<String> {
    let ty = component.component_type();
    ty.exports(component.engine())
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Finds everything that does not fit.
pub(super) fn check(component: &wasmtime::component::Component) -> Result<(), Mismatch> {
    let mut problems: Vec<String> = imports(component)
        .into_iter()
        .filter(|import| import.grant == Grant::Refused)
        .map(|import| format!("it imports {}, which is not granted", import.name))
        .collect();
    check_interface(component, "orwd-catalog", CATALOG, &mut problems);
    check_interface(component, "orwd-episode", EPISODE, &mut problems);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Mismatch(problems))
    }
}

type Fits = fn(&wasmtime::component::Component, &ComponentFunc) -> bool;

const CATALOG: &[(&str, Fits)] = &[
    ("describe", fits::<(), (Description,)>),
    ("num-tasks", fits::<(&str,), (Result<u64, TaskError>,)>),
    (
        "tasks",
        fits::<(&str, u64, u64), (Result<Vec<String>, TaskError>,)>,
    ),
    ("task", fits::<(&str, i64), (Result<String, TaskError>,)>),
];

const EPISODE: &[(&str, Fits)] = &[
    (
        "[static]session.open",
        fits::<(&str, &[Secret], u64), (Result<ResourceAny, String>,)>,
    ),
    (
        "[method]session.setup",
        fits::<(ResourceAny,), (Result<(), String>,)>,
    ),
    (
        "[method]session.prompt",
        fits::<(ResourceAny,), (Result<Vec<Block>, String>,)>,
    ),
    (
        "[method]session.messages",
        fits::<(ResourceAny,), (Result<Vec<Message>, String>,)>,
    ),
    (
        "[method]session.task-tools",
        fits::<(ResourceAny,), (Result<Vec<TaskTool>, String>,)>,
    ),
    (
        "[method]session.call",
        fits::<(ResourceAny, &str, &str), (Result<ToolOutput, ToolError>,)>,
    ),
    (
        "[method]session.score-group",
        fits::<(ResourceAny, &[Candidate]), (Result<Vec<Score>, String>,)>,
    ),
    (
        "[method]session.teardown",
        fits::<(ResourceAny,), (Result<(), String>,)>,
    ),
];

fn fits<P, R>(component: &wasmtime::component::Component, func: &ComponentFunc) -> bool
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let ty = component.component_type();
    !func.async_() && func.typecheck::<P, R>(&ty.instance_type()).is_ok()
}

fn check_interface(
    component: &wasmtime::component::Component,
    interface: &str,
    functions: &[(&str, Fits)],
    problems: &mut Vec<String>,
) {
    let wanted = format!("{PACKAGE}/{interface}@{VERSION}");
    let ty = component.component_type();
    let engine = component.engine();
    let Some(found) = ty.get_export(engine, &wanted) else {
        let prefix = format!("{PACKAGE}/{interface}");
        let other = ty
            .exports(engine)
            .map(|(name, _)| name)
            .find(|name| name.split('@').next() == Some(prefix.as_str()));
        problems.push(match other {
            Some(other) => format!("it exports {other}, which is another version of {wanted}"),
            None => format!("it does not export {wanted}"),
        });
        return;
    };
    let ComponentItem::ComponentInstance(instance) = found.ty else {
        problems.push(format!("its export {wanted} is no interface"));
        return;
    };
    for (name, fits) in functions {
        match function(component, &instance, name) {
            None => problems.push(format!("{wanted} lacks the function {name}")),
            Some(func) if !fits(component, &func) => {
                problems.push(format!("{wanted}: the function {name} has another type"));
            }
            Some(_) => {}
        }
    }
}

fn function(
    component: &wasmtime::component::Component,
    instance: &ComponentInstance,
    name: &str,
) -> Option<ComponentFunc> {
    match instance.get_export(component.engine(), name)?.ty {
        ComponentItem::ComponentFunc(func) => Some(func),
        _ => None,
    }
}
