"""How jobs become files: snapshots of parts, replaced rows, jobs of other clients."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import ApiClient, StartEmulator


SMALL = {"fields": "event_name,event_timestamp,appmetrica_device_id"}
NO_CACHE = {"Cache-Control": "no-cache"}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_parts_fit_together_however_late_each_is_requested(start_emulator: StartEmulator) -> None:
    api = start_emulator(rows_per_day=600)
    today = SMALL | {"date_since": "2026-11-18", "date_until": "2026-11-18"}
    whole = rows(api.download(**today))
    parts = []
    for number in range(3):
        parts += rows(api.download(parts_count=3, part_number=number, **today))
        api.server.clock.advance(7200)
    assert sorted(map(str, parts)) == sorted(map(str, whole))


def test_rebuilding_one_part_makes_the_others_outdated(start_emulator: StartEmulator) -> None:
    api = start_emulator()
    for number in range(2):
        api.download(parts_count=2, part_number=number, **SMALL)
    assert api.get(headers={"Cache-Control": "no-cache"}, parts_count=2, part_number=0, **SMALL).status_code == 202
    api.download(parts_count=2, part_number=0, **SMALL)
    assert api.get(parts_count=2, part_number=1, **SMALL).status_code == 202


def test_answers_replace_the_simulated_rows(api: ApiClient) -> None:
    api.server.answers["events"] = b"event_name\nonly me"
    assert api.download() == "event_name\nonly me"


def test_foreign_jobs_fill_the_queue_and_finish_in_turn(start_emulator: StartEmulator) -> None:
    api = start_emulator(preparation=100.0)
    api.server.add_foreign_jobs(3)
    assert (api.get().status_code, len(api.list_jobs()), api.server.preparations) == (429, 3, 0)
    api.server.wait_until_idle()
    api.server.clock.advance(101)
    assert (api.get().status_code, len(api.list_jobs())) == (202, 3)
    assert api.get(application_id=api.server.other_application_id).status_code == 202
    for _ in range(3):
        api.server.wait_until_idle()
        api.server.clock.advance(101)
        api.list_jobs()
    assert api.get().status_code == 200
    assert api.server.preparations == 2


def test_foreign_jobs_beyond_the_limit_are_an_error(slow_api: ApiClient) -> None:
    slow_api.server.add_foreign_jobs(2, application_id=slow_api.server.other_application_id)
    with pytest.raises(ValueError, match="has 2 already"):
        slow_api.server.add_foreign_jobs(2, application_id=slow_api.server.other_application_id)
    assert slow_api.list_jobs() == []


def test_separate_builds_leave_the_other_parts(start_emulator: StartEmulator) -> None:
    api = start_emulator(part_builds="separate")
    for number in range(2):
        api.download(parts_count=2, part_number=number, **SMALL)
    assert api.get(headers=NO_CACHE, parts_count=2, part_number=0, **SMALL).status_code == 202
    api.download(parts_count=2, part_number=0, **SMALL)
    assert api.get(parts_count=2, part_number=1, **SMALL).status_code == 200
    assert api.server.preparations == 3


def test_every_part_of_separate_builds_has_its_own_age(start_emulator: StartEmulator) -> None:
    api = start_emulator(part_builds="separate")
    for number in range(2):
        api.download(parts_count=2, part_number=number, **SMALL)
        api.server.clock.advance(3600)
    within = {"Cache-Control": "max-age=3600"}
    statuses = [api.get(headers=within, parts_count=2, part_number=number, **SMALL).status_code for number in range(2)]
    assert statuses == [202, 200]


@pytest.mark.parametrize(("part_builds", "fits"), [("shared", True), ("separate", False)])
def test_parts_of_separate_builds_have_the_data_of_their_own_time(
    start_emulator: StartEmulator,
    part_builds: str,
    fits: bool,  # noqa: FBT001
) -> None:
    api = start_emulator(rows_per_day=600, part_builds=part_builds)
    today = SMALL | {"date_since": "2026-11-18", "date_until": "2026-11-18"}
    whole = len(rows(api.download(**today)))
    first = rows(api.download(parts_count=2, part_number=0, **today))
    api.server.clock.advance(4 * 3600)
    second = rows(api.download(parts_count=2, part_number=1, **today))
    assert (len(first) + len(second) == whole) is fits


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [
        ({}, 110),
        ({"date_until": "2026-11-19"}, 200),
        ({"date_until": "2026-11-10 00:00:01"}, 110),
        ({"date_until": "2026-11-19", "parts_count": 10, "part_number": 3}, 110),
    ],
)
def test_preparation_takes_a_fixed_time_and_more_for_each_day(
    start_emulator: StartEmulator, parameters: dict[str, Any], seconds: float
) -> None:
    api = start_emulator(preparation=100.0, preparation_per_day=10.0)
    api.get(**parameters)
    api.server.wait_until_idle()
    api.server.clock.advance(seconds - 1)
    assert api.get(**parameters).status_code == 202
    api.server.clock.advance(1)
    assert api.get(**parameters).status_code == 200


def test_exports_without_dates_count_as_one_day(start_emulator: StartEmulator) -> None:
    api = start_emulator(preparation_per_day=10.0)
    tokens = {"date_since": None, "date_until": None, "fields": "token"}
    api.get("push_tokens.csv", **tokens)
    api.server.wait_until_idle()
    api.server.clock.advance(10)
    assert api.get("push_tokens.csv", **tokens).status_code == 200


def test_finished_and_rejected_requests_are_forgotten(api: ApiClient) -> None:
    for limit in range(1, 9):
        api.poll(limit=limit)
    assert api.server._queues[api.server.application_id]._requests == {}


def test_a_part_that_is_requested_anew_takes_no_older_snapshot(start_emulator: StartEmulator) -> None:
    """Although another part was built from that snapshot, and this one was not."""
    api = start_emulator(rows_per_day=600)
    today = SMALL | {"date_since": "2026-11-18", "date_until": "2026-11-18"}
    old = rows(api.download(parts_count=2, part_number=1, **today))
    api.server.clock.advance(7200)
    api.get(headers=NO_CACHE, parts_count=2, part_number=0, **today)
    parts = [rows(api.download(parts_count=2, part_number=number, **today)) for number in range(2)]
    assert len(parts[1]) > len(old)
    assert sorted(map(str, parts[0] + parts[1])) == sorted(map(str, rows(api.download(**today))))


def test_a_file_can_be_made_by_a_function_of_its_build(start_emulator: StartEmulator) -> None:
    api = start_emulator(preparation=100.0)
    api.server.answers["events"] = lambda build: f"city\n{build.request.part} {build.as_of}".encode()
    asked_at = api.server.clock.now()
    assert api.get(parts_count=2, part_number=1).status_code == 202
    api.server.wait_until_idle()
    api.server.clock.advance(100.0)
    assert api.download(parts_count=2, part_number=1) == f"city\n(1, 2) {asked_at}"


@pytest.mark.parametrize("files", [False, True])
def test_lost_jobs_and_files_are_requested_anew(start_emulator: StartEmulator, files: bool) -> None:  # noqa: FBT001
    api = start_emulator(preparation=100.0)
    api.get()
    api.server.wait_until_idle()
    api.server.clock.advance(100.0)
    api.download()
    for city in ("Minsk", "Omsk"):
        api.get(city=city)
    assert len(api.list_jobs()) == 2
    api.server.lose_jobs(files=files)
    assert api.list_jobs() == []
    assert api.get().status_code == (202 if files else 200)
