"""What every command shares: how it speaks, what it prints, and with which code it ends."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from appmetrica_frames.errors import AppMetricaError, InvalidRequestError

NAME = "appmetrica-frames"
FAILED, MISUSED, INTERRUPTED, TERMINATED = 1, 2, 130, 143

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@contextmanager
def speaking() -> Iterator[None]:
    """Turn whatever ends a command into one line and an exit code."""
    try:
        yield
    except AppMetricaError as error:
        say(f"{type(error).__name__}: {error}")
        raise typer.Exit(MISUSED if isinstance(error, InvalidRequestError) else FAILED) from error
    except BrokenPipeError:
        raise  # whoever read our output has seen enough; that is no error
    except OSError as error:
        say(f"{type(error).__name__}: {error}")
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as stop:
        say("; ".join(["interrupted", *map(str, stop.args)]))
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def resumable(*, refresh: bool) -> Iterator[None]:
    """Have an interruption say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        same = "the same command without --refresh" if refresh else "the same command"
        raise KeyboardInterrupt(f"{same} goes on with the same job") from None


def say(text: str) -> None:
    """Say something on one line."""
    typer.echo(f"{NAME}: {' '.join(text.split())}", err=True)


def show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Show a warning as `warnings.showwarning` does, on one line."""
    say(f"{category.__name__}: {message}")


def print_json(document: Any) -> None:
    """Print dataclasses and plain values."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=_plain))


def print_table(rows: Iterable[Mapping[str, object]], columns: Iterable[str]) -> None:
    """Print rows under a heading, without borders."""
    lines = [list(columns)]
    lines += [["" if row[column] is None else str(row[column]) for column in lines[0]] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(map(str.ljust, line, widths)).rstrip())


def examples(*commands: str) -> str:
    """Word examples for the end of a command's help; the mark keeps their lines."""
    return "\b\n" + "\n".join(["Examples:" if commands[1:] else "Example:", *(f"  {NAME} {line}" for line in commands)])


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {known.name: getattr(value, known.name) for known in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} is no JSON")
