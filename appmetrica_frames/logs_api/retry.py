"""When to try again, and when to stop: the limits that exports and JSON requests share."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from .responses import error_from_response, is_quota, is_server_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from appmetrica_frames.errors import AppMetricaError

    from .steps import Response

MIN_PAUSE = 1.0  # after a quota whose Retry-After is shorter
NOTICED_FAILURES = 2  # in a row; the second comes a second after the first
MAX_BACKOFF = 60.0
MAX_RETRY_AFTER = 64  # characters of the header that are read


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait, how often to poll, how often to try again; all durations in seconds."""

    prepare_timeout: float = 3600.0
    poll: tuple[float, float] = (2.0, 30.0)
    retries: int = 5


@dataclass(slots=True)
class RetryBudget:
    """Counts the failures in a row, and decides how long to pause after each.

    Attributes
    ----------
    random
        Returns numbers from 0 to 1, to spread retries.
    """

    policy: RetryPolicy
    random: Callable[[], float]
    failures: int = 0
    quotas: int = 0

    def reset(self) -> None:
        """Start counting again, after a success."""
        self.failures = self.quotas = 0

    def after_failure(self, error: AppMetricaError) -> float:
        """Return the pause after a fault of the server or the network; raise its error after too many in a row."""
        self.failures += 1
        if self.failures > self.policy.retries:
            raise error
        return self._backoff(self.failures)

    def describe_failure(self, error: AppMetricaError) -> str:
        """Return what users should know of the last failure: a single one passes without a word."""
        tries = f"try {self.failures + 1} of {self.policy.retries + 1}"
        return f"trying again ({tries}): {error}" if self.failures == NOTICED_FAILURES else ""

    def after_quota(self, response: Response, waited: float) -> float:
        """Return the pause after a 429 or 420; raise its error once ``prepare_timeout`` does not allow another."""
        self.quotas += 1
        error, requested = error_from_response(response), retry_after(response.headers, response.sent_at)
        if requested is None:
            return self.limit(self._backoff(self.quotas + 1), waited, error)
        if requested > self.policy.prepare_timeout - waited:
            raise error
        return self.limit(max(MIN_PAUSE, requested), waited, error)

    def after_response(self, response: Response, waited: float) -> float:
        """Return the pause after a response that is worth another try; raise the error of any other."""
        if is_quota(response.status):
            return self.after_quota(response, waited)
        error = error_from_response(response)
        if is_server_error(response.status):
            return self.after_failure(error)
        raise error

    def limit(self, pause: float, waited: float, error: AppMetricaError) -> float:
        """Cut a pause to what is left of ``prepare_timeout``; raise the error if nothing is left."""
        left = self.policy.prepare_timeout - waited
        if left <= 0:
            raise error
        return min(pause, left)

    def _backoff(self, tries: int) -> float:
        return float(min(MAX_BACKOFF, 2.0 ** (tries - 1)) * (0.5 + self.random() / 2))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, as a number or a date; an invalid value counts as absent."""
    text = headers.get("retry-after", "").strip()[:MAX_RETRY_AFTER]
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError, LookupError, OSError):  # each comes of some invalid date
        return None
