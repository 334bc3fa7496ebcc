"""Which instant's data the parts of an export share, so that they fit together however late each is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .queue import KEPT

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .request import ExportRequest


@dataclass(slots=True)
class Snapshot:
    """The data of one instant, and the parts that were made of them."""

    as_of: float
    made: set[Hashable] = field(default_factory=set)


class Snapshots:
    """One snapshot for each export that was asked for in parts."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Snapshot] = {}

    def take(self, request: ExportRequest, started: float) -> tuple[float, set[Hashable]]:
        """Return the instant whose data a build uses, and the keys of the parts that are outdated by it.

        A part that was made before asks for new data, and with them all other parts.
        """
        known = self._known.get(request.family)
        outdated: set[Hashable] = set()
        if known is None or request.key in known.made or started - known.as_of > KEPT:
            outdated = known.made - {request.key} if known else set()
            known = self._known[request.family] = Snapshot(started)
        known.made.add(request.key)
        return known.as_of, outdated
