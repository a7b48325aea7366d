//! Checks that a component implements the world `environment`, and reports all
//! mismatches.
//!
//! wasmtime stops at the first mismatch, but an author wants the whole list. So
//! each function of the world is looked up and its type compared here, and each
//! import is checked against the table of grants.

use std::fmt;

use orwd_bindings::exports::orwd::environment::orwd_catalog::{Description, TaskError};
use orwd_bindings::exports::orwd::environment::orwd_episode::{
    Block, Candidate, Message, Score, Secret, TaskTool, ToolError, ToolOutput,
};
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{ComponentNamedList, Lift, Lower, ResourceAny};

use orwd_sandbox::{Grant, grant_of};

/// The package and the version that this host serves.
pub(crate) const PACKAGE: &str = "orwd:environment";
pub(crate) const VERSION: &str = "0.1.0";

/// One import of a component, and how the sandbox treats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentImport {
    /// The interface, with its version.
    pub name: String,
    /// How the sandbox treats it.
    pub grant: Grant,
}

/// The list of mismatches with the world; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldMismatch(Vec<String>);

impl std::error::Error for WorldMismatch {}

impl fmt::Display for WorldMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the component does not implement the environment world of {PACKAGE}@{VERSION}:"
        )?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// Lists the imports of a component.
pub(crate) fn imports(component: &wasmtime::component::Component) -> Vec<ComponentImport> {
    let ty = component.component_type();
    ty.imports(component.engine())
        .map(|(name, _)| ComponentImport {
            grant: grant_of(name),
            name: name.to_owned(),
        })
        .collect()
}

/// Lists the exports of a component.
pub(crate) fn exports(component: &wasmtime::component::Component) -> Vec<String> {
    let ty = component.component_type();
    ty.exports(component.engine())
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Collects all mismatches with the world.
pub(crate) fn check(component: &wasmtime::component::Component) -> Result<(), WorldMismatch> {
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
        Err(WorldMismatch(problems))
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
        problems.push(format!("its export {wanted} is not an interface"));
        return;
    };
    for (name, fits) in functions {
        match function(component, &instance, name) {
            None => problems.push(format!("{wanted} lacks the function {name}")),
            Some(func) if !fits(component, &func) => {
                problems.push(format!("{wanted}: the function {name} has the wrong type"));
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
