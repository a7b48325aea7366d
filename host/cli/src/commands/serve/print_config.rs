//! The settings of `orwd serve` that are in force, as a configuration file.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::config_file::settable;

/// Formats all settings, each with where it comes from. The text is a valid
/// configuration file.
pub(crate) fn text(
    command: &Command,
    matches: &ArgMatches,
    file: Option<&Path>,
    from_file: &BTreeSet<String>,
) -> String {
    let mut out = String::from("# Settings of this server. Keys are the flags of `orwd serve`.\n");
    for (key, arg) in settable(command) {
        let id = arg.get_id().as_str();
        let source = match matches.value_source(id) {
            // The file's flags are inserted into the command line, but not its paths.
            Some(ValueSource::CommandLine) if arg.is_positional() => "command line".to_owned(),
            _ if from_file.contains(&key) => {
                file.map_or_else(String::new, |file| file.display().to_string())
            }
            Some(ValueSource::CommandLine) => "command line".to_owned(),
            Some(ValueSource::EnvVariable) => arg
                .get_env()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            _ => "default".to_owned(),
        };
        match value(arg, matches) {
            Some(value) => writeln!(out, "{key} = {value}  # {source}").ok(),
            None => writeln!(out, "# {key} is not set").ok(),
        };
    }
    out
}

/// Returns a value as TOML; `None` if there is none.
fn value(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    let id = arg.get_id().as_str();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return Some(matches.get_flag(id).to_string());
    }
    let raw = matches.get_raw(id)?;
    let texts = raw.map(|value| quoted(&value.to_string_lossy()));
    let texts: Vec<String> = texts.collect();
    Some(match (arg.get_action(), texts.as_slice()) {
        (ArgAction::Append, texts) => format!("[{}]", texts.join(", ")),
        (_, [only, ..]) => only.clone(),
        (_, []) => return None,
    })
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
