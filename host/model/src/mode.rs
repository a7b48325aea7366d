//! What becomes of what a session writes.

/// What becomes of what a guest writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: it is refused.
    ReadOnly,
    /// It is the session's alone and goes with it.
    #[default]
    Session,
    /// Some of it goes into the data directory when the session ends.
    Shared(Publish),
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The folders whose files are, relative to the data directory.
    pub folders: Vec<String>,
    /// What becomes of a file that is there already.
    pub existing: Existing,
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the session's is dropped.
    #[default]
    Keep,
    /// The session's takes its place.
    Replace,
}

impl Mode {
    /// The mode in a word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Mode::ReadOnly => "read-only",
            Mode::Session => "session",
            Mode::Shared(_) => "shared",
        }
    }

    /// Whether others may see in the end what was written.
    pub fn publishes(&self) -> bool {
        matches!(self, Mode::Shared(_))
    }

    /// The mode of a session that began in this one where `allowed` is what its
    /// environment has now. For the guest it is the same; what may not be
    /// published any more stays with the session.
    pub fn within(&self, allowed: &Mode) -> Mode {
        match self {
            Mode::Shared(_) if !allowed.publishes() => Mode::Session,
            mode => mode.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_its_mode_but_for_publishing_that_is_not_allowed() {
        let shared = |folder: &str| {
            Mode::Shared(Publish {
                folders: vec![folder.to_owned()],
                existing: Existing::Keep,
            })
        };
        for (began, allowed, goes_on) in [
            (Mode::ReadOnly, Mode::Session, Mode::ReadOnly),
            (Mode::Session, Mode::ReadOnly, Mode::Session),
            (Mode::Session, shared("a"), Mode::Session),
            (shared("a"), Mode::Session, Mode::Session),
            (shared("a"), shared("b"), shared("a")),
        ] {
            assert_eq!(began.within(&allowed), goes_on);
        }
    }
}
