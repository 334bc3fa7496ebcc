"""The options of the command line are the words of the library."""

from __future__ import annotations

import inspect
import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import appmetrica_frames
from appmetrica_frames import Cache, Client, cli, download_appmetrica
from appmetrica_frames.cli import options
from appmetrica_frames.cli.output import PROGRAM
from appmetrica_frames.emulator import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]


def commands(group: Any = None, path: str = "") -> dict[str, Any]:
    """Return every command by the words that it is called with."""
    group = group or get_command(cli.app)
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        spelt = f"{path} {name}".strip()
        found |= commands(command, spelt) if hasattr(command, "commands") else {spelt: command}
    return found


COMMANDS = commands()


def parameters(name: str) -> dict[str, Any]:
    return {parameter.name: parameter for parameter in COMMANDS[name].params}


def test_the_commands_are_known() -> None:
    assert set(COMMANDS) == {
        *("demo", "emulator", "apps", "resources", "fields", "read", "download"),
        *("cache ls", "cache info", "cache verify", "cache prune", "cache remove", "cache clear"),
    }


@pytest.mark.parametrize(("command", "own"), [("read", {"output"}), ("download", set())])
def test_an_export_has_exactly_the_words_of_the_library(command: str, own: set[str]) -> None:
    shared = set(inspect.signature(download_appmetrica).parameters) - {"client"}
    assert set(parameters(command)) - own == shared | set(options.CLIENT_SETTINGS)
    assert set(options.CLIENT_SETTINGS) <= set(inspect.signature(Client).parameters)


def test_every_word_is_explained_and_none_besides() -> None:
    assert set(parameters("download")) - {"resource"} == set(options.SPECS)


@pytest.mark.parametrize("word", [*inspect.signature(download_appmetrica).parameters, *options.CLIENT_SETTINGS])
def test_an_option_is_its_word_with_dashes_and_the_same_default(word: str) -> None:
    known = {**inspect.signature(Client).parameters, **inspect.signature(download_appmetrica).parameters}
    if word in {"resource", "client"}:
        return
    option = parameters("read")[word]
    assert f"--{word.replace('_', '-')}" in option.opts
    assert option.required is (known[word].default is inspect.Parameter.empty)
    if not option.required:
        assert option.default in (known[word].default, [])


@pytest.mark.parametrize("verb", ["ls", "info", "verify", "prune", "remove", "clear"])
def test_the_options_over_the_store_are_the_words_of_cache(verb: str) -> None:
    known = dict(inspect.signature(getattr(Cache, verb)).parameters)
    del known["self"]
    own = {name: option for name, option in parameters(f"cache {verb}").items() if name in known}
    assert {name: option.default for name, option in own.items()} == {n: word.default for n, word in known.items()}
    assert set(parameters(f"cache {verb}")) - set(own) == {"cache_dir", "as_json"}


def test_no_option_takes_a_token() -> None:
    assert not [name for command in COMMANDS for name in parameters(command) if "tok" in name]


def test_the_emulator_command_has_the_options_of_serve() -> None:
    expected = {name: parameter.default for name, parameter in inspect.signature(serve).parameters.items()}
    assert {name: option.default for name, option in parameters("emulator").items()} == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example_that_it_understands(name: str) -> None:
    shown = CliRunner().invoke(cli.app, [*name.split(), "--help"], env={"COLUMNS": "100"}, prog_name=PROGRAM)
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: {PROGRAM} {name}")
    assert all(option.help for option in COMMANDS[name].params)
    said = [shlex.split(line) for line in shown.output.partition("Example")[2].splitlines() if PROGRAM in line]
    assert said
    for words_said in said:
        assert words_said[: 1 + len(name.split())] == [PROGRAM, *name.split()]
        COMMANDS[name].make_context(name, words_said[1 + len(name.split()) :])


def test_fields_prints_the_catalogue_as_a_table(command: Command) -> None:
    ran = command("fields", "events")
    assert ran.returncode == 0, ran.stderr
    heading, *lines = ran.stdout.splitlines()
    assert heading.split() == ["field", "dtype", "description"]
    listed = appmetrica_frames.list_fields("events")
    assert [line.split()[0] for line in lines] == listed["field"].to_list()
    legacy = [line.split()[0] for line in lines if "(legacy)" in line]
    assert legacy == listed.filter("legacy")["field"].to_list()


def test_fields_prints_the_catalogue_as_json(command: Command) -> None:
    ran = command("fields", "installations", "--json")
    assert json.loads(ran.stdout) == appmetrica_frames.list_fields("installations").rows(named=True)


def test_resources_are_a_table_or_json(command: Command) -> None:
    heading, *lines = command("resources").stdout.splitlines()
    assert heading.split() == ["resource", "fields", "dates", "title"]
    listed = appmetrica_frames.list_resources()
    assert [line.split()[0] for line in lines] == listed["resource"].to_list()
    assert [line for line in lines if "(deprecated)" in line] == [
        line for line in lines if line.split()[0] == "profiles"
    ]
    assert json.loads(command("resources", "--json").stdout) == listed.rows(named=True)


def test_apps_are_those_that_the_token_sees(command: Command, served: dict[str, str], client: Client) -> None:
    ran = command("apps", **served)
    assert (ran.returncode, ran.stderr) == (0, "")
    seen = client.applications()
    heading, *lines = ran.stdout.splitlines()
    assert heading.split() == ["application_id", "name", "time_zone_name"]
    assert [line.split()[0] for line in lines] == [str(number) for number in seen["application_id"]]
    asked = command("apps", "--json", "--base-url", served["APPMETRICA_BASE_URL"], APPMETRICA_TOKEN="emulator-token")
    assert json.loads(asked.stdout) == seen.rows(named=True)


def test_the_version_is_the_package_version(command: Command) -> None:
    assert command("--version").stdout.split() == ["appmetrica-frames", appmetrica_frames.__version__]
