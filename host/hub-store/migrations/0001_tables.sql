CREATE TABLE namespaces (
    name TEXT PRIMARY KEY,
    name_key TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    password TEXT,
    is_admin BIGINT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE members (
    organisation TEXT NOT NULL REFERENCES namespaces (name),
    member TEXT NOT NULL REFERENCES namespaces (name),
    role TEXT NOT NULL,
    PRIMARY KEY (organisation, member)
);

CREATE TABLE api_keys (
    hash TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (namespace, name)
);

CREATE TABLE environments (
    id TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    owner TEXT NOT NULL REFERENCES namespaces (name),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    description TEXT NOT NULL,
    search_key TEXT NOT NULL,
    is_private BIGINT NOT NULL,
    cpu_count DOUBLE PRECISION NOT NULL,
    mem_gb DOUBLE PRECISION NOT NULL,
    min_scale BIGINT NOT NULL,
    max_scale BIGINT NOT NULL,
    max_concurrency BIGINT NOT NULL,
    arxiv_url TEXT,
    external_github_url TEXT,
    external_hf_url TEXT,
    repository TEXT REFERENCES environments (id),
    subdirectory TEXT,
    deployed_commit TEXT,
    served TEXT,
    generation BIGINT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (owner, name_key)
);

CREATE INDEX environments_by_repository ON environments (repository);

CREATE TABLE deployments (
    id TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    environment TEXT NOT NULL REFERENCES environments (id),
    status TEXT NOT NULL,
    source TEXT NOT NULL,
    branch TEXT NOT NULL,
    commit_sha TEXT NOT NULL,
    subdirectory TEXT,
    created_by TEXT NOT NULL,
    digest TEXT,
    variants TEXT NOT NULL,
    secrets TEXT NOT NULL,
    error TEXT,
    log TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE INDEX deployments_by_environment ON deployments (environment, number);

CREATE INDEX deployments_by_status ON deployments (status, number);

CREATE TABLE runtime_log (
    deployment TEXT NOT NULL REFERENCES deployments (id),
    number BIGINT NOT NULL,
    created_at TEXT NOT NULL,
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (deployment, number)
);

CREATE TABLE files (
    environment TEXT NOT NULL REFERENCES environments (id),
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    size BIGINT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (environment, path)
);

CREATE INDEX files_by_digest ON files (digest);

CREATE TABLE sessions (
    principal TEXT NOT NULL,
    id TEXT NOT NULL,
    deployment TEXT NOT NULL REFERENCES deployments (id),
    generation BIGINT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (principal, id)
);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    search_key TEXT NOT NULL,
    info TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (owner, name)
);

CREATE TABLE rollouts (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    number BIGINT NOT NULL UNIQUE,
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT,
    environment TEXT,
    environment_id TEXT,
    variant TEXT,
    split TEXT,
    metadata TEXT NOT NULL,
    task_spec TEXT NOT NULL,
    info TEXT NOT NULL,
    task_index BIGINT,
    num_messages BIGINT NOT NULL,
    response_chars BIGINT NOT NULL,
    max_reward DOUBLE PRECISION,
    created_at TEXT NOT NULL,
    PRIMARY KEY (owner, id)
);

CREATE INDEX rollouts_by_run ON rollouts (run, number);

CREATE INDEX rollouts_by_environment ON rollouts (environment_id);

CREATE TABLE messages (
    owner TEXT NOT NULL,
    rollout TEXT NOT NULL,
    id TEXT NOT NULL,
    position BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (owner, rollout, id)
);
