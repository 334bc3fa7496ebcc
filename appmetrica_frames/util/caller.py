"""Warnings that point at the line of the user, however deep in the package they arise."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from .terminal import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PACKAGE = str(Path(__file__).parents[1])


Warned: TypeAlias = tuple[str, type[Warning]]

_collected: ContextVar[list[Warned] | None] = ContextVar("collected", default=None)


@contextmanager
def collect_warnings() -> Iterator[list[Warned]]:
    """Collect the warnings of the block: in a thread of ours there is no caller, so another thread issues them."""
    collected: list[Warned] = []
    token = _collected.set(collected)
    try:
        yield collected
    finally:
        _collected.reset(token)


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning at the line that called the package from outside, be it through Polars."""
    collected = _collected.get()
    if collected is not None:
        collected.append((message, category))
        return
    warnings.warn(escape_controls(message), category, stacklevel=_levels_to_caller())


def _levels_to_caller() -> int:
    # Frames of the standard library may lie between ours, so the outermost of ours is looked for.
    frame, level, outermost = sys._getframe(1), 1, 1  # noqa: SLF001 - what `warnings` itself counts
    while frame.f_back is not None:
        frame, level = frame.f_back, level + 1
        if _is_between(frame):
            outermost = level
    return outermost + 1


def _is_between(frame: FrameType) -> bool:
    """Tell whether a frame is ours or, where it calls us at collect, one of Polars."""
    return frame.f_code.co_filename.startswith(PACKAGE) or frame.f_globals.get("__name__", "").startswith("polars.")
