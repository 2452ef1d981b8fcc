"""Guess a table's identifiers: the business identifier that people use, and the UUID column it may have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from dotpeen.database.catalog import Column, Table
from dotpeen.proposal.names import singular, style, words
from dotpeen.proposal.tables import AUDIT, foreign_key_columns, row_key

_TEXT: Final = re.compile(r"text|citext|character varying(\(\d+\))?|character\(\d+\)")
_UUID_TYPE: Final = re.compile(r"uuid|text|character varying(\((3[6-9]|[4-9]\d|\d{3,})\))?")
"""Types that hold a UUID and are found by it; comparing character(36) with text ignores its index."""
_WHOLE_NUMBER: Final = re.compile(r"smallint|integer|bigint|numeric(\(\d+(,0)?\))?")
_SPOKEN: Final = {
    word: weight
    for weight, listed in (
        (9, "number serial sku"),
        (8, "num no nr code sn mpn"),
        (7, "tag barcode identifier ean gtin"),
        (6, "lot batch reference ref"),
        (4, "key symbol"),
        (2, "label name"),
        (1, "title"),
    )
    for word in listed.split()
}
"""Words that name what people read out: how much each speaks for a column."""
_PRIVATE: Final = frozenset(
    "token secret password passwd hash salt pin email mail phone mobile ssn iban".split()  # noqa: SIM905
)
"""Words of columns that must not become an identifier: partners see the business identifier."""
_NEUTRAL: Final = frozenset(
    "uuid guid id persistent permanent global unique external public record row object entity mes own".split()  # noqa: SIM905
)
"""Words that say no more about a UUID column than that it identifies the row it is in."""
_CAST: Final = r"\)*(?:::(?:text|character varying))*"
_GENERATORS: Final = (
    (re.compile(r"\(*(?:[\w\"]+\.)?(?:gen_random_uuid|uuid_generate_v4|uuidv4)\(\)" + _CAST), 4),
    (re.compile(r"\(*(?:[\w\"]+\.)?(?:uuidv7|uuid_v7|uuid_generate_v7)\(\)" + _CAST), 7),
)


@dataclass(frozen=True)
class BusinessId:
    """The guess and what speaks for it; `columns` is empty where nothing unique was found."""

    columns: tuple[str, ...]
    reason: str
    alternatives: tuple[tuple[str, ...], ...] = ()
    candidate: tuple[str, ...] = ()
    """Reads like one, but the database does not keep it unique."""


@dataclass(frozen=True)
class UuidGuess:
    """Where the UUID is to live."""

    column: str
    type: Literal["uuid", "text"]
    version: int
    reason: str
    exists: bool
    storage: Literal["column", "sidecar"] = "column"
    foreign_default: bool = False
    """The column has a default that makes no UUID of version 4 or 7."""
    others: tuple[str, ...] = ()
    """Further columns that hold UUIDs, of other things or in doubt."""


def guess_business_id(table: Table, uuid_column: str) -> BusinessId:
    """Choose among the unique indexes; a single readable text column is best."""
    key = set(row_key(table))
    unique: dict[tuple[str, ...], tuple[float, str]] = {}
    for index in table.indexes:
        columns = tuple(name for name in index.columns if name is not None and name in table.columns)
        if len(columns) != len(index.columns) or not columns or not index.covers_exactly(columns):
            continue
        score = _score(table, columns, uuid_column)
        # A unique index that only adds columns to the key says nothing new.
        if score is None or key <= set(columns):
            continue
        unique.setdefault(columns, (score, index.name))
    ranked = sorted(unique, key=lambda columns: (-unique[columns][0], columns))
    # (serial, part) is no identifier of its own where the serial alone is unique.
    ranked = [one for one in ranked if not any(set(other) < set(one) for other in ranked)]
    best = next((columns for columns in ranked if unique[columns][0] > 0), None)
    if best is not None:
        empty = [name for name in best if not table.columns[name].not_null]
        reason = f"unique index {unique[best][1]}" + (f"; {empty[0]} may be empty" if empty else "")
        return BusinessId(best, reason, tuple(one for one in ranked if one != best))
    spoken = [
        (score, name)
        for name in table.columns
        if name not in key and (score := _score(table, (name,), uuid_column)) is not None and score >= 11
    ]
    candidate = (max(spoken, key=lambda pair: (pair[0], pair[1]))[1],) if spoken else ()
    return BusinessId((), "the primary key alone is unique", tuple(ranked), candidate)


def _score(table: Table, columns: tuple[str, ...], uuid_column: str) -> float | None:
    """Weigh columns as a business identifier: None for never, 0 or less for an alternative at most."""
    linked = foreign_key_columns(table)
    total = 0.0
    for name in columns:
        column = table.columns[name]
        said = [word.lower() for word in words(name)]
        if (
            column.type == "uuid"
            or name == uuid_column
            or {"uuid", "guid"} & set(said)
            or _PRIVATE & set(said)
        ):
            return None
        spoken = max((_SPOKEN.get(word, 0) for word in said), default=0)
        if name in linked or (len(columns) == 1 and AUDIT.fullmatch(name)):
            if len(columns) == 1:
                return None
            continue
        if _TEXT.fullmatch(column.type):
            total += 4 + spoken
        elif _WHOLE_NUMBER.fullmatch(column.type) and spoken > 2:
            total += spoken / 2
        elif len(columns) == 1:
            return 0 if _WHOLE_NUMBER.fullmatch(column.type) else None
        total += 1 if column.not_null else 0
        # `code` rather than `postal_code`: a further word tells of something else, unless it is the table's.
        own = {singular(word).lower() for word in words(table.name.name)}
        total -= sum(2 for word in said if word not in own and word not in _SPOKEN)
        total += 1 if own & set(said) else 0
    # One column is easier to say than two, however well they are named.
    return total if len(columns) == 1 else min(total / len(columns), 8) / len(columns)


def guess_uuid(table: Table) -> UuidGuess:
    """Adopt the table's own UUID column where one fits; otherwise name a new one in the table's style."""
    holders = [column for column in table.columns.values() if _holds_uuids(table, column)]
    ranked = sorted(holders, key=lambda column: (-_fitness(table, column), column.name))
    others = tuple(column.name for column in ranked)
    if not table.owned:
        reason = f"the table belongs to {table.owner or 'another role'}: it can't be altered"
        return UuidGuess("", "uuid", 4, reason, exists=False, storage="sidecar", others=others)
    chosen = next((column for column in ranked if _fitness(table, column) > 0), None)
    if chosen is not None:
        return UuidGuess(
            chosen.name,
            "uuid" if chosen.type == "uuid" else "text",
            _version(chosen),
            _facts(table, chosen),
            exists=True,
            others=tuple(name for name in others if name != chosen.name),
            foreign_default=chosen.default is not None and _made_version(chosen) is None,
        )
    camel = style(table.columns) == "camel" or _prisma_like(table)
    wanted = "persistentUuid" if camel else "persistent_uuid"
    column, number = wanted, 2
    while column in table.columns:
        column, number = f"{wanted}{number}" if camel else f"{wanted}_{number}", number + 1
    reason = f"a new column, {'camelCase' if camel else 'snake_case'} like the table"
    return UuidGuess(column, "uuid", 4, reason, exists=False, others=others)


def _prisma_like(table: Table) -> bool:
    # `Part(id, status)` has no column of two words: the table's capital says which world it comes from.
    return (
        table.name.name[:1].isupper()
        and not table.name.name.isupper()
        and not any("_" in name for name in table.columns)
    )


def _holds_uuids(table: Table, column: Column) -> bool:
    named = bool({"uuid", "guid"} & {word.lower() for word in words(column.name)})
    if column.name in row_key(table) or column.name in foreign_key_columns(table) or column.generated:
        return False
    return column.type == "uuid" or (named and _TEXT.fullmatch(column.type) is not None)


def _fitness(table: Table, column: Column) -> float:
    """Weigh a UUID column as the identity of its row; 0: it may well be that of something else."""
    said = [word.lower() for word in words(column.name)]
    own = {singular(word).lower() for word in words(table.name.name)} | {
        word.lower() for word in words(table.name.name)
    }
    named = bool({"uuid", "guid"} & set(said))
    unique = any(index.covers_exactly([column.name]) for index in table.indexes)
    if not _UUID_TYPE.fullmatch(column.type):
        return 0
    neutral = bool(said) and named and all(word in _NEUTRAL or word in own for word in said)
    if not (neutral or (unique and (column.not_null or column.default is not None))):
        return 0
    return (
        (4 if neutral else 0)
        + (2 if "persistent" in said else 0)
        + (2 if unique else 0)
        + (1 if column.not_null else 0)
        + (1 if column.default is not None else 0)
        + (1 if column.type == "uuid" else 0)
    )


def _version(column: Column) -> int:
    return _made_version(column) or 4


def _made_version(column: Column) -> int | None:
    return next((version for form, version in _GENERATORS if form.fullmatch(column.default or "")), None)


def _facts(table: Table, column: Column) -> str:
    unique = next((index.name for index in table.indexes if index.covers_exactly([column.name])), None)
    facts = [
        f"exists as {column.type}",
        "never null" if column.not_null else "may be null",
        f"default {column.default}" if column.default is not None else "no default",
        f"unique index {unique}" if unique else "not unique in the database",
    ]
    return ", ".join(facts)
