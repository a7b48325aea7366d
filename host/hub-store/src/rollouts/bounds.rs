//! What a client may keep of runs and rollouts.

use serde::Serialize;

use crate::error::HubStoreError;

/// Bytes of a name or an id.
const MAX_NAME: usize = 1024;

/// Bytes of each JSON value that describes a run or a rollout. Listings show
/// them whole.
pub(super) const MAX_DESCRIPTION: usize = 64 << 10;

/// Bytes by which a row is charged beside its texts: its index entries, names and
/// numbers.
const ROW: i64 = 512;

/// Checks a name or an id that must be given.
pub(super) fn check_name(what: &str, text: &str) -> Result<(), HubStoreError> {
    if text.is_empty() || text.len() > MAX_NAME {
        return Err(HubStoreError::Invalid(format!(
            "{what} must have 1 to {MAX_NAME} bytes"
        )));
    }
    Ok(())
}

/// Checks a name that may be absent or empty.
pub(super) fn check_optional(what: &str, text: Option<&String>) -> Result<(), HubStoreError> {
    match text {
        Some(text) if !text.is_empty() => check_name(what, text),
        _ => Ok(()),
    }
}

/// Returns the text of a JSON value, unless it is too large to be kept.
pub(super) fn description(
    what: &str,
    value: Option<&impl Serialize>,
) -> Result<String, HubStoreError> {
    let text = json(&value)?;
    if text.len() > MAX_DESCRIPTION {
        return Err(HubStoreError::TooLarge(format!(
            "{what} has {} bytes as JSON; at most {MAX_DESCRIPTION} are kept; log large content as \
             messages",
            text.len()
        )));
    }
    Ok(text)
}

/// Returns the text of a JSON value.
pub(super) fn json(value: &impl Serialize) -> Result<String, HubStoreError> {
    serde_json::to_string(value).map_err(|error| HubStoreError::Failed(error.to_string()))
}

/// Returns the bytes by which a row with these texts is charged.
pub(super) fn charge(texts: &[&str]) -> i64 {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    ROW.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX))
}
