//! Attacks by command lines on the shell of `examples/workbench`: each ends its call,
//! with a reason, and neither the session nor another one.

use orwd_tests::artifacts::workbench;
use orwd_tests::ors::{OrsClient, SessionClient, TaskSelector};
use serde_json::{Value, json};

use crate::harness::AttackHarness;

mod deep;
mod memory;
mod patterns;
mod trees;
mod wide;

const FLAGS: [&str; 4] = ["--call-cpu", "10s", "--call-wall", "60s"];

/// Bytes that the server may keep of sessions with a shell, which take a megabyte
/// each, and of the code of the component.
const SLACK: u64 = 64 << 20;

/// Seconds of the session's time after which a command line is stopped.
const TIMEOUT: f64 = 0.5;

/// What command lines of the tables use: `rep TEXT COUNT` repeats a text, and `big` and
/// `lines` make a file of 3 MB, in one line or 600,000.
const HELP: &str = r#"rep() { local s; printf -v s '%*s' "$2" ''; printf '%s' "${s// /"$1"}"; }
big() { head -c 1000000 /dev/zero | tr '\0' a > b; cat b b b > f; }
lines() { seq 100000 > s; cat s s s s s s > f; }
"#;

/// An attack of a table: its name, its command line, and a part of the output.
type Row = (&'static str, &'static str, &'static str);

/// An attack: its name, its command line, and a part of the output.
type Attack = (&'static str, String, &'static str);

fn attack(name: &'static str, command: &str, part: &'static str) -> Attack {
    (name, command.to_owned(), part)
}

/// Commands that call themselves.
fn recursions() -> Vec<Attack> {
    vec![
        attack(
            "eval-recursion",
            r#"x='eval "$x"'; eval "$x""#,
            "nested too deeply",
        ),
        attack(
            "eval-recursion-in-functions",
            r#"f() { eval 'eval "f"'; }; f"#,
            "function depth exceeded",
        ),
        attack(
            "function-recursion",
            "f() { f; }; f",
            "function depth exceeded",
        ),
        attack(
            "substitution-recursion",
            r#"x='echo $(eval "$x")'; eval "$x""#,
            "",
        ),
        attack(
            "source-recursion",
            "echo '. ./s' > s; . ./s",
            "depth exceeded",
        ),
        attack(
            "script-recursion",
            "echo 'bash s' > s; bash s",
            "nesting depth",
        ),
        attack("trap-recursion", "trap 'false' ERR DEBUG; false", ""),
        attack("fork-bomb", ":(){ :|:& };:", "stopped"),
        attack(
            "awk-recursion",
            "awk 'function f(n) { return f(n+1) } BEGIN { f(1) }'",
            "depth limit",
        ),
    ]
}

/// Programs of `jq`, which is evaluated in one go.
fn programs_of_jq() -> Vec<Attack> {
    // By the step of the program, or by the work of the command line.
    let ended = "stopped: the";
    vec![
        attack("jq-loop", "jq -n 'def f: f; f'", ended),
        attack(
            "jq-loop-in-a-file",
            "echo 'def f: f; f' > p.jq; jq -nf p.jq",
            ended,
        ),
        attack("jq-loop-in-yq", "yq -n 'def f: f; f'", ended),
        attack("jq-until", "jq -n 'until(false; .)'", ended),
        attack(
            "jq-count",
            "jq -n 'reduce range(1e15) as $x (0; . + 1)'",
            ended,
        ),
        attack("jq-recursion", "jq -n 'def f: f + f; f'", "too deeply"),
        attack(
            "jq-closures",
            "jq -n 'def f(g): f(g | . + 1); f(.)'",
            "too deeply",
        ),
        attack(
            "jq-deep-value",
            "jq -n 'reduce range(100000) as $i (null; [.])'",
            "256 levels deep",
        ),
        attack(
            "jq-deep-path",
            "jq -n 'setpath([range(100000) | 0]; 1)'",
            "stopped",
        ),
        attack(
            "jq-deep-input",
            "head -c 1000000 /dev/zero | tr '\\0' '[' | jq .",
            "depth limit",
        ),
        attack(
            "jq-shared-value",
            "jq -n 'reduce range(100) as $i (1; [., .]) | tojson'",
            "too large",
        ),
        attack(
            "jq-long-text",
            "jq -n 'reduce range(1000) as $i (\"x\"; . + .)'",
            "stopped: ",
        ),
        attack(
            "jq-product",
            "jq -n '[range(1000)] | last(.[] as $a | .[] as $b | .[] as $c | $c)'",
            ended,
        ),
        attack(
            "jq-caught",
            "jq -n 'def f: try error(1) catch f; f'",
            "stopped",
        ),
        attack("jq-collect", "jq -n '[range(1e15)] | length'", ended),
        attack(
            "jq-nesting",
            "jq -n \"$(printf '[%.0s' {1..3000})\"; echo 'exit '$?",
            "nests too deeply",
        ),
        attack(
            "jq-nesting-in-a-file",
            "printf '(%.0s' {1..3000} > p.jq; jq -n --from-file p.jq",
            "nests too deeply",
        ),
        attack(
            "jq-chain",
            "jq -n \"1$(printf '+1%.0s' {1..5000})\"",
            "nests too deeply",
        ),
        attack(
            "jq-interpolations",
            "jq -n \"$(printf '\"\\\\(%.0s' {1..500})\"",
            "nests too deeply",
        ),
    ]
}

/// Expressions in arguments, which are evaluated recursively.
fn expressions() -> Vec<Attack> {
    let nested = |command: &str, inner: &str| {
        let (open, close) = ("\\( ".repeat(3000), " \\)".repeat(3000));
        format!("{command} {open}{inner}{close}")
    };
    vec![
        ("find-parentheses", nested("find .", "-true"), "100 levels"),
        ("test-parentheses", nested("test", "x"), "nest"),
        (
            "xargs-find-parentheses",
            nested("echo -true | xargs find .", "-true"),
            "100 levels",
        ),
    ]
}

/// Loops of few commands, each of which works on much.
fn growth() -> Vec<Attack> {
    let too_much = "takes more work than fits";
    vec![
        attack(
            "append-to-an-array",
            "for ((;;)); do a+=(x); done",
            too_much,
        ),
        attack(
            "double-an-array",
            "a=(1 2 3 4); while :; do a+=(\"${a[@]}\"); done",
            too_much,
        ),
        attack(
            "replace-in-a-long-variable",
            "x=$(head -c 1000000 /dev/zero | tr '\\0' a); for ((;;)); do y=${x/b/c}; done",
            too_much,
        ),
        attack(
            "grow-an-associative-array",
            "declare -A a; for ((;;)); do a[$((i++))]=x; b=(\"${!a[@]}\"); done",
            too_much,
        ),
        attack(
            "double-a-variable",
            "x=aaaaaaaa; while :; do x=$x$x; done",
            "stopped: ",
        ),
    ]
}

/// Loops, nesting, expressions and sizes.
fn loops_and_sizes() -> Vec<Attack> {
    let nested =
        |open: &str, close: &str| format!("{}echo deep{}", open.repeat(3000), close.repeat(3000));
    vec![
        attack("spin", "while :; do :; done", "stopped"),
        attack("sleep", "sleep 100000 & echo x", "stopped after"),
        attack("yes", "yes", ""),
        attack("awk-loop", "awk 'BEGIN { while (1) {} }'", ""),
        attack("sed-loop", "echo x | sed ':a;ba'", ""),
        ("nest-subshells", nested("( ", " )"), ""),
        ("nest-substitutions", nested("$(", ")"), ""),
        (
            "nest-arithmetic",
            format!("echo {}1{}", "$((1+".repeat(3000), "))".repeat(3000)),
            "",
        ),
        attack("count-to-a-billion", "echo {1..1000000000} | wc -c", ""),
        attack(
            "regex",
            "printf 'a%.0s' {1..3000} | grep -P '(a+)+(a+)+b'; echo exit $?",
            "exit",
        ),
        attack(
            "gzip-bomb",
            "head -c 1000000 /dev/zero | gzip > z; cat z z z z z z z z | gunzip | wc -c",
            "",
        ),
        attack("a-terabyte", "truncate -s 1T big; cat big | wc -c", ""),
        (
            "line-of-2-mb",
            format!("echo {}", "x".repeat(2_000_000)),
            "input too large",
        ),
        attack(
            "links-in-a-circle",
            "ln -s b a; ln -s a b; cat a",
            "symbolic links",
        ),
    ]
}

/// Runs an attack in a session, whose shell must go on. Returns what the client saw.
fn ends_its_call(session: &SessionClient, command: &str, part: &str) -> String {
    let bash = |command: &str| -> Value {
        let input = json!({"command": command, "timeout": TIMEOUT});
        session.call("bash", input).output()["metadata"].clone()
    };
    let ran = bash(command);
    let output = ran["output"].as_str().expect("an output");
    assert!(output.contains(part), "{output}");
    assert_eq!(bash("echo $((6*7))")["output"], "42\n");
    let last = output.trim_end().lines().last().unwrap_or_default();
    let last: String = last.chars().take(60).collect();
    format!("exit {}: {last}", ran["exit_code"])
}

fn playground(ors: &OrsClient) -> SessionClient {
    ors.open("workbench", TaskSelector::At("playground", 0))
}

#[test]
fn command_lines_end_their_call_and_not_the_session() {
    let folder = workbench().to_owned();
    let mut harness = AttackHarness::new("shell", &[], &[folder], &FLAGS).with_slack(SLACK);
    let attacks = [
        recursions(),
        programs_of_jq(),
        expressions(),
        growth(),
        loops_and_sizes(),
    ];
    let tables = [
        deep::TABLE,
        patterns::TABLE,
        trees::TABLE,
        wide::TABLE,
        memory::TABLE,
    ]
    .concat();
    let tables = tables
        .into_iter()
        .map(|(name, command, part)| attack(name, &format!("{HELP}{command}"), part));
    for (name, command, part) in attacks.concat().into_iter().chain(tables) {
        harness.case(name, "a limit of the shell", |ors| {
            let session = playground(ors);
            let saw = ends_its_call(&session, &command, part);
            assert_eq!(session.delete().status(), 200);
            saw
        });
    }
    harness.end();
}
