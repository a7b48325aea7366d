//! `open`.

use std::process::{Command, Stdio};

use clap::Args;

use super::api::{reference, segment, site};
use crate::console::{CommandError, terminal};

/// The variable that names the browser.
const BROWSER: &str = "BROWSER";

/// The program that opens an address in the user's browser.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

/// Open the page of an environment in the browser
///
/// Prints the address, and opens it with the program that BROWSER names, else with that
/// of the desktop.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd open alice/my-env
  orwd open --print")]
pub(crate) struct Open {
    /// Environment: owner/name [default: the catalogue]
    environment: Option<String>,

    /// Only print the address
    #[arg(long)]
    print: bool,
}

impl Open {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let mut address = site()?.trim_end_matches('/').to_owned();
        // Another program reads it as an address and as nothing else.
        if !address.starts_with("http://") && !address.starts_with("https://") {
            return Err(CommandError::usage(format!(
                "{address:?} is not the address of a platform; it begins with http:// or https://"
            )));
        }
        address.push('/');
        if let Some(environment) = &self.environment {
            let (owner, name) = reference(environment)?;
            address.push_str(&format!("{}/{}", segment(owner), segment(name)));
        }
        terminal::print(&format!("{address}\n"))?;
        if self.print {
            return Ok(());
        }
        let program = std::env::var_os(BROWSER).filter(|program| !program.is_empty());
        let program = program.unwrap_or_else(|| OPENER.into());
        let name = program.to_string_lossy().into_owned();
        let status = Command::new(program)
            .arg(&address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ => Err(CommandError::new(format!(
                "cannot open the address with {name}; set {BROWSER} to your browser, or open the \
                 address yourself"
            ))),
        }
    }
}
