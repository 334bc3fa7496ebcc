"""What the documents tell contributors exists: paths, scripts, commands and their options."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "appmetrica_frames"
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / folder / "README.md" for folder in ("benchmarks", "notebooks")),
]
CONTRIBUTING = ROOT.joinpath("CONTRIBUTING.md").read_text("utf-8")
SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.name.startswith("_"))
# What commands write, what a cache holds, and what is outside the repository.
NOT_OURS = re.compile(r"build/|dist/|\.venv|~|/|\.\./|(?:.*/)?(?:entry|pending)\.json$|v\d/")
IN_BACKTICKS = re.compile(r"`([\w.][\w./-]*(?:/|\.(?:py|md|toml|json|ipynb|yaml|yml)))`")
LINK = re.compile(r"\]\((?!\w+:|#)([^)#]+)[^)]*\)|(?:src|href)=\"(?!\w+:|#)([^\"#]+)")


def named_paths(document: Path) -> Iterator[str]:
    text = document.read_text("utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (path for path in IN_BACKTICKS.findall(prose) if not NOT_OURS.match(path))
    yield from (one or other for one, other in LINK.findall(prose))


def is_there(path: str, document: Path) -> bool:
    """Tell whether a path exists, seen from the root, the package or the document."""
    return any((start / path).exists() for start in (ROOT, PACKAGE, document.parent))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_in_a_document_exists(document: Path) -> None:
    missing = [path for path in named_paths(document) if not is_there(path, document)]
    assert missing == []


def test_a_missing_path_would_be_noticed(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("See `appmetrica_frames/gone.py`, `cache/gone/` and [this](gone.md#there), not `data.frame`.")
    assert [path for path in named_paths(document) if not is_there(path, document)] == [
        "appmetrica_frames/gone.py",
        "cache/gone/",
        "gone.md",
    ]


def commands() -> list[list[str]]:
    """Return the commands that CONTRIBUTING shows, in blocks and in tables."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", CONTRIBUTING, re.MULTILINE | re.DOTALL)).splitlines()
    inline = re.findall(r"`((?:[A-Z]+=\S+ )?(?:\.venv/bin/|scripts/|\.ci/)[^`]+)`", CONTRIBUTING)
    split = [shlex.split(line, comments=True) for line in [*blocks, *inline]]
    assert len(split) > 15
    return [[part for part in words if not re.match(r"[A-Z]+=", part)] for words in split if words]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_that_is_shown_exists(command: list[str]) -> None:
    program, *rest = command
    if program.startswith((".ci/", "scripts/")):
        assert (ROOT / program).is_file()
    elif rest[:2] == ["-m", "http.server"]:  # Python's own
        assert program == ".venv/bin/python"
    elif rest[:1] == ["-m"]:
        assert program == ".venv/bin/python"
        assert find_spec(f"{rest[1]}.__main__") if (ROOT / rest[1]).is_dir() else is_there(module_path(rest[1]), ROOT)
    else:
        assert program == ".venv/bin/pre-commit"
        assert "pre-commit" in " ".join(dev_requirements())


def module_path(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


def dev_requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    requirements: list[str] = project["optional-dependencies"]["dev"]
    return requirements


def test_every_option_of_the_tests_is_one_of_pytest(pytestconfig: pytest.Config) -> None:
    shown = [command[1:] for command in commands() if command[0] == "scripts/test"]
    assert ["-m", ""] in shown
    for arguments in shown:
        known, unknown = pytestconfig._parser.parse_known_and_unknown_args(arguments)
        assert unknown == []
        assert all(is_there(path, ROOT) for path in known.file_or_dir)


@pytest.mark.skipif(sys.platform == "win32", reason="the benchmarks need getrusage")
@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.many_exports", "benchmarks.cached_year"])
def test_every_option_of_the_benchmarks_exists(module: str) -> None:
    ran = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    text = CONTRIBUTING + (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    lines = re.findall(rf"python -m {re.escape(module)}(?: .*)?$", text, re.MULTILINE)
    assert lines
    shown = set(re.findall(r"(?<!\S)--[\w-]+", " ".join(lines)))
    assert shown <= set(re.findall(r"--[\w-]+", ran.stdout))


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_every_script_is_named_and_can_be_run(script: Path) -> None:
    assert f"{script.relative_to(ROOT).as_posix()}" in CONTRIBUTING
    if script.suffix != ".py":
        assert script.read_text("utf-8").startswith("#!/usr/bin/env bash\n# ")
        assert sys.platform == "win32" or os.access(script, os.X_OK)


def test_setup_installs_what_the_readme_installs() -> None:
    (installed,) = re.findall(r"pip install (-e '\.\[dev\]')", ROOT.joinpath("README.md").read_text("utf-8"))
    assert installed in (ROOT / "scripts" / "setup").read_text("utf-8")


@pytest.mark.parametrize("use", ["scripts/setup", "scripts/check", "scripts/test"])
def test_ci_runs_the_same_scripts_as_people_do(use: str) -> None:
    assert use in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_oldest_versions_are_those_declared() -> None:
    script = ROOT / "scripts" / "oldest_versions.py"
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pins = ran.stdout.split()
    assert {pin.replace("==", ">=") for pin in pins} >= set(project["dependencies"])
    assert "starlette" in ran.stdout
    assert "mypy" not in ran.stdout
