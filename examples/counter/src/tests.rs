//! The environment as a client sees it, without a host.

use super::*;

fn counter(target: i64) -> Harness<Counter> {
    Harness::open(json!({"id": "test", "target": target})).unwrap()
}

#[test]
fn the_transcript_plays() {
    example_transcript::replay::<Counter>(include_str!("../transcript.jsonl")).unwrap();
}

#[test]
fn the_target_is_in_the_prompt() {
    let prompt = counter(14).prompt().unwrap();
    assert!(prompt[0].as_text().unwrap().contains("Bring it to 14"));
}

#[test]
fn submitting_a_wrong_value_has_reward_zero() {
    let mut counter = counter(14);
    counter.call("add", json!({"by": 10})).unwrap();
    let output = counter.call("submit", json!({})).unwrap();
    assert_eq!((output.reward, output.finished), (Some(0.0), true));
    assert_eq!(output.plain(), "10 is not the target, 14.");
}

#[test]
fn a_step_out_of_range_is_rejected_and_changes_nothing() {
    let mut counter = counter(14);
    for by in [11, -11, i64::MIN] {
        let refused = counter.call("add", json!({"by": by})).unwrap_err();
        assert!(matches!(refused, ToolError::InvalidInput(_)), "{refused}");
    }
    assert_eq!(counter.call("add", json!({"by": 0})).unwrap().plain(), "0");
}

#[test]
fn an_error_of_a_tool_does_not_end_the_episode() {
    let mut counter = counter(14);
    counter.environment().value = i64::MAX;
    let error = counter.call("add", json!({"by": 1})).unwrap_err();
    assert_eq!(
        error,
        ToolError::Failed("the counter goes no further".to_owned())
    );
    assert!(counter.call("add", json!({"by": -1})).is_ok());
}

#[test]
fn every_task_can_be_opened() {
    for split in Counter::splits() {
        for task in Counter::tasks(&split.name).unwrap() {
            assert!(task.id.starts_with(&split.name));
            Harness::<Counter>::open(task).unwrap();
        }
    }
}
