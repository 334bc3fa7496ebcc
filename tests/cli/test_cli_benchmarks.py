"""The benchmark that anyone can run, at a size that a test can afford."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="it needs getrusage")
def test_the_memory_benchmark_reports_what_it_measured() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", "--rows", "20_000"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    measured = json.loads(ran.stdout.splitlines()[-1])
    assert (measured["rows"], measured["columns"]) == (20_000, 32)
    assert measured["rss_before_mib"] < measured["peak_rss_mib"] < 400
