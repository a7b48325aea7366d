ALTER TABLE environments ADD COLUMN deleted_at TEXT;

ALTER TABLE environments ADD COLUMN remove_at TEXT;

CREATE INDEX environments_by_removal ON environments (remove_at);

CREATE TABLE former_names (
    owner TEXT NOT NULL REFERENCES namespaces (name),
    name_key TEXT NOT NULL,
    name TEXT NOT NULL,
    environment TEXT NOT NULL REFERENCES environments (id),
    PRIMARY KEY (owner, name_key)
);

CREATE INDEX former_names_by_environment ON former_names (environment);

CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    created_at TEXT NOT NULL,
    owner TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL
);

CREATE INDEX audit_by_owner ON audit (owner, number);
