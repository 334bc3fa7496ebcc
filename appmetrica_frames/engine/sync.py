"""A dataset of windows kept up to date: what it holds decides what is fetched, and each window is published at once."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appmetrica_frames.cache.policy import Freshness, State, check_freshness
from appmetrica_frames.errors import IncompleteExportError, SchemaError
from appmetrica_frames.request.dates import describe_range
from appmetrica_frames.request.windows import first_day
from appmetrica_frames.util.clock import SystemClock

from .call import resolve_exports
from .dataset import (
    SHARDS,
    DatasetFile,
    Partition,
    check_request,
    list_columns,
    order_columns,
    widen,
    without_partition_columns,
)
from .plan import plan_windows

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Literal

    from appmetrica_frames.errors import AppMetricaError, ExportWindow
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.util.clock import Clock

    from .dataset import Dataset
    from .options import ReadOptions
    from .plan import Window
    from .resolve import ResolvedExport


@dataclass(frozen=True, slots=True)
class SyncedWindow:
    """What was done about one window.

    Attributes
    ----------
    freshness
        What the dataset had before.
    file
        What it has now; None if it has nothing, or a damaged file.
    """

    request: ExportRequest
    freshness: Freshness
    action: Literal["written", "kept", "would write"]
    path: str
    file: DatasetFile | None
    now: float


@dataclass(frozen=True, slots=True)
class _PlannedWindow:
    window: Window
    partition: Partition
    freshness: Freshness
    file: DatasetFile | None


def sync_exports(
    options: ReadOptions,
    dataset: Dataset,
    *,
    add_columns: bool = False,
    dry_run: bool = False,
    clock: Clock | None = None,
) -> list[SyncedWindow]:
    """Bring the windows of a call in a dataset up to date, and return what was done about each.

    Raises
    ------
    IncompleteExportError
        If some of the windows failed; the others are in the dataset.
    """
    clock = clock or SystemClock()
    options = without_partition_columns(options)
    with nullcontext() if dry_run else dataset.lock():
        return _Sync(options.at(clock.now()), dataset, clock, add_columns=add_columns).run(dry_run=dry_run)


class _Sync:
    """One sync: the plan is made from what the dataset holds, and then carried out."""

    def __init__(self, options: ReadOptions, dataset: Dataset, clock: Clock, *, add_columns: bool) -> None:
        self._dataset = dataset
        self._clock = clock
        self._split = options.split or "day"
        files = dataset.load({self._partition(window.request) for window in plan_windows(options)})
        held = [file for file in files.values() if file is not None]
        check_request(options, held, dataset.place)
        self._options = order_columns(widen(options, files, self._split), held, dataset.place, add=add_columns)
        self._plan = {window.dates: self._plan_window(window, files) for window in plan_windows(self._options)}
        self._published: dict[ExportWindow, DatasetFile] = {}
        self._refused: dict[ExportWindow, AppMetricaError] = {}

    def run(self, *, dry_run: bool) -> list[SyncedWindow]:
        stale = {dates for dates, planned in self._plan.items() if not planned.freshness.is_fresh}
        if stale and not dry_run:
            self._fetch(stale)
        action: Literal["written", "would write"] = "would write" if dry_run else "written"
        return [self._describe(planned, action if dates in stale else "kept") for dates, planned in self._plan.items()]

    def _fetch(self, stale: Collection[ExportWindow]) -> None:
        try:
            with ExitStack() as scope:
                resolve_exports(
                    self._options,
                    scope,
                    self._clock,
                    windows=[window for window in plan_windows(self._options) if window.dates in stale],
                    on_window=self._publish,
                )
        except IncompleteExportError as error:
            raise self._explain(error) from error.__cause__
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._describe_progress()) from None
        if self._refused:
            raise self._explain() from next(iter(self._refused.values()))

    def _publish(self, window: Window, export: ResolvedExport) -> None:
        """Publish a window; called in several threads, each with a window of its own."""
        # The cache may answer with a file that has more columns than are wanted.
        reasons = {name: reason for name, reason in export.cached.text_columns.items() if name in export.fields}
        if reasons:
            self._refused[window.dates] = _text_error(window.request.title, reasons)
            return
        about = DatasetFile(
            params=dict(window.request.params),
            origin=self._options.settings.origin,
            columns=list_columns(self._options.request),
            times=export.cached.times,
            rows=export.cached.rows,
            size=0,
        )
        self._published[window.dates] = self._dataset.publish(self._plan[window.dates].partition, export, about)

    def _plan_window(self, window: Window, files: Mapping[Partition, DatasetFile | None]) -> _PlannedWindow:
        partition = self._partition(window.request)
        file = files.get(partition)
        if partition in files and file is None:
            damaged = Freshness(State.STALE, "the metadata of its file is damaged")
            return _PlannedWindow(window, partition, damaged, None)
        return _PlannedWindow(window, partition, self._check(window, file), file)

    def _check(self, window: Window, file: DatasetFile | None) -> Freshness:
        if file is None:
            return Freshness(State.MISSING, "the dataset has no such window")
        params = dict(window.request.params)
        if file.span != (params["date_since"], params["date_until"]):
            return Freshness(State.STALE, f"covers {describe_range(*file.span)} only")
        if SHARDS in file.params and SHARDS not in params:
            return Freshness(State.STALE, f"was exported with {SHARDS}")
        return check_freshness(file.times, self._options.policy, self._clock.now(), window.settled_at)

    def _partition(self, request: ExportRequest) -> Partition:
        return Partition(request.application_id, first_day(dict(request.params)["date_since"], self._split))

    def _describe(self, planned: _PlannedWindow, action: Literal["written", "kept", "would write"]) -> SyncedWindow:
        return SyncedWindow(
            planned.window.request,
            planned.freshness,
            action,
            self._dataset.describe_path(planned.partition),
            self._published.get(planned.window.dates, planned.file),
            self._clock.now(),
        )

    def _completed(self) -> tuple[ExportWindow, ...]:
        return tuple(
            dates for dates, planned in self._plan.items() if planned.freshness.is_fresh or dates in self._published
        )

    def _describe_progress(self) -> str:
        return f"{len(self._completed())} of {len(self._plan)} windows are up to date in {self._dataset.place}"

    def _explain(self, error: IncompleteExportError | None = None) -> IncompleteExportError:
        failed = (error.failed if error else {}) | self._refused
        texts = [str(error)] if error else []
        texts += [f"{dates}: {refused}" for dates, refused in self._refused.items()]
        first = next(iter(failed.values()))
        return IncompleteExportError(
            f"{' '.join(texts)} {self._describe_progress()}, and stay there; the same call goes on with the rest.",
            status=first.status,
            completed=self._completed(),
            failed=failed,
            not_tried=error.not_tried if error else (),
        )


def _text_error(title: str, reasons: Mapping[str, str]) -> SchemaError:
    overrides = dict.fromkeys(reasons, "string")
    return SchemaError(
        f"{' '.join(reasons.values())} The dataset has another type, so {title} is not written. A dataset made with "
        f"schema_overrides={overrides} has text in every window.",
        column=next(iter(reasons)),
    )
