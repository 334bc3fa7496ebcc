"""Commands that fetch an export: to print it, to write it to a file, or to keep it in the cache."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import parse_values, pop_client, with_options
from .output import explain_resuming, format_count, print_message

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".parquet", ".csv")


def _read(resource: str, *, output: Path | None, **values: Any) -> None:
    """Read an export, and print it or write it to a file."""
    client, parameters = pop_client(values), parse_values(values)
    with explain_resuming(refresh=parameters["refresh"]):
        if output is None:
            from appmetrica_frames.api import read_appmetrica

            typer.echo(str(read_appmetrica(resource, client=client, **parameters)))
            return
        from appmetrica_frames.api import scan_appmetrica

        rows = _write(scan_appmetrica(resource, client=client, **parameters), output)
    print_message(f"{format_count(rows, 'row')} in {output}")


def _download(resource: str, **values: Any) -> None:
    """Fetch an export and print the paths of its Parquet files, which may have more columns than requested."""
    from appmetrica_frames.api import download_appmetrica

    client, parameters = pop_client(values), parse_values(values)
    with explain_resuming(refresh=parameters["refresh"]):
        for path in download_appmetrica(resource, client=client, **parameters):
            typer.echo(path)


def _check_output(output: Path | None) -> Path | None:
    """Reject a file that cannot be written, before anything is fetched."""
    if output is None:
        return None
    if output.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"{str(output)!r} ends in neither {' nor '.join(SUFFIXES)}.")
    if not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"There is no directory {str(output.absolute().parent)!r}.")
    if output.is_dir():
        raise typer.BadParameter(f"{str(output)!r} is a directory.")
    return output


def _write(lazy: "pl.LazyFrame", output: Path) -> int:
    """Stream the rows to a file, which is replaced as a whole or not at all; return their number."""
    import polars as pl

    temporary = output.with_name(f".{output.name}.{uuid.uuid4().hex}.tmp")
    try:
        (lazy.sink_csv if output.suffix.lower() == ".csv" else lazy.sink_parquet)(temporary)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    return int(lazy.select(pl.len()).collect().item())


OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        callback=_check_output,
        help="Write to this .parquet or .csv file, replacing it, instead of printing.",
    ),
]

read = with_options(_read, output=OutputFile)
download = with_options(_download)
