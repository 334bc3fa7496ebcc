"""Commands for the local cache: list it, check it, remove exports."""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from appmetrica_frames.cache.listing import build_rows
from appmetrica_frames.cache.manage import Cache, PruneResult
from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.progress.stats import format_bytes
from appmetrica_frames.util.terminal import escape_controls

from . import completion
from .options import CacheDirectory, check_cache_directory
from .output import (
    FAILED,
    AsJson,
    fits_terminal,
    format_amounts,
    format_count,
    format_dates,
    print_json,
    print_message,
    print_path,
    print_table,
    print_text,
)

app = typer.Typer(help="List, check and clear the local cache.", no_args_is_help=True, rich_markup_mode=None)

Resource = Annotated[
    str | None,
    typer.Option(
        metavar="RESOURCE",
        help="Only exports of this resource.",
        show_default=False,
        autocompletion=completion.resource_names,
    ),
]
COLUMNS = ("key", "resource", "application", "dates", "state", "rows", "size", "age", "fields", "filters")
MAX_NAMED = 3  # fields of an export; of more, the number is shown
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")]


def ls(*, resource: Resource = None, cache_dir: CacheDirectory = None, as_json: AsJson = False) -> None:
    """List the cached exports, the latest fetched first, and the jobs that the server has accepted."""
    cache = _open_cache(cache_dir)
    exports = build_rows(LocalStore(cache.directory), resource, time.time())
    if as_json:
        print_json(exports)
        return
    if not exports:
        print_message(f"no export{f' of {resource}' if resource else ''} in the cache {cache.directory}")
    rows = list(map(_format_row, exports))
    if not fits_terminal(rows, COLUMNS):
        print_table(rows, COLUMNS[1:])
        print_message("the keys, for --key, are in --json and in a wider terminal")
    else:
        print_table(rows, COLUMNS)


def info(*, cache_dir: CacheDirectory = None, as_json: AsJson = False) -> None:
    """Show where the cache is and how much it holds."""
    summary = _open_cache(cache_dir).info()
    if as_json:
        print_json(summary)
        return
    print_text(f"directory  {escape_controls(str(summary.directory))}")
    typer.echo(f"exports    {summary.exports:,}\nrows       {summary.rows:,}\nsize       {format_bytes(summary.size)}")


def verify(*, cache_dir: CacheDirectory = None, as_json: AsJson = False) -> None:
    """Compare the cached files with their checksums. Prints the damaged ones; exit code 1 if there are any."""
    result = _open_cache(cache_dir).verify()
    if as_json:
        print_json(result)
    else:
        for path in result.damaged:
            print_path(path)
        advice = "; 'cache prune' removes what is damaged" if result.damaged else ""
        intact, damaged = format_count(len(result.intact), "export"), format_count(len(result.damaged), "file")
        print_message(f"{intact} intact, {damaged} damaged{advice}")
    if result.damaged:
        raise typer.Exit(FAILED)


def prune(
    *,
    max_bytes: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES",
            help="Remove the least recently used exports until at most this much is left. "
            "An export whose path was handed out within the last day stays.",
        ),
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Remove exports fetched longer ago than this.")
    ] = None,
    dry_run: DryRun = False,
    cache_dir: CacheDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Remove leftovers and damaged exports; with options, also old or rarely used exports."""
    result = _open_cache(cache_dir).prune(max_bytes=max_bytes, older_than=older_than, dry_run=dry_run)
    _print_result(result, as_json=as_json)


def remove(
    *,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The export with this key, as shown by ls.",
            show_default=False,
            autocompletion=completion.cache_keys,
        ),
    ] = None,
    resource: Resource = None,
    dry_run: DryRun = False,
    cache_dir: CacheDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Remove the export with a key, or the exports of a resource."""
    if key is None and resource is None:
        raise typer.BadParameter("Give --key or --resource; 'cache clear' removes every export.")
    _print_result(_open_cache(cache_dir).remove(key=key, resource=resource, dry_run=dry_run), as_json=as_json)


def clear(*, dry_run: DryRun = False, cache_dir: CacheDirectory = None, as_json: AsJson = False) -> None:
    """Remove every export."""
    _print_result(_open_cache(cache_dir).clear(dry_run=dry_run), as_json=as_json)


def _open_cache(directory: str | None) -> Cache:
    """Return the cache in a directory given as an option."""
    return Cache(check_cache_directory(directory))


def _print_result(result: PruneResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for path in (*(export.path for export in result.exports), *result.leftovers):
        print_path(path)
    exports, leftovers = format_count(len(result.exports), "export"), format_count(len(result.leftovers), "leftover")
    size = format_bytes(result.size)
    outcome = f"would be removed, freeing {size}" if result.dry_run else f"removed, {size} freed"
    print_message(f"{exports} and {leftovers} {outcome}")


def _format_row(export: Mapping[str, Any]) -> dict[str, object]:
    fields = export["fields"] or []
    return {
        "resource": export["resource"],
        "application": export["application_id"],
        "dates": format_dates(export["since"], export["until"]),
        "state": export["state"],
        **format_amounts(export),
        "fields": ", ".join(fields) if len(fields) <= MAX_NAMED else format_count(len(fields), "field"),
        "filters": ", ".join([*(export["filters"] or []), *(export["options"] or [])]),
        "key": export["key"],
    }
