"""Notebooks are run once, whoever asks for what they leave; and a Chromium for those who look at it."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import nbformat
    from chromium import Chromium


class Ran(NamedTuple):
    notebook: nbformat.NotebookNode
    directory: Path


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Ran]:
    from running import run

    @cache
    def once(path: Path) -> Ran:
        directory = tmp_path_factory.mktemp(path.stem)
        return Ran(run(path, directory), directory)

    return once


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if sys.platform == "win32":
        pytest.skip("Chromium is spoken to through inherited pipes, which Windows does not have")
    from chromium import Chromium, program

    found = program()
    if found is None:
        reason = "no Chromium on this machine: with Debian, apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with Chromium(found, profile=tmp_path_factory.mktemp("chromium")) as browser:
        yield browser
