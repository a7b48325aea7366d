//! Directories of environments: data and compiled code, and what may be built.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use orwd_model::EnvName;

/// Variables that hold the path of something private.
const PRIVATE_VARIABLES: [&str; 3] = ["ORWD_STATE", "ORWD_API_KEYS", "ORWD_SEAL_KEY_FILE"];

/// Flags for environments.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Environments")]
pub struct EnvironmentFlags {
    /// Directory that an environment sees as /orwd_data, in place of `data` in
    /// its manifest. It may be anywhere, while `data` is below the environment's
    /// folder. With NAME= it is for the environment of this name; without, for
    /// the only environment
    #[arg(long, value_name = "[NAME=]DIR")]
    pub data: Vec<DataMapping>,

    /// Let environments with `data-mode = "shared"` in their manifest publish
    /// files into their data directory
    #[arg(long)]
    pub writable_data: bool,

    /// Directory for compiled code [default: orwd in the user's cache
    /// directory]
    #[arg(long, value_name = "DIR", env = "ORWD_CACHE")]
    pub cache: Option<PathBuf>,

    /// Folder of wheels for WASI, from which a build of a Python environment
    /// fetches those of native packages. Without it, orwd builds them
    #[arg(long, value_name = "URL", env = "ORWD_WHEEL_INDEX")]
    pub wheel_index: Option<String>,
}

/// Flags for what environments may reach.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Environments")]
pub struct NetworkFlags {
    /// What an environment may request by HTTP, of what its manifest asks for with
    /// `[network] allow`. A rule is a URL: a scheme, an exact host or `*.` and a
    /// domain, a port, and a path whose subpaths are allowed too; methods may come
    /// before it, as in `GET,POST https://api.example.com/v1`. `manifest` allows all
    /// that the manifest asks for, except addresses that are not public, which only
    /// a rule here can name. Repeat the flag for more rules
    #[arg(long, value_name = "NAME=RULE|NAME=manifest")]
    pub allow_network: Vec<NetworkMapping>,

    /// Environment whose sessions get the values of secrets although they make
    /// requests, if its manifest asks for that with `secrets-in-guest = true`.
    /// Otherwise they get placeholders, and the host puts the values into headers.
    /// May be repeated
    #[arg(long, value_name = "ENVIRONMENT", value_parser = environment_name)]
    pub secrets_in_guest: Vec<EnvName>,

    /// File of further certificate authorities, in PEM, for requests of
    /// environments over https
    #[arg(long, value_name = "FILE")]
    pub network_ca: Option<PathBuf>,
}

/// Flags for building. A build runs code of the environment's author, outside
/// of any sandbox.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Environments")]
pub struct BuildFlags {
    /// Build environments from their sources first. This runs code of their
    /// authors on this machine, with your rights
    #[arg(long, conflicts_with = "no_build")]
    pub build: bool,

    /// Build nothing, and use the components of the last build
    #[arg(long)]
    pub no_build: bool,
}

/// Which folders with sources are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildMode {
    /// None.
    Never,
    /// Those that this user has created with `orwd new`, and the examples in the
    /// source tree of this program.
    Own,
    /// All.
    All,
}

/// A data directory on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataMapping {
    /// Environment that it is for; the only one if unset.
    pub name: Option<EnvName>,
    /// The directory.
    pub path: PathBuf,
}

/// What an operator allows an environment to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkMapping {
    /// The environment.
    pub name: EnvName,
    /// A rule, or `manifest`.
    pub rule: String,
}

/// Directories of environments, what to build, and what may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Data directories set by flag.
    pub data: Vec<DataMapping>,
    /// Whether environments may publish into their data directory.
    pub writable_data: bool,
    /// What environments may reach.
    pub network: NetworkFlags,
    /// Directory for compiled code.
    pub cache: PathBuf,
    /// The URL from which wheels for WASI are fetched.
    pub wheel_index: Option<String>,
    /// Which components are built first.
    pub build: BuildMode,
    /// Where `orwd new` notes the folders that it creates, if there is a place.
    pub created_folders: Option<PathBuf>,
    /// What is never data: state, cache, and key files.
    pub private: Vec<PathBuf>,
}

/// Neither a flag nor the user's environment sets a cache directory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot find a cache directory (XDG_CACHE_HOME and HOME are unset); pass --cache DIR")]
pub struct NoCacheDirectory;

impl EnvironmentFlags {
    /// Returns the paths, with the user's directories as defaults.
    pub fn resolve(&self, build: BuildMode) -> Result<Paths, NoCacheDirectory> {
        let home = std::env::var_os("HOME");
        let user = |variable: &str, folder: &str| {
            user_dir(std::env::var_os(variable), home.clone(), folder)
        };
        let user_cache = user("XDG_CACHE_HOME", ".cache");
        let config = user("XDG_CONFIG_HOME", ".config");
        let cache = self
            .cache
            .clone()
            .or_else(|| user_cache.clone())
            .ok_or(NoCacheDirectory)?;
        let state = user("XDG_STATE_HOME", ".local/state");
        let set = PRIVATE_VARIABLES.iter().filter_map(std::env::var_os);
        let private = [Some(cache.clone()), user_cache, config.clone(), state];
        Ok(Paths {
            data: self.data.clone(),
            writable_data: self.writable_data,
            network: NetworkFlags::default(),
            cache,
            wheel_index: self.wheel_index.clone(),
            build,
            created_folders: config.map(|config| config.join("created")),
            private: private
                .into_iter()
                .flatten()
                .chain(set.map(PathBuf::from))
                .collect(),
        })
    }
}

impl BuildFlags {
    /// Returns what to build if the flags say nothing else.
    pub fn or(self, default: BuildMode) -> BuildMode {
        match (self.build, self.no_build) {
            (_, true) => BuildMode::Never,
            (true, false) => BuildMode::All,
            (false, false) => default,
        }
    }
}

/// Returns the file in which `orwd new` notes the folders that it creates.
pub fn created_folders() -> Option<PathBuf> {
    let (xdg, home) = (
        std::env::var_os("XDG_CONFIG_HOME"),
        std::env::var_os("HOME"),
    );
    user_dir(xdg, home, ".config").map(|config| config.join("created"))
}

/// Returns `orwd` in a directory of the user. The XDG base directory
/// specification says to ignore a relative path.
pub(crate) fn user_dir(
    xdg: Option<OsString>,
    home: Option<OsString>,
    folder: &str,
) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    xdg.and_then(absolute)
        .or_else(|| home.and_then(absolute).map(|home| home.join(folder)))
        .map(|parent| parent.join("orwd"))
}

impl FromStr for DataMapping {
    type Err = String;

    /// Parses `DIR` or `NAME=DIR`. A directory whose path begins like a name
    /// with `=` is written as `./DIR`.
    fn from_str(text: &str) -> Result<DataMapping, String> {
        let mapping = |name, path: &str| {
            if path.is_empty() {
                return Err("expected the path of a directory".to_owned());
            }
            let path = PathBuf::from(path);
            Ok(DataMapping { name, path })
        };
        match text.split_once('=') {
            Some((name, path)) if !name.contains(['/', '.']) => {
                let name = EnvName::new(name).map_err(|error| error.to_string())?;
                mapping(Some(name), path)
            }
            _ => mapping(None, text),
        }
    }
}

fn environment_name(text: &str) -> Result<EnvName, String> {
    EnvName::new(text).map_err(|error| error.to_string())
}

impl FromStr for NetworkMapping {
    type Err = String;

    fn from_str(text: &str) -> Result<NetworkMapping, String> {
        let Some((name, rule)) = text.split_once('=').filter(|(_, rule)| !rule.is_empty()) else {
            return Err(
                "expected NAME=RULE, such as judge=https://api.example.com, or NAME=manifest"
                    .to_owned(),
            );
        };
        Ok(NetworkMapping {
            name: EnvName::new(name).map_err(|error| error.to_string())?,
            rule: rule.to_owned(),
        })
    }
}

impl fmt::Display for NetworkMapping {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}", self.name, self.rule)
    }
}

impl fmt::Display for DataMapping {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(out, "{name}=")?;
        }
        write!(out, "{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_users_directory() {
        let found = |xdg: Option<&str>, home: Option<&str>| {
            user_dir(xdg.map(OsString::from), home.map(OsString::from), ".cache")
        };
        for (xdg, home, expected) in [
            (Some("/x"), Some("/home/u"), Some("/x/orwd")),
            (
                Some("relative"),
                Some("/home/u"),
                Some("/home/u/.cache/orwd"),
            ),
            (None, Some("/home/u"), Some("/home/u/.cache/orwd")),
            (None, None, None),
        ] {
            assert_eq!(found(xdg, home), expected.map(PathBuf::from));
        }
    }

    #[test]
    fn data_is_mapped_by_name_or_for_the_only_environment() {
        for (text, expected) in [
            ("/data", Ok((None, "/data"))),
            ("gsm8k=/data", Ok((Some("gsm8k"), "/data"))),
            ("gsm8k=~/a=b", Ok((Some("gsm8k"), "~/a=b"))),
            ("./gsm8k=x", Ok((None, "./gsm8k=x"))),
            ("gsm8k=", Err("expected the path of a directory")),
            (
                "a=b",
                Err("invalid environment name \"a\": expected 3 to 64 letters, digits, '-' or '_'"),
            ),
        ] {
            let got = text.parse::<DataMapping>();
            let expected = expected
                .map_err(str::to_owned)
                .map(|(name, path)| DataMapping {
                    name: name.map(|name: &str| EnvName::new(name).unwrap()),
                    path: PathBuf::from(path),
                });
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn a_build_flag_decides_before_the_default() {
        for (build, no_build, expected) in [
            (false, false, BuildMode::Own),
            (true, false, BuildMode::All),
            (false, true, BuildMode::Never),
        ] {
            let flags = BuildFlags { build, no_build };
            assert_eq!(flags.or(BuildMode::Own), expected);
        }
    }
}
