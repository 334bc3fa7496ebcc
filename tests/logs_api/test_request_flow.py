"""The documented request flow, sentence by sentence, as this package walks it, on a clock that only its pauses move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, Exchange, MovableClock
from appmetrica_frames.engine.options import order
from appmetrica_frames.engine.resolve import obtained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appmetrica_frames.engine.resolve import Export

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


class Visitor:
    """Reads installations with an empty store or its own, on the emulator's clock."""

    def __init__(self, server: Emulator, tmp_path: Path) -> None:
        self.server = server
        self._tmp_path = tmp_path
        self._stores = 0

    def read(self, *, fresh_store: bool = True, **words: Any) -> Export:
        self._stores += fresh_store
        client = af.Client(
            self.server.token,
            base_url=self.server.base_url,
            cache_dir=self._tmp_path / str(self._stores),
            progress=False,
        )
        asked = {
            "application_id": self.server.application_id,
            "date_since": "2024-07-29",
            "date_until": "2024-07-29",
            "client": client,
            **words,
        }
        with obtained(order("installations", **asked), clock=SharedClock(self.server)) as export:
            return export

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
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    options: dict[str, Any] = {"preparation": PREPARATION, "repeated_max_age": "move"}
    with Emulator(rows_per_day=300, clock=MovableClock(start=NOON), **options) as server:
        yield Visitor(server, tmp_path)


def test_202_means_that_the_request_is_queued_and_the_file_prepared(visitor: Visitor) -> None:
    """If the request is processed successfully, AppMetrica prepares a file; the API returns 202 Accepted."""
    visitor.read()
    assert visitor.statuses[-1] == 200
    assert set(visitor.statuses[:-1]) == {202}
    assert visitor.exports[0].text == "Wait for result"


def test_an_error_brings_its_status_and_its_description(visitor: Visitor) -> None:
    """If the request resulted in an error, status and body tell it."""
    with pytest.raises(af.RequestRejectedError, match="no_such_field") as caught:
        visitor.read(fields=["city", "no_such_field"], schema_overrides={"no_such_field": "string"})
    assert caught.value.status == 400
    with pytest.raises(af.RequestRejectedError, match="999999") as unknown:
        visitor.read(application_id=999_999)
    assert unknown.value.status == 404
    assert [export for store in visitor._tmp_path.iterdir() for export in af.Cache(store).ls()] == []


def test_requests_in_the_queue_are_processed_one_after_another(visitor: Visitor) -> None:
    """Each subsequent request is executed strictly after the previous one is completed."""
    began = visitor.server.clock.now()
    visitor.read()
    middle = visitor.server.clock.now()
    visitor.read(date_since="2024-07-28")
    assert middle - began >= PREPARATION
    assert visitor.server.clock.now() - middle >= PREPARATION


def test_all_requests_of_an_export_are_identical(visitor: Visitor) -> None:
    """All identical requests return 202; the request to download is identical to the request to prepare."""
    visitor.read()
    assert len({(exchange.method, exchange.path, exchange.query) for exchange in visitor.exports}) == 1
    assert len(visitor.exports) > 10
    assert visitor.server.preparations == 1


def test_the_token_stands_in_the_oauth_header(visitor: Visitor) -> None:
    visitor.read()
    assert {e.headers["authorization"] for e in visitor.exports} == {f"OAuth {visitor.server.token}"}
    assert all("token" not in name for e in visitor.exports for name, _ in e.query)


def test_compressed_data_is_asked_for(visitor: Visitor) -> None:
    visitor.read()
    assert {e.headers["accept-encoding"] for e in visitor.exports} == {"gzip"}


def test_the_ready_file_is_noticed_within_a_tenth_of_its_preparation(visitor: Visitor) -> None:
    began = visitor.server.clock.now()
    visitor.read()
    assert PREPARATION <= visitor.server.clock.now() - began <= 1.1 * PREPARATION


def test_the_file_is_available_for_24_hours(visitor: Visitor) -> None:
    visitor.read()
    visitor.server.clock.advance(DAY - HOUR)
    visitor.read()
    assert visitor.server.preparations == 1
    assert visitor.statuses[-2:] == [200, 200]


def test_after_24_hours_a_new_file_is_prepared(visitor: Visitor) -> None:
    visitor.read()
    visitor.server.clock.advance(DAY + 1)
    visitor.read()
    assert visitor.server.preparations == 2


def test_the_store_keeps_the_same_24_hours(visitor: Visitor) -> None:
    visitor.read()
    visitor.server.clock.advance(DAY - PREPARATION * 1.1 - 1)
    asked = len(visitor.exports)
    visitor.read(fresh_store=False)
    assert len(visitor.exports) == asked
    visitor.server.clock.advance(PREPARATION * 1.1 + 2)
    visitor.read(fresh_store=False)
    assert len(visitor.exports) > asked


def test_no_cache_generates_a_new_file(visitor: Visitor) -> None:
    visitor.read()
    visitor.read(fresh_store=False, refresh=True)
    assert visitor.server.preparations == 2
    assert [said for said in visitor.cache_controls if said] == ["no-cache"]


@pytest.mark.parametrize(("aged", "preparations"), [(-1, 1), (0, 1), (1, 2)], ids=["younger", "exactly", "older"])
def test_max_age_takes_a_file_that_is_young_enough(aged: float, preparations: int, visitor: Visitor) -> None:
    """A file generated within the last N seconds is downloaded; an older one is generated anew."""
    visitor.read()
    created = NOON + PREPARATION
    visitor.server.clock.advance(created + 2 * HOUR + aged - visitor.server.clock.now())
    visitor.read(max_age=2 * HOUR)
    assert visitor.server.preparations == preparations
    assert [said for said in visitor.cache_controls if said] == ["max-age=7200"]


def test_no_header_takes_the_last_file(visitor: Visitor) -> None:
    visitor.read()
    visitor.read(refresh=True)
    asked = len(visitor.exports)
    visitor.read()
    assert visitor.statuses[asked:] == [200]
    assert visitor.server.preparations == 2


def test_a_file_of_unknown_age_is_asked_for_again_but_not_prepared_again(visitor: Visitor) -> None:
    """What was there at once may be a day old: the next read downloads, and has nothing prepared."""
    visitor.read()
    visitor.server.clock.advance(HOUR)
    visitor.read()
    visitor.server.clock.advance(1)
    asked = len(visitor.exports)
    visitor.read(fresh_store=False)
    assert visitor.statuses[asked:] == [200]
    assert visitor.server.preparations == 1


def test_a_repeated_header_would_starve_and_is_never_sent(visitor: Visitor) -> None:
    """The emulator punishes the repetition; the package asks so once, with builds longer than max_age, too."""
    for words in ({"refresh": True}, {"max_age": PREPARATION / 10}, {"max_age": 0}):
        asked = len(visitor.exports)
        began = visitor.server.clock.now()
        visitor.read(**words)
        said = visitor.cache_controls[asked:]
        assert said[0] is not None
        assert set(said[1:]) == {None}
        assert all("moved to the end" not in e.text for e in visitor.exports)
        assert visitor.server.clock.now() - began <= 1.1 * PREPARATION
        visitor.server.clock.advance(DAY)
    assert visitor.server.preparations == 3


def test_an_export_longer_than_its_max_age_is_returned_and_not_kept_for_fresh(visitor: Visitor) -> None:
    first = visitor.read(max_age=60)
    assert first.entry.built_not_before == NOON
    visitor.read(fresh_store=False, max_age=60)
    assert visitor.cache_controls.count("max-age=60") == 2


def test_patience_ends_and_the_next_call_finds_the_job(visitor: Visitor) -> None:
    impatient = af.Client(
        visitor.server.token, base_url=visitor.server.base_url, prepare_timeout=PREPARATION / 2, progress=False
    )
    with pytest.raises(af.PreparationTimeoutError, match="same call"):
        visitor.read(client=impatient)
    assert af.Cache().ls() == []
    visitor.read(client=impatient)
    assert visitor.server.preparations == 1
