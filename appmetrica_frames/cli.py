"""The command line: a thin skin of the library's verbs. Data goes to standard output, talk to standard error."""

import inspect
import json
import sys
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from . import __version__, catalog
from .client import Client
from .errors import AppMetricaError, InvalidRequestError
from .words import order

if TYPE_CHECKING:
    import polars as pl

NAME = "appmetrica-frames"
FAILED, MISUSED, INTERRUPTED = 1, 2, 130
SETTINGS = ("cache_dir", "base_url", "prepare_timeout", "progress")
ENDINGS = (".parquet", ".csv")

app = typer.Typer(
    name=NAME,
    help="AppMetrica Logs API exports as frames and files. The token comes from APPMETRICA_TOKEN alone.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # its table cuts long option names
    pretty_exceptions_enable=False,  # they would show local variables, and with them the token
)


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
    "prepare_timeout": Word(float, "How long the server may prepare the file.", "SECONDS"),
    "progress": Word(bool, "Show progress on standard error. Default: in a terminal."),
}

ResourceName = Annotated[
    str, typer.Argument(metavar="RESOURCE", help=f"One of {', '.join(catalog.resources())}.", show_default=False)
]


def run() -> None:
    """Run the command that the process was started with."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # event names know no code page
    warnings.showwarning = _show_warning
    app(prog_name=NAME)


@contextmanager
def speaking() -> Iterator[None]:
    """Turn whatever ends a command into one line and an exit code."""
    try:
        yield
    except AppMetricaError as error:
        _say(f"{type(error).__name__}: {error}")
        raise typer.Exit(MISUSED if isinstance(error, InvalidRequestError) else FAILED) from error
    except BrokenPipeError:
        raise  # whoever read our output has seen enough; that is no error
    except OSError as error:
        _say(f"{type(error).__name__}: {error}")
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt:
        _say("interrupted")
        raise typer.Exit(INTERRUPTED) from None


def _say(text: str) -> None:
    typer.echo(f"{NAME}: {' '.join(text.split())}", err=True)


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    _say(f"{category.__name__}: {message}")


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's way to call
    if wanted:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *, _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False
) -> None:
    pass


@app.command()
@speaking()
def demo(*, keep: Annotated[bool, typer.Option("--keep", help="Leave the store there afterwards.")] = False) -> None:
    """See an export travel: an emulated server, a wait, a download, a frame. Needs no token and no network."""
    from .demo import show

    show(keep=keep)


@app.command()
@speaking()
def emulator(
    *,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    rows_per_day: Annotated[int, typer.Option(help="Event rows of an average day.")] = 2_000,
    preparation: Annotated[float, typer.Option(help="Seconds that preparing a file takes.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated population.")] = 1,
) -> None:
    """Serve an emulated Logs API on this machine until Ctrl-C."""
    from .emulator import serve

    serve(port=port, rows_per_day=rows_per_day, preparation=preparation, seed=seed)


@app.command()
@speaking()
def fields(
    resource: ResourceName,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")] = False,
) -> None:
    """List the fields of a resource; legacy ones stand in older documentation only."""
    from .catalog_frames import fields as listed

    rows = listed(resource).rows(named=True)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        row["description"] = f"{'(legacy) ' if row['legacy'] else ''}{row['description']}"
    typer.echo(_table(rows, ("field", "dtype", "description")))


def _table(rows: list[dict[str, str]], columns: tuple[str, ...]) -> str:
    lines = [columns, *(tuple(row[column] for column in columns) for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _read(resource: str, *, output: Path | None, **given: Any) -> None:
    """Read an export; print it, or write it to a Parquet or CSV file."""
    client = Client(**{name: given.pop(name) for name in SETTINGS})
    given["fields"] = _names(given["fields"])
    given["filters"] = _pairs(given["filters"], option="--filters", split=str.partition)
    # A custom attribute may have "=" in its name, a type has none.
    given["schema_overrides"] = _pairs(given["schema_overrides"], option="--schema-overrides", split=str.rpartition)
    if output is None:
        from .frames import read_appmetrica

        typer.echo(str(read_appmetrica(resource, client=client, **given)))
        return
    from .frames import scan_appmetrica

    rows = _write(scan_appmetrica(resource, client=client, **given), output)
    _say(f"{rows:,} rows in {output}")


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


def _writable(output: Path | None) -> Path | None:
    """Refuse, before anything is fetched, a file that could not be written."""
    if output is None:
        return None
    if output.suffix.lower() not in ENDINGS:
        raise typer.BadParameter(f"{str(output)!r} ends in neither {' nor '.join(ENDINGS)}.")
    if not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"There is no directory {str(output.absolute().parent)!r}.")
    if output.is_dir():
        raise typer.BadParameter(f"{str(output)!r} is a directory.")
    return output


def _write(lazy: "pl.LazyFrame", output: Path) -> int:
    """Stream the rows to a file that appears whole or not at all; return their number."""
    import polars as pl

    beside = output.with_name(f".{output.name}.{uuid.uuid4().hex}.tmp")
    try:
        (lazy.sink_csv if output.suffix.lower() == ".csv" else lazy.sink_parquet)(beside)
        beside.replace(output)
    finally:
        beside.unlink(missing_ok=True)
    return int(lazy.select(pl.len()).collect().item())


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
    option = typer.Option(spelt, help=said, metavar=metavar, show_default=word.default not in (None, False, "default"))
    optional = kind | None if word.default is None else kind
    return word.replace(annotation=Annotated[optional, option])


def _signed(function: Any) -> Any:
    """Give a function that takes words in ``**given`` a signature that typer makes options of."""
    own = inspect.Signature(
        [
            inspect.Parameter("resource", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=ResourceName),
            *_options(),
            inspect.Parameter("output", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=OutputFile),
        ]
    )
    function.__signature__ = own
    function.__annotations__ = {}
    return function


OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        callback=_writable,
        help="Write to this .parquet or .csv file, replacing it, instead of printing the frame.",
    ),
]

app.command("read")(speaking()(_signed(_read)))
