"""stub"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .reporter import NullReporter

if TYPE_CHECKING:
    from collections.abc import Iterator


class RangeReporter:
    def open_window(self, label: str) -> Any:
        return NullReporter()

    def finish_window(self, reporter: Any, *, cached: bool) -> None:
        pass

    def fail_window(self, reporter: Any) -> None:
        pass

    def message(self, text: str) -> None:
        pass


@contextmanager
def report_range(title: str, *, windows: int, wanted: bool | None) -> Iterator[RangeReporter]:
    yield RangeReporter()
