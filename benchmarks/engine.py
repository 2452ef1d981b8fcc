"""The backfill stage through the real runner, in a process of its own, timed by its own events.

Run by `backfill.py`; prints when the stage began and ended, by the clock that all processes share.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

from plant import TABLE, registry

from dotpeen.migration import Runner
from dotpeen.migration.events import Event, RowsDone, StageCompleted, Waiting
from dotpeen.migration.model import Stage


class Watch:
    """Remembers when the stage began and ended, and its batches."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.ended: float | None = None
        self.rows = 0
        self.batches: list[float] = []
        self.batch_rows = 0
        self.waits: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageCompleted) and event.stage is Stage.EXPAND:
            self.began = time.monotonic()
        elif isinstance(event, StageCompleted) and event.stage is Stage.BACKFILL:
            self.ended = time.monotonic()
        elif isinstance(event, RowsDone):
            self.rows += event.rows
            self.batches.append(event.seconds)
            self.batch_rows = event.batch_rows
        elif isinstance(event, Waiting) and event.reason is not None:
            self.waits[event.reason] += 1


def main() -> None:
    url, storage, workers = sys.argv[1:4]
    declared = registry(storage)  # type: ignore[arg-type]
    watch = Watch()
    with Runner(url, declared, [declared.entities[TABLE]], notify=watch) as runner:
        if int(workers) == 0:
            runner.up(to=Stage.EXPAND)
            return
        runner.up(to=Stage.BACKFILL, workers=int(workers))
    ordered = sorted(watch.batches) or [0.0]
    print(
        json.dumps(
            {
                "began": watch.began,
                "ended": watch.ended,
                "rows": watch.rows,
                "batches": len(watch.batches),
                "batch_rows": watch.batch_rows,
                "batch_p50_ms": round(1000 * ordered[len(ordered) // 2], 1),
                "batch_p99_ms": round(1000 * ordered[int(0.99 * (len(ordered) - 1))], 1),
                "batch_max_ms": round(1000 * ordered[-1], 1),
                "waits": watch.waits,
            }
        )
    )


if __name__ == "__main__":
    main()
