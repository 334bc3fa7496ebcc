"""The options of the command line are the parameters of the library."""

from __future__ import annotations

import inspect
import json
import shlex
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

import appmetrica_frames
from appmetrica_frames import Cache, Client, cli, download_appmetrica, sync_appmetrica
from appmetrica_frames.cli import options
from appmetrica_frames.cli.output import PROGRAM
from appmetrica_frames.emulator import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]


def commands(group: Any = None, path: str = "") -> dict[str, Any]:
    """Return every command by its name, such as ``cache ls``."""
    group = group or get_command(cli.app)
    known_commands: dict[str, Any] = {}
    for name, command in group.commands.items():
        full_name = f"{path} {name}".strip()
        known_commands |= commands(command, full_name) if hasattr(command, "commands") else {full_name: command}
    return known_commands


COMMANDS = commands()


def parameters(name: str) -> dict[str, Any]:
    return {parameter.name: parameter for parameter in COMMANDS[name].params}


def test_the_commands_are_known() -> None:
    assert set(COMMANDS) == {
        *("login", "logout", "whoami"),
        *("demo", "emulator", "apps", "resources", "fields", "read", "download", "plan", "sync"),
        *("cache ls", "cache info", "cache verify", "cache prune", "cache remove", "cache clear"),
    }


@pytest.mark.parametrize(("command", "own"), [("read", {"output"}), ("download", set()), ("plan", {"as_json"})])
def test_an_export_has_exactly_the_parameters_of_the_library(command: str, own: set[str]) -> None:
    shared = set(inspect.signature(download_appmetrica).parameters) - {"client"}
    assert set(parameters(command)) - own == shared | set(options.CLIENT_SETTINGS)
    assert set(options.CLIENT_SETTINGS) <= set(inspect.signature(Client).parameters)


def test_every_parameter_has_a_spec_and_nothing_else_has() -> None:
    known = set(parameters("download")) | set(parameters("sync"))
    assert known - {"resource", "as_json"} == set(options.SPECS)


def test_a_sync_has_exactly_the_parameters_of_the_library() -> None:
    shared = set(inspect.signature(sync_appmetrica).parameters) - options.NO_OPTIONS
    assert set(parameters("sync")) - {"resource", "as_json"} == shared | set(options.CLIENT_SETTINGS)
    assert {name for name, option in parameters("sync").items() if option.required} == {
        *("resource", "to", "date_since")
    }
    assert parameters("sync")["date_until"].default == "yesterday"


@pytest.mark.parametrize("parameter", [*inspect.signature(download_appmetrica).parameters, *options.CLIENT_SETTINGS])
def test_an_option_is_its_parameter_with_dashes_and_the_same_default(parameter: str) -> None:
    known = {**inspect.signature(Client).parameters, **inspect.signature(download_appmetrica).parameters}
    if parameter in {"resource", "client"}:
        return
    option = parameters("read")[parameter]
    assert f"--{parameter.replace('_', '-')}" in option.opts
    assert option.required is (known[parameter].default is inspect.Parameter.empty)
    if not option.required:
        assert option.default in (as_option(known[parameter].default), [])


def as_option(default: Any) -> Any:
    """Return how the command line says a default of the library: a length of time has its unit."""
    return options.format_lookback(default) if isinstance(default, timedelta) else default


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("7d", timedelta(days=7)),
        ("0d", timedelta()),
        ("1.5d", timedelta(hours=36)),
        ("36h", timedelta(hours=36)),
        ("none", None),
    ],
)
def test_lookback_is_a_number_with_its_unit_or_none(text: str, length: timedelta | None) -> None:
    assert options.parse_lookback(text) == length


@pytest.mark.parametrize(
    "text", ["7", "0", "604800", "", "d", "7 d", "-1d", "7w", "7D", "None", "1e3d", "7d36h", "\u0667d"]
)
def test_a_lookback_that_could_be_misread_is_rejected(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="such as 7d or 36h, nor none"):
        options.parse_lookback(text)


@pytest.mark.parametrize("length", [timedelta(days=7), timedelta(hours=36), timedelta(hours=1), timedelta(days=30)])
def test_a_default_that_is_a_length_of_time_is_what_the_option_takes(length: timedelta) -> None:
    assert options.parse_lookback(options.format_lookback(length)) == length


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        (["1111"], "1111"),
        (["1111,2222"], ["1111", "2222"]),
        (["1111", "2222, 3333"], ["1111", "2222", "3333"]),
        (["1111,"], ["1111", ""]),
    ],
)
def test_several_applications_are_a_list_or_a_repeated_option(given: list[str], parsed: str | list[str]) -> None:
    values = {"application_id": given, "fields": None, "filters": None, "schema_overrides": None, "lookback": "7d"}
    assert options.parse_values(values)["application_id"] == parsed


@pytest.mark.parametrize("verb", ["ls", "info", "verify", "prune", "remove", "clear"])
def test_the_options_of_cache_commands_are_the_parameters_of_cache(verb: str) -> None:
    known = dict(inspect.signature(getattr(Cache, verb)).parameters)
    del known["self"]
    own = {name: option for name, option in parameters(f"cache {verb}").items() if name in known}
    assert {name: option.default for name, option in own.items()} == {
        n: parameter.default for n, parameter in known.items()
    }
    assert set(parameters(f"cache {verb}")) - set(own) == {"cache_dir", "as_json"}


def test_no_option_takes_a_token() -> None:
    """A flag says where the token is; an option with a value would show it to everybody on the machine."""
    taking = {name for command in COMMANDS for name, option in parameters(command).items() if "tok" in name}
    assert taking == {"token_stdin"}
    assert parameters("login")["token_stdin"].is_flag


def test_the_emulator_command_has_the_options_of_serve() -> None:
    expected = {name: parameter.default for name, parameter in inspect.signature(serve).parameters.items()}
    assert {name: option.default for name, option in parameters("emulator").items()} == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example_that_it_understands(name: str) -> None:
    result = CliRunner().invoke(cli.app, [*name.split(), "--help"], env={"COLUMNS": "100"}, prog_name=PROGRAM)
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: {PROGRAM} {name}")
    assert all(option.help for option in COMMANDS[name].params)
    examples = [shlex.split(line) for line in result.output.partition("Example")[2].splitlines() if PROGRAM in line]
    assert examples
    for example in examples:
        assert example[: 1 + len(name.split())] == [PROGRAM, *name.split()]
        COMMANDS[name].make_context(name, example[1 + len(name.split()) :])


@pytest.mark.parametrize("resource", ["clicks", "installations"])
def test_fields_prints_the_catalogue_as_a_table(resource: str, command: Command) -> None:
    result = command("fields", resource, COLUMNS="10000")
    assert result.returncode == 0, result.stderr
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["field", "dtype", "description"]
    listed = appmetrica_frames.list_fields(resource)
    assert [line.split()[0] for line in lines] == listed["field"].to_list()
    legacy = [line.split()[0] for line in lines if "(legacy)" in line]
    assert legacy == listed.filter("legacy")["field"].to_list() != []
    undocumented = [line.split()[0] for line in lines if "(undocumented)" in line]
    assert undocumented == listed.filter(default=False, legacy=False)["field"].to_list()


def test_fields_prints_the_catalogue_as_json(command: Command) -> None:
    result = command("fields", "installations", "--json")
    assert json.loads(result.stdout) == appmetrica_frames.list_fields("installations").rows(named=True)


def test_resources_are_a_table_or_json(command: Command) -> None:
    heading, *lines = command("resources", COLUMNS="10000").stdout.splitlines()
    assert heading.split() == ["resource", "fields", "dates", "title"]
    listed = appmetrica_frames.list_resources()
    assert [line.split()[0] for line in lines] == listed["resource"].to_list()
    assert [line for line in lines if "(deprecated)" in line] == [
        line for line in lines if line.split()[0] == "profiles"
    ]
    assert json.loads(command("resources", "--json").stdout) == listed.rows(named=True)


def test_apps_are_those_that_the_token_sees(
    command: Command, server_environment: dict[str, str], client: Client
) -> None:
    result = command("apps", **server_environment)
    assert (result.returncode, result.stderr) == (0, "")
    applications = client.applications()
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["application_id", "name", "time_zone_name"]
    assert [line.split()[0] for line in lines] == [str(number) for number in applications["application_id"]]
    result_json = command(
        "apps", "--json", "--base-url", server_environment["APPMETRICA_BASE_URL"], APPMETRICA_TOKEN="emulator-token"
    )
    assert json.loads(result_json.stdout) == applications.rows(named=True)


def test_the_version_is_the_package_version(command: Command) -> None:
    assert command("--version").stdout.split() == ["appmetrica-frames", appmetrica_frames.__version__]
