"""What every command shares: how it prints data, reports problems and sets the exit code."""

import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from appmetrica_frames.credentials import KeyringError
from appmetrica_frames.errors import AppMetricaError, InvalidRequestError
from appmetrica_frames.progress.stats import format_bytes
from appmetrica_frames.progress.stream import SafeStream
from appmetrica_frames.util.durations import format_duration
from appmetrica_frames.util.tables import format_table
from appmetrica_frames.util.terminal import escape_controls

from .wording import suggest_option, to_options

PROGRAM = "appmetrica-frames"
FAILED, MISUSED, INTERRUPTED, TERMINATED = 1, 2, 130, 143
LAST_SECOND = time(23, 59, 59)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn an error or an interrupt into one line on standard error and an exit code."""
    try:
        yield
    except AppMetricaError as error:
        print_message(f"{type(error).__name__}: {to_options(str(error))}")
        raise typer.Exit(MISUSED if isinstance(error, InvalidRequestError) else FAILED) from error
    except KeyringError as error:
        print_message(f"the keyring cannot be used: {error}")
        raise typer.Exit(FAILED) from None  # with what the keyring was asked
    except BrokenPipeError:
        raise  # the reader of our output, such as head, has closed it; that is not an error
    except OSError as error:
        print_message(f"{type(error).__name__}: {error}")
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as interrupt:
        SafeStream().clear()  # the terminal has echoed ^C
        print_message("; ".join(["interrupted", *map(str, interrupt.args)]))
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def explain_resuming(*, refresh: bool) -> Iterator[None]:
    """Add to an interrupt how to continue; one of a range says itself how far it is."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        advice = _advise_range(refresh=refresh) if interrupt.args else _advise_job(refresh=refresh)
        raise KeyboardInterrupt(*interrupt.args, advice) from None


def _advise_job(*, refresh: bool) -> str:
    command = "the same command without --refresh" if refresh else "the same command"
    return f"{command} continues with the same job"


def _advise_range(*, refresh: bool) -> str:
    if refresh:  # repeated, it would have all windows built once more
        return "the same command without --refresh keeps them, and fetches what is missing or out of date"
    return "the same command fetches the rest"


def print_message(text: str) -> None:
    """Print one line on standard error."""
    typer.echo(f"{PROGRAM}: {escape_controls(' '.join(text.split()))}", err=True)


def print_misuse(error: TyperException) -> None:
    """Print what is wrong with a command line, and how the command is used."""
    context: typer.Context | None = getattr(error, "ctx", None)
    message = error.format_message()
    if context is not None and message == context.get_help():  # a command without arguments asks for its help
        typer.echo(message, err=True)
        return
    message = _add_suggestion(error, message)
    end = "" if message.endswith("?") else "."
    print_message(f"{message.rstrip('.')}{end} {context.get_usage()}" if context is not None else message)


def _add_suggestion(error: TyperException, message: str) -> str:
    """Add what was meant by an option of another name to a message, in place of options that look alike."""
    flag, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if flag is None or context is None:
        return message.replace("'?.", "'?")
    known = {spelt for option in context.command.params for spelt in option.opts}
    hint = suggest_option(flag, known)
    return f"No such option: {flag}. {hint}" if hint else message


def print_text(text: str) -> None:
    """Print a text of several lines, such as a frame."""
    typer.echo(escape_controls(text, keep="\n"))


def print_path(path: Path) -> None:
    """Print a path. Only a terminal gets escapes; another program gets the path as it is."""
    if sys.stdout.isatty() or sys.platform == "win32":
        typer.echo(escape_controls(str(path)))
    else:
        typer.echo(os.fsencode(path))


def show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Print a warning on one line, in place of `warnings.showwarning`."""
    print_message(f"{category.__name__}: {to_options(str(message))}")


def print_json(document: Any) -> None:
    """Print dataclasses and plain values as JSON."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=_to_plain))


def print_table(rows: Iterable[Mapping[str, object]], columns: Iterable[str], *, cut: bool = False) -> None:
    """Print rows under a heading, without borders, as wide as the terminal; another program gets whole lines.

    Cells that are too long for a terminal are wrapped; `cut` cuts the line instead, so that a row has one.
    """
    width = _terminal_width()
    for line in format_table(_build_table(rows, columns), width=None if cut else width):
        typer.echo(_cut(line, width) if cut else line)


def fits_terminal(rows: Iterable[Mapping[str, object]], columns: Iterable[str]) -> bool:
    """Tell whether a table can be printed without a wrapped cell."""
    width = _terminal_width()
    return width is None or all(len(line) <= width for line in format_table(_build_table(rows, columns)))


def _terminal_width() -> int | None:
    return shutil.get_terminal_size(fallback=(0, 0)).columns or None


def _build_table(rows: Iterable[Mapping[str, object]], columns: Iterable[str]) -> list[list[str]]:
    names = list(columns)
    return [names, *(["" if row[name] is None else escape_controls(str(row[name])) for name in names] for row in rows)]


def format_amounts(row: Mapping[str, Any]) -> dict[str, object]:
    """Format the rows, the bytes and the age of an export or a window, as far as they are known."""
    return {
        "rows": None if row["rows"] is None else f"{row['rows']:,}",
        "size": None if row["bytes"] is None else format_bytes(row["bytes"]),
        "age": None if row["age"] is None else format_duration(row["age"].total_seconds()),
    }


def format_dates(since: datetime | None, until: datetime | None) -> str:
    """Format a range, with times of day only where it is not made of whole days."""
    if since is None or until is None:
        return ""
    is_one_day = since.date() == until.date()
    if (since.time(), until.time()) != (time(), LAST_SECOND):
        return f"{since} .. {until.time() if is_one_day else until}"
    return str(since.date()) if is_one_day else f"{since.date()} .. {until.date()}"


def format_count(count: int, noun: str) -> str:
    """Format a number with its noun, as in ``1 export`` or ``2,000 exports``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_examples(*commands: str) -> str:
    """Format examples for the end of a command's help; the first character keeps their line breaks."""
    lines = [f"  {PROGRAM} {command}" for command in commands]
    return "\b\n" + "\n".join(["Examples:" if commands[1:] else "Example:", *lines])


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else f"{text[: width - 1]}…"


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {known.name: getattr(value, known.name) for known in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} has no form in JSON")
