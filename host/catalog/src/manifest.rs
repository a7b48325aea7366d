//! The manifest `orwd.toml` of an environment's folder.
//!
//! Parsing is strict. An ignored key would show only later, as a limit without
//! effect or missing data, so an unknown key is an error that names the most
//! similar known key. Each error has a line and column. serde's derived readers
//! lose the position of a value and stop at a table's name, so the TOML crate
//! checks the syntax and this module reads the keys.

mod error;
mod table;

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use orwd_config::LimitOverrides;
use orwd_model::{
    Amount, ByteSize, ClockMode, EnvName, InvalidSeed, LimitError, LimitSet, LimitUnit,
    RESERVED_PATHS, Seed, SessionLimits, TOOLSETS,
};
use orwd_model::{DataMode, OnConflict, PublishRules};
use orwd_network::Rule;
use table::{Table, Text, kind};

use crate::files::{AuthorFolder, stays_below};

pub use error::{FILE_NAME, ManifestError};

/// Bytes of a manifest.
const MAX_SIZE: u64 = 1 << 20;

/// Entries of each list in a manifest. Sessions compare them with each other.
const MAX_LIST: usize = 256;

/// A valid manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Name that clients use.
    pub name: EnvName,
    /// EnvironmentDescription for people.
    pub description: Option<String>,
    /// Version for people.
    pub version: Option<String>,
    /// How the component is built.
    pub build: BuildRule,
    /// Data directory, relative to the folder.
    pub data: Option<PathBuf>,
    /// What happens to files that its sessions write, if the operator permits
    /// it.
    pub mode: DataMode,
    /// Limits that it tightens.
    pub limits: LimitOverrides,
    /// Secrets that it declares, in order. It gets no others.
    pub secrets: Vec<String>,
    /// What its sessions ask to reach by HTTP.
    pub network: Vec<Rule>,
    /// Toolsets that clients can request.
    pub toolsets: Vec<String>,
    /// Clock of its sessions.
    pub clock: ClockMode,
    /// Seed of sessions whose client sets none.
    pub seed: Option<Seed>,
}

/// How the component of a folder is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildRule {
    /// By cargo; the default for a folder with a `Cargo.toml`.
    Cargo,
    /// By a command, run in the folder without a shell.
    Command {
        /// The program and its arguments; not empty.
        command: Vec<String>,
        /// Component that it creates, relative to the folder.
        component: PathBuf,
    },
    /// Not at all: the component exists, relative to the folder.
    Prebuilt(PathBuf),
    /// From a Python module.
    Python(PythonRule),
}

/// How a component is built from a Python module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonRule {
    /// The module, relative to the folder.
    pub module: PathBuf,
    /// The only class to serve, if one is named.
    pub class: Option<String>,
    /// What of the data is there while the module is imported for the component.
    pub bake: Vec<String>,
}

/// Checks that a text can be an environment's name on this server.
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
    /// Returns the manifest of a component without one.
    pub fn bare(name: EnvName) -> Manifest {
        Manifest {
            name,
            description: None,
            version: None,
            build: BuildRule::Cargo,
            data: None,
            mode: DataMode::default(),
            limits: LimitOverrides::default(),
            secrets: Vec::new(),
            network: Vec::new(),
            toolsets: Vec::new(),
            clock: ClockMode::default(),
            seed: None,
        }
    }

    /// Parses the text of a manifest.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        let document = DeTable::parse(text).map_err(|error| match error.span() {
            Some(span) => ManifestError::at(text, span.start, error.message()),
            None => ManifestError::whole_file(error.message()),
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
            "network",
            "toolsets",
        ])?;
        let Some(name) = root.text("name")? else {
            return Err(ManifestError::whole_file(
                "`name` is missing; add name = \"…\", the name that clients use",
            ));
        };
        Ok(Manifest {
            name: check_name(name.value).map_err(|error| name.error(&error))?,
            description: root.text("description")?.map(|text| text.value.to_owned()),
            version: root.text("version")?.map(|text| text.value.to_owned()),
            build: build(&root)?,
            data: root.path(
                "data",
                "a directory",
                "the operator can map another one with --data NAME=DIR",
            )?,
            mode: mode(&root)?,
            limits: limits(&root)?,
            secrets: secrets(&root)?,
            network: network(&root)?,
            toolsets: toolsets(&root)?,
            clock: clock(&root)?,
            seed: seed(&root)?,
        })
    }

    /// Reads the manifest in a folder.
    pub fn read(folder: &AuthorFolder) -> Result<Manifest, ManifestError> {
        Manifest::parse(&Manifest::text(folder)?)
    }

    /// Reads the text of the manifest in a folder.
    pub fn text(folder: &AuthorFolder) -> Result<String, ManifestError> {
        let bytes = folder
            .read(Path::new(FILE_NAME), MAX_SIZE)
            .map_err(|error| ManifestError::whole_file(format!("cannot be read: {error}")))?;
        String::from_utf8(bytes).map_err(|_| ManifestError::whole_file("not UTF-8 text"))
    }
}

fn build(root: &Table<'_>) -> Result<BuildRule, ManifestError> {
    let Some(table) = root.table("build")? else {
        return Ok(BuildRule::Cargo);
    };
    table.only(&["command", "component", "python", "bake"])?;
    if let Some(module) = table.text("python")? {
        return python(&table, &module).map(BuildRule::Python);
    }
    if let Some(bake) = table.value("bake") {
        return Err(table.error(
            Some(bake),
            "`build.bake` requires `build.python`, the module that reads the data",
        ));
    }
    let command = table.texts("command")?;
    let component = table.path("component", "a file", "copy the component into it")?;
    match (command, component) {
        (None, None) => Ok(BuildRule::Cargo),
        (None, Some(component)) => Ok(BuildRule::Prebuilt(component)),
        (Some(command), component) => {
            let words: Vec<String> = command.iter().map(|word| word.value.to_owned()).collect();
            let at = table.value("command");
            if words.first().is_none_or(String::is_empty) {
                return Err(table.error(
                    at,
                    "`build.command` is empty; list the program and its arguments, such as [\"make\", \"component\"]",
                ));
            }
            let Some(component) = component else {
                return Err(table.error(
                    at,
                    "`build.command` requires `build.component`, the file that it creates",
                ));
            };
            Ok(BuildRule::Command {
                command: words,
                component,
            })
        }
    }
}

fn python(table: &Table<'_>, module: &Text<'_>) -> Result<PythonRule, ManifestError> {
    for other in ["command", "component"] {
        if let Some(value) = table.value(other) {
            let message = format!("`build.{other}` and `build.python` exclude each other");
            return Err(table.error(Some(value), &message));
        }
    }
    let (path, class) = match module.value.rsplit_once(':') {
        Some((path, class)) => (path, Some(class.to_owned())),
        None => (module.value, None),
    };
    let path = Path::new(path);
    if path.extension().is_none_or(|end| end != "py") || !stays_below(path) {
        return Err(module.error(
            "expected a Python module in this folder, such as \"env.py\" or \"env.py:MyEnvironment\"",
        ));
    }
    let mut bake = Vec::new();
    for member in table.texts("bake")?.unwrap_or_default() {
        if bake.len() >= MAX_LIST {
            return Err(member.error(&format!("more than {MAX_LIST} entries")));
        }
        if member.value.is_empty() || !stays_below(Path::new(member.value)) {
            return Err(member.error(
                "expected files and folders of the data directory, such as \"tasks.json\"",
            ));
        }
        bake.push(member.value.to_owned());
    }
    Ok(PythonRule {
        module: path.to_owned(),
        class,
        bake,
    })
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
            _ => return Err(text.error("expected \"read-only\", \"session\" or \"shared\"")),
        },
    };
    match (written, shared) {
        (_, None) if !is_shared => Ok(DataMode::Session),
        (Some(text), None) => Err(text.error(
            "requires a table [shared] with the folders to publish, such as publish = [\"results/\"]",
        )),
        (_, Some(shared)) if is_shared => publish(&shared).map(DataMode::Shared),
        _ => Err(root.error(
            root.value("shared"),
            "`shared` requires data-mode = \"shared\"",
        )),
    }
}

fn publish(table: &Table<'_>) -> Result<PublishRules, ManifestError> {
    table.only(&["publish", "on-conflict"])?;
    let mut folders = Vec::new();
    for folder in table.texts("publish")?.unwrap_or_default() {
        if folders.len() >= MAX_LIST {
            return Err(folder.error(&format!("more than {MAX_LIST} folders")));
        }
        let path = folder.value.strip_suffix('/').unwrap_or(folder.value);
        let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if !path.split('/').all(is_plain) {
            return Err(
                folder.error("expected folders of the data directory, such as \"results/\"")
            );
        }
        folders.push(path.to_owned());
    }
    if folders.is_empty() {
        return Err(table.error(
            table.value("publish"),
            "`shared.publish` is empty; list the folders to publish, such as [\"results/\"]",
        ));
    }
    let on_conflict = match table.text("on-conflict")? {
        None => OnConflict::default(),
        Some(text) => match text.value {
            "keep" => OnConflict::Keep,
            "replace" => OnConflict::Replace,
            _ => return Err(text.error("expected \"keep\" or \"replace\"")),
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
            _ => Err(text.error("expected \"virtual\" or \"real\"")),
        },
    }
}

/// Reads the seed: a number, or a text, since some tools cannot write large
/// numbers.
fn seed(root: &Table<'_>) -> Result<Option<Seed>, ManifestError> {
    let Some(value) = root.value("seed") else {
        return Ok(None);
    };
    let seed = match value.get_ref() {
        DeValue::String(text) => Seed::parse(text).map_err(|error| error.to_string()),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
            .map(Seed::new)
            .map_err(|_| InvalidSeed.to_string()),
        other => Err(format!("expected a whole number, found {}", kind(other))),
    };
    seed.map(Some)
        .map_err(|message| root.error(Some(value), &format!("`seed`: {message}")))
}

fn limits(root: &Table<'_>) -> Result<LimitOverrides, ManifestError> {
    let mut overrides = LimitOverrides::default();
    let Some(table) = root.table("limits")? else {
        return Ok(overrides);
    };
    let names: Vec<&str> = SessionLimits::SPECS.iter().map(|spec| spec.name).collect();
    table.only(&names)?;
    for limit in SessionLimits::SPECS {
        let Some(value) = table.value(limit.name) else {
            continue;
        };
        let amount = match (value.get_ref(), limit.unit) {
            (DeValue::String(text), _) => limit.parse(text).map_err(|error| error.to_string()),
            // A size may be a plain number of bytes.
            (DeValue::Integer(number), unit @ (LimitUnit::Size | LimitUnit::Count)) => {
                match (u64::from_str_radix(number.as_str(), number.radix()), unit) {
                    (Ok(count), LimitUnit::Count) => limit.check(Amount::Count(count)),
                    (Ok(bytes), _) => limit.check(Amount::Size(ByteSize::bytes(bytes))),
                    (Err(_), _) => Err(LimitError::Count(number.to_string())),
                }
                .map_err(|error| error.to_string())
            }
            (other, unit) => {
                let expected = match unit {
                    LimitUnit::Size => "a size such as \"64MiB\"",
                    LimitUnit::Time => "a time such as \"5s\"",
                    LimitUnit::Count => "a number",
                };
                Err(format!("expected {expected}, found {}", kind(other)))
            }
        };
        match amount {
            Ok(amount) => overrides.set(limit, amount),
            Err(error) => {
                let message = format!("`limits.{}`: {error}", limit.name);
                return Err(table.error(Some(value), &message));
            }
        }
    }
    Ok(overrides)
}

fn secrets(root: &Table<'_>) -> Result<Vec<String>, ManifestError> {
    let mut names: Vec<String> = Vec::new();
    for name in root.texts("secrets")?.unwrap_or_default() {
        if names.len() >= MAX_LIST {
            return Err(name.error(&format!("more than {MAX_LIST} secrets")));
        }
        if name.value.is_empty() {
            return Err(name.error("a name of a secret cannot be empty"));
        }
        if names.iter().any(|other| other == name.value) {
            return Err(name.error(&format!("{:?} occurs twice", name.value)));
        }
        names.push(name.value.to_owned());
    }
    Ok(names)
}

fn network(root: &Table<'_>) -> Result<Vec<Rule>, ManifestError> {
    let Some(table) = root.table("network")? else {
        return Ok(Vec::new());
    };
    table.only(&["allow"])?;
    let mut rules = Vec::new();
    for text in table.texts("allow")?.unwrap_or_default() {
        if rules.len() >= MAX_LIST {
            return Err(text.error(&format!("more than {MAX_LIST} rules")));
        }
        rules.push(Rule::parse(text.value).map_err(|error| text.error(&error.to_string()))?);
    }
    if rules.is_empty() {
        return Err(table.error(
            table.value("allow"),
            "`network.allow` is empty; list what the environment requests, such as [\"https://api.example.com\"]",
        ));
    }
    Ok(rules)
}

fn toolsets(root: &Table<'_>) -> Result<Vec<String>, ManifestError> {
    let mut names: Vec<String> = Vec::new();
    for name in root.texts("toolsets")?.unwrap_or_default() {
        if !TOOLSETS.contains(&name.value) {
            let known = TOOLSETS.join("`, `");
            return Err(name.error(&format!("unknown toolset; expected one of `{known}`")));
        }
        if names.iter().any(|other| other == name.value) {
            return Err(name.error(&format!("{:?} occurs twice", name.value)));
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
            on-conflict = "replace"

            [limits]
            files = 12
            memory = "64MiB"
            result-limit = 2048
            call-cpu = "500ms"
            "#,
        )
        .unwrap();
        let mut limits = LimitOverrides::default();
        for (name, amount) in [
            ("files", "12"),
            ("memory", "64MiB"),
            ("result-limit", "2KiB"),
            ("call-cpu", "500ms"),
        ] {
            let limit = SessionLimits::spec(name).unwrap();
            limits.set(limit, limit.parse(amount).unwrap());
        }
        let (expected, _) = limits.apply(SessionLimits::default());
        let (got, capped) = manifest.limits.apply(SessionLimits::default());
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

    #[test]
    fn lists_are_bounded() {
        let names = |count: usize| {
            let names: Vec<String> = (0..count).map(|number| format!("'n{number}'")).collect();
            names.join(",")
        };
        for list in ["secrets", "data-mode = 'shared'\nshared.publish"] {
            let parsed = |count| {
                let text = format!("name = 'abc'\n{list} = [{}]", names(count));
                Manifest::parse(&text).map_err(|error| error.to_string())
            };
            assert!(parsed(MAX_LIST).is_ok(), "{list}");
            let refused = parsed(MAX_LIST + 1).unwrap_err();
            assert!(refused.contains("more than 256"), "{refused}");
        }
    }

    #[test]
    fn a_name_suffices() {
        let manifest = Manifest::parse("name = 'abc'").unwrap();
        assert_eq!(manifest, Manifest::bare(EnvName::new("abc").unwrap()));
    }

    #[test]
    fn errors_name_the_key_and_the_position() {
        for (text, expected) in [
            (
                "",
                "orwd.toml: `name` is missing; add name = \"…\", the name that clients use",
            ),
            (
                "nmae = 'abc'",
                "orwd.toml:1:1: unknown key `nmae`; did you mean `name`?",
            ),
            (
                "name = 'abc'\nfoo = 1",
                "orwd.toml:2:1: unknown key `foo`; expected `name`, `description`, `version`, `build`, `data`, `data-mode`, `shared`, `clock`, `seed`, `limits`, `secrets`, `network` or `toolsets`",
            ),
            (
                "name = 'abc'\n[limit]\nmemory = 1",
                "orwd.toml:2:2: unknown key `limit`; did you mean `limits`?",
            ),
            (
                "name = 'abc'\n[limits]\n  call_cpu = '1s'",
                "orwd.toml:3:3: unknown key `limits.call_cpu`; did you mean `limits.call-cpu`?",
            ),
            (
                "name = 'abc'\n[build]\ncomand = ['x']",
                "orwd.toml:3:1: unknown key `build.comand`; did you mean `build.command`?",
            ),
            (
                "name = 3",
                "orwd.toml:1:8: `name`: expected a string, found a number",
            ),
            (
                "name = 'ab'",
                "orwd.toml:1:8: `name`: invalid environment name \"ab\": expected 3 to 64 letters, digits, '-' or '_'",
            ),
            (
                "name = 'health'",
                "orwd.toml:1:8: `name`: \"health\" is a route of the protocol and cannot be the name of an environment",
            ),
            (
                "name = 'abc'\ndata = ''",
                "orwd.toml:2:8: `data`: expected the path of a directory",
            ),
            (
                "name = 'abc'\ndata = '/home/me/.ssh'",
                "orwd.toml:2:8: `data`: expected the path of a directory in this folder; the operator can map another one with --data NAME=DIR",
            ),
            (
                "name = 'abc'\ndata = 'a/../../b'",
                "orwd.toml:2:8: `data`: expected the path of a directory in this folder; the operator can map another one with --data NAME=DIR",
            ),
            (
                "name = 'abc'\nbuild.component = '../x.wasm'",
                "orwd.toml:2:19: `build.component`: expected the path of a file in this folder; copy the component into it",
            ),
            (
                "name = 'abc'\ndata-mode = 'rw'",
                "orwd.toml:2:13: `data-mode`: expected \"read-only\", \"session\" or \"shared\"",
            ),
            (
                "name = 'abc'\ndata-mode = 'shared'",
                "orwd.toml:2:13: `data-mode`: requires a table [shared] with the folders to publish, such as publish = [\"results/\"]",
            ),
            (
                "name = 'abc'\ndata-mode = 'read-only'\nshared.publish = ['a']",
                "orwd.toml:3:1: `shared` requires data-mode = \"shared\"",
            ),
            (
                "name = 'abc'\ndata-mode = 'shared'\nshared.publish = ['a/../b']",
                "orwd.toml:3:19: `shared.publish`: expected folders of the data directory, such as \"results/\"",
            ),
            (
                "name = 'abc'\ndata-mode = 'shared'\nshared.publish = []",
                "orwd.toml:3:18: `shared.publish` is empty; list the folders to publish, such as [\"results/\"]",
            ),
            (
                "name = 'abc'\ndata-mode = 'shared'\nshared.publish = ['a']\nshared.on-conflict = 'drop'",
                "orwd.toml:4:22: `shared.on-conflict`: expected \"keep\" or \"replace\"",
            ),
            (
                "name = 'abc'\nclock = 'slow'",
                "orwd.toml:2:9: `clock`: expected \"virtual\" or \"real\"",
            ),
            (
                "name = 'abc'\nseed = -1",
                "orwd.toml:2:8: `seed`: a seed is a whole number from 0 to 18446744073709551615, or the same as 0x and hex digits",
            ),
            (
                "name = 'abc'\nseed = 1.5",
                "orwd.toml:2:8: `seed`: expected a whole number, found a number",
            ),
            (
                "name = 'abc'\nlimits.open-files = '12'\nlimits.files = -1",
                "orwd.toml:3:16: `limits.files`: invalid count \"-1\": expected a whole number",
            ),
            (
                "name = 'abc'\nlimits = 1",
                "orwd.toml:2:10: `limits`: expected a table, found a number",
            ),
            (
                "name = 'abc'\nlimits.memory = true",
                "orwd.toml:2:17: `limits.memory`: expected a size such as \"64MiB\", found true or false",
            ),
            (
                "name = 'abc'\nlimits.memory = -1",
                "orwd.toml:2:17: `limits.memory`: invalid count \"-1\": expected a whole number",
            ),
            (
                "name = 'abc'\nlimits.memory = 1",
                "orwd.toml:2:17: `limits.memory`: 1B is out of range: expected 2MiB to 4GiB",
            ),
            (
                "name = 'abc'\nlimits.call-cpu = 5",
                "orwd.toml:2:19: `limits.call-cpu`: expected a time such as \"5s\", found a number",
            ),
            (
                "name = 'abc'\nlimits.call-cpu = '5'",
                "orwd.toml:2:19: `limits.call-cpu`: a time needs a unit: 5s for seconds, 5ms for milliseconds",
            ),
            (
                "name = 'abc'\nsecrets = 'KEY'",
                "orwd.toml:2:11: `secrets`: expected a list of strings, found a string",
            ),
            (
                "name = 'abc'\nsecrets = ['KEY', 1]",
                "orwd.toml:2:19: `secrets`: expected a list of strings, found a number",
            ),
            (
                "name = 'abc'\ntoolsets = ['codex', 'vim']",
                "orwd.toml:2:22: `toolsets`: unknown toolset; expected one of `backsearch`, `claude-code`, `cli`, `codex`, `gemini-cli`, `hermes`, `openclaw`, `web`",
            ),
            (
                "name = 'abc'\ntoolsets = ['codex', 'codex']",
                "orwd.toml:2:22: `toolsets`: \"codex\" occurs twice",
            ),
            (
                "name = 'abc'\n[network]\nallow = ['https://a.com', 'a.com']",
                "orwd.toml:3:27: `network.allow`: the URL does not begin with http:// or https://; expected a rule such as \"https://api.example.com\", \"https://*.example.com/search\" or \"GET,POST http://127.0.0.1:9009\"",
            ),
            (
                "name = 'abc'\n[network]\nalow = ['https://a.com']",
                "orwd.toml:3:1: unknown key `network.alow`; did you mean `network.allow`?",
            ),
            (
                "name = 'abc'\nnetwork.allow = []",
                "orwd.toml:2:17: `network.allow` is empty; list what the environment requests, such as [\"https://api.example.com\"]",
            ),
            (
                "name = 'abc'\nsecrets = ['KEY', 'KEY']",
                "orwd.toml:2:19: `secrets`: \"KEY\" occurs twice",
            ),
            (
                "name = 'abc'\nbuild.command = []\nbuild.component = 'x'",
                "orwd.toml:2:17: `build.command` is empty; list the program and its arguments, such as [\"make\", \"component\"]",
            ),
            (
                "name = 'abc'\nbuild.command = ['make']",
                "orwd.toml:2:17: `build.command` requires `build.component`, the file that it creates",
            ),
            ("name = 'abc'\nname = 'abd'", "orwd.toml:2:1: duplicate key"),
            (
                "name = abc",
                "orwd.toml:1:8: string values must be quoted, expected literal string",
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
