//! Commands and flags of the documentation, compared with `orwd --help`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::markdown::Page;
use crate::workspace::{Finding, Result, Workspace, output};

/// Flags of other projects that pages describe, and of a worked example.
const FOREIGN: [&str; 4] = ["--env", "--links", "--no-logging", "--variant"];

/// What the binary accepts: the flags of each command, such as `keys new`.
#[derive(Debug, Default)]
pub(super) struct Commands {
    flags: BTreeMap<String, BTreeSet<String>>,
    /// Flags of the other programs of this repository.
    others: BTreeSet<String>,
}

impl Commands {
    /// Asks the binary that `ORWD_BIN` names, or a debug build.
    pub(super) fn ask(workspace: &Workspace) -> Result<Self> {
        let binary = match std::env::var_os("ORWD_BIN") {
            Some(path) => workspace.root.join(path),
            None => build(workspace)?,
        };
        let mut commands = Self::default();
        let mut open = vec![String::new()];
        while let Some(name) = open.pop() {
            let help = output(
                Command::new(&binary)
                    .args(name.split_whitespace())
                    .arg("--help")
                    .current_dir(&workspace.root),
            )?;
            for below in commands.add(&name, &help) {
                open.push(format!("{name} {below}").trim().to_owned());
            }
        }
        let programs = workspace
            .files("rs")
            .filter(|file| file.starts_with("tests") || file.starts_with("xtask"));
        let scripts = workspace
            .files("py")
            .filter(|file| file.starts_with("guest-sdk"));
        for file in programs.chain(scripts) {
            commands.others.extend(arguments(&workspace.read(file)?));
        }
        Ok(commands)
    }

    /// Adds the help text of a command and returns its subcommands.
    fn add(&mut self, name: &str, help: &str) -> Vec<String> {
        let flags = self.flags.entry(name.to_owned()).or_default();
        let mut below = Vec::new();
        let mut in_commands = false;
        for line in help.lines() {
            let indent = line.len() - line.trim_start().len();
            let text = line.trim_start();
            if indent == 0 && !text.is_empty() {
                in_commands = text == "Commands:";
            }
            if in_commands && indent == 2 {
                let word = text.split_whitespace().next().unwrap_or_default();
                if word != "help" {
                    below.push(word.to_owned());
                }
            }
            // `  -v, --verbose` and `      --seed <SEED>`.
            if text.starts_with('-') && (2..=6).contains(&indent) {
                flags.extend(
                    text.split([' ', ',', '='])
                        .take_while(|word| word.is_empty() || word.starts_with('-'))
                        .filter(|word| word.starts_with('-'))
                        .map(|word| word.trim_end_matches(['.', '[']).to_owned()),
                );
            }
        }
        below
    }

    /// Finds commands and flags that the binary does not have.
    pub(super) fn check(&self, file: &Path, page: &Page) -> Vec<Finding> {
        let mut findings = Vec::new();
        for fence in &page.fences {
            if !matches!(
                fence.language.as_str(),
                "sh" | "bash" | "shell" | "console" | ""
            ) {
                continue;
            }
            for (offset, line) in joined(&fence.text) {
                for problem in self.line(&line) {
                    findings.push(Finding::new(file, fence.line + offset, problem));
                }
            }
        }
        for span in &page.spans {
            let problems = if span.code.starts_with("orwd ") {
                self.line(&span.code)
            } else {
                self.lone_flag(&span.code).into_iter().collect()
            };
            for problem in problems {
                findings.push(Finding::new(file, span.line, problem));
            }
        }
        findings
    }

    /// Checks each call of `orwd` in a line of shell.
    fn line(&self, line: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let line = line.split(" #").next().unwrap_or_default();
        if line.trim_start().starts_with('#') {
            return problems;
        }
        for part in line.split(['|', ';', '&', '`']) {
            let words: Vec<&str> = part.split_whitespace().collect();
            let is_orwd = |word: &str| word == "orwd" || word.ends_with("/orwd");
            let start = words
                .iter()
                .position(|word| !word.contains('=') && !matches!(*word, "$" | "sudo" | "time"));
            let after = match start.and_then(|start| Some((start, *words.get(start)?))) {
                Some((start, word)) if is_orwd(word) => start + 1,
                // `podman run … orwd serve …` has it in the middle, and names
                // the image and perhaps the container like the command.
                Some((_, "podman" | "docker" | "timeout" | "nohup" | "exec")) => {
                    let command = words.windows(2).position(|pair| match pair {
                        [word, command] => is_orwd(word) && self.flags.contains_key(*command),
                        _ => false,
                    });
                    match command {
                        Some(command) => command + 1,
                        None => continue,
                    }
                }
                // `cargo run -- serve …` starts the default package.
                Some((_, "cargo")) => {
                    let of_others = ["-p", "--package", "--bin", "xtask", "--manifest-path"];
                    match words.iter().position(|word| *word == "--") {
                        Some(dashes)
                            if words.contains(&"run")
                                && !words.iter().any(|word| of_others.contains(word)) =>
                        {
                            dashes + 1
                        }
                        _ => continue,
                    }
                }
                _ => continue,
            };
            let words = words.get(after..).unwrap_or_default().iter().copied();
            problems.extend(self.call(words));
        }
        problems
    }

    /// Checks the words after `orwd`.
    fn call<'a>(&self, words: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut name = String::new();
        let mut in_name = true;
        for word in words {
            let word = word.trim_matches(['[', ']', '"', '\'']);
            if word == "--" {
                break;
            }
            if let Some(flag) = flag(word) {
                let known = self
                    .flags
                    .get(&name)
                    .is_some_and(|flags| flags.contains(flag));
                let common = matches!(flag, "--help" | "-h" | "--version" | "-V");
                if !known && !common {
                    let command = format!("orwd {name}");
                    problems.push(format!("`{}` has no flag {flag}", command.trim_end()));
                }
            } else if in_name {
                let longer = format!("{name} {word}").trim().to_owned();
                if self.flags.contains_key(&longer) {
                    name = longer;
                } else {
                    // A placeholder, the message `orwd is listening on …`, or a
                    // command that the binary starts itself with.
                    let other =
                        matches!(word, "COMMAND" | "…" | "help" | "is") || word.starts_with("__");
                    if name.is_empty() && !other {
                        problems.push(format!("orwd has no command {word:?}"));
                        break;
                    }
                    in_name = false;
                }
            }
        }
        problems
    }

    /// Checks a flag that a text names without its command.
    fn lone_flag(&self, code: &str) -> Option<String> {
        let flag = flag(code.split_whitespace().next()?).filter(|flag| flag.starts_with("--"))?;
        let known = self.flags.values().any(|flags| flags.contains(flag))
            || self.others.contains(flag)
            || FOREIGN.contains(&flag);
        (!known).then(|| format!("no command of this repository has a flag {flag}"))
    }
}

/// Builds the binary and returns its path.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = output(
        Command::new(cargo)
            .args(["build", "--quiet", "--package=orwd", "--bin=orwd"])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(&workspace.root),
    )?;
    built
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back()
        .ok_or_else(|| "cargo built no binary orwd".into())
}

/// Returns the name of a flag, without its value.
fn flag(word: &str) -> Option<&str> {
    let word = word.split('=').next()?;
    let name = word.trim_start_matches('-');
    let dashes = word.len() - name.len();
    (matches!(dashes, 1 | 2) && name.starts_with(|letter: char| letter.is_ascii_alphabetic()))
        .then_some(word)
}

/// Returns the flags that a source text declares: those of clap, and string
/// literals such as `"--report"`.
fn arguments(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_attribute = false;
    for line in text.lines() {
        let line = line.trim();
        for (_, literal) in line.match_indices("\"--").filter_map(|(at, _)| {
            let rest = line.get(at + 1..)?;
            Some((at, rest.split(['"', ' ', '=']).next()?))
        }) {
            found.insert(literal.to_owned());
        }
        if line.starts_with("#[arg(") || line.starts_with("#[clap(") {
            in_attribute = true;
        }
        if in_attribute && !line.starts_with('#') {
            let name = line.split(':').next().unwrap_or_default();
            let name = name
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ");
            if line.contains(':')
                && name
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || letter == '_')
            {
                found.insert(format!("--{}", name.replace('_', "-")));
                in_attribute = false;
            }
        }
    }
    found
}

/// Returns the lines of a script, those that end in `\` joined with the next.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let (part, continues) = match line.trim_end().strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if open => last.push_str(part),
            _ => lines.push((index + 1, part.to_owned())),
        }
        open = continues;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Commands {
        let mut commands = Commands::default();
        let below = commands.add(
            "",
            "Serves.\n\nUsage: orwd <COMMAND>\n\nCommands:\n  serve  Serves\n  keys   Keys\n  help   Print\n\nOptions:\n  -h, --help\n",
        );
        assert_eq!(below, ["serve", "keys"]);
        commands.add(
            "serve",
            "Options:\n      --listen <ADDR>\n          text --other\n  -q, --quiet...  Less\n",
        );
        commands.add("keys", "Commands:\n  new  Makes one\n");
        commands.add("keys new", "Options:\n      --api-keys <FILE>\n");
        commands
    }

    fn check(line: &str, expected: &[&str]) {
        assert_eq!(commands().line(line), expected, "{line}");
    }

    #[test]
    fn commands_and_flags_have_to_exist() {
        check("orwd serve --listen=0.0.0.0:80 -q x  # --no", &[]);
        check(
            "$ orwd serve --other",
            &["`orwd serve` has no flag --other"],
        );
        check("orwd sell .", &["orwd has no command \"sell\""]);
        check("A=1 target/release/orwd keys new alice --api-keys k", &[]);
        check(
            "orwd keys new --listen",
            &["`orwd keys new` has no flag --listen"],
        );
        check(
            "orwd new-thing | grep --x",
            &["orwd has no command \"new-thing\""],
        );
        check(
            "cargo run --release -- serve --x",
            &["`orwd serve` has no flag --x"],
        );
        check("cargo run -p orwd-bench -- serve --x", &[]);
        check(
            "podman run --rm --read-only orwd serve --x",
            &["`orwd serve` has no flag --x"],
        );
        check("orwd serve . -- --x", &[]);
        check("# orwd sell", &[]);
        check("git clone x/orwd.git", &[]);
    }

    #[test]
    fn a_flag_can_stand_without_its_command() {
        let commands = commands();
        assert_eq!(commands.lone_flag("--listen ADDR"), None);
        assert_eq!(commands.lone_flag("a --x"), None);
        assert!(commands.lone_flag("--x").is_some());
    }

    #[test]
    fn lines_of_a_script_are_joined() {
        assert_eq!(
            joined("a \\\n  b\nc"),
            [(1, "a   b".to_owned()), (3, "c".to_owned())]
        );
    }

    #[test]
    fn finds_declared_flags() {
        let text = "#[arg(long)]\nkills: u32,\n#[arg(long, default_value_t = 1)]\npub(crate) one_two: u64,\nx(\"--report\")";
        assert_eq!(
            arguments(text).into_iter().collect::<Vec<_>>(),
            ["--kills", "--one-two", "--report"]
        );
    }
}
