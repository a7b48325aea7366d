//! Replays a journal with `orwd replay` and checks its report.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use orwd_tests::artifacts;
use orwd_tests::process::OrwdCommand;
use serde_json::Value;

/// Far longer than any journal of these tests takes.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// The outcomes of the steps of one environment.
#[derive(Clone, Debug, Default)]
pub struct ReplayTally {
    /// Episodes with at least one step.
    pub episodes: u64,
    /// Equal steps.
    pub equal: u64,
    /// Last steps that were not replayed, by their fault or as `unanswered`.
    pub left: BTreeMap<String, u64>,
}

/// Replays every session of a journal. Returns the tally of each environment, or
/// the problem of the first session with one.
pub fn replay(
    binary: &Path,
    state: &str,
    seal_key: &Path,
    more: &[&str],
) -> Result<BTreeMap<String, ReplayTally>, String> {
    let cache = artifacts::target_dir().join("orwd-cache");
    let mut arguments = vec!["replay", "--all", "--json", "--state", state];
    arguments.extend(["--cache", cache.to_str().expect("a UTF-8 path")]);
    arguments.extend(["--seal-key", seal_key.to_str().expect("a UTF-8 path")]);
    arguments.extend(more);
    let ended = OrwdCommand::of_binary(binary, arguments)
        .timeout(TIMEOUT)
        .run();
    let steps = ended.stdout.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    });
    let tallies = judge(steps)?;
    match ended.code {
        Some(0) => Ok(tallies),
        _ => Err(format!("nothing differs, and yet: {ended}")),
    }
}

/// Checks that every step is equal, except for the last one of an episode, which
/// may not be replayed.
fn judge(steps: impl Iterator<Item = Value>) -> Result<BTreeMap<String, ReplayTally>, String> {
    let mut tallies: BTreeMap<String, ReplayTally> = BTreeMap::new();
    let mut over: BTreeMap<String, bool> = BTreeMap::new();
    for step in steps {
        let text = |member: &str| step[member].as_str().unwrap_or_default().to_owned();
        let session = text("session");
        let tally = tallies.entry(text("environment")).or_default();
        let episode = text("episode");
        let first = !over.contains_key(&episode);
        tally.episodes += u64::from(first);
        if over.get(&episode) == Some(&true) {
            return Err(format!("{session}: a step follows the last one: {step}"));
        }
        match text("verdict").as_str() {
            "equal" => tally.equal += 1,
            "skipped" => {
                let fault = step["fault"].as_str().unwrap_or("unanswered");
                *tally.left.entry(fault.to_owned()).or_default() += 1;
            }
            _ => return Err(format!("{session}: {step}")),
        }
        over.insert(episode, text("verdict") != "equal");
    }
    Ok(tallies)
}

#[test]
fn a_step_that_differs_or_is_missing_is_reported() {
    let step = |session: &str, verdict: &str| {
        let environment = &session[..1];
        serde_json::json!({
            "environment": environment, "session": session, "episode": session, "verdict": verdict
        })
    };
    let judged = |steps: &[Value]| judge(steps.iter().cloned()).map(|tallies| tallies.len());
    let (equal, left) = (step("a.1.1", "equal"), step("a.1.1", "skipped"));
    let other = step("b.1.1", "equal");
    assert_eq!(
        judged(&[equal.clone(), other, equal.clone(), left.clone()]),
        Ok(2)
    );
    assert!(judged(&[equal.clone(), step("a.1.1", "different")]).is_err());
    assert!(judged(&[left.clone(), equal]).is_err());
    assert!(judged(&[left.clone(), left]).is_err());
}
