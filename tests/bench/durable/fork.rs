//! A game of `minesweeper` that is forked into sixteen after fifty calls, compared
//! with sixteen forks of one child in sequence.
//!
//! A child is usable once it has returned a result. At the end the parent gets the
//! same call: its result must equal that of every child.

use std::time::{Duration, Instant};

use orwd_tests::artifacts::workspace_dir;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector};
use orwd_tests::process::ServeCommand;
use serde::Serialize;
use serde_json::{Value, json};

use super::bench_server::BenchServer;
use crate::statistics::{median_or_nan, millis};

const ENVIRONMENT: &str = "minesweeper";

/// The number of calls before the fork.
const STEP: u64 = 50;

/// The number of children.
const CHILDREN: u32 = 16;

const ROWS: u64 = 16;
const COLUMNS: u64 = 30;

/// Times in milliseconds; medians of the rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ForkFigures {
    step: u64,
    children: u32,
    /// Until the response to the fork of all children.
    forked_ms: f64,
    /// Until each child had returned a result.
    usable_ms: f64,
    /// The same with forks of one child in sequence.
    one_by_one_ms: f64,
    /// One fork of one child.
    one_ms: f64,
}

/// Measures the forks.
pub(super) fn run(rounds: u32, say: &mut dyn FnMut(&str)) -> Result<ForkFigures, String> {
    let mut host = BenchServer::new();
    let example = workspace_dir().join("examples").join(ENVIRONMENT);
    let (server, _) = host.start(ServeCommand::path(example))?;
    let ors = server.ors();
    let task = json!({"rows": ROWS, "columns": COLUMNS, "mines": 99, "seed": 7});
    let parent = ors.open(ENVIRONMENT, TaskSelector::Spec(task));
    for step in 0..STEP {
        let _ = play(&parent, step);
    }
    let mut message = Vec::new();
    let (mut forked, mut usable, mut separately, mut one) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let all = fork(&ors, &parent, CHILDREN)?;
        forked.push(millis(all.forked));
        usable.push(millis(all.usable));
        message.extend(all.results);
        let mut sum = Duration::ZERO;
        for _ in 0..CHILDREN {
            let single = fork(&ors, &parent, 1)?;
            sum += single.usable;
            one.push(millis(single.usable));
            message.extend(single.results);
        }
        separately.push(millis(sum));
    }
    let right = play(&parent, STEP);
    if let Some(wrong) = message.iter().find(|message| **message != right) {
        return Err(format!(
            "a child returned {wrong:?}, and its parent {right:?}"
        ));
    }
    let figures = ForkFigures {
        step: STEP,
        children: CHILDREN,
        forked_ms: median_or_nan(forked),
        usable_ms: median_or_nan(usable),
        one_by_one_ms: median_or_nan(separately),
        one_ms: median_or_nan(one),
    };
    say(&format!(
        "\n{ENVIRONMENT} forked into {CHILDREN} at step {STEP}: response after {:.1} ms, all usable \
         after {:.1} ms; in sequence {:.1} ms ({:.2} ms each); {} children were right",
        figures.forked_ms,
        figures.usable_ms,
        figures.one_by_one_ms,
        figures.one_ms,
        message.len(),
    ));
    Ok(figures)
}

/// The timing of a fork.
struct ForkTiming {
    forked: Duration,
    usable: Duration,
    /// The result of each child.
    results: Vec<Value>,
}

fn fork(ors: &OrsClient, parent: &SessionClient, count: u32) -> Result<ForkTiming, String> {
    let path = format!("/orwd/sessions/{}/fork", parent.id());
    let request = HttpRequest::post(&path).json(&json!({"at": STEP, "count": count}));
    let begun = Instant::now();
    let answer = ors.fetch(&request);
    let forked = begun.elapsed();
    if answer.status() != 200 {
        return Err(format!("not forked: {answer:?}"));
    }
    let listed = answer.json();
    let ids = listed["sessions"].as_array().into_iter().flatten();
    let ids = ids.filter_map(Value::as_str);
    let children: Vec<SessionClient> = ids.map(|id| ors.session(ENVIRONMENT, id)).collect();
    if children.len() != count as usize {
        return Err(format!("{count} children were requested: {listed}"));
    }
    let message = children.iter().map(|child| play(child, STEP)).collect();
    let usable = begun.elapsed();
    // Dropping the handles deletes the sessions.
    drop(children);
    Ok(ForkTiming {
        forked,
        usable,
        results: message,
    })
}

/// Makes a call of the game by its number: the first reveals a cell, the others
/// set and remove flags.
fn play(session: &SessionClient, step: u64) -> Value {
    let cell = step * 37 % (ROWS * COLUMNS);
    let tool = if step == 0 { "reveal" } else { "flag" };
    let place = json!({"row": cell / COLUMNS, "column": cell % COLUMNS});
    let run = session.call(tool, place);
    let end = run.events.last().map(|event| event.data.clone());
    serde_json::from_str(&end.unwrap_or_default()).unwrap_or_default()
}
