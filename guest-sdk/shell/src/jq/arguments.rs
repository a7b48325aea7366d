//! The command line of `jq`.

use super::text::json::{Reader, Style};
use super::value::{Entries, Value};

/// What `jq` is asked to do.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The program, or the file that has it.
    pub(crate) program: Program,
    pub(crate) files: Vec<String>,
    pub(crate) style: Style,
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// Variables, and the files that others are read from.
    pub(crate) named: Vec<(String, Value)>,
    pub(crate) named_files: Vec<(String, String, FileKind)>,
    pub(crate) positional: Vec<Value>,
    pub(crate) sets_status: bool,
}

/// Where the program is.
#[derive(Debug)]
pub(crate) enum Program {
    Text(String),
    File(String),
}

/// What a variable gets from a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FileKind {
    /// All its values, in an array.
    Values,
    /// Its text.
    Text,
}

/// How inputs are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Input {
    pub(crate) is_null: bool,
    pub(crate) is_raw: bool,
    pub(crate) is_slurped: bool,
    pub(crate) is_streamed: bool,
}

/// How outputs are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) is_raw: bool,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

/// Why a command line does not run a program.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It asks for this text.
    Help(&'static str),
    /// It is wrong.
    Usage(String),
}

const HELP: &str = "Usage: jq [options] <jq filter> [file...]\n\
     Options: -n -r -j -a -c -s -S -R -e -f FILE --tab --indent N --seq --stream --raw-output0\n\
     --arg NAME VALUE --argjson NAME JSON --slurpfile NAME FILE --rawfile NAME FILE\n\
     --args --jsonargs\n";

/// What the operands behind the program are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operands {
    Files,
    Texts,
    Values,
}

impl Arguments {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, Refusal> {
        let mut parsed = Self {
            program: Program::Text(String::new()),
            files: Vec::new(),
            style: Style {
                indent: Some((' ', 2)),
                ..Style::COMPACT
            },
            input: Input::default(),
            output: Output {
                is_raw: false,
                before: "",
                after: "\n",
            },
            named: Vec::new(),
            named_files: Vec::new(),
            positional: Vec::new(),
            sets_status: false,
        };
        let mut operands: Vec<(Operands, &str)> = Vec::new();
        let (mut kind, mut options, mut from_file) = (Operands::Files, true, false);
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            // A program may begin with a minus sign, too.
            let letters = argument.trim_start_matches('-').replace(['-', '0'], "");
            let is_option = letters.chars().all(|c| c.is_ascii_alphabetic());
            if !options || !argument.starts_with('-') || argument == "-" || !is_option {
                operands.push((kind, argument));
                continue;
            }
            match argument {
                "--" => options = false,
                "--args" => kind = Operands::Texts,
                "--jsonargs" => kind = Operands::Values,
                "--arg" | "--argjson" | "--slurpfile" | "--rawfile" => {
                    parsed.variable(argument, rest.next(), rest.next())?;
                }
                "--indent" => {
                    let width = rest.next().and_then(|width| width.parse::<usize>().ok());
                    let width = width.filter(|width| *width <= 7);
                    let width = width.ok_or_else(|| {
                        usage("--indent takes a number of spaces, which is at most 7")
                    })?;
                    parsed.style.indent = (width > 0).then_some((' ', width));
                }
                "--from-file" => from_file = true,
                long if long.starts_with("--") => parsed.long(long)?,
                short => {
                    for letter in short.chars().skip(1) {
                        match letter {
                            'f' => from_file = true,
                            letter => parsed.short(letter, short)?,
                        }
                    }
                }
            }
        }
        parsed.take_operands(operands, from_file)?;
        Ok(parsed)
    }

    fn take_operands(
        &mut self,
        operands: Vec<(Operands, &str)>,
        from_file: bool,
    ) -> Result<(), Refusal> {
        let mut program = None;
        for (kind, operand) in operands {
            if program.is_none() {
                program = Some(operand);
                continue;
            }
            match kind {
                Operands::Files => self.files.push(operand.to_owned()),
                Operands::Texts => self.positional.push(Value::text(operand)),
                Operands::Values => {
                    let value = json(operand)
                        .ok_or_else(|| usage("invalid JSON text passed to --jsonargs"))?;
                    self.positional.push(value);
                }
            }
        }
        // Without a program, `jq` copies its inputs.
        let program = program.unwrap_or(".").to_owned();
        self.program = if from_file {
            Program::File(program)
        } else {
            Program::Text(program)
        };
        Ok(())
    }

    fn variable(
        &mut self,
        option: &str,
        name: Option<&str>,
        value: Option<&str>,
    ) -> Result<(), Refusal> {
        let (Some(name), Some(value)) = (name, value) else {
            let what = "takes two parameters (e.g. NAME VALUE)";
            return Err(usage(&format!("{option} {what}")));
        };
        let name = name.to_owned();
        match option {
            "--arg" => self.named.push((name, Value::text(value))),
            "--argjson" => {
                let value =
                    json(value).ok_or_else(|| usage("invalid JSON text passed to --argjson"))?;
                self.named.push((name, value));
            }
            "--slurpfile" => self
                .named_files
                .push((name, value.to_owned(), FileKind::Values)),
            _ => self
                .named_files
                .push((name, value.to_owned(), FileKind::Text)),
        }
        Ok(())
    }

    fn long(&mut self, option: &str) -> Result<(), Refusal> {
        let letter = match option {
            "--null-input" => 'n',
            "--raw-output" => 'r',
            "--join-output" => 'j',
            "--ascii-output" => 'a',
            "--compact-output" => 'c',
            "--slurp" => 's',
            "--sort-keys" => 'S',
            "--raw-input" => 'R',
            "--exit-status" => 'e',
            "--color-output" => 'C',
            "--monochrome-output" => 'M',
            "--help" => 'h',
            "--version" => 'V',
            "--tab" => {
                self.style.indent = Some(('\t', 1));
                return Ok(());
            }
            "--seq" => {
                self.output.before = "\u{1e}";
                return Ok(());
            }
            "--stream" => {
                self.input.is_streamed = true;
                return Ok(());
            }
            "--raw-output0" => {
                (self.output.is_raw, self.output.after) = (true, "\0");
                return Ok(());
            }
            "--unbuffered" => return Ok(()),
            _ => return Err(usage(&format!("Unknown option {option}"))),
        };
        self.short(letter, option)
    }

    fn short(&mut self, letter: char, option: &str) -> Result<(), Refusal> {
        match letter {
            'n' => self.input.is_null = true,
            'R' => self.input.is_raw = true,
            's' => self.input.is_slurped = true,
            'r' => self.output.is_raw = true,
            'j' => (self.output.is_raw, self.output.after) = (true, ""),
            'a' => self.style.is_ascii = true,
            'c' => self.style.indent = None,
            'S' => self.style.sorts_keys = true,
            'e' => self.sets_status = true,
            // There are no colours.
            'C' | 'M' => {}
            'h' => return Err(Refusal::Help(HELP)),
            'V' => return Err(Refusal::Help("jq-1.7\n")),
            _ => return Err(usage(&format!("Unknown option {option}"))),
        }
        Ok(())
    }

    /// Returns `$ARGS`.
    pub(crate) fn all(&self) -> Value {
        let named = self.named.iter();
        let named = named.map(|(name, value)| (name.as_str().into(), value.clone()));
        let all = [
            ("positional".into(), Value::array(self.positional.clone())),
            ("named".into(), Value::object(named.collect())),
        ];
        Value::object(Entries::from_iter(all))
    }
}

fn usage(message: &str) -> Refusal {
    Refusal::Usage(format!(
        "jq: {message}\nUse jq --help for help with command-line options,\n\
         or see the jq manpage, or online docs  at https://jqlang.github.io/jq\n"
    ))
}

/// Reads the value of an argument.
fn json(text: &str) -> Option<Value> {
    let mut values = Reader::new(text);
    let value = values.next()?.ok()?;
    values.next().is_none().then_some(value)
}
