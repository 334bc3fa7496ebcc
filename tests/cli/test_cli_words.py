"""The options of the command line are the words of the library."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

import appmetrica_frames
from appmetrica_frames import Client, cli, words
from appmetrica_frames.emulator import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]


def parameters(name: str) -> dict[str, Any]:
    commands: Any = get_command(cli.app)
    return {parameter.name: parameter for parameter in commands.commands[name].params}


def test_read_has_exactly_the_words_of_the_library() -> None:
    shared = set(inspect.signature(words.order).parameters) - {"client"}
    assert set(parameters("read")) - {"output"} == shared | set(cli.SETTINGS)


def test_every_word_is_explained() -> None:
    assert set(parameters("read")) - {"output", "resource"} <= set(cli.WORDS)


@pytest.mark.parametrize("word", [*inspect.signature(words.order).parameters, *cli.SETTINGS])
def test_an_option_is_its_word_with_dashes_and_the_same_default(word: str) -> None:
    known = {**inspect.signature(Client).parameters, **inspect.signature(words.order).parameters}
    if word in {"resource", "client"}:
        return
    option = parameters("read")[word]
    assert f"--{word.replace('_', '-')}" in option.opts
    assert option.required is (known[word].default is inspect.Parameter.empty)
    if not option.required:
        assert option.default in (known[word].default, [])


def test_no_option_takes_a_token() -> None:
    assert not [
        name for command in ("read", "fields", "demo", "emulator") for name in parameters(command) if "tok" in name
    ]


def test_the_emulator_command_has_the_options_of_serve() -> None:
    expected = {name: parameter.default for name, parameter in inspect.signature(serve).parameters.items()}
    assert {name: option.default for name, option in parameters("emulator").items()} == expected


def test_fields_prints_the_catalogue_as_a_table(command: Command) -> None:
    ran = command("fields", "events")
    assert ran.returncode == 0, ran.stderr
    heading, *lines = ran.stdout.splitlines()
    assert heading.split() == ["field", "dtype", "description"]
    listed = appmetrica_frames.fields("events")
    assert [line.split()[0] for line in lines] == listed["field"].to_list()
    legacy = [line.split()[0] for line in lines if "(legacy)" in line]
    assert legacy == listed.filter("legacy")["field"].to_list()


def test_fields_prints_the_catalogue_as_json(command: Command) -> None:
    ran = command("fields", "installations", "--json")
    assert json.loads(ran.stdout) == appmetrica_frames.fields("installations").rows(named=True)


@pytest.mark.parametrize("name", ["demo", "emulator", "fields", "read"])
def test_every_command_explains_itself(command: Command, name: str) -> None:
    ran = command(name, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"Usage: appmetrica-frames {name}" in ran.stdout


def test_the_version_is_the_package_version(command: Command) -> None:
    assert command("--version").stdout.split() == ["appmetrica-frames", appmetrica_frames.__version__]
