//! Bare repositories, one for each environment.

use std::io;
use std::path::Path;

use orwd_hub_store::usage::{self, Kept};

use super::command::{git, run};
use crate::http::error::ApiError;
use crate::http::state::HubState;
use crate::layout::{Layout, write_private};
use crate::upkeep::measure::measure;

/// The branch of a new repository.
const DEFAULT_BRANCH: &str = "main";

/// Tells the user, on the output of a push, what follows.
const POST_RECEIVE: &str = "#!/bin/sh
# Written by orwd. The other hooks of a repository do not run.
while read -r old new ref; do
  echo \"orwd: received $ref at $new\"
done
if [ -n \"$ORWD_NOTE\" ]; then echo \"orwd: $ORWD_NOTE\"; fi
";

/// The head of a repository's default branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) branch: String,
    pub(crate) commit: String,
}

/// Writes the hook that all repositories have.
pub(crate) fn write_hook(layout: &Layout) -> io::Result<()> {
    write_private(
        &layout.hooks().join("post-receive"),
        POST_RECEIVE.as_bytes(),
        0o700,
    )
}

/// Creates the repository of an environment, if it is absent.
pub(crate) async fn create(state: &HubState, environment: &str) -> Result<(), ApiError> {
    let (layout, environment) = (state.layout.clone(), environment.to_owned());
    tokio::task::spawn_blocking(move || create_blocking(&layout, &environment))
        .await
        .map_err(|error| ApiError::internal("repository not created", error))?
        .map_err(|error| ApiError::internal("repository not created", error))
}

/// Creates the repository of an environment, if it is absent.
pub(super) fn create_blocking(layout: &Layout, environment: &str) -> Result<(), String> {
    let path = layout.repository(environment);
    if path.join("HEAD").exists() {
        return Ok(());
    }
    let mut command = git(layout);
    command
        .args([
            "init",
            "--quiet",
            "--bare",
            "--initial-branch",
            DEFAULT_BRANCH,
            "--template=",
        ])
        .arg(&path);
    run(&mut command).map(drop)
}

/// Returns the head of the default branch, if there is one. The first branch
/// that is pushed becomes the default one.
pub(crate) fn head(layout: &Layout, environment: &str) -> Result<Option<Head>, String> {
    let path = layout.repository(environment);
    if !path.join("HEAD").exists() {
        return Ok(None);
    }
    let default = run(of(layout, &path).args(["symbolic-ref", "HEAD"]))?;
    let default = default.trim();
    let heads = run(of(layout, &path).args([
        "for-each-ref",
        "--format=%(refname) %(objectname)",
        "refs/heads",
    ]))?;
    let heads: Vec<(&str, &str)> = heads
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let found = match (
        heads.iter().find(|(name, _)| *name == default),
        heads.as_slice(),
    ) {
        (Some(head), _) => head,
        (None, [only]) => {
            run(of(layout, &path).args(["symbolic-ref", "HEAD", only.0]))?;
            only
        }
        (None, _) => return Ok(None),
    };
    let branch = found.0.strip_prefix("refs/heads/").unwrap_or(found.0);
    Ok(Some(Head {
        branch: branch.to_owned(),
        commit: found.1.to_owned(),
    }))
}

/// Counts the bytes of a repository after a push. Blocks.
pub(super) fn count(state: &HubState, environment: &str) -> Result<(), String> {
    let path = state.layout.repository(environment);
    let bytes = measure(&path).map_err(|error| error.to_string())?.bytes;
    let id = environment.to_owned();
    let counted = state
        .database
        .run_blocking(move |transaction| usage::set(transaction, &id, Kept::Repository, bytes));
    counted.map_err(|error| error.to_string())
}

/// Returns a command for a repository.
pub(super) fn of(layout: &Layout, repository: &Path) -> std::process::Command {
    let mut command = git(layout);
    command.arg("--git-dir").arg(repository);
    command
}
