//! Has a journal done again by `orwd replay` and judges what it says.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use orwd_tests::artifacts;
use orwd_tests::command::Orwd;
use serde_json::Value;

/// Far longer than any journal of these tests takes.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How many steps of an environment came out how.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Episodes with at least one step.
    pub episodes: u64,
    /// Steps that were equal.
    pub equal: u64,
    /// Last steps that are not done again, by their fault; what has no answer
    /// has none.
    pub left: BTreeMap<String, u64>,
}

/// Does every session of a journal again. Gives the tally of each environment,
/// or what is wrong with the first session that is not as it should be.
pub fn replay(
    binary: &Path,
    state: &str,
    seal_key: &Path,
    more: &[&str],
) -> Result<BTreeMap<String, Tally>, String> {
    let cache = artifacts::target_dir().join("orwd-cache");
    let mut arguments = vec!["replay", "--all", "--json", "--state", state];
    arguments.extend(["--cache", cache.to_str().expect("a UTF-8 path")]);
    arguments.extend(["--seal-key", seal_key.to_str().expect("a UTF-8 path")]);
    arguments.extend(more);
    let ended = Orwd::of(binary, arguments).patience(PATIENCE).run();
    let steps = ended.stdout.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    });
    let tallies = judge(steps)?;
    match ended.code {
        Some(0) => Ok(tallies),
        _ => Err(format!("nothing differs, and yet: {ended}")),
    }
}

/// Every step is equal, but for the last one of an episode, which may be one
/// that is not done again.
fn judge(steps: impl Iterator<Item = Value>) -> Result<BTreeMap<String, Tally>, String> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
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
            "not done again" => {
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
fn a_step_that_differs_or_is_left_out_is_not_passed_over() {
    let step = |session: &str, verdict: &str| {
        let environment = &session[..1];
        serde_json::json!({
            "environment": environment, "session": session, "episode": session, "verdict": verdict
        })
    };
    let judged = |steps: &[Value]| judge(steps.iter().cloned()).map(|tallies| tallies.len());
    let (equal, left) = (step("a.1.1", "equal"), step("a.1.1", "not done again"));
    let other = step("b.1.1", "equal");
    assert_eq!(
        judged(&[equal.clone(), other, equal.clone(), left.clone()]),
        Ok(2)
    );
    assert!(judged(&[equal.clone(), step("a.1.1", "different")]).is_err());
    assert!(judged(&[left.clone(), equal]).is_err());
    assert!(judged(&[left.clone(), left]).is_err());
}
