"""The benchmarks, as CI runs them: they fail when a case breaks, never on a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="they need getrusage")
ROOT = Path(__file__).parents[2]
FIGURES = ("wall_seconds", "cpu_seconds", "peak_mib", "server_cpu_seconds")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_quick_benchmarks_measure_every_case_once(tmp_path: Path) -> None:
    ran = run("--quick", "--out", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    for one in results["measurements"]:
        if one["case"] == "pypi-pandas" and one["status"] == "not installed":
            continue
        assert (one["status"], one["runs"], one["rows"]) == ("ok", 1, 20_000), one
        assert all(one[figure]["min"] <= one[figure]["median"] <= one[figure]["max"] for figure in FIGURES)
        assert one["wall_seconds"]["median"] > 0
    assert len({one["case"] for one in results["measurements"]}) == 16
    assert not any(one.get("imported_httpx") for one in results["measurements"])
    assert results["start_up"]["with_import_ms"]["median"] > results["start_up"]["bare_ms"]["median"]
    assert results["judged"]["floor_seconds"] > 0
    downloads = [one["peak_mib"]["median"] for one in results["measurements"] if one["case"] == "download"]
    assert 0 < max(downloads) < 400
    page = (tmp_path / "results.md").read_text()
    assert page.startswith(ran.stdout.rstrip("\n"))
    assert str(tmp_path) not in page
    pictures = {"wall.png", "waiting.png"} if find_spec("matplotlib") else set()
    assert {path.name for path in tmp_path.glob("*.png")} == pictures


def test_a_pattern_that_matches_no_case_names_them_all() -> None:
    ran = run("--only", "nonesuch")
    assert ran.returncode == 2
    assert "cold-polars" in ran.stderr
