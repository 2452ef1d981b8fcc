-- Which STEP files are revisions of which parts, and every UUID in them. Owned by the STEP plugin of Dotpeen.

COMMENT ON SCHEMA dotpeen_step IS 'STEP files that were linked to parts, and the UUIDs in them. The tables are the STEP plugin''s; look, do not write.';

CREATE TABLE dotpeen_step.file (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256             bytea NOT NULL UNIQUE CHECK (pg_catalog.length(sha256) = 32),
    name               text NOT NULL,
    size               bigint NOT NULL,
    protocol           text,
    edition            smallint,
    schemas            text[] NOT NULL,
    originating_system text NOT NULL,
    written_at         text NOT NULL,
    items              int,
    seen_at            timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE dotpeen_step.file IS 'STEP files that were linked, by their content.';
COMMENT ON COLUMN dotpeen_step.file.name IS 'As it was called when it was first linked, without its folder.';
COMMENT ON COLUMN dotpeen_step.file.written_at IS 'The time stamp in its header (ISO 10303-21 8.2.3), word for word.';
COMMENT ON COLUMN dotpeen_step.file.items IS 'Rows of table item; none while no part is linked to it.';

CREATE TABLE dotpeen_step.link (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    part             uuid NOT NULL,
    file             bigint REFERENCES dotpeen_step.file (id),
    revision_uuid    uuid,
    product          bigint,
    product_id       text,
    product_name     text,
    product_revision text,
    matched_by       text NOT NULL,
    linked_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    linked_by        text NOT NULL,
    current_at       timestamptz,
    unlinked_at      timestamptz,
    unlinked_by      text,
    CHECK (file IS NOT NULL OR revision_uuid IS NOT NULL)
);
CREATE UNIQUE INDEX link_part_file ON dotpeen_step.link (part, file) WHERE unlinked_at IS NULL AND file IS NOT NULL;
CREATE UNIQUE INDEX link_part_uuid ON dotpeen_step.link (part, revision_uuid) WHERE unlinked_at IS NULL AND file IS NULL;
CREATE INDEX link_part ON dotpeen_step.link (part, linked_at);
CREATE INDEX link_time ON dotpeen_step.link (linked_at);
CREATE INDEX link_revision ON dotpeen_step.link (revision_uuid) WHERE unlinked_at IS NULL AND revision_uuid IS NOT NULL;
CREATE INDEX link_file ON dotpeen_step.link (file) WHERE unlinked_at IS NULL;
COMMENT ON TABLE dotpeen_step.link IS 'Which revision of a CAD model is one of which part. Rows stay: what was unlinked says when and by whom.';
COMMENT ON COLUMN dotpeen_step.link.part IS 'The persistent UUID of the part.';
COMMENT ON COLUMN dotpeen_step.link.revision_uuid IS 'The UUID that the file gives this revision of the product; none where it has none.';
COMMENT ON COLUMN dotpeen_step.link.product IS 'Instance name of the PRODUCT in the file.';
COMMENT ON COLUMN dotpeen_step.link.matched_by IS 'What told that it is this part: persistent-uuid, linked-uuid, part-number, or said by who linked it.';
COMMENT ON COLUMN dotpeen_step.link.current_at IS 'When it became the current revision, the latest of a part being it; none for one that was older when it came.';

CREATE TABLE dotpeen_step.item (
    uuid    uuid NOT NULL,
    file    bigint NOT NULL REFERENCES dotpeen_step.file (id) ON DELETE CASCADE,
    product bigint,
    target  bigint,
    carrier text NOT NULL,
    kind    text NOT NULL,
    keyword text NOT NULL,
    name    text NOT NULL
);
CREATE INDEX item_uuid ON dotpeen_step.item (uuid);
CREATE INDEX item_file ON dotpeen_step.item (file);
COMMENT ON TABLE dotpeen_step.item IS 'Every UUID in a linked file and what it identifies there.';
COMMENT ON COLUMN dotpeen_step.item.product IS 'Instance name of the PRODUCT that it belongs to; none where that is not told.';
COMMENT ON COLUMN dotpeen_step.item.target IS 'Instance name of what it identifies.';
COMMENT ON COLUMN dotpeen_step.item.kind IS 'product, pmi, topology, geometry or other.';
