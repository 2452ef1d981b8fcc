"""Reads a STEP file with somebody else's library; run by `step_peers.py` with the peers' own Python.

Prints one JSON line: seconds for reading, imports not counted, and the process' peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path


def occ_read(file: str) -> float:
    """Open CASCADE parses the file and builds its entities; no shape yet."""
    from OCP.IFSelect import IFSelect_ReturnStatus
    from OCP.STEPControl import STEPControl_Reader

    reader = STEPControl_Reader()
    started = time.perf_counter()
    status = reader.ReadFile(file)
    seconds = time.perf_counter() - started
    if status != IFSelect_ReturnStatus.IFSelect_RetDone:
        raise SystemExit(f"Open CASCADE can't read it: {status}")
    return seconds


def occ_open(file: str) -> float:
    """Open CASCADE opens the file as applications do: products, names, shapes, tolerances in a document."""
    from OCP.IFSelect import IFSelect_ReturnStatus
    from OCP.STEPCAFControl import STEPCAFControl_Reader
    from OCP.TCollection import TCollection_ExtendedString
    from OCP.TDocStd import TDocStd_Document

    document = TDocStd_Document(TCollection_ExtendedString("XmlXCAF"))
    reader = STEPCAFControl_Reader()
    reader.SetNameMode(True)  # noqa: FBT003 - C++ knows no keywords
    reader.SetGDTMode(True)  # noqa: FBT003 - C++ knows no keywords
    reader.SetPropsMode(True)  # noqa: FBT003 - C++ knows no keywords
    started = time.perf_counter()
    status = reader.ReadFile(file)
    if status != IFSelect_ReturnStatus.IFSelect_RetDone or not reader.Transfer(document):
        raise SystemExit(f"Open CASCADE can't read it: {status}")
    return time.perf_counter() - started


def steputils_read(file: str) -> float:
    """steputils parses the file into Python objects."""
    from steputils import p21

    started = time.perf_counter()
    p21.readfile(file)
    return time.perf_counter() - started


def own_peak() -> float:
    """MB that this process had at most. Linux counts in `ru_maxrss` what the parent had when it forked."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    seconds = {"occ-read": occ_read, "occ-open": occ_open, "steputils": steputils_read}[sys.argv[1]](
        sys.argv[2]
    )
    print(json.dumps({"seconds": seconds, "cpu": time.process_time(), "peak": own_peak()}))
