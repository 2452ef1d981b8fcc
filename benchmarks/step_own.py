"""Does one thing with a STEP file, ours or a plain copy; run by `step_peers.py` in a fresh process.

Prints one JSON line: seconds for the work, imports not counted, and the process' peak memory.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent / "step"))

from read import own_peak


def inspect(file: Path) -> float:
    """All that `dotpeen step inspect` finds out: products, assembly, UUIDs, what they identify, lint, SHA-256."""
    from dotpeen_step.inspection import inspect

    started = time.perf_counter()
    inspect(file)
    return time.perf_counter() - started


def stamp(file: Path, *, durable: bool = True) -> float:
    """What `dotpeen step stamp FILE PART -o OUT` does once it knows the part's UUID."""
    from dotpeen_step.part21 import Part21File
    from dotpeen_step.stamping.matching import Wanted
    from dotpeen_step.stamping.stamp import stamp

    with Part21File.open(file) as opened:
        product = next(opened.find(frozenset({"PRODUCT"}))).id
    wanted = Wanted("PN-1", str(uuid.uuid4()), None, f"#{product}")
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        started = time.perf_counter()
        stamp(file, [wanted], Path(folder) / "out.stp", durable=durable)
        return time.perf_counter() - started


def copy(file: Path, *, durable: bool = True) -> float:
    """The yardstick: as shutil copies, and as durable as what we write."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        target = Path(folder) / "out.stp"
        started = time.perf_counter()
        shutil.copyfile(file, target)
        if durable:
            for path, flags in ((target, os.O_RDWR), (target.parent, os.O_RDONLY)):
                descriptor = os.open(path, flags)
                os.fsync(descriptor)
                os.close(descriptor)
        return time.perf_counter() - started


METHODS: Final[dict[str, Callable[[Path], float]]] = {
    "inspect": inspect,
    "stamp": stamp,
    "copy": copy,
    "stamp-unsynced": lambda file: stamp(file, durable=False),
    "copy-unsynced": lambda file: copy(file, durable=False),
}

if __name__ == "__main__":
    seconds = METHODS[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps({"seconds": seconds, "cpu": time.process_time(), "peak": own_peak()}))
