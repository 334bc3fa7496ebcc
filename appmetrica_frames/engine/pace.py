"""How often the windows of a call ask the server: its limits are for all of them together."""

from __future__ import annotations

from collections import deque
from math import inf
from threading import Lock

REQUESTS_A_SECOND = 25  # AppMetrica documents 30 for an address, which other programs have as well
SECONDS_BETWEEN_CHECKS = 600.0


class RequestPace:
    """Spreads requests, so that no second has too many of them."""

    def __init__(self, limit: int = REQUESTS_A_SECOND) -> None:
        self._latest: deque[float] = deque(maxlen=limit)
        self._lock = Lock()

    def reserve(self, now: float) -> float:
        """Reserve the next instant for a request, and return how many seconds it is until then."""
        with self._lock:
            is_full = len(self._latest) == self._latest.maxlen
            instant = max(now, self._latest[0] + 1.0) if is_full else now
            self._latest.append(instant)
            return instant - now


class StatusChecks:
    """Decides when the server is asked whether exports work at all: now and then, for all windows of a call."""

    def __init__(self) -> None:
        self._last = -inf
        self._lock = Lock()

    def is_due(self, now: float) -> bool:
        """Return whether to ask now; then it is not due again for some minutes."""
        with self._lock:
            is_due = now - self._last >= SECONDS_BETWEEN_CHECKS
            self._last = now if is_due else self._last
            return is_due
