"""What the windows of one call share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    """

    options: ReadOptions
    store: LocalStore
    clock: Clock
    scope: ExitStack
    interruption: Interruption
    is_range: bool = False
    folders: set[Path] = field(default_factory=set)
