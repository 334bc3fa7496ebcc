"""The freshness decision as a table: what is cached, which policy, when; and the reason given."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appmetrica_frames import InvalidRequestError
from appmetrica_frames.cache.entry import to_datetime
from appmetrica_frames.cache.policy import (
    CachePolicy,
    FileTimes,
    State,
    build_policy,
    build_time_lower_bound,
    check_freshness,
    latest_file_at,
    max_age_of_job,
    settling_time,
)
from appmetrica_frames.request.export import build_request
from appmetrica_frames.request.windows import window_end

if TYPE_CHECKING:
    from datetime import tzinfo

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


AFTER = "after its last day had settled"
WEEK_AGO = NOW - 7 * DAY

# What a window's settling adds: built_not_before (and fetched_at, if it is another), policy, settled_at, state, reason.
SETTLING = [
    # Whatever max_age says, and however long ago it was fetched.
    (NOW - DAY, policy(), WEEK_AGO, State.SETTLED, f"built 6 d {AFTER}"),
    (NOW - 6 * DAY, policy(), WEEK_AGO, State.SETTLED, f"built 1 d {AFTER}"),
    (NOW - 6 * DAY, policy(max_age=0), WEEK_AGO, State.SETTLED, f"built 1 d {AFTER}"),
    (NOW - 6 * DAY, policy(max_age=30 * DAY), WEEK_AGO, State.SETTLED, f"built 1 d {AFTER}"),
    (NOW, policy(max_age=HOUR), NOW - 1, State.SETTLED, f"built 1 s {AFTER}"),
    # Built exactly then, and a moment before.
    (WEEK_AGO, policy(), WEEK_AGO, State.SETTLED, f"built 0 s {AFTER}"),
    (WEEK_AGO, policy(max_age=0), WEEK_AGO, State.SETTLED, f"built 0 s {AFTER}"),
    (WEEK_AGO - 1e-5, policy(max_age=0), WEEK_AGO, State.STALE, "built up to 7 d ago, beyond max_age of 0 s"),
    (WEEK_AGO - 1, policy(), WEEK_AGO, State.STALE, "fetched 7 d ago, beyond the server's 24 h"),
    # Fetched after it, but it may have been built before: the age decides, as without windows.
    ((NOW - DAY - HOUR, NOW - HOUR), policy(), NOW - DAY, State.CACHED, "fetched 1 h ago, within the server's 24 h"),
    (
        (NOW - 3 * DAY, NOW - 2 * DAY),
        policy(),
        NOW - 2.5 * DAY,
        State.STALE,
        "fetched 2 d ago, beyond the server's 24 h",
    ),
    ((NOW - DAY, NOW), policy(max_age=HOUR), NOW - HOUR, State.STALE, "built up to 1 d ago, beyond max_age of 1 h"),
    ((NOW - DAY, NOW), policy(max_age=DAY), NOW - HOUR, State.CACHED, "built at most 1 d ago, within max_age of 1 d"),
    # Not settled yet, or never.
    (NOW, policy(), NOW + 1, State.CACHED, "fetched 0 s ago, within the server's 24 h"),
    (NOW - 2 * DAY, policy(), NOW + DAY, State.STALE, "fetched 2 d ago, beyond the server's 24 h"),
    (NOW - 2 * DAY, policy(), inf, State.STALE, "fetched 2 d ago, beyond the server's 24 h"),
    # refresh has it built again; what this very call fetched is taken for what it is.
    (NOW - DAY, policy(refresh=True), WEEK_AGO, State.STALE, REFRESH),
    (NOW - 50, policy(NOW - 100, refresh=True), WEEK_AGO, State.CACHED, SINCE_CALL),
    # offline asks for no reason.
    (NOW - DAY, policy(offline=True), WEEK_AGO, State.CACHED, ANY_AGE),
    (WEEK_AGO - 1, policy(offline=True), WEEK_AGO, State.CACHED, ANY_AGE),
    # A clock that went backwards makes a settled file stale, too: nobody knows when it was built.
    (NOW + 1, policy(), WEEK_AGO, State.STALE, BACKWARDS),
    ((NOW - DAY, NOW + 1), policy(), WEEK_AGO, State.STALE, BACKWARDS),
    (NOW + 1, policy(offline=True), WEEK_AGO, State.CACHED, ANY_AGE),
    # Nothing cached.
    (None, policy(), WEEK_AGO, State.MISSING, NOTHING),
]


@pytest.mark.parametrize(("built", "chosen", "settled_at", "state", "reason"), SETTLING)
def test_decision_for_a_window(built: Any, chosen: CachePolicy, settled_at: float, state: State, reason: str) -> None:
    freshness = check_freshness(file_times(built), chosen, NOW, settled_at)
    assert (freshness.state, freshness.reason) == (state, reason)
    assert freshness.is_fresh is (state in {State.CACHED, State.SETTLED})


@pytest.mark.parametrize(("built", "chosen", "now", "fresh", "reason"), TABLE)
def test_a_window_that_never_settles_is_decided_as_any_export(
    built: Any,
    chosen: CachePolicy,
    now: float,
    fresh: bool,  # noqa: FBT001
    reason: str,
) -> None:
    freshness = check_freshness(file_times(built), chosen, now, inf)
    assert (freshness.is_fresh, freshness.reason) == (fresh, reason)


END = 1_722_286_800.0  # the end of 2024-07-29 in Moscow, 21:00 UTC
MOSCOW = timezone(timedelta(hours=3))


@pytest.mark.parametrize(
    ("lookback", "by_receive_time", "expected"),
    [
        (7 * DAY, False, END + 7 * DAY),
        (HOUR, False, END + HOUR),
        (0.0, False, END),
        (None, False, inf),
        # Nothing is received late: a day is for the server to write it down.
        (7 * DAY, True, END + DAY),
        (DAY, True, END + DAY),
        (HOUR, True, END + HOUR),
        (0.0, True, END),
        (None, True, inf),
    ],
)
def test_a_window_settles_a_lookback_after_its_end(
    lookback: float | None,
    by_receive_time: bool,  # noqa: FBT001
    expected: float,
) -> None:
    assert settling_time(END, lookback, by_receive_time=by_receive_time) == expected
    assert settling_time(None, lookback, by_receive_time=by_receive_time) == inf


@pytest.mark.parametrize(
    ("zone", "end"),
    [(MOSCOW, END), (UTC, END + 3 * HOUR), (None, END + 15 * HOUR)],
    ids=["Moscow", "UTC", "unknown"],
)
def test_where_the_zone_is_not_known_a_window_ends_as_late_as_anywhere(zone: tzinfo | None, end: float) -> None:
    day: Any = {"date_since": "2024-07-29", "date_until": "2024-07-29"}
    request = build_request("events", application_id=1, zone=lambda _: UTC, now=0.0, **day)
    settled_at = settling_time(window_end(request, zone), 0.0, by_receive_time=False)
    assert settled_at == end
    assert check_freshness(FileTimes(end, end), policy(end, max_age=0), end, settled_at).state is State.SETTLED
    before = FileTimes(end - 1, end - 1)
    assert check_freshness(before, policy(end, max_age=0), end, settled_at).state is State.STALE


@pytest.mark.parametrize(
    ("chosen", "settled_at", "header"),
    [
        # Settled: any file that the server has built since will do.
        (policy(max_age=HOUR), WEEK_AGO, "max-age=604800"),
        (policy(max_age=0), NOW - 90.9, "max-age=90"),
        # The user accepts older ones anyway.
        (policy(max_age=30 * DAY), WEEK_AGO, "max-age=2592000"),
        # Not settled yet, or never.
        (policy(max_age=HOUR), NOW, "max-age=3600"),
        (policy(max_age=HOUR), NOW + DAY, "max-age=3600"),
        (policy(max_age=HOUR), inf, "max-age=3600"),
        # Nothing is asked for where the user asks for nothing, and refresh stays what it is.
        (policy(), WEEK_AGO, None),
        (policy(refresh=True), WEEK_AGO, "no-cache"),
    ],
)
def test_the_server_is_asked_for_a_file_that_is_young_enough_or_settled(
    chosen: CachePolicy, settled_at: float, header: str | None
) -> None:
    assert chosen.for_window(settled_at).cache_control == header


@given(
    max_age=st.one_of(st.integers(0, 40 * 86_400), st.floats(0, 40 * DAY)),
    settled=st.one_of(st.integers(-10, 40 * 86_400), st.floats(-10 * DAY, 40 * DAY)),
    asked=st.floats(0, 2 * DAY),
    age=st.floats(0, 1),
)
@example(max_age=0, settled=5 * 3600, asked=0.0, age=1.0)
@example(max_age=0, settled=0.7, asked=0.0, age=1.0)
def test_what_the_server_sends_is_young_enough_or_settled(
    max_age: float, settled: float, asked: float, age: float
) -> None:
    """A call of long ago asks for a window; the server sends a file that the header accepts."""
    call, settled_at = 1_722_340_800.0, 1_722_340_800.0 - settled
    user = policy(call, max_age=max_age)
    window = user.for_window(settled_at)
    accepted = int((window.cache_control or "").removeprefix("max-age="))
    requested_at = call + asked
    built_at = requested_at - age * min(accepted, DAY)  # the server keeps nothing longer
    assert built_at >= min(requested_at - max_age, settled_at)

    # It is dated no later than it was built, and still is one or the other to the next call at the same instant.
    recorded = to_datetime(build_time_lower_bound(window, requested_at=requested_at, waited=False)).timestamp()
    assert recorded <= built_at + 1e-6
    times = FileTimes(recorded, recorded)
    rounding = 1e-5
    at = policy(requested_at, max_age=max_age + rounding)
    assert check_freshness(times, at, requested_at + 1, settled_at - rounding).is_fresh


@pytest.mark.parametrize(
    ("settled_ago", "expected"),
    [(5 * HOUR, 5 * HOUR), (7 * DAY, DAY), (60.0, 600.0), (-DAY, 600.0), (-inf, 600.0)],
)
def test_a_job_that_has_ended_is_accepted_if_its_file_is_settled(settled_ago: float, expected: float) -> None:
    window = policy(max_age=600).for_window(NOW - settled_ago)
    assert max_age_of_job(window, is_refresh=False) == expected


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


@pytest.mark.parametrize(
    ("instants", "expected"),
    [((), None), ((None, None), None), ((100.0, None, 300.0), 300.0), ((-1.0, None), None), ((0.0,), 0.0)],
)
def test_the_server_can_still_have_a_file_for_a_day(instants: tuple[float | None, ...], expected: float | None) -> None:
    assert latest_file_at(instants, now=86_400.0) == expected
