"""The routes besides exports: the Management API and the list of active queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import ApiClient


def test_a_foreign_host_header_is_rejected(shared_api: ApiClient) -> None:
    assert shared_api.get(headers={"Host": "example.com"}).status_code == 400


def test_the_management_api_lists_two_applications(shared_api: ApiClient) -> None:
    queries = shared_api.http.get("/management/v1/applications").json()["applications"]
    assert [app["id"] for app in queries] == [shared_api.server.application_id, shared_api.server.other_application_id]
    assert len({app["time_zone_name"] for app in queries}) == 2
    assert shared_api.http.get("/management/v1/application/3333").status_code == 403


def test_applications_have_the_documented_keys(shared_api: ApiClient) -> None:
    (listed, _) = shared_api.http.get("/management/v1/applications").json()["applications"]
    alone = shared_api.http.get(f"/management/v1/application/{listed['id']}").json()["application"]
    documented = {
        *("id", "name", "time_zone_name", "time_zone_offset", "create_date", "permission", "owner_login", "uid"),
        *("label_id", "category", "bundle_id", "team_id", "hide_address", "gdpr_agreement_accepted"),
        *("use_universal_links", "universal_link", "api_key128", "import_token"),
    }
    assert set(listed) == documented | {"permission_date"}
    assert set(alone) == documented | {"label"}
    assert (listed["time_zone_name"], listed["time_zone_offset"]) == ("Europe/Moscow", 3 * 3600)


def test_availability_can_be_set(api: ApiClient) -> None:
    status = "/management/v1/logsapi/status"
    assert api.http.get(status).json() == {"logs_api_availability_status": "enabled"}
    api.server.logs_api_enabled = False
    assert api.http.get(status).json() == {"logs_api_availability_status": "disabled"}


def test_active_queries_are_described(slow_api: ApiClient) -> None:
    slow_api.get("installations.json", fields="city")
    (job,) = slow_api.list_jobs()
    assert job["create_time"] == "2026-11-18 18:06:40"
    assert (job["entity"], job["output_format"], job["status"]) == (1, 1, 0)
    assert "fields=city" in str(job["query"])
    assert str(job["request_id"]).isdigit()
