-- What the columns of tables hold: domains followed to their base type, enums with their labels. Parameter: %(oids)s.
WITH RECURSIVE resolved AS (
    SELECT a.attrelid, a.attnum, a.attname, a.attcollation, a.atttypid AS type, a.atttypmod AS modifier
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT r.attrelid, r.attnum, r.attname, r.attcollation, t.typbasetype, t.typtypmod
      FROM resolved r JOIN pg_catalog.pg_type t ON t.oid = r.type AND t.typtype = 'd'
)
SELECT r.attrelid::bigint AS oid,
       r.attname::text AS column,
       CASE WHEN t.typtype = 'e' THEN 'enum'
            WHEN t.typelem <> 0 AND t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc THEN 'array'
            WHEN t.typnamespace = 'pg_catalog'::regnamespace OR t.typname = 'citext' THEN t.typname::text
            ELSE 'other' END AS type,
       CASE WHEN e.typtype = 'e' THEN 'enum'
            WHEN e.typnamespace = 'pg_catalog'::regnamespace OR e.typname = 'citext' THEN e.typname::text
            WHEN e.oid IS NOT NULL THEN 'other' END AS element,
       (SELECT array_agg(l.enumlabel::text ORDER BY l.enumsortorder) FROM pg_catalog.pg_enum l
         WHERE l.enumtypid IN (t.oid, e.oid)) AS labels,
       r.modifier,
       CASE WHEN t.typname = 'citext' THEN t.typnamespace::regnamespace::text END AS operators,
       CASE WHEN c.collname <> 'default' THEN ARRAY[n.nspname::text, c.collname::text] END AS collation
  FROM resolved r
  JOIN pg_catalog.pg_type t ON t.oid = r.type AND t.typtype <> 'd'
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc
  LEFT JOIN pg_catalog.pg_collation c ON c.oid = r.attcollation
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
 ORDER BY r.attrelid, r.attnum
