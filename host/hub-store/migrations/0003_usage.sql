CREATE TABLE usage (
    environment TEXT NOT NULL REFERENCES environments (id),
    kind TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (environment, kind)
);

CREATE TABLE contents (
    environment TEXT NOT NULL REFERENCES environments (id),
    digest TEXT NOT NULL,
    size BIGINT NOT NULL,
    PRIMARY KEY (environment, digest)
);

CREATE INDEX contents_by_digest ON contents (digest);

INSERT INTO contents (environment, digest, size)
    SELECT environment, digest, MAX(size) FROM files GROUP BY environment, digest;

INSERT INTO usage (environment, kind, bytes)
    SELECT environment, 'files', SUM(512 + size) FROM contents GROUP BY environment;

UPDATE usage SET bytes = bytes + (SELECT 512 * COUNT(*) FROM files f WHERE f.environment = usage.environment);

CREATE INDEX files_by_content ON files (environment, digest);

CREATE INDEX sessions_by_deployment ON sessions (deployment, generation);

ALTER TABLE sessions ADD COLUMN used_at TEXT;

UPDATE sessions SET used_at = created_at;

CREATE INDEX sessions_by_use ON sessions (used_at);

CREATE INDEX environments_by_owner ON environments (owner);

ALTER TABLE deployments ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;

CREATE INDEX deployments_by_bytes ON deployments (environment, bytes);
