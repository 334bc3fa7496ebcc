"""Commands that fetch an export: to print it, to write it to a file, or to keep it in the cache."""

import shutil
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import parse_values, pop_client, with_options
from .output import explain_resuming, format_count, print_message, print_path, print_text

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".parquet", ".csv")
MOST_COLUMNS = 8  # of a table, as in Polars
UNBOUNDED = 10_000  # characters


def _read(resource: str, *, output: Path | None, **values: Any) -> None:
    """Read an export, and print it or write it to a file."""
    client, parameters = pop_client(values), parse_values(values)
    with explain_resuming(refresh=parameters["refresh"]):
        if output is None:
            from appmetrica_frames.api.read import read_appmetrica

            print_text(_format_frame(read_appmetrica(resource, client=client, **parameters)))
            return
        rows = _write(_scan(resource, client=client, **parameters), output)
    print_message(f"{format_count(rows, 'row')} in {output}")


def _scan(resource: str, **parameters: Any) -> "pl.LazyFrame":
    """Fetch an export, and scan its files: unlike `scan_appmetrica`, with columns as text where they do not fit."""
    from appmetrica_frames.engine.call import lease_exports
    from appmetrica_frames.engine.options import build_options
    from appmetrica_frames.integrations.polars import scan_files

    return scan_files(lease_exports(build_options(resource, **parameters)))


def _download(resource: str, **values: Any) -> None:
    """Fetch an export and print the paths of its Parquet files, which may have more columns than requested."""
    from appmetrica_frames.api.download import download_appmetrica

    client, parameters = pop_client(values), parse_values(values)
    with explain_resuming(refresh=parameters["refresh"]):
        for path in download_appmetrica(resource, client=client, **parameters):
            print_path(path)


def _format_frame(frame: "pl.DataFrame") -> str:
    """Format a frame for the width of the terminal; without one, for the width that Polars chooses."""
    width = shutil.get_terminal_size(fallback=(0, 0)).columns
    return _fit(frame, width) if width else str(frame)


def _fit(frame: "pl.DataFrame", width: int) -> str:
    """Format as many columns as fit without a cell that is broken over several lines."""
    import polars as pl

    text = ""
    for columns in range(MOST_COLUMNS, 1, -1):
        with pl.Config(tbl_cols=columns, tbl_width_chars=UNBOUNDED):
            height = str(frame).count("\n")
        with pl.Config(tbl_cols=columns, tbl_width_chars=width):
            text = str(frame)
        if text.count("\n") == height:
            break
    return text


def _check_output(output: Path | None) -> Path | None:
    """Reject a file that cannot be written, before anything is fetched."""
    if output is None:
        return None
    if str(output) == "-":
        raise typer.BadParameter(
            "Standard output is not taken: whoever reads it could not tell an export that broke off from a whole one. "
            f"Name a file that ends in {' or '.join(SUFFIXES)}."
        )
    if output.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"{str(output)!r} ends in neither {' nor '.join(SUFFIXES)}.")
    target = _resolve(output)
    if not target.parent.is_dir():
        raise typer.BadParameter(f"There is no directory {str(target.parent)!r}.")
    _check_target(target)
    return output


def _check_target(target: Path) -> None:
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:  # a name that is too long, a directory that may not be searched
        raise typer.BadParameter(f"{str(target)!r} cannot be written: {error.strerror}.") from error
    if stat.S_ISDIR(mode):
        raise typer.BadParameter(f"{str(target)!r} is a directory.")
    if not stat.S_ISREG(mode):
        raise typer.BadParameter(f"{str(target)!r} is not a regular file.")


def _resolve(output: Path) -> Path:
    """Return the file that a path leads to: a symbolic link stays, and the file that it points to is replaced."""
    try:
        return output.resolve()
    except (OSError, RuntimeError) as error:  # a loop of links is one or the other, depending on Python's version
        raise typer.BadParameter(f"{str(output)!r} cannot be resolved: {error}.") from error


def _write(lazy: "pl.LazyFrame", output: Path) -> int:
    """Stream the rows to a file, which is replaced as a whole or not at all; return their number."""
    import polars as pl

    target = _resolve(output)
    # In a directory of its own: a thread that an interrupt leaves behind cannot create the file again.
    directory = target.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        try:
            directory.mkdir(mode=0o700)
            temporary = directory / f"export{output.suffix}"
            _sink(lazy, temporary)
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            temporary.replace(target)
        finally:
            _remove(directory)
    finally:
        _remove(directory)  # Ctrl-C may have cut the first one short
    return int(lazy.select(pl.len()).collect().item())


def _sink(lazy: "pl.LazyFrame", path: Path) -> None:
    import polars as pl

    try:
        (lazy.sink_csv if path.suffix.lower() == ".csv" else lazy.sink_parquet)(path)
    except pl.exceptions.PolarsError as error:  # Polars reports a full disk as an OSError for CSV only
        raise OSError(f"the file cannot be written: {error}") from error


def _remove(directory: Path) -> None:
    # Not shutil.rmtree(), which closes a descriptor twice when it is interrupted.
    with suppress(OSError):
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()


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
