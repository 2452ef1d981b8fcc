-- External references: what other systems call the records. Dotpeen's own role reads and writes them.

CREATE TABLE dotpeen.external_reference (
    entity      text NOT NULL,
    name        text NOT NULL,
    plugin      text NOT NULL,
    column_name text NOT NULL,
    type        text NOT NULL CHECK (type IN ('text', 'uuid')),
    storage     text NOT NULL CHECK (storage IN ('column', 'sidecar')),
    before      jsonb NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (entity, name)
);
COMMENT ON TABLE dotpeen.external_reference IS 'One row per external reference that a plugin contributed and a migration made or adopted.';
COMMENT ON COLUMN dotpeen.external_reference.storage IS 'A column of the entity''s table, or external_value where the table may not be altered.';
COMMENT ON COLUMN dotpeen.external_reference.before IS 'What the table had before: column, unique.';

CREATE TABLE dotpeen.external_value (
    entity text NOT NULL,
    name   text NOT NULL,
    key    text COLLATE "C" NOT NULL,
    value  text COLLATE "C" NOT NULL,
    set_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (entity, key, name),
    CONSTRAINT external_value_once UNIQUE (entity, name, value)
);
COMMENT ON TABLE dotpeen.external_value IS 'External references of records whose table may not be altered, by the key that dotpeen.identity has.';

CREATE TABLE dotpeen.external_kept (
    entity  text NOT NULL,
    name    text NOT NULL,
    key     text COLLATE "C" NOT NULL,
    value   text NOT NULL,
    current boolean NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (entity, key, name)
);
CREATE INDEX external_kept_current ON dotpeen.external_kept (entity, name) WHERE current;
COMMENT ON TABLE dotpeen.external_kept IS 'External references that were taken off their table when it was rolled back; never deleted.';
COMMENT ON COLUMN dotpeen.external_kept.current IS 'The record with this key gets it back when the entity is migrated again.';

CREATE FUNCTION dotpeen.follow_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM dotpeen.external_value AS v WHERE v.entity = OLD.entity AND v.key = OLD.key;
    ELSE
        UPDATE dotpeen.external_value AS v SET key = NEW.key WHERE v.entity = OLD.entity AND v.key = OLD.key;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION dotpeen.follow_identity() IS 'Takes the external references of a record along when its identity gets another key or is retired.';

-- Whatever the default privileges of the database are.
REVOKE ALL ON dotpeen.external_reference, dotpeen.external_value, dotpeen.external_kept FROM PUBLIC;
REVOKE ALL ON FUNCTION dotpeen.follow_identity() FROM PUBLIC;
