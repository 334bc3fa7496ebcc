"""The freshness decision as a table: what is stored, what is wished, when; and the reason given."""

from __future__ import annotations

from datetime import timedelta

import pytest

from appmetrica_frames import InvalidRequestError
from appmetrica_frames.cache.policy import CachePolicy, build_time_lower_bound, check_freshness, wish

NOW = 1_000_000.0
HOUR, DAY = 3600.0, 86_400.0

NOTHING = "the store holds no such export"
ANY_AGE = "offline accepts any age"
BACKWARDS = "stored in the future: the clock went backwards"
SINCE_CALL = "built since this call began"
REFRESH = "refresh accepts nothing built before the call"


def asked(
    at: float = NOW, *, max_age: float | None = None, refresh: bool = False, offline: bool = False
) -> CachePolicy:
    return CachePolicy(at, max_age, refresh, offline)


# built_not_before, wish, now, fresh, reason
TABLE = [
    # Nothing stored.
    (None, asked(), NOW, False, NOTHING),
    (None, asked(max_age=0), NOW, False, NOTHING),
    (None, asked(max_age=HOUR), NOW, False, NOTHING),
    (None, asked(max_age=10 * DAY), NOW, False, NOTHING),
    (None, asked(refresh=True), NOW, False, NOTHING),
    (None, asked(offline=True), NOW, False, NOTHING),
    # No word: the server's own 24 hours.
    (NOW, asked(), NOW, True, "built at most 0 s ago, within the server's 24 h"),
    (NOW - 1, asked(), NOW, True, "built at most 1 s ago, within the server's 24 h"),
    (NOW - HOUR, asked(), NOW, True, "built at most 1 h ago, within the server's 24 h"),
    (NOW - DAY + 1, asked(), NOW, True, "built at most 23 h 59 min ago, within the server's 24 h"),
    (NOW - DAY, asked(), NOW, True, "built at most 1 d ago, within the server's 24 h"),
    (NOW - DAY - 1, asked(), NOW, False, "built up to 1 d ago, beyond the server's 24 h"),
    (NOW - 3 * DAY, asked(), NOW, False, "built up to 3 d ago, beyond the server's 24 h"),
    (0.0, asked(), NOW, False, "built up to 11 d 13 h ago, beyond the server's 24 h"),
    # max_age.
    (NOW, asked(max_age=0), NOW, True, "built at most 0 s ago, within max_age of 0 s"),
    (NOW - 1, asked(max_age=0), NOW, False, "built up to 1 s ago, beyond max_age of 0 s"),
    (NOW - 59, asked(max_age=60), NOW, True, "built at most 59 s ago, within max_age of 1 min"),
    (NOW - 60, asked(max_age=60), NOW, True, "built at most 1 min ago, within max_age of 1 min"),
    (NOW - 60.5, asked(max_age=60), NOW, False, "built up to 1 min ago, beyond max_age of 1 min"),
    (NOW - 61, asked(max_age=60), NOW, False, "built up to 1 min 1 s ago, beyond max_age of 1 min"),
    (NOW - DAY - 1, asked(max_age=DAY), NOW, False, "built up to 1 d ago, beyond max_age of 1 d"),
    (NOW - 2 * DAY, asked(max_age=3 * DAY), NOW, True, "built at most 2 d ago, within max_age of 3 d"),
    (NOW - 30 * DAY, asked(max_age=3 * DAY), NOW, False, "built up to 30 d ago, beyond max_age of 3 d"),
    (NOW - 90 * 60, asked(max_age=2 * HOUR), NOW, True, "built at most 1 h 30 min ago, within max_age of 2 h"),
    # refresh.
    (NOW - 1, asked(refresh=True), NOW, False, REFRESH),
    (NOW - DAY, asked(refresh=True), NOW, False, REFRESH),
    (NOW - 0.001, asked(refresh=True), NOW, False, REFRESH),
    (NOW, asked(refresh=True), NOW, True, SINCE_CALL),
    # Another process fetched it while this call waited for its turn: 100 s have passed since the call.
    (NOW - 100, asked(NOW - 100, refresh=True), NOW, True, SINCE_CALL),
    (NOW - 99, asked(NOW - 100, refresh=True), NOW, True, SINCE_CALL),
    (NOW - 101, asked(NOW - 100, refresh=True), NOW, False, REFRESH),
    (NOW - 50, asked(NOW - 100, max_age=0), NOW, True, "built at most 0 s ago, within max_age of 0 s"),
    (NOW - 100, asked(NOW - 100, max_age=0), NOW, True, "built at most 0 s ago, within max_age of 0 s"),
    (NOW - 101, asked(NOW - 100, max_age=0), NOW, False, "built up to 1 s ago, beyond max_age of 0 s"),
    (NOW - 130, asked(NOW - 100, max_age=60), NOW, True, "built at most 30 s ago, within max_age of 1 min"),
    (NOW - 161, asked(NOW - 100, max_age=60), NOW, False, "built up to 1 min 1 s ago, beyond max_age of 1 min"),
    (NOW - 50, asked(NOW - 100), NOW, True, "built at most 0 s ago, within the server's 24 h"),
    # offline.
    (NOW, asked(offline=True), NOW, True, ANY_AGE),
    (NOW - DAY, asked(offline=True), NOW, True, ANY_AGE),
    (0.0, asked(offline=True), NOW, True, ANY_AGE),
    (NOW + DAY, asked(offline=True), NOW, True, ANY_AGE),
    # The clock went backwards: stale, never fresh.
    (NOW + 1, asked(), NOW, False, BACKWARDS),
    (NOW + 1, asked(max_age=HOUR), NOW, False, BACKWARDS),
    (NOW + 1, asked(refresh=True), NOW, False, BACKWARDS),
    (NOW + 365 * DAY, asked(max_age=365 * DAY), NOW, False, BACKWARDS),
]


@pytest.mark.parametrize(("built", "wished", "now", "fresh", "reason"), TABLE)
def test_decision(built: float | None, wished: CachePolicy, now: float, fresh: bool, reason: str) -> None:  # noqa: FBT001
    verdict = check_freshness(built, wished, now)
    assert (verdict.fresh, verdict.reason) == (fresh, reason)


def test_table_is_large_enough() -> None:
    assert len(TABLE) >= 40


@pytest.mark.parametrize(
    ("wished", "waited", "expected"),
    [
        (asked(), True, NOW),
        (asked(max_age=60), True, NOW),
        (asked(refresh=True), True, NOW),
        (asked(refresh=True), False, NOW),
        (asked(max_age=60), False, NOW - 60),
        (asked(max_age=0), False, NOW),
        (asked(), False, NOW - DAY),
    ],
)
def test_build_is_dated_by_the_earliest_instant_that_fits(wished: CachePolicy, waited: bool, expected: float) -> None:  # noqa: FBT001
    assert build_time_lower_bound(wished, requested_at=NOW, waited=waited) == expected


@pytest.mark.parametrize("max_age", [0, 1, 60, DAY, 7 * DAY])
def test_two_caches_of_n_seconds_never_add_up_to_two_n(max_age: float) -> None:
    """A file that the server had lying for N seconds is stale here the moment after it came."""
    built = build_time_lower_bound(asked(max_age=max_age), requested_at=NOW, waited=False)
    assert check_freshness(built, asked(NOW, max_age=max_age), NOW).fresh
    assert not check_freshness(built, asked(NOW + 1, max_age=max_age), NOW + 1).fresh


@pytest.mark.parametrize(
    ("words", "header"),
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
def test_the_server_is_told_the_same(words: dict[str, object], header: str | None) -> None:
    said = wish(**words)  # type: ignore[arg-type]
    assert said.cache_control == header


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ({"refresh": True, "offline": True}, "offline"),
        ({"refresh": True, "max_age": 60}, "max_age"),
        ({"offline": True, "max_age": 60}, "max_age"),
        ({"max_age": -1}, "max_age must be zero or more"),
        ({"max_age": timedelta(seconds=-1)}, "max_age must be zero or more"),
        ({"max_age": float("nan")}, "max_age must be zero or more"),
        ({"max_age": float("inf")}, "max_age must be zero or more"),
        ({"max_age": "1h"}, "seconds or a timedelta"),
        ({"max_age": True}, "seconds or a timedelta"),
    ],
)
def test_words_without_meaning_are_refused(words: dict[str, object], hint: str) -> None:
    with pytest.raises(InvalidRequestError, match=hint):
        wish(**words)  # type: ignore[arg-type]
