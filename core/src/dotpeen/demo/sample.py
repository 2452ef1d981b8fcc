"""A believable MES database: the tables of MachShop as Prisma makes them, filled without chance.

The SQL stands beside this module: schema.sql (tables), indexes.sql (indexes and foreign keys) and
rows.sql (one INSERT for each table).
"""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row, tuple_row

SHARES: Final[dict[str, int]] = {
    "Supplier": 10,
    "Customer": 10,
    "Material": 10,
    "Equipment": 15,
    "Part": 80,
    "Operation": 400,
    "MaterialLot": 300,
    "WorkOrder": 400,
    "SerializedPart": 1800,
    "QIFMeasurementPlan": 120,
    "QIFCharacteristic": 720,
    "QIFMeasurementResult": 6015,
    "ECORequest": 120,
}
"""Rows of each table in ten thousand, in the order of loading: parents before children."""

TABLES: Final[tuple[str, ...]] = tuple(SHARES)

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"

# One INSERT; a few seconds of work, which is how often progress is worth showing.
BATCH: Final = 250_000

_DROPPABLE: Final = """
SELECT r.relname, 'constraint' AS kind, k.conname AS name
  FROM pg_constraint AS k JOIN pg_class AS r ON r.oid = k.conrelid
 WHERE k.contype = 'f'
   AND r.relnamespace = quote_ident(current_schema())::regnamespace AND r.relname = ANY(%(tables)s)
UNION ALL
SELECT r.relname, 'index', x.relname
  FROM pg_index AS i JOIN pg_class AS r ON r.oid = i.indrelid JOIN pg_class AS x ON x.oid = i.indexrelid
 WHERE NOT i.indisprimary
   AND r.relnamespace = quote_ident(current_schema())::regnamespace AND r.relname = ANY(%(tables)s)
 ORDER BY kind, name
"""


def create_schema(connection: psycopg.Connection[Any], *, schema: str = "public") -> None:
    """Create the thirteen empty tables, with every index and foreign key, in `schema`."""
    with connection.transaction():
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        with _inside(connection, schema):
            connection.execute(_resource("schema.sql"))
            connection.execute(_resource("indexes.sql"))


def fill(
    connection: psycopg.Connection[Any],
    rows: int,
    *,
    seed: int = 0,
    schema: str = "public",
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, int]:
    """Fill the empty tables with `rows` rows in all and return the number given to each table.

    The same rows and seed give the same bytes on every server. All happens in one transaction:
    after an interruption the tables are as empty as before. `progress` is called after every
    batch with the table and the number of its rows written so far. Raises ValueError when a row
    for each table isn't even asked for, or when there are rows already.
    """
    counts = distribute(rows)
    sections = _sections()
    with connection.transaction(), _inside(connection, schema):
        _require_empty(connection)
        _drop_indexes(connection)
        connection.execute(sections["functions"])
        for table, count in counts.items():
            for first in range(0, count, BATCH):
                last = min(first + BATCH, count) - 1
                parameters = {**counts, "first": first, "last": last, "seed": str(seed)}
                connection.execute(sections[table], parameters)
                if progress is not None:
                    progress(table, last + 1)
            # The next table's plan is made from these figures.
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
        connection.execute(_resource("indexes.sql"))
    return counts


def distribute(rows: int) -> dict[str, int]:
    """Return how many of `rows` rows each table gets: at least one, the results all that is left over."""
    if rows < len(TABLES):
        raise ValueError(
            f"{rows} rows are too few: a sample has {len(TABLES)} tables, each with a row or more"
        )
    spare = rows - len(TABLES)
    counts = {table: 1 + spare * share // 10_000 for table, share in SHARES.items()}
    counts["QIFMeasurementResult"] += rows - sum(counts.values())
    return counts


def new_cuid() -> str:
    """Return a new CUID: `c`, the time in eight digits of base 36, sixteen random digits."""
    milliseconds = time.time_ns() // 1_000_000
    stamp = ""
    for _ in range(8):
        milliseconds, digit = divmod(milliseconds, 36)
        stamp = _DIGITS[digit] + stamp
    return "c" + stamp + "".join(secrets.choice(_DIGITS) for _ in range(16))


@contextmanager
def _inside(connection: psycopg.Connection[Any], schema: str) -> Iterator[None]:
    """Let unqualified names mean `schema`, and give the load some memory, until the end of the block."""
    settings = {
        "search_path": sql.Identifier(schema).as_string(connection),
        # Compiling a batch's expressions costs more than it saves; joins and builds stay off the disk.
        "jit": "off",
        "work_mem": "64MB",
        "maintenance_work_mem": "256MB",
    }
    before = {name: _setting(connection, name) for name in settings}
    _configure(connection, settings)
    yield
    _configure(connection, before)


def _setting(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.cursor(row_factory=scalar_row).execute("SELECT current_setting(%s)", [name]).fetchone()
    return str(row)


def _configure(connection: psycopg.Connection[Any], settings: dict[str, str]) -> None:
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])


def _require_empty(connection: psycopg.Connection[Any]) -> None:
    for table in TABLES:
        query = sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(table))
        if connection.execute(query).rowcount:
            raise ValueError(f'"{table}" has rows already: the sample is for empty tables')


def _drop_indexes(connection: psycopg.Connection[Any]) -> None:
    """Drop all that indexes.sql creates: building it over loaded tables takes a third of the time."""
    cursor = connection.cursor(row_factory=tuple_row)
    for table, kind, name in cursor.execute(_DROPPABLE, {"tables": list(TABLES)}).fetchall():
        if kind == "constraint":
            statement = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                sql.Identifier(table), sql.Identifier(name)
            )
        else:
            statement = sql.SQL("DROP INDEX {}").format(sql.Identifier(name))
        connection.execute(statement)


def _sections() -> dict[str, bytes]:
    """Return the statements of rows.sql by the name in the comment above each."""
    _, *parts = re.split(r"^-- section: (\w+)\n", _resource("rows.sql").decode(), flags=re.MULTILINE)
    return {name: body.encode() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _resource(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()
