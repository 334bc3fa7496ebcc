"""What stands in the files and around them: formats, filters, parts, refusals, management."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import threading
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.emulator.command import format_greeting
from appmetrica_frames.schema.catalog import resources

if TYPE_CHECKING:
    from conftest import Asker, Emulate

SMALL = {"fields": "event_name,event_timestamp,appmetrica_device_id"}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_columns_come_in_the_order_asked(shared: Asker) -> None:
    assert shared.file(fields="os_name,city,event_name").partition("\n")[0] == "os_name,city,event_name"


def test_nothing_ends_the_last_row_and_lines_end_in_lf(shared: Asker) -> None:
    text = shared.file()
    assert not text.endswith("\n")
    assert "\r" not in text


def test_an_export_without_rows_is_its_header_line(shared: Asker) -> None:
    assert shared.file(event_name="nothing of that name") == "event_name,event_datetime\n"


def test_only_what_needs_quotes_is_quoted_and_nothing_is_missing(shared: Asker) -> None:
    text = shared.file(fields="event_name,event_json,windows_aid")
    assert '""' in text
    assert '"app_open"' not in text
    assert all(row["windows_aid"] == "" for row in rows(text))
    assert all(line.endswith(",") for line in text.splitlines()[1:])


def test_a_byte_order_mark_comes_on_demand(shared: Asker) -> None:
    assert not shared.file().startswith("\ufeff")
    assert shared.poll(use_utf8_bom="true").content.startswith(b"\xef\xbb\xbfevent_name,")


def test_json_holds_the_same_rows_as_text(shared: Asker) -> None:
    fields = "event_name,event_json,appmetrica_device_id,google_aid,event_datetime"
    answer = shared.poll("events.json", fields=fields)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"data": rows(shared.file(fields=fields))}


def test_json_without_rows(shared: Asker) -> None:
    assert shared.poll("events.json", event_name="none").json() == {"data": []}


def test_native_json_has_numbers_booleans_and_null(emulate: Emulate) -> None:
    ask = emulate(native_json=True)
    installs = ask.poll("installations.json", fields="appmetrica_device_id,is_reinstallation,windows_aid,city").json()
    first = installs["data"][0]
    assert [type(value) for value in first.values()] == [int, bool, type(None), str]


def test_both_ends_of_the_range_are_included_to_the_second(shared: Asker) -> None:
    bounds = {"date_since": "2026-11-10 12:00:00", "date_until": "2026-11-10 15:59:59"}
    times = [row["event_datetime"] for row in rows(shared.file(**bounds))]
    exact = {"date_since": min(times), "date_until": max(times)}
    assert bounds["date_since"] <= min(times) < max(times) <= bounds["date_until"]
    assert sorted(row["event_datetime"] for row in rows(shared.file(**exact))) == sorted(times)


def test_a_bare_day_is_all_of_the_day(shared: Asker) -> None:
    whole = {"date_since": "2026-11-10 00:00:00", "date_until": "2026-11-10 23:59:59"}
    assert sorted(shared.file(**whole).splitlines()) == sorted(shared.file().splitlines())


@pytest.mark.parametrize("application", ["application_id", "other_application_id"])
def test_datetimes_are_in_the_applications_time_zone(shared: Asker, application: str) -> None:
    app = getattr(shared.server, application)
    described = shared.http.get(f"/management/v1/application/{app}").json()["application"]
    text = shared.file(application_id=app, fields="event_datetime,event_timestamp")
    midnight = 1_794_268_800  # 2026-11-10 in UTC
    for row in rows(text):
        local = int(row["event_timestamp"]) + described["time_zone_offset"] - midnight
        hours, minutes, seconds = map(int, row["event_datetime"][11:].split(":"))
        assert local == hours * 3600 + minutes * 60 + seconds


def test_by_receipt_the_days_are_those_of_the_server(emulate: Emulate) -> None:
    ask = emulate(rows_per_day=600)
    asked = {"date_dimension": "receive", "fields": "event_datetime,event_receive_datetime"}
    late = rows(ask.file(**asked))
    assert {row["event_receive_datetime"][:10] for row in late} == {"2026-11-10"}
    assert len({row["event_datetime"][:10] for row in late}) > 1


def test_filters_are_equalities_on_any_field(shared: Asker) -> None:
    found = rows(shared.file(event_name="screen_view", os_name="ios", fields="event_name,city"))
    everything = rows(shared.file(fields="event_name,os_name"))
    assert len(found) == sum(row == {"event_name": "screen_view", "os_name": "ios"} for row in everything) > 0


def test_limit_caps_the_rows(shared: Asker) -> None:
    assert len(rows(shared.file(limit=7))) == 7


def test_parts_are_disjoint_and_complete(emulate: Emulate) -> None:
    ask = emulate(rows_per_day=600)
    parts = [rows(ask.file(parts_count=3, part_number=number, **SMALL)) for number in range(3)]
    assert min(map(len, parts)) > 0
    assert sorted(map(str, chain(*parts))) == sorted(map(str, rows(ask.file(**SMALL))))


def test_parts_fit_together_however_late_each_is_asked_for(emulate: Emulate) -> None:
    ask = emulate(rows_per_day=600)
    today = SMALL | {"date_since": "2026-11-18", "date_until": "2026-11-18"}
    whole = rows(ask.file(**today))
    parts = []
    for number in range(3):
        parts += rows(ask.file(parts_count=3, part_number=number, **today))
        ask.server.clock.advance(7200)
    assert sorted(map(str, parts)) == sorted(map(str, whole))


def test_a_new_part_renews_the_others(emulate: Emulate) -> None:
    ask = emulate()
    for number in range(2):
        ask.file(parts_count=2, part_number=number, **SMALL)
    assert ask.get(headers={"Cache-Control": "no-cache"}, parts_count=2, part_number=0, **SMALL).status_code == 202
    ask.file(parts_count=2, part_number=0, **SMALL)
    assert ask.get(parts_count=2, part_number=1, **SMALL).status_code == 202


def test_too_large_an_export_asks_for_more_parts(emulate: Emulate) -> None:
    ask = emulate(max_rows_per_file=250, rows_per_day=600)
    answer = ask.poll(**SMALL)
    assert answer.status_code == 400
    assert answer.text.count("Try to use more parts.") == 2
    assert ask.poll(parts_count=2, part_number=0, **SMALL).status_code == 400
    assert {ask.poll(parts_count=8, part_number=number, **SMALL).status_code for number in range(8)} == {200}


@pytest.mark.parametrize("resource", sorted(resources()))
def test_every_resource_has_every_field_and_rows(shared: Asker, resource: str) -> None:
    known = resources()[resource]
    dates = {} if known.dates else {"date_since": None, "date_until": None}
    wide = {"date_since": "2026-09-01"} if known.dates else {}
    text = shared.file(f"{resource}.csv", fields=",".join(known.fields), **(dates | wide))
    found = rows(text)
    assert len(found) > 0
    assert tuple(found[0]) == tuple(known.fields)


def test_custom_profile_attributes_are_fields(shared: Asker) -> None:
    found = rows(shared.file("profiles_v2.csv", fields="profile_id,favourite category,Уровень лояльности"))
    assert all(any(row[name] for row in found) for name in ("favourite category", "Уровень лояльности"))


def test_answers_override_what_a_build_yields(ask: Asker) -> None:
    ask.server.answers["events"] = b"event_name\nonly me"
    assert ask.file() == "event_name\nonly me"


@pytest.mark.parametrize(
    ("words", "said"),
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
def test_a_bad_parameter_is_400_with_its_name(shared: Asker, words: dict[str, Any], said: str) -> None:
    answer = shared.get(**words)
    assert answer.status_code == 400
    assert said in answer.json()["message"]


@pytest.mark.parametrize("export", ["cohorts.csv", "events.parts", "events"])
def test_an_unknown_resource_is_404(shared: Asker, export: str) -> None:
    answer = shared.get(export)
    assert (answer.status_code, answer.json()["errors"][0]["error_type"]) == (404, "not_found")


def test_a_refused_request_takes_no_place_in_the_queue(slow: Asker) -> None:
    slow.get(fields="colour")
    assert slow.jobs() == []


def test_strangers_names_are_refused(shared: Asker) -> None:
    assert shared.get(headers={"Host": "example.com"}).status_code == 400


def test_management_knows_two_applications(shared: Asker) -> None:
    listed = shared.http.get("/management/v1/applications").json()["applications"]
    assert [app["id"] for app in listed] == [shared.server.application_id, shared.server.other_application_id]
    assert len({app["time_zone_name"] for app in listed}) == 2
    assert shared.http.get("/management/v1/application/3333").status_code == 403


def test_availability_can_be_set(ask: Asker) -> None:
    status = "/management/v1/logsapi/status"
    assert ask.http.get(status).json() == {"logs_api_availability_status": "enabled"}
    ask.server.logs_api_enabled = False
    assert ask.http.get(status).json() == {"logs_api_availability_status": "disabled"}


def test_active_queries_are_described(slow: Asker) -> None:
    slow.get("installations.json", fields="city")
    (job,) = slow.jobs()
    assert job["create_time"] == "2026-11-18 18:06:40"
    assert (job["entity"], job["output_format"], job["status"]) == (1, 1, 0)
    assert "fields=city" in str(job["query"])
    assert str(job["request_id"]).isdigit()


def test_exchanges_are_recorded(ask: Asker) -> None:
    ask.get(headers={"Cache-Control": "no-cache"})
    ask.poll()
    first, *_, last = ask.server.exchanges
    assert (first.number, first.method, first.path) == (1, "GET", "/logs/v1/export/events.csv")
    assert ("date_since", "2026-11-10") in first.query
    assert first.headers["cache-control"] == "no-cache"
    assert (first.status, first.text, last.status, last.text) == (202, "Wait for result", 200, "")
    assert ask.server.downloads == 1


def test_stopping_leaves_no_thread_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emulate: Emulate
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = threading.active_count()
    ask = emulate(rows_per_day=4_000)
    big = ask.file(fields=",".join(resources()["events"].fields), date_since="2026-10-20")
    assert len(big) > 30 << 20
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".gz"]
    ask.http.close()
    ask.server.stop()
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


def test_stopping_does_not_wait_for_a_build(emulate: Emulate) -> None:
    ask = emulate(rows_per_day=200_000)
    ask.get(date_since="2025-01-01")
    ask.server.stop()
    assert ask.server.preparations == 0


def test_a_taken_port_is_an_error_that_leaves_nothing_open(shared: Asker) -> None:
    port = int(shared.server.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Emulator(port=port).start()


def test_the_clock_runs_unless_it_was_given_a_start() -> None:
    frozen, running = MovableClock(start=5.0), MovableClock()
    frozen.advance(2)
    assert (frozen.now(), frozen.now()) == (7.0, 7.0)
    before = running.now()
    running.advance(100)
    assert running.now() >= before + 100


def test_the_greeting_shows_how_to_ask(shared: Asker) -> None:
    text = format_greeting(shared.server)
    assert shared.server.base_url in text
    assert "curl" in text


def test_bodies_are_valid_json_however_awkward_the_text(shared: Asker) -> None:
    errors = json.loads(shared.poll("errors.json", fields="error,error_json", date_since="2026-09-01").content)["data"]
    assert any("\n" in row["error"] for row in errors)
    assert any(row["error"].endswith("},{") or "},{" in row["error"] for row in errors)
    assert all(Path(row["error_json"]) for row in errors)
