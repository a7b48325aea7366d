//! `orwd build`: builds an environment's component.

use std::path::PathBuf;

use clap::Args;
use orwd_catalog::build::{self, BuildJob};
use orwd_catalog::manifest::{FILE_NAME, Manifest};

use crate::console::{CommandError, CommandStatus, terminal};

/// Build the component of an environment, and print its path, size and digest
///
/// The environment is a folder with orwd.toml. A folder with Cargo.toml is
/// built by cargo; Rust's target wasm32-wasip2 is added if it is missing. Other
/// folders are built by the command in [build] of orwd.toml.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd build                   build the environment in this folder
  orwd build examples/counter")]
pub(crate) struct Build {
    /// Folder of the environment
    #[arg(default_value = ".")]
    path: PathBuf,
}

impl Build {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let folder = self.path;
        let error = |message: String| CommandError::new(format!("{}: {message}", folder.display()));
        if !folder.is_dir() {
            return Err(error("no such folder".to_owned()));
        }
        if !folder.join(FILE_NAME).exists() {
            return Err(error(format!(
                "not an environment, since it has no {FILE_NAME}; create one with `orwd new NAME`"
            )));
        }
        let manifest = Manifest::read(&folder).map_err(|error| {
            CommandError::new(folder.join(error.to_string()).display().to_string())
        })?;
        let job = BuildJob {
            folder: &folder,
            manifest: &manifest,
        };
        let built =
            build::build(job, &terminal::note).map_err(|reason| error(reason.to_string()))?;
        terminal::print(&format!(
            "component  {}\nsize       {} bytes\ndigest     {}\n",
            built.component.display(),
            built.size,
            built.digest
        ))?;
        Ok(CommandStatus::Success)
    }
}
