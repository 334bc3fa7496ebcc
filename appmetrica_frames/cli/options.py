"""The options: the words of the library, and the client's settings that matter on a command line."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import typer

from appmetrica_frames.api import download_appmetrica as order
from appmetrica_frames.client import Client
from appmetrica_frames.request.export import DateDimension, WireFormat
from appmetrica_frames.schema import catalog

from . import completion

SETTINGS = ("cache_dir", "max_bytes", "base_url", "prepare_timeout", "progress")


class Word(NamedTuple):
    """How a word of the library is said as an option; its name and its default are the library's own."""

    kind: Any
    help: str
    metavar: str | None = None


WORDS = {
    "application_id": Word(str, "The application's number in AppMetrica.", "NUMBER"),
    "date_since": Word(str, "First day or second, in the application's time zone.", "DATE"),
    "date_until": Word(str, "Last day or second, included.", "DATE"),
    "fields": Word(list[str], "Columns, in the order wanted. Default: every documented one.", "A,B,..."),
    "filters": Word(list[str], "Rows whose field equals the value only; repeatable.", "FIELD=VALUE"),
    "date_dimension": Word(str, "Time on the device (default) or at the server (receive).", "default|receive"),
    "limit": Word(int, "At most so many rows; which ones is up to the server.", "ROWS"),
    "skip_unavailable_shards": Word(bool, "Export what is reachable while the Logs API is disabled."),
    "wire_format": Word(str, "What the server sends; the frame is the same.", "csv|json"),
    "max_age": Word(float, "Accept a file built at most so long ago. Default: 24 hours.", "SECONDS"),
    "refresh": Word(bool, "Have the server build a new file now."),
    "offline": Word(bool, "Never touch the network; accept a stored file of any age."),
    "stale_if_error": Word(float, "Fall back on a file that has been stale for at most so long.", "SECONDS"),
    "schema_overrides": Word(list[str], "An Arrow type instead of the catalogue's; repeatable.", "FIELD=TYPE"),
    "strict": Word(bool, "Fail on a value that does not fit its column's type."),
    "cache_dir": Word(Path, "The store. Default: APPMETRICA_CACHE_DIR, else the user's cache directory.", "DIRECTORY"),
    "base_url": Word(str, "The server. Default: APPMETRICA_BASE_URL, else AppMetrica.", "URL"),
    "max_bytes": Word(
        int, "Bytes that the store may hold; the least recently used exports go. Default: no limit.", "BYTES"
    ),
    "prepare_timeout": Word(float, "How long the server may prepare the file.", "SECONDS"),
    "progress": Word(bool, "Show progress on standard error: a bar in a terminal, lines elsewhere. Default: do."),
}

OFFERED: dict[str, Callable[..., completion.Offers]] = {
    "fields": completion.listed_fields,
    "filters": completion.named_field,
    "schema_overrides": completion.named_field,
    "date_dimension": completion.one_of(get_args(DateDimension)),
    "wire_format": completion.one_of(get_args(WireFormat)),
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
Directory = Annotated[
    Path | None, typer.Option("--cache-dir", help=WORDS["cache_dir"].help, metavar="DIRECTORY", show_default=False)
]


def signed(function: Any, **more: Any) -> Any:
    """Give a function that takes words in ``**given`` a signature that typer makes options of."""
    resource = inspect.Parameter("resource", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=ResourceName)
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in more.items()
    ]
    function.__signature__ = inspect.Signature([resource, *_options(), *own])
    function.__annotations__ = {}
    return function


def client(given: dict[str, Any]) -> Client:
    """Take the client's settings out of what was given. Whoever starts a program wants to see that it lives."""
    settings = {name: given.pop(name) for name in SETTINGS}
    return Client(**{**settings, "progress": settings["progress"] is not False})


def library_words(given: dict[str, Any]) -> dict[str, Any]:
    """Return the library's words out of what was given on the command line."""
    return {
        **given,
        "fields": _names(given["fields"]),
        "filters": _pairs(given["filters"], option="--filters", split=str.partition),
        # A custom attribute may have "=" in its name, a type has none.
        "schema_overrides": _pairs(given["schema_overrides"], option="--schema-overrides", split=str.rpartition),
    }


def _options() -> list[inspect.Parameter]:
    """Return the library's words, and the client's settings that matter here, as options."""
    words = inspect.signature(order).parameters.values()
    settings = inspect.signature(Client).parameters
    chosen = [*(word for word in words if word.name not in {"resource", "client"}), *map(settings.get, SETTINGS)]
    return [_option(word) for word in chosen if word is not None]


def _option(word: inspect.Parameter) -> inspect.Parameter:
    # A word that the table does not know yet must not take every command down; a test misses it in the table.
    kind, said, metavar = WORDS.get(word.name) or Word(bool if word.default is False else str, "As in the library.")
    dashed = f"--{word.name.replace('_', '-')}"
    spelt = f"{dashed}/--no-{dashed[2:]}" if kind is bool and word.default is None else dashed
    shown = word.default not in (None, False, "default")
    option = typer.Option(spelt, help=said, metavar=metavar, show_default=shown, autocompletion=OFFERED.get(word.name))
    optional = kind | None if word.default is None else kind
    return word.replace(annotation=Annotated[optional, option])


def _names(given: list[str] | None) -> list[str] | None:
    return [name.strip() for piece in given for name in piece.split(",")] if given else None


def _pairs(given: list[str] | None, *, option: str, split: Any) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    for text in given or ():
        name, equals, value = split(text, "=")
        if not equals:
            raise typer.BadParameter(f"{text!r} is not like name=value.", param_hint=option)
        if name in pairs:
            raise typer.BadParameter(f"{name!r} is given twice.", param_hint=option)
        pairs[name] = value
    return pairs or None
