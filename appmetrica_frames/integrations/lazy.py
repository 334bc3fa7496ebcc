"""A LazyFrame whose exports are fetched at collect, and only those that the query needs."""

from __future__ import annotations

from functools import cache, partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import polars as pl
from polars.io.plugins import register_io_source

from appmetrica_frames.engine.call import lease_exports
from appmetrica_frames.engine.plan import plan_windows
from appmetrica_frames.engine.zones import find_known_zone
from appmetrica_frames.errors import SchemaError
from appmetrica_frames.util.caller import raise_at_caller
from appmetrica_frames.util.clock import SystemClock

from .polars import build_schema
from .pruning import prune_windows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from appmetrica_frames.engine.deferred import DeferredOptions
    from appmetrica_frames.engine.options import ReadOptions
    from appmetrica_frames.engine.plan import Window
    from appmetrica_frames.engine.resolve import ResolvedExport

CELLS_AT_ONCE = 5_000_000  # of several files that are read side by side: more take memory, fewer take time

# Before, an error in the middle would have ended the batches as if there were no more rows.
HAS_SAFE_BATCHES = int(pl.__version__.partition(".")[0]) >= 2  # noqa: PLR2004


def scan_exports(options: DeferredOptions) -> pl.LazyFrame:
    """Return a LazyFrame of a call that is made when it is collected."""
    source = ExportSource(options)
    try:
        # What `register_io_source` does, with a function that can be pickled without a further library.
        return pl.LazyFrame._scan_python_function(  # noqa: SLF001
            schema=source.schema, scan_fn=ScanFunction(source), is_pure=True
        )
    except (AttributeError, TypeError):
        return register_io_source(source, schema=source.schema, is_pure=True)


class ExportSource:
    """Yields the rows of a call to Polars; each time that it is called, the call is made anew."""

    def __init__(self, options: DeferredOptions) -> None:
        self.schema = build_schema(options.checked.request)
        self._options = options
        self._windows: Sequence[Window] | None = None
        self._refreshed_at: float | None = None

    @raise_at_caller
    def __call__(
        self, columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        """Fetch what a query needs, and return its batches of rows.

        It is fetched here and not by the iterator, because only here do errors, Ctrl-C and warnings reach the caller of
        `collect` as they are, in every engine of every version of Polars.
        """
        names = list(self.schema) if columns is None else columns
        exports = self._lease(predicate, n_rows)
        needed = {*names, *(() if predicate is None else predicate.meta.root_names())}
        for export in exports:
            _check_types(export, needed)
        query = Query(self.schema, names, predicate, n_rows, batch_size)
        return query.read(exports, needed)

    def _lease(self, predicate: pl.Expr | None, n_rows: int | None) -> list[ResolvedExport]:
        options = self._options.resolve()
        lease = partial(lease_exports, options, at=self._instant(options), accept_text=options.strict)
        windows = self._plan(options)
        if n_rows is not None:  # the first rows, for some of which the predicate may hold
            return _lease_in_order(windows, lease, n_rows)
        if predicate is not None:
            find_zone = cache(partial(find_known_zone, options.settings, cache=options.cache))
            windows = prune_windows(windows, predicate, self.schema, find_zone)
        return lease(windows=windows) if windows else []

    def _plan(self, options: ReadOptions) -> Sequence[Window]:
        """Return the windows of a call; those of dates that stay the same are planned once."""
        if options is not self._options.checked:
            return plan_windows(options)
        if self._windows is None:
            self._windows = plan_windows(options)
        return self._windows

    def _instant(self, options: ReadOptions) -> float | None:
        """Return the instant of the call: for a refresh, that of the first one, so that it is one refresh."""
        if not options.policy.refresh:
            return None
        if self._refreshed_at is None:
            self._refreshed_at = SystemClock().now()
        return self._refreshed_at


class ScanFunction:
    """What Polars calls to read from a source: an `IOSourceScanFunction` of Polars that can be pickled."""

    def __init__(self, source: ExportSource) -> None:
        self.io_source = source

    @raise_at_caller
    def __call__(
        self, columns: list[str] | None, predicate: bytes | None, n_rows: int | None, batch_size: int | None
    ) -> tuple[Iterator[pl.DataFrame], bool]:
        """Return the batches, and whether the predicate has been applied to them."""
        parsed, is_parsed = None, True
        if predicate:
            try:
                parsed = pl.Expr.deserialize(predicate)
            except Exception:  # noqa: BLE001 - Polars filters, then
                is_parsed = False
        return self.io_source(columns, parsed, n_rows, batch_size), is_parsed


class Query:
    """What a query wants of the rows."""

    def __init__(
        self,
        schema: pl.Schema,
        columns: list[str],
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> None:
        self._schema = schema
        self._columns = columns
        self._predicate = predicate
        self._n_rows = n_rows
        self._batch_size = batch_size

    def read(self, exports: Sequence[ResolvedExport], needed: Collection[str]) -> Iterator[pl.DataFrame]:
        """Yield the rows of exports, in their order."""
        left = self._n_rows
        for group in _group(exports, len(needed)):
            rows = sum(export.cached.rows for export in group)
            yield from self._read_group(group, left)
            left = None if left is None else max(0, left - rows)
        if not exports:
            yield pl.DataFrame(schema={name: self._schema[name] for name in self._columns})

    def _read_group(self, group: Sequence[ResolvedExport], n_rows: int | None) -> Iterable[pl.DataFrame]:
        rows = pl.scan_parquet([export.path for export in group], glob=False)
        rows = rows.with_columns(pl.lit(None, self._schema[name]).alias(name) for name in group[0].missing)
        if n_rows is not None:
            rows = rows.head(n_rows)
        if self._predicate is not None:
            rows = rows.filter(self._predicate)
        rows = rows.select(self._columns)
        if HAS_SAFE_BATCHES:
            return rows.collect_batches(chunk_size=self._batch_size, maintain_order=True)
        return [rows.collect(engine="streaming")]


def _lease_in_order(windows: Sequence[Window], lease: Any, n_rows: int) -> list[ResolvedExport]:
    """Return the exports of the first windows that together have so many rows."""
    exports: list[ResolvedExport] = []
    for window in windows:
        if sum(export.cached.rows for export in exports) >= n_rows:
            break
        exports += lease(windows=[window])
    return exports


def _check_types(export: ResolvedExport, needed: Collection[str]) -> None:
    """Raise `SchemaError` if a column is text where the schema of the LazyFrame has another type."""
    for column, reason in export.cached.text_columns.items():
        if column in needed:
            raise SchemaError(
                f"{_describe(export)}: {reason} A LazyFrame has promised another type. "
                f"Scan the column as text with schema_overrides={{{column!r}: 'string'}}; the export stays in the "
                "cache, and read_appmetrica returns it with the column as text.",
                column=column,
            )


def _describe(export: ResolvedExport) -> str:
    request = export.cached.request
    dates = f" from {request['date_since']} to {request['date_until']}" if "date_since" in request else ""
    return f"{export.cached.resource}{dates}"


def _group(exports: Iterable[ResolvedExport], columns: int) -> Iterator[list[ResolvedExport]]:
    """Yield exports that are read side by side: their files have the same columns, and not too many cells."""
    for _, alike in groupby(exports, _layout):
        group: list[ResolvedExport] = []
        for export in alike:
            if group and sum(one.cached.rows for one in (*group, export)) * columns > CELLS_AT_ONCE:
                yield group
                group = []
            group.append(export)
        yield group


def _layout(export: ResolvedExport) -> tuple[object, ...]:
    return export.cached.fields, set(export.cached.text_columns), set(export.missing)
