"""The freshness decision as a table: what is cached, which policy, when; and the reason given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from appmetrica_frames import InvalidRequestError
from appmetrica_frames.cache.policy import CachePolicy, FileTimes, build_policy, build_time_lower_bound, check_freshness

NOW = 1_000_000.0
HOUR, DAY = 3600.0, 86_400.0

NOTHING = "the cache has no such export"
ANY_AGE = "offline accepts any age"
BACKWARDS = "fetched in the future: the clock went backwards"
SINCE_CALL = "built since this call began"
REFRESH = "refresh accepts nothing built before the call"


def policy(
    at: float = NOW, *, max_age: float | None = None, refresh: bool = False, offline: bool = False
) -> CachePolicy:
    return CachePolicy(at, max_age, refresh, offline)


# built_not_before (and fetched_at, if it is another), policy, now, is_fresh, reason
TABLE = [
    # Nothing cached.
    (None, policy(), NOW, False, NOTHING),
    (None, policy(max_age=0), NOW, False, NOTHING),
    (None, policy(max_age=HOUR), NOW, False, NOTHING),
    (None, policy(max_age=10 * DAY), NOW, False, NOTHING),
    (None, policy(refresh=True), NOW, False, NOTHING),
    (None, policy(offline=True), NOW, False, NOTHING),
    # No parameter: the server's own 24 hours, from the download on.
    (NOW, policy(), NOW, True, "fetched 0 s ago, within the server's 24 h"),
    (NOW - 1, policy(), NOW, True, "fetched 1 s ago, within the server's 24 h"),
    (NOW - HOUR, policy(), NOW, True, "fetched 1 h ago, within the server's 24 h"),
    (NOW - DAY + 1, policy(), NOW, True, "fetched 23 h 59 min ago, within the server's 24 h"),
    (NOW - DAY, policy(), NOW, True, "fetched 1 d ago, within the server's 24 h"),
    (NOW - DAY - 1, policy(), NOW, False, "fetched 1 d ago, beyond the server's 24 h"),
    (NOW - 3 * DAY, policy(), NOW, False, "fetched 3 d ago, beyond the server's 24 h"),
    (0.0, policy(), NOW, False, "fetched 11 d 13 h ago, beyond the server's 24 h"),
    # A file that was ready may have been built 24 h before: it is given out for 24 h all the same.
    ((NOW - 2 * DAY, NOW - DAY), policy(), NOW, True, "fetched 1 d ago, within the server's 24 h"),
    ((NOW - 2 * DAY - 1, NOW - DAY - 1), policy(), NOW, False, "fetched 1 d ago, beyond the server's 24 h"),
    ((NOW - 2 * DAY, NOW), policy(max_age=DAY), NOW, False, "built up to 2 d ago, beyond max_age of 1 d"),
    ((NOW - 2 * DAY, NOW), policy(max_age=365 * DAY), NOW, True, "built at most 2 d ago, within max_age of 365 d"),
    ((NOW - 2 * DAY, NOW), policy(refresh=True), NOW, False, REFRESH),
    ((NOW - 2 * DAY, NOW + 1), policy(), NOW, False, BACKWARDS),
    # max_age.
    (NOW, policy(max_age=0), NOW, True, "built at most 0 s ago, within max_age of 0 s"),
    (NOW - 1, policy(max_age=0), NOW, False, "built up to 1 s ago, beyond max_age of 0 s"),
    (NOW - 59, policy(max_age=60), NOW, True, "built at most 59 s ago, within max_age of 1 min"),
    (NOW - 60, policy(max_age=60), NOW, True, "built at most 1 min ago, within max_age of 1 min"),
    (NOW - 60.5, policy(max_age=60), NOW, False, "built up to 1 min ago, beyond max_age of 1 min"),
    (NOW - 61, policy(max_age=60), NOW, False, "built up to 1 min 1 s ago, beyond max_age of 1 min"),
    (NOW - DAY - 1, policy(max_age=DAY), NOW, False, "built up to 1 d ago, beyond max_age of 1 d"),
    (NOW - 2 * DAY, policy(max_age=3 * DAY), NOW, True, "built at most 2 d ago, within max_age of 3 d"),
    (NOW - 30 * DAY, policy(max_age=3 * DAY), NOW, False, "built up to 30 d ago, beyond max_age of 3 d"),
    (NOW - 90 * 60, policy(max_age=2 * HOUR), NOW, True, "built at most 1 h 30 min ago, within max_age of 2 h"),
    # refresh.
    (NOW - 1, policy(refresh=True), NOW, False, REFRESH),
    (NOW - DAY, policy(refresh=True), NOW, False, REFRESH),
    (NOW - 0.001, policy(refresh=True), NOW, False, REFRESH),
    (NOW, policy(refresh=True), NOW, True, SINCE_CALL),
    # Another process fetched it while this call waited for its turn: 100 s have passed since the call.
    (NOW - 100, policy(NOW - 100, refresh=True), NOW, True, SINCE_CALL),
    (NOW - 99, policy(NOW - 100, refresh=True), NOW, True, SINCE_CALL),
    (NOW - 101, policy(NOW - 100, refresh=True), NOW, False, REFRESH),
    (NOW - 50, policy(NOW - 100, max_age=0), NOW, True, "built at most 0 s ago, within max_age of 0 s"),
    (NOW - 100, policy(NOW - 100, max_age=0), NOW, True, "built at most 0 s ago, within max_age of 0 s"),
    (NOW - 101, policy(NOW - 100, max_age=0), NOW, False, "built up to 1 s ago, beyond max_age of 0 s"),
    (NOW - 130, policy(NOW - 100, max_age=60), NOW, True, "built at most 30 s ago, within max_age of 1 min"),
    (NOW - 161, policy(NOW - 100, max_age=60), NOW, False, "built up to 1 min 1 s ago, beyond max_age of 1 min"),
    (NOW - 50, policy(NOW - 100), NOW, True, "fetched 0 s ago, within the server's 24 h"),
    # offline.
    (NOW, policy(offline=True), NOW, True, ANY_AGE),
    (NOW - DAY, policy(offline=True), NOW, True, ANY_AGE),
    (0.0, policy(offline=True), NOW, True, ANY_AGE),
    (NOW + DAY, policy(offline=True), NOW, True, ANY_AGE),
    # The clock went backwards: stale, never fresh.
    (NOW + 1, policy(), NOW, False, BACKWARDS),
    (NOW + 1, policy(max_age=HOUR), NOW, False, BACKWARDS),
    (NOW + 1, policy(refresh=True), NOW, False, BACKWARDS),
    (NOW + 365 * DAY, policy(max_age=365 * DAY), NOW, False, BACKWARDS),
]


def file_times(built: float | tuple[float, float] | None) -> FileTimes | None:
    if built is None:
        return None
    return FileTimes(*built) if isinstance(built, tuple) else FileTimes(built, built)


@pytest.mark.parametrize(("built", "chosen", "now", "fresh", "reason"), TABLE)
def test_decision(built: Any, chosen: CachePolicy, now: float, fresh: bool, reason: str) -> None:  # noqa: FBT001
    freshness = check_freshness(file_times(built), chosen, now)
    assert (freshness.is_fresh, freshness.reason) == (fresh, reason)


def test_table_is_large_enough() -> None:
    assert len(TABLE) >= 40


@pytest.mark.parametrize(
    ("chosen", "waited", "expected"),
    [
        (policy(), True, NOW),
        (policy(max_age=60), True, NOW),
        (policy(refresh=True), True, NOW),
        (policy(refresh=True), False, NOW),
        (policy(max_age=60), False, NOW - 60),
        (policy(max_age=365 * DAY), False, NOW - DAY),  # the server keeps nothing longer
        (policy(max_age=0), False, NOW),
        (policy(), False, NOW - DAY),
    ],
)
def test_build_is_dated_by_the_earliest_instant_that_fits(chosen: CachePolicy, waited: bool, expected: float) -> None:  # noqa: FBT001
    assert build_time_lower_bound(chosen, requested_at=NOW, waited=waited) == expected


@pytest.mark.parametrize("max_age", [0, 1, 60, DAY])
def test_two_caches_of_n_seconds_never_add_up_to_two_n(max_age: float) -> None:
    """A file that the server has kept for N seconds is stale here the moment after it came."""
    times = FileTimes(build_time_lower_bound(policy(max_age=max_age), requested_at=NOW, waited=False), NOW)
    assert check_freshness(times, policy(NOW, max_age=max_age), NOW).is_fresh
    assert not check_freshness(times, policy(NOW + 1, max_age=max_age), NOW + 1).is_fresh


@pytest.mark.parametrize("max_age", [2 * DAY, 7 * DAY, 365 * DAY])
def test_a_long_max_age_is_not_used_up_by_a_file_that_was_ready(max_age: float) -> None:
    times = FileTimes(build_time_lower_bound(policy(max_age=max_age), requested_at=NOW, waited=False), NOW)
    later = NOW + max_age - DAY
    assert check_freshness(times, policy(later, max_age=max_age), later).is_fresh
    assert not check_freshness(times, policy(later + 1, max_age=max_age), later + 1).is_fresh


@pytest.mark.parametrize(
    ("parameters", "header"),
    [
        ({}, None),
        ({"refresh": True}, "no-cache"),
        ({"max_age": 0}, "max-age=0"),
        ({"max_age": 90}, "max-age=90"),
        ({"max_age": 90.9}, "max-age=90"),  # downwards: the server must not accept an older file than the user
        ({"max_age": timedelta(hours=1)}, "max-age=3600"),
        ({"offline": True}, None),
    ],
)
def test_the_server_is_asked_for_the_same(parameters: dict[str, object], header: str | None) -> None:
    chosen = build_policy(**parameters)  # type: ignore[arg-type]
    assert chosen.cache_control == header


@pytest.mark.parametrize(
    ("parameters", "hint"),
    [
        ({"refresh": True, "offline": True}, "offline"),
        ({"refresh": True, "max_age": 60}, "max_age"),
        ({"offline": True, "max_age": 60}, "max_age"),
        ({"max_age": -1}, "max_age must be zero or more"),
        ({"max_age": timedelta(seconds=-1)}, "max_age must be zero or more"),
        ({"max_age": float("nan")}, "max_age must be a finite number"),
        ({"max_age": float("inf")}, "max_age must be a finite number"),
        ({"max_age": "1h"}, "seconds or a timedelta"),
        ({"max_age": True}, "seconds or a timedelta"),
    ],
)
def test_contradicting_parameters_are_refused(parameters: dict[str, object], hint: str) -> None:
    with pytest.raises(InvalidRequestError, match=hint):
        build_policy(**parameters)  # type: ignore[arg-type]
