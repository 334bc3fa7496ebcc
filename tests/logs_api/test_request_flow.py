"""The documented request flow, sentence by sentence, on a clock that only the waits of the package move."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, Exchange, MovableClock
from appmetrica_frames.engine.call import open_exports
from appmetrica_frames.engine.options import build_options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appmetrica_frames.engine.resolve import ResolvedExport

NOON = 1_722_340_800.0
HOUR, DAY = 3600.0, 86_400.0
PREPARATION = 600.0


@dataclass
class SharedClock:
    """The emulator's clock, as the package's: a pause takes no time, and the server sees it pass."""

    server: Emulator

    def now(self) -> float:
        return self.server.clock.now()

    def monotonic(self) -> float:
        return self.server.clock.now()

    def sleep(self, seconds: float) -> None:
        self.server.wait_until_idle()
        self.server.clock.advance(seconds)


class Reader:
    """Reads installations with an empty cache or the last one, on the clock of the emulator."""

    def __init__(self, server: Emulator, tmp_path: Path) -> None:
        self.server = server
        self._tmp_path = tmp_path
        self._caches = 0

    def read(self, *, empty_cache: bool = True, **changes: Any) -> ResolvedExport:
        self._caches += empty_cache
        client = af.Client(
            self.server.token,
            base_url=self.server.base_url,
            cache_dir=self._tmp_path / str(self._caches),
            progress=False,
        )
        parameters = {
            "application_id": self.server.application_id,
            "date_since": "2024-07-29",
            "date_until": "2024-07-29",
            "client": client,
            **changes,
        }
        with open_exports(build_options("installations", **parameters), clock=SharedClock(self.server)) as exports:
            return exports[0]

    @property
    def exports(self) -> list[Exchange]:
        return [exchange for exchange in self.server.exchanges if exchange.path.startswith("/logs/v1/export/")]

    @property
    def statuses(self) -> list[int]:
        return [exchange.status for exchange in self.exports]

    @property
    def cache_controls(self) -> list[str | None]:
        return [exchange.headers.get("cache-control") for exchange in self.exports]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    options: dict[str, Any] = {"preparation": PREPARATION, "repeated_max_age": "move"}
    with Emulator(rows_per_day=300, clock=MovableClock(start=NOON), **options) as server:
        yield Reader(server, tmp_path)


def test_202_means_that_the_request_is_queued_and_the_file_prepared(reader: Reader) -> None:
    """If the request is processed successfully, AppMetrica prepares a file; the API returns 202 Accepted."""
    reader.read()
    assert reader.statuses[-1] == 200
    assert set(reader.statuses[:-1]) == {202}
    assert reader.exports[0].text == "Wait for result"


def test_an_error_has_the_status_and_the_description(reader: Reader) -> None:
    """If the request resulted in an error, status and body tell it."""
    with pytest.raises(af.RequestRejectedError, match="no_such_field") as caught:
        reader.read(fields=["city", "no_such_field"], schema_overrides={"no_such_field": "string"})
    assert caught.value.status == 400
    with pytest.raises(af.RequestRejectedError, match="999999") as unknown:
        reader.read(application_id=999_999)
    assert unknown.value.status == 404
    assert [export for cache in reader._tmp_path.iterdir() for export in af.Cache(cache).exports()] == []


def test_requests_in_the_queue_are_processed_one_after_another(reader: Reader) -> None:
    """Each subsequent request is executed strictly after the previous one is completed."""
    began = reader.server.clock.now()
    reader.read()
    middle = reader.server.clock.now()
    reader.read(date_since="2024-07-28")
    assert middle - began >= PREPARATION
    assert reader.server.clock.now() - middle >= PREPARATION


def test_all_requests_of_an_export_are_identical(reader: Reader) -> None:
    """All identical requests return 202; the request to download is identical to the request to prepare."""
    reader.read()
    assert len({(exchange.method, exchange.path, exchange.query) for exchange in reader.exports}) == 1
    assert len(reader.exports) > 10
    assert reader.server.preparations == 1


def test_the_token_is_in_the_oauth_header(reader: Reader) -> None:
    reader.read()
    assert {e.headers["authorization"] for e in reader.exports} == {f"OAuth {reader.server.token}"}
    assert all("token" not in name for e in reader.exports for name, _ in e.query)


def test_compressed_data_is_requested(reader: Reader) -> None:
    reader.read()
    assert {e.headers["accept-encoding"] for e in reader.exports} == {"gzip"}


def test_the_ready_file_is_noticed_within_a_tenth_of_its_preparation(reader: Reader) -> None:
    began = reader.server.clock.now()
    reader.read()
    assert PREPARATION <= reader.server.clock.now() - began <= 1.1 * PREPARATION


def test_the_file_is_available_for_24_hours(reader: Reader) -> None:
    reader.read()
    reader.server.clock.advance(DAY - HOUR)
    reader.read()
    assert reader.server.preparations == 1
    assert reader.statuses[-2:] == [200, 200]


def test_after_24_hours_a_new_file_is_prepared(reader: Reader) -> None:
    reader.read()
    reader.server.clock.advance(DAY + 1)
    reader.read()
    assert reader.server.preparations == 2


def test_the_cache_keeps_the_same_24_hours(reader: Reader) -> None:
    reader.read()
    reader.server.clock.advance(DAY - PREPARATION * 1.1 - 1)
    requests = len(reader.exports)
    reader.read(empty_cache=False)
    assert len(reader.exports) == requests
    reader.server.clock.advance(PREPARATION * 1.1 + 2)
    reader.read(empty_cache=False)
    assert len(reader.exports) > requests


def test_no_cache_generates_a_new_file(reader: Reader) -> None:
    reader.read()
    began = reader.server.clock.now()
    reader.read(empty_cache=False, refresh=True)
    assert reader.server.preparations == 2
    verifying = f"max-age={ceil(reader.server.clock.now() - began)}"  # the file is not the one that is in the cache
    assert [header for header in reader.cache_controls if header] == ["no-cache", verifying]


@pytest.mark.parametrize(("aged", "preparations"), [(-1, 1), (0, 1), (1, 2)], ids=["younger", "exactly", "older"])
def test_max_age_takes_a_file_that_is_young_enough(aged: float, preparations: int, reader: Reader) -> None:
    """A file generated within the last N seconds is downloaded; an older one is generated anew."""
    reader.read()
    created = NOON + PREPARATION
    reader.server.clock.advance(created + 2 * HOUR + aged - reader.server.clock.now())
    reader.read(max_age=2 * HOUR)
    assert reader.server.preparations == preparations
    assert [header for header in reader.cache_controls if header] == ["max-age=7200"]


def test_no_header_takes_the_last_file(reader: Reader) -> None:
    reader.read()
    reader.read(refresh=True)
    requests = len(reader.exports)
    reader.read()
    assert reader.statuses[requests:] == [200]
    assert reader.server.preparations == 2


def test_a_file_of_unknown_age_is_requested_again_for_max_age_but_not_prepared_again(reader: Reader) -> None:
    """A file that was ready may be a day old: a read with `max_age` downloads it again; one without uses it."""
    reader.read()
    reader.server.clock.advance(HOUR)
    reader.read()
    reader.server.clock.advance(1)
    requested = len(reader.exports)
    reader.read(empty_cache=False)
    assert len(reader.exports) == requested
    reader.read(empty_cache=False, max_age=2 * HOUR)
    assert reader.statuses[requested:] == [200]
    assert reader.server.preparations == 1


def test_a_repeated_header_would_starve_and_is_never_sent(reader: Reader) -> None:
    """The emulator punishes the repetition; the package sends it once, even if the build outlasts max_age."""
    for policy in ({"refresh": True}, {"max_age": PREPARATION / 10}, {"max_age": 0}):
        requests = len(reader.exports)
        began = reader.server.clock.now()
        reader.read(**policy)
        headers = reader.cache_controls[requests:]
        assert headers[0] is not None
        assert set(headers[1:]) == {None}
        assert all("moved to the end" not in e.text for e in reader.exports)
        assert reader.server.clock.now() - began <= 1.1 * PREPARATION
        reader.server.clock.advance(DAY)
    assert reader.server.preparations == 3


def test_an_export_prepared_for_longer_than_max_age_is_returned_but_not_fresh_later(reader: Reader) -> None:
    first = reader.read(max_age=60)
    assert first.cached.times.built_not_before == NOON
    reader.read(empty_cache=False, max_age=60)
    assert reader.cache_controls.count("max-age=60") == 2


def test_the_call_after_a_timeout_finds_the_job(reader: Reader) -> None:
    impatient = af.Client(
        reader.server.token, base_url=reader.server.base_url, prepare_timeout=PREPARATION / 2, progress=False
    )
    with pytest.raises(af.PreparationTimeoutError, match="same call"):
        reader.read(client=impatient)
    assert af.Cache().exports() == []
    reader.read(client=impatient)
    assert reader.server.preparations == 1
