//! Names that the protocol defines.

/// First path segments that the protocol uses itself. No environment can have
/// one of these names, because requests could not reach it (wire contract
/// section 2).
pub const RESERVED_PATHS: [&str; 12] = [
    "health",
    "version",
    "ping",
    "list_environments",
    "create",
    "delete",
    "create_session",
    "delete_session",
    "openapi.json",
    "docs",
    "redoc",
    "orwd",
];

/// Toolsets that a client may request in addition to an environment's tools,
/// sorted by name. All need a sandbox. Any other name is not a toolset (wire
/// contract section 5).
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
