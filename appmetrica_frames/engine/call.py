"""One call: the exports of all its windows, in the order of their rows."""

from __future__ import annotations

import atexit
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from appmetrica_frames.cache.leases import touch
from appmetrica_frames.cache.store import LocalStore, is_current
from appmetrica_frames.errors import DownloadError, RequestRejectedError, SchemaError, SchemaWarning
from appmetrica_frames.progress import report_progress
from appmetrica_frames.util.caller import warn_caller
from appmetrica_frames.util.clock import SystemClock

from .context import Call
from .interruption import Interruption
from .plan import leave_out_rejected, plan_windows
from .range import resolve_range
from .resolve import ExportResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appmetrica_frames.cache.entry import CachedExport
    from appmetrica_frames.util.clock import Clock

    from .options import ReadOptions
    from .plan import Window
    from .resolve import ResolvedExport

Result = TypeVar("Result")

ATTEMPTS = 3  # to open a file that other processes keep removing


@contextmanager
def open_exports(
    options: ReadOptions, *, clock: Clock | None = None, one_by_one: bool = False
) -> Iterator[list[ResolvedExport]]:
    """Yield the exports of a call, in the order of their rows, to be read at once.

    Parameters
    ----------
    one_by_one
        Whether only the first is read at once and the others when their turn comes: they are leased.

    Raises
    ------
    FileNotFoundError
        If one of those has been removed before it could be leased.
    """
    with ExitStack() as scope:
        exports = resolve_exports(options, scope, clock or SystemClock())
        for export in exports[1:] if one_by_one else ():
            _lease(export.cached)
        yield exports


def lease_exports(
    options: ReadOptions,
    *,
    clock: Clock | None = None,
    windows: Sequence[Window] | None = None,
    at: float | None = None,
    accept_text: bool = True,
) -> list[ResolvedExport]:
    """Return the exports of a call, in the order of their rows, whose files are read later by their paths.

    Parameters
    ----------
    windows
        Those that are wanted, of the windows that are planned for the options. Default: all.
    at
        The instant of the call, in UNIX seconds, which the ages of files are counted to. Default: now.
    accept_text
        Whether columns that do not fit their type are text in the result. If not, the caller deals with them, and there
        is no warning.
    """
    return resolve_exports(
        options.leasing(), _until_exit, clock or SystemClock(), windows=windows, at=at, accept_text=accept_text
    )


def retry_if_evicted(attempt: Callable[[], Result]) -> Result:
    """Try again if another process removes the file between its look-up and its opening."""
    for _ in range(ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            return attempt()
    try:
        return attempt()
    except FileNotFoundError as error:
        raise DownloadError(
            f"Other processes keep removing the export before it can be read ({error}). Make the same call again, "
            "with another cache_dir or a larger max_bytes."
        ) from error


def resolve_exports(
    options: ReadOptions,
    scope: ExitStack,
    clock: Clock,
    *,
    windows: Sequence[Window] | None = None,
    at: float | None = None,
    accept_text: bool = True,
    on_window: Callable[[Window, ResolvedExport], None] | None = None,
) -> list[ResolvedExport]:
    """Return the exports of a call from the cache and the server; `scope` removes what is not cached.

    `on_window` gets each export as soon as it is there: see `Call`. What it raises fails the window.
    """
    store = LocalStore(options.settings.cache_directory)
    instant = clock.now() if at is None else at
    call = Call(options.at(instant), store, clock, scope, Interruption(), on_window=on_window)
    memory = store.rejected_fields(options.request.resource, options.settings.origin)
    rejected = memory.load(clock.now(), any_age=options.policy.offline) if options.cache else frozenset()
    windows = plan_windows(options) if windows is None else windows
    while True:
        try:
            exports = _resolve_windows(leave_out_rejected(windows, options, rejected), call)
        except RequestRejectedError as error:
            newly = rejected_fields(error, options, rejected)
            if not newly:
                raise
            rejected |= newly
            if options.cache:
                memory.add(newly, clock.now())
        else:
            break
    _warn_of_missing(exports)
    return _unify_columns(exports, strict=options.strict) if accept_text else exports


def rejected_fields(error: RequestRejectedError, options: ReadOptions, known: frozenset[str]) -> frozenset[str]:
    """Return the fields that the server rejects and that the call did not name: it can do without them."""
    documented = frozenset(options.request.fields) - frozenset(options.request.overrides)
    newly = documented.intersection(error.fields) - known
    return newly if options.all_fields and documented - known - newly else frozenset()


def _lease(export: CachedExport) -> None:
    # The lease comes before the look at the record, and whoever evicts removes the record before it looks for leases.
    touch(export.path, lease=True)
    if not is_current(export):
        raise FileNotFoundError(f"{export.path} has been removed or replaced")


def _resolve_windows(windows: Sequence[Window], call: Call) -> list[ResolvedExport]:
    """Return the export of each window, in their order."""
    if len(windows) == 1:
        return [_resolve_one(windows[0], call)]
    return resolve_range(windows, call)


def _resolve_one(window: Window, call: Call) -> ResolvedExport:
    with report_progress(window.request.title, wanted=call.options.settings.client.progress) as reporter:
        resolver = ExportResolver(window, call)
        return resolver.find(reporter) or resolver.fetch(reporter)


def _unify_columns(exports: list[ResolvedExport], *, strict: bool) -> list[ResolvedExport]:
    """Have a column be text in all exports where one of them needs it, and warn once of each."""
    reasons: dict[str, str] = {}
    for export in exports:
        for column in export.fields:
            reasons[column] = reasons.get(column) or export.cached.text_columns.get(column, "")
    for column, reason in reasons.items():
        if reason and strict:
            raise SchemaError(f"strict=True: {reason}", column=column)
        if reason:
            warn_caller(f"{reason} The column arrives as text.", SchemaWarning)
    text = frozenset(column for column, reason in reasons.items() if reason)
    return [replace(export, as_text=text - export.cached.text_columns.keys()) for export in exports]


def _warn_of_missing(exports: Sequence[ResolvedExport]) -> None:
    missing = list(dict.fromkeys(name for export in exports for name in export.missing))
    if missing:
        resource = exports[0].cached.resource
        warn_caller(
            f"The server rejects {', '.join(map(repr, missing))}, which the documentation of {resource} names: null "
            "here. Name the fields that you need with fields=[...].",
            SchemaWarning,
        )


# Files whose paths were handed out although they could not be cached: they stay until the interpreter exits.
_until_exit = ExitStack()
atexit.register(_until_exit.close)
