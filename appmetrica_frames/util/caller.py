"""Errors and warnings that point at the line of the user, however deep in the package they arise."""

from __future__ import annotations

import functools
import logging
import os
import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar

from appmetrica_frames.errors import AppMetricaError, InvalidRequestError

from .terminal import escape_controls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

P = ParamSpec("P")
R = TypeVar("R")

PACKAGE = str(Path(__file__).parents[1]) + os.sep  # a script of the user may lie in appmetrica_frames_reports/

log = logging.getLogger("appmetrica_frames")

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


SAID_IN_FULL = (AppMetricaError, KeyboardInterrupt)  # what needs no frames of ours to be understood


def raise_at_caller(function: Callable[P, R]) -> Callable[P, R]:
    """Have the tracebacks of our own errors, and of Ctrl-C, end at the line that called the function.

    An `AppMetricaError` says what is wrong with the call, the server or the data: the frames below that line help
    nobody. The log has them at the level ``DEBUG``. Any other error is a fault of ours, and keeps its traceback.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SAID_IN_FULL as error:
            cut_traceback(error)
            raise  # without an operand, it adds no frame to the traceback

    return call


def cut_traceback(error: AppMetricaError | KeyboardInterrupt) -> None:
    """Remove the frames of an error and of those of ours that led to it; the log gets them."""
    log.debug("%s", type(error).__name__, exc_info=error)
    is_misuse = isinstance(error, InvalidRequestError)  # its cause is what Python says about the wrong value
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        if is_misuse or isinstance(cause, SAID_IN_FULL):
            cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__


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
