"""Fault plans: which request goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from appmetrica_frames.emulator import faults

if TYPE_CHECKING:
    from conftest import ApiClient, StartEmulator

    from appmetrica_frames.emulator.faults import Fault, Request


STATUS = "/management/v1/logsapi/status"


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_a_plan_without_faults_changes_no_byte(faulty_api: ApiClient, coding: str) -> None:
    assert faulty_api.read_wire(coding=coding) == faulty_api.read_wire(faulty_api.internal_url, coding=coding)


def test_setting_faults_without_a_proxy_is_an_error(shared_api: ApiClient) -> None:
    with pytest.raises(RuntimeError, match=r"faults=\{\}"):
        shared_api.server.faults[1] = faults.Refuse()


def test_export_requests_downloads_and_other_calls_are_counted_apart(start_emulator: StartEmulator) -> None:
    api = start_emulator(preparation=100.0, faults={2: faults.Answer(502)}, bodies={1: faults.Replace(b"x")}, calls={})
    api.server.calls[2] = faults.Answer(403)
    assert [api.get().status_code for _ in range(3)] == [202, 502, 202]
    assert [api.http.get(STATUS).status_code for _ in range(3)] == [200, 403, 200]
    api.server.wait_until_idle()
    api.server.clock.advance(101)
    first, second = api.get(), api.get()
    assert (first.content, second.text.partition("\n")[0]) == (b"x", "event_name,event_datetime")
    assert (api.server.export_requests, api.server.bodies.count, api.server.calls.count) == (5, 2, 3)


def test_the_latest_rule_applies_and_none_is_a_rule(faulty_api: ApiClient) -> None:
    faulty_api.server.faults[2:] = faults.Answer(503)
    faulty_api.server.faults[3] = None
    faulty_api.server.faults[4:5] = faults.Answer(504)
    assert [faulty_api.get().status_code for _ in range(5)] == [200, 503, 200, 504, 503]


def test_a_predicate_selects_requests(faulty_api: ApiClient) -> None:
    faulty_api.server.calls.when(lambda request: request.path.endswith("get_active_queries"), faults.Answer(403))
    listing = faulty_api.http.get("/logs/v1/export/get_active_queries", params={"application_id": "1111"})
    assert (listing.status_code, faulty_api.http.get(STATUS).status_code, faulty_api.server.export_requests) == (
        403,
        200,
        0,
    )


def test_a_plan_may_be_a_function_of_the_request(start_emulator: StartEmulator) -> None:
    seen: list[Request] = []

    def plan(request: Request) -> Fault | None:
        seen.append(request)
        return faults.Answer(500) if ("limit", "7") in request.query else None

    api = start_emulator(faults=plan)
    assert [api.get(limit=limit, headers={"X-Mark": "y"}).status_code for limit in (6, 7)] == [202, 500]
    assert [(request.number, request.headers["x-mark"]) for request in seen] == [(1, "y"), (2, "y")]


def test_clear_faults_removes_faults_and_counts(faulty_api: ApiClient) -> None:
    faulty_api.server.faults[1:] = faults.Answer(503)
    assert faulty_api.get().status_code == 503
    faulty_api.server.clear_faults()
    assert faulty_api.server.export_requests == 0
    assert faulty_api.get().content == faulty_api.server.answers["events"]


def test_faults_of_a_tuple_apply_in_order(faulty_api: ApiClient) -> None:
    faulty_api.server.bodies[1] = faults.Append(b"tail"), faults.Frame("chunked"), faults.Cut(-2, "close")
    whole = faulty_api.read_wire(faulty_api.internal_url)[1]
    head, body = faulty_api.read_wire()
    assert body == whole + b"ta"
    assert b"Connection: close" in head


def test_a_plan_that_fails_is_reported_when_the_emulator_stops(start_emulator: StartEmulator) -> None:
    api = start_emulator(faults={1: faults.Flip(10_000_000, 0)})
    with pytest.raises(httpx.RemoteProtocolError):
        api.get()
    with pytest.raises(RuntimeError, match="could not be applied"):
        api.server.stop()
