-- Dotpeen's own tables. Every object a DBA meets carries a comment.

GRANT USAGE ON SCHEMA dotpeen TO PUBLIC; -- defaults and trigger functions run with the rights of whoever inserts
COMMENT ON SCHEMA dotpeen IS 'Permanent UUIDs: state, journal, ledger. The tables here are Dotpeen''s; look, do not write.';

CREATE TABLE dotpeen.entity (
    name         text PRIMARY KEY,
    table_schema text NOT NULL,
    table_name   text NOT NULL,
    column_name  text NOT NULL,
    storage      text NOT NULL CHECK (storage IN ('column', 'sidecar')),
    stage        text CHECK (stage IN ('expand', 'backfill', 'index', 'enforce', 'verify')),
    before       jsonb NOT NULL,
    rows_before  bigint,
    inserted_before bigint,
    deleted_before  bigint,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    verified_at  timestamptz
);
COMMENT ON TABLE dotpeen.entity IS 'One row per entity under migration.';
COMMENT ON COLUMN dotpeen.entity.stage IS 'The last stage completed.';
COMMENT ON COLUMN dotpeen.entity.before IS 'What the table had before the first step: column, default, not_null, unique.';

CREATE TABLE dotpeen.backfill (
    entity     text NOT NULL REFERENCES dotpeen.entity (name) ON DELETE CASCADE,
    unit       text NOT NULL,
    position   int NOT NULL,
    pass       int NOT NULL DEFAULT 1,
    cursor     jsonb,
    upper      jsonb,
    exhausted  boolean NOT NULL DEFAULT false,
    rows_total bigint NOT NULL,
    rows_todo  bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at timestamptz,
    PRIMARY KEY (entity, unit)
);
COMMENT ON TABLE dotpeen.backfill IS 'The backfill of each table (or leaf partition): how far ranges have been handed out.';
COMMENT ON COLUMN dotpeen.backfill.cursor IS 'Primary key below or at which every range was handed out; null: none yet.';
COMMENT ON COLUMN dotpeen.backfill.upper IS 'Largest primary key when the pass began; later rows have their UUID from the start.';

CREATE TABLE dotpeen.backfill_range (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity   text NOT NULL,
    unit     text NOT NULL,
    lower    jsonb,
    upper    jsonb NOT NULL,
    stripe   int NOT NULL DEFAULT 0,
    attempts int NOT NULL DEFAULT 0,
    retry_at timestamptz,
    FOREIGN KEY (entity, unit) REFERENCES dotpeen.backfill (entity, unit) ON DELETE CASCADE
);
CREATE INDEX backfill_range_open ON dotpeen.backfill_range (entity, id);
COMMENT ON TABLE dotpeen.backfill_range IS 'Ranges being worked on; a finished one is deleted in the transaction that finishes it.';

CREATE TABLE dotpeen.worker (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity      text NOT NULL,
    name        text NOT NULL,
    backend_pid int NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    seen_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    ended_at    timestamptz,
    rows        bigint NOT NULL DEFAULT 0,
    batches     bigint NOT NULL DEFAULT 0,
    batch_rows  int NOT NULL DEFAULT 0,
    rate        double precision NOT NULL DEFAULT 0,
    waiting_for text
);
CREATE INDEX worker_entity ON dotpeen.worker (entity);
COMMENT ON TABLE dotpeen.worker IS 'Who is or was at work on a backfill, and how fast.';

CREATE TABLE dotpeen.control (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    paused_at  timestamptz,
    paused_by  text,
    stopped_at timestamptz,
    stopped_by text
);
INSERT INTO dotpeen.control DEFAULT VALUES;
COMMENT ON TABLE dotpeen.control IS 'What was asked of all workers: paused while paused_at is set; those started before stopped_at end.';

CREATE TABLE dotpeen.journal (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    role      text NOT NULL DEFAULT current_user,
    actor     text NOT NULL,
    entity    text,
    stage     text,
    action    text NOT NULL,
    sql       text,
    outcome   text NOT NULL CHECK (outcome IN ('done', 'failed', 'noted')),
    seconds   double precision,
    lock      text,
    lock_wait_seconds double precision,
    lock_held_seconds double precision,
    attempts  int,
    rows      bigint,
    detail    jsonb
);
COMMENT ON TABLE dotpeen.journal IS 'Everything that ran: what, when, by whom, how long, lock wait and hold, rows.';

CREATE TABLE dotpeen.issued (
    entity      text NOT NULL,
    key         text COLLATE "C" NOT NULL,
    uuid        uuid NOT NULL,
    current     boolean NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (entity, uuid)
);
CREATE UNIQUE INDEX issued_current ON dotpeen.issued (entity, key) WHERE current;
COMMENT ON TABLE dotpeen.issued IS 'UUIDs that were issued and then taken off their table (rolled back, or the record deleted); never deleted.';
COMMENT ON COLUMN dotpeen.issued.current IS 'The UUID that the record with this key gets back when the entity is migrated again.';

CREATE TABLE dotpeen.identity (
    entity    text NOT NULL,
    key       text COLLATE "C" NOT NULL,
    uuid      uuid NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT pg_catalog.now()
) PARTITION BY LIST (entity);
COMMENT ON TABLE dotpeen.identity IS 'UUIDs of entities with sidecar storage; one partition per entity.';

CREATE FUNCTION dotpeen.refuse_uuid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the UUID of a % record is permanent: % can not become %', TG_ARGV[0],
        pg_catalog.to_jsonb(OLD) ->> TG_ARGV[1], coalesce(pg_catalog.to_jsonb(NEW) ->> TG_ARGV[1], 'NULL')
        USING ERRCODE = 'integrity_constraint_violation',
              HINT = pg_catalog.format('Leave column %I out of the UPDATE. Where a UUID really is wrong: '
                                       'dotpeen migrate guard off %s --reason "..."', TG_ARGV[1], TG_ARGV[0]),
              SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = TG_ARGV[1];
END
$$;

-- RFC 9562 5.7: 48 bits of Unix milliseconds, then random bits; for servers older than 18, which have uuidv7().
CREATE FUNCTION dotpeen.uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT pg_catalog.encode(
        pg_catalog.set_bit(pg_catalog.set_bit(
            overlay(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) PLACING
                substring(pg_catalog.int8send((extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid
$$;

-- SHA-1 (FIPS 180-4), which PostgreSQL itself lacks: pgcrypto's where it is installed, else this one.
CREATE FUNCTION dotpeen.sha1(message bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    mask CONSTANT bigint := 4294967295;
    padded bytea;
    block int;
    t int;
    w bigint[];
    x bigint;
    f bigint;
    k bigint;
    a bigint; b bigint; c bigint; d bigint; e bigint;
    h0 bigint := 1732584193; h1 bigint := 4023233417; h2 bigint := 2562383102; h3 bigint := 271733878;
    h4 bigint := 3285377520;
BEGIN
    padded := message || '\x80'::bytea
        || pg_catalog.decode(pg_catalog.repeat('00', (119 - pg_catalog.length(message) % 64) % 64), 'hex')
        || pg_catalog.int8send(pg_catalog.length(message)::bigint * 8);
    FOR block IN 0 .. pg_catalog.length(padded) / 64 - 1 LOOP
        w := '{}';
        FOR t IN 0 .. 15 LOOP
            w[t] := (pg_catalog.get_byte(padded, block * 64 + t * 4)::bigint << 24)
                  | (pg_catalog.get_byte(padded, block * 64 + t * 4 + 1) << 16)
                  | (pg_catalog.get_byte(padded, block * 64 + t * 4 + 2) << 8)
                  | pg_catalog.get_byte(padded, block * 64 + t * 4 + 3);
        END LOOP;
        FOR t IN 16 .. 79 LOOP
            x := w[t - 3] # w[t - 8] # w[t - 14] # w[t - 16];
            w[t] := ((x << 1) | (x >> 31)) & mask;
        END LOOP;
        a := h0; b := h1; c := h2; d := h3; e := h4;
        FOR t IN 0 .. 79 LOOP
            IF t < 20 THEN
                f := (b & c) | ((b # mask) & d); k := 1518500249;
            ELSIF t < 40 THEN
                f := b # c # d; k := 1859775393;
            ELSIF t < 60 THEN
                f := (b & c) | (b & d) | (c & d); k := 2400959708;
            ELSE
                f := b # c # d; k := 3395469782;
            END IF;
            x := ((((a << 5) | (a >> 27)) & mask) + f + e + k + w[t]) & mask;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & mask; b := a; a := x;
        END LOOP;
        h0 := (h0 + a) & mask; h1 := (h1 + b) & mask; h2 := (h2 + c) & mask; h3 := (h3 + d) & mask;
        h4 := (h4 + e) & mask;
    END LOOP;
    RETURN pg_catalog.substring(pg_catalog.int8send(h0), 5) || pg_catalog.substring(pg_catalog.int8send(h1), 5)
        || pg_catalog.substring(pg_catalog.int8send(h2), 5) || pg_catalog.substring(pg_catalog.int8send(h3), 5)
        || pg_catalog.substring(pg_catalog.int8send(h4), 5);
END
$$;

DO $$
DECLARE
    home text := (SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
                   WHERE e.extname = 'pgcrypto');
BEGIN
    IF home IS NOT NULL THEN
        EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION dotpeen.sha1(message bytea) RETURNS bytea LANGUAGE sql '
            'IMMUTABLE STRICT PARALLEL SAFE AS $f$ SELECT %I.digest(message, ''sha1'') $f$', home);
    END IF;
END
$$;

-- RFC 9562 5.5: SHA-1 of the namespace's bytes and the name in UTF-8.
CREATE FUNCTION dotpeen.uuid_v5(namespace uuid, name text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT pg_catalog.encode(
        pg_catalog.set_byte(pg_catalog.set_byte(h, 6, (pg_catalog.get_byte(h, 6) & 15) | 80),
                            8, (pg_catalog.get_byte(h, 8) & 63) | 128), 'hex')::uuid
      FROM (SELECT pg_catalog.substring(
                dotpeen.sha1(pg_catalog.uuid_send(namespace) || pg_catalog.convert_to(name, 'UTF8')), 1, 16) AS h) AS s
$$;

-- Where default privileges keep functions from PUBLIC: these are called by the defaults and triggers of the tables.
GRANT EXECUTE ON FUNCTION dotpeen.uuid_v7(), dotpeen.sha1(bytea), dotpeen.uuid_v5(uuid, text) TO PUBLIC;

CREATE VIEW dotpeen.progress AS
SELECT e.name AS entity,
       e.storage,
       coalesce(e.stage, 'registered') AS stage,
       b.rows_total,
       CASE WHEN b.finished THEN b.rows_todo ELSE least(w.rows, b.rows_todo) END AS rows_done,
       b.rows_todo,
       CASE WHEN b.finished OR b.rows_todo = 0 THEN 100.0
            ELSE least(round(100.0 * w.rows / b.rows_todo, 1), 99.9) END AS percent,
       CASE WHEN NOT b.finished THEN round(w.rate::numeric, 0) END AS rows_per_second,
       CASE WHEN NOT b.finished AND w.rate > 0
            THEN pg_catalog.make_interval(secs => round(greatest(b.rows_todo - w.rows, 0) / w.rate)) END AS eta,
       w.batch_rows,
       coalesce(w.workers, 0) AS workers,
       CASE WHEN NOT b.finished AND c.paused_at IS NOT NULL THEN 'paused by ' || c.paused_by
            ELSE w.waiting_for END AS waiting_for,
       b.started_at,
       b.finished_at
  FROM dotpeen.entity AS e
  CROSS JOIN dotpeen.control AS c
  LEFT JOIN LATERAL (
        SELECT sum(rows_total)::bigint AS rows_total, sum(rows_todo)::bigint AS rows_todo,
               bool_and(finished_at IS NOT NULL) AS finished, min(started_at) AS started_at, max(finished_at) AS finished_at
          FROM dotpeen.backfill WHERE backfill.entity = e.name HAVING count(*) > 0) AS b ON true
  LEFT JOIN LATERAL (
        SELECT coalesce(sum(rows), 0)::bigint AS rows,
               coalesce(sum(rate) FILTER (WHERE alive), 0) AS rate,
               max(batch_rows) FILTER (WHERE alive) AS batch_rows,
               count(*) FILTER (WHERE alive) AS workers,
               string_agg(DISTINCT waiting_for, '; ') FILTER (WHERE alive) AS waiting_for
          FROM (SELECT k.*, k.ended_at IS NULL AND k.seen_at > pg_catalog.clock_timestamp() - interval '30 seconds' AS alive
                  FROM dotpeen.worker AS k WHERE k.entity = e.name AND k.started_at >= b.started_at) AS s) AS w ON true;
COMMENT ON VIEW dotpeen.progress IS 'How far each entity is: SELECT * FROM dotpeen.progress; \watch 5';
