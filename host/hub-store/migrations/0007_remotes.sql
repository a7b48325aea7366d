CREATE TABLE remotes (
    environment TEXT PRIMARY KEY REFERENCES environments (id),
    url TEXT NOT NULL,
    webhook TEXT NOT NULL,
    branch TEXT,
    commit_sha TEXT,
    check_at TEXT NOT NULL,
    checked_at TEXT,
    failures BIGINT NOT NULL,
    problem TEXT
);

CREATE INDEX remotes_by_check ON remotes (check_at);
