"""How old a stored file may be: pure decisions, each returned with its reason.

The store knows the age of a file only as well as it knows when the server built it. It keeps the earliest instant that
is consistent with what was seen, so that a file is never taken for younger than it is: two caches of N seconds, the
server's and this one, never add up to 2 N.
"""

from __future__ import annotations

from dataclasses import dataclass

from appmetrica_frames.errors import InvalidRequestError
from appmetrica_frames.util.durations import DAY, Duration, format_duration, seconds


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What a call accepts: the freshness words, and the instant (UNIX seconds) at which they were said."""

    asked_at: float = 0.0
    max_age: float | None = None
    refresh: bool = False
    offline: bool = False
    stale_if_error: float | None = None

    @property
    def cache_control(self) -> str | None:
        """The ``Cache-Control`` request header that says the same to the server."""
        if self.refresh:
            return "no-cache"
        return None if self.max_age is None else f"max-age={int(self.max_age)}"


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether a stored file may be returned, and why."""

    fresh: bool
    reason: str


def wish(
    *,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
) -> CachePolicy:
    """Check the freshness words against each other; the wish is yet to be dated."""
    if refresh and offline:
        raise InvalidRequestError("refresh=True asks the server and offline=True forbids it: drop one of the two.")
    if refresh and max_age is not None:
        raise InvalidRequestError(
            "refresh=True accepts no stored file, so max_age has no meaning: drop one of the two."
        )
    if offline and max_age is not None:
        raise InvalidRequestError(
            "offline=True accepts a file of any age, so max_age has no meaning: drop one of them."
        )
    if offline and stale_if_error is not None:
        raise InvalidRequestError("offline=True accepts a file of any age: drop stale_if_error.")
    return CachePolicy(
        max_age=None if max_age is None else seconds(max_age, name="max_age"),
        refresh=refresh,
        offline=offline,
        stale_if_error=None if stale_if_error is None else seconds(stale_if_error, name="stale_if_error"),
    )


def check_freshness(built_not_before: float | None, wish: CachePolicy, now: float) -> Freshness:
    """Decide over a stored file, or none (``None``), for a wish.

    The age is taken at the instant of the call, as the server takes it at the instant of the request: whoever waited
    for another process to fetch the file is served by what that process brought.
    """
    if built_not_before is None:
        return Freshness(fresh=False, reason="the store holds no such export")
    if wish.offline:
        return Freshness(fresh=True, reason="offline accepts any age")
    if built_not_before > now:
        return Freshness(fresh=False, reason="stored in the future: the clock went backwards")
    age = max(0.0, wish.asked_at - built_not_before)
    if wish.refresh:
        return _refreshed(built_not_before >= wish.asked_at)
    return _aged(age, wish.max_age)


def check_stale_if_error(built_not_before: float | None, wish: CachePolicy, now: float) -> Freshness:
    """Decide over a stored file once the server could not be had: it may have been stale for ``stale_if_error``."""
    if built_not_before is None or wish.stale_if_error is None:
        return Freshness(fresh=False, reason="there is no file to fall back on")
    if built_not_before > now:
        return Freshness(fresh=False, reason="stored in the future: the clock went backwards")
    lifetime = 0.0 if wish.refresh else DAY if wish.max_age is None else wish.max_age
    stale = max(0.0, wish.asked_at - built_not_before - lifetime)
    limit = f"stale_if_error of {format_duration(wish.stale_if_error)}"
    if stale <= wish.stale_if_error:
        return Freshness(fresh=True, reason=f"stale for at most {format_duration(stale)}, within {limit}")
    return Freshness(fresh=False, reason=f"stale for up to {format_duration(stale)}, beyond {limit}")


def build_time_lower_bound(wish: CachePolicy, *, requested_at: float, waited: bool) -> float:
    """Return the earliest instant at which the server can have built the file that it gave.

    Parameters
    ----------
    requested_at
        When the request that the server accepted was sent.
    waited
        Whether the server said 202 first: then it had no acceptable file when it was asked.
    """
    if waited or wish.refresh:
        return requested_at
    return requested_at - (DAY if wish.max_age is None else wish.max_age)


def _refreshed(since_the_call: bool) -> Freshness:  # noqa: FBT001 - the one thing it is about
    if since_the_call:
        return Freshness(fresh=True, reason="built since this call began")
    return Freshness(fresh=False, reason="refresh accepts nothing built before the call")


def _aged(age: float, max_age: float | None) -> Freshness:
    allowed = DAY if max_age is None else max_age
    limit = "the server's 24 h" if max_age is None else f"max_age of {format_duration(max_age)}"
    if age <= allowed:
        return Freshness(fresh=True, reason=f"built at most {format_duration(age)} ago, within {limit}")
    return Freshness(fresh=False, reason=f"built up to {format_duration(age)} ago, beyond {limit}")
