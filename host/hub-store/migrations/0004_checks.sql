CREATE TABLE checks (
    name TEXT PRIMARY KEY,
    checked_at TEXT NOT NULL
);
