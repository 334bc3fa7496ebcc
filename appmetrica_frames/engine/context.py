"""What the windows of one call share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .pace import RequestPace, StatusChecks

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from appmetrica_frames.cache.store import LocalStore
    from appmetrica_frames.util.clock import Clock

    from .interruption import Interruption
    from .options import ReadOptions


@dataclass(frozen=True, slots=True)
class Call:
    """What the windows of one call share.

    Attributes
    ----------
    scope
        Closed when the exports have been read: it removes files that are not cached.
    is_range
        Whether the call fetches several windows, in threads: then each waits for a place in the server's queue.
    folders
        The folders of the exports found or fetched so far: `max_bytes` removes nothing in them before it has been read.
    on_window
        Called with each window and its export as soon as it is there, in the thread that found or fetched it.
    pace, status_checks
        How often the server is asked, by all windows together.
    """

    options: ReadOptions
    store: LocalStore
    clock: Clock
    scope: ExitStack
    interruption: Interruption
    is_range: bool = False
    folders: set[Path] = field(default_factory=set)
    on_window: Callable[..., None] | None = None
    pace: RequestPace = field(default_factory=RequestPace)
    status_checks: StatusChecks = field(default_factory=StatusChecks)
