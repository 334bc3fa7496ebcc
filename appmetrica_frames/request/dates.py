"""The two dates of a request: many spellings in, the server's own spelling out."""

from __future__ import annotations

import re
import sys
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from appmetrica_frames.errors import DateWarning, InvalidRequestError
from appmetrica_frames.util.caller import warn_caller

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

Moment: TypeAlias = str | date | datetime
"""``yyyy-mm-dd``, that with a time of day, ``today``, ``yesterday``, ``7daysAgo``, a `date`, a `datetime`, a
`numpy.datetime64` or a `pandas.Timestamp`."""

LAST_SECOND = time(23, 59, 59)

# The relative dates of Yandex's Reporting API: https://appmetrica.yandex.com/docs/en/mobile-api/api_v1/data
MAX_DAYS_AGO = 36_525  # a century: more is a slip
_NAMED_DAYS = {"today": 0, "yesterday": 1}
_DAYS_AGO = re.compile(r"(\d{1,5})daysAgo", re.ASCII | re.IGNORECASE)

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_NUMPY_SECONDS = re.compile(r"datetime64\[(\d*)(h|m|s|ms|us|ns)\]")
_ACCEPTED = "write it like '2024-07-29' or '2024-07-29 23:37:01', or as 'today', 'yesterday' or '7daysAgo'"


class _RelativeDay(NamedTuple):
    """A day counted from today, which is not the same day in every time zone."""

    days: int
    time_of_day: time

    def to_moment(self, now: float, zone: tzinfo) -> datetime:
        today = datetime.fromtimestamp(now, zone).date()
        return datetime.combine(today + timedelta(days=self.days), self.time_of_day)


_End: TypeAlias = datetime | _RelativeDay


def parse_date_range(
    since: Moment | None, until: Moment | None, *, resource: str, now: float, zone: Callable[[], tzinfo]
) -> tuple[str, str]:
    """Return both ends as ``yyyy-mm-dd hh:mm:ss``, each included.

    A day without a time of day means its first second as ``date_since`` and its last as ``date_until``; so does a
    pandas Timestamp at midnight, which is how pandas writes a day. Fractions of a second are dropped, because the
    server has none.

    Moments with a time zone are converted to the application's own, and ``today`` is its day at the instant `now` (UNIX
    seconds). `zone` looks that time zone up; it is called only where one of the ends needs it.
    """
    if since is None or until is None:
        raise InvalidRequestError(_describe_missing(since, until, resource=resource))
    ends = _parse_end(since, time.min, name="date_since"), _parse_end(until, LAST_SECOND, name="date_until")
    if _are_mixed(*ends):
        raise InvalidRequestError(
            f"date_since {since!r} and date_until {until!r} mix a time with a zone and one without: "
            "give both with a zone, or both without (they then mean the application's own time zone)."
        )
    if _are_reversed(*ends):
        raise InvalidRequestError(f"date_since {since!r} lies after date_until {until!r}: swap them.")
    first, last = _to_local(ends, now, zone)
    if first > last:
        raise InvalidRequestError(
            f"In the application's time zone, date_since {since!r} is {first} and lies after date_until {until!r}, "
            f"which is {last}: change one of them."
        )
    return _format(first), _format(last)


def describe_range(since: str, until: str) -> str:
    """Describe a range to people: whole days without times of day, and no day twice.

    Parameters
    ----------
    since, until
        Both ends, as `parse_date_range` returns them.
    """
    (first, begins), (last, ends) = since.split(), until.split()
    if (begins, ends) == (str(time.min), str(LAST_SECOND)):
        return first if first == last else f"{first} to {last}"
    return f"{since} to {ends if first == last else until}"


def refuse_dates(since: Moment | None, until: Moment | None, *, resource: str) -> None:
    """Refuse dates for a resource that exports its whole current set."""
    if since is not None or until is not None:
        raise InvalidRequestError(f"{resource} takes no dates: it exports the whole current set. Drop them.")


def _describe_missing(since: Moment | None, until: Moment | None, *, resource: str) -> str:
    ends = ("date_since", since, "2024-07-01"), ("date_until", until, "2024-07-07")
    missing = {name: f"{name}={example!r}" for name, end, example in ends if end is None}
    return f"{resource} needs {' and '.join(missing)}, for example {', '.join(missing.values())}."


def _parse_end(value: Any, time_of_day: time, *, name: str) -> _End:
    days_ago = _parse_days_ago(value.strip(), name=name) if isinstance(value, str) else None
    return _parse_moment(value, time_of_day, name=name) if days_ago is None else _RelativeDay(-days_ago, time_of_day)


def _are_mixed(first: _End, last: _End) -> bool:
    """Tell whether one end has a time zone and the other none; a relative day goes with either."""
    if isinstance(first, datetime) and isinstance(last, datetime):
        return (first.tzinfo is None) != (last.tzinfo is None)
    return False


def _are_reversed(first: _End, last: _End) -> bool:
    """Tell whether the ends are known to be reversed, whatever the application's time zone."""
    if isinstance(first, datetime) and isinstance(last, datetime):
        return first > last
    return isinstance(first, _RelativeDay) and isinstance(last, _RelativeDay) and first > last


def _to_local(ends: tuple[_End, _End], now: float, zone: Callable[[], tzinfo]) -> tuple[datetime, datetime]:
    """Return both ends as the application's clocks show them."""
    first, last = ends
    if isinstance(first, datetime) and isinstance(last, datetime) and first.tzinfo is None:
        return first, last
    local = zone()
    return _to_local_time(first, now, local), _to_local_time(last, now, local)


def _to_local_time(end: _End, now: float, zone: tzinfo) -> datetime:
    if isinstance(end, _RelativeDay):
        return end.to_moment(now, zone)
    if end.tzinfo is None:
        return end
    try:
        return end.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise InvalidRequestError(
            f"In the application's time zone, {end} lies outside of the years 1 to 9999: give another date."
        ) from None


def _parse_days_ago(text: str, *, name: str) -> int | None:
    """Return how many days before today a relative date is, or None for another text."""
    if text.lower() in _NAMED_DAYS:
        return _NAMED_DAYS[text.lower()]
    if not text.lower().endswith("ago"):
        return None
    found = _DAYS_AGO.fullmatch(text)
    if not found or int(found[1]) > MAX_DAYS_AGO:
        raise InvalidRequestError(
            f"{name} {text!r:.100} is not a valid date: write a whole number of days from 0 to {MAX_DAYS_AGO}, as in "
            "'7daysAgo'."
        )
    return int(found[1])


def _parse_moment(value: Any, time_of_day: time, *, name: str) -> datetime:
    parsed = _to_date_or_datetime(value, name=name)
    if not isinstance(parsed, datetime):
        return datetime.combine(parsed, time_of_day)
    moment = parsed.replace(microsecond=0)
    if name == "date_until" and not isinstance(value, str) and moment.timetz().replace(tzinfo=None) == time.min:
        warn_caller(
            f"date_until={value!r} means the first second of {moment.date()}: the rest of that day is left out. "
            f"Give date_until={str(moment.date())!r} for the whole day.",
            DateWarning,
        )
    return moment


def _to_date_or_datetime(value: Any, *, name: str) -> date | datetime:
    """Return a day, or a moment with its time of day."""
    if isinstance(value, str):
        return _parse_text(value.strip(), name=name)
    if _is_instance(value, "numpy", "datetime64"):
        return _from_numpy(value, name=name)
    if _is_instance(value, "pandas", "Timestamp"):
        midnight = value == value.normalize() and value.tzinfo is None
        return value.date() if midnight else value.to_pydatetime(warn=False)  # type: ignore[no-any-return]
    if isinstance(value, (date, datetime)) and value == value:  # noqa: PLR0124 - pandas' NaT is a datetime that is not
        return value
    raise InvalidRequestError(f"{name} takes a string, a date or a datetime, not {value!r}.")


def _parse_text(text: str, *, name: str) -> date | datetime:
    # Other forms of ISO 8601 are refused: '20240701' or '2024-W27-1' could lose a day without a word.
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
        if _DATETIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequestError(f"{name} {text!r} is not a valid date ({error}): {_ACCEPTED}.") from None
    raise InvalidRequestError(f"{name} {text!r} is not a valid date: {_ACCEPTED}.")


def _from_numpy(value: Any, *, name: str) -> date | datetime:
    kind = str(value.dtype)
    if str(value) == "NaT" or not (kind == "datetime64[D]" or _NUMPY_SECONDS.fullmatch(kind)):
        raise InvalidRequestError(f"{name} takes a datetime64 of a day or a time of day, not {value!r}.")
    unit = "D" if kind == "datetime64[D]" else "s"
    converted: date | datetime = value.astype(f"datetime64[{unit}]").item()
    if not isinstance(converted, date):  # numpy gives a number where Python's calendar ends
        raise InvalidRequestError(f"{name} {value!r} is not a valid date: {_ACCEPTED}.")
    return converted


def _is_instance(value: object, module: str, name: str) -> bool:
    """Tell whether a value is of a library's type; whoever has such a value has imported the library."""
    library = sys.modules.get(module)
    return library is not None and isinstance(value, getattr(library, name))


def _format(moment: datetime) -> str:
    return moment.isoformat(sep=" ")
