"""Fields that a server has rejected although the catalogue documents them, remembered for a day.

The catalogue is read from documents, not from the live server: a field may be gone there, or not be there yet.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING

from appmetrica_frames.util.durations import DAY
from appmetrica_frames.util.files import make_private, read_regular, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE = "rejected_fields.json"
MAX_BYTES = 1 << 20


class RejectedFields:
    """The rejected fields of a resource at a server, with the instants at which they were rejected."""

    def __init__(self, folder: Path, origin: str) -> None:
        self._path = folder / FILE
        self._origin = origin

    def load(self, now: float, *, any_age: bool = False) -> frozenset[str]:
        """Return the fields that were rejected within a day, or at any time."""
        rejected = self._load_all().get(self._origin, {})
        return frozenset(name for name, at in rejected.items() if any_age or 0 <= now - at <= DAY)

    def add(self, names: Iterable[str], now: float) -> None:
        """Remember rejected fields; where nothing can be written, the server will reject them again."""
        rejected = self._load_all()
        rejected[self._origin] = {**rejected.get(self._origin, {}), **dict.fromkeys(names, now)}
        with suppress(OSError):
            make_private(self._path.parent)
            replace_file(self._path, json.dumps(rejected, indent=1).encode())

    def _load_all(self) -> dict[str, dict[str, float]]:
        try:
            document = json.loads(read_regular(self._path, limit=MAX_BYTES))
            return {str(origin): _parse_instants(names) for origin, names in document.items()}
        except (OSError, ValueError, AttributeError, RecursionError, OverflowError):
            return {}


def _parse_instants(names: object) -> dict[str, float]:
    if not isinstance(names, dict):
        return {}
    return {name: float(at) for name, at in names.items() if type(at) in {int, float} and math.isfinite(at)}
