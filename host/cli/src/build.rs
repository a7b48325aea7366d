//! `orwd build`: makes an environment's component.

use std::path::PathBuf;

use clap::Args;

use super::{Ending, Failure, terminal};
use orwd_catalog::build::{self, Job};
use orwd_catalog::manifest::{FILE_NAME, Manifest};

/// Make the component of an environment, and tell where it is
///
/// The environment is a folder with orwd.toml. A folder with Cargo.toml is
/// built by cargo, for which Rust's target wasm32-wasip2 is added when it is
/// missing; another by the command under [build] in its orwd.toml.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd build                   build the environment in this folder
  orwd build examples/counter")]
pub(super) struct Build {
    /// The environment's folder
    #[arg(default_value = ".")]
    path: PathBuf,
}

impl Build {
    pub(super) fn run(self) -> Result<Ending, Failure> {
        let folder = self.path;
        let wrong = |message: String| Failure::new(format!("{}: {message}", folder.display()));
        if !folder.is_dir() {
            return Err(wrong("there is no such folder".to_owned()));
        }
        if !folder.join(FILE_NAME).exists() {
            return Err(wrong(format!(
                "there is no {FILE_NAME}, so this is no environment; `orwd new NAME` makes one"
            )));
        }
        let manifest =
            Manifest::read(&folder).map_err(|error| wrong(format!("{FILE_NAME}: {error}")))?;
        let job = Job {
            folder: &folder,
            manifest: &manifest,
        };
        let built = build::build(job, &terminal::note).map_err(|error| wrong(error.to_string()))?;
        terminal::print(&format!(
            "component  {}\nsize       {} bytes\ndigest     {}\n",
            built.component.display(),
            built.size,
            built.digest
        ))?;
        Ok(Ending::Fine)
    }
}
