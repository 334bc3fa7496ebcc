"""The two dates of a request: many spellings in, the server's own spelling out."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, TypeAlias

from appmetrica_frames.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

Moment: TypeAlias = str | date | datetime
"""``yyyy-mm-dd``, an ISO text with a time of day, a `datetime.date` or a `datetime.datetime`."""

LAST_SECOND = time(23, 59, 59)


def parse_date_range(
    since: Moment | None, until: Moment | None, *, resource: str, zone: Callable[[], tzinfo]
) -> tuple[str, str]:
    """Return both ends as ``yyyy-mm-dd hh:mm:ss``, each included.

    A day without a time of day means its first second as ``date_since`` and its last as ``date_until``. Moments with a
    time zone are converted to the application's own, which `zone` looks up. Fractions of a second are dropped, because
    the server has none.
    """
    if since is None or until is None:
        missing = " and ".join(name for name, end in (("date_since", since), ("date_until", until)) if end is None)
        raise InvalidRequestError(f"{resource} needs {missing}, for example date_since='2024-07-01'.")
    first = _parse_moment(since, time.min, name="date_since")
    last = _parse_moment(until, LAST_SECOND, name="date_until")
    if (first.tzinfo is None) != (last.tzinfo is None):
        raise InvalidRequestError(
            f"date_since {since!r} and date_until {until!r} mix a time with a zone and one without: "
            "give both with a zone, or both without (they then mean the application's own time zone)."
        )
    if first > last:
        raise InvalidRequestError(f"date_since {since!r} lies after date_until {until!r}: swap them.")
    if first.tzinfo is not None:
        first, last = first.astimezone(zone()), last.astimezone(zone())
    return _format(first), _format(last)


def refuse_dates(since: Moment | None, until: Moment | None, *, resource: str) -> None:
    """Refuse dates for a resource that exports its whole current set."""
    if since is not None or until is not None:
        raise InvalidRequestError(f"{resource} takes no dates: it exports the whole current set. Drop them.")


def _parse_moment(value: Moment, time_of_day: time, *, name: str) -> datetime:
    if isinstance(value, str):
        value = _parse_text(value.strip(), name=name)
    if isinstance(value, datetime):
        return value.replace(microsecond=0)
    if isinstance(value, date):
        return datetime.combine(value, time_of_day)
    raise InvalidRequestError(f"{name} takes a string, a date or a datetime, not {value!r}.")


def _parse_text(text: str, *, name: str) -> date | datetime:
    try:
        return date.fromisoformat(text) if len(text) == len("yyyy-mm-dd") else datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError(
            f"{name} {text!r} is not a valid date: write it like '2024-07-29' or '2024-07-29 23:37:01'."
        ) from None


def _format(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(sep=" ")
