"""The demonstration: an emulated server, its queue, a download and a frame; then the same read from the cache."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, TypeAlias

from appmetrica_frames.api.read import read_appmetrica
from appmetrica_frames.cache.manage import Cache
from appmetrica_frames.client import Client

from .output import format_count, print_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


Call: TypeAlias = dict[str, Any]
ROWS_PER_DAY = 300_000
PREPARATION = 4.0
DAYS_OF_INSTALLS = 7
INSTALL_FIELDS = ["install_datetime", "publisher_name", "country_iso_code", "os_name", "appmetrica_device_id"]
EVENT_FIELDS = ["event_datetime", "event_name", "os_name", "city", "appmetrica_device_id"]
MAX_ROWS = 6


def run_demo(*, keep: bool = False) -> None:
    """Run the demonstration; with `keep`, its cache stays on disk."""
    from appmetrica_frames.emulator import Emulator

    with (
        _temporary_cache(keep=keep) as directory,
        Emulator(rows_per_day=ROWS_PER_DAY, preparation=PREPARATION) as server,
    ):
        _print(f"An emulated Logs API listens on {server.base_url} and prepares a file in {PREPARATION:g} s.\n")
        client = Client(server.token, base_url=server.base_url, cache_dir=directory, poll=(0.5, 1.0), progress=True)
        installations, events = _build_calls(server.application_id, datetime.now(UTC).date() - timedelta(days=1))
        _print(_format_frame(_read(client, installations)[0]))
        frame, from_server = _read(client, events)
        _print(f"{_format_frame(frame)}Its schema:\n{_format_schema(frame)}")
        _print("The same call again:")
        requests_before = len(server.exchanges)
        again, from_cache = _read(client, events)
        more = len(server.exchanges) - requests_before
        same = "the same frame" if again.equals(frame) else "another frame"
        _print(f"\nFrom the server  {from_server:6.2f} s\nFrom the cache   {from_cache:6.2f} s")
        _print(f"{same.capitalize()}, {format_count(more, 'request')} to the server.\n")
    _print(_format_end(keep=keep))


def _build_calls(application_id: int, day: date) -> tuple[Call, Call]:
    week_ago = day - timedelta(days=DAYS_OF_INSTALLS - 1)
    return (
        _build_call("installations", application_id, week_ago, day, INSTALL_FIELDS),
        _build_call("events", application_id, day, day, EVENT_FIELDS),
    )


def _build_call(resource: str, application_id: int, since: date, until: date, fields: list[str]) -> Call:
    dates = {"date_since": str(since), "date_until": str(until)}
    return {"resource": resource, "application_id": application_id, **dates, "fields": fields}


@contextmanager
def _temporary_cache(*, keep: bool) -> Iterator[Path]:
    directory = Path(mkdtemp(prefix="appmetrica-frames-demo-"))
    try:
        yield directory
        _print("The Parquet files:\n" + "\n".join(f"  {export.path}" for export in Cache(directory).exports()))
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def _read(client: Client, call: Call) -> tuple[pl.DataFrame, float]:
    _print(_format_call(call))
    began = time.perf_counter()
    frame: pl.DataFrame = read_appmetrica(**call, client=client)
    return frame, time.perf_counter() - began


def _format_frame(frame: pl.DataFrame) -> str:
    import polars as pl

    with pl.Config(tbl_rows=MAX_ROWS, tbl_hide_column_data_types=True):
        return f"{frame}\n"


def _format_call(call: Call) -> str:
    resource, application_id, since, until, fields = map(repr, call.values())
    return (
        f">>> read_appmetrica({resource}, {application_id=!s}, date_since={since}, date_until={until},\n"
        f"...                 {fields=!s})"
    )


def _format_schema(frame: pl.DataFrame) -> str:
    width = max(map(len, frame.columns))
    return "".join(f"  {name:<{width}}  {dtype}\n" for name, dtype in frame.schema.items())


def _format_end(*, keep: bool) -> str:
    outcome = "kept, because of --keep" if keep else "removed now; --keep keeps them"
    return (
        f"({outcome})\nWith your own token in APPMETRICA_TOKEN and without base_url, the same call goes to AppMetrica."
    )


def _print(text: str) -> None:
    print_text(text)
    sys.stdout.flush()
