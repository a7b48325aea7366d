//! Data modes: where a session's writes to `/orwd_data` go.

use serde::{Deserialize, Serialize};

/// Where a session's writes go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataMode {
    /// Writes are refused.
    ReadOnly,
    /// Writes go to the session's own layer and are discarded when it ends.
    /// Records leave this mode out, since most sessions have it.
    #[default]
    #[serde(skip)]
    Session,
    /// Some files are published into the data directory when the session ends.
    Shared(PublishRules),
}

/// The files to publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishRules {
    /// The folders whose files are published, relative to the data directory.
    pub folders: Vec<String>,
    /// What happens to a file that exists already.
    #[serde(rename = "replace")]
    pub on_conflict: OnConflict,
}

/// What happens to a published file that exists already. Records say whether it
/// is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum OnConflict {
    /// The existing file stays, and the session's is discarded.
    #[default]
    Keep,
    /// The session's file replaces it.
    Replace,
}

impl From<bool> for OnConflict {
    fn from(replace: bool) -> OnConflict {
        if replace {
            OnConflict::Replace
        } else {
            OnConflict::Keep
        }
    }
}

impl From<OnConflict> for bool {
    fn from(on_conflict: OnConflict) -> bool {
        on_conflict == OnConflict::Replace
    }
}

impl DataMode {
    /// Returns the name of the mode.
    pub fn as_str(&self) -> &'static str {
        match self {
            DataMode::ReadOnly => "read-only",
            DataMode::Session => "session",
            DataMode::Shared(_) => "shared",
        }
    }

    /// Whether this is the default mode.
    pub fn is_session(&self) -> bool {
        *self == DataMode::Session
    }

    /// Whether files are published at the end.
    pub fn publishes(&self) -> bool {
        matches!(self, DataMode::Shared(_))
    }

    /// Returns the mode of a session that was created in this mode, when its
    /// environment now allows `allowed`. The guest observes no difference; files
    /// that may no longer be published are discarded.
    pub fn within(&self, allowed: &DataMode) -> DataMode {
        match self {
            DataMode::Shared(_) if !allowed.publishes() => DataMode::Session,
            mode => mode.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_its_mode_unless_publishing_is_no_longer_allowed() {
        let shared = |folder: &str| {
            DataMode::Shared(PublishRules {
                folders: vec![folder.to_owned()],
                on_conflict: OnConflict::Keep,
            })
        };
        for (created, allowed, resumed) in [
            (DataMode::ReadOnly, DataMode::Session, DataMode::ReadOnly),
            (DataMode::Session, DataMode::ReadOnly, DataMode::Session),
            (DataMode::Session, shared("a"), DataMode::Session),
            (shared("a"), DataMode::Session, DataMode::Session),
            (shared("a"), shared("b"), shared("a")),
        ] {
            assert_eq!(created.within(&allowed), resumed);
        }
    }
}
