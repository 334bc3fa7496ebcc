"""The table at the end of a run adds up the tries of all tests and workers, and counts the tests that failed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = """
import pytest

@pytest.mark.parametrize("number", [1, 2, 3])
def test_one(number, count_tries):
    tries = count_tries("a body is whole")
    for _ in range(number):
        tries.add()
    assert number != 3

def test_other(count_tries, request):
    count_tries("a record is whole").add(1000)
    request.node.user_properties.append(("figures", {"downloads": 1500}))

def test_third(request):
    request.node.user_properties.append(("figures", {"downloads": 1}))
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_tries_and_failures_are_added_up(workers: str, tmp_path: Path) -> None:
    (tmp_path / "reliability").mkdir()
    shutil.copy(HERE.parent / "conftest.py", tmp_path)
    shutil.copy(HERE / "conftest.py", tmp_path / "reliability")
    (tmp_path / "reliability" / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", workers, "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    _, _, table = ran.stdout.partition(" guarantees ")
    assert [line.split() for line in table.splitlines()[1:5]] == [
        ["tries", "failures"],
        ["a", "body", "is", "whole", "6", "1"],
        ["a", "record", "is", "whole", "1,000", "0"],
        ["downloads:", "1,501"],
    ]
