//! Names that the protocol keeps for itself.

/// First segments of paths that no environment can have, because it could not
/// be reached (wire contract section 2).
pub const RESERVED: [&str; 12] = [
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
