"""One case, measured in a process of its own: ``python -m benchmarks.measure ORDER``, the order being JSON.

First the same case is run on the few rows of a primer. So every library is imported, and every thread pool started, for
each way alike, before the clock starts.
"""

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

    from .cases import Case

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
MIB = 1 << 20
STATUS = Path("/proc/self/status")


def main() -> None:
    order = json.loads(sys.argv[1])
    sys.path.insert(0, order["source"])
    found = find_spec("appmetrica_frames")
    if found is None or not Path(found.origin or "").is_relative_to(order["source"]):
        raise SystemExit(f"{order['source']} is not what is measured, but {found}")
    case = BY_NAME[order["case"]]
    lacking = next((module for module in case.needs if find_spec(module) is None), None)
    if lacking is None:
        primer = _job(order["primer"]) if order["primer"] else None
        sys.stdout.write(json.dumps(measure_case(case, _job(order["job"]), primer=primer)))
    else:
        sys.stdout.write(json.dumps({"missing": lacking}))


def measure_case(case: Case, job: Job, *, primer: Job | None) -> dict[str, Any]:
    """Return what a case costs, the summary of its rows, and what it imported before the clock and after."""
    if primer is not None:
        for _ in case.steps(primer):
            pass
    before = modules()
    steps: Iterator[Any] = iter(case.steps(job))
    next(steps)
    cpu, wall = cpu_seconds(), time.perf_counter()
    next(steps)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    peak, after = peak_mib(), modules()
    imports = {
        "imported_before": sorted({name.partition(".")[0] for name in before if not name.startswith("_")}),
        "imported_late": sorted(after - before),
    }
    return {"wall_seconds": wall, "cpu_seconds": cpu, "peak_mib": peak, "summary": next(steps), **imports}


def modules() -> set[str]:
    """Return the modules imported so far, without those of Python and our own."""
    return {
        name
        for name, module in sys.modules.items()
        if getattr(module, "__file__", None)
        and name.partition(".")[0] not in {*sys.stdlib_module_names, "benchmarks", "appmetrica_frames", "__main__"}
    }


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mib() -> float:
    # Linux lets a process begin with the ru_maxrss of whoever started it; VmHWM is its own.
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / MIB


def _job(plain: dict[str, Any]) -> Job:
    return Job(**plain | {"file": Path(plain["file"]), "folder": Path(plain["folder"])})


if __name__ == "__main__":
    main()
