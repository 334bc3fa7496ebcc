"""A month of events, made by the page about engines; its blocks run in order, those of an engine where it is there."""

from __future__ import annotations

import os
import re
import shutil
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from appmetrica_frames import Client, sync_appmetrica
from appmetrica_frames.emulator import Emulator, MovableClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guides" / "engines.md"
AUGUST_10 = 1_723_248_000.0
PATIENCE = 120.0  # seconds


def require(found: object, what: str) -> None:
    """Skip where an engine is not installed; in CI it has to be."""
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI tests the engines.")
    pytest.skip(f"{what} is missing")


def require_module(name: str) -> None:
    require(find_spec(name), name)


def require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    require(shutil.which("java", path=str(Path(home, "bin")) if home else None), "Java")


def blocks(fence: str, containing: str = "") -> list[str]:
    """Return the blocks of the page that begin with a fence."""
    found = re.findall(rf"^```{re.escape(fence)}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in found if containing in block]


@dataclass
class Month:
    """A folder with the dataset, and what the page's blocks for everybody have defined."""

    folder: Path
    names: dict[str, Any]

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset" / "events"

    def run_block(self, containing: str) -> dict[str, Any]:
        """Run the one block of an engine, in the folder, and return its names."""
        (block,) = blocks("{code-block} python", containing)
        names = dict(self.names)
        exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102 - that is the test
        return names


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    folder = tmp_path_factory.mktemp("engines")
    names: dict[str, Any] = {}
    clock = MovableClock(start=AUGUST_10)
    with Emulator(rows_per_day=500, clock=clock) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in {"TOKEN": server.token, "BASE_URL": server.base_url, "CACHE_DIR": folder / "cache"}.items():
            patch.setenv(f"APPMETRICA_{name}", str(value))
        patch.chdir(folder)
        # The page's own sync then finds all windows in the cache, and need not wait for the server as a user would.
        sync_appmetrica(
            "events",
            application_id=server.application_id,
            date_since="2024-07-01",
            date_until="2024-07-31",
            to="filled",
            client=Client(poll=(0.001, 0.01), progress=False),
        )
        for block in blocks("python"):
            exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102 - that is the test
    return Month(folder, names)


class Ambush:
    """Kills the process of the first task that reports, in the middle of its work."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]

    def wait(self, kill: Callable[[int], None]) -> int:
        """Wait for a report, kill its sender, and let all later tasks pass."""
        with self._socket.accept()[0] as connection:
            self._socket.close()
            pid = int(connection.recv(32))
            kill(pid)
        return pid

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ambush() -> Iterator[Ambush]:
    prepared = Ambush()
    yield prepared
    prepared.close()


@pytest.fixture
def grown(month: Month, tmp_path: Path) -> tuple[Path, Callable[[], int]]:
    """Return a copy of the dataset, and what replaces a day by one with more row groups, as a sync does."""
    copy = shutil.copytree(month.dataset, tmp_path / "events")

    def grow() -> int:
        (path,) = copy.glob("*/date=2024-07-10/data.parquet")
        more = pl.concat([pl.read_parquet(path, hive_partitioning=False)] * 50)
        more.write_parquet(path.with_suffix(".new"), row_group_size=1000)
        path.with_suffix(".new").replace(path)
        return more.height

    return copy, grow
