"""Everything about one call: what is asked, how fresh, of whom, and how strictly it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appmetrica_frames.cache.policy import CachePolicy
    from appmetrica_frames.client import Client
    from appmetrica_frames.request.export import ExportRequest


@dataclass(frozen=True, slots=True)
class Order:
    """One call, checked.

    Attributes
    ----------
    lend
        Whether the path of the file is given away, to be read later.
    """

    request: ExportRequest
    wish: CachePolicy
    client: Client
    strict: bool = False
    lend: bool = False

    def at(self, instant: float) -> Order:
        """Return the order, said at an instant in UNIX seconds."""
        return replace(self, wish=replace(self.wish, asked_at=instant))

    def lending(self) -> Order:
        """Return the order of somebody who reads the file later, by its path."""
        return replace(self, lend=True)
