"""Numbers about requests, in memory that all processes of one server share.

Whichever process is asked for them answers for all. A process that is killed takes no count with it, and the one
started in its place counts on, so that counters never fall. Each process writes to a slot of its own, without locks:
a request costs three additions. (prometheus_client's files for the same purpose cost ten times that.)
"""

from __future__ import annotations

import json
import mmap
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram in seconds; beyond them is one bucket more."""

Series: TypeAlias = tuple[str, ...]
"""What is counted: the kind of number, then its labels."""

REQUESTS: Final = "requests"
SECONDS: Final = "seconds"
RESTARTS: Final = "restarts"
_GAUGE: Final = "gauge "
IN_FLIGHT: Final = _GAUGE + "in flight"

_NAMES_BYTES: Final = 4 << 20
_CELLS_BYTES: Final = 4 << 20
_SLOT_BYTES: Final = _NAMES_BYTES + _CELLS_BYTES
"""Reserved, not used: pages that nobody wrote to take no memory."""
_LENGTH: Final = struct.Struct("=Q")
_HISTOGRAM: Final = len(BOUNDS) + 2
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})


class Slot:
    """The numbers of one process: names that are only ever added, each with a few cells."""

    def __init__(self, memory: memoryview) -> None:
        self._names = memory[:_NAMES_BYTES]
        self.cells: memoryview[float] = memory[_NAMES_BYTES:].cast("d")
        self._places: dict[Series, tuple[int, int]] = {}
        self._read = _LENGTH.size
        self._used = 0

    def place(self, series: Series, width: int = 1) -> int:
        """Return the first cell of a series, which is made unless it is there."""
        self._look()
        if series in self._places:
            return self._places[series][0]
        line = json.dumps([width, *series]).encode() + b"\n"
        if self._read + len(line) > _NAMES_BYTES or self._used + width > len(self.cells):
            raise MemoryError("more routes than there is room to count them")
        start = self._used
        self._names[self._read : self._read + len(line)] = line
        # Last, so that a name is either all there or not at all, whenever this process dies.
        _LENGTH.pack_into(self._names, 0, self._read + len(line))
        self._look()
        return start

    def values(self) -> Iterator[tuple[Series, list[float]]]:
        """Every series with its cells as they are now."""
        self._look()
        for series, (start, width) in self._places.items():
            yield series, [self.cells[cell] for cell in range(start, start + width)]

    def gauge(self, kind: str, values: Mapping[Series, float]) -> None:
        """Set the gauges of a kind; those that are not named become zero."""
        kind = _GAUGE + kind.removeprefix(_GAUGE)
        for labels in values:
            self.place((kind, *labels))
        for series, (start, _) in self._places.items():
            if series[0] == kind:
                self.cells[start] = values.get(series[1:], 0.0)

    def forget_gauges(self) -> None:
        """What a process that is no more had at hand."""
        self._look()
        for series, (start, _) in self._places.items():
            if series[0].startswith(_GAUGE):
                self.cells[start] = 0.0

    def _look(self) -> None:
        end = _LENGTH.unpack_from(self._names)[0]
        if end <= self._read:
            return
        for line in bytes(self._names[self._read : end]).splitlines():
            width, *series = json.loads(line)
            self._places[tuple(series)] = (self._used, width)
            self._used += width
        self._read = end


class Board:
    """The slots of the processes of one server, and one more for what the first process counts about the others.

    Make it before the processes are forked.
    """

    def __init__(self, processes: int = 1) -> None:
        self._memory = memoryview(mmap.mmap(-1, (processes + 1) * _SLOT_BYTES))
        self.slots = tuple(
            Slot(self._memory[start : start + _SLOT_BYTES])
            for start in range(0, len(self._memory), _SLOT_BYTES)
        )

    @property
    def supervisor(self) -> Slot:
        """Where the process that starts the others counts."""
        return self.slots[-1]

    def totals(self) -> dict[Series, list[float]]:
        """Every series, added up over the processes."""
        found: dict[Series, list[float]] = {}
        for slot in self.slots:
            for series, cells in slot.values():
                known = found.get(series)
                found[series] = cells if known is None else [a + b for a, b in zip(known, cells, strict=True)]
        return found


class Figures:
    """What this process counts."""

    def __init__(self, board: Board | None = None, *, slot: int = 0) -> None:
        self.board = board or Board()
        self._slot = self.board.slots[slot]
        self._slot.forget_gauges()
        self._cells = self._slot.cells
        self._places: dict[tuple[str, str, int], tuple[int, int]] = {}
        self.under_way: dict[int, dict[str, Any]] = {}
        """The state of each request that is being answered; its route is known once it was found."""
        self.draining = False
        """The server is about to end."""

    def finished(self, method: str, template: str, entity: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        try:
            count, histogram = self._places[method, template, status]
        except KeyError:
            count, histogram = self._place(method, template, entity, status)
        cells = self._cells
        cells[count] += 1.0
        cells[histogram + bisect_left(BOUNDS, seconds)] += 1.0
        cells[histogram + _HISTOGRAM - 1] += seconds

    def publish(self, gauges: Mapping[str, float]) -> None:
        """Let the other processes know what is at hand in this one: `gauges`, and the requests under way."""
        routes = Counter(_labels(state.get("route")) for state in list(self.under_way.values()))
        self._slot.gauge(IN_FLIGHT, {labels: float(count) for labels, count in routes.items()})
        for kind, value in gauges.items():
            self._slot.gauge(kind, {(): value})

    def _place(self, method: str, template: str, entity: str, status: int) -> tuple[int, int]:
        # A method may be any word that a client thinks of.
        known = method if method in _METHODS else "other"
        place = (
            self._slot.place((REQUESTS, known, template, entity, str(status))),
            self._slot.place((SECONDS, known, template, entity), _HISTOGRAM),
        )
        self._places[method, template, status] = place
        return place


def _labels(route: Any) -> Series:
    if route is None:
        return ("", "")
    return (route.template, route.shape.entity.name if route.shape else "")
