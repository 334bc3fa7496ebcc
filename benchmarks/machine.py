"""The machine and the versions that figures belong to; nothing that identifies its owner."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("appmetrica-frames", "httpx", "isal", "polars", "pandas", "pyarrow", "appmetrica-logs-api")
CPUS, MEMORY = Path("/proc/cpuinfo"), Path("/proc/meminfo")
GIB = 1 << 30


def describe_machine() -> dict[str, Any]:
    return {
        "cpu": _line(CPUS, "model name") or platform.machine(),
        "cores": cores(),
        "memory_gib": _memory_gib(),
        "os": _system(),
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def load() -> float | None:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _system() -> str:
    kernel = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def _memory_gib() -> float | None:
    kib = _line(MEMORY, "MemTotal")
    return round(int(kib.split()[0]) * 1024 / GIB, 1) if kib else None


def _line(path: Path, name: str) -> str | None:
    if not path.exists():
        return None
    found = (line.partition(":")[2].strip() for line in path.read_text().splitlines() if line.startswith(name))
    return next(found, None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
