"""An export on its whole way: an emulated server, its queue, a download, a frame; then a read without all that."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, TypeAlias

from appmetrica_frames.api import read_appmetrica
from appmetrica_frames.cache.manage import Cache
from appmetrica_frames.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


Call: TypeAlias = dict[str, Any]
ROWS_PER_DAY = 300_000
PREPARATION = 4.0
DAYS_OF_INSTALLS = 7
INSTALL_FIELDS = ["install_datetime", "publisher_name", "country_iso_code", "os_name", "appmetrica_device_id"]
EVENT_FIELDS = ["event_datetime", "event_name", "os_name", "city", "appmetrica_device_id"]
ROWS_SHOWN = 6


def show(*, keep: bool = False) -> None:
    """Run the demonstration; `keep` leaves its store on the disk."""
    from appmetrica_frames.emulator import Emulator

    with _store(keep=keep) as directory, Emulator(rows_per_day=ROWS_PER_DAY, preparation=PREPARATION) as server:
        _say(f"An emulated Logs API listens on {server.base_url}; preparing a file takes it {PREPARATION:g} s.\n")
        client = Client(server.token, base_url=server.base_url, cache_dir=directory, poll=(0.5, 1.0), progress=True)
        installations, events = _calls(server.application_id, datetime.now(UTC).date() - timedelta(days=1))
        _say(_shown(_read(client, installations)[0]))
        frame, from_server = _read(client, events)
        _say(f"{_shown(frame)}Its schema:\n{_schema(frame)}")
        _say("The same call again:")
        asked = len(server.exchanges)
        again, from_store = _read(client, events)
        more = len(server.exchanges) - asked
        same = "the same frame" if again.equals(frame) else "another frame"
        _say(f"\nFrom the server  {from_server:6.2f} s\nFrom the store   {from_store:6.2f} s")
        _say(f"{same.capitalize()}, {more} requests to the server.\n")
    _say(_farewell(keep=keep))


def _calls(application_id: int, day: date) -> tuple[Call, Call]:
    week_ago = day - timedelta(days=DAYS_OF_INSTALLS - 1)
    return (
        _call("installations", application_id, week_ago, day, INSTALL_FIELDS),
        _call("events", application_id, day, day, EVENT_FIELDS),
    )


def _call(resource: str, application_id: int, since: date, until: date, fields: list[str]) -> Call:
    dates = {"date_since": str(since), "date_until": str(until)}
    return {"resource": resource, "application_id": application_id, **dates, "fields": fields}


@contextmanager
def _store(*, keep: bool) -> Iterator[Path]:
    directory = Path(mkdtemp(prefix="appmetrica-frames-demo-"))
    try:
        yield directory
        _say("Parquet lies here:\n" + "\n".join(f"  {stored.path}" for stored in Cache(directory).ls()))
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def _read(client: Client, call: Call) -> tuple[pl.DataFrame, float]:
    _say(_spelt(call))
    began = time.perf_counter()
    frame: pl.DataFrame = read_appmetrica(**call, client=client)
    return frame, time.perf_counter() - began


def _shown(frame: pl.DataFrame) -> str:
    import polars as pl

    with pl.Config(tbl_rows=ROWS_SHOWN, tbl_hide_column_data_types=True):
        return f"{frame}\n"


def _spelt(call: Call) -> str:
    resource, application_id, since, until, fields = map(repr, call.values())
    return (
        f">>> read_appmetrica({resource}, {application_id=!s}, date_since={since}, date_until={until},\n"
        f"...                 {fields=!s})"
    )


def _schema(frame: pl.DataFrame) -> str:
    width = max(map(len, frame.columns))
    return "".join(f"  {name:<{width}}  {dtype}\n" for name, dtype in frame.schema.items())


def _farewell(*, keep: bool) -> str:
    fate = "kept, as --keep says" if keep else "removed now; --keep leaves them there"
    return f"({fate})\nWith your own token in APPMETRICA_TOKEN and without base_url, the same call asks AppMetrica."


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
