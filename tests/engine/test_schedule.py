"""Whose turn it is for a place in the server's queue."""

from __future__ import annotations

from appmetrica_frames.engine.schedule import ApplicationQueue, SharedPlaces
from appmetrica_frames.logs_api.places import PlaceKeeper
from appmetrica_frames.request.part import WHOLE


def build_exports(queue: ApplicationQueue, number: int) -> list[PlaceKeeper]:
    return [PlaceKeeper(SharedPlaces(queue, None, required=True)) for _ in range(number)]


def test_whoever_waits_longest_has_the_next_place() -> None:
    """A window that is done at once must not take the place that another has waited for: it would wait for ever."""
    first, second, third = build_exports(ApplicationQueue("1", size=1), 3)
    assert first.may_request(WHOLE)
    assert not second.may_request(WHOLE)
    assert not third.may_request(WHOLE)
    first.finish(WHOLE)
    assert not first.may_request(WHOLE)
    assert not third.may_request(WHOLE)
    assert second.may_request(WHOLE)
    second.finish(WHOLE)
    assert [export.may_request(WHOLE) for export in (second, first, third)] == [False, False, True]


def test_places_that_nobody_waits_for_are_free() -> None:
    queue = ApplicationQueue("1", size=3)
    taken, waiting, late = (build_exports(queue, number) for number in (3, 1, 1))
    assert all(export.may_request(WHOLE) for export in taken)
    assert not waiting[0].may_request(WHOLE)
    taken[0].finish(WHOLE)
    taken[1].finish(WHOLE)
    assert late[0].may_request(WHOLE)
    assert waiting[0].may_request(WHOLE)


def test_an_export_that_ends_waits_no_longer() -> None:
    first, second, third = build_exports(ApplicationQueue("1", size=1), 3)
    assert [export.may_request(WHOLE) for export in (first, second, third)] == [True, False, False]
    second.release_all()
    first.release_all()
    assert third.may_request(WHOLE)
