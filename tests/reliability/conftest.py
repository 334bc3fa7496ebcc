"""What the tests of reliability share: `fault_points`, which a process of its own runs, too, and the count of tries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parent))


class Tries:
    """How often a test has put a guarantee to the test so far; the first failure ends the test."""

    def __init__(self, guarantee: str, properties: list[tuple[str, object]]) -> None:
        self._row = [guarantee, 0]
        properties.append(("guarantee", self._row))  # read when the test has ended, in whatever process

    @property
    def count(self) -> int:
        return int(self._row[1])

    def add(self, number: int = 1) -> None:
        self._row[1] = self.count + number


@pytest.fixture
def count_tries(request: pytest.FixtureRequest) -> Callable[[str], Tries]:
    """Count the tries of a guarantee, for the table at the end of the run."""
    return lambda guarantee: Tries(guarantee, request.node.user_properties)


@pytest.fixture(autouse=True)
def _count_case(request: pytest.FixtureRequest) -> None:
    """Count each test that does not count for itself as one try of what its module is about."""
    title = (request.module.__doc__ or "").partition("\n")[0].rstrip(".")
    if title and "count_tries" not in request.fixturenames:
        Tries(title, request.node.user_properties).add()
