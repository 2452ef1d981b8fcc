-- What the audit trail says of many at once: the records of a page or a batch, and refusals that were summed up.

ALTER TABLE dotpeen.audit ADD requests int NOT NULL DEFAULT 1;
COMMENT ON COLUMN dotpeen.audit.requests IS 'How many requests this entry stands for: refusals (403, 429) that come fast are summed up.';

-- Beside the trail: an index over it would have to be built while nobody can write to it.
CREATE TABLE dotpeen.audit_given (
    entry uuid PRIMARY KEY,
    uuids uuid[] NOT NULL
);
-- Without a list of what is pending: whoever fills it up would wait for all of it.
CREATE INDEX audit_given_uuids ON dotpeen.audit_given USING gin (uuids) WITH (fastupdate = off);
COMMENT ON TABLE dotpeen.audit_given IS 'The records that one answer gave away, where it was a page or a batch.';
COMMENT ON COLUMN dotpeen.audit_given.entry IS 'The id of the entry in dotpeen.audit.';

REVOKE ALL ON dotpeen.audit_given FROM PUBLIC;

-- Whoever writes the trail writes this, too.
DO $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT a.grantee::regrole AS role, a.privilege_type AS privilege
          FROM pg_catalog.pg_class AS c, pg_catalog.aclexplode(c.relacl) AS a
         WHERE c.oid = 'dotpeen.audit'::regclass AND a.grantee NOT IN (0, c.relowner)
               AND a.privilege_type IN ('SELECT', 'INSERT', 'DELETE')
    LOOP
        EXECUTE pg_catalog.format('GRANT %s ON dotpeen.audit_given TO %s', held.privilege, held.role);
    END LOOP;
END
$$;
