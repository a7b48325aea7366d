//! Hardens the process of commands that run guests.

use std::path::{Path, PathBuf};

use orwd_catalog::PreparedEnvironment;
use orwd_config::HardeningMode;
use orwd_hardening::{PathAccess, Policy, Workload};
use orwd_model::DataMode;

use super::temp_dir::TempDirectory;
use crate::console::CommandError;

/// Returns the policy of a server, which reads the files of `reloaded` again. The cache is not in it, since everything is
/// compiled before hardening. The state directory is, since the journal creates
/// and removes files there.
pub(crate) fn policy<'e, 'f>(
    environments: impl Iterator<Item = &'e PreparedEnvironment>,
    reloaded: impl IntoIterator<Item = &'f PathBuf>,
    state: Option<&Path>,
    temp_dir: &TempDirectory,
) -> Policy {
    let mut policy = Policy::of(Workload::Serve).and(temp_dir.path(), PathAccess::TempFiles);
    if let Some(parent) = temp_dir.path().parent() {
        policy = policy.and(parent, PathAccess::RemoveDirs);
    }
    if let Some(state) = state {
        policy = policy.and(state, PathAccess::Write);
    }
    for spec in environments.map(PreparedEnvironment::spec) {
        if let Some(data) = &spec.data {
            let access = match spec.mode {
                DataMode::Shared(_) => PathAccess::Write,
                DataMode::ReadOnly | DataMode::Session => PathAccess::Read,
            };
            policy = policy.and(data.path(), access);
        }
    }
    // Such a file may be replaced, or be a link to a file that is. Only its
    // directory finds it again.
    for directory in reloaded.into_iter().flat_map(|file| directories(file)) {
        policy = policy.and(directory, PathAccess::ReadFiles);
    }
    policy
}

/// Returns the directories of a file: of its path, and of the file that a link
/// points to.
fn directories(file: &Path) -> Vec<PathBuf> {
    let named = std::path::absolute(file).ok();
    let real = file.canonicalize().ok();
    let mut found: Vec<_> = [named, real]
        .into_iter()
        .flatten()
        .filter_map(|path| path.parent().map(Path::to_owned))
        .collect();
    found.dedup();
    found
}

/// Applies the policy and logs which protections are active and missing.
pub(crate) fn apply(mode: HardeningMode, policy: &Policy) -> Result<(), CommandError> {
    if mode == HardeningMode::Off {
        tracing::warn!(
            "process hardening is off: a sandbox escape would run with this user's privileges"
        );
        return Ok(());
    }
    for (path, access) in policy.paths() {
        tracing::debug!(path = %path.display(), ?access, "path access kept");
    }
    let report = orwd_hardening::apply(policy)?;
    tracing::info!(active = %report, "process hardened");
    for missing in report.missing() {
        tracing::warn!(
            protection = %missing.protection(),
            reason = %missing.reason(),
            essential = missing.is_essential(),
            "hardening unavailable"
        );
    }
    let essential = report
        .missing()
        .iter()
        .find(|missing| missing.is_essential());
    match essential {
        Some(missing) if mode == HardeningMode::Required => Err(CommandError::new(format!(
            "--hardening required: this kernel lacks the protection of {}: {}; enable it (for \
             files, Landlock: lsm=landlock on the kernel's command line) or pass \
             --hardening available",
            missing.protection(),
            missing.reason()
        ))),
        _ => Ok(()),
    }
}
