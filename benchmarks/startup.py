"""What ``import appmetrica_frames`` adds to the start of Python."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from .runs import ROOT, clean_environment, spread

STARTS = 10
CODES = {"bare": "pass", "with_import": "import appmetrica_frames"}


def measure_import() -> dict[str, Any]:
    """Return milliseconds from start to end of both processes, interleaved, and the difference of the medians."""
    for code in CODES.values():
        start_milliseconds(code)  # reads files from the disk for the first time
    starts: dict[str, list[float]] = {name: [] for name in CODES}
    for _ in range(STARTS):
        for name, code in CODES.items():
            starts[name].append(start_milliseconds(code))
    figures = {f"{name}_ms": spread(times) for name, times in starts.items()}
    added = figures["with_import_ms"]["median"] - figures["bare_ms"]["median"]
    return {**figures, "added_ms": round(added, 1), "starts": STARTS}


def start_milliseconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean_environment(), check=True)  # noqa: S603 - code of our own
    return 1000 * (time.perf_counter() - began)
