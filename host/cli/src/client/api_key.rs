//! The API key that a command sends.

use std::path::PathBuf;

use clap::Args;
use hyper::header::HeaderValue;
use zeroize::Zeroizing;

use crate::console::CommandError;

/// Environment variable with the API key for a server.
const KEY_VARIABLE: &str = "ORWD_API_KEY";

/// Flag for the API key. The key itself is not a flag, since every user of the
/// machine can read command lines.
#[derive(Args, Debug, Default)]
pub(crate) struct ApiKeyFlags {
    /// File with the API key for the server [default: the key in ORWD_API_KEY,
    /// if set]
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
}

impl ApiKeyFlags {
    /// Reads the API key; `None` if there is none.
    pub(crate) fn read(&self) -> Result<Option<HeaderValue>, CommandError> {
        let (key, source) = match &self.api_key_file {
            Some(path) => {
                let source = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| CommandError::new(format!("cannot read {source}: {error}")))?;
                (Zeroizing::new(text), source)
            }
            None => match std::env::var(KEY_VARIABLE) {
                Ok(text) if !text.is_empty() => (Zeroizing::new(text), KEY_VARIABLE.to_owned()),
                _ => return Ok(None),
            },
        };
        let value = Some(key.trim()).filter(|key| !key.is_empty());
        let mut value = value
            .and_then(|key| HeaderValue::from_str(key).ok())
            .ok_or_else(|| {
                CommandError::new(format!("{source} has no API key; expected one line"))
            })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}
