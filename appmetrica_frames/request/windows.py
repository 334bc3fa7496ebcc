"""The windows of a range of dates: whole days, weeks or months of the calendar, clipped to the range.

Windows are aligned with the calendar, not with the range, so overlapping ranges share all windows that lie inside both.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from appmetrica_frames.errors import InvalidRequestError

from .export import check_choice

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from .export import ExportRequest

Split: TypeAlias = Literal["day", "week", "month"]
"""The unit of the calendar that a window covers; weeks begin on Monday."""

DAYS_IN_WEEK = 7
MONTHS_IN_YEAR = 12

# The last zone on Earth in which a day ends.
LATEST_ZONE = timezone(timedelta(hours=-12))


def split_request(request: ExportRequest, split: Split | None) -> tuple[ExportRequest, ...]:
    """Return the request of each window, in the order of their dates; the request itself without a split.

    A window's request equals the unsplit one for the same dates, so they share their place in the cache.
    """
    check_split(request, split)
    if split is None:
        return (request,)
    params = dict(request.params)
    windows = split_range(params["date_since"], params["date_until"], split)
    return tuple(_with_dates(request, since, until) for since, until in windows)


def check_split(request: ExportRequest, split: Split | None) -> None:
    """Raise `InvalidRequestError` where a request cannot be split in this way."""
    if split is None:
        return
    check_choice(split, get_args(Split), name="split")
    if request.is_limited:
        raise InvalidRequestError(
            "limit caps the rows of one export, and split makes an export of each window: drop one of the two."
        )
    if "date_since" not in dict(request.params):
        raise InvalidRequestError(
            f"{request.resource} takes no dates, so there is no range to split: it exports the whole current set. "
            "Drop split."
        )


def split_range(since: str, until: str, split: Split) -> list[tuple[str, str]]:
    """Return the windows of a range, each as its first and its last second.

    Parameters
    ----------
    since, until
        The range as ``yyyy-mm-dd hh:mm:ss``, both ends included.

    Returns
    -------
    list of tuple of str
        The windows in order, written likewise. Together they are the range, without a gap or an overlap; the first and
        the last are clipped to it.
    """
    first, last = datetime.fromisoformat(since).date(), datetime.fromisoformat(until).date()
    starts = list(_later_starts(first, last, split))
    firsts = (since, *(f"{date.fromordinal(day)} 00:00:00" for day in starts))
    lasts = (*(f"{date.fromordinal(day - 1)} 23:59:59" for day in starts), until)
    return list(zip(firsts, lasts, strict=True))


def first_day(moment: str, split: Split) -> date:
    """Return the first day of the calendar unit that a moment, ``yyyy-mm-dd hh:mm:ss``, lies in."""
    day = datetime.fromisoformat(moment).date()
    if split == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if split == "week" else day


def window_end(request: ExportRequest, zone: tzinfo | None) -> float | None:
    """Return the instant at which the last second of a request's range is over.

    Parameters
    ----------
    zone
        The application's time zone; where it is not known, the instant is the latest of all zones.

    Returns
    -------
    float or None
        UNIX seconds; None for a request without dates. A local time that the clocks show twice, or skip, is taken to
        be the later of the two possible instants.
    """
    until = dict(request.params).get("date_until")
    if until is None:
        return None
    local = datetime.fromisoformat(until).replace(tzinfo=zone or LATEST_ZONE)
    # The second is added to the instant, as the next one may not exist in local time (or in Python's calendar).
    return max(local.replace(fold=fold).timestamp() for fold in (0, 1)) + 1


def _later_starts(first: date, last: date, split: Split) -> Iterable[int]:
    """Return the first days of all windows but the first, as ordinals: they need no date after the last of Python's."""
    if split == "month":
        months = range(_count_months(first) + 1, _count_months(last) + 1)
        return (date(month // MONTHS_IN_YEAR, month % MONTHS_IN_YEAR + 1, 1).toordinal() for month in months)
    if split == "week":
        next_monday = first.toordinal() + DAYS_IN_WEEK - first.weekday()
        return range(next_monday, last.toordinal() + 1, DAYS_IN_WEEK)
    return range(first.toordinal() + 1, last.toordinal() + 1)


def _count_months(day: date) -> int:
    return day.year * MONTHS_IN_YEAR + day.month - 1


def _with_dates(request: ExportRequest, since: str, until: str) -> ExportRequest:
    dates = {"date_since": since, "date_until": until}
    return replace(request, params=tuple((name, dates.get(name, value)) for name, value in request.params))
