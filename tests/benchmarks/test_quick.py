"""The benchmarks, as CI runs them: they fail when a case breaks, never because of a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="they need getrusage")
ROOT = Path(__file__).parents[2]
FIGURES = ("wall_seconds", "cpu_seconds", "peak_mib", "server_cpu_seconds")


def run(*arguments: str, module: str = "benchmarks") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.exhaustive
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
    assert len({one["case"] for one in results["measurements"]}) == 18
    imports = {one["case"]: (one["imported_before"], one["imported_late"]) for one in successful(results)}
    assert {case for case, (_, late) in imports.items() if late} == {"first-polars", "first-httpx-polars"}
    assert "httpx" in imports["cold-polars"][0]
    assert "httpx" not in imports["warm-polars"][0]
    assert results["start_up"]["with_import_ms"]["median"] > results["start_up"]["bare_ms"]["median"]
    assert results["judged"]["floor_seconds"] > 0
    downloads = [one["peak_mib"]["median"] for one in results["measurements"] if one["case"] == "download"]
    assert 0 < max(downloads) < 400
    page = (tmp_path / "results.md").read_text()
    assert page.startswith(ran.stdout.rstrip("\n"))
    assert str(tmp_path) not in page
    pictures = {"wall.png", "waiting.png"} if find_spec("matplotlib") else set()
    assert {path.name for path in tmp_path.glob("*.png")} == pictures


def successful(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in results["measurements"] if one["status"] == "ok"]


@pytest.mark.exhaustive
def test_two_checkouts_are_compared_case_by_case(tmp_path: Path) -> None:
    (tmp_path / "appmetrica_frames").symlink_to(ROOT / "appmetrica_frames")
    ran = run("--quick", "--only", "^(download|parse|warm-polars)$", "--against", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    rows = [line.split(" | ") for line in ran.stdout.splitlines() if line.startswith("| `")]
    assert [row[0].strip("| ") for row in rows] == 2 * ["`download_appmetrica`, cold"] + [
        "`read_appmetrica` to Polars, warm"
    ]
    for row in rows:
        for cell in row[2:]:
            old, new, ratio = (float(number.strip(" *|")) for number in cell.split(","))
            assert ratio == pytest.approx(new / old, abs=0.02)


@pytest.mark.parametrize("is_this_checkout", [False, True])
def test_only_another_checkout_of_the_package_can_be_compared_with(tmp_path: Path, is_this_checkout: bool) -> None:  # noqa: FBT001
    ran = run("--quick", "--against", str(ROOT if is_this_checkout else tmp_path))
    assert ran.returncode == 2
    assert "--against takes another checkout of this repository" in ran.stderr


@pytest.mark.exhaustive
def test_a_full_cache_is_measured_against_one_export(tmp_path: Path) -> None:
    arguments = ("--exports", "12", "--rounds", "1", "--data", str(tmp_path))
    ran = run(*arguments, module="benchmarks.many_exports")
    assert ran.returncode == 0, ran.stderr
    head, *figures = ran.stdout.splitlines()
    assert head == "12 exports cached against 1; medians of 1 processes, 30 calls each."
    assert [line.partition(":")[0] for line in figures] == [
        "warm read, the first of a process",
        "warm read, all",
        "refresh with max_bytes, the first of a process",
        "refresh with max_bytes, all",
    ]
    assert {len(list((tmp_path / name).rglob("entry.json"))) for name in ("one", "many-12")} == {1, 12}


@pytest.mark.exhaustive
def test_a_cached_year_is_looked_up_for_its_first_lease_and_for_a_later_one() -> None:
    ran = run("--windows", "5", "--kib", "4", "--rounds", "2", module="benchmarks.cached_year")
    assert ran.returncode == 0, ran.stderr
    head, *figures = ran.stdout.splitlines()
    assert head == "5 daily windows of 4 KiB; medians of 2 processes."
    assert [line.partition(":")[0] for line in figures] == ["first lease", "later lease"]
    assert all("find" in line and "touch" in line and "check" in line for line in figures)


@pytest.mark.exhaustive
def test_a_range_is_measured_against_its_preparations(tmp_path: Path) -> None:
    arguments = ("--windows", "4", "--singles", "2", "--preparation", "0.3", "--out", str(tmp_path))
    ran = run(*arguments, module="benchmarks.ranges")
    assert ran.returncode == 0, ran.stderr
    of_range, of_singles = ran.stdout.splitlines()
    assert re.fullmatch(
        r'a range with split="day": 4 windows in [\d.]+ s, [\d.]+ times their .*at most 1.1 times', of_range
    )
    assert re.fullmatch(r"one call after another: 2 windows in [\d.]+ s, [\d.]+ times their preparations", of_singles)
    picture = ET.fromstring((tmp_path / "ranges.svg").read_text())  # noqa: S314 - our own
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"2024-07-01", "2024-07-04", "prepared", "downloaded and decoded"} <= set(texts)


@pytest.mark.exhaustive
def test_the_memory_of_many_windows_is_measured_against_that_of_three() -> None:
    ran = run("--windows", "4", "--mb", "0.2", module="benchmarks.ranges_memory")
    assert ran.returncode == 0, ran.stderr
    head, few, many, times = ran.stdout.splitlines()
    assert head.startswith("daily windows of ")
    assert few.startswith("3 windows: ")
    assert many.startswith("4 windows: ")
    assert times.endswith(" times the memory; at most 1.2 times")


def test_a_pattern_that_matches_no_case_names_them_all() -> None:
    ran = run("--only", "nonesuch")
    assert ran.returncode == 2
    assert "cold-polars" in ran.stderr
