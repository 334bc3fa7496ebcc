"""Engines are for those who want them: the package never imports one."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from appmetrica_frames.emulator import Emulator, MovableClock

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
AUGUST_10 = 1_723_248_000.0
HAVE_ENGINES = {"dask", "spark", "dev"}  # a notebook that is tested asks Dask
ENGINES = {"dask", "distributed", "pyspark"}
CALLS = f"""
import sys

token, base_url, folder, installed = sys.argv[1:]
if installed == "False":
    sys.modules.update(dict.fromkeys({sorted(ENGINES)!r}))  # to import one is an ImportError
import appmetrica_frames as af

client = af.Client(token, base_url=base_url, cache_dir=folder + "/cache", poll=(0.01, 0.01), progress=False)
day = {{"application_id": 1111, "date_since": "2024-07-29", "date_until": "2024-07-29", "client": client}}
af.sync_appmetrica("events", to=folder + "/dataset", **day)
for backend in ("polars", "pandas", "pyarrow"):
    assert len(af.read_appmetrica("events", backend=backend, **day)) > 100
assert af.scan_appmetrica("events", **day).collect().height > 100
assert not [name for name in sys.modules if name.split(".")[0] in {sorted(ENGINES)!r} and sys.modules[name]]
"""


@pytest.mark.parametrize("installed", [True, False])
def test_the_package_imports_no_engine(installed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    with Emulator(rows_per_day=500, clock=MovableClock(start=AUGUST_10)) as server:
        arguments = [server.token, server.base_url, str(tmp_path), str(installed)]
        done = subprocess.run(
            [sys.executable, "-c", CALLS, *arguments], check=False, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr


def test_no_other_extra_needs_an_engine() -> None:
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name not in HAVE_ENGINES}
    needed = {need for needs in (project["dependencies"], *extras.values()) for need in needs}
    assert [need for need in needed if any(name in need for name in ("dask", "spark", "distributed"))] == []
