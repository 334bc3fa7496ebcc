"""Keys of the cache: the same request has the same key however it is written, and every other has another.

The golden file holds keys of this version. A change of it loses every cached export of every user: then raise
`KEY_VERSION`, and say so in the changelog.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appmetrica_frames.request.export import build_request
from appmetrica_frames.schema import catalog

# Random moments are midnight now and then.
pytestmark = pytest.mark.filterwarnings("ignore::appmetrica_frames.DateWarning")

ORIGIN = "https://api.appmetrica.yandex.com"
GOLDEN = Path(__file__).parent / "golden_keys.json"
FIELDS = list(catalog.resource("events").fields)

Meaning = dict[str, Any]

moments = st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2035, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
meanings = st.fixed_dictionaries(
    {
        "application_id": st.integers(1, 10**9),
        "dates": st.tuples(moments, moments).map(sorted),
        "fields": st.frozensets(st.sampled_from(FIELDS), min_size=2),
        "filters": st.dictionaries(st.sampled_from(["event_name", "city", "os_name"]), values, max_size=3),
        "date_dimension": st.sampled_from(["default", "receive"]),
        "limit": st.none() | st.integers(1, 10**9),
        "skip_unavailable_shards": st.booleans(),
        "wire_format": st.sampled_from(["csv", "json"]),
    }
)


def key(meaning: Meaning, **spelling: Any) -> str:
    since, until = meaning["dates"]
    words = {
        **{name: value for name, value in meaning.items() if name != "dates"},
        "date_since": since,
        "date_until": until,
        **spelling,
    }
    return build_request("events", now=0.0, zone=lambda _: UTC, **words).key(ORIGIN)


def spelled(moment: datetime) -> st.SearchStrategy[Any]:
    ways: list[Any] = [
        moment,
        moment.isoformat(),
        str(moment),
        moment + timedelta(microseconds=7),
        moment.replace(tzinfo=UTC),  # the application of this test lives in UTC
        f"{moment.isoformat()}+00:00",
    ]
    return st.sampled_from(ways)


@given(meaning=meanings, choose=st.data())
def test_the_same_request_has_the_same_key_however_it_is_spelled(meaning: Meaning, choose: st.DataObject) -> None:
    since, until = meaning["dates"]
    aware = choose.draw(st.booleans())
    first, last = (choose.draw(spelled(end).filter(lambda said: aware == _has_zone(said))) for end in (since, until))
    other = {
        "application_id": str(meaning["application_id"]),
        "fields": choose.draw(st.permutations(sorted(meaning["fields"]))),
        "filters": dict(choose.draw(st.permutations(list(meaning["filters"].items())))),
        "date_since": first,
        "date_until": last,
    }
    assert key(meaning, **other) == key(meaning)


def _has_zone(said: Any) -> bool:
    return said.tzinfo is not None if isinstance(said, datetime) else said.endswith("+00:00")


@given(one=meanings, other=meanings)
def test_another_meaning_has_another_key(one: Meaning, other: Meaning) -> None:
    assert (key(one) == key(other)) == (one == other)


@given(meaning=meanings, change=st.data())
def test_every_single_change_is_another_key(meaning: Meaning, change: st.DataObject) -> None:
    name = change.draw(st.sampled_from(sorted(meaning)))
    other = change.draw(meanings.map(lambda drawn: drawn[name]).filter(lambda value: value != meaning[name]))
    assert key({**meaning, name: other}) != key(meaning)


@given(day=st.dates(date(2015, 1, 1), date(2035, 1, 1)))
def test_a_day_is_from_its_first_to_its_last_second(day: date) -> None:
    first = datetime.combine(day, datetime.min.time())
    whole = {"application_id": 1, "dates": [first, first + timedelta(hours=23, minutes=59, seconds=59)], "fields": None}
    assert (
        key(whole) == key(whole, date_since=day, date_until=day) == key(whole, date_since=str(day), date_until=str(day))
    )


GOLDEN_REQUESTS: dict[str, Meaning] = {
    "all fields of a day": {"resource": "events", "date_since": "2024-07-01", "date_until": "2024-07-01"},
    "every word": {
        "resource": "events",
        "date_since": "2024-07-01 05:00:00",
        "date_until": "2024-07-02",
        "fields": ["event_name", "mcc", "city"],
        "filters": {"event_name": "покупка, «да»", "os_name": "ios"},
        "date_dimension": "receive",
        "limit": 10,
        "skip_unavailable_shards": True,
        "wire_format": "json",
        "schema_overrides": {"mcc": pa.int16(), "city": "string"},
    },
    "no dates": {"resource": "push_tokens"},
    "one field": {"resource": "push_tokens", "fields": ["token"]},
    "custom attribute": {
        "resource": "profiles",
        "fields": ["profile_id", "Любимый цвет"],
        "schema_overrides": {"Любимый цвет": "string"},
    },
}


@pytest.mark.parametrize("name", GOLDEN_REQUESTS)
def test_keys_stay_as_they_are(name: str) -> None:
    words = dict(GOLDEN_REQUESTS[name])
    request = build_request(words.pop("resource"), application_id=1111, now=0.0, zone=lambda _: UTC, **words)
    assert {"request": request.request_key(ORIGIN), "fields": request.fields_key()} == json.loads(GOLDEN.read_text())[
        name
    ]
