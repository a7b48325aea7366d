ALTER TABLE namespaces ADD COLUMN rollout_bytes BIGINT NOT NULL DEFAULT 0;

ALTER TABLE runs ADD COLUMN model_name TEXT;

ALTER TABLE runs ADD COLUMN model_params DOUBLE PRECISION;

ALTER TABLE runs ADD COLUMN training_stage TEXT;

UPDATE runs SET
    model_name = CASE WHEN json_type(info, '$.model_name') = 'text' THEN json_extract(info, '$.model_name') END,
    model_params = CASE WHEN json_type(info, '$.model_params') IN ('integer', 'real') THEN json_extract(info, '$.model_params') END,
    training_stage = CASE WHEN json_type(info, '$.training_stage') = 'text' THEN json_extract(info, '$.training_stage') END;

ALTER TABLE rollouts ADD COLUMN is_counted BIGINT NOT NULL DEFAULT 0;

UPDATE rollouts SET is_counted = 1 WHERE EXISTS (
    SELECT 1 FROM environments e WHERE e.id = rollouts.environment_id AND (e.owner = rollouts.owner OR EXISTS (
        SELECT 1 FROM members m WHERE m.organisation = e.owner AND m.member = rollouts.owner)));

UPDATE namespaces SET rollout_bytes =
    COALESCE((SELECT SUM(512 + LENGTH(r.info)) FROM runs r WHERE r.owner = namespaces.name), 0)
    + COALESCE((SELECT SUM(512 + LENGTH(o.metadata) + LENGTH(o.task_spec) + LENGTH(o.info)) FROM rollouts o WHERE o.owner = namespaces.name), 0)
    + COALESCE((SELECT SUM(512 + LENGTH(m.body)) FROM messages m WHERE m.owner = namespaces.name), 0);

DROP INDEX rollouts_by_environment;

CREATE INDEX rollouts_by_task ON rollouts (environment_id, is_counted, split, variant, task_index, response_chars, max_reward, run);

CREATE INDEX rollouts_by_figures ON rollouts (run, max_reward, num_messages);
