//! `yq`: documents of YAML become values of `jq`, and its results YAML again.

use serde_norway::{Deserializer, Value as Yaml};

use crate::jq::{self, Allowance, Arguments, Outcome};

/// Bytes of all documents. YAML in memory takes many times its size.
const MAX_INPUT: usize = 2 << 20;

/// Levels of arrays and objects.
const MAX_DEPTH: usize = 100;

/// What `yq` is asked to do.
#[derive(Debug, Default)]
pub(crate) struct Request {
    program: String,
    pub(crate) files: Vec<String>,
    /// The options that are those of `jq`.
    options: Vec<String>,
    is_raw: bool,
    writes_json: bool,
    is_compact: bool,
    pub(crate) is_null: bool,
    pub(crate) is_in_place: bool,
}

impl Request {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut request = Self::default();
        let mut operands: Vec<&str> = Vec::new();
        let mut program = None;
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            let mut value = |name: &str| {
                let value = rest.next().map(str::to_owned);
                value.ok_or_else(|| format!("{name} requires an argument"))
            };
            match argument {
                "-" => operands.push(argument),
                "--expression" => program = Some(value(argument)?),
                "-p" | "--input-format" | "-I" | "--indent" => {
                    value(argument)?;
                }
                "-o" | "--output-format" => {
                    let format = value(argument)?;
                    request.writes_json = format.starts_with('j');
                }
                "--arg" | "--argjson" => {
                    let pair = [argument.to_owned(), value(argument)?, value(argument)?];
                    request.options.extend(pair);
                }
                long if long.starts_with("--") => request.long(long, &mut program)?,
                short if short.starts_with('-') => request.short(short)?,
                _ => operands.push(argument),
            }
        }
        if matches!(operands.first(), Some(&("e" | "eval"))) {
            operands.remove(0);
        }
        if program.is_none() && operands.first().is_some_and(|first| is_program(first)) {
            program = Some(operands.remove(0).to_owned());
        }
        request.program = program.unwrap_or_else(|| ".".to_owned());
        request.files = operands.into_iter().map(str::to_owned).collect();
        if request.is_in_place && request.files.len() != 1 {
            return Err("-i/--inplace requires exactly one input file".to_owned());
        }
        Ok(request)
    }

    fn long(&mut self, option: &str, program: &mut Option<String>) -> Result<(), String> {
        let letters = match option {
            "--raw-output" | "--unwrapScalar" => "-r",
            "--compact-output" => "-c",
            "--exit-status" => "-e",
            "--slurp" => "-s",
            "--null-input" => "-n",
            "--inplace" => "-i",
            "--no-doc" | "--prettyPrint" | "--no-colors" | "--colors" => "-",
            "--tojson" => "-j",
            _ => match option.split_once('=') {
                Some(("--expression", text)) => {
                    *program = Some(text.to_owned());
                    "-"
                }
                Some(("--output-format", format)) => {
                    self.writes_json = format.starts_with('j');
                    "-"
                }
                Some(("--input-format" | "--indent", _)) => "-",
                _ => return Err(format!("unknown option {option}")),
            },
        };
        self.short(letters)
    }

    fn short(&mut self, letters: &str) -> Result<(), String> {
        let text = letters.trim_start_matches('-');
        match text.split_at_checked(1) {
            Some(("o", format)) if !format.is_empty() => {
                self.writes_json = format.trim_start_matches('=').starts_with('j');
                return Ok(());
            }
            Some(("p" | "I", value)) if !value.is_empty() => return Ok(()),
            _ => {}
        }
        for letter in text.chars() {
            match letter {
                'r' => self.is_raw = true,
                'c' => self.is_compact = true,
                'j' => self.writes_json = true,
                'i' => self.is_in_place = true,
                'n' => {
                    self.is_null = true;
                    self.options.push("-n".to_owned());
                }
                'e' | 's' => self.options.push(format!("-{letter}")),
                'y' | 'N' | 'C' | 'M' | 'P' => {}
                _ => return Err(format!("unknown option {letters}")),
            }
        }
        Ok(())
    }
}

/// Whether the first operand is a program and not the name of a file.
fn is_program(operand: &str) -> bool {
    let lower = operand.to_ascii_lowercase();
    let is_file = operand == "-"
        || [".yaml", ".yml", ".json"]
            .iter()
            .any(|end| lower.ends_with(end));
    let starts = ['.', '[', '{', '$', '"', '(', '+', '-'];
    operand.starts_with(starts) && !operand.starts_with("./") && !operand.starts_with("../")
        || operand.contains(['(', '|', ' '])
        || !is_file && !operand.contains(['/', '.'])
}

fn failure(message: &str, code: i32) -> Outcome {
    Outcome {
        stderr: format!("yq: {message}\n"),
        code,
        ..Outcome::default()
    }
}

/// Runs `yq` on documents, which have the names of their files.
pub(crate) fn run(
    request: &Request,
    inputs: &[(String, String)],
    env: &[(String, String)],
    allowance: impl Fn() -> Allowance,
) -> Outcome {
    if inputs.iter().map(|(_, text)| text.len()).sum::<usize>() > MAX_INPUT {
        return failure("the documents have more than 2 MiB", 1);
    }
    let mut json = String::new();
    for (name, text) in inputs {
        if name.to_ascii_lowercase().ends_with(".json") {
            json.push_str(text);
            json.push('\n');
        } else if let Err(reason) = to_json(text, &mut json) {
            return failure(&format!("{name}: {reason}"), 1);
        }
    }
    let mut arguments = request.options.clone();
    if request.writes_json {
        let options = [("-c", request.is_compact), ("-r", request.is_raw)];
        let options = options.iter().filter(|(_, is)| *is);
        arguments.extend(options.map(|(option, _)| (*option).to_owned()));
    } else {
        arguments.push("-c".to_owned());
    }
    arguments.extend(["--".to_owned(), request.program.clone()]);
    let Ok(arguments) = Arguments::parse(&arguments) else {
        return failure("wrong arguments", 2);
    };
    let files = jq::Files::new();
    let mut outcome = jq::run(arguments, &files, &json, env, allowance());
    outcome.stderr = outcome.stderr.replace("jq: ", "yq: ");
    if !request.writes_json {
        match to_yaml(&outcome.stdout, request.is_raw) {
            Ok(text) => outcome.stdout = text,
            Err(reason) => return failure(&reason, 1),
        }
    }
    outcome
}

/// Appends the documents of a text as lines of JSON.
fn to_json(text: &str, json: &mut String) -> Result<(), String> {
    for document in Deserializer::from_str(text) {
        let value: Yaml = serde::Deserialize::deserialize(document)
            .map_err(|error: serde_norway::Error| format!("invalid YAML: {error}"))?;
        write(&value, json, 0)?;
        json.push('\n');
    }
    Ok(())
}

fn write(value: &Yaml, json: &mut String, level: usize) -> Result<(), String> {
    if level > MAX_DEPTH {
        return Err("values nest more than 100 levels deep".to_owned());
    }
    match value {
        Yaml::Sequence(items) => {
            json.push('[');
            for (i, item) in items.iter().enumerate() {
                json.push_str(if i > 0 { "," } else { "" });
                write(item, json, level + 1)?;
            }
            json.push(']');
        }
        Yaml::Mapping(entries) => {
            json.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                json.push_str(if i > 0 { "," } else { "" });
                let key = match key {
                    Yaml::String(text) => text.clone(),
                    other => {
                        let mut text = String::new();
                        write(other, &mut text, level + 1)?;
                        text
                    }
                };
                json.push_str(&jq::quoted(&key));
                json.push(':');
                write(value, json, level + 1)?;
            }
            json.push('}');
        }
        Yaml::Tagged(tagged) => write(&tagged.value, json, level)?,
        Yaml::String(text) => json.push_str(&jq::quoted(text)),
        Yaml::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
        Yaml::Null => json.push_str("null"),
        Yaml::Number(number) => match number.as_f64() {
            Some(float) if !float.is_finite() => json.push_str("null"),
            _ => json.push_str(&number.to_string()),
        },
    }
    Ok(())
}

/// Returns lines of JSON as documents of YAML.
fn to_yaml(lines: &str, is_raw: bool) -> Result<String, String> {
    let mut text = String::new();
    for (i, line) in lines.lines().enumerate() {
        let value: Yaml = serde_norway::from_str(line).map_err(|error| error.to_string())?;
        if let (Yaml::String(raw), true) = (&value, is_raw) {
            text.push_str(raw);
            text.push('\n');
            continue;
        }
        if i > 0 && matches!(value, Yaml::Mapping(_) | Yaml::Sequence(_)) {
            text.push_str("---\n");
        }
        text.push_str(&serde_norway::to_string(&value).map_err(|error| error.to_string())?);
    }
    Ok(text)
}
