"""Results on their way to the temporary tables: the many, read one by one and held in memory by the thousand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid5

from dotpeen.database import Connection
from dotpeen_qif import store
from dotpeen_qif.exporting.results import results_uuid
from dotpeen_qif.importing.alike import Alike
from dotpeen_qif.importing.copying import BATCH, NULL, Rows, flag, text
from dotpeen_qif.importing.measured import Context, Precision, derived, moment, row_of, unusual
from dotpeen_qif.importing.source import Source
from dotpeen_qif.importing.targets import Role
from dotpeen_qif.model import Measurement, Results, Sample

_SAMPLES: Final = 1000
_OFTEN: Final = 50
"""Measurements of a set between looks at how many rows are waiting."""
NO: Final = "f"
_RESULT: Final = (
    *("n", "file", "line", "position", "results_n", "given", "stated", "key", "item_file", "item_document"),
    *("item_ref", "actual_ref", "value", "factor", "quantity", "status", "device", "operator", "at", "said"),
    "attribute",
)
_SETS: Final = (
    "n",
    "file",
    "line",
    "position",
    "uuid",
    "plan",
    "order_ref",
    "actual_ref",
    "own",
    "at",
    "said",
)


@dataclass(frozen=True)
class Set:
    """A set of results that doesn't say what was measured."""

    uuid: str
    ref: str
    line: int


@dataclass
class Read:
    """What was read of one document."""

    count: int = 0
    """Sets of results."""
    unnamed: list[Set] = field(default_factory=list)


class Sets:
    """The sets of results of all files, and their measurements."""

    def __init__(
        self,
        connection: Connection,
        number_of: Callable[[], int],
        key: Callable[[Role], Callable[[], str]],
        ordered: Callable[[Source, Results], str],
        precision: Precision,
        cited: Mapping[str, Mapping[str, str]],
    ) -> None:
        """`ordered` puts the work order of a set of results into its table and returns its reference.

        `precision` is that of the column of measured values, `cited` what documents that are not among the files call
        their characteristics.
        """
        self._cited = cited
        self._precision = precision
        self._next = number_of
        self._key = key
        self._ordered = ordered
        self._sets = Rows(connection, "qif_results", _SETS)
        self._rows = Rows(connection, "qif_result", _RESULT)
        self._samples: dict[int, tuple[Sample, Alike]] = {}
        self._sample: tuple[Sample, Alike] | None = None
        self.measurements = 0

    def read(self, source: Source, documents: Mapping[str, Source], order: str | None) -> Read:
        """Read a document's results to their end. `order` is the reference of its work order."""
        document = source.document
        devices = {device.key: device.name for device in document.devices}
        context = Context(source, documents, devices, self._precision, self._cited)
        cited = document.traceability.plans if document.traceability is not None else ()
        read = Read()
        for position, results in enumerate(document.results):
            read.count += 1
            uuid = results.uuid or str(uuid5(UUID(document.qpid), f"results:{position}"))
            n = self._next()
            nameless = f"results {n}"
            # One thing was measured, several were, or nobody says what.
            only = results.actuals[0] if len(results.actuals) == 1 else None if results.actuals else nameless
            if only is nameless:
                read.unnamed.append(Set(uuid, nameless, results.line))
            plan = results.plan.plan if results.plan else cited[0].plan if len(cited) == 1 else None
            special = self._measurements(context, results, uuid, n, only)
            ordered = order
            if results.order is not None or results.order_uuid is not None:
                ordered = self._ordered(source, results)
            # Sets that the export would make by itself needn't be kept.
            own = not special and uuid == results_uuid(context.uuid_of(only), plan, results.order_uuid)
            self._sets.add(
                *(str(n), str(source.file), str(results.line), str(position), uuid, plan or NULL),
                *(text(ordered), NULL if only is None else text(f"{source.file}:{only}"), flag(own)),
                *(moment(results.at or document.created), text(json.dumps(store.said(results)))),
            )
        self._sets.flush()
        self._rows.flush()
        return read

    def _measurements(self, context: Context, results: Results, uuid: str, n: int, only: str | None) -> bool:
        """Read the measurements of one set; returns whether one of them says what the MES has no column for."""
        file = context.source.file
        space = UUID(uuid).bytes
        repeated: Counter[str] = Counter()
        add, number_of, key = self._rows.line, self._next, self._key("result")
        before: Sample | None = None
        alike: Alike | None = None
        found = False
        default = NULL if only is None else f"{file}:{text(only)}"
        position = -1
        for position, one in enumerate(results.measurements if results.skimmed is None else results.skimmed):
            row, said, judged = None, NULL, NO
            if isinstance(one, tuple):
                sample, values, line = one
                if sample is not before:
                    before, alike = sample, self._alike(context, sample)
                row = alike.row(values, results.operator) if alike is not None else None
                if row is None:
                    one = sample.model(values, line)
            if isinstance(one, Measurement):
                row, line, judged = (
                    row_of(context, one, results.operator),
                    one.line,
                    flag(one.text is not None),
                )
                if unusual(context, one):
                    found, said = True, text(json.dumps(store.said(one)))
            assert row is not None  # noqa: S101
            given, called, item, actual, measured = row
            stated = "t"
            if given is None:
                stated = NO
                repeated[called] += 1
                given = derived(space, f"{called}:{repeated[called]}")
            add(
                f"{number_of()}\t{file}\t{line}\t{position}\t{n}\t{given}\t{stated}\t{key()}\t{item}"
                f"\t{default if not actual else f'{file}:{text(actual)}'}\t{measured}\t{said}\t{judged}"
            )
            if position % _OFTEN == 0 and self._rows.waiting >= BATCH:
                self._rows.flush()
        self.measurements += position + 1
        return found

    def _alike(self, context: Context, sample: Sample) -> Alike | None:
        """Return what makes the rows of a sample, None where nothing does; there are few of them at a time."""
        if self._sample is None or self._sample[0] is not sample:
            known = self._samples.get(id(sample))
            if known is None or known[0] is not sample:
                if len(self._samples) > _SAMPLES:
                    self._samples.clear()
                known = self._samples[id(sample)] = (sample, Alike(context, sample))
            self._sample = known
        alike = self._sample[1]
        return alike if alike.usable else None
