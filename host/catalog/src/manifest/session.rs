//! What a manifest says of its sessions: data, clock, seed, limits, secrets and
//! toolsets.

use toml::de::DeValue;

use orwd_config::LimitOverrides;
use orwd_model::{
    Amount, ByteSize, ClockMode, DataMode, InvalidSeed, LimitError, LimitSet, LimitUnit,
    OnConflict, PublishRules, Seed, SessionLimits, TOOLSETS,
};

use super::error::ManifestError;
use super::table::{MAX_LIST, Table, kind};

pub(super) fn mode(root: &Table<'_>) -> Result<DataMode, ManifestError> {
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

pub(super) fn clock(root: &Table<'_>) -> Result<ClockMode, ManifestError> {
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
pub(super) fn seed(root: &Table<'_>) -> Result<Option<Seed>, ManifestError> {
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

pub(super) fn limits(root: &Table<'_>) -> Result<LimitOverrides, ManifestError> {
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

pub(super) fn secrets(root: &Table<'_>) -> Result<Vec<String>, ManifestError> {
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

pub(super) fn toolsets(root: &Table<'_>) -> Result<Vec<String>, ManifestError> {
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
