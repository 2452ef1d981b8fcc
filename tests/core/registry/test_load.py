"""What a registry may say, and what is said about one that is wrong."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dotpeen.errors import ConfigurationError, Problem, RegistryError
from dotpeen.registry import Registry, TableName, load_registry, parse_registry
from dotpeen.registry.models import default_path

NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=15
)  # at most four bytes each
NAMESPACE = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


def problems(text: str) -> list[Problem]:
    with pytest.raises(RegistryError) as caught:
        parse_registry(dedent(text))
    return list(caught.value.problems)


def test_an_empty_file_is_a_registry() -> None:
    assert parse_registry("") == Registry()


def test_an_entity_needs_nothing_but_its_name() -> None:
    entity = parse_registry("[entities.QIFMeasurementPlan]").entities["QIFMeasurementPlan"]
    assert entity.name == "QIFMeasurementPlan"
    assert entity.table == TableName("public", "QIFMeasurementPlan")
    assert entity.path == "qif-measurement-plans"
    assert (entity.primary_key, entity.business_id, entity.phase) == (("id",), (), 1)
    assert entity.uuid.model_dump() == {
        "column": "persistentUuid",
        "type": "uuid",
        "version": 4,
        "storage": "column",
    }


def test_one_column_may_be_written_without_a_list() -> None:
    text = '[entities.Part]\nbusiness_id = "partNumber"\nprimary_key = ["plant", "number"]'
    entity = parse_registry(text).entities["Part"]
    assert (entity.business_id, entity.primary_key) == (("partNumber",), ("plant", "number"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("1.5s", timedelta(seconds=1.5)),
        ("10 min", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert parse_registry(f'[migration]\nlock_timeout = "{text}"').migration.lock_timeout == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            """
            [entities.Part]
            table = "Part"
            buisness_id = "partNumber"
            """,
            Problem("entities.Part.buisness_id", "unknown key", 4, "did you mean 'business_id'?"),
            id="unknown key",
        ),
        pytest.param(
            "[entities.Part]\nuuid = { colum = 'u' }\n",
            Problem("entities.Part.uuid.colum", "unknown key", 2, "did you mean 'column'?"),
            id="unknown key in an inline table",
        ),
        pytest.param(
            "[site]\nzzz = 1",
            Problem("site.zzz", "unknown key", 2, "known keys: name, namespace"),
            id="unknown key like no other",
        ),
        pytest.param(
            "[databse]\nurl = 'x'",
            Problem("databse", "unknown key", 1, "did you mean 'database'?"),
            id="unknown table",
        ),
        pytest.param(
            "[entities.Part]\nname = 'Other'",
            Problem("entities.Part.name", "unknown key", 2, "the name stands in the header: [entities.Part]"),
            id="name is no key",
        ),
        pytest.param(
            "[api]\nport = '8000'",
            Problem("api.port", "input should be a valid integer, not '8000'", 2),
            id="a number as text",
        ),
        pytest.param(
            "[migration]\npause_on_autovacuum = 'no'",
            Problem("migration.pause_on_autovacuum", "input should be a valid boolean, not 'no'", 2),
            id="a boolean as text",
        ),
        pytest.param(
            "[plugins.qif]\nenabled = 1",
            Problem("plugins.qif.enabled", "input should be a valid boolean, not 1", 2),
            id="a boolean as number",
        ),
        pytest.param(
            "[entities.Part]\nphase = true",
            Problem("entities.Part.phase", "input should be a valid integer, not True", 2),
            id="a number as boolean",
        ),
        pytest.param(
            "[entities.Part]\ntable = ['public', 'Part']",
            Problem("entities.Part.table", 'write a table as text, such as "schema.table"', 2),
            id="a table as a list",
        ),
        pytest.param(
            "[entities.Part]\ntable = 'a.b.c'",
            Problem(
                "entities.Part.table",
                '\'a.b.c\' is no table name: write table, schema.table or "schema"."table"',
                2,
            ),
            id="a table with two dots",
        ),
        pytest.param(
            "[entities.Part]\nexpose = ['" + "ü" * 32 + "']",
            Problem("entities.Part.expose.0", "a name has 1 to 63 bytes in PostgreSQL, not 64", 2),
            id="a name that PostgreSQL would cut",
        ),
        pytest.param(
            "[migration]\nbatch_target = '99999999999999999999h'",
            Problem("migration.batch_target", "'99999999999999999999h' is longer than a year", 2),
            id="an endless duration",
        ),
        pytest.param(
            "[migration]\nlock_timeout = 500",
            Problem("migration.lock_timeout", 'write a duration as text, such as "500ms"', 2),
            id="a duration without unit",
        ),
        pytest.param(
            "[site]\nname = x\n",
            Problem("", "TOML syntax error: Invalid value", 2, "column 8"),
            id="a syntax error",
        ),
        pytest.param(
            "[site]\nname = 'x\ny",
            Problem("", 'TOML syntax error: Expected "\'"', 3),
            id="a syntax error at the end",
        ),
        pytest.param(
            "[entities.A]\ntable = 'T'\n[entities.B]\ntable = 'public.T'",
            Problem(
                "entities.B.table",
                "table T already belongs to entity A",
                4,
                "one table is one entity: remove one of the two",
            ),
            id="two entities on one table",
        ),
        pytest.param(
            "[entities.A]\npath = 'x'\n[entities.B]\npath = 'x'",
            Problem(
                "entities.B.path",
                "path 'x' already belongs to entity A",
                4,
                "give one of them a path of its own",
            ),
            id="two entities on one path",
        ),
        pytest.param(
            "[entities.A]\npath = 'docs'",
            Problem("entities.A.path", "'docs' is a path of Dotpeen itself: choose another", 2),
            id="a reserved path",
        ),
        pytest.param(
            "[entities.Part]\n[entities.Lot.relations.part]\nentity = 'Prat'\ncolumns = 'partId'",
            Problem("entities.Lot.relations.part.entity", "no entity 'Prat'", 3, "did you mean 'Part'?"),
            id="a relation to nothing",
        ),
        pytest.param(
            "[entities.Part]\nbusiness_id = 'n'\nuuid = { version = 5 }",
            Problem(
                "entities.Part.uuid.version",
                "version 5 needs the site's namespace",
                3,
                'set namespace = "<a UUID>" under [site], the same one at every site that is to agree',
            ),
            id="version 5 without namespace",
        ),
        pytest.param(
            f"[site]\nnamespace = '{NAMESPACE}'\n[entities.Part]\nuuid = {{ version = 5 }}",
            Problem(
                "entities.Part",
                "uuid.version 5 derives the UUID from the business identifier: declare business_id",
                3,
            ),
            id="version 5 without business identifier",
        ),
        pytest.param(
            "[site]\nnamespace = '{6ba7b810-9dad-11d1-80b4-00c04fd430c8}'",
            Problem(
                "site.namespace",
                "'{6ba7b810-9dad-11d1-80b4-00c04fd430c8}' is no UUID: not 8-4-4-4-12 hexadecimal digits",
                2,
            ),
            id="a UUID in braces",
        ),
        pytest.param(
            "[entities.Part]\nuuid = { version = 6 }",
            Problem("entities.Part.uuid.version", "input should be 4, 5 or 7, not 6", 2),
            id="a version nobody should generate",
        ),
        pytest.param(
            "[entities.Part]\nuuid = { column = 'id' }",
            Problem(
                "entities.Part", "uuid.column 'id' is the primary key: the UUID gets a column of its own", 1
            ),
            id="the UUID as primary key",
        ),
        pytest.param(
            "[entities.'Part Number']",
            Problem(
                "entities.Part Number.name",
                "an entity's name is a letter, then up to 39 letters, digits or underscores",
                1,
            ),
            id="a name with a blank",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, expected: Problem) -> None:
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://mes:secret@db/mes",
        "postgresql://db/mes?user=mes&password=secret",
        "host=db password = secret",
    ],
)
@pytest.mark.parametrize("setting", ["url = '{}'", "replicas = ['{}']"])
def test_a_password_is_refused_and_not_repeated(url: str, setting: str) -> None:
    (problem,) = problems("[database]\n" + setting.format(url))
    assert problem.message.startswith("a password does not belong in the registry")
    assert "secret" not in str(RegistryError("registry.toml", [problem]))


@pytest.mark.parametrize(
    "url", ["env:MES", "postgresql://mes@db:5432/mes", "postgresql://postgres:@/x?host=/run"]
)
def test_a_url_without_password_is_fine(url: str) -> None:
    assert parse_registry(f"[database]\nurl = '{url}'").database.url == url


def test_every_problem_is_reported_at_once() -> None:
    found = problems(
        """
        [site]
        nme = "x"
        [api]
        port = 0
        [entities.Part]
        name = "y"
        phase = "1"
        [entities.Lot.relations.part]
        columns = "partId"
        """
    )
    assert {(problem.key, problem.line) for problem in found} == {
        ("site.nme", 3),
        ("api.port", 5),
        ("entities.Part.name", 7),
        ("entities.Part.phase", 8),
        ("entities.Lot.relations.part.entity", 9),
    }


def test_the_message_reads_like_a_compiler() -> None:
    with pytest.raises(RegistryError) as caught:
        parse_registry("[site]\nnme = 'x'", file="plant.toml")
    assert str(caught.value) == "plant.toml:2: site.nme: unknown key (did you mean 'name'?)"


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_is_named_as_text_or_as_a_path(tmp_path: Path, kind: Callable[[str], str | Path]) -> None:
    (tmp_path / "plant.toml").write_text("[entities.Part]", encoding="utf-8")
    assert list(load_registry(kind(f"{tmp_path}/plant.toml")).entities) == ["Part"]


@pytest.mark.parametrize("key", ["id", "partNumber"])
def test_what_identifies_a_record_is_no_time_of_its_change(key: str) -> None:
    with pytest.raises(RegistryError, match="identifies the record"):
        parse_registry(f"[entities.Part]\nbusiness_id = 'partNumber'\nupdated_at = '{key}'")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file") as caught:
        load_registry(tmp_path / "registry.toml")
    assert "dotpeen init" in str(caught.value.hint)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    file.write_bytes(b"[site]\nname = '\xe4'")
    with pytest.raises(ConfigurationError, match="not UTF-8 at byte 15"):
        load_registry(file)


def test_a_folder_is_no_registry(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="directory"):
        load_registry(tmp_path)


VALUES = st.recursive(
    st.sampled_from(
        ["1", "-1", "1.5", "nan", "true", "''", "'x'", "'5s'", "'a.b'", "'\"'", "1979-05-27", "[]", "{}"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(["column", "version", "entity", "name"]), inner, max_size=2).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        )
    ),
    max_leaves=4,
)
HEADERS = [
    "site",
    "database",
    "migration",
    "api",
    "plugins.qif",
    "entities.A",
    "entities.B",
    "entities.A.relations.r",
]
KEYS = [
    "name",
    "namespace",
    "url",
    "replicas",
    "lock_timeout",
    "batch_min",
    "port",
    "enabled",
    "table",
    "path",
    "uuid",
]
KEYS += [
    "primary_key",
    "business_id",
    "phase",
    "expose",
    "relations",
    "columns",
    "references",
    "entity",
    "''",
    "x",
]
TABLES = st.dictionaries(
    st.sampled_from([*HEADERS, "entities", "plugins", "x"]),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    max_size=4,
).map(
    lambda tables: "\n".join(
        "\n".join([f"[{header}]", *(f"{key} = {value}" for key, value in body.items())])
        for header, body in tables.items()
    )
)


@given(st.text() | TABLES)
@example("x = " + "[" * 5000)
@example("x = " + "1" * 5000)
@example("entities = 1")
@example("entities.A = 1")
@example("[[entities]]")
@example("[entities.'']")
@example('[entities."a\\u0000"]\n')
@example("plugins.qif = []")
def test_any_text_is_a_registry_or_a_registry_error(text: str) -> None:
    with suppress(RegistryError):
        assert isinstance(parse_registry(text), Registry)


@given(NAMES, NAMES)
def test_a_table_name_is_read_as_it_is_written(schema: str, name: str) -> None:
    table = TableName(schema, name)
    assert TableName.parse(str(table)) == table
    assert parse_registry(f"[entities.A]\ntable = {_toml(str(table))}").entities["A"].table == table


def _toml(text: str) -> str:
    return '"' + "".join(f"\\U{ord(character):08X}" for character in text) + '"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Part", TableName("public", "Part")),
        ("mes.parts", TableName("mes", "parts")),
        ('"odd.schema"."odd""table"', TableName("odd.schema", 'odd"table')),
        ('"Part"', TableName("public", "Part")),
        ('mes."Part"', TableName("mes", "Part")),
    ],
)
def test_table_names(text: str, expected: TableName) -> None:
    assert TableName.parse(text) == expected


@pytest.mark.parametrize("text", ["", ".", "a.", ".b", "a..b", "a.b.c", '"a', 'a"b"', '""', '"a"b'])
def test_what_is_no_table_name(text: str) -> None:
    with pytest.raises(ValueError, match="is no table name"):
        TableName.parse(text)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Part", "parts"),
        ("SerializedPart", "serialized-parts"),
        ("QIFMeasurementPlan", "qif-measurement-plans"),
        ("ECORequest", "eco-requests"),
        ("Assembly", "assemblies"),
        ("Survey", "surveys"),
        ("Process", "processes"),
        ("Batch", "batches"),
        ("Box", "boxes"),
        ("work_order", "work-orders"),
        ("Line2", "line-2s"),
    ],
)
def test_default_path(name: str, path: str) -> None:
    assert default_path(name) == path


def test_select_goes_by_phase_and_then_by_the_file() -> None:
    registry = parse_registry("[entities.B]\nphase = 2\n[entities.C]\n[entities.A]\n")
    assert [entity.name for entity in registry.select()] == ["C", "A", "B"]
    assert [entity.name for entity in registry.select(phase=2)] == ["B"]
    assert [entity.name for entity in registry.select(names=("A", "B"))] == ["A", "B"]


@pytest.mark.parametrize(
    ("selection", "hint"),
    [
        ({"names": ("Z",)}, "registered entities: A"),
        ({"phase": 3}, "phases with entities: 1"),
    ],
)
def test_selecting_nothing_is_an_error(selection: dict[str, object], hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_registry("[entities.A]").select(**selection)  # type: ignore[arg-type]
    assert caught.value.hint == hint
