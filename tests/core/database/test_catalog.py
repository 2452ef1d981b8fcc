"""What the catalog says about tables, on every supported PostgreSQL."""

from collections.abc import Iterator

import pytest

from dotpeen.database import (
    Catalog,
    Column,
    Connection,
    ForeignKey,
    Partition,
    Table,
    connect,
    read_catalog,
)
from dotpeen.registry import TableName

SQL = """
CREATE SCHEMA "Odd.Schema";
CREATE SCHEMA dotpeen;
CREATE TABLE dotpeen.ours (id int);
CREATE TABLE public."Part" (
    "id" text PRIMARY KEY,
    "partNumber" varchar(40) NOT NULL,
    "length" numeric(10, 2) DEFAULT 1.5,
    "area" numeric GENERATED ALWAYS AS ("length" * "length") STORED,
    "dropped" int
);
ALTER TABLE public."Part" DROP COLUMN "dropped";
INSERT INTO public."Part" SELECT n::text, 'P' || n FROM generate_series(1, 100) AS n;
CREATE UNIQUE INDEX "Part_partNumber_key" ON public."Part" ("partNumber");
CREATE INDEX "Part_lower" ON public."Part" (lower("partNumber"), "length");
CREATE UNIQUE INDEX "Part_long" ON public."Part" ("length") WHERE "length" > 5;
CREATE INDEX "Part_with" ON public."Part" ("length") INCLUDE ("area");

CREATE TABLE "Odd.Schema"."odd""table" (
    plant int, "number" int GENERATED ALWAYS AS IDENTITY, "partId" text, "other" text,
    PRIMARY KEY (plant, "number"),
    UNIQUE ("other", plant),
    CONSTRAINT positive CHECK (plant > 0),
    CONSTRAINT "toPart" FOREIGN KEY ("partId") REFERENCES public."Part" ("id")
);
ALTER TABLE "Odd.Schema"."odd""table"
    ADD CONSTRAINT small CHECK (plant < 100) NOT VALID;
CREATE TABLE public.child (n int, p int);
ALTER TABLE public.child ADD FOREIGN KEY (p, n)
    REFERENCES "Odd.Schema"."odd""table" (plant, "number") NOT VALID;

CREATE TABLE public.measured (id bigint, at date NOT NULL, plant int NOT NULL, part text,
    PRIMARY KEY (id, at, plant), FOREIGN KEY (part) REFERENCES public."Part" ("id")) PARTITION BY RANGE (at);
CREATE TABLE public.measured_old PARTITION OF public.measured FOR VALUES FROM ('2020-01-01') TO ('2024-1-1');
CREATE TABLE public.measured_new PARTITION OF public.measured FOR VALUES FROM ('2024-01-01') TO ('2028-01-01')
    PARTITION BY LIST (plant);
CREATE TABLE "Odd.Schema".measured_new_1 PARTITION OF public.measured_new FOR VALUES IN (1);
CREATE TABLE public.measured_new_2 PARTITION OF public.measured_new FOR VALUES IN (2);
INSERT INTO public.measured SELECT n, '2023-05-05', 1 FROM generate_series(1, 10) AS n;
INSERT INTO public.measured SELECT n, '2025-05-05', 1 + n % 2 FROM generate_series(1, 20) AS n;
CREATE TABLE public.hashed (id text) PARTITION BY RANGE (lower(id), id);

CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER each_row BEFORE INSERT OR UPDATE ON public."Part" FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE TRIGGER one_column BEFORE UPDATE OF "length" ON public."Part"
    FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE TRIGGER per_statement AFTER UPDATE ON public."Part" EXECUTE FUNCTION public.touch();
ALTER TABLE public."Part" DISABLE TRIGGER one_column;

CREATE TABLE public.parent_of_heirs (id int);
CREATE TABLE public.heir () INHERITS (public.parent_of_heirs);
CREATE UNLOGGED TABLE public.fleeting (id int);
CREATE VIEW public.parts AS SELECT * FROM public."Part";
ANALYZE;
"""
PART = TableName("public", "Part")
ODD = TableName("Odd.Schema", 'odd"table')
MEASURED = TableName("public", "measured")


def build(url: str) -> None:
    with connect(url, purpose="test") as connection:
        connection.execute(SQL)


@pytest.fixture
def connection(template_database: object) -> Iterator[Connection]:
    with connect(template_database("catalog", build), purpose="test") as connection:  # type: ignore[operator]
        yield connection


@pytest.fixture
def catalog(connection: Connection) -> Catalog:
    return read_catalog(connection)


@pytest.fixture
def part(catalog: Catalog) -> Table:
    return catalog.tables[PART]


def test_reads_every_table_but_views_partitions_and_our_own(catalog: Catalog) -> None:
    assert [str(name) for name in catalog.tables] == [
        '"Odd.Schema"."odd""table"',
        "Part",
        "child",
        "fleeting",
        "hashed",
        "heir",
        "measured",
        "parent_of_heirs",
    ]


def test_reads_what_is_asked_for_and_leaves_out_what_is_missing(connection: Connection) -> None:
    view, missing = TableName("public", "parts"), TableName("public", "part")
    found = read_catalog(connection, [view, missing, ODD])
    assert {name: table.kind for name, table in found.tables.items()} == {ODD: "table", view: "view"}
    assert found.table(missing) is None
    assert read_catalog(connection, []).tables == {}


def test_names_the_server_and_the_role(catalog: Catalog, connection: Connection) -> None:
    assert catalog.server_version == connection.info.server_version
    assert (catalog.database, catalog.role) == (connection.info.dbname, connection.info.user)
    assert (catalog.superuser, catalog.may_create_schema) == (True, True)


def test_columns_have_types_defaults_and_no_ghosts(part: Table) -> None:
    assert list(part.columns.values()) == [
        Column("id", "text", not_null=True),
        Column("partNumber", "character varying(40)", not_null=True),
        Column("length", "numeric(10,2)", not_null=False, default="1.5"),
        Column("area", "numeric", not_null=False, default="(length * length)", generated=True),
    ]


def test_an_identity_column_is_generated(catalog: Catalog) -> None:
    columns = catalog.tables[ODD].columns
    assert [name for name, column in columns.items() if column.generated] == ["number"]


def test_a_composite_key_keeps_its_order(catalog: Catalog) -> None:
    table = catalog.tables[ODD]
    assert table.primary_key == ("plant", "number")
    assert table.is_key(("number", "plant"))
    assert not table.is_key(("plant",))


def test_indexes(part: Table) -> None:
    assert [
        (index.name, index.columns, index.unique, index.primary, index.partial, index.constraint)
        for index in part.indexes
    ] == [
        ("Part_pkey", ("id",), True, True, False, "Part_pkey"),
        ("Part_long", ("length",), True, False, True, None),
        ("Part_lower", (None, "length"), False, False, False, None),
        ("Part_partNumber_key", ("partNumber",), True, False, False, None),
        ("Part_with", ("length",), False, False, False, None),
    ]
    assert all(index.valid and index.bytes > 0 for index in part.indexes)


def test_a_key_is_unique_total_and_never_null(part: Table, catalog: Catalog) -> None:
    assert part.is_key(["partNumber"])
    assert not part.is_key(["length"]), "its unique index is partial"
    assert not catalog.tables[ODD].is_key(["other", "plant"]), "other may be null"
    assert not part.is_key(["no such column"])


def test_an_invalid_index_is_not_valid(connection: Connection) -> None:
    connection.execute("INSERT INTO public.\"Part\" VALUES ('twice', 'x', 9999), ('again', 'y', 9)")
    connection.execute('UPDATE public."Part" SET "length" = 1 WHERE "length" < 5')
    with pytest.raises(Exception, match="could not create unique index"):
        connection.execute('CREATE UNIQUE INDEX CONCURRENTLY leftover ON public."Part" ("length")')
    indexes = {index.name: index for index in read_catalog(connection, [PART]).tables[PART].indexes}
    assert not indexes["leftover"].valid
    assert not indexes["leftover"].covers_exactly(["length"])


def test_foreign_keys_name_both_sides_in_order(catalog: Catalog) -> None:
    assert catalog.tables[ODD].foreign_keys == (
        ForeignKey("toPart", ("partId",), PART, ("id",), validated=True),
    )
    assert catalog.tables[TableName("public", "child")].foreign_keys == (
        ForeignKey("child_p_n_fkey", ("p", "n"), ODD, ("plant", "number"), validated=False),
    )


def test_a_foreign_key_of_a_partitioned_table_is_there_once(catalog: Catalog) -> None:
    assert [key.name for key in catalog.tables[MEASURED].foreign_keys] == ["measured_part_fkey"]


def test_a_foreign_key_to_a_partitioned_table_is_there_once(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE public.report (id bigint, at date, plant int,"
        " FOREIGN KEY (id, at, plant) REFERENCES public.measured)"
    )
    report = TableName("public", "report")
    keys = read_catalog(connection, [report]).tables[report].foreign_keys
    assert [(key.references, key.columns) for key in keys] == [(MEASURED, ("id", "at", "plant"))]


def test_constraints(catalog: Catalog) -> None:
    found = [constraint for constraint in catalog.tables[ODD].constraints if constraint.kind != "n"]
    assert [(c.name, c.kind, c.columns, c.validated) for c in found] == [
        ('odd"table_other_plant_key', "u", ("other", "plant"), True),
        ("positive", "c", ("plant",), True),
        ("small", "c", ("plant",), False),
    ]
    assert found[1].definition == "CHECK ((plant > 0))"


def test_not_null_that_is_not_valid_is_no_not_null(connection: Connection) -> None:
    if connection.info.server_version < 180000:
        pytest.skip("NOT NULL … NOT VALID came with PostgreSQL 18")

    def length() -> Column:
        return read_catalog(connection, [PART]).tables[PART].columns["length"]

    connection.execute('ALTER TABLE public."Part" ADD CONSTRAINT nn NOT NULL "length" NOT VALID')
    assert not length().not_null
    connection.execute('ALTER TABLE public."Part" VALIDATE CONSTRAINT nn')
    assert length().not_null


def test_triggers(part: Table) -> None:
    assert [(t.name, t.enabled, t.function, t.on_update_row) for t in part.triggers] == [
        ("each_row", "O", "public.touch", True),
        ("one_column", "D", "public.touch", False),
        ("per_statement", "O", "public.touch", False),
    ]
    assert part.triggers[1].definition.startswith("CREATE TRIGGER one_column BEFORE UPDATE OF length ON")


def test_partitions_of_two_levels(catalog: Catalog) -> None:
    table = catalog.tables[MEASURED]
    new = TableName("public", "measured_new")
    old = TableName("public", "measured_old")
    leaf_1, leaf_2 = TableName("Odd.Schema", "measured_new_1"), TableName("public", "measured_new_2")
    assert table.kind == "partitioned"
    assert table.partition_key == ("at",)
    assert table.partitions == (
        Partition(new, MEASURED, leaf=False, foreign=False),
        Partition(old, MEASURED, leaf=True, foreign=False),
        Partition(leaf_1, new, leaf=True, foreign=False),
        Partition(leaf_2, new, leaf=True, foreign=False),
    )
    assert table.leaves == (old, leaf_1, leaf_2)
    assert table.estimated_rows == 30
    assert table.heap_bytes == 3 * 8192


def test_an_expression_in_a_partition_key_is_none(catalog: Catalog) -> None:
    assert catalog.tables[TableName("public", "hashed")].partition_key == (None, "id")


def test_sizes_and_kinds(catalog: Catalog, part: Table) -> None:
    assert (part.kind, part.estimated_rows, part.persistence, part.inherits) == ("table", 100, "p", False)
    assert part.heap_bytes < part.total_bytes
    assert part.leaves == (PART,)
    assert catalog.tables[TableName("public", "fleeting")].persistence == "u"
    heirs = [name.name for name, table in catalog.tables.items() if table.inherits]
    assert heirs == ["heir", "parent_of_heirs"]


def test_a_table_never_analyzed_has_no_negative_rows(connection: Connection) -> None:
    connection.execute("CREATE TABLE public.fresh (id int)")
    fresh = TableName("public", "fresh")
    assert read_catalog(connection, [fresh]).tables[fresh].estimated_rows == 0


def test_privileges_are_those_of_the_role(connection: Connection) -> None:
    role = f"reader_{connection.info.dbname}"
    connection.execute(f'CREATE ROLE "{role}"')
    try:
        connection.execute(f'GRANT SELECT ON public."Part" TO "{role}"')
        connection.execute('ALTER TABLE public."Part" ENABLE ROW LEVEL SECURITY')
        connection.execute(f'SET ROLE "{role}"')
        catalog = read_catalog(connection, [PART])
        connection.execute("RESET ROLE")
    finally:
        connection.execute("RESET ROLE")
        connection.execute(f'DROP OWNED BY "{role}"')
        connection.execute(f'DROP ROLE "{role}"')
    part = catalog.tables[PART]
    assert (catalog.role, catalog.superuser, catalog.may_create_schema) == (role, False, False)
    assert (part.owned, part.may_select, part.may_update, part.may_trigger) == (False, True, False, False)
    assert part.row_security
