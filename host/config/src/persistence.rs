//! What outlives the server, and where it is stored.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use orwd_model::{Digest, Durability, TimeSpan};

use crate::paths::user_dir;

/// Flags for the journal and for hibernation.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Persistence")]
pub struct PersistenceFlags {
    /// State directory: the journal and the components of its sessions. One
    /// server at a time uses it [default: a directory of the served PATHs below
    /// orwd in the user's state directory]
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    pub state: Option<PathBuf>,

    /// What a result has survived when the client gets it
    #[arg(long, value_name = "LEVEL", value_parser = durability_levels(), default_value_t = Durability::Process)]
    pub durability: Durability,

    /// File with the key that seals clients' secrets in the journal: 64
    /// hexadecimal digits. Without a key, sessions with secrets end with the
    /// server [default: the key in ORWD_SEAL_KEY, if set]
    #[arg(long, value_name = "FILE", env = "ORWD_SEAL_KEY_FILE")]
    pub seal_key: Option<PathBuf>,

    /// Idle time after which a session hibernates: it leaves the memory until
    /// its next request resumes it. With `never`, no session hibernates or is
    /// evicted, and a server with --max-sessions sessions gives 503
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub hibernate_after: HibernateAfter,
}

/// Idle time after which a session hibernates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HibernateAfter {
    /// After this idle time.
    Idle(TimeSpan),
    /// Never.
    Never,
}

/// What is persisted, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistenceConfig {
    /// State directory; `None` if nothing is persisted.
    pub state: Option<PathBuf>,
    /// Whether the state directory is the default one of what is served.
    pub default_state: bool,
    /// Level of durability.
    pub durability: Durability,
    /// File of the key that seals secrets.
    pub seal_key: Option<PathBuf>,
    /// Idle time before hibernation; `None` means never.
    pub hibernate_after: Option<Duration>,
}

/// Neither a flag nor the user's environment sets a state directory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot find a state directory (XDG_STATE_HOME and HOME are unset); pass --state DIR or --durability none"
)]
pub struct NoStateDirectory;

impl PersistenceConfig {
    /// Returns the configuration in which nothing is persisted.
    pub fn disabled() -> PersistenceConfig {
        PersistenceConfig {
            state: None,
            default_state: false,
            durability: Durability::None,
            seal_key: None,
            hibernate_after: None,
        }
    }
}

impl PersistenceFlags {
    /// Returns the configuration for a server of these paths. What is served has
    /// its own default state directory, at whatever address it is served: a
    /// session belongs to its environment.
    pub fn resolve(&self, served: &[PathBuf]) -> Result<PersistenceConfig, NoStateDirectory> {
        if self.durability == Durability::None {
            return Ok(PersistenceConfig::disabled());
        }
        let state = match &self.state {
            Some(state) => state.clone(),
            None => {
                let (xdg, home) = (std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"));
                user_state(xdg, home, served).ok_or(NoStateDirectory)?
            }
        };
        Ok(PersistenceConfig {
            state: Some(state),
            default_state: self.state.is_none(),
            durability: self.durability,
            seal_key: self.seal_key.clone(),
            hibernate_after: self.hibernate_after.get(),
        })
    }
}

/// Returns the default state directory: the name of the first path, and a hash
/// of all, in any order.
fn user_state(
    xdg: Option<OsString>,
    home: Option<OsString>,
    served: &[PathBuf],
) -> Option<PathBuf> {
    let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let paths: Vec<PathBuf> = served.iter().map(real).collect();
    let mut sorted: Vec<&[u8]> = paths
        .iter()
        .map(|path| path.as_os_str().as_encoded_bytes())
        .collect();
    sorted.sort_unstable();
    sorted.dedup();
    let hash = Digest::of(&sorted.join(&0)).hex();
    let first = paths.first().and_then(|path| path.file_stem());
    let name = label(first.map(Path::new).unwrap_or(Path::new("")));
    let hash = hash.get(..12).unwrap_or(&hash);
    user_dir(xdg, home, ".local/state").map(|state| state.join(format!("{name}-{hash}")))
}

/// Returns a file name for people to recognise a path by.
fn label(path: &Path) -> String {
    let text = path.to_string_lossy();
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = text.chars().filter(|c| fit(*c)).take(32).collect();
    if name.is_empty() {
        "environments".to_owned()
    } else {
        name
    }
}

impl HibernateAfter {
    /// Returns the idle time; `None` means never.
    pub fn get(self) -> Option<Duration> {
        match self {
            HibernateAfter::Idle(time) => Some(time.get()),
            HibernateAfter::Never => None,
        }
    }
}

impl FromStr for HibernateAfter {
    type Err = String;

    fn from_str(text: &str) -> Result<HibernateAfter, String> {
        match text {
            "never" => Ok(HibernateAfter::Never),
            text => between(text, "100ms", "720h").map(HibernateAfter::Idle),
        }
    }
}

impl fmt::Display for HibernateAfter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HibernateAfter::Idle(time) => time.fmt(out),
            HibernateAfter::Never => out.write_str("never"),
        }
    }
}

fn durability_levels() -> impl TypedValueParser<Value = Durability> {
    let levels =
        Durability::ALL.map(|level| PossibleValue::new(level.as_str()).help(level.description()));
    PossibleValuesParser::new(levels).try_map(|text| text.parse::<Durability>())
}

/// Parses a value and checks that it is in range.
fn between<T>(text: &str, min: &str, max: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + fmt::Display,
    T::Err: fmt::Display,
{
    let read = |text: &str| text.parse::<T>().map_err(|error| error.to_string());
    let value = read(text)?;
    if read(min)? <= value && value <= read(max)? {
        Ok(value)
    } else {
        Err(format!("{value} is out of range: expected {min} to {max}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_follows_what_is_served() {
        let found = |xdg: Option<&str>, home: Option<&str>, served: &[&str]| {
            let served: Vec<PathBuf> = served.iter().map(PathBuf::from).collect();
            user_state(xdg.map(OsString::from), home.map(OsString::from), &served)
        };
        let one = found(Some("/x"), None, &["/no/my env.wasm"]).unwrap();
        let name = one.strip_prefix("/x/orwd").unwrap().to_str().unwrap();
        assert!(name.starts_with("myenv-") && name.len() == 18, "{name}");
        let home = found(None, Some("/u"), &["/no/such"]).unwrap();
        assert!(home.starts_with("/u/.local/state/orwd"));
        assert_eq!(found(Some("x"), None, &["/no/such"]), None);
        // Order and repetition do not matter, the set does.
        let name = |served: &[&str]| {
            let path = found(Some("/x"), None, served).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            name.rsplit_once('-').unwrap().1.to_owned()
        };
        assert_eq!(
            name(&["/no/a", "/no/b"]),
            name(&["/no/b", "/no/a", "/no/b"])
        );
        assert_ne!(name(&["/no/a", "/no/b"]), name(&["/no/a"]));
    }

    #[test]
    fn hibernation_has_a_range_and_an_end() {
        for (text, expected) in [
            ("never", "never"),
            ("5m", "5m"),
            ("1ms", "1ms is out of range: expected 100ms to 720h"),
        ] {
            let got = text.parse::<HibernateAfter>();
            let got = got.map_or_else(|error| error, |after| after.to_string());
            assert_eq!(got, expected);
        }
    }
}
