"""Exports: printed, written to a file, or left in the store."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import client, library_words, signed
from .talk import resumable, say

if TYPE_CHECKING:
    import polars as pl

ENDINGS = (".parquet", ".csv")


def _read(resource: str, *, output: Path | None, **given: Any) -> None:
    """Read an export; print it or write a file."""
    asker, words = client(given), library_words(given)
    with resumable(refresh=words["refresh"]):
        if output is None:
            from appmetrica_frames.api import read_appmetrica

            typer.echo(str(read_appmetrica(resource, client=asker, **words)))
            return
        from appmetrica_frames.api import scan_appmetrica

        rows = _write(scan_appmetrica(resource, client=asker, **words), output)
    say(f"{rows:,} rows in {output}")


def _download(resource: str, **given: Any) -> None:
    """Fetch an export; print where its Parquet is. A file may hold more columns than were asked for."""
    from appmetrica_frames.api import download_appmetrica

    asker, words = client(given), library_words(given)
    with resumable(refresh=words["refresh"]):
        for path in download_appmetrica(resource, client=asker, **words):
            typer.echo(path)


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

read = signed(_read, output=OutputFile)
download = signed(_download)
