"""The command that tells what a read would fetch, and fetches nothing."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .options import parse_values, pop_client, with_options
from .output import AsJson, format_amounts, format_count, format_dates, print_json, print_message, print_table
from .wording import to_options

COLUMNS = ("dates", "state", "rows", "size", "age", "reason")


def _plan(resource: str, *, as_json: bool, **values: Any) -> None:
    """Show which windows of an export are in the cache, and which a read would fetch."""
    from appmetrica_frames.api.plan import plan_appmetrica

    client, parameters = pop_client(values), parse_values(values)
    rows = plan_appmetrica(resource, client=client, **parameters).rows(named=True)
    if as_json:
        print_json(rows)
        return
    several = len({row["application_id"] for row in rows}) > 1
    print_table(map(format_row, rows), ("application", *COLUMNS) if several else COLUMNS, cut=True)
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
        "dates": format_dates(row["since"], row["until"]),
        "state": row["state"],
        **format_amounts(row),
        "reason": to_options(row["reason"]),
    }


plan = with_options(_plan, as_json=AsJson)
