//! Which protections are active, and which are missing.

use std::fmt;
use std::path::PathBuf;

/// Access to files, the most important of Landlock's parts.
pub(crate) const FILES: &str = "files";

/// The filter of system calls.
pub(crate) const SYSTEM_CALLS: &str = "system calls";

/// The protections without which a sandbox escape would reach what the process
/// promises to protect. The others narrow further what such a guest could do.
const ESSENTIAL: [&str; 5] = [
    "privileges",
    "capabilities",
    "core dumps",
    FILES,
    SYSTEM_CALLS,
];

/// Protections of this process, active and missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HardeningReport {
    active: Vec<String>,
    missing: Vec<MissingProtection>,
}

/// A protection that this kernel does not provide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingProtection {
    protection: &'static str,
    reason: String,
}

/// The policy names a path that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot apply hardening: cannot use {}: {reason}", path.display())]
pub struct HardeningError {
    path: PathBuf,
    reason: String,
}

impl HardeningReport {
    pub(crate) fn record(&mut self, protection: &'static str, outcome: Result<String, String>) {
        match outcome {
            Ok(how) => self.active.push(format!("{protection}: {how}")),
            Err(reason) => self.missing.push(MissingProtection { protection, reason }),
        }
    }

    /// Returns the missing protections; none on a recent Linux.
    pub fn missing(&self) -> &[MissingProtection] {
        &self.missing
    }
}

impl MissingProtection {
    /// Returns the name of the protection, such as `files` or `system calls`.
    pub fn protection(&self) -> &'static str {
        self.protection
    }

    /// Returns whether it is one of those that `--hardening required` demands.
    pub fn is_essential(&self) -> bool {
        ESSENTIAL.contains(&self.protection)
    }

    /// Returns why it is missing.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl HardeningError {
    #[cfg(target_os = "linux")]
    pub(crate) fn new(path: PathBuf, reason: String) -> HardeningError {
        HardeningError { path, reason }
    }
}

/// Lists the active protections, for the log.
impl fmt::Display for HardeningReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.active.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.active.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_system_calls_are_essential_and_newer_parts_are_not() {
        let mut report = HardeningReport::default();
        for protection in [FILES, SYSTEM_CALLS, "truncation", "TCP"] {
            report.record(protection, Err("an old kernel".to_owned()));
        }
        let essential = report.missing().iter().map(MissingProtection::is_essential);
        assert_eq!(essential.collect::<Vec<_>>(), [true, true, false, false]);
    }
}
