//! Admitting the environments of a version.

use std::collections::BTreeSet;
use std::path::Path;

use orwd_hub_store::deployments::DeployedVersion;
use serde::Deserialize;
use serde_json::Value;

use super::program::inspect;
use crate::layout::Layout;
use crate::upkeep::measure::measure;

/// What `orwd inspect` says of an environment.
#[derive(Deserialize)]
struct Report {
    name: String,
    digest: String,
    secrets: Vec<String>,
}

/// A version, and what `orwd inspect` says of each of its environments.
pub(super) type Admitted = (DeployedVersion, Vec<Value>);

/// Admits the environments at these paths of a directory, and describes the
/// version. `log` gets what is for the author. Blocks.
pub(super) fn admit(
    layout: &Layout,
    directory: &Path,
    paths: &[String],
    is_build: bool,
    log: &dyn Fn(&str),
) -> Result<Admitted, String> {
    let mut reports = Vec::new();
    let (mut variants, mut digests, mut secrets) = (Vec::new(), Vec::new(), BTreeSet::new());
    for path in paths {
        let shown = if path.is_empty() { "the root" } else { path };
        log(&format!("admitting the environment in {shown}\n"));
        let printed = inspect(layout, &directory.join(path), is_build)?;
        // The author knows the folder of the repository, and not ours.
        let messages = printed.stderr.replace(&*directory.to_string_lossy(), ".");
        if !printed.is_success {
            return Err(reason(&messages));
        }
        log(&messages);
        let unreadable = |error| format!("the description cannot be read: {error}");
        let whole: Value = serde_json::from_str(&printed.stdout).map_err(unreadable)?;
        let report = Report::deserialize(&whole).map_err(unreadable)?;
        reports.push(whole);
        log(&format!(
            "environment {}, component {}\n",
            report.name, report.digest
        ));
        if variants.contains(&report.name) {
            return Err(format!("two environments are named {:?}", report.name));
        }
        variants.push(report.name);
        digests.push(report.digest);
        secrets.extend(report.secrets);
    }
    let version = DeployedVersion {
        digest: digests.join("+"),
        variants,
        secrets: secrets.into_iter().collect(),
        bytes: measure(directory).map_err(|error| error.to_string())?.bytes,
    };
    Ok((version, reports))
}

/// Returns why the admission failed.
fn reason(messages: &str) -> String {
    let text = messages.trim();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    if text.is_empty() {
        return "the admission ended without a reason".to_owned();
    }
    text.to_owned()
}
