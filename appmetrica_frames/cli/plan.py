"""The command that tells what a read would fetch, and fetches nothing."""

import shutil
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

from appmetrica_frames.progress.stats import format_bytes
from appmetrica_frames.util.durations import format_duration

from .options import parse_values, pop_client, with_options
from .output import AsJson, format_count, print_json, print_message, print_table
from .wording import to_options

COLUMNS = ("dates", "state", "rows", "size", "age", "reason")
LAST_SECOND = time(23, 59, 59)


def _plan(resource: str, *, as_json: bool, **values: Any) -> None:
    """Show which windows of an export are in the cache, and which a read would fetch."""
    from appmetrica_frames.api.plan import plan_appmetrica

    client, parameters = pop_client(values), parse_values(values)
    rows = plan_appmetrica(resource, client=client, **parameters).rows(named=True)
    if as_json:
        print_json(rows)
        return
    several = len({row["application_id"] for row in rows}) > 1
    width = shutil.get_terminal_size(fallback=(0, 0)).columns or None  # another program gets the whole reason
    print_table(map(format_row, rows), ("application", *COLUMNS) if several else COLUMNS, width=width)
    print_message(_summarize(Counter(row["state"] for row in rows)))


def _summarize(states: Mapping[str, int]) -> str:
    total = sum(states.values())
    fresh = states.get("cached", 0) + states.get("settled", 0)
    summary = f"{fresh:,} of {format_count(total, 'window')} {'is' if total == 1 else 'are'} in the cache"
    if fresh == total:
        return summary
    pending = states.get("pending", 0)
    return f"{summary}; {total - fresh:,} to fetch" + (f", {pending:,} already requested" if pending else "")


def format_row(row: Mapping[str, Any]) -> dict[str, object]:
    return {
        "application": row["application_id"],
        "dates": _format_dates(row["since"], row["until"]),
        "state": row["state"],
        "rows": None if row["rows"] is None else f"{row['rows']:,}",
        "size": None if row["bytes"] is None else format_bytes(row["bytes"]),
        "age": None if row["age"] is None else _format_age(row["age"]),
        "reason": to_options(row["reason"]),
    }


def _format_age(age: timedelta) -> str:
    return format_duration(age.total_seconds())


def _format_dates(since: datetime | None, until: datetime | None) -> str:
    """Format a window's dates, with times of day only where it is not made of whole days."""
    if since is None or until is None:
        return ""
    is_one_day = since.date() == until.date()
    if (since.time(), until.time()) != (time(), LAST_SECOND):
        return f"{since} .. {until.time() if is_one_day else until}"
    return str(since.date()) if is_one_day else f"{since.date()} .. {until.date()}"


plan = with_options(_plan, as_json=AsJson)
