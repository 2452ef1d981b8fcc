-- The session and the procedures of exported scripts; script.py reads the blocks by name. Everything here lives in
-- the session (pg_temp, settings) and is gone with it. The settings dotpeen.* are made by script.py.

-- name: settings
DO $dotpeen$
DECLARE
    setting record;
BEGIN
    FOR setting IN
        SELECT * FROM (VALUES
            -- Keys travel as text: one representation, whatever the server's defaults.
            ('timezone', 'UTC'), ('datestyle', 'ISO, YMD'), ('intervalstyle', 'postgres'), ('extra_float_digits', '1'),
            -- Every name in this script is qualified.
            ('search_path', 'pg_catalog'),
            -- A batch reads its range by the primary key, whatever the statistics say.
            ('enable_seqscan', 'off'), ('jit', 'off'),
            ('statement_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
            -- In a deadlock this session is the one that gives way. Needs superuser or a grant.
            ('deadlock_timeout', '50ms')) AS s (name, value)
    LOOP
        PERFORM pg_catalog.set_config('dotpeen.saved_' || setting.name, pg_catalog.current_setting(setting.name), false);
        BEGIN
            PERFORM pg_catalog.set_config(setting.name, setting.value, false);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
    END LOOP;
END
$dotpeen$

-- name: restore
DO $dotpeen$
DECLARE
    setting text;
BEGIN
    FOREACH setting IN ARRAY ARRAY['timezone', 'datestyle', 'intervalstyle', 'extra_float_digits', 'enable_seqscan',
        'jit', 'statement_timeout', 'idle_in_transaction_session_timeout', 'deadlock_timeout', 'search_path']
    LOOP
        BEGIN
            PERFORM pg_catalog.set_config(setting, pg_catalog.current_setting('dotpeen.saved_' || setting), false);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
    END LOOP;
    PERFORM pg_catalog.set_config('lock_timeout', '0', false);
END
$dotpeen$

-- name: lock
CREATE OR REPLACE PROCEDURE pg_temp.dotpeen_lock(table_name text, lock_mode text, parent_alone boolean DEFAULT false)
LANGUAGE plpgsql AS $procedure$
-- Take a table lock without making the plant wait: short attempts with pauses, in which nobody queues behind us.
DECLARE
    began timestamptz := clock_timestamp();
    pause double precision := 0.2;
    holders text;
BEGIN
    PERFORM set_config('lock_timeout', current_setting('dotpeen.lock_timeout'), true);
    LOOP
        BEGIN
            EXECUTE format('LOCK TABLE %s %s IN %s MODE', CASE WHEN parent_alone THEN 'ONLY' ELSE '' END, table_name, lock_mode);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            NULL;
        END;
        SELECT string_agg(DISTINCT format('pid %s (%s, %s)', a.pid, a.usename, a.state), '; ') INTO holders
          FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
         WHERE l.relation = table_name::regclass AND l.granted AND l.pid <> pg_backend_pid();
        IF clock_timestamp() - began > current_setting('dotpeen.lock_patience')::interval THEN
            RAISE EXCEPTION 'no lock on % after %; held by %', table_name, current_setting('dotpeen.lock_patience'),
                coalesce(holders, 'nobody any more')
                USING ERRCODE = 'lock_not_available', HINT = 'Run the script again when it is free: it goes on from here.';
        END IF;
        RAISE NOTICE 'lock on %: next attempt in % s; held by %', table_name, round(pause::numeric, 1), holders;
        PERFORM pg_sleep(pause * (0.5 + random()));
        pause := least(pause * 2, 10);
    END LOOP;
END
$procedure$

-- name: fill
CREATE OR REPLACE PROCEDURE pg_temp.dotpeen_fill(
    entity_name text, unit_name text, place int, stripes int,
    count_rows text, largest text, key_after text, fill text, fill_unlocked text, missing text
)
LANGUAGE plpgsql AS $procedure$
-- Fill one table in primary-key ranges, a COMMIT after each. How far it came is in dotpeen.backfill, in the same
-- transaction: killed and run again it goes on, and `dotpeen migrate up` goes on from there as well.
DECLARE
    known dotpeen.backfill%ROWTYPE;
    total bigint;
    todo bigint;
    bound jsonb;
    next_key jsonb;
    at_end boolean;
    batch bigint := 1000;
    filled bigint;
    worker_id bigint;
    began timestamptz;
    started timestamptz := clock_timestamp();
    slowest double precision;
    wanted double precision := extract(epoch FROM current_setting('dotpeen.batch_target')::interval);
    left_over text;
    rounds int := 0;
    first_round_ended timestamptz;
BEGIN
    SELECT b.* INTO known FROM dotpeen.backfill AS b WHERE b.entity = entity_name AND b.unit = unit_name;
    IF NOT FOUND THEN
        EXECUTE count_rows INTO total, todo;
        -- A row inserted from now on has its UUID from the start: nothing beyond this bound needs filling.
        EXECUTE largest INTO bound;
        INSERT INTO dotpeen.backfill (entity, unit, position, upper, exhausted, rows_total, rows_todo)
        VALUES (entity_name, unit_name, place, bound, bound IS NULL, total, greatest(todo, 0));
    ELSIF known.finished_at IS NOT NULL THEN
        RETURN;
    END IF;
    INSERT INTO dotpeen.worker (entity, name, backend_pid) VALUES (entity_name, 'exported script', pg_backend_pid())
    RETURNING id INTO worker_id;
    COMMIT;
    LOOP
        LOOP
            WHILE EXISTS (SELECT FROM dotpeen.control AS c WHERE c.paused_at IS NOT NULL) LOOP
                COMMIT;
                PERFORM pg_sleep(0.2);
            END LOOP;
            IF EXISTS (SELECT FROM dotpeen.control AS c WHERE c.stopped_at > started) THEN
                RAISE EXCEPTION '%: asked to stop; every batch so far is committed', entity_name;
            END IF;
            SELECT b.* INTO known FROM dotpeen.backfill AS b WHERE b.entity = entity_name AND b.unit = unit_name;
            EXIT WHEN known.exhausted;
            EXECUTE key_after INTO next_key USING known.cursor, known.upper, batch * stripes - 1;
            at_end := next_key IS NULL;
            next_key := coalesce(next_key, known.upper);
            slowest := 0.001;
            FOR stripe IN 0 .. stripes - 1 LOOP
                began := clock_timestamp();
                BEGIN
                    -- Striped passes leave room on each page for updates in place; the last takes what is left.
                    EXECUTE CASE WHEN stripe < stripes - 1
                                 THEN format('%s AND get_byte(tidsend(t.ctid), 5) %% %s = %s', fill, stripes, stripe)
                                 ELSE fill END
                      USING known.cursor, next_key;
                    GET DIAGNOSTICS filled = ROW_COUNT;
                EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                    -- Rows that others have locked are left for another round.
                    EXECUTE fill_unlocked USING known.cursor, next_key;
                    GET DIAGNOSTICS filled = ROW_COUNT;
                END;
                IF stripe = stripes - 1 THEN
                    UPDATE dotpeen.backfill AS b SET cursor = next_key, exhausted = at_end
                     WHERE b.entity = entity_name AND b.unit = unit_name;
                END IF;
                UPDATE dotpeen.worker AS w
                   SET rows = w.rows + filled, batches = w.batches + 1, batch_rows = batch,
                       seen_at = clock_timestamp(),
                       rate = (w.rows + filled) / greatest(extract(epoch FROM clock_timestamp() - w.started_at), 0.001)
                 WHERE w.id = worker_id;
                COMMIT;
                slowest := greatest(slowest, extract(epoch FROM clock_timestamp() - began));
            END LOOP;
            batch := least(greatest((batch * least(greatest(wanted / slowest, 0.5), 1.5))::bigint,
                current_setting('dotpeen.batch_min')::bigint), current_setting('dotpeen.batch_max')::bigint);
            PERFORM pg_sleep(extract(epoch FROM current_setting('dotpeen.batch_pause')::interval));
        END LOOP;
        left_over := NULL;
        EXECUTE missing INTO left_over;
        EXIT WHEN left_over IS NULL;
        rounds := rounds + 1;
        first_round_ended := coalesce(first_round_ended, clock_timestamp());
        IF rounds >= 12 AND clock_timestamp() - first_round_ended > current_setting('dotpeen.lock_patience')::interval THEN
            RAISE EXCEPTION '%: rows of % are still without a UUID after % rounds, such as %', entity_name, unit_name,
                rounds, left_over USING HINT = 'Another session keeps them locked, a trigger empties the column again, '
                'or row security hides them from this role.';
        END IF;
        EXECUTE largest INTO bound;
        UPDATE dotpeen.backfill AS b SET pass = b.pass + 1, cursor = NULL, upper = bound, exhausted = bound IS NULL
         WHERE b.entity = entity_name AND b.unit = unit_name;
        COMMIT;
        PERFORM pg_sleep(least(rounds, 5));
    END LOOP;
    DELETE FROM dotpeen.backfill_range AS r WHERE r.entity = entity_name AND r.unit = unit_name;
    UPDATE dotpeen.backfill AS b SET finished_at = clock_timestamp() WHERE b.entity = entity_name AND b.unit = unit_name;
    UPDATE dotpeen.worker AS w SET ended_at = clock_timestamp() WHERE w.id = worker_id;
    COMMIT;
END
$procedure$

-- name: keep
CREATE OR REPLACE PROCEDURE pg_temp.dotpeen_keep(largest text, key_after text, retire text, copy text)
LANGUAGE plpgsql AS $procedure$
-- Bring a ledger of schema dotpeen up to date with one table, or the table with it, a COMMIT after each range.
DECLARE
    reached jsonb;
    bound jsonb;
    next_key jsonb;
    copied boolean;
BEGIN
    EXECUTE largest INTO bound;
    WHILE bound IS NOT NULL AND reached IS DISTINCT FROM bound LOOP
        EXECUTE key_after INTO next_key USING reached, bound, 4999;
        next_key := coalesce(next_key, bound);
        BEGIN
            EXECUTE retire USING reached, next_key;
            EXECUTE copy USING reached, next_key;
            copied := true;
        EXCEPTION WHEN unique_violation OR deadlock_detected OR lock_not_available THEN
            -- The capture trigger wrote one of these keys in between, or a row is locked: again.
            copied := false;
        END;
        COMMIT;
        IF copied THEN
            reached := next_key;
        ELSE
            PERFORM pg_sleep(0.05);
        END IF;
    END LOOP;
END
$procedure$
