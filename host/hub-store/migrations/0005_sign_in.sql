CREATE TABLE browser_sessions (
    hash TEXT PRIMARY KEY,
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    created_at TEXT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE INDEX browser_sessions_by_namespace ON browser_sessions (namespace);

CREATE INDEX browser_sessions_by_end ON browser_sessions (expires);

CREATE INDEX sessions_by_version ON sessions (principal, deployment, generation);

CREATE TABLE invitations (
    member TEXT PRIMARY KEY REFERENCES namespaces (name),
    hash TEXT NOT NULL UNIQUE,
    expires BIGINT NOT NULL
);
