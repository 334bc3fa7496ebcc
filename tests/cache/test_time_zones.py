"""Remembered time zones: what is saved comes back, and anything but sane content counts as absent."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appmetrica_frames import Cache
from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.cache.time_zones import FILE, MAX_BYTES, KnownZone, TimeZones
from appmetrica_frames.util.durations import DAY

ORIGIN = "https://api.appmetrica.yandex.com"
NOON = 1_722_340_800.0
MOSCOW = KnownZone(ZoneInfo("Europe/Moscow"), NOON)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "cache")


@pytest.fixture
def zones(store: LocalStore) -> TimeZones:
    return store.time_zones(ORIGIN)


@pytest.mark.parametrize(
    "zone",
    [ZoneInfo("America/Sao_Paulo"), timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=12)), UTC],
    ids=str,
)
def test_a_zone_is_remembered_by_name_or_by_offset(zones: TimeZones, zone: tzinfo) -> None:
    zones.save(1, KnownZone(zone, NOON))
    known = zones.load(1)
    assert known is not None
    assert known.asked_at == NOON
    january, july = (datetime(2018, month, 1, tzinfo=UTC) for month in (1, 7))
    assert [str(at.astimezone(known.zone)) for at in (january, july)] == [
        str(at.astimezone(zone)) for at in (january, july)
    ]


def test_servers_and_applications_are_told_apart(store: LocalStore, zones: TimeZones) -> None:
    berlin, tokyo = (KnownZone(ZoneInfo(name), NOON + 1) for name in ("Europe/Berlin", "Asia/Tokyo"))
    zones.save(1, MOSCOW)
    zones.save(2, berlin)
    other = store.time_zones("http://127.0.0.1:1")
    other.save(1, tokyo)
    assert (zones.load(1), zones.load(2), zones.load(3)) == (MOSCOW, berlin, None)
    assert (other.load(1), other.load(2)) == (tokyo, None)


def test_a_zone_is_fresh_for_a_day() -> None:
    ages = {-1.0: False, 0.0: True, DAY: True, DAY + 1: False}
    assert {age: MOSCOW.is_fresh(NOON + age) for age in ages} == ages


def test_only_the_owner_reads_it(store: LocalStore, zones: TimeZones) -> None:
    zones.save(1, MOSCOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [store.directory, *store.directory.rglob("*")]}
    assert modes == {"cache": 0o700, "v2": 0o700, FILE: 0o600}


def test_a_cache_that_cannot_be_written_to_remembers_nothing(store: LocalStore, zones: TimeZones) -> None:
    store.make_folder(store.root / FILE)  # a folder is in the way of the file
    zones.save(1, MOSCOW)
    assert zones.load(1) is None
    assert [path.name for path in store.root.iterdir()] == [FILE]


ENTRY = {"time_zone": "Europe/Moscow", "asked_at": NOON}
GARBAGE: dict[str, Any] = {
    "a folder of zones": {**ENTRY, "time_zone": "Europe"},
    "no zone": {**ENTRY, "time_zone": "Mars/Olympus"},
    "a file": {**ENTRY, "time_zone": "/etc/passwd"},
    "a file above": {**ENTRY, "time_zone": "../../etc/passwd"},
    "nothing": {**ENTRY, "time_zone": ""},
    "null": {**ENTRY, "time_zone": None},
    "a list": {**ENTRY, "time_zone": ["Europe/Moscow"]},
    "a flag": {**ENTRY, "time_zone": True},
    "a fraction": {**ENTRY, "time_zone": 3600.5},
    "another day": {**ENTRY, "time_zone": 86_400},
    "a huge offset": {**ENTRY, "time_zone": 10**400},
    "no instant": {"time_zone": "Europe/Moscow"},
    "the text of an instant": {**ENTRY, "asked_at": str(NOON)},
    "before 1970": {**ENTRY, "asked_at": -1},
    "after 9999": {**ENTRY, "asked_at": 1e12},
    "a huge instant": {**ENTRY, "asked_at": 10**400},
    "no number": {**ENTRY, "asked_at": float("nan")},
    "infinity": {**ENTRY, "asked_at": float("inf")},
    "a text": "Europe/Moscow",
}


@pytest.mark.parametrize("entry", GARBAGE.values(), ids=list(GARBAGE))
def test_anything_but_a_sane_zone_counts_as_absent(entry: Any, store: LocalStore, zones: TimeZones) -> None:
    zones.save(2, MOSCOW)
    path = store.root / FILE
    path.write_text(json.dumps({ORIGIN: {**json.loads(path.read_text())[ORIGIN], "1": entry}}))
    assert (zones.load(1), zones.load(2)) == (None, MOSCOW)
    zones.save(1, MOSCOW)
    assert (zones.load(1), zones.load(2)) == (MOSCOW, MOSCOW)


DAMAGED = {
    "empty": b"",
    "cut": b'{"',
    "a list": b"[]",
    "a number": b"1",
    "no UTF-8": b"\xff",
    "an odd origin": json.dumps({ORIGIN: [1]}).encode(),
    "deep": b"[" * 100_000,
    "deep in a place": b'{"x": ' * 990 + b"1" + b"}" * 990,
    "large": b" " * MAX_BYTES + b"{}",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=list(DAMAGED))
def test_a_damaged_file_counts_as_absent_and_is_replaced(content: bytes, store: LocalStore, zones: TimeZones) -> None:
    zones.save(1, MOSCOW)
    (store.root / FILE).write_bytes(content)
    assert zones.load(1) is None
    zones.save(1, MOSCOW)
    assert zones.load(1) == MOSCOW


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([ORIGIN, "1", "time_zone", "asked_at"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_content_is_a_zone_or_none(content: Any) -> None:
    with TemporaryDirectory() as folder:
        zones = LocalStore(Path(folder)).time_zones(ORIGIN)
        (Path(folder) / "v2").mkdir()
        (Path(folder) / "v2" / FILE).write_text(json.dumps(content))
        assert isinstance(zones.load(1), (KnownZone, type(None)))
        zones.save(1, MOSCOW)
        assert zones.load(1) == MOSCOW


@pytest.fixture
def remembered(store: LocalStore, zones: TimeZones) -> Path:
    zones.save(1, MOSCOW)
    return store.root / FILE


def test_clear_forgets_them(remembered: Path) -> None:
    size = remembered.stat().st_size
    planned, cleared = Cache().clear(dry_run=True), Cache().clear()
    assert planned.leftovers == cleared.leftovers == (remembered,)
    assert planned.size == cleared.size == size
    assert not remembered.exists()


def test_a_dry_run_forgets_nothing(remembered: Path) -> None:
    Cache().clear(dry_run=True)
    assert remembered.exists()


def test_prune_keeps_them_and_removes_what_interrupted_writes_left(remembered: Path) -> None:
    left, foreign = (remembered.with_name(f"{FILE}.{name}.tmp") for name in ("ab" * 16, "mine"))
    for path in (left, foreign):
        path.write_text("{")
    assert Cache().prune(dry_run=True).leftovers == (left,)
    assert Cache().prune().leftovers == (left,)
    assert (remembered.exists(), left.exists(), foreign.exists()) == (True, False, True)
    assert Cache().prune(max_bytes=0).leftovers == ()
    assert remembered.exists()
