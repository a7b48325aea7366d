//! The toolsets that a client may ask for on top of an environment's tools.

/// Their names, sorted. All need a sandbox; any other name is no toolset
/// (wire contract section 5).
pub const TOOLSETS: [&str; 8] = [
    "backsearch",
    "claude-code",
    "cli",
    "codex",
    "gemini-cli",
    "hermes",
    "openclaw",
    "web",
];
