"""Which instance names a file has, and about where: one byte for each name.

The byte says in which region of the file an instance is. Names are small and dense in real files, so that the
bytes are a table: 14 million instances, a file of a gigabyte, need 14 MB. Names beyond the table go to a
temporary database on disk, which is slower and needs no memory.
"""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from mmap import mmap
from typing import Final

from dotpeen_step.part21 import limits
from dotpeen_step.part21.errors import Part21FileError

TABLE: Final = 20_000_000
"""Names in the table; memory is used where names are."""

REGION: Final = 2 * 1024**2
"""Bytes of the file that are read to find an instance."""

_MARKS: Final = 255
_FEW: Final = 500


class Names:
    """The instance names of a file, taken up in file order."""

    def __init__(self, *, table: int = TABLE, region: int = REGION, file: str = "<names>") -> None:
        """`file` stands in messages."""
        self._file = file
        self._table = mmap(-1, table)  # pages without names take no memory
        self._first: int | None = None
        self._region = region
        self._starts = array("Q")
        self._lows = array("Q")
        self._highs = array("Q")
        self._overflow: _Overflow | None = None

    def add(self, names: Sequence[int], offset: int) -> bool:
        """Take the names of instances that follow each other from `offset` on; False where one is there already.

        After False, `repeated` names it, and the register is of no other use.
        """
        low, high = min(names), max(names)
        if self._first is None:
            self._first = low - len(self._table) // 4 if low > len(self._table) // 2 else 0
        mark = self._mark(offset, low, high)
        first = self._first
        if low < first or high >= first + len(self._table):
            beyond = [name for name in names if not self._in_table(name)]
            names = [name for name in names if self._in_table(name)]
            if self._overflow is None:
                self._overflow = _Overflow(self._file)
            if not self._overflow.add(beyond, offset):
                return False
            if not names:
                return True
            low, high = min(names), max(names)
        return self._tabulate(names, low - first, high - first + 1, mark)

    def _tabulate(self, names: Sequence[int], start: int, end: int, mark: int) -> bool:
        if len(set(names)) < len(names):
            return False
        if end - start == len(names):  # a run of names, as most writers number them
            if any(self._table[start:end]):
                return False
            self._table[start:end] = bytes((mark,)) * (end - start)
            return True
        places = [name - self._first for name in names] if self._first else names
        if any(map(self._table.__getitem__, places)):
            return False
        deque(map(self._table.__setitem__, places, repeat(mark)), 0)
        return True

    def _in_table(self, name: int) -> bool:
        return 0 <= name - (self._first or 0) < len(self._table)

    def _mark(self, offset: int, low: int, high: int) -> int:
        if not self._starts or offset >= self._starts[-1] + self._region:
            self._starts.append(offset)
            self._lows.append(low)
            self._highs.append(high)
        else:
            self._lows[-1] = min(self._lows[-1], low)
            self._highs[-1] = max(self._highs[-1], high)
        return (len(self._starts) - 1) % _MARKS + 1

    def repeated(self, names: Sequence[int], offset: int) -> int:
        """Return the first of the names, for which `add` returned False, that was there before."""
        seen: set[int] = set()
        stored = {} if self._overflow is None else self._overflow.offsets(set(names))
        for name in names:
            before = self._table[name - (self._first or 0)] if self._in_table(name) else 0
            if before or name in seen or stored.get(name, offset) != offset:
                return name
            seen.add(name)
        raise ValueError("no name is there twice")

    def known(self, names: Collection[int]) -> set[int]:
        """Return those of `names` that the file has."""
        first, table = self._first or 0, self._table
        found = {name for name in names if self._in_table(name) and table[name - first]}
        if self._overflow is not None:
            found |= self._overflow.offsets(set(names) - found).keys()
        return found

    def regions(self, names: Collection[int]) -> dict[tuple[int, int | None], set[int]]:
        """Return where these names may be: offsets of regions from and to, None for the end of the file."""
        first, table = self._first or 0, self._table
        places: dict[tuple[int, int | None], set[int]] = {}
        for name in names:
            if self._in_table(name) and (mark := table[name - first]):
                for region in range(mark - 1, len(self._starts), _MARKS):
                    if self._lows[region] <= name <= self._highs[region]:
                        places.setdefault(self._bounds(region), set()).add(name)
        if self._overflow is not None:
            for name, offset in self._overflow.offsets(set(names)).items():
                region = bisect_right(self._starts, offset) - 1
                places.setdefault(self._bounds(region), set()).add(name)
        return places

    def _bounds(self, region: int) -> tuple[int, int | None]:
        following = region + 1
        return self._starts[region], self._starts[following] if following < len(self._starts) else None

    def greatest(self) -> int:
        """Return the greatest name, 0 where there is none."""
        return max(self._highs, default=0)

    def close(self) -> None:
        """Give back the memory, and remove what is on disk."""
        self._table.close()
        if self._overflow is not None:
            self._overflow.close()
            self._overflow = None


@contextmanager
def _stored(file: str) -> Iterator[None]:
    """Say of a database that can't be written or read whose it is. Raises `Part21FileError`."""
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        reason = "the folder for temporary files is full" if full else str(error)
        raise Part21FileError(
            file,
            f"its instance names can't be kept in a temporary database: {reason}",
            hint="free some space there, or name another folder in the environment variable SQLITE_TMPDIR",
        ) from error


class _Overflow:
    """Names and the offsets they came with, in a temporary database that is gone when it is closed."""

    def __init__(self, file: str) -> None:
        self._file = file
        with _stored(file):
            self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            for statement in (
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                "PRAGMA cache_size = -4000",
                "CREATE TABLE name (name INTEGER PRIMARY KEY, at INTEGER NOT NULL)",
                "BEGIN",
            ):
                self._database.execute(statement)

    def add(self, names: Sequence[int], offset: int) -> bool:
        before = self._database.total_changes
        rows = zip(sorted(names), repeat(offset), strict=False)
        with _stored(self._file):
            self._database.executemany("INSERT OR IGNORE INTO name VALUES (?, ?)", rows)
        return self._database.total_changes - before == len(names)

    def offsets(self, names: set[int]) -> dict[int, int]:
        with _stored(self._file):
            return dict(self._found(sorted(name for name in names if 0 <= name <= limits.NAME)))

    def _found(self, names: list[int]) -> Iterator[tuple[int, int]]:
        for start in range(0, len(names), _FEW):
            some = names[start : start + _FEW]
            query = f"SELECT name, at FROM name WHERE name IN ({', '.join('?' * len(some))})"  # noqa: S608
            yield from self._database.execute(query, some)

    def close(self) -> None:
        self._database.close()
