//! The environment as a client sees it, on the problems in this folder.

use super::*;

fn open(split: &str, index: i64) -> Harness<Gsm8k> {
    Harness::open(Gsm8k::task(split, index).unwrap().unwrap()).unwrap()
}

fn reward(split: &str, index: i64, answer: &str) -> Option<f64> {
    let output = open(split, index).call("answer", json!({"answer": answer}));
    let output = output.unwrap();
    assert!(output.finished);
    output.reward
}

/// The ids of problems whose numbers have different formats.
const WRITTEN: [(&str, i64, &str); 5] = [
    ("train", 0, "69"),
    ("train", 3, "$0.60"),
    ("train", 5, "15,120 dollars"),
    ("train", 6, "−9"),
    ("test", 4, "Each pays 10.5."),
];

#[test]
fn the_transcript_plays() {
    example_transcript::replay::<Gsm8k>(include_str!("../transcript.jsonl")).unwrap();
}

#[test]
fn the_right_number_is_worth_one_and_any_other_nothing() {
    for (split, index, right) in WRITTEN {
        assert_eq!(reward(split, index, right), Some(1.0), "{right}");
        for wrong in ["70.1", "no idea", "", "69 or 70", "1e3"] {
            assert_eq!(reward(split, index, wrong), Some(0.0), "{wrong}");
        }
    }
}

#[test]
fn every_solution_is_a_right_answer_and_in_no_task() {
    for part in data().parts() {
        let file = format!("{}/data/{}.jsonl", env!("CARGO_MANIFEST_DIR"), part.name());
        let lines = std::fs::read_to_string(file).unwrap();
        let tasks = Gsm8k::tasks(part.name()).unwrap();
        assert_eq!(tasks.len(), lines.lines().count());
        for (index, (task, line)) in (0..).zip(tasks.iter().zip(lines.lines())) {
            let line: Value = serde_json::from_str(line).unwrap();
            let solution = line["answer"].as_str().unwrap();
            assert_eq!(
                reward(part.name(), index, solution),
                Some(1.0),
                "{}",
                task.id
            );

            let spec = serde_json::to_value(task).unwrap();
            let members: Vec<_> = spec.as_object().unwrap().keys().collect();
            assert_eq!(members, ["id", "question"]);
        }
    }
}

#[test]
fn a_task_is_the_same_whether_listed_or_looked_up() {
    let listed = Gsm8k::tasks("train").unwrap();
    let count = i64::try_from(listed.len()).unwrap();
    for (index, expected) in (0..).zip(&listed) {
        for index in [index, index - count] {
            let task = Gsm8k::task("train", index).unwrap().unwrap();
            assert_eq!(
                (&task.id, &task.question),
                (&expected.id, &expected.question)
            );
        }
    }
    for index in [count, -count - 1, i64::MAX, i64::MIN] {
        assert!(Gsm8k::task("train", index).unwrap().is_none(), "{index}");
    }
}

#[test]
fn an_id_without_its_question_is_not_graded() {
    let mut session =
        Harness::<Gsm8k>::open(json!({"id": "train-0", "question": "1 + 1?"})).unwrap();
    let error = session.call("answer", json!({"answer": "69"})).unwrap_err();
    assert_eq!(
        error,
        ToolError::Failed("the data holds another question than this task as train-0".to_owned())
    );
}

#[test]
fn a_task_that_does_not_exist_is_refused_at_once() {
    let refused = Harness::<Gsm8k>::open(json!({"id": "dev-0", "question": "?"}));
    assert_eq!(
        refused.err().unwrap().to_string(),
        "\"dev-0\" is no task of this environment: an id looks like `train-0` or `test-0`"
    );
}
