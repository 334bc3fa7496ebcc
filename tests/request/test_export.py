"""A request: what is refused before anything is sent, what goes over the wire, and its key."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest

import appmetrica_frames
from appmetrica_frames import InvalidRequestError
from appmetrica_frames.request import export as request
from appmetrica_frames.schema import catalog

if TYPE_CHECKING:
    from appmetrica_frames.request.export import ExportRequest

ORIGIN = "https://api.appmetrica.yandex.com"


def build_request(resource: str, **words: Any) -> ExportRequest:
    return request.build_request(resource, now=0.0, zone=lambda _: ZoneInfo("Europe/Moscow"), **words)


def events(**words: Any) -> ExportRequest:
    return build_request(
        "events", **{"application_id": 1, "date_since": "2024-07-01", "date_until": "2024-07-02", **words}
    )


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ({"application_id": "a1b2"}, "not its SDK or API key"),
        ({"application_id": 0}, "not its SDK"),
        ({"application_id": True}, "not its SDK"),
        ({"date_since": None}, "needs date_since"),
        ({"date_until": None}, "needs date_until"),
        ({"date_since": None, "date_until": None}, "date_since and date_until"),
        ({"date_since": "2024-07-03"}, "lies after"),
        ({"date_since": "01.07.2024"}, "write it like '2024-07-29'"),
        ({"date_since": "2024-02-30"}, "is not a valid date"),
        ({"date_since": 20240701}, "takes a string, a date or a datetime"),
        ({"date_since": datetime(2024, 7, 1, tzinfo=UTC)}, "mix a time with a zone and one without"),
        ({"date_until": "2024-07-02T00:00:00Z"}, "mix a time with a zone and one without"),
        ({"fields": []}, "fields is empty"),
        ({"fields": "event_name"}, r"fields=\['event_name'\]"),
        ({"fields": ["event_nmae"]}, "Did you mean 'event_name'"),
        ({"fields": ["event_name", "event_name"]}, "more than once"),
        ({"fields": [""]}, "a text without commas"),
        ({"fields": ["a,b"]}, "without commas"),
        ({"fields": [1]}, "a text without commas"),
        ({"filters": {"event_nmae": "x"}}, "Did you mean 'event_name'"),
        ({"filters": {"event_name": ["a", "b"]}}, "one value only"),
        ({"filters": {"event_name": None}}, "one value only"),
        ({"filters": {"event_name": ""}}, "one value only"),
        ({"filters": ["country_iso_code=RU"]}, "takes a dict"),
        ({"filters": {"limit": "3"}}, "parameter of the request"),
        ({"date_dimension": "device"}, "date_dimension is one of"),
        ({"limit": 0}, "limit takes"),
        ({"limit": True}, "limit takes"),
        ({"limit": 1.5}, "limit takes"),
        ({"skip_unavailable_shards": "false"}, "True or False"),
        ({"schema_overrides": {"event_name": "no_such_type"}}, "schema_overrides"),
        ({"schema_overrides": {"event_name": pa.list_(pa.string())}}, "cannot be read as"),
        ({"fields": ["event_name"], "schema_overrides": {"mcc": "string"}}, "not among the requested fields"),
    ],
)
def test_what_cannot_be_asked_is_said_with_what_to_do(words: dict[str, Any], hint: str) -> None:
    with pytest.raises(InvalidRequestError, match=hint):
        events(**words)


@pytest.mark.parametrize(
    ("resource", "words", "hint"),
    [
        ("event", {}, "Did you mean 'events'"),
        ("cohorts", {}, "The resources are: clicks"),
        ("push_tokens", {"date_since": "2024-07-01"}, "takes no dates"),
        ("profiles_v2", {"fields": ["Любимый цвет"]}, "custom profile attribute"),
        ("clicks", {"date_until": "2024-07-01", "fields": ["profile_id"]}, "older documentation"),
        ("installations", {"date_until": "2024-07-01", "fields": ["android_ids"]}, "Did you mean 'android_id'"),
    ],
)
def test_resources_differ_in_what_they_take(resource: str, words: dict[str, Any], hint: str) -> None:
    with pytest.raises(InvalidRequestError, match=hint):
        build_request(resource, application_id=1, **{"date_since": None, **words})


@pytest.mark.parametrize("resource", ["events", "installations"])
def test_fields_that_only_real_exports_have_are_requested_where_they_are_named(resource: str) -> None:
    dates: dict[str, Any] = {"date_since": "2024-07-01", "date_until": "2024-07-01"}
    named = build_request(resource, application_id=1, fields=["android_id"], filters={"android_id": "a"}, **dates)
    assert named.fields == ("android_id",)
    assert ("android_id", "a") in named.params
    assert "android_id" not in build_request(resource, application_id=1, **dates).fields
    (row,) = appmetrica_frames.list_fields(resource).filter(field="android_id").rows(named=True)
    assert (row["default"], row["legacy"], row["dtype"]) == (False, False, "String")


@pytest.mark.parametrize("resource", ["push_tokens", "profiles", "postbacks", "events"])
def test_every_resource_takes_date_dimension(resource: str) -> None:
    dates: dict[str, Any] = (
        {} if resource in {"push_tokens", "profiles"} else {"date_since": "2024-07-01", "date_until": "2024-07-01"}
    )
    request = build_request(resource, application_id=1, date_dimension="receive", **dates)
    assert ("date_dimension", "receive") in request.params


@pytest.mark.filterwarnings("ignore::appmetrica_frames.DateWarning")
@pytest.mark.parametrize(
    ("since", "until", "wire"),
    [
        ("2024-07-01", "2024-07-01", ("2024-07-01 00:00:00", "2024-07-01 23:59:59")),
        (date(2024, 7, 1), date(2024, 7, 2), ("2024-07-01 00:00:00", "2024-07-02 23:59:59")),
        (datetime(2024, 7, 1, 5), datetime(2024, 7, 1, 6), ("2024-07-01 05:00:00", "2024-07-01 06:00:00")),  # noqa: DTZ001
        ("2024-07-01 05:00", "2024-07-01T06:07:08", ("2024-07-01 05:00:00", "2024-07-01 06:07:08")),
        ("2024-07-01 05:00:00.7", "2024-07-01T06:07:08.9", ("2024-07-01 05:00:00", "2024-07-01 06:07:08")),
        ("2024-07-01T00:00:00Z", "2024-07-01T23:30+00:00", ("2024-07-01 03:00:00", "2024-07-02 02:30:00")),
        (
            datetime(2024, 7, 1, tzinfo=ZoneInfo("Asia/Tokyo")),
            datetime(2024, 7, 1, tzinfo=UTC),
            ("2024-06-30 18:00:00", "2024-07-01 03:00:00"),
        ),
        ("2024-07-01", datetime(2024, 7, 1), ("2024-07-01 00:00:00", "2024-07-01 00:00:00")),  # noqa: DTZ001
    ],
)
def test_dates_have_one_spelling_on_the_wire(since: Any, until: Any, wire: tuple[str, str]) -> None:
    params = dict(events(date_since=since, date_until=until).params)
    assert (params["date_since"], params["date_until"]) == wire


@pytest.mark.parametrize(
    ("since", "until", "period"),
    [
        ("2024-07-01", "2024-07-01", "2024-07-01"),
        ("2024-07-01", "2024-07-07", "2024-07-01 to 2024-07-07"),
        ("2024-07-01 00:00:00.0", "2024-07-07 23:59:59.9", "2024-07-01 to 2024-07-07"),
        ("2024-07-01", "2024-07-07 12:30", "2024-07-01 00:00:00 to 2024-07-07 12:30:00"),
        ("2024-07-01 06:00:00.5", "2024-07-07", "2024-07-01 06:00:00 to 2024-07-07 23:59:59"),
        ("2024-07-01 06:00", "2024-07-01 06:59:59.9", "2024-07-01 06:00:00 to 06:59:59"),
    ],
)
def test_a_title_tells_resource_application_and_dates(since: str, until: str, period: str) -> None:
    request = events(application_id=1111, date_since=since, date_until=until)
    assert (request.title, request.period) == (f"events of 1111, {period}", period)


def test_a_title_has_no_dates_where_the_resource_has_none() -> None:
    request = build_request("push_tokens", application_id=1111)
    assert (request.title, request.period) == ("push_tokens of 1111", "")


def test_every_documented_field_is_asked_for_by_default() -> None:
    asked = events()
    assert asked.fields == tuple(catalog.resource("events").fields)
    assert asked.wire_fields == tuple(sorted(asked.fields))


def test_fields_the_catalogue_does_not_know_are_vouched_for_with_a_type() -> None:
    asked = build_request(
        "profiles_v2",
        application_id=1,
        date_since="2024-07-01",
        date_until="2024-07-01",
        fields=["profile_id", "Любимый цвет"],
        schema_overrides={"Любимый цвет": pl.String},
    )
    assert asked.fields == ("profile_id", "Любимый цвет")


def test_one_field_alone_is_never_asked_for() -> None:
    """In a file of one column, a row without a value is an empty line, and the last one cannot be told from none."""
    for resource in catalog.resources().values():
        for name in resource.fields:
            dates = {"date_since": "2024-07-01", "date_until": "2024-07-01"} if resource.dates else {}
            asked = build_request(resource.name, application_id=1, fields=[name], **dates)
            assert len(asked.wire_fields) == 2
            assert name in asked.wire_fields
            assert asked.fields == (name,)


def test_wire_form() -> None:
    asked = events(
        fields=["event_name", "mcc"], filters={"event_name": "покупка"}, limit=10, skip_unavailable_shards=True
    )
    assert asked.path == "/logs/v1/export/events.csv"
    assert asked.query() == (
        ("application_id", "1"),
        ("date_dimension", "default"),
        ("date_since", "2024-07-01 00:00:00"),
        ("date_until", "2024-07-02 23:59:59"),
        ("event_name", "покупка"),
        ("limit", "10"),
        ("skip_unavailable_shards", "true"),
        ("fields", "event_name,mcc"),
    )


SAME = [
    {"application_id": "1"},
    {"date_since": date(2024, 7, 1)},
    {"date_since": "2024-07-01 00:00:00"},
    {"date_until": "2024-07-02T23:59:59"},
    {"fields": list(reversed(catalog.resource("events").fields))},
    {"filters": {}},
    {"schema_overrides": {}},
    {"date_dimension": "default"},
]
OTHER = [
    {"application_id": 2},
    {"date_since": "2024-07-01 00:00:01"},
    {"date_until": "2024-07-03"},
    {"fields": ["event_name", "mcc"]},
    {"filters": {"event_name": "x"}},
    {"filters": {"event_name": "y"}},
    {"filters": {"mcc": "x"}},
    {"date_dimension": "receive"},
    {"limit": 1},
    {"skip_unavailable_shards": True},
    {"schema_overrides": {"event_name": "large_string", "mcc": "int32"}},
    {"schema_overrides": {"mcc": "int16"}},
]


@pytest.mark.parametrize("words", SAME, ids=str)
def test_the_same_request_has_the_same_key(words: dict[str, Any]) -> None:
    assert events(**words).key(ORIGIN) == events().key(ORIGIN)


def test_any_change_of_meaning_is_another_key() -> None:
    keys = [events(**words).key(ORIGIN) for words in [{}, *OTHER]]
    keys += [events().key("http://127.0.0.1:1"), build_request("push_tokens", application_id=1).key(ORIGIN)]
    assert len(set(keys)) == len(keys)


def test_a_request_key_does_not_depend_on_the_fields() -> None:
    assert events(fields=["mcc"]).request_key(ORIGIN) == events().request_key(ORIGIN)
    assert all(
        events(**words).request_key(ORIGIN) != events().request_key(ORIGIN) for words in OTHER if "fields" not in words
    )


def test_polars_and_arrow_types_that_mean_the_same_are_the_same_request() -> None:
    spelled = [pl.String, pl.String(), pa.string(), pa.large_string(), "string"]
    keys = {events(fields=["mcc", "mnc"], schema_overrides={"mcc": type_}).key(ORIGIN) for type_ in spelled}
    assert len(keys) == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"application_id": "9" * 5000},
        {"application_id": 10**5000},
        {"application_id": -(10**5000)},
        {"limit": 10**5000},
        {"limit": -(10**5000)},
        {"filters": {"session_id": 10**5000}},
    ],
)
def test_a_number_of_thousands_of_digits_is_rejected_in_a_short_message(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        appmetrica_frames.read_appmetrica(
            "events", **{"application_id": 1111, "date_since": "2024-07-01", "date_until": "2024-07-01"} | parameters
        )
    assert len(str(raised.value)) < 500
