//! `jq`: what programs print, and that each ends its command and not the session.
//!
//! `jq.jsonl` is a table of programs with what `jq` 1.6 prints. Left out is what later
//! versions print otherwise, the words of some errors, and what the parser does not
//! know: numbers such as `.1`, `?//` and `$__loc__`.

use std::fs;

use orwd_tests::artifacts::workspace_dir;
use orwd_tests::background::run_concurrently;
use serde::Deserialize;
use serde_json::json;

use crate::support::{Ran, bash, close, playground, ran};

/// The least number of programs in the table.
const ROWS: usize = 300;

/// A program with what `jq` prints.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    args: Vec<String>,
    stdin: String,
    stdout: String,
    stderr: String,
    code: i64,
}

/// Returns a word of a command line with this text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn programs_print_what_jq_prints() {
    let path = workspace_dir().join("tests/shell/jq.jsonl");
    let text = fs::read_to_string(path).expect("the table can be read");
    let rows: Vec<Row> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect();
    assert!(rows.len() >= ROWS, "{} rows", rows.len());
    let parts = rows.chunks(rows.len().div_ceil(4)).map(|part| {
        let part = part.to_vec();
        move || {
            let session = playground();
            let differs = |row: &Row| {
                let args: Vec<String> = row.args.iter().map(|text| quoted(text)).collect();
                let command = format!("printf %s {} | jq {}", quoted(&row.stdin), args.join(" "));
                let found = bash(&session, &command);
                let expected = Ran {
                    output: format!("{}{}", row.stdout, row.stderr),
                    exit: row.code,
                };
                (found != expected).then(|| format!("$ {command}\n{found:?}\nnot {expected:?}"))
            };
            part.iter().filter_map(differs).collect::<Vec<String>>()
        }
    });
    let wrong: Vec<String> = run_concurrently(parts).into_iter().flatten().collect();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

/// Programs that would run, grow or nest without end.
const ATTACKS: &[&str] = &[
    // Loops.
    "def f: f; f",
    "def f: (f | .); f",
    "def f: f + 1; f",
    "def f: 1 + f; f",
    "def f: [f]; f",
    "def f: {a: f}; f",
    "def f: f, f; f",
    "def f: f | f; f",
    "def f: try f catch f; f",
    "def f: try error(1) catch f; f",
    "def f: f // f; f",
    "def f: if f then 1 else 2 end; f",
    "def f: f as $x | f; f",
    "def f: reduce f as $x (0; .); f",
    "def f: \"\\(f)\"; f",
    "def f: def g: f; g; f",
    "def f: label $x | f; f",
    "def f: first(f); f",
    "def f: path(f); f",
    "def f: (f) |= 1; f",
    "def f: limit(1; f); f",
    "def f: .[f]; f",
    "def f: -f; f",
    "def f: f and f; f",
    "def f($x): f($x + 1); f(0)",
    "def f($x): f([$x]); f(0)",
    "def f(g): f(g | g); f(.)",
    "def f(g): f(g); f(. + 1)",
    "def f(g): f(g | . + 1); f(.)",
    "def f(g): g, f(g | . + 1); last(f(.))",
    "def f(g; $n): if $n > 100000 then g else f(g | . + 1; $n + 1) end; 0 | f(.; 0)",
    "def f(g): def h: f(h); h; f(.)",
    "repeat(.)",
    "[repeat(1)]",
    "last(repeat(1))",
    "first(repeat(1) | select(false))",
    "repeat(empty)",
    "recurse",
    "recurse(.)",
    "recurse(. + 1)",
    "[recurse(. + 1; true)]",
    "until(false; .)",
    "0 | until(. < 0; . + 1)",
    "0 | while(true; . + 1)",
    "last(0 | while(true; . + 1))",
    "[range(1e15)] | length",
    "last(range(1e15))",
    "first(range(1e15) | select(false))",
    "range(1e15) | empty",
    "range(0; 1; 0)",
    "[range(0; infinite)]",
    "range(0; 1e15; 1e-9) | empty",
    "reduce range(1e15) as $x (0; . + 1)",
    "reduce repeat(1) as $x (0; . + $x)",
    "foreach range(1e15) as $x (0; 1; empty)",
    "any(repeat(1); false)",
    "isempty(repeat(1) | empty)",
    "label $out | repeat(1) | empty",
    "limit(1e15; repeat(1)) | empty",
    "[limit(1e15; repeat(1))]",
    "nth(1e15; repeat(1))",
    "skip(1e15; repeat(1))",
    "[0, 1] | combinations(60) | empty",
    "[range(60) | [0, 1]] | [combinations] | length",
    "[range(60) | [0, 1]] | combinations | empty",
    // Products.
    "range(1e5) as $a | range(1e5) as $b | range(1e5) as $c | empty",
    "(range(1e4), range(1e4)) + (range(1e4), range(1e4)) | empty",
    "[range(1000)] | last(.[] as $a | .[] as $b | .[] as $c | .[] as $d | $d)",
    "[range(1000)] | [.[] + .[] + .[] + .[]] | length",
    "[range(1000)] | {a: .[], b: .[], c: .[], d: .[]} | empty",
    "[range(1000)] | .[.[]] + .[.[]] + .[.[]] | empty",
    "[range(1000)] | \"\\(.[]) \\(.[]) \\(.[])\" | empty",
    "[[range(1000)] | .[:.[]] | .[:.[]?] | .[:.[]?]] | length",
    "reduce range(60) as $i (1; ., .)",
    "[range(200)] | path(.[] | .[]? , (.. | ..)) | empty",
    "[..,..] | [..,..] | [..,..] | [..,..] | [..,..] | [..,..] | [..,..] | [..,..] | [..,..] | length",
    // Values that nest.
    "reduce range(100000) as $i (null; [.])",
    "reduce range(100000) as $i (null; {a: .})",
    "reduce range(100000) as $i (null; [.]) | tojson",
    "reduce range(100000) as $i (null; [.]) == 1",
    "reduce range(100000) as $i (null; setpath([\"a\"]; {b: .}))",
    "reduce range(100000) as $i ([]; .[0] = [.])",
    "reduce range(100000) as $i ({}; .a |= {b: .})",
    "reduce range(100000) as $i ([[]]; . + [.])",
    "[1] | until(false; [.])",
    "last(0 | repeat([.]))",
    "[] | last(recurse([.]))",
    "setpath([range(100000) | 0]; 1)",
    "setpath([range(100000) | \"a\"]; 1)",
    "getpath([range(100000) | \"a\"])",
    "path(getpath([range(100000) | \"a\"]))",
    "delpaths([[range(100000) | \"a\"]])",
    "path(def f: .[0] | f; f)",
    "path(repeat(.[0]))",
    "path(def f: .[0] | f, .; f)",
    "[path(last(repeat(.[0]?)))]",
    "def f: .[0] | f; f |= 1",
    "fromstream(range(100000) | [[range(.) | 0], 1], [[0]])",
    "(\"[\" * 100000) + (\"]\" * 100000) | fromjson",
    "(\"{\\\"a\\\":\" * 100000) | fromjson",
    // Values that share: small in memory, and large as text.
    "reduce range(100) as $i (1; [., .])",
    "reduce range(100) as $i (1; {a: ., b: .}) | tojson",
    "reduce range(100) as $i (1; [., .]) | [..] | length",
    "reduce range(100) as $i (1; [., .]) as $x | reduce range(100) as $i (1; [., .]) == $x",
    "reduce range(100) as $i (\"x\"; [., ., ., .]) | flatten",
    "reduce range(20) as $i (1; [., .]) | contains(reduce range(20) as $i (1; [., .]))",
    "[range(100000)] | contains([range(100000) | -.])",
    "[range(100000)] - [range(100000) | -.] | length",
    "[range(1e5)] | walk([.])",
    "[range(1e6)] | [., .] | [., .] | [., .] | [., .] | [., .] | tojson",
    "[range(20000)] | map([range(20000)]) | length",
    // Texts that grow.
    "\"x\" * 1e15",
    "\"x\" * 1e9 | length",
    "reduce range(1000) as $i (\"x\"; . + .)",
    "reduce range(1000) as $i (\"x\"; \"\\(.)\\(.)\")",
    "reduce range(100) as $i (\"\\\"\"; tojson)",
    "reduce range(100) as $i (\"\\\"\"; @json)",
    "reduce range(100) as $i (\"'\"; @sh)",
    "reduce range(100) as $i (\" \"; @uri)",
    "reduce range(100) as $i (\"&\"; @html)",
    "reduce range(1000) as $i (\"a\"; @base64)",
    "\"a\" * 1e7 | explode | length",
    "\"a\" * 1e7 | split(\"\") | length",
    "\"a\" * 1e7 | [match(\"a\"; \"g\")] | length",
    "\"a\" * 1e6 | gsub(\"\"; \"x\")",
    "\"a\" * 1e6 | gsub(\"a\"; \"x\" * 1000)",
    "\"A\" * 1e6 | [match(\".*[^A-Z]|[A-Z]\"; \"g\")] | length",
    "\"a\" * 1e7 | indices(\"a\") | length",
    "reduce range(1e9) as $i (0; \"a\" * 1e6 | length)",
    "(\"a\" * 1e7) as $x | reduce range(1e9) as $i (0; $x | test(\"b\"))",
    "(\"a\" * 1e7) as $x | reduce range(1e9) as $i (0; $x | ascii_upcase)",
    "(\"a\" * 1e7) as $x | reduce range(1e9) as $i (0; $x | .[1:])",
    "[limit(1e6; repeat(\"x\" * 1e6))] | join(\"\")",
    "[range(1e6) | \"x\" * 1000] | add",
    // Places, expressions and others.
    ".[1e9] = 1",
    ".[1e18] = 1",
    "reduce range(1e6) as $i ([]; .[$i * 1000] = 1)",
    "[limit(1e9; 1)] | .[1e9:] = [1]",
    "\"a\" | test(\"a{1000}{1000}{1000}\")",
    "\"a\" | test(\"(a*)*{1000}b\")",
    "\"a\" * 1e6 | test(\"[01a]*a[01a]{5000}b\")",
    "[range(1e5) | tostring] | map(test(\"a{500}b\\(.)\")) | length",
    "[input, inputs]",
    "reduce range(1e6) as $i ({}; .[$i | tostring] = $i) | length",
    "[range(1e6)] | sort_by(-.) | group_by(. % 2) | length",
    "[range(1e6) | {a: ., b: .}] | unique_by(.a) | length",
    "[range(1e6)] | tostream | empty",
    "[range(1e6)] | del(.[])",
    "[range(1e6)] | to_entries | from_entries",
    "env | repeat(.) | empty",
    "[splits(\"a\")]",
    "halt_error | halt_error",
    "error(error(error))",
    "try error catch error",
    "def f: def f: f; f; f",
    "def f(f): f; f(f(f(f(1))))",
    "def f(g): reduce range(1e9) as $i (.; g); f(f(f(. + 1)))",
    "ltrimstr(ltrimstr(repeat(1)))",
    "@base64d \"\\(repeat(1))\" | empty",
    "{(repeat(\"a\")): 1} | empty",
    "[.[]?, repeat(.)?] | length",
    "try repeat(error) catch repeat(.) | empty",
    "debug | repeat(debug) | empty",
    "repeat(\"x\" * 1000 | stderr) | empty",
    "[range(1e6)] | implode",
    "[range(1e6)] | @csv | length",
    "limit(1e9; range(1e9)) as [$a, $b] | empty",
    "input_line_number | repeat(.) | empty",
];

/// Runs a command line that has a second.
fn within_a_second(command: &str) -> Ran {
    let session = playground();
    let call = session.call("bash", json!({"command": command, "timeout": 1}));
    assert!(call.names().contains(&"end"), "{command}: {}", call.error());
    let ended = ran(&call.output());
    assert_eq!(bash(&session, "echo alive").output, "alive\n", "{command}");
    close(&session);
    ended
}

#[test]
fn every_program_ends() {
    let parts = ATTACKS.chunks(ATTACKS.len().div_ceil(4)).map(|part| {
        move || {
            let fails = |program: &&&str| {
                let session = playground();
                let command = format!("jq -n {}", quoted(program));
                let call = session.call("bash", json!({"command": command, "timeout": 1}));
                drop(session.delete());
                !call.names().contains(&"end") || ran(&call.output()).exit == 3
            };
            part.iter().filter(fails).copied().collect::<Vec<&str>>()
        }
    });
    let failed: Vec<&str> = run_concurrently(parts).into_iter().flatten().collect();
    assert!(
        failed.is_empty(),
        "a session has ended, or there is no such program: {failed:#?}"
    );
}

#[test]
fn a_program_that_is_stopped_says_why() {
    for (program, part) in [
        // By its steps, or by the work of the command line.
        ("def f: f; f", "stopped: the"),
        ("def f: f + 1; f", "calls itself too deeply"),
        ("reduce range(1000) as $i (null; [.])", "256 levels deep"),
        ("reduce range(100) as $i (1; [., .])", "too large"),
        ("try repeat(.) catch 1", "takes too many steps"),
    ] {
        let ended = within_a_second(&format!("jq -n {} | tail -c 1000", quoted(program)));
        assert!(ended.output.contains(part), "{program}: {}", ended.output);
        let ended = within_a_second(&format!("jq -n {} >/dev/null", quoted(program)));
        assert!([5, 124].contains(&ended.exit), "{program}: {ended:?}");
    }
}

#[test]
fn deep_inputs_and_programs_are_refused() {
    let deep = |open: &str, count: usize| format!("printf -- '{open}%.0s' $(seq {count})");
    for (command, part) in [
        (format!("{} | jq .", deep("[", 9000)), "depth limit"),
        (format!("{} | jq .", deep("{\"a\":", 9000)), "depth limit"),
        (
            format!("{} | jq --stream .", deep("[", 9000)),
            "depth limit",
        ),
        (format!("{} | jq -n input", deep("[", 9000)), "depth limit"),
        (
            format!("{} | jq -R fromjson", deep("[", 9000)),
            "depth limit",
        ),
        (format!("jq -n \"$({})\"", deep("[", 3000)), "too deep"),
        (format!("jq -n \"$({}) 1\"", deep("-", 3000)), "too deep"),
        (format!("jq -n \"$({}) .\"", deep(". | ", 3000)), "too deep"),
    ] {
        let ended = within_a_second(&command);
        assert!(ended.output.contains(part), "{command}: {}", ended.output);
        assert_ne!(ended.exit, 0, "{command}");
    }
    // Wide is not deep.
    let wide = format!("jq -nc \"[$({}) 1] | length\"", deep("[1], ", 150));
    assert_eq!(within_a_second(&wide).output, "151\n");
}
