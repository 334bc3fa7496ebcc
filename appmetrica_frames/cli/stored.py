"""The store: what is in it, whether it is sound, and what can go."""

import time
from typing import Annotated, Any

import typer

from appmetrica_frames.cache.entry import CachedExport
from appmetrica_frames.cache.manage import Cache, PruneResult
from appmetrica_frames.progress.stats import format_bytes
from appmetrica_frames.util.durations import format_duration

from . import completion
from .options import Directory
from .talk import FAILED, AsJson, print_json, print_table, say

app = typer.Typer(help="Look at the store and clear it.", no_args_is_help=True, rich_markup_mode=None)

Resource = Annotated[
    str | None,
    typer.Option(
        metavar="RESOURCE",
        help="Exports of this resource only.",
        show_default=False,
        autocompletion=completion.resource_names,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")]


def ls(*, resource: Resource = None, cache_dir: Directory = None, as_json: AsJson = False) -> None:
    """List the stored exports, the latest stored first."""
    cache = Cache(cache_dir)
    exports = cache.ls(resource=resource)
    if as_json:
        print_json(exports)
        return
    if not exports:
        say(f"no export{f' of {resource}' if resource else ''} is stored in {cache.directory}")
    now = time.time()
    rows = [_row(export, now) for export in exports]
    print_table(rows, ("resource", "application", "dates", "rows", "size", "age", "key"))


def info(*, cache_dir: Directory = None, as_json: AsJson = False) -> None:
    """Say where the store is and how much it holds."""
    found = Cache(cache_dir).info()
    if as_json:
        print_json(found)
        return
    typer.echo(f"directory  {found.directory}")
    typer.echo(f"exports    {found.exports:,}\nrows       {found.rows:,}\nsize       {format_bytes(found.size)}")


def verify(*, cache_dir: Directory = None, as_json: AsJson = False) -> None:
    """Compare stored files with their checksums. Prints the damaged ones; exit code 1 if there are any."""
    found = Cache(cache_dir).verify()
    if as_json:
        print_json(found)
    else:
        for path in found.damaged:
            typer.echo(path)
        advice = "; 'cache prune' removes what is damaged" if found.damaged else ""
        say(f"{_counted(found.intact, 'export')} sound, {_counted(found.damaged, 'file')} damaged{advice}")
    if found.damaged:
        raise typer.Exit(FAILED)


def prune(
    *,
    max_bytes: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES",
            help="Remove the least recently used exports until so much is left; those lent within a day stay.",
        ),
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Remove exports stored longer ago than this.")
    ] = None,
    dry_run: DryRun = False,
    cache_dir: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Remove what nobody needs. Leftovers and damaged exports always, old or rarely used exports if asked."""
    removal = Cache(cache_dir).prune(max_bytes=max_bytes, older_than=older_than, dry_run=dry_run)
    _show(removal, as_json=as_json)


def remove(
    *,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The one export of this key, as ls shows it.",
            show_default=False,
            autocompletion=completion.keys,
        ),
    ] = None,
    resource: Resource = None,
    every: Annotated[bool, typer.Option("--all", help="Every export.")] = False,
    dry_run: DryRun = False,
    cache_dir: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Remove exports. The one of a key, those of a resource, or all."""
    if not (key or resource or every):
        raise typer.BadParameter("Say which exports: --key, --resource or --all.")
    cache = Cache(cache_dir)
    _show(
        cache.clear(dry_run=dry_run) if every else cache.remove(key=key, resource=resource, dry_run=dry_run),
        as_json=as_json,
    )


def _show(removal: PruneResult, *, as_json: bool) -> None:
    if as_json:
        print_json(removal)
        return
    for path in (*(export.path for export in removal.exports), *removal.leftovers):
        typer.echo(path)
    gone, freed = ("would go", "would be free") if removal.dry_run else ("removed", "freed")
    what = f"{_counted(removal.exports, 'export')} and {_counted(removal.leftovers, 'leftover')}"
    say(f"{what} {gone}, {format_bytes(removal.size)} {freed}")


def _row(export: CachedExport, now: float) -> dict[str, object]:
    return {
        "resource": export.resource,
        "application": export.request.get("application_id"),
        "dates": _dates(export.request),
        "rows": f"{export.rows:,}",
        "size": format_bytes(export.size),
        "age": format_duration(max(0.0, now - export.built_not_before.timestamp())),
        "key": export.key,
    }


def _dates(request: dict[str, Any]) -> str:
    """Say the range of an export, and the times of day only where they are not whole days."""
    since, until = (str(request.get(name, "")) for name in ("date_since", "date_until"))
    if not since:
        return ""
    return f"{since.removesuffix(' 00:00:00')} .. {until.removesuffix(' 23:59:59')}"


def _counted(things: tuple[object, ...], noun: str) -> str:
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"
