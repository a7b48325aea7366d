//! A game of `minesweeper` that is forked into sixteen after fifty calls, and
//! beside it sixteen forks of one, one after another.
//!
//! A child is usable when it has answered a call. The same call is made in the
//! parent at the end: what it answers is what every child had to.

use std::time::{Duration, Instant};

use orwd_tests::artifacts::workspace;
use orwd_tests::http::Request;
use orwd_tests::ors::{Ors, Session, Task};
use orwd_tests::server::Serve;
use serde::Serialize;
use serde_json::{Value, json};

use super::host::Host;
use super::{median, millis};

const ENVIRONMENT: &str = "minesweeper";

/// Calls that the children share.
const STEP: u64 = 50;

/// Children.
const CHILDREN: u32 = 16;

const ROWS: u64 = 16;
const COLUMNS: u64 = 30;

/// What was seen, in milliseconds; medians of the rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    step: u64,
    children: u32,
    /// Until the fork of all was answered.
    forked_ms: f64,
    /// Until each of them had answered a call.
    usable_ms: f64,
    /// The same by forks of one child, one after another.
    one_by_one_ms: f64,
    /// One such fork.
    one_ms: f64,
}

/// Measures.
pub(super) fn run(rounds: u32, say: &mut dyn FnMut(&str)) -> Result<Figures, String> {
    let mut host = Host::new();
    let example = workspace().join("examples").join(ENVIRONMENT);
    let (server, _) = host.start(Serve::path(example))?;
    let ors = server.ors();
    let task = json!({"rows": ROWS, "columns": COLUMNS, "mines": 99, "seed": 7});
    let parent = ors.open(ENVIRONMENT, Task::Spec(task));
    for step in 0..STEP {
        let _ = play(&parent, step);
    }
    let mut told = Vec::new();
    let (mut forked, mut usable, mut separately, mut one) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let all = fork(&ors, &parent, CHILDREN)?;
        forked.push(millis(all.forked));
        usable.push(millis(all.usable));
        told.extend(all.told);
        let mut sum = Duration::ZERO;
        for _ in 0..CHILDREN {
            let single = fork(&ors, &parent, 1)?;
            sum += single.usable;
            one.push(millis(single.usable));
            told.extend(single.told);
        }
        separately.push(millis(sum));
    }
    let right = play(&parent, STEP);
    if let Some(wrong) = told.iter().find(|told| **told != right) {
        return Err(format!("a child says {wrong:?}, and its parent {right:?}"));
    }
    let figures = Figures {
        step: STEP,
        children: CHILDREN,
        forked_ms: median(forked),
        usable_ms: median(usable),
        one_by_one_ms: median(separately),
        one_ms: median(one),
    };
    say(&format!(
        "\n{ENVIRONMENT} forked into {CHILDREN} at step {STEP}: answered after {:.1} ms, all usable \
         after {:.1} ms; one by one {:.1} ms ({:.2} ms each); {} children were right",
        figures.forked_ms,
        figures.usable_ms,
        figures.one_by_one_ms,
        figures.one_ms,
        told.len(),
    ));
    Ok(figures)
}

/// What came of a fork.
struct Forked {
    forked: Duration,
    usable: Duration,
    /// What each child answered.
    told: Vec<Value>,
}

fn fork(ors: &Ors, parent: &Session, count: u32) -> Result<Forked, String> {
    let path = format!("/orwd/sessions/{}/fork", parent.id());
    let request = Request::post(&path).json(&json!({"at": STEP, "count": count}));
    let begun = Instant::now();
    let answer = ors.ask(&request);
    let forked = begun.elapsed();
    if answer.status() != 200 {
        return Err(format!("not forked: {answer:?}"));
    }
    let listed = answer.json();
    let ids = listed["sessions"].as_array().into_iter().flatten();
    let ids = ids.filter_map(Value::as_str);
    let children: Vec<Session> = ids.map(|id| ors.session(ENVIRONMENT, id)).collect();
    if children.len() != count as usize {
        return Err(format!("{count} children were asked for: {listed}"));
    }
    let told = children.iter().map(|child| play(child, STEP)).collect();
    let usable = begun.elapsed();
    // They are deleted as they go.
    drop(children);
    Ok(Forked {
        forked,
        usable,
        told,
    })
}

/// One call of the game, by its number: the first opens a cell, the others put
/// flags on cells and take them away.
fn play(session: &Session, step: u64) -> Value {
    let cell = step * 37 % (ROWS * COLUMNS);
    let tool = if step == 0 { "reveal" } else { "flag" };
    let place = json!({"row": cell / COLUMNS, "column": cell % COLUMNS});
    let run = session.call(tool, place);
    let end = run.events.last().map(|event| event.data.clone());
    serde_json::from_str(&end.unwrap_or_default()).unwrap_or_default()
}
