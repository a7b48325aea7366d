//! `orwd.toml`: what an environment's folder says of itself.
//!
//! Read strictly. A key that nobody reads is a mistake that would otherwise
//! show only later, as a limit that does not bite or data that is not there;
//! so an unknown key is an error that names the nearest known one, and every
//! error says the line and column. Syntax is the TOML crate's affair; what the
//! keys mean is checked here.

mod table;

use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use orwd_config::Narrowing;
use orwd_config::limits::{Amount, Limit, Unit};
use orwd_config::units::Size;
use orwd_model::{
    ClockMode, DataMode, EnvName, InvalidSeed, OnConflict, PublishRules, RESERVED_PATHS, Seed,
};
use table::{Table, kind, place};

/// The name of the file.
pub const FILE_NAME: &str = "orwd.toml";

/// A manifest, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// What clients call the environment.
    pub name: EnvName,
    /// For people.
    pub description: Option<String>,
    /// For people.
    pub version: Option<String>,
    /// How the component is made.
    pub build: BuildRule,
    /// The data directory as written, relative to the folder.
    pub data: Option<PathBuf>,
    /// What becomes of what its sessions write, if the operator allows it.
    pub mode: DataMode,
    /// The limits that it asks for.
    pub limits: Narrowing,
    /// The secrets that it asks its clients for, in order; others that they send
    /// are withheld.
    pub secrets: Vec<String>,
    /// The clock of its sessions.
    pub clock: ClockMode,
    /// The seed of sessions whose client sets none.
    pub seed: Option<Seed>,
}

/// How a folder becomes a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildRule {
    /// By cargo, as is the rule for a folder with a `Cargo.toml`.
    Cargo,
    /// By a command, run in the folder without a shell.
    Command {
        /// The program and its arguments; at least the program.
        command: Vec<String>,
        /// Where it leaves the component, relative to the folder.
        component: PathBuf,
    },
    /// It is there already, relative to the folder.
    Ready(PathBuf),
}

/// Why a manifest is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// Line and column, both from 1; none where the whole file is meant.
    place: Option<(usize, usize)>,
    message: String,
}

impl std::error::Error for ManifestError {}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Why a text may not be an environment's name on this server.
pub fn check_name(text: &str) -> Result<EnvName, String> {
    let name = EnvName::new(text).map_err(|error| error.to_string())?;
    if RESERVED_PATHS.contains(&name.as_str()) {
        return Err(format!(
            "{text:?} is a route of the protocol and cannot be the name of an environment"
        ));
    }
    Ok(name)
}

impl Manifest {
    /// The manifest of a component that came without one.
    pub fn bare(name: EnvName) -> Manifest {
        Manifest {
            name,
            description: None,
            version: None,
            build: BuildRule::Cargo,
            data: None,
            mode: DataMode::default(),
            limits: Narrowing::default(),
            secrets: Vec::new(),
            clock: ClockMode::default(),
            seed: None,
        }
    }

    /// Reads the text of a manifest.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        let document = DeTable::parse(text).map_err(|error| ManifestError {
            place: error.span().map(|span| place(text, span.start)),
            message: error.message().to_owned(),
        })?;
        let root = Table::root(text, document.get_ref());
        root.only(&[
            "name",
            "description",
            "version",
            "build",
            "data",
            "data-mode",
            "shared",
            "clock",
            "seed",
            "limits",
            "secrets",
        ])?;
        let Some(name) = root.text("name")? else {
            return Err(ManifestError {
                place: None,
                message: "`name` is missing: say name = \"…\", what clients call the environment"
                    .to_owned(),
            });
        };
        Ok(Manifest {
            name: check_name(name.value).map_err(|error| name.wrong(&error))?,
            description: root.text("description")?.map(|text| text.value.to_owned()),
            version: root.text("version")?.map(|text| text.value.to_owned()),
            build: build(&root)?,
            data: root.path("data", "a directory")?,
            mode: mode(&root)?,
            limits: limits(&root)?,
            secrets: secrets(&root)?,
            clock: clock(&root)?,
            seed: seed(&root)?,
        })
    }

    /// Reads the manifest of a folder.
    pub fn read(folder: &Path) -> Result<Manifest, ManifestError> {
        let whole = |message: String| ManifestError {
            place: None,
            message,
        };
        let bytes = std::fs::read(folder.join(FILE_NAME))
            .map_err(|error| whole(format!("cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| whole("is not UTF-8 text".to_owned()))?;
        Manifest::parse(&text)
    }
}

fn build(root: &Table<'_>) -> Result<BuildRule, ManifestError> {
    let Some(table) = root.table("build")? else {
        return Ok(BuildRule::Cargo);
    };
    table.only(&["command", "component"])?;
    let command = table.texts("command")?;
    let component = table.path("component", "a file")?;
    match (command, component) {
        (None, None) => Ok(BuildRule::Cargo),
        (None, Some(component)) => Ok(BuildRule::Ready(component)),
        (Some(command), component) => {
            let words: Vec<String> = command.iter().map(|word| word.value.to_owned()).collect();
            let at = table.value("command");
            if words.first().is_none_or(String::is_empty) {
                return Err(table.error(
                    at,
                    "`build.command` is empty: say the program and its arguments, such as [\"make\", \"component\"]",
                ));
            }
            let Some(component) = component else {
                return Err(table.error(
                    at,
                    "`build.command` needs `build.component`, the file that it makes",
                ));
            };
            Ok(BuildRule::Command {
                command: words,
                component,
            })
        }
    }
}

fn mode(root: &Table<'_>) -> Result<DataMode, ManifestError> {
    let written = root.text("data-mode")?;
    let shared = root.table("shared")?;
    let is_shared = match &written {
        None => false,
        Some(text) => match text.value {
            "session" => false,
            "shared" => true,
            "read-only" if shared.is_none() => return Ok(DataMode::ReadOnly),
            "read-only" => false,
            _ => return Err(text.wrong("expected \"read-only\", \"session\" or \"shared\"")),
        },
    };
    match (written, shared) {
        (_, None) if !is_shared => Ok(DataMode::Session),
        (Some(text), None) => Err(text.wrong(
            "needs a table [shared] that says what is published, such as publish = [\"results/\"]",
        )),
        (_, Some(shared)) if is_shared => publish(&shared).map(DataMode::Shared),
        _ => Err(root.error(
            root.value("shared"),
            "`shared` is only for data-mode = \"shared\"",
        )),
    }
}

fn publish(table: &Table<'_>) -> Result<PublishRules, ManifestError> {
    table.only(&["publish", "existing"])?;
    let mut folders = Vec::new();
    for folder in table.texts("publish")?.unwrap_or_default() {
        let path = folder.value.strip_suffix('/').unwrap_or(folder.value);
        let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if !path.split('/').all(is_plain) {
            return Err(
                folder.wrong("expected folders of the data directory, such as \"results/\"")
            );
        }
        folders.push(path.to_owned());
    }
    if folders.is_empty() {
        return Err(table.error(
            table.value("publish"),
            "`shared.publish` names no folder: say which are published, such as [\"results/\"]",
        ));
    }
    let on_conflict = match table.text("existing")? {
        None => OnConflict::default(),
        Some(text) => match text.value {
            "keep" => OnConflict::Keep,
            "replace" => OnConflict::Replace,
            _ => return Err(text.wrong("expected \"keep\" or \"replace\"")),
        },
    };
    Ok(PublishRules {
        folders,
        on_conflict,
    })
}

fn clock(root: &Table<'_>) -> Result<ClockMode, ManifestError> {
    match root.text("clock")? {
        None => Ok(ClockMode::default()),
        Some(text) => match text.value {
            "virtual" => Ok(ClockMode::Virtual),
            "real" => Ok(ClockMode::Real),
            _ => Err(text.wrong("expected \"virtual\" or \"real\"")),
        },
    }
}

/// A number; a text too, since not everything writes great numbers well.
fn seed(root: &Table<'_>) -> Result<Option<Seed>, ManifestError> {
    let Some(value) = root.value("seed") else {
        return Ok(None);
    };
    let seed = match value.get_ref() {
        DeValue::String(text) => Seed::parse(text).map_err(|error| error.to_string()),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
            .map(Seed::new)
            .map_err(|_| InvalidSeed.to_string()),
        other => Err(format!("expected a whole number, got {}", kind(other))),
    };
    seed.map(Some)
        .map_err(|message| root.error(Some(value), &format!("`seed`: {message}")))
}

fn limits(root: &Table<'_>) -> Result<Narrowing, ManifestError> {
    let mut narrowing = Narrowing::default();
    let Some(table) = root.table("limits")? else {
        return Ok(narrowing);
    };
    table.only(&Limit::ALL.map(Limit::name))?;
    for limit in Limit::ALL {
        let Some(value) = table.value(limit.name()) else {
            continue;
        };
        let amount = match (value.get_ref(), limit.unit()) {
            (DeValue::String(text), _) => limit.parse(text),
            // A size may be a plain number of bytes.
            (DeValue::Integer(number), unit @ (Unit::Size | Unit::Count)) => {
                match (u64::from_str_radix(number.as_str(), number.radix()), unit) {
                    (Ok(count), Unit::Count) => limit.check(Amount::Count(count)),
                    (Ok(bytes), _) => limit.check(Amount::Size(Size::bytes(bytes))),
                    (Err(_), Unit::Count) => Err(format!("{number} is no count")),
                    (Err(_), _) => Err(format!("{number} is no size")),
                }
            }
            (other, unit) => {
                let expected = match unit {
                    Unit::Size => "a size such as \"64MiB\"",
                    Unit::Time => "a time such as \"5s\"",
                    Unit::Count => "a number",
                };
                Err(format!("expected {expected}, got {}", kind(other)))
            }
        };
        match amount {
            Ok(amount) => narrowing.ask(limit, amount),
            Err(error) => {
                let message = format!("`limits.{}`: {error}", limit.name());
                return Err(table.error(Some(value), &message));
            }
        }
    }
    Ok(narrowing)
}

fn secrets(root: &Table<'_>) -> Result<Vec<String>, ManifestError> {
    let mut names: Vec<String> = Vec::new();
    for name in root.texts("secrets")?.unwrap_or_default() {
        if name.value.is_empty() {
            return Err(name.wrong("a secret without a name"));
        }
        if names.iter().any(|other| other == name.value) {
            return Err(name.wrong(&format!("{:?} is named twice", name.value)));
        }
        names.push(name.value.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_manifest() {
        let manifest = Manifest::parse(
            r#"
            name = "Gsm8k"
            description = "Maths"
            version = "1.2.0"
            data = "data"
            data-mode = "shared"
            secrets = ["B", "A"]
            clock = "real"
            seed = 0xff

            [build]
            command = ["make", "x"]
            component = "out/x.wasm"

            [shared]
            publish = ["results/", "logs/runs"]
            existing = "replace"

            [limits]
            files = 12
            memory = "64MiB"
            result-limit = 2048
            call-cpu = "500ms"
            "#,
        )
        .unwrap();
        let mut limits = Narrowing::default();
        for (limit, amount) in [
            (Limit::Files, "12"),
            (Limit::Memory, "64MiB"),
            (Limit::Result, "2KiB"),
            (Limit::CallCpu, "500ms"),
        ] {
            limits.ask(limit, limit.parse(amount).unwrap());
        }
        let (expected, _) = limits.apply(operator());
        let (got, capped) = manifest.limits.apply(operator());
        assert_eq!((got, capped.len()), (expected, 0));
        assert_eq!(manifest.name.as_str(), "gsm8k");
        assert_eq!(manifest.description.as_deref(), Some("Maths"));
        assert_eq!(manifest.version.as_deref(), Some("1.2.0"));
        assert_eq!(manifest.data, Some(PathBuf::from("data")));
        assert_eq!(
            manifest.mode,
            DataMode::Shared(PublishRules {
                folders: vec!["results".to_owned(), "logs/runs".to_owned()],
                on_conflict: OnConflict::Replace,
            })
        );
        assert_eq!(manifest.secrets, ["B", "A"]);
        assert_eq!(manifest.clock, ClockMode::Real);
        assert_eq!(manifest.seed, Some(Seed::new(255)));
        assert_eq!(
            manifest.build,
            BuildRule::Command {
                command: vec!["make".to_owned(), "x".to_owned()],
                component: PathBuf::from("out/x.wasm"),
            }
        );
    }

    fn operator() -> orwd_model::SessionLimits {
        let budget = orwd_model::Budget {
            cpu: std::time::Duration::from_secs(30),
            wall: std::time::Duration::from_secs(60),
        };
        orwd_model::SessionLimits {
            memory: 256 << 20,
            tables: 100_000,
            handles: 1024,
            call: budget,
            setup: budget,
            teardown: budget,
            result: 8 << 20,
            host_call: 16 << 20,
            json_depth: 64,
            log: 64 << 10,
            log_total: 4 << 20,
            disk: 64 << 20,
            files: 4096,
            open_files: 256,
            journal: 256 << 20,
        }
    }

    #[test]
    fn a_name_is_enough() {
        let manifest = Manifest::parse("name = 'abc'").unwrap();
        assert_eq!(manifest, Manifest::bare(EnvName::new("abc").unwrap()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            (
                "",
                "`name` is missing: say name = \"…\", what clients call the environment",
            ),
            (
                "nmae = 'abc'",
                "line 1, column 1: `nmae` is no key here; did you mean `name`?",
            ),
            (
                "name = 'abc'\nfoo = 1",
                "line 2, column 1: `foo` is no key here; there are `name`, `description`, `version`, `build`, `data`, `data-mode`, `shared`, `clock`, `seed`, `limits` and `secrets`",
            ),
            (
                "name = 'abc'\n[limit]\nmemory = 1",
                "line 2, column 2: `limit` is no key here; did you mean `limits`?",
            ),
            (
                "name = 'abc'\n[limits]\n  call_cpu = '1s'",
                "line 3, column 3: `limits.call_cpu` is no key here; did you mean `limits.call-cpu`?",
            ),
            (
                "name = 'abc'\n[build]\ncomand = ['x']",
                "line 3, column 1: `build.comand` is no key here; did you mean `build.command`?",
            ),
            (
                "name = 3",
                "line 1, column 8: `name`: expected a string, got a number",
            ),
            (
                "name = 'ab'",
                "line 1, column 8: `name`: invalid environment name \"ab\": expected 3 to 64 letters, digits, '-' or '_'",
            ),
            (
                "name = 'health'",
                "line 1, column 8: `name`: \"health\" is a route of the protocol and cannot be the name of an environment",
            ),
            (
                "name = 'abc'\ndata = ''",
                "line 2, column 8: `data`: expected the path of a directory",
            ),
            (
                "name = 'abc'\ndata-mode = 'rw'",
                "line 2, column 13: `data-mode`: expected \"read-only\", \"session\" or \"shared\"",
            ),
            (
                "name = 'abc'\ndata-mode = 'shared'",
                "line 2, column 13: `data-mode`: needs a table [shared] that says what is published, such as publish = [\"results/\"]",
            ),
            (
                "name = 'abc'\ndata-mode = 'read-only'\nshared.publish = ['a']",
                "line 3, column 1: `shared` is only for data-mode = \"shared\"",
            ),
            (
                "name = 'abc'\ndata-mode = 'shared'\nshared.publish = ['a/../b']",
                "line 3, column 19: `shared.publish`: expected folders of the data directory, such as \"results/\"",
            ),
            (
                "name = 'abc'\ndata-mode = 'shared'\nshared.publish = []",
                "line 3, column 18: `shared.publish` names no folder: say which are published, such as [\"results/\"]",
            ),
            (
                "name = 'abc'\ndata-mode = 'shared'\nshared.publish = ['a']\nshared.existing = 'drop'",
                "line 4, column 19: `shared.existing`: expected \"keep\" or \"replace\"",
            ),
            (
                "name = 'abc'\nclock = 'slow'",
                "line 2, column 9: `clock`: expected \"virtual\" or \"real\"",
            ),
            (
                "name = 'abc'\nseed = -1",
                "line 2, column 8: `seed`: a seed is a whole number from 0 to 18446744073709551615, or the same as 0x and hex digits",
            ),
            (
                "name = 'abc'\nseed = 1.5",
                "line 2, column 8: `seed`: expected a whole number, got a number",
            ),
            (
                "name = 'abc'\nlimits.open-files = '12'\nlimits.files = -1",
                "line 3, column 16: `limits.files`: -1 is no count",
            ),
            (
                "name = 'abc'\nlimits = 1",
                "line 2, column 10: `limits`: expected a table, got a number",
            ),
            (
                "name = 'abc'\nlimits.memory = true",
                "line 2, column 17: `limits.memory`: expected a size such as \"64MiB\", got true or false",
            ),
            (
                "name = 'abc'\nlimits.memory = -1",
                "line 2, column 17: `limits.memory`: -1 is no size",
            ),
            (
                "name = 'abc'\nlimits.memory = 1",
                "line 2, column 17: `limits.memory`: 1B is not between 2MiB and 4GiB",
            ),
            (
                "name = 'abc'\nlimits.call-cpu = 5",
                "line 2, column 19: `limits.call-cpu`: expected a time such as \"5s\", got a number",
            ),
            (
                "name = 'abc'\nlimits.call-cpu = '5'",
                "line 2, column 19: `limits.call-cpu`: a time needs a unit: 5s for seconds, 5ms for milliseconds",
            ),
            (
                "name = 'abc'\nsecrets = 'KEY'",
                "line 2, column 11: `secrets`: expected a list of strings, got a string",
            ),
            (
                "name = 'abc'\nsecrets = ['KEY', 1]",
                "line 2, column 19: `secrets`: expected a list of strings, got a number",
            ),
            (
                "name = 'abc'\nsecrets = ['KEY', 'KEY']",
                "line 2, column 19: `secrets`: \"KEY\" is named twice",
            ),
            (
                "name = 'abc'\nbuild.command = []\nbuild.component = 'x'",
                "line 2, column 17: `build.command` is empty: say the program and its arguments, such as [\"make\", \"component\"]",
            ),
            (
                "name = 'abc'\nbuild.command = ['make']",
                "line 2, column 17: `build.command` needs `build.component`, the file that it makes",
            ),
            (
                "name = 'abc'\nname = 'abd'",
                "line 2, column 1: duplicate key",
            ),
            (
                "name = abc",
                "line 1, column 8: string values must be quoted, expected literal string",
            ),
        ] {
            let got = match Manifest::parse(text) {
                Ok(manifest) => format!("{manifest:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{text}");
        }
    }
}
