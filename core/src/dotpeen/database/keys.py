"""A record's key as one text, the same on every server: what sidecars and ledgers are keyed by, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import sql


def key_expression(alias: str, columns: Sequence[str], types: Mapping[str, str]) -> sql.Composed:
    """One column: its text. Several: a JSON array of their texts. `types` as `format_type` writes them.

    Compared byte by byte, as `dotpeen.identity` and `dotpeen.issued` do, whatever the columns' own collations.
    """
    texts = [column_text(sql.Identifier(alias, name), types.get(name, "text")) for name in columns]
    if len(texts) == 1:
        return sql.SQL('({}) COLLATE pg_catalog."C"').format(texts[0])
    return sql.SQL('(pg_catalog.jsonb_build_array({})::text) COLLATE pg_catalog."C"').format(
        sql.SQL(", ").join(texts)
    )


def column_text(column: sql.Composable, type_name: str) -> sql.Composable:
    """The column's value as text that depends on no setting of the session."""
    # A date's text depends on the session's DateStyle and TimeZone; keys must not.
    if type_name.startswith("timestamp") and type_name.endswith("with time zone"):
        return _dated(sql.SQL("({} AT TIME ZONE 'UTC')").format(column), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    if type_name.startswith("timestamp"):
        return _dated(column, 'YYYY-MM-DD"T"HH24:MI:SS.US')
    if type_name == "date":
        return _dated(column, "YYYY-MM-DD")
    if type_name == "bytea":
        return sql.SQL("pg_catalog.encode({}, 'hex')").format(column)
    return sql.SQL("{}::text").format(column)


def _dated(moment: sql.Composable, form: str) -> sql.Composed:
    # to_char gives NULL for infinity, which is how temporal keys write "until further notice".
    return sql.SQL("coalesce(pg_catalog.to_char({moment}, {form}), {moment}::text)").format(
        moment=moment, form=sql.Literal(form)
    )
