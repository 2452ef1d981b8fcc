-- What QIF documents said and the columns of the MES can't hold. Owned by the QIF plugin of Dotpeen.

COMMENT ON SCHEMA dotpeen_qif IS 'QIF documents that were imported, and what of them the MES has no column for. The tables are the QIF plugin''s; look, do not write.';

CREATE TABLE dotpeen_qif.document (
    qpid        uuid PRIMARY KEY,
    file_name   text NOT NULL,
    digest      bytea NOT NULL,
    scope       text,
    application text,
    created_at  timestamptz,
    imported_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE dotpeen_qif.document IS 'QIF documents that were imported, by their QPId.';
COMMENT ON COLUMN dotpeen_qif.document.digest IS 'SHA-256 of the file as it was last imported.';
COMMENT ON COLUMN dotpeen_qif.document.created_at IS 'When its author made it, as it says itself.';

CREATE TABLE dotpeen_qif.mention (
    uuid     uuid NOT NULL,
    document uuid NOT NULL REFERENCES dotpeen_qif.document (qpid) ON DELETE CASCADE,
    role     text NOT NULL,
    entity   text NOT NULL,
    local_id text NOT NULL,
    PRIMARY KEY (document, role, local_id, uuid)
);
CREATE INDEX mention_uuid ON dotpeen_qif.mention (uuid);
COMMENT ON TABLE dotpeen_qif.mention IS 'Which records a document speaks of: parts, plans, characteristics, measured parts, orders. Measurements are found by what they measure.';
COMMENT ON COLUMN dotpeen_qif.mention.uuid IS 'The persistent UUID of the record.';
COMMENT ON COLUMN dotpeen_qif.mention.role IS 'What it is to the document: part, plan, characteristic, serial, order.';
COMMENT ON COLUMN dotpeen_qif.mention.local_id IS 'What the record is called inside the document: later documents refer to it by this.';

CREATE TABLE dotpeen_qif.kept (
    uuid   uuid PRIMARY KEY,
    entity text NOT NULL,
    said   json NOT NULL,
    held   jsonb NOT NULL
);
COMMENT ON TABLE dotpeen_qif.kept IS 'Of parts, plans, characteristics and measured parts: what the document said, word for word and digit for digit.';
COMMENT ON COLUMN dotpeen_qif.kept.said IS 'Of type json: attributes keep their order.';
COMMENT ON COLUMN dotpeen_qif.kept.held IS 'What the columns of the MES held after the import. Where they hold something else by now, the MES goes before the document.';

CREATE TABLE dotpeen_qif.results (
    uuid       uuid PRIMARY KEY,
    document   uuid NOT NULL REFERENCES dotpeen_qif.document (qpid) ON DELETE CASCADE,
    position   int NOT NULL,
    plan       uuid,
    part       uuid,
    actual     uuid,
    work_order uuid,
    said       json NOT NULL
);
CREATE INDEX results_document ON dotpeen_qif.results (document, position);
CREATE INDEX results_part ON dotpeen_qif.results (part) WHERE part IS NOT NULL;
CREATE INDEX results_plan ON dotpeen_qif.results (plan) WHERE plan IS NOT NULL;
CREATE INDEX results_actual ON dotpeen_qif.results (actual) WHERE actual IS NOT NULL;
COMMENT ON TABLE dotpeen_qif.results IS 'Sets of results as their authors put them together (MeasurementResults).';
COMMENT ON COLUMN dotpeen_qif.results.actual IS 'The part that was measured, where it is one for the whole set.';

CREATE TABLE dotpeen_qif.measurement (
    uuid           uuid PRIMARY KEY,
    results        uuid NOT NULL REFERENCES dotpeen_qif.results (uuid) ON DELETE CASCADE,
    position       int NOT NULL,
    characteristic uuid NOT NULL,
    actual         uuid,
    recorded       boolean NOT NULL,
    said           json,
    held           jsonb
);
CREATE INDEX measurement_results ON dotpeen_qif.measurement (results, position);
COMMENT ON TABLE dotpeen_qif.measurement IS 'To which set of results a measurement belongs, and what of it the MES has no column for.';
COMMENT ON COLUMN dotpeen_qif.measurement.recorded IS 'The MES has a record of it; without, nothing was measured and it is kept here alone.';
