"""The files: formats, dates, filters, parts."""

from __future__ import annotations

import csv
import io
import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appmetrica_frames.schema.catalog import resources

if TYPE_CHECKING:
    from conftest import ApiClient, StartEmulator


SMALL = {"fields": "event_name,event_timestamp,appmetrica_device_id"}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_columns_are_in_the_requested_order(shared_api: ApiClient) -> None:
    assert shared_api.download(fields="os_name,city,event_name").partition("\n")[0] == "os_name,city,event_name"


def test_lines_end_in_lf_and_the_last_row_has_no_line_end(shared_api: ApiClient) -> None:
    text = shared_api.download()
    assert not text.endswith("\n")
    assert "\r" not in text


def test_an_export_without_rows_is_a_header_line(shared_api: ApiClient) -> None:
    assert shared_api.download(event_name="nothing of that name") == "event_name,event_datetime\n"


def test_values_are_quoted_only_if_needed_and_nulls_are_empty(shared_api: ApiClient) -> None:
    text = shared_api.download(fields="event_name,event_json,windows_aid")
    assert '""' in text
    assert '"app_open"' not in text
    assert all(row["windows_aid"] == "" for row in rows(text))
    assert all(line.endswith(",") for line in text.splitlines()[1:])


def test_a_byte_order_mark_is_optional(shared_api: ApiClient) -> None:
    assert not shared_api.download().startswith("\ufeff")
    assert shared_api.poll(use_utf8_bom="true").content.startswith(b"\xef\xbb\xbfevent_name,")


def test_json_has_the_same_rows_as_strings(shared_api: ApiClient) -> None:
    fields = "event_name,event_json,appmetrica_device_id,google_aid,event_datetime"
    response = shared_api.poll("events.json", fields=fields)
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"data": rows(shared_api.download(fields=fields))}


def test_json_without_rows_has_empty_data(shared_api: ApiClient) -> None:
    assert shared_api.poll("events.json", event_name="none").json() == {"data": []}


def test_native_json_has_numbers_booleans_and_null(start_emulator: StartEmulator) -> None:
    api = start_emulator(native_json=True)
    installs = api.poll("installations.json", fields="appmetrica_device_id,is_reinstallation,windows_aid,city").json()
    first = installs["data"][0]
    assert [type(value) for value in first.values()] == [int, bool, type(None), str]


def test_json_is_valid_with_line_breaks_and_braces_in_values(shared_api: ApiClient) -> None:
    errors = json.loads(shared_api.poll("errors.json", fields="error,error_json", date_since="2026-09-01").content)[
        "data"
    ]
    assert any("\n" in row["error"] for row in errors)
    assert any(row["error"].endswith("},{") or "},{" in row["error"] for row in errors)
    assert all(Path(row["error_json"]) for row in errors)


def test_both_ends_of_the_range_are_included_to_the_second(shared_api: ApiClient) -> None:
    bounds = {"date_since": "2026-11-10 12:00:00", "date_until": "2026-11-10 15:59:59"}
    times = [row["event_datetime"] for row in rows(shared_api.download(**bounds))]
    exact = {"date_since": min(times), "date_until": max(times)}
    assert bounds["date_since"] <= min(times) < max(times) <= bounds["date_until"]
    assert sorted(row["event_datetime"] for row in rows(shared_api.download(**exact))) == sorted(times)


def test_a_bare_date_covers_the_whole_day(shared_api: ApiClient) -> None:
    whole = {"date_since": "2026-11-10 00:00:00", "date_until": "2026-11-10 23:59:59"}
    assert sorted(shared_api.download(**whole).splitlines()) == sorted(shared_api.download().splitlines())


@pytest.mark.parametrize("application", ["application_id", "other_application_id"])
def test_datetimes_are_in_the_applications_time_zone(shared_api: ApiClient, application: str) -> None:
    app = getattr(shared_api.server, application)
    application = shared_api.http.get(f"/management/v1/application/{app}").json()["application"]
    text = shared_api.download(application_id=app, fields="event_datetime,event_timestamp")
    midnight = 1_794_268_800  # 2026-11-10 in UTC
    for row in rows(text):
        local = int(row["event_timestamp"]) + application["time_zone_offset"] - midnight
        hours, minutes, seconds = map(int, row["event_datetime"][11:].split(":"))
        assert local == hours * 3600 + minutes * 60 + seconds


def test_date_dimension_receive_selects_by_receive_time(start_emulator: StartEmulator) -> None:
    api = start_emulator(rows_per_day=600)
    parameters = {"date_dimension": "receive", "fields": "event_datetime,event_receive_datetime"}
    late = rows(api.download(**parameters))
    assert {row["event_receive_datetime"][:10] for row in late} == {"2026-11-10"}
    assert len({row["event_datetime"][:10] for row in late}) > 1


def test_filters_match_any_field_by_equality(shared_api: ApiClient) -> None:
    found = rows(shared_api.download(event_name="screen_view", os_name="ios", fields="event_name,city"))
    everything = rows(shared_api.download(fields="event_name,os_name"))
    assert len(found) == sum(row == {"event_name": "screen_view", "os_name": "ios"} for row in everything) > 0


def test_limit_caps_the_number_of_rows(shared_api: ApiClient) -> None:
    assert len(rows(shared_api.download(limit=7))) == 7


def test_parts_are_disjoint_and_complete(start_emulator: StartEmulator) -> None:
    api = start_emulator(rows_per_day=600)
    parts = [rows(api.download(parts_count=3, part_number=number, **SMALL)) for number in range(3)]
    assert min(map(len, parts)) > 0
    assert sorted(map(str, chain(*parts))) == sorted(map(str, rows(api.download(**SMALL))))


def test_a_too_large_export_asks_for_more_parts(start_emulator: StartEmulator) -> None:
    api = start_emulator(max_rows_per_file=250, rows_per_day=600)
    response = api.poll(**SMALL)
    assert response.status_code == 400
    assert response.text.count("Try to use more parts.") == 2
    assert api.poll(parts_count=2, part_number=0, **SMALL).status_code == 400
    assert {api.poll(parts_count=8, part_number=number, **SMALL).status_code for number in range(8)} == {200}


@pytest.mark.parametrize("resource", sorted(resources()))
def test_every_resource_has_every_field_and_rows(shared_api: ApiClient, resource: str) -> None:
    info = resources()[resource]
    dates = {} if info.dates else {"date_since": None, "date_until": None}
    wide = {"date_since": "2026-09-01"} if info.dates else {}
    text = shared_api.download(f"{resource}.csv", fields=",".join(info.fields), **(dates | wide))
    found = rows(text)
    assert len(found) > 0
    assert tuple(found[0]) == tuple(info.fields)


def test_custom_profile_attributes_are_fields(shared_api: ApiClient) -> None:
    found = rows(shared_api.download("profiles_v2.csv", fields="profile_id,favourite category,Уровень лояльности"))
    assert all(any(row[name] for row in found) for name in ("favourite category", "Уровень лояльности"))


def test_a_repeated_field_is_a_repeated_column(shared_api: ApiClient) -> None:
    once, twice = (shared_api.download(fields=fields) for fields in ("city,event_name", "city,event_name,city"))
    expected = [[city, name, city] for city, name in csv.reader(io.StringIO(once))]
    assert list(csv.reader(io.StringIO(twice))) == expected


@pytest.mark.parametrize("native", [False, True])
def test_a_repeated_field_is_a_repeated_key(start_emulator: StartEmulator, native: bool) -> None:  # noqa: FBT001
    api = start_emulator(native_json=native)
    fields = "city,event_timestamp"
    once = json.loads(api.poll("events.json", fields=fields).content)["data"]
    text = api.poll("events.json", fields=f"{fields},city").text
    assert json.loads(text, object_pairs_hook=list)[0][1] == [
        [("city", row["city"]), ("event_timestamp", row["event_timestamp"]), ("city", row["city"])] for row in once
    ]
