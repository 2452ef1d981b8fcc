-- What the files say, side by side with what it is in the MES: one table for each kind of record, gone at the end of
-- the transaction. The same columns begin each of them:
--   n        order of the files; file, line, ref: where it stands, and what its document calls it
--   given    its UUID in the file, or one that follows from the file's; stated: the file says it
--   uuid     its UUID in the MES, once that is known
--   state    'found' in the MES, 'new', or 'twin': it was named before, by the row `lead`
--   outcome  what the report says; message: why. Rows with 'conflicting' or 'unmatched' are left out.

CREATE TEMP TABLE qif_document (
    file int PRIMARY KEY, qpid uuid NOT NULL, file_name text NOT NULL, digest bytea NOT NULL, scope text,
    application text, created_at timestamptz, has_results boolean NOT NULL DEFAULT false
) ON COMMIT DROP;

CREATE TEMP TABLE qif_part (
    n bigint NOT NULL, file int NOT NULL, line int NOT NULL, ref text NOT NULL, label text NOT NULL,
    given uuid, stated boolean NOT NULL, uuid uuid, state text, lead bigint, outcome text, message text, key text,
    said json, number text, name text, revision text, description text
) ON COMMIT DROP;

CREATE TEMP TABLE qif_order (
    n bigint NOT NULL, file int NOT NULL, line int NOT NULL, ref text NOT NULL, label text NOT NULL,
    given uuid, stated boolean NOT NULL, uuid uuid, state text, lead bigint, outcome text, message text, key text,
    said json, number text, part_ref text, part_uuid uuid
) ON COMMIT DROP;

CREATE TEMP TABLE qif_serial (
    n bigint NOT NULL, file int NOT NULL, line int NOT NULL, ref text NOT NULL, label text NOT NULL,
    given uuid, stated boolean NOT NULL, uuid uuid, state text, lead bigint, outcome text, message text, key text,
    said json, serial text, lot text, lot_uuid uuid, part_ref text, part_uuid uuid
) ON COMMIT DROP;

CREATE TEMP TABLE qif_plan (
    n bigint NOT NULL, file int NOT NULL, line int NOT NULL, ref text NOT NULL, label text NOT NULL,
    given uuid, stated boolean NOT NULL, uuid uuid, state text, lead bigint, outcome text, message text, key text,
    said json, number text, version text, name text, part_ref text, part_uuid uuid
) ON COMMIT DROP;

CREATE TEMP TABLE qif_characteristic (
    n bigint NOT NULL, file int NOT NULL, line int NOT NULL, ref text NOT NULL, label text NOT NULL,
    given uuid, stated boolean NOT NULL, uuid uuid, state text, lead bigint, outcome text, message text, key text,
    said json, plan_n bigint NOT NULL, plan_uuid uuid, number bigint, name text, kind text, balloon text,
    nominal numeric, upper numeric, lower numeric, unit text, factor numeric, quantity text, judged boolean NOT NULL,
    ratio numeric, mes_factor numeric, filled text[] NOT NULL DEFAULT '{}'
) ON COMMIT DROP;

CREATE TEMP TABLE qif_results (
    n bigint NOT NULL, file int NOT NULL, line int NOT NULL, position int NOT NULL, uuid uuid NOT NULL,
    plan uuid, order_ref text, actual_ref text, own boolean NOT NULL, at timestamp, said json NOT NULL
) ON COMMIT DROP;

CREATE TEMP TABLE qif_result (
    n bigint NOT NULL, file int NOT NULL, line int NOT NULL, position int NOT NULL, results_n bigint NOT NULL,
    given uuid NOT NULL, stated boolean NOT NULL, key text, item_file int, item_document uuid, item_ref text NOT NULL,
    actual_ref text, value numeric, factor numeric, quantity text, status text, device text, operator text,
    at timestamp, said json, attribute boolean NOT NULL, outcome text, message text
) ON COMMIT DROP;
