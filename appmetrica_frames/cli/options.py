"""Command-line options, built from the signatures of the library's functions and of `Client`."""

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, NamedTuple, get_args

import typer

from appmetrica_frames.api.download import download_appmetrica
from appmetrica_frames.client import Client
from appmetrica_frames.errors import InvalidRequestError
from appmetrica_frames.request.export import DateDimension, WireFormat
from appmetrica_frames.request.windows import Split
from appmetrica_frames.schema import catalog

from . import completion

NO_LOOKBACK = "none"
LENGTH = re.compile(r"(?P<number>[0-9]{1,6}(?:\.[0-9]{1,6})?)(?P<unit>[dh])")  # a unit is a must: 7 of what?
UNITS = {"d": "days", "h": "hours"}
HOURS_IN_DAY = 24

NO_OPTIONS = {"resource", "client", "filesystem"}
CLIENT_SETTINGS = ("cache_dir", "max_bytes", "base_url", "prepare_timeout", "progress")


class OptionSpec(NamedTuple):
    """How a parameter of the library becomes an option; its name and its default come from the library."""

    type: Any
    help: str
    metavar: str | None = None
    complete: Callable[..., completion.Completions] | None = None


SPECS = {
    "application_id": OptionSpec(
        list[str],
        "The application's number in AppMetrica, or several: repeat the option, or use commas. Default: "
        "APPMETRICA_APPLICATION_ID.",
        "NUMBER,...",
    ),
    "date_since": OptionSpec(
        str, "First day or second, in the application's time zone; also 'yesterday' or '7daysAgo'.", "DATE"
    ),
    "date_until": OptionSpec(str, "Last day or second, included; also 'today' or 'yesterday'.", "DATE"),
    "fields": OptionSpec(
        list[str], "Columns, in the order wanted. Default: every documented field.", "A,B,...", completion.field_list
    ),
    "filters": OptionSpec(
        list[str], "Only rows in which the field has this value; repeatable.", "FIELD=VALUE", completion.field_and_value
    ),
    "date_dimension": OptionSpec(
        str,
        "Time on the device (default) or on arrival at the server (receive).",
        "default|receive",
        completion.choices(get_args(DateDimension)),
    ),
    "limit": OptionSpec(int, "The most rows to export; which ones is up to the server.", "ROWS"),
    "to": OptionSpec(str, "Where the dataset is: a directory, or s3://bucket/prefix.", "DIRECTORY|URL"),
    "skip_unavailable_shards": OptionSpec(bool, "Export what is reachable while the Logs API is disabled."),
    "wire_format": OptionSpec(
        str, "What the server sends; the result is the same.", "csv|json", completion.choices(get_args(WireFormat))
    ),
    "split": OptionSpec(
        str,
        "Fetch and cache the range as calendar windows; only what is missing or out of date is fetched.",
        "day|week|month",
        completion.choices(get_args(Split)),
    ),
    "lookback": OptionSpec(
        str,
        "With --split: how long after its end a window can get more rows, in days or hours. Files built later are "
        "final; with none, no file is.",
        "7d|36h|none",
    ),
    "max_age": OptionSpec(float, "Accept a file built at most this long ago. Default: the server's rule.", "SECONDS"),
    "refresh": OptionSpec(bool, "Have the server build a new file now."),
    "offline": OptionSpec(bool, "Never use the network; accept a cached file of any age."),
    "stale_if_error": OptionSpec(
        float, "If the server fails, fall back on a file that has been stale for at most this long.", "SECONDS"
    ),
    "schema_overrides": OptionSpec(
        list[str], "An Arrow type instead of the catalogue's; repeatable.", "FIELD=TYPE", completion.field_and_value
    ),
    "add_columns": OptionSpec(bool, "Let new files have columns that the dataset lacks."),
    "duckdb": OptionSpec(str, "Keep a view of the resource in this DuckDB file, for BI tools.", "FILE"),
    "dry_run": OptionSpec(bool, "Show what would be done; request and write nothing."),
    "strict": OptionSpec(bool, "Fail on a value that does not fit its column's type."),
    "cache_dir": OptionSpec(
        str, "Directory of the cache. Default: APPMETRICA_CACHE_DIR, else the user's cache directory.", "DIRECTORY"
    ),
    "base_url": OptionSpec(str, "The server. Default: APPMETRICA_BASE_URL, else AppMetrica.", "URL"),
    "max_bytes": OptionSpec(
        int, "The most bytes to cache; the least recently used exports are removed. Default: no limit.", "BYTES"
    ),
    "prepare_timeout": OptionSpec(float, "How long the server may take to prepare the file.", "SECONDS"),
    "progress": OptionSpec(
        bool, "Show progress on standard error: a bar in a terminal, lines elsewhere. On by default."
    ),
}

ResourceName = Annotated[
    str,
    typer.Argument(
        metavar="RESOURCE",
        help=f"One of {', '.join(catalog.resources())}.",
        show_default=False,
        autocompletion=completion.resource_names,
    ),
]
CacheDirectory = Annotated[
    str | None,
    typer.Option("--cache-dir", help=SPECS["cache_dir"].help, metavar="DIRECTORY", show_default=False),
]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", help=SPECS["base_url"].help, metavar="URL", show_default=False)
]


def with_options(function: Any, *, library: Callable[..., Any] = download_appmetrica, **more: Any) -> Any:
    """Give a function with ``**values`` the signature that typer builds the options from.

    Parameters
    ----------
    library
        The function of the library whose parameters become options.
    **more
        The command's own options, with their annotations.
    """
    resource = inspect.Parameter("resource", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=ResourceName)
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in more.items()
    ]
    function.__signature__ = inspect.Signature([resource, *_build_options(library), *own])
    function.__annotations__ = {}
    return function


def pop_client(values: dict[str, Any], *, plain_lines: bool = True) -> Client:
    """Remove the client's settings from the values and return the client.

    Progress is shown unless it is disabled; where no terminal is, only with `plain_lines` or if it is asked for.
    """
    settings = {name: values.pop(name) for name in CLIENT_SETTINGS}
    check_cache_directory(settings["cache_dir"])
    progress = settings["progress"]
    return Client(**{**settings, "progress": progress is not False if plain_lines else progress})


def parse_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return the library's parameters from the values of the options."""
    _check_encoding(values)
    return {
        **values,
        "application_id": _split_applications(values["application_id"]),
        "fields": _split_names(values["fields"]),
        "lookback": parse_lookback(values["lookback"]),
        "filters": _split_pairs(values["filters"], option="--filters", split=str.partition),
        # The name of a custom attribute may contain "=", that of a type does not.
        "schema_overrides": _split_pairs(values["schema_overrides"], option="--schema-overrides", split=str.rpartition),
    }


def parse_lookback(text: str) -> timedelta | None:
    """Return the length of time that ``7d`` or ``36h`` says; ``none`` is None."""
    if text == NO_LOOKBACK:
        return None
    found = LENGTH.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is not a number of days or hours, such as 7d or 36h, nor {NO_LOOKBACK}.", param_hint="--lookback"
        )
    return timedelta(**{UNITS[found["unit"]]: float(found["number"])})


def format_lookback(lookback: timedelta) -> str:
    """Return how the command line says a number of whole days or hours."""
    hours = round(lookback / timedelta(hours=1))
    return f"{hours}h" if hours % HOURS_IN_DAY else f"{hours // HOURS_IN_DAY}d"


def check_cache_directory(value: str | None) -> str | None:
    """Return the directory; reject an empty one: it comes from a variable that is not set."""
    if value == "":
        raise InvalidRequestError("--cache-dir is empty. Name a directory, or leave the option out.")
    return value


def _check_encoding(values: dict[str, Any]) -> None:
    """Reject text that is not UTF-8: it cannot be sent."""
    for name, value in values.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
                raise InvalidRequestError(f"--{name.replace('_', '-')} takes UTF-8 text, not {text!r}.")


def _build_options(library: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return an option for each parameter of an export, and for the client's settings that matter here."""
    parameters = inspect.signature(library).parameters
    settings = inspect.signature(Client).parameters
    chosen = [parameter for name, parameter in parameters.items() if name not in NO_OPTIONS]
    return [_build_option(parameter) for parameter in (*chosen, *(settings[name] for name in CLIENT_SETTINGS))]


def _build_option(parameter: inspect.Parameter) -> inspect.Parameter:
    # A new parameter without a row in the table must not break every command; a test asks for the row.
    spec = SPECS.get(parameter.name) or OptionSpec(bool if parameter.default is False else str, "As in the library.")
    name = parameter.name.replace("_", "-")
    flags = f"--{name}/--no-{name}" if spec.type is bool and parameter.default is None else f"--{name}"
    option = typer.Option(
        flags,
        help=spec.help,
        metavar=spec.metavar,
        show_default=parameter.default not in (None, False, "default"),
        autocompletion=spec.complete,
    )
    if isinstance(parameter.default, timedelta):
        parameter = parameter.replace(default=format_lookback(parameter.default))
    value_type = spec.type | None if parameter.default is None else spec.type
    return parameter.replace(annotation=Annotated[value_type, option])


def _split_applications(texts: list[str] | None) -> str | list[str] | None:
    """Return one application as it is, so that the library's errors are about it, and several as a list."""
    if not texts:
        return None
    numbers = [number.strip() for text in texts for number in text.split(",")]
    return numbers if numbers[1:] else numbers[0]


def _split_names(texts: list[str] | None) -> list[str] | None:
    return [name.strip() for text in texts for name in text.split(",")] if texts else None


def _split_pairs(texts: list[str] | None, *, option: str, split: Any) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = split(text, "=")
        if not equals:
            raise typer.BadParameter(f"{text!r} does not have the form name=value.", param_hint=option)
        if name in pairs:
            raise typer.BadParameter(f"{name!r} is given twice.", param_hint=option)
        pairs[name] = value
    return pairs or None
