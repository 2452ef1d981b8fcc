"""What a measurement cost besides time: CPU by process, WAL, input and output, growth; and who else was busy."""

from __future__ import annotations

import os
import resource
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plant import Connection, Server, sizes

_TICK = os.sysconf("SC_CLK_TCK")
_AUXILIARY = (
    "checkpointer",
    "background writer",
    "walwriter",
    "io worker",
    "autovacuum",
    "logger",
    "startup",
)


@dataclass(frozen=True)
class Reading:
    """One reading; the difference of two is a measurement."""

    values: dict[str, float]

    def since(self, before: Reading) -> dict[str, float]:
        return {name: round(value - before.values.get(name, 0), 3) for name, value in self.values.items()}


def read(server: Server, connection: Connection) -> Reading:
    """Read every gauge now; statistics of sessions that still run are at most a second behind."""
    values = cpu(server.postmaster) | _statistics(server, connection)
    values["heap_bytes"], values["index_bytes"] = sizes(connection)
    return Reading(values)


def cpu(postmaster: int) -> dict[str, float]:
    """CPU seconds so far: of the server, of this process and its ended children, of the whole machine."""
    seconds: defaultdict[str, float] = defaultdict(float)
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds["cpu_client"] = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    # The postmaster counts what its ended children used.
    used, ended = times(postmaster)
    total = used + ended
    for pid in _children(postmaster):
        try:
            spent = sum(times(pid))
            title = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0", 1)[0].decode(errors="replace")
        except OSError:
            continue
        total += spent
        for name in _AUXILIARY:
            if name in title:
                seconds[f"cpu_{name.replace(' ', '_')}"] += spent
    seconds["cpu_server"] = total
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if fields[0] == "cpu":
            user, nice, system, _idle, iowait, irq, softirq, steal = (
                int(field) / _TICK for field in fields[1:9]
            )
            seconds["cpu_machine"] = user + nice + system + irq + softirq
            seconds["cpu_steal"] = steal
            seconds["cpu_iowait"] = iowait
    return dict(seconds)


def times(pid: int) -> tuple[float, float]:
    """CPU seconds of a process, and of those of its children that have ended."""
    fields = (
        Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    )
    user, system, children_user, children_system = (int(field) / _TICK for field in fields[11:15])
    return user + system, children_user + children_system


def _children(pid: int) -> list[int]:
    return [
        int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    ]


def _statistics(server: Server, connection: Connection) -> dict[str, float]:
    connection.execute("SELECT pg_stat_clear_snapshot()")
    values: dict[str, float] = {}
    values |= _row(
        connection, "SELECT wal_records, wal_fpi, wal_bytes::bigint, wal_buffers_full FROM pg_stat_wal"
    )
    values |= _row(
        connection,
        "SELECT n_tup_upd AS updates, n_tup_hot_upd AS hot_updates, autovacuum_count AS autovacuums"
        " FROM pg_stat_user_tables WHERE relname = 'Measurement'",
    )
    if server.version >= 170000:
        values |= _row(
            connection,
            "SELECT num_timed + num_requested AS checkpoints, buffers_written AS checkpoint_buffers,"
            " write_time::float8 / 1000 AS checkpoint_write_s, sync_time::float8 / 1000 AS checkpoint_sync_s"
            " FROM pg_stat_checkpointer",
        )
    if server.version >= 160000:
        for name, *figures in connection.execute(
            "SELECT backend_type, sum(reads)::float8, sum(writes)::float8, sum(extends)::float8,"
            " sum(evictions)::float8, sum(hits)::float8, sum(read_time) / 1000, sum(write_time) / 1000,"
            " sum(extend_time) / 1000, sum(fsync_time) / 1000 FROM pg_stat_io"
            + (" WHERE object <> 'wal'" if server.version >= 180000 else "")
            + " GROUP BY backend_type HAVING backend_type IN"
            " ('client backend', 'checkpointer', 'background writer', 'autovacuum worker')"
        ):
            kinds = (
                "reads",
                "writes",
                "extends",
                "evictions",
                "hits",
                "read_s",
                "write_s",
                "extend_s",
                "fsync_s",
            )
            for kind, figure in zip(kinds, figures, strict=True):
                values[f"{name.replace(' ', '_')}_{kind}"] = figure or 0
    if server.version >= 180000:
        values |= _row(
            connection,
            "SELECT coalesce(sum(writes), 0)::float8 AS wal_writes, coalesce(sum(write_time) / 1000, 0) AS wal_write_s,"
            " coalesce(sum(fsyncs), 0)::float8 AS wal_fsyncs, coalesce(sum(fsync_time) / 1000, 0) AS wal_fsync_s"
            " FROM pg_stat_io WHERE object = 'wal'",
        )
    return values


def _row(connection: Connection, query: str) -> dict[str, Any]:
    cursor = connection.execute(query.encode())
    row = cursor.fetchone()
    names = [column.name for column in cursor.description or ()]
    return dict(zip(names, row, strict=True)) if row else {}
