"""stale_if_error: a stale file instead of an error, where the fault is the network's or the server's, and not else."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.policy import CachePolicy, FileTimes, check_stale_if_error
from appmetrica_frames.engine.call import open_exports
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.integrations.polars import read

NOW = 1_722_340_800.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

NO_FILE = "there is no file to fall back on"
BACKWARDS = "fetched in the future: the clock went backwards"


def policy(
    at: float = NOW, *, stale: float | None = HOUR, max_age: float | None = None, refresh: bool = False
) -> CachePolicy:
    return CachePolicy(at, max_age, refresh, offline=False, stale_if_error=stale)


# built_not_before, policy, now, fresh, reason
TABLE = [
    (None, policy(), NOW, False, NO_FILE),
    (NOW - 1, policy(stale=None), NOW, False, NO_FILE),
    (NOW - 9 * DAY, policy(stale=None, max_age=0), NOW, False, NO_FILE),
    # No parameter: fresh for the server's 24 h, then stale.
    (NOW - DAY, policy(), NOW, True, "stale for at most 0 s, within stale_if_error of 1 h"),
    (NOW - DAY - 1, policy(), NOW, True, "stale for at most 1 s, within stale_if_error of 1 h"),
    (NOW - DAY - HOUR, policy(), NOW, True, "stale for at most 1 h, within stale_if_error of 1 h"),
    (NOW - DAY - HOUR - 1, policy(), NOW, False, "stale for up to 1 h, beyond stale_if_error of 1 h"),
    (NOW - DAY - 1, policy(stale=0), NOW, False, "stale for up to 1 s, beyond stale_if_error of 0 s"),
    (NOW - DAY, policy(stale=0), NOW, True, "stale for at most 0 s, within stale_if_error of 0 s"),
    # max_age: stale from then on.
    (NOW - MINUTE, policy(max_age=MINUTE), NOW, True, "stale for at most 0 s, within stale_if_error of 1 h"),
    (NOW - 61 * MINUTE, policy(max_age=MINUTE), NOW, True, "stale for at most 1 h, within stale_if_error of 1 h"),
    (NOW - 62 * MINUTE, policy(max_age=MINUTE), NOW, False, "stale for up to 1 h 1 min, beyond stale_if_error of 1 h"),
    (NOW - HOUR, policy(max_age=0), NOW, True, "stale for at most 1 h, within stale_if_error of 1 h"),
    (
        NOW - 3 * DAY,
        policy(max_age=2 * DAY, stale=DAY),
        NOW,
        True,
        "stale for at most 1 d, within stale_if_error of 1 d",
    ),
    # refresh: stale from the beginning.
    (NOW - HOUR, policy(refresh=True), NOW, True, "stale for at most 1 h, within stale_if_error of 1 h"),
    (NOW - 61 * MINUTE, policy(refresh=True), NOW, False, "stale for up to 1 h 1 min, beyond stale_if_error of 1 h"),
    (NOW - 1, policy(refresh=True, stale=0), NOW, False, "stale for up to 1 s, beyond stale_if_error of 0 s"),
    # The age is that of the instant of the call, however long the server then took to fail.
    (NOW - HOUR, policy(NOW - HOUR, refresh=True), NOW, True, "stale for at most 0 s, within stale_if_error of 1 h"),
    (
        NOW - 90 * MINUTE,
        policy(NOW - HOUR, max_age=0),
        NOW,
        True,
        "stale for at most 30 min, within stale_if_error of 1 h",
    ),
    # The clock went backwards.
    (NOW + 1, policy(stale=9 * DAY), NOW, False, BACKWARDS),
    (NOW + 1, policy(refresh=True), NOW, False, BACKWARDS),
]


@pytest.mark.parametrize(("built", "chosen", "now", "fresh", "reason"), TABLE)
def test_decision(built: float | None, chosen: CachePolicy, now: float, fresh: bool, reason: str) -> None:  # noqa: FBT001
    freshness = check_stale_if_error(None if built is None else FileTimes(built, built), chosen, now)
    assert (freshness.is_fresh, freshness.reason) == (fresh, reason)


class Settable:
    """A clock that stands still unless somebody waits on it or moves it."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


OLD = b"appmetrica_device_id,token\n1,old"


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


WHOLE = answer("200 OK", OLD)
TEMPORARY: dict[str, tuple[bytes, type[af.AppMetricaError]]] = {
    "no answer": (b"", af.DownloadError),
    "no HTTP": (b"hello\r\n\r\n", af.DownloadError),
    "a cut body": (WHOLE[:-3], af.DownloadError),
    "500": (answer("500 Internal Server Error", b"oops"), af.ServerError),
    "503": (answer("503 Service Unavailable"), af.ServerError),
    "429": (answer("429 Too Many Requests", b"slow down"), af.QuotaExceededError),
    "420": (answer("420 Enhance Your Calm", b"", "Retry-After: 90000"), af.QuotaExceededError),
}
FINAL: dict[str, tuple[bytes, type[af.AppMetricaError]]] = {
    "400": (answer("400 Bad Request", b"no such field"), af.RequestRejectedError),
    "401": (answer("401 Unauthorized"), af.AuthenticationError),
    "403": (answer("403 Forbidden"), af.AuthenticationError),
    "404": (answer("404 Not Found"), af.RequestRejectedError),
    "302": (answer("302 Found", b"", "Location: http://127.0.0.1:1/"), af.RequestRejectedError),
    "no UTF-8": (answer("200 OK", b"appmetrica_device_id,token\n1,\xff"), af.DecodeError),
    "a page": (answer("200 OK", b"<!DOCTYPE html>"), af.SchemaError),
    "another column": (answer("200 OK", b"appmetrica_device_id,city\n1,x"), af.SchemaError),
    "202 for ever": (answer("202 Accepted", b"Wait"), af.PreparationTimeoutError),
}


class Visitor:
    """A reader with a cached file, whose server then answers otherwise."""

    def __init__(self, raw_server: Any) -> None:
        self.clock = Settable()
        self.answer = WHOLE
        self.server = raw_server(lambda *_: self.answer)
        assert self.read(max_age=0) == ["old"]  # built now, for all that is known
        self.clock.time += 1

    def read(self, **words: Any) -> list[str]:
        client = self.server.client(poll=(2.0, 30.0), prepare_timeout=600.0)
        fields = ["token", "appmetrica_device_id"]
        wanted = build_options("push_tokens", application_id=1, fields=fields, client=client, **words)
        with open_exports(wanted, clock=self.clock) as exports:
            tokens: list[str] = read(exports)["token"].to_list()
            return tokens

    def outcome(self, **words: Any) -> tuple[Any, list[str]]:
        """Return the rows or the type of the error, and what was warned of."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                found: Any = self.read(**words)
            except af.AppMetricaError as error:
                found = type(error)
        assert {warning.category for warning in said} <= {af.CacheWarning}
        return found, [str(warning.message) for warning in said]


@pytest.fixture
def visitor(raw_server: Any) -> Visitor:
    return Visitor(raw_server)


@pytest.mark.parametrize("fault", TEMPORARY)
def test_a_fault_that_passes_gives_the_stale_file_with_one_warning(fault: str, visitor: Visitor) -> None:
    visitor.answer, error = TEMPORARY[fault]
    visitor.clock.time += 2 * HOUR
    assert visitor.outcome(max_age=HOUR) == (error, [])
    rows, said = visitor.outcome(max_age=HOUR, stale_if_error=2 * HOUR)
    assert rows == ["old"]
    assert len(said) == 1
    assert "A cached file is returned instead, built up to 2 h" in said[0]


@pytest.mark.parametrize("fault", FINAL)
def test_a_fault_that_stays_is_raised(fault: str, visitor: Visitor) -> None:
    visitor.answer, error = FINAL[fault]
    visitor.clock.time += 2 * HOUR
    assert visitor.outcome(max_age=HOUR, stale_if_error=9 * DAY) == (error, [])
    assert visitor.read(offline=True) == ["old"]


@pytest.mark.parametrize(
    ("words", "after", "stale"),
    [
        ({"refresh": True}, 30 * MINUTE, 31 * MINUTE),
        ({"max_age": HOUR}, 90 * MINUTE, 31 * MINUTE),
        ({}, DAY + 30 * MINUTE, 31 * MINUTE),
    ],
    ids=["refresh", "max_age", "no word"],
)
def test_the_limit_counts_from_where_the_file_became_stale(
    words: dict[str, Any], after: float, stale: float, visitor: Visitor
) -> None:
    visitor.answer = TEMPORARY["503"][0]
    visitor.clock.time += after
    assert visitor.outcome(**words, stale_if_error=stale - 2 * MINUTE) == (af.ServerError, [])
    assert visitor.outcome(**words, stale_if_error=stale)[0] == ["old"]


def test_without_the_word_or_without_a_file_the_error_is_raised(visitor: Visitor) -> None:
    visitor.answer = TEMPORARY["503"][0]
    assert visitor.outcome(refresh=True) == (af.ServerError, [])
    af.Cache().clear()
    assert visitor.outcome(refresh=True, stale_if_error=DAY) == (af.ServerError, [])


def test_a_damaged_file_is_nothing_to_fall_back_on(visitor: Visitor) -> None:
    visitor.answer = TEMPORARY["503"][0]
    (export,) = af.Cache().exports()
    export.path.write_bytes(export.path.read_bytes()[:-1])
    found, said = visitor.outcome(refresh=True, stale_if_error=DAY)
    assert found == af.ServerError
    assert len(said) == 1
    assert "damaged" in said[0]


def test_a_store_that_cannot_be_written_to_still_has_its_stale_file(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    visitor.answer = TEMPORARY["503"][0]
    monkeypatch.setattr("appmetrica_frames.cache.store.LocalStore.lock", full)
    rows, said = visitor.outcome(refresh=True, stale_if_error=DAY)
    assert rows == ["old"]
    assert len(said) == 1
    assert "A cached file is returned instead" in said[0]
