"""What can go from the store: leftovers, old exports, the least recently used; planned first, then done."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appmetrica_frames.util.durations import DAY
from appmetrica_frames.util.files import TEMPORARY

from . import pending
from .pending import PENDING
from .store import RECORD, Store, is_current, is_held, own_files, parquet_path, record, used_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .entry import Entry


@dataclass(frozen=True, slots=True)
class Stored:
    """An export in the store: where it lives and what is known of it."""

    folder: Path
    entry: Entry

    @property
    def path(self) -> Path:
        """Its Parquet file."""
        return parquet_path(self.folder, self.entry)


def too_old(exports: Iterable[Stored], *, stored_before: float) -> list[Stored]:
    """Choose the exports that were stored before an instant."""
    return [export for export in exports if export.entry.stored_at < stored_before]


def too_many(exports: Iterable[Stored], *, max_bytes: int, now: float, keep: Path | None = None) -> list[Stored]:
    """Choose the least recently used exports whose going leaves at most `max_bytes`.

    An export whose path was given away within a day stays: a LazyFrame may be about to read it.
    """
    known = sorted(exports, key=lambda export: used_at(export.path))
    excess = sum(export.entry.size for export in known) - max_bytes
    chosen = []
    for export in known:
        if excess > 0 and export.folder != keep and not is_held(export.path, now, minutes=0.0):
            chosen.append(export)
            excess -= export.entry.size
    return chosen


def evict(store: Store, *, max_bytes: int, now: float, keep: Path) -> None:
    """Remove the least recently used exports, but never the one that was just stored."""
    exports = [Stored(folder, entry) for folder, entry in store.records()]
    for export in too_many(exports, max_bytes=max_bytes, now=now, keep=keep):
        remove_export(store, export, now=now)


def leftovers(store: Store, now: float) -> Iterator[Path]:
    """Yield the files that belong to no export: of crashes, of replaced generations, of damaged records."""
    for folder in store.folders():
        with store.idle(folder.name) as idle:
            if idle:
                yield from _leftovers_in(folder, now)


def remove_export(store: Store, export: Stored, *, now: float | None = None) -> bool:
    """Remove an export, unless another process replaces it.

    With `now`, the files of generations before it stay as long as somebody may hold them.
    """
    with store.idle(export.folder.name) as idle:
        if not idle or not is_current(export.folder, export.entry):
            return False
        # The record goes first: without it the files are nobody's, and a crash in between leaves a miss.
        _remove(export.folder / RECORD)
        for path in own_files(export.folder):
            current = _generation(path) == export.entry.generation
            if now is None or current or not is_held(path.with_suffix(".parquet"), now):
                _remove(path)
        _remove_empty(export.folder)
    return True


def remove_leftovers(store: Store, paths: Iterable[Path], now: float) -> None:
    """Remove leftovers, and the folders that hold nothing else."""
    planned = set(paths)
    for folder in store.folders():
        with store.idle(folder.name) as idle:
            if idle:  # and once more: what was left over when the plan was made may have become an export
                for path in planned.intersection(_leftovers_in(folder, now)):
                    _remove(path)
                _remove_empty(folder)


def _leftovers_in(folder: Path, now: float) -> Iterator[Path]:
    try:
        current = record(folder).generation
    except (FileNotFoundError, ValueError):
        current = None
    except OSError:
        return  # as long as the record cannot be read, nobody knows what belongs to it
    for path in own_files(folder):
        generation = _generation(path)
        if path.name == RECORD:
            old = current is None
        elif path.name == PENDING:
            mark = pending.found(folder)
            old = mark is None or mark.requested_at < now - DAY
        elif path.name.endswith(TEMPORARY):
            old = True
        else:
            old = generation != current and not is_held(path.with_suffix(".parquet"), now)
        if old:
            yield path


def _generation(path: Path) -> str:
    return path.name.split(".")[0]


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError, PermissionError):  # gone already; or open, on Windows
        path.unlink()


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
