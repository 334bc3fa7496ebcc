"""How old a cached file may be: pure decisions, each returned with its reason.

The cache knows the age of a file only as well as it knows when the server built it. It keeps the earliest instant that
is consistent with what was seen, so a file is never taken to be younger than it is: two caches of N seconds, the
server's and this one, never add up to 2 N.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from appmetrica_frames.errors import InvalidRequestError
from appmetrica_frames.util.durations import DAY, Duration, format_duration, to_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOKBACK = timedelta(days=7)
"""How long after its end a window can get more rows, unless a call says otherwise: devices send them late."""

NOTHING_CACHED = "the cache has no such export"
SETTLED = "its last day had settled"
CLOCK_WENT_BACKWARDS = "fetched in the future: the clock went backwards"


class FileTimes(NamedTuple):
    """When a file was built at the earliest, and when it was fetched, in UNIX seconds."""

    built_not_before: float
    fetched_at: float


class State(Enum):
    """What the cache has of an export, in a word."""

    CACHED = "cached"  # young enough
    SETTLED = "settled"  # built so long after the window's end that no more rows are expected
    STALE = "stale"
    MISSING = "missing"
    PENDING = "pending"  # not to be returned, and the server has accepted a job for it


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What a call accepts: the freshness parameters, and the instant (UNIX seconds) of the call."""

    requested_at: float = 0.0
    max_age: float | None = None
    refresh: bool = False
    offline: bool = False
    stale_if_error: float | None = None

    @property
    def cache_control(self) -> str | None:
        """The ``Cache-Control`` request header that asks the server for the same."""
        if self.refresh:
            return "no-cache"
        return None if self.max_age is None else f"max-age={int(self.max_age)}"

    def for_window(self, settled_at: float) -> CachePolicy:
        """Return what the server is asked for: any file of the window that is settled will do."""
        if self.max_age is None:
            return self
        return replace(self, max_age=max(self.max_age, self.requested_at - settled_at))


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether a cached file may be returned, and why."""

    state: State
    reason: str

    @property
    def is_fresh(self) -> bool:
        """Whether it may be returned."""
        return self.state in {State.CACHED, State.SETTLED}


def build_policy(
    *,
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
) -> CachePolicy:
    """Check the freshness parameters against each other; the policy has no instant yet."""
    if refresh and offline:
        raise InvalidRequestError("refresh=True asks the server and offline=True forbids it: drop one of the two.")
    if refresh and max_age is not None:
        raise InvalidRequestError(
            "refresh=True accepts no cached file, so max_age has no meaning: drop one of the two."
        )
    if offline and max_age is not None:
        raise InvalidRequestError(
            "offline=True accepts a file of any age, so max_age has no meaning: drop one of them."
        )
    if offline and stale_if_error is not None:
        raise InvalidRequestError("offline=True accepts a file of any age: drop stale_if_error.")
    return CachePolicy(
        max_age=None if max_age is None else to_seconds(max_age, name="max_age"),
        refresh=refresh,
        offline=offline,
        stale_if_error=None if stale_if_error is None else to_seconds(stale_if_error, name="stale_if_error"),
    )


def check_freshness(times: FileTimes | None, policy: CachePolicy, now: float, settled_at: float = inf) -> Freshness:
    """Decide whether a cached file, or none (``None``), is fresh under a policy.

    The age is taken at the instant of the call, as the server takes it at the instant of the request: a call that
    waited for another process to fetch the file accepts what that process fetched.

    Parameters
    ----------
    settled_at
        The instant from which a file of the export's dates is final: no more rows are expected. Default: never.
    """
    if times is None:
        return Freshness(State.MISSING, NOTHING_CACHED)
    if policy.offline:
        return Freshness(State.CACHED, "offline accepts any age")
    if max(times) > now:
        return Freshness(State.STALE, CLOCK_WENT_BACKWARDS)
    if policy.refresh:
        return _check_refresh(is_new=times.built_not_before >= policy.requested_at)
    if times.built_not_before >= settled_at:
        return Freshness(State.SETTLED, f"built {format_duration(times.built_not_before - settled_at)} after {SETTLED}")
    return _check_age(times, policy)


def check_stale_if_error(times: FileTimes | None, policy: CachePolicy, now: float) -> Freshness:
    """Decide whether a cached file may stand in after an error: it may have been stale for ``stale_if_error``."""
    if times is None or policy.stale_if_error is None:
        return Freshness(State.MISSING, "there is no file to fall back on")
    if max(times) > now:
        return Freshness(State.STALE, CLOCK_WENT_BACKWARDS)
    stale = max(0.0, policy.requested_at - _fresh_until(times, policy))
    limit = f"stale_if_error of {format_duration(policy.stale_if_error)}"
    if stale <= policy.stale_if_error:
        return Freshness(State.CACHED, f"stale for at most {format_duration(stale)}, within {limit}")
    return Freshness(State.STALE, f"stale for up to {format_duration(stale)}, beyond {limit}")


def settling_time(window_end: float | None, lookback: float | None, *, by_receive_time: bool) -> float:
    """Return the instant from which a file of a window is final: `lookback` seconds after the window's end.

    Rows that devices send late belong to the days on which they happened. Where the dates are those on which the server
    received the rows, nothing comes late: a day is enough for the server to write them down.

    Parameters
    ----------
    window_end
        When the window ends, in UNIX seconds; None for what has no dates, and so is never final.
    lookback
        In seconds; None for never.
    """
    if window_end is None or lookback is None:
        return inf
    return window_end + (min(lookback, DAY) if by_receive_time else lookback)


def build_time_lower_bound(policy: CachePolicy, *, requested_at: float, waited: bool) -> float:
    """Return the earliest instant at which the server can have built the file that it sent.

    Parameters
    ----------
    requested_at
        When the request that the server accepted was sent.
    waited
        Whether the server answered 202 first: then it had no acceptable file when it was asked.
    """
    if waited or policy.refresh:
        return requested_at
    # The server keeps a file for 24 hours, whatever older file `max_age` would accept.
    return requested_at - (DAY if policy.max_age is None else min(policy.max_age, DAY))


def max_age_of_job(policy: CachePolicy, *, is_refresh: bool) -> float:
    """Return how long ago a job that has ended may have been requested for its file to be accepted.

    An interrupted refresh is one refresh: repeated, it accepts the file that it ordered, for as long as the server
    keeps it.
    """
    if policy.refresh:
        return DAY if is_refresh else 0.0
    return DAY if policy.max_age is None else min(policy.max_age, DAY)


def latest_file_at(instants: Iterable[float | None], now: float) -> float | None:
    """Return the latest of some instants at which the server had a file that it can still have, or None."""
    return max((instant for instant in instants if instant is not None and instant + DAY >= now), default=None)


def _fresh_until(times: FileTimes, policy: CachePolicy) -> float:
    if policy.refresh:
        return times.built_not_before
    return times.fetched_at + DAY if policy.max_age is None else times.built_not_before + policy.max_age


def _check_refresh(*, is_new: bool) -> Freshness:
    if is_new:
        return Freshness(State.CACHED, "built since this call began")
    return Freshness(State.STALE, "refresh accepts nothing built before the call")


def _check_age(times: FileTimes, policy: CachePolicy) -> Freshness:
    if policy.max_age is None:
        return _check_fetch_age(max(0.0, policy.requested_at - times.fetched_at))
    return _check_max_age(max(0.0, policy.requested_at - times.built_not_before), policy.max_age)


def _check_fetch_age(age: float) -> Freshness:
    since = f"fetched {format_duration(age)} ago"
    if age <= DAY:
        return Freshness(State.CACHED, f"{since}, within the server's 24 h")
    return Freshness(State.STALE, f"{since}, beyond the server's 24 h")


def _check_max_age(age: float, max_age: float) -> Freshness:
    limit = f"max_age of {format_duration(max_age)}"
    if age <= max_age:
        return Freshness(State.CACHED, f"built at most {format_duration(age)} ago, within {limit}")
    return Freshness(State.STALE, f"built up to {format_duration(age)} ago, beyond {limit}")
