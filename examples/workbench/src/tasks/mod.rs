//! The kinds of tasks.

mod config;
mod draw;
mod json;
mod logs;
mod scripts;
mod tables;
mod text;
mod trees;

use orwd_sdk::{Context, Result, Rng};

use crate::bench::Bench;

/// Makes a task from random numbers.
type Make = fn(&mut Rng) -> Bench;

/// Every kind, by its name.
pub(crate) const KINDS: &[(&str, Make)] = &[
    ("csv-totals", tables::totals),
    ("csv-duplicates", tables::duplicates),
    ("csv-repair", tables::repair),
    ("csv-join", tables::join),
    ("tsv-transpose", tables::transpose),
    ("log-errors", logs::errors),
    ("log-slowest", logs::slowest),
    ("log-scanner", logs::scanner),
    ("log-gaps", logs::gaps),
    ("config-rename", config::rename),
    ("config-merge", config::merge),
    ("config-ports", config::ports),
    ("json-summary", json::summary),
    ("json-flatten", json::flatten),
    ("json-versions", json::versions),
    ("text-frequencies", text::frequencies),
    ("text-acrostic", text::acrostic),
    ("text-cipher", text::cipher),
    ("text-contents", text::contents),
    ("script-repair", scripts::repair),
    ("script-write", scripts::write),
    ("code-rename", scripts::rename),
    ("tree-sort", trees::sort),
    ("tree-compare", trees::compare),
    ("tree-links", trees::links),
    ("tree-manifest", trees::manifest),
];

/// Makes the task of a kind and a seed.
pub(crate) fn bench(kind: &str, seed: u64) -> Result<Bench> {
    let (place, (_, make)) = KINDS
        .iter()
        .enumerate()
        .find(|(_, (name, _))| *name == kind)
        .with_context(|| format!("there is no kind of task {kind:?}"))?;
    // Tasks of one seed differ in more than their kind.
    Ok(make(&mut Rng::from_seed(
        seed.wrapping_mul(64).wrapping_add(place as u64),
    )))
}
