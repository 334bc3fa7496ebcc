"""Export requests: which parameters are accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames.schema.catalog import resources

if TYPE_CHECKING:
    from conftest import ApiClient, StartEmulator


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fields": "event_name,colour"}, "Undefined parameter: colour in fields"),
        ({"fields": None}, "Required parameter is missing: fields"),
        ({"date_until": None}, "Required parameter is missing: date_until"),
        ({"date_until": "2026-11-09"}, "before date_since"),
        ({"date_since": "10.11.2026"}, "expected yyyy-mm-dd hh:mm:ss"),
        ({"colour": "red"}, "Undefined parameter: colour"),
        ({"limit": "many"}, "expected an integer"),
        ({"date_dimension": "both"}, "expected default or receive"),
        ({"parts_count": 2}, "missing: part_number"),
        ({"parts_count": 2, "part_number": 2}, "expected less than"),
        ({"application_id": "lavka"}, "expected an integer"),
    ],
)
def test_an_invalid_parameter_is_400_with_its_name(
    shared_api: ApiClient, parameters: dict[str, Any], message: str
) -> None:
    response = shared_api.get(**parameters)
    assert response.status_code == 400
    assert message in response.json()["message"]


@pytest.mark.parametrize("export", ["cohorts.csv", "events.parts", "events"])
def test_an_unknown_resource_is_404(shared_api: ApiClient, export: str) -> None:
    response = shared_api.get(export)
    assert (response.status_code, response.json()["errors"][0]["error_type"]) == (404, "not_found")


def test_an_invalid_request_does_not_enter_the_queue(slow_api: ApiClient) -> None:
    slow_api.get(fields="colour")
    assert slow_api.list_jobs() == []


@pytest.mark.parametrize("resource", sorted(resources()))
@pytest.mark.parametrize("dimension", ["default", "receive"])
def test_every_resource_accepts_a_date_dimension(slow_api: ApiClient, resource: str, dimension: str) -> None:
    field = next(iter(resources()[resource].fields))
    assert slow_api.get(f"{resource}.csv", fields=field, date_dimension=dimension).status_code == 202


@pytest.mark.parametrize("name", ["skip_unavailable_shards", "use_utf8_bom"])
def test_booleans_are_validated(shared_api: ApiClient, name: str) -> None:
    statuses = {shared_api.poll(**{name: value}).status_code for value in ("true", "false", "True", "1", "0")}
    assert statuses == {200}
    response = shared_api.get(**{name: "maybe"})
    assert response.status_code == 400
    assert f"parameter {name}: 'maybe', expected true or false" in response.json()["message"]


def test_rejected_fields_fail_by_name_until_they_are_accepted_again(start_emulator: StartEmulator) -> None:
    api = start_emulator(rejected_fields=["city"])
    response = api.get(fields="event_name,city")
    assert response.status_code == 400
    assert response.json()["message"] == "Undefined parameter: city in fields"
    api.server.rejected_fields.clear()
    assert api.get(fields="event_name,city").status_code == 202


@pytest.mark.parametrize(("until", "status"), [("2026-11-16", 202), ("2026-11-17 00:00:00", 400), ("2026-12-01", 400)])
def test_a_range_longer_than_the_longest_is_400(start_emulator: StartEmulator, until: str, status: int) -> None:
    response = start_emulator(max_days=7).get(date_since="2026-11-10", date_until=until)
    assert response.status_code == status
    if status == 400:
        assert "the date range is too long: at most 7 days" in response.json()["message"]


@pytest.mark.parametrize("name", ["application_id", "limit"])
def test_a_number_of_5000_digits_is_400(shared_api: ApiClient, name: str) -> None:
    response = shared_api.get(**{name: "9" * 5000})
    assert response.status_code == 400
    assert f"parameter {name}" in response.json()["message"]
