//! Scripts and code: repairs, new programs, changes of names.

use orwd_sdk::Rng;

use super::draw::{WORDS, file, lines, number, one, some};
use crate::bench::{Bench, Check};

/// Numbers, and their sum.
fn numbers(rng: &mut Rng) -> (String, i64, i64) {
    let numbers: Vec<i64> = (0..number(rng, 8, 20))
        .map(|_| number(rng, -90, 400))
        .collect();
    let text = lines(numbers.iter().map(i64::to_string));
    let largest = numbers.iter().max().copied().unwrap_or_default();
    (text, numbers.iter().sum(), largest)
}

/// A script with two faults.
pub(super) fn repair(rng: &mut Rng) -> Bench {
    let (input, sum, largest) = numbers(rng);
    let (hidden, hidden_sum, hidden_largest) = numbers(rng);
    // What the script prints today is wrong in one of two ways.
    let (start, compare) = match rng.chance(0.5) {
        true => ("sum=1", "-gt"),
        false => ("sum=0", "-lt"),
    };
    let script = lines([
        "#!/bin/bash".to_owned(),
        "# Prints the sum and the largest of the numbers in a file.".to_owned(),
        start.to_owned(),
        "largest=0".to_owned(),
        "cat \"$1\" | while read -r number; do".to_owned(),
        "  sum=$((sum + number))".to_owned(),
        format!("  if [ \"$number\" {compare} \"$largest\" ]; then largest=$number; fi"),
        "done".to_owned(),
        "echo \"sum $sum\"".to_owned(),
        "echo \"largest $largest\"".to_owned(),
    ]);
    let printed = |sum: i64, largest: i64| format!("sum {sum}\nlargest {largest}\n");
    Bench {
        prompt:
            "`stats.sh FILE` should print the sum and the largest of the numbers in a file, one \
                 a line, as `sum SUM` and `largest NUMBER`. It prints wrong numbers. Repair it, so \
                 that it works for every such file. `expected.txt` should have what it prints for \
                 `numbers.txt`: write that too."
                .to_owned(),
        files: vec![file("stats.sh", script), file("numbers.txt", input)],
        checks: vec![
            Check::Text("expected.txt".into(), printed(sum, largest)),
            Check::Prints {
                command: "bash stats.sh hidden.txt".into(),
                files: vec![file("hidden.txt", hidden)],
                output: printed(hidden_sum, hidden_largest),
            },
        ],
    }
}

/// A script to write.
pub(super) fn write(rng: &mut Rng) -> Bench {
    let least = number(rng, 3, 7);
    let sample = |rng: &mut Rng| {
        let mut text = Vec::new();
        for _ in 0..number(rng, 10, 20) {
            let kept = some(rng, &["ox", "elm", "iris", "birch", "willow", "gentian"], 3);
            text.push(kept.join(" "));
        }
        let mut counts = std::collections::BTreeMap::<&str, i64>::new();
        for word in text.iter().flat_map(|line| line.split(' ')) {
            if word.len() as i64 >= least {
                *counts.entry(word).or_default() += 1;
            }
        }
        let counts = counts.iter().map(|(word, count)| format!("{word}={count}"));
        (lines(&text), lines(counts))
    };
    let (input, output) = sample(rng);
    let (hidden, hidden_output) = sample(rng);
    Bench {
        prompt: format!(
            "Write a bash script `count.sh` that reads words, separated by spaces and line ends, \
             from standard input and prints a line `WORD=COUNT` for each different word of {least} \
             or more letters, sorted by word. Write what it prints for `words.txt` to \
             `counts.txt`."
        ),
        files: vec![file("words.txt", input)],
        checks: vec![
            Check::Text("counts.txt".into(), output),
            Check::Prints {
                command: "bash count.sh < hidden.txt".into(),
                files: vec![file("hidden.txt", hidden)],
                output: hidden_output,
            },
        ],
    }
}

/// A function that gets another name in a tree of code.
pub(super) fn rename(rng: &mut Rng) -> Bench {
    let (old, new) = (
        one(rng, &["load", "fetch", "parse"]),
        one(rng, &["obtain", "acquire"]),
    );
    let (mut files, mut checks) = (Vec::new(), Vec::new());
    let mut calls = 0;
    for word in some(rng, &WORDS, 4) {
        let count = number(rng, 1, 5);
        calls += count;
        let text = |name: &str| {
            let mut code = vec![
                format!("# {old}er of {word}, see {old}_all"),
                format!("def {old}_{word}(x):"),
            ];
            code.extend((0..count).map(|place| format!("    x = {name}(x, {place})")));
            code.push(format!("    return {old}_all(x, re{old}(x), obj.{old})"));
            lines(code)
        };
        files.push(file(format!("src/{word}.py"), text(old)));
        checks.push(Check::Text(format!("src/{word}.py"), text(new)));
    }
    checks.push(Check::Text("calls.txt".into(), calls.to_string()));
    Bench {
        prompt: format!(
            "In the Python files in `src`, rename the function `{old}` to `{new}` wherever it is \
             called as `{old}(…)`. Other names that only contain `{old}`, such as `{old}_all` or \
             `re{old}`, and the attribute `.{old}`, stay. Write the number of calls that you \
             changed to `calls.txt`."
        ),
        files,
        checks,
    }
}
