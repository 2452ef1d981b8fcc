-- The catalog queries of catalog.py, one per subject. Parameters: %(oids)s, and for tables %(all)s, %(schemas)s, %(names)s.

-- name: server
SELECT pg_catalog.current_setting('server_version_num')::int AS server_version,
       pg_catalog.current_database()::text AS database,
       current_user::text AS role,
       (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS superuser,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_create_schema;

-- name: tables
SELECT c.oid::bigint AS oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign'
                      WHEN 'v' THEN 'view' ELSE 'other' END AS kind,
       greatest(CASE WHEN c.relkind = 'p'
            THEN (SELECT coalesce(sum(greatest(l.reltuples, 0)), 0)
                    FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class l ON l.oid = t.relid
                   WHERE t.isleaf)
            ELSE c.reltuples END, 0)::bigint AS estimated_rows,
       coalesce((SELECT sum(pg_catalog.pg_relation_size(t.relid)) FROM pg_catalog.pg_partition_tree(c.oid) t
                  WHERE t.isleaf), pg_catalog.pg_relation_size(c.oid), 0)::bigint AS heap_bytes,
       coalesce((SELECT sum(pg_catalog.pg_total_relation_size(t.relid)) FROM pg_catalog.pg_partition_tree(c.oid) t
                  WHERE t.isleaf), pg_catalog.pg_total_relation_size(c.oid), 0)::bigint AS total_bytes,
       pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,
       pg_catalog.has_table_privilege(c.oid, 'SELECT') AS may_select,
       pg_catalog.has_table_privilege(c.oid, 'UPDATE') AS may_update,
       pg_catalog.has_table_privilege(c.oid, 'TRIGGER') AS may_trigger,
       pg_catalog.row_security_active(c.oid) AS row_security,
       c.relpersistence::text AS persistence,
       c.relispartition AS is_partition,
       EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
                WHERE (i.inhrelid = c.oid OR i.inhparent = c.oid) AND p.relkind = 'r') AS inherits,
       CASE WHEN c.relkind = 'p' THEN
            (SELECT array_agg(a.attname::text ORDER BY k.position)
               FROM pg_catalog.pg_partitioned_table p
               CROSS JOIN LATERAL unnest(p.partattrs::int2[]) WITH ORDINALITY AS k(attnum, position)
               LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum AND k.attnum > 0
              WHERE p.partrelid = c.oid) END AS partition_key
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE CASE WHEN %(all)s
            THEN c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
                 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dotpeen')
                 AND n.nspname NOT LIKE 'pg\_toast%%' AND n.nspname NOT LIKE 'pg\_temp%%'
            ELSE c.relkind IN ('r', 'p', 'f', 'v', 'm')
                 AND (n.nspname::text, c.relname::text) IN
                     (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[]))
       END
 ORDER BY n.nspname, c.relname;

-- name: columns
SELECT a.attrelid::bigint AS table_oid,
       a.attname::text AS name,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       -- PostgreSQL 18 sets attnotnull for a NOT NULL ... NOT VALID, too.
       a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid = a.attrelid
                                       AND o.contype = 'n' AND o.conkey = ARRAY[a.attnum] AND NOT o.convalidated)
           AS not_null,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS default,
       a.attidentity <> '' OR a.attgenerated <> '' AS generated
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum;

-- name: indexes
SELECT i.indrelid::bigint AS table_oid,
       c.relname::text AS name,
       (SELECT array_agg(a.attname::text ORDER BY k.position)
          FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
          LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
         WHERE k.position <= i.indnkeyatts) AS columns,
       i.indisunique AS unique,
       i.indisprimary AS primary,
       i.indisvalid AND i.indisready AS valid,
       i.indpred IS NOT NULL AS partial,
       pg_catalog.pg_relation_size(i.indexrelid)::bigint AS bytes,
       (SELECT o.conname::text FROM pg_catalog.pg_constraint o
         WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u')) AS constraint,
       i.indimmediate AS immediate
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid = ANY (%(oids)s::oid[])
 ORDER BY i.indrelid, NOT i.indisprimary, c.relname;

-- name: foreign_keys
SELECT o.conrelid::bigint AS table_oid,
       o.conname::text AS name,
       (SELECT array_agg(a.attname::text ORDER BY k.position)
          FROM unnest(o.conkey) WITH ORDINALITY AS k(attnum, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.attnum) AS columns,
       n.nspname::text AS references_schema,
       r.relname::text AS references_name,
       (SELECT array_agg(a.attname::text ORDER BY k.position)
          FROM unnest(o.confkey) WITH ORDINALITY AS k(attnum, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.attnum) AS referenced_columns,
       o.convalidated AS validated
  FROM pg_catalog.pg_constraint o
  JOIN pg_catalog.pg_class r ON r.oid = o.confrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
 WHERE o.contype = 'f' AND o.conrelid = ANY (%(oids)s::oid[])
   AND (o.conparentid = 0 OR o.conrelid <> (SELECT p.conrelid FROM pg_catalog.pg_constraint p WHERE p.oid = o.conparentid))
 ORDER BY o.conrelid, o.conname;

-- name: constraints
SELECT o.conrelid::bigint AS table_oid,
       o.conname::text AS name,
       o.contype::text AS kind,
       (SELECT array_agg(a.attname::text ORDER BY k.position)
          FROM unnest(o.conkey) WITH ORDINALITY AS k(attnum, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.attnum) AS columns,
       o.convalidated AS validated,
       pg_catalog.pg_get_constraintdef(o.oid) AS definition
  FROM pg_catalog.pg_constraint o
 WHERE o.contype IN ('c', 'n', 'u') AND o.conrelid = ANY (%(oids)s::oid[])
 ORDER BY o.conrelid, o.conname;

-- name: triggers
SELECT t.tgrelid::bigint AS table_oid,
       t.tgname::text AS name,
       t.tgenabled::text AS enabled,
       pg_catalog.pg_get_triggerdef(t.oid) AS definition,
       t.tgfoid::pg_catalog.regproc::text AS function,
       (t.tgtype & 1) = 1 AND (t.tgtype & 16) = 16 AND coalesce(array_length(t.tgattr::int2[], 1), 0) = 0 AS on_update_row,
       (t.tgtype & 16) = 16 AS on_update
  FROM pg_catalog.pg_trigger t
 WHERE NOT t.tgisinternal AND t.tgrelid = ANY (%(oids)s::oid[])
 ORDER BY t.tgrelid, t.tgname;

-- name: partitions
SELECT o.oid::bigint AS table_oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       pn.nspname::text AS parent_schema,
       p.relname::text AS parent_name,
       t.isleaf AS leaf,
       c.relkind = 'f' AS foreign
  FROM unnest(%(oids)s::oid[]) AS o(oid)
  CROSS JOIN LATERAL pg_catalog.pg_partition_tree(o.oid) t
  JOIN pg_catalog.pg_class c ON c.oid = t.relid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class p ON p.oid = t.parentrelid
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
 WHERE t.level > 0
 ORDER BY o.oid, t.level, n.nspname, c.relname;
