"""What the README says is so: its examples run, its tables are complete, its options exist."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

import appmetrica_frames
from appmetrica_frames import AppMetricaError, Cache, Client, cli, errors
from appmetrica_frames.catalog_frames import DTYPES

if TYPE_CHECKING:
    from appmetrica_frames.emulator import Emulator

README = Path(__file__).parents[2].joinpath("README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Return the words of every command of ours that the README shows."""
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    split = [shlex.split(part) for line in lines for part in line.split("&&")]
    return [words[1:] for words in split if words and words[0].endswith("appmetrica-frames")]


def test_the_examples_run_one_after_another(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPMETRICA_TOKEN", server.token)
    monkeypatch.setenv("APPMETRICA_BASE_URL", server.base_url)
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - that is the test
    assert names["purchases"].height > 0
    assert names["rows"] == names["frame"].shape[0] == names["by_country"]["installs"].sum() == names["installs"].height
    assert names["rows"] > 0
    assert names["profiles"].columns == ["profile_id", "favourite category"]
    assert {export.resource for export in Cache().ls()} == {"profiles_v2"}  # read after the store was cleared
    assert server.preparations == server.downloads


def test_the_first_example_is_short() -> None:
    assert len(blocks("python")[0].strip().splitlines()) <= 15


def test_every_command_shown_exists_with_its_options() -> None:
    shown = commands()
    assert {words[0] for words in shown} == {"demo", "emulator", "fields", "read"}
    known: Any = get_command(cli.app)
    for command, *words in shown:
        options = {spelt for parameter in known.commands[command].params for spelt in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options


def test_every_option_spoken_of_exists() -> None:
    known: Any = get_command(cli.app)
    options = {spelt for command in known.commands.values() for parameter in command.params for spelt in parameter.opts}
    assert set(re.findall(r"`(-[-\w]+)`", README)) <= options


def test_every_error_and_warning_is_explained() -> None:
    tree = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__}
    for name in tree - {"AppMetricaError"}:
        builtins = [base.__name__ for base in getattr(errors, name).__bases__ if base is not AppMetricaError]
        row = f"| `{name}` | {''.join(f'`{base}` ' for base in builtins)}|"
        assert row in README or (name.endswith("Warning") and f"`{name}`" in README)


def test_every_dtype_is_in_the_table_of_types() -> None:
    assert set(DTYPES.values()) == set(
        re.findall(r"^\| [^|]+ \| `([^`]+)` \| `[^`]+\[pyarrow\]`", README, re.MULTILINE)
    )


def test_every_public_name_and_setting_is_spoken_of() -> None:
    spoken = set(re.findall(r"\w+", README))
    results = {"CacheInfo", "CachedExport", "Removal"}
    assert set(appmetrica_frames.__all__) - spoken - results == {"__version__"}
    assert set(inspect.signature(Client).parameters) <= spoken


def test_the_commands_of_the_first_page_install_the_extras_that_exist() -> None:
    project = Path(__file__).parents[2].joinpath("pyproject.toml").read_text("utf-8")
    for extra in re.findall(r"'\.\[(\w+)\]'", README):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE)


@pytest.mark.parametrize("name", ["APPMETRICA_TOKEN", "APPMETRICA_BASE_URL", "APPMETRICA_CACHE_DIR"])
def test_every_variable_is_spoken_of(name: str) -> None:
    assert f"`{name}`" in README
