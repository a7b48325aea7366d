//! `jq`, on the evaluator of the crates `jaq-core` and `jaq-std`, with values and steps
//! of its own: whatever the program is, it ends, and nothing in it exceeds the stack or
//! the memory of a session.

mod access;
mod arguments;
mod budget;
mod inputs;
mod lexer;
mod natives;
mod operators;
mod program;
mod text;
mod value;

use std::cell::RefCell;
use std::rc::Rc;

use jaq_core::{Ctx, Exn, Vars};
use jaq_std::input::RcIter;

pub(crate) use arguments::{Arguments, Refusal};
use arguments::{FileKind, Output, Program};
use budget::{Budget, Stop};
pub(crate) use inputs::Files;
use inputs::{Source, all_values, inputs};
use natives::{Data, Kind};
use text::json::{self, Reader};
use text::regex;
pub(crate) use value::Value;

use crate::guard::stack::StackUse;

/// The exit code after an error of the program.
const FAILED: i32 = 5;

/// The exit code of a wrong command line, and of a file that cannot be read.
const USAGE: i32 = 2;

/// The exit code of a program that cannot be compiled.
const NO_PROGRAM: i32 = 3;

/// The exit code of an input that is no JSON.
const NO_JSON: i32 = 2;

/// Bytes of output of one run.
const MAX_OUTPUT: usize = 16 << 20;

/// What a run has written, and how it ended.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

/// What a run may take.
pub(crate) struct Allowance {
    pub(crate) steps: u64,
    pub(crate) stack: StackUse,
}

impl Arguments {
    /// Returns the names of the files that a run needs.
    pub(crate) fn all_files(&self) -> Vec<String> {
        let program = match &self.program {
            Program::File(name) => Some(name),
            Program::Text(_) => None,
        };
        let named = self.named_files.iter().map(|(_, file, _)| file);
        self.files
            .iter()
            .chain(program)
            .chain(named)
            .cloned()
            .collect()
    }
}

/// Runs `jq`.
pub(crate) fn run(
    mut arguments: Arguments,
    files: &Files,
    stdin: &str,
    env: &[(String, String)],
    allowance: Allowance,
) -> Outcome {
    let _budget = Budget::begin(allowance.steps, allowance.stack);
    let outcome = match prepare(&mut arguments, files) {
        Ok(program) => evaluate(&arguments, &program, files, stdin, env),
        Err(outcome) => outcome,
    };
    regex::forget();
    outcome
}

fn failure(stderr: String, code: i32) -> Outcome {
    Outcome {
        stderr,
        code,
        ..Outcome::default()
    }
}

/// Reads the program and the variables that come from files.
fn prepare(arguments: &mut Arguments, files: &Files) -> Result<String, Outcome> {
    let read = |name: &str| match files.get(name) {
        Some(Ok(text)) => Ok(text.as_str()),
        Some(Err(reason)) => Err(failure(
            format!("jq: error: Could not open {name}: {reason}\n"),
            USAGE,
        )),
        None => Err(failure(format!("jq: error: {name} is missing\n"), USAGE)),
    };
    for (name, file, kind) in std::mem::take(&mut arguments.named_files) {
        let text = read(&file)?;
        let value = match kind {
            FileKind::Text => Value::text(text),
            FileKind::Values => {
                let values: Result<Vec<_>, _> = Reader::new(text).collect();
                Value::array(values.map_err(|reason| {
                    let message = format!("jq: Bad JSON in --slurpfile {name} {file}: {reason}\n");
                    failure(message, USAGE)
                })?)
            }
        };
        arguments.named.push((name, value));
    }
    match &arguments.program {
        Program::Text(text) => Ok(text.clone()),
        Program::File(name) => read(name).map(str::to_owned),
    }
}

fn evaluate(
    arguments: &Arguments,
    program: &str,
    files: &Files,
    stdin: &str,
    env: &[(String, String)],
) -> Outcome {
    let mut outcome = Outcome::default();
    let (texts, file_failed) = inputs(arguments, files, stdin, &mut outcome.stderr);
    let env = env.iter();
    let env = env.map(|(name, value)| (name.as_str().into(), Value::text(value)));
    let mut names: Vec<String> = arguments
        .named
        .iter()
        .map(|(name, _)| format!("${name}"))
        .collect();
    let mut variables: Vec<Value> = arguments.named.iter().map(|(_, v)| v.clone()).collect();
    for (name, value) in [
        ("$ENV", Value::object(env.collect())),
        ("$ARGS", arguments.all()),
        ("$_orwd_file", Value::Null),
        ("$_orwd_line", Value::Int(0)),
    ] {
        names.push(name.to_owned());
        variables.push(value);
    }
    let filter = match program::compile(program, &names) {
        Ok(filter) => filter,
        Err(report) => return failure(report, NO_PROGRAM),
    };
    let source = Rc::new(RefCell::new(Source::new(texts, arguments.input.is_raw)));
    let values = all_values(arguments, Rc::clone(&source));
    let shared = RcIter::new(values);
    let data = Data {
        lut: &filter.lut,
        inputs: &shared,
    };
    let is_null = arguments.input.is_null;
    let place = |source: &Rc<RefCell<Source<'_>>>| match (is_null, source.try_borrow()) {
        (false, Ok(source)) => {
            let (name, line) = source.place();
            format!("{name}:{line}")
        }
        _ => "<unknown>".to_owned(),
    };
    let mut status = if arguments.sets_status { 4 } else { 0 };
    let mut input = if is_null {
        Some(Ok(Value::Null))
    } else {
        (&shared).next()
    };
    'inputs: while let Some(value) = input {
        let value = match value {
            Ok(value) => value,
            Err(reason) => {
                outcome.stderr += &format!("jq: {reason}\n");
                status = NO_JSON;
                break;
            }
        };
        if let (Some(line), Some(file)) = (names.len().checked_sub(1), names.len().checked_sub(2))
            && let Ok(source) = source.try_borrow()
        {
            let (name, _) = source.place();
            if let Some(slot) = variables.get_mut(file).filter(|_| name != "<stdin>") {
                *slot = Value::text(name);
            }
            // Counting the lines of each value would take the square of their number.
            if let Some(slot) = variables
                .get_mut(line)
                .filter(|_| program.contains("line_number"))
            {
                *slot = Value::from(source.place().1);
            }
        }
        let context = Ctx::<Kind>::new(data.clone(), Vars::new(variables.iter().cloned()));
        let mut failed = false;
        for result in filter.id.run((context, value)) {
            outcome.stderr += &natives::take_messages();
            if budget::stopped().is_some() {
                break 'inputs;
            }
            match result {
                Ok(value) => {
                    if arguments.sets_status {
                        status = i32::from(matches!(value, Value::Null | Value::Bool(false)));
                    }
                    print(&mut outcome.stdout, &value, arguments);
                    if outcome.stdout.len() > MAX_OUTPUT {
                        budget::stop(Stop::Size);
                        break 'inputs;
                    }
                }
                Err(exception) => match report(exception) {
                    Ok(message) => {
                        let place = place(&source);
                        outcome.stderr += &format!("jq: error (at {place}){message}\n");
                        failed = true;
                        break;
                    }
                    Err(code) => {
                        outcome.stderr += &natives::take_messages();
                        status = code;
                        break 'inputs;
                    }
                },
            }
        }
        outcome.stderr += &natives::take_messages();
        if failed {
            status = FAILED;
        } else if !arguments.sets_status && status == FAILED {
            status = 0;
        }
        input = if is_null { None } else { (&shared).next() };
    }
    outcome.stderr += &natives::take_messages();
    outcome.code = if file_failed { USAGE } else { status };
    if let Some(reason) = budget::stopped() {
        outcome.stderr += &format!("jq: error: {}\n", reason.reason());
        outcome.code = FAILED;
    }
    outcome
}

/// Returns the message of an error, or the exit code of a program that halts.
fn report(exception: Exn<'_, Value>) -> Result<String, i32> {
    let error = match exception.get_err() {
        Ok(error) => error,
        Err(exception) => return Err(exception.get_halt().unwrap_or(FAILED)),
    };
    Ok(match error.into_val() {
        Value::Text(text) => format!(": {text}"),
        other => {
            let mut text = String::new();
            json::write_start(&mut text, &other, 1000);
            format!(" (not a string): {text}")
        }
    })
}

fn print(out: &mut String, value: &Value, arguments: &Arguments) {
    let Output {
        is_raw,
        before,
        after,
    } = arguments.output;
    out.push_str(before);
    match value {
        Value::Text(text) if is_raw && !arguments.style.is_ascii => out.push_str(text),
        value => {
            if value.weight() > MAX_OUTPUT as u64 {
                budget::stop(Stop::Size);
                return;
            }
            budget::count(1 + value.weight() / 512);
            json::write(out, value, &arguments.style);
        }
    }
    out.push_str(after);
}

/// Returns a text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::new();
    let text = Value::Text(Rc::new(text.to_owned()));
    json::write(&mut out, &text, &json::Style::COMPACT);
    out
}
