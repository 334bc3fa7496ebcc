"""Export requests: which parameters are accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import ApiClient


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
