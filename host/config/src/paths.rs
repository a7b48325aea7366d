//! Directories of environments: data and compiled code.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// Flags for environments.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Environments")]
pub struct EnvironmentFlags {
    /// Directory that the environment sees as /orwd_data, in place of `data` in
    /// its manifest; for one environment only
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Let environments with `data-mode = "shared"` in their manifest publish
    /// files into their data directory
    #[arg(long)]
    pub writable_data: bool,

    /// Directory for compiled code [default: orwd in the user's cache
    /// directory]
    #[arg(long, value_name = "DIR", env = "ORWD_CACHE")]
    pub cache: Option<PathBuf>,

    /// Use the components of the last build, and build nothing
    #[arg(long)]
    pub no_build: bool,
}

/// Directories of environments, and whether to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Data directory of the only environment, if set by flag.
    pub data: Option<PathBuf>,
    /// Whether environments may publish into their data directory.
    pub writable_data: bool,
    /// Directory for compiled code.
    pub cache: PathBuf,
    /// Whether components are built first.
    pub build: bool,
}

/// Neither a flag nor the user's environment sets a cache directory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot find a cache directory (XDG_CACHE_HOME and HOME are unset); pass --cache DIR")]
pub struct NoCacheDirectory;

impl EnvironmentFlags {
    /// Returns the paths, with the user's cache directory as the default.
    pub fn resolve(&self) -> Result<Paths, NoCacheDirectory> {
        let cache = match &self.cache {
            Some(cache) => cache.clone(),
            None => user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
                .ok_or(NoCacheDirectory)?,
        };
        Ok(Paths {
            data: self.data.clone(),
            writable_data: self.writable_data,
            cache,
            build: !self.no_build,
        })
    }
}

/// Returns `orwd` in the user's cache directory. The XDG base directory
/// specification says to ignore a relative path.
fn user_cache(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    xdg.and_then(absolute)
        .or_else(|| home.and_then(absolute).map(|home| home.join(".cache")))
        .map(|cache| cache.join("orwd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_cache_directory() {
        let found = |xdg: Option<&str>, home: Option<&str>| {
            user_cache(xdg.map(OsString::from), home.map(OsString::from))
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
}
