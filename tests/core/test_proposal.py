"""`dotpeen.proposal`: a registry for a database nobody has described yet."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.database import Catalog, Column, ForeignKey, Index, Partition, Table
from dotpeen.errors import ConfigurationError
from dotpeen.proposal import propose, survey
from dotpeen.proposal.names import entity_name, singular
from dotpeen.registry import Entity, TableName, UuidColumn, parse_registry


def column(name: str, type_: str = "text", *, null: bool = False, default: str | None = None) -> Column:
    return Column(name, type_, not_null=not null, default=default)


def unique(*columns: str, name: str | None = None, **facts: Any) -> Index:
    given = {"unique": True, "primary": False, "valid": True, "partial": False, "bytes": 0} | facts
    return Index(name or "_".join(columns) + "_key", columns, **given)


def key(columns: str | tuple[str, ...], table: str) -> ForeignKey:
    own = (columns,) if isinstance(columns, str) else columns
    return ForeignKey("_".join(own) + "_fkey", own, TableName.parse(table), ("id",), validated=True)


def table(name: str, *columns: Column, primary: tuple[str, ...] = ("id",), **facts: Any) -> Table:
    held = (
        columns
        if any(one.name == "id" for one in columns) or primary != ("id",)
        else (column("id", "integer"), *columns)
    )
    indexes = (unique(*primary, name="pkey", primary=True),) if primary else ()
    facts["indexes"] = indexes + tuple(facts.get("indexes", ()))
    given: dict[str, Any] = {"kind": "table", "oid": 1, "primary_key": primary} | facts
    return Table(name=TableName.parse(name), columns={one.name: one for one in held}, **given)


def catalog(*tables: Table) -> Catalog:
    return Catalog(
        180004, "plant", "dba", superuser=False, may_create_schema=True, tables={t.name: t for t in tables}
    )


def entities(*tables: Table) -> dict[str, Entity]:
    return dict(parse_registry(propose(catalog(*tables))).entities)


def only(*tables: Table) -> Entity:
    (entity,) = entities(*tables).values()
    return entity


PART = table(
    "Part", column("partNumber"), column("status"), indexes=[unique("partNumber", name="Part_partNumber_key")]
)


def test_prisma_table_becomes_the_entity_it_looks_like() -> None:
    assert only(PART) == Entity.model_validate(
        {"name": "Part", "business_id": "partNumber", "uuid": {"column": "persistentUuid"}}
    )


@pytest.mark.parametrize(
    ("there", "proposed"),
    [
        (column("updatedAt", "timestamp(3) without time zone"), "updatedAt"),
        (column("updated_at", "timestamp with time zone"), "updated_at"),
        (column("updatedAt", "timestamp with time zone", default="now()"), None),
        (column("updatedAt", "timestamp with time zone", null=True), None),
        (column("updatedAt"), None),
        (column("createdAt", "timestamp with time zone"), None),
    ],
)
def test_a_time_that_the_application_sets_at_every_change(there: Column, proposed: str | None) -> None:
    assert only(table("Part", there)).updated_at == proposed


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("stock_lot", "StockLot"),
        ("Part", "Part"),
        ("QIFCharacteristic", "QIFCharacteristic"),
        ("WORK_ORDER", "WorkOrder"),
        ("pgbench_branches", "PgbenchBranch"),
        ("party_party", "Party"),
        ("work-order lines", "WorkOrderLine"),
        ("Größe", "Grosse"),
        ("2024_orders", "Table2024Order"),
        ("部品", "Table"),
        ('"odd.name"', "OddName"),
    ],
)
def test_entity_names(name: str, entity: str) -> None:
    assert entity_name(TableName.parse(name)) == entity


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("parts", "part"),
        ("batches", "batch"),
        ("entries", "entry"),
        ("addresses", "address"),
        ("boxes", "box"),
    ]
    + [(word, word) for word in ("status", "series", "analysis", "process", "gas", "part")],
)
def test_singular(plural: str, one: str) -> None:
    assert singular(plural) == one


def test_clashing_names_get_their_schema_and_then_a_number() -> None:
    found = entities(table("sales.part"), table("part"), table("Part"), table("parts"))
    assert {name: str(entity.table) for name, entity in found.items()} == {
        "Part": "Part",
        "Part2": "part",
        "Part3": "parts",
        "SalesPart": "sales.part",
    }


def test_paths_of_dotpeen_itself_are_avoided() -> None:
    assert only(table("docs")).path == "docs-records"


def test_composite_and_substitute_keys() -> None:
    plan = table("plan", column("number"), column("version", "integer"), primary=("number", "version"))
    gauge = table("gauge", column("tag"), column("name"), primary=(), indexes=[unique("tag")])
    assert only(plan).primary_key == ("number", "version")
    assert only(gauge).primary_key == ("tag",)
    assert "no primary key; these are unique and never null" in propose(catalog(gauge))


BUSINESS_IDS = {
    "a named text beats a nameless one": (
        [column("alias"), column("serial_number")],
        [unique("alias"), unique("serial_number")],
        ("serial_number",),
    ),
    "one column beats two": (
        [column("serial"), column("code")],
        [unique("serial", "code"), unique("code")],
        ("code",),
    ),
    "a superset of a unique column is no identifier": (
        [column("serial"), column("plant", "integer")],
        [unique("serial"), unique("serial", "plant")],
        ("serial",),
    ),
    "composite": (
        [column("planNumber"), column("version", "integer")],
        [unique("planNumber", "version")],
        ("planNumber", "version"),
    ),
    "a number": ([column("order_no", "integer")], [unique("order_no")], ("order_no",)),
    "no secret": ([column("access_token"), column("email")], [unique("access_token"), unique("email")], ()),
    "no UUID": ([column("ref", "uuid")], [unique("ref")], ()),
    "no partial index": ([column("code")], [unique("code", partial=True)], ()),
    "no invalid index": ([column("code")], [unique("code", valid=False)], ()),
    "no meaningless number": ([column("legacy", "integer")], [unique("legacy")], ()),
    "no time": ([column("at", "timestamp without time zone")], [unique("at")], ()),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "indexes", "chosen"), BUSINESS_IDS.values(), ids=BUSINESS_IDS)
def test_business_id(columns: list[Column], indexes: list[Index], chosen: tuple[str, ...]) -> None:
    assert only(table("thing", *columns, indexes=indexes)).business_id == chosen


def test_business_id_is_no_foreign_key() -> None:
    detail = table(
        "detail", column("code", "text"), foreign_keys=(key("code", "Part"),), indexes=[unique("code")]
    )
    assert only(detail).business_id == ()


def test_business_id_that_is_not_unique_is_only_a_comment() -> None:
    lot = table("lot", column("number"), column("unit_number"))
    assert only(lot).business_id == ()
    assert '# business_id = "number"  # reads like one, but is not unique in the database' in propose(
        catalog(lot)
    )


def test_alternatives_are_listed() -> None:
    text = propose(
        catalog(table("part", column("number"), column("name"), indexes=[unique("number"), unique("name")]))
    )
    assert 'business_id = "number"  # unique index number_key; also unique: name' in text


def test_no_business_id_says_what_is_unique() -> None:
    step = table("step", column("at", "integer"), column("line", "integer"), indexes=[unique("line", "at")])
    assert "# business_id: none suggests itself; unique beside the primary key: (line, at)" in propose(
        catalog(step)
    )
    assert "# business_id: the primary key alone is unique" in propose(
        catalog(table("step", column("at", "date")))
    )


UUIDS = {
    "new, snake case": ([column("part_number")], [], UuidColumn(column="persistent_uuid")),
    "new, camel case": ([column("partNumber")], [], UuidColumn(column="persistentUuid")),
    "existing": ([column("uuid", "uuid")], [], UuidColumn(column="uuid")),
    "existing text": (
        [column("item_guid", "text", null=True)],
        [],
        UuidColumn(column="item_guid", type="text"),
    ),
    "existing varchar": (
        [column("guid", "character varying(36)")],
        [],
        UuidColumn(column="guid", type="text"),
    ),
    "too short for a UUID": (
        [column("guid", "character varying(30)")],
        [],
        UuidColumn(column="persistent_uuid"),
    ),
    "version 7": ([column("uuid", "uuid", default="uuidv7()")], [], UuidColumn(column="uuid", version=7)),
    "unique and filled": ([column("ref", "uuid")], [unique("ref")], UuidColumn(column="ref")),
    "somebody else's": ([column("tenant", "uuid")], [], UuidColumn(column="persistent_uuid")),
    "a CAD system's": (
        [column("stepAp242Uuid", "uuid", null=True)],
        [unique("stepAp242Uuid")],
        UuidColumn(column="persistentUuid"),
    ),
    "the better of two": (
        [column("uuid", "uuid"), column("persistent_uuid", "uuid")],
        [],
        UuidColumn(column="persistent_uuid"),
    ),
    "name taken": ([column("persistent_uuid", "integer")], [], UuidColumn(column="persistent_uuid_2")),
}


@pytest.mark.parametrize(("columns", "indexes", "chosen"), UUIDS.values(), ids=UUIDS)
def test_uuid_column(columns: list[Column], indexes: list[Index], chosen: UuidColumn) -> None:
    assert only(table("item", *columns, indexes=indexes)).uuid == chosen


def test_uuid_facts_stand_beside_the_guess() -> None:
    text = propose(catalog(table("item", column("guid", "uuid", null=True, default="gen_random_uuid()"))))
    assert "# exists as uuid, may be null, default gen_random_uuid(), not unique in the database" in text


def test_varchar_is_to_become_text_first() -> None:
    text = propose(catalog(table("item", column("guid", "character varying(36)"))))
    assert "# Change its type to text first, which rewrites nothing: `check` says how." in text


def test_uuid_primary_key_stays_internal() -> None:
    item = table("item", column("id", "uuid", default="gen_random_uuid()"))
    assert only(item).uuid == UuidColumn(column="persistent_uuid")
    assert "a UUID already, but internal" in propose(catalog(item))


def test_table_of_another_role_gets_a_sidecar() -> None:
    vendor = table("vendor", column("uuid", "uuid"), owned=False, owner="vendor")
    assert only(vendor).uuid == UuidColumn(storage="sidecar")
    assert "the table belongs to vendor" in propose(catalog(vendor))
    assert "# also holds UUIDs, of what only you know: uuid" in propose(catalog(vendor))


def left_out(*tables: Table) -> dict[str, str]:
    return {str(one.table): one.reason for one in survey(catalog(*tables)).left_out}


def test_tables_left_out_are_listed_with_the_reason() -> None:
    links = table(
        "part_supplier",
        *(column(name, "integer") for name in ("part", "supplier", "create_uid")),
        column("create_date", "timestamp without time zone"),
        foreign_keys=(key("part", "Part"), key("supplier", "Part")),
    )
    history = table("history", column("note"), primary=())
    remote = table("remote", kind="foreign")
    parent = table("parent", inherits=True)
    spread = table(
        "spread",
        kind="partitioned",
        partitions=(Partition(TableName.parse("a"), TableName.parse("spread"), leaf=True, foreign=True),),
    )
    assert left_out(PART, links, history, remote, parent, spread) == {
        "part_supplier": "links records by foreign keys and holds nothing else",
        "history": "no primary key, nor a unique index over columns that are never null",
        "remote": "a foreign table: its rows are in another server",
        "parent": "table inheritance: a key of the parent says nothing about its children's rows",
        "spread": "some partitions are foreign tables: their rows are in another server",
    }
    text = propose(catalog(PART, links, history))
    assert "# links records by foreign keys and holds nothing else:\n#   part_supplier" in text


def test_link_that_others_point_to_is_a_record() -> None:
    links = table(
        "part_supplier",
        column("part", "integer"),
        column("supplier", "integer"),
        foreign_keys=(key("part", "Part"), key("supplier", "Part")),
    )
    price = table("price", column("amount", "numeric"), foreign_keys=(key("part_supplier", "part_supplier"),))
    assert set(entities(PART, links, price)) == {"Part", "PartSupplier", "Price"}


def uncommented(text: str) -> str:
    """Remove the first `# ` of everything below the line about doubtful entities, as that line says."""
    head, _, tail = text.partition("# ---- Not proposed")
    body, left, rest = tail.partition("# ---- Left out")
    lines = body.split("\n")[1:]
    return (
        head
        + "\n".join(line.removeprefix("# ") if not line.endswith(":") else line for line in lines)
        + left
        + rest
    )


@pytest.mark.parametrize(
    "name",
    ["alembic_version", "_prisma_migrations", "django_session", "ir_model", "res_user", "hdb_catalog.thing"],
)
def test_internals_of_frameworks_are_proposed_as_comments(name: str) -> None:
    text = propose(catalog(PART, table(name, column("code"))))
    assert list(parse_registry(text).entities) == ["Part"]
    assert "looks like internals of" in text
    assert len(parse_registry(uncommented(text)).entities) == 2


def test_relations_are_told_by_comment() -> None:
    order = table(
        "work_order", column("part_id", "integer"), column("name"), foreign_keys=(key("part_id", "Part"),)
    )
    assert "#   part_id -> Part\n" in propose(catalog(PART, order))
    assert "->" not in propose(catalog(order))


def test_schema_filter() -> None:
    everything = catalog(PART, table("quality.gauge"), table("finance.invoice"))
    chosen = parse_registry(propose(everything, schemas=["quality", "finance"]))
    assert [str(entity.table) for entity in chosen.entities.values()] == ["finance.invoice", "quality.gauge"]
    with pytest.raises(ConfigurationError, match="no table in schema 'nowhere'") as caught:
        propose(everything, schemas=["nowhere"])
    assert caught.value.hint == "schemas with tables: finance, public, quality"


def test_database_without_tables() -> None:
    assert parse_registry(propose(catalog())).site.name == "plant"


# Names as PostgreSQL allows them: up to 63 bytes of anything but NUL.
_ODD = st.sampled_from(
    [
        *(
            "a.b",
            '"',
            'a"b.c',
            "select",
            "ß" * 31,
            "部" * 21,
            "x" * 63,
            "doc",
            "docs",
            "v1",
            "By",
            "#",
            "a\nb",
            "\\",
        ),
        *(
            "\x7f",
            "  ",
            "'",
            "[entities.X]",
            "\u2028",
            "\x85",
            "'''",
            '"""',
            "PART",
            "Part",
            "part",
            "uuid",
            "id",
        ),
        *("persistent_uuid", "_1"),
    ]
)
_NAMES = (
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=63)
    | st.text(string.ascii_letters + "_", min_size=1, max_size=63)
    | _ODD
).map(lambda name: name.encode()[:63].decode(errors="ignore") or "x")
_TYPES = st.sampled_from(
    [
        "text",
        "uuid",
        "integer",
        "character varying(36)",
        "character(36)",
        "timestamp with time zone",
        "citext",
        "jsonb",
    ]
)
_DEFAULTS = st.none() | st.sampled_from(
    ["gen_random_uuid()", "uuidv7()", "'a\nb'::text", "(gen_random_uuid())::text"]
)


@st.composite
def tables(draw: st.DrawFn, name: TableName, others: list[TableName]) -> Table:
    names = draw(st.lists(_NAMES, min_size=1, max_size=6, unique=True))
    columns = {
        each: Column(each, draw(_TYPES), draw(st.booleans()), draw(_DEFAULTS), generated=draw(st.booleans()))
        for each in names
    }
    some = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True).map(tuple)
    primary = draw(st.just(()) | some)
    indexes = [unique(*primary, primary=True)] if primary else []
    indexes += [unique(*each, name=draw(_NAMES)) for each in draw(st.lists(some, max_size=3))]
    links = draw(st.lists(st.tuples(some, st.sampled_from(others)), max_size=3))
    return Table(
        name=name,
        oid=1,
        kind=draw(st.sampled_from(["table", "table", "table", "partitioned", "foreign", "view"])),
        columns=columns,
        primary_key=primary,
        indexes=tuple(indexes),
        foreign_keys=tuple(ForeignKey("f", own, other, ("id",), validated=True) for own, other in links),
        owner=draw(_NAMES),
        owned=draw(st.booleans()),
        row_security=draw(st.booleans()),
        estimated_rows=draw(st.integers(0, 10**12)),
        persistence=draw(st.sampled_from("pu")),
    )


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    schemas = st.just("public") | _NAMES
    names = draw(st.lists(st.builds(TableName, schemas, _NAMES), min_size=1, max_size=6, unique=True))
    held: Iterable[Table] = [draw(tables(name, names)) for name in names]
    return Catalog(
        180004,
        draw(_NAMES),
        draw(_NAMES),
        superuser=False,
        may_create_schema=True,
        tables={t.name: t for t in held},
    )


@given(catalogs())
def test_every_proposal_parses_and_names_what_is_there(database: Catalog) -> None:
    proposal = survey(database)
    text = propose(database)
    registry = parse_registry(text)
    assert registry.site.name == database.database
    assert [entity.table for entity in registry.entities.values()] == [
        one.table.name for one in proposal.entities
    ]
    for entity in registry.entities.values():
        columns = database.tables[entity.table].columns
        assert set(entity.primary_key) | set(entity.business_id) <= set(columns)
        assert (
            database.tables[entity.table].is_key(entity.primary_key)
            or database.tables[entity.table].primary_key
        )
    told = len(proposal.entities) + len(proposal.doubtful) + len(proposal.left_out)
    assert told == len(database.tables)


@given(catalogs())
def test_proposals_have_one_line_per_statement(database: Catalog) -> None:
    for line in propose(database).split("\n"):
        assert re.match(r"#|\[|[a-z_]+ = |$", line), line
