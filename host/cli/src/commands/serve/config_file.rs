//! The configuration file of `orwd serve`.
//!
//! Its keys are the names of the flags. They are taken from the parser of the
//! command line, so that no flag is missing and each value has the same checks. A
//! flag on the command line comes before the environment variable, that before
//! the file, and the file before the default. So the file's values are inserted
//! as flags where neither of the other two is given.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::console::CommandError;

/// The name of the subcommand.
const SERVE: &str = "serve";

/// The id and key of the paths of environments, which are no flag.
const PATHS: &str = "paths";

/// The flag that names the file, and its environment variable.
const CONFIG: &str = "config";
const CONFIG_VARIABLE: &str = "ORWD_CONFIG";

/// Flags that are no settings of a server.
pub(crate) const NOT_IN_FILE: [&str; 8] = [
    CONFIG,
    "print-config",
    "check",
    "watch",
    "inherit-listener",
    "proxied",
    "help",
    "version",
];

/// A command line with the settings of the file.
pub(crate) struct Expanded {
    /// The parser of the command line.
    pub(crate) command: Command,
    /// The command line.
    pub(crate) args: Vec<OsString>,
    /// The file, if one is in use.
    pub(crate) file: Option<PathBuf>,
    /// The keys that the file decides.
    pub(crate) from_file: BTreeSet<String>,
}

/// Adds the settings of the file that the command line of `orwd serve` names. Any
/// other command line is returned unchanged.
pub(crate) fn expand(command: Command, args: Vec<OsString>) -> Result<Expanded, CommandError> {
    let mut expanded = Expanded {
        command,
        args,
        file: None,
        from_file: BTreeSet::new(),
    };
    let Some(at) = subcommand(&expanded.command, &expanded.args) else {
        return Ok(expanded);
    };
    let (Some(name), Some(given)) = (expanded.args.get(at), expanded.args.get(at + 1..)) else {
        return Ok(expanded);
    };
    if name != SERVE {
        return Ok(expanded);
    }
    let Some(file) = file_path(given) else {
        return Ok(expanded);
    };
    let text = std::fs::read_to_string(&file).map_err(|error| {
        CommandError::new(format!(
            "cannot read the configuration {}: {error}",
            file.display()
        ))
    })?;
    let settings = read(&expanded.command, &file, &text)?;
    let given = given.to_vec();
    let mut inserted = Vec::new();
    for setting in settings {
        let from_environment = setting
            .variable
            .as_ref()
            .is_some_and(|name| std::env::var_os(name).is_some());
        // A flag of the command line comes before what it conflicts with too.
        let decided = setting.conflicts.iter().any(|key| is_given(&given, key));
        if from_environment || decided || is_given(&given, &setting.key) {
            continue;
        }
        expanded.from_file.insert(setting.key.clone());
        if setting.key == PATHS {
            // They are no flag, and count if no path is on the command line.
            expanded.command = expanded.command.mut_subcommand(SERVE, |serve| {
                serve.mut_arg(PATHS, |paths| {
                    paths.required(false).default_values(setting.values)
                })
            });
        } else {
            inserted.extend(setting.flags());
        }
    }
    expanded.args.splice(at + 1..at + 1, inserted);
    expanded.file = Some(file);
    Ok(expanded)
}

/// Returns the arguments of `orwd serve` that the file may set, by key.
pub(crate) fn settable(command: &Command) -> Vec<(String, &Arg)> {
    let serve = command.find_subcommand(SERVE);
    let own = serve.into_iter().flat_map(Command::get_arguments);
    let global = command.get_arguments().filter(|arg| arg.is_global_set());
    let mut found: Vec<(String, &Arg)> = Vec::new();
    for arg in own.chain(global) {
        let key = key(arg);
        let known = found.iter().any(|(other, _)| *other == key);
        if !known && !NOT_IN_FILE.contains(&key.as_str()) {
            found.push((key, arg));
        }
    }
    found
}

/// Returns the key of an argument: the flag without its dashes.
pub(crate) fn key(arg: &Arg) -> String {
    arg.get_long().unwrap_or(arg.get_id().as_str()).to_owned()
}

/// A setting of the file.
struct Setting {
    key: String,
    variable: Option<OsString>,
    /// The values, of which a switch has none.
    values: Vec<OsString>,
    switch: bool,
    /// The keys of flags that cannot be given with it.
    conflicts: Vec<String>,
}

impl Setting {
    fn flags(self) -> Vec<OsString> {
        let flag = |value: OsString| {
            let mut flag = OsString::from(format!("--{}=", self.key));
            flag.push(value);
            flag
        };
        if self.switch {
            return vec![format!("--{}", self.key).into()];
        }
        self.values.into_iter().map(flag).collect()
    }
}

/// Reads the settings. Relative paths in the file are relative to its folder.
fn read(command: &Command, file: &Path, text: &str) -> Result<Vec<Setting>, CommandError> {
    let at = |offset: usize, message: &dyn Display| {
        let line = text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
        CommandError::new(format!("{}:{line}: {message}", file.display()))
    };
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        at(offset, &error.message().trim_end())
    })?;
    let known = settable(command);
    let mut settings = Vec::new();
    for (written, value) in table.get_ref() {
        let key = written.get_ref();
        let Some((key, arg)) = known.iter().find(|(name, _)| name == key) else {
            return Err(at(written.span().start, &unknown(key, &known)));
        };
        let fail = |message: String| at(value.span().start, &format!("`{key}`: {message}"));
        let folder = file.parent().unwrap_or(Path::new(""));
        if let Some(mut setting) = setting(key, arg, value, folder).map_err(fail)? {
            setting.conflicts = conflicts(command, arg);
            check(command, &setting).map_err(fail)?;
            settings.push(setting);
        }
    }
    Ok(settings)
}

/// Returns the keys of flags that conflict with this one, whichever declares it.
fn conflicts(command: &Command, arg: &Arg) -> Vec<String> {
    let Some(serve) = command.find_subcommand(SERVE) else {
        return Vec::new();
    };
    let declared = |one: &Arg, other: &Arg| {
        let mut all = serve.get_arg_conflicts_with(one).into_iter();
        all.any(|found| found.get_id() == other.get_id())
    };
    serve
        .get_arguments()
        .filter(|other| !arg.is_global_set() && (declared(arg, other) || declared(other, arg)))
        .map(key)
        .collect()
}

fn unknown(key: &str, known: &[(String, &Arg)]) -> String {
    if NOT_IN_FILE.contains(&key) {
        return format!("`{key}` is a flag of the command line only");
    }
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let nearest = known
        .iter()
        .map(|(name, _)| (strsim::jaro_winkler(name, &plain(key)), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((_, nearest)) => format!("unknown key `{key}`; did you mean `{nearest}`?"),
        None => format!(
            "unknown key `{key}`; the keys are the flags of `orwd serve --help`, without sections"
        ),
    }
}

/// Converts a value; `None` for a switch that is off.
fn setting(
    key: &str,
    arg: &Arg,
    value: &Spanned<DeValue<'_>>,
    folder: &Path,
) -> Result<Option<Setting>, String> {
    let switch = matches!(arg.get_action(), ArgAction::SetTrue);
    let several = matches!(arg.get_action(), ArgAction::Append);
    let is_path = arg.get_value_parser().type_id() == ValueParser::path_buf().type_id();
    let values = match value.get_ref() {
        DeValue::Boolean(on) if switch => {
            if !on {
                return Ok(None);
            }
            Vec::new()
        }
        _ if switch => return Err("expected true or false".to_owned()),
        DeValue::Array(items) if several => items
            .iter()
            .map(|item| scalar(item.get_ref()).ok_or("expected a list of strings"))
            .collect::<Result<_, _>>()?,
        value => vec![scalar(value).ok_or(if several {
            "expected a list of strings"
        } else {
            "expected a string or a whole number"
        })?],
    };
    let values = values.into_iter().map(|value| match value.split_once('=') {
        // `NAME=DIR`, where the directory is a path too.
        Some((name, path)) if key == "data" => {
            OsString::from(format!("{name}={}", folder.join(path).display()))
        }
        _ if is_path || key == "data" => folder.join(value).into_os_string(),
        _ => value.into(),
    });
    Ok(Some(Setting {
        key: key.to_owned(),
        variable: arg.get_env().map(OsStr::to_owned),
        values: values.collect(),
        switch,
        conflicts: Vec::new(),
    }))
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Checks the values as on the command line.
fn check(command: &Command, setting: &Setting) -> Result<(), String> {
    let mut args = vec![OsString::from("orwd"), SERVE.into()];
    if setting.key == PATHS {
        args.extend(setting.values.iter().cloned());
    } else {
        let copy = Setting {
            key: setting.key.clone(),
            variable: None,
            values: setting.values.clone(),
            switch: setting.switch,
            conflicts: Vec::new(),
        };
        args.extend(copy.flags());
    }
    match command.clone().try_get_matches_from(args) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8
            ) =>
        {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            let line = line.strip_prefix("error: ").unwrap_or(line);
            // The flag is the key, which is named already.
            let reason = match line.split_once(": ") {
                Some((_, reason)) => reason.to_owned(),
                None => line.to_owned(),
            };
            let choices = text
                .lines()
                .map(str::trim)
                .find(|line| line.starts_with("[possible"));
            Err(match choices {
                Some(choices) => format!("{line} {choices}"),
                None => reason,
            })
        }
        // What is missing or in conflict is known when all settings are.
        _ => Ok(()),
    }
}

/// Returns the place of the subcommand in the command line.
fn subcommand(command: &Command, args: &[OsString]) -> Option<usize> {
    let takes_value = |flag: &str| {
        command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(flag))
            .is_some_and(|arg| arg.get_action().takes_values())
    };
    let mut rest = args.iter().enumerate().skip(1);
    while let Some((at, word)) = rest.next() {
        let word = word.to_str()?;
        match word.strip_prefix("--") {
            Some(flag) if takes_value(flag) => {
                rest.next();
            }
            Some(_) => {}
            None if word.starts_with('-') => {}
            None => return Some(at),
        }
    }
    None
}

/// Returns the path of the file, from the flag or else from the environment.
fn file_path(given: &[OsString]) -> Option<PathBuf> {
    let mut words = flags(given);
    while let Some(word) = words.next() {
        let word = word.to_str().unwrap_or_default();
        if let Some(path) = word.strip_prefix("--config=") {
            return Some(path.into());
        }
        if word == "--config" {
            return words.next().map(PathBuf::from);
        }
    }
    let variable = std::env::var_os(CONFIG_VARIABLE);
    variable.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Returns whether the command line has this flag.
fn is_given(given: &[OsString], key: &str) -> bool {
    flags(given).any(|word| {
        let flag = word.to_str().and_then(|word| word.strip_prefix("--"));
        flag.is_some_and(|flag| flag.split('=').next() == Some(key))
    })
}

/// Returns the words before `--`, behind which there are no flags.
fn flags(given: &[OsString]) -> impl Iterator<Item = &OsString> {
    given.iter().take_while(|word| *word != "--")
}
