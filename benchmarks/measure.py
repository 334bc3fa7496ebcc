"""One case, measured in a process of its own: ``python -m benchmarks.measure CASE JOB``, the job being JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cases import BY_NAME
from .job import Job

if TYPE_CHECKING:
    from collections.abc import Iterator

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
MIB = 1 << 20
STATUS = Path("/proc/self/status")


def main() -> None:
    name, given = sys.argv[1:]
    words = json.loads(given)
    job = Job(**words | {"file": Path(words["file"]), "room": Path(words["room"])})
    sys.stdout.write(json.dumps(measured(name, job)))


def measured(name: str, job: Job) -> dict[str, Any]:
    """Return what a case costs and what it found, or which module it lacks."""
    case = BY_NAME[name]
    for module in case.needs:
        if find_spec(module) is None:
            return {"missing": module}
    steps: Iterator[Any] = iter(case.steps(job))
    next(steps)
    cpu, wall = cpu_seconds(), time.perf_counter()
    next(steps)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    peak = peak_mib()
    return {"wall_seconds": wall, "cpu_seconds": cpu, "peak_mib": peak, "found": next(steps)}


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mib() -> float:
    # Linux lets a process begin with the ru_maxrss of whoever started it; VmHWM is its own.
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / MIB


if __name__ == "__main__":
    main()
