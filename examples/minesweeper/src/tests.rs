//! The environment as a client sees it, without a host.

use super::*;

fn open(task: &Value) -> Harness<Minesweeper> {
    Harness::open(task).unwrap()
}

fn call(session: &mut Harness<Minesweeper>, tool: &str, row: i64, column: i64) -> Output {
    let place = json!({"row": row, "column": column});
    session.call(tool, place).unwrap()
}

/// A board on which the first reveal, in the middle, opens nine cells and
/// leaves one safe cell among sixteen.
fn tight(reward: &str) -> Value {
    json!({"rows": 5, "columns": 5, "mines": 15, "reward": reward, "seed": 11})
}

/// Returns the reward of the first reveal on such a board, and the rewards of
/// each of the sixteen cells as the second reveal, each in a separate episode.
fn second_reveals(reward: &str) -> (Option<f64>, Vec<Option<f64>>) {
    let mut first = None;
    let mut second = Vec::new();
    for (row, column) in (0..5).flat_map(|row| (0..5).map(move |column| (row, column))) {
        if (1..4).contains(&row) && (1..4).contains(&column) {
            continue;
        }
        let mut session = open(&tight(reward));
        let opened = call(&mut session, "reveal", 2, 2);
        assert!(!opened.finished);
        assert!(
            opened
                .plain()
                .starts_with("Opened: 9. Safe cells to open: 1.")
        );
        first = opened.reward;

        let last = call(&mut session, "reveal", row, column);
        assert!(last.finished);
        second.push(last.reward);
    }
    (first, second)
}

fn count(rewards: &[Option<f64>], reward: f64) -> usize {
    rewards
        .iter()
        .filter(|given| **given == Some(reward))
        .count()
}

#[test]
fn the_transcript_plays() {
    example_transcript::replay::<Minesweeper>(include_str!("../transcript.jsonl")).unwrap();
}

#[test]
fn a_sparse_reward_is_returned_at_the_end() {
    let (first, second) = second_reveals("sparse");
    assert_eq!(first, None);
    assert_eq!((count(&second, 1.0), count(&second, 0.0)), (1, 15));
}

#[test]
fn a_dense_reward_adds_up_to_the_fraction_of_opened_safe_cells() {
    let (first, second) = second_reveals("dense");
    assert_eq!(first, Some(0.9));
    assert_eq!((count(&second, 0.1), count(&second, 0.0)), (1, 15));
}

#[test]
fn an_invalid_move_returns_the_reason_and_changes_nothing() {
    let mut session = open(&tight("dense"));
    call(&mut session, "flag", 0, 0);
    call(&mut session, "reveal", 2, 2);
    let table = [
        (
            "reveal",
            0,
            0,
            "that cell is flagged: take the flag away first",
        ),
        ("reveal", 2, 2, "that cell is already open"),
        ("flag", 1, 1, "that cell is already open"),
        (
            "reveal",
            5,
            0,
            "`row` is 5, and this board's go from 0 to 4",
        ),
        (
            "flag",
            0,
            -1,
            "`column` is -1, and this board's go from 0 to 4",
        ),
    ];
    for (tool, row, column, why) in table {
        let output = call(&mut session, tool, row, column);
        assert_eq!(output.plain(), format!("Nothing done: {why}."));
        assert_eq!((output.reward, output.finished), (None, false));
    }
    let flag_gone = call(&mut session, "flag", 0, 0);
    let expected = "Flag taken away. Safe cells to open: 1. Mines: 15, flags: 0.";
    assert!(flag_gone.plain().starts_with(expected));
}

#[test]
fn the_prompt_shows_the_current_board() {
    let mut session = open(&json!({"rows": 2, "columns": 3, "mines": 1}));
    let shown = |session: &mut Harness<Minesweeper>| {
        let prompt = session.prompt().unwrap();
        prompt[0].as_text().unwrap().to_owned()
    };
    let first = shown(&mut session);
    assert!(first.starts_with("A board has 2 rows and 3 columns. Mines hidden on it: 1."));
    assert!(first.ends_with("0 | # # #\n1 | # # #"), "{first}");
    call(&mut session, "flag", 1, 1);
    assert!(shown(&mut session).ends_with("0 | # # #\n1 | # F #"));
}

#[test]
fn a_task_without_a_seed_uses_that_of_the_session() {
    let task = json!({"rows": 9, "columns": 9, "mines": 20});
    let board = |seed| {
        let mut session = Harness::<Minesweeper>::seed(seed).open(&task).unwrap();
        call(&mut session, "reveal", 4, 4).plain()
    };
    assert_eq!(board(1), board(1));
    assert_ne!(board(1), board(2));

    let seeded = json!({"rows": 9, "columns": 9, "mines": 20, "seed": 1});
    let mut session = open(&seeded);
    assert_eq!(call(&mut session, "reveal", 4, 4).plain(), board(1));
}

#[test]
fn the_error_for_an_invalid_task_states_the_valid_values() {
    let task = json!({"rows": 3, "columns": 3, "mines": 9});
    let refused = Harness::<Minesweeper>::open(task).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "`mines` is 9: a board of 3 by 3 has room for 1 to 8, for the first reveal is safe"
    );
}
