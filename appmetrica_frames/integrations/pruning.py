"""Which windows a Polars query needs: those whose dates its predicate does not rule out.

It is assumed that a row lies within the dates of its window: ``date_since``, ``date_until`` and the ``*_datetime``
columns are in the application's time zone. AppMetrica's documents do not say so; everything seen of the server agrees.
"""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from appmetrica_frames.request.windows import LATEST_ZONE
from appmetrica_frames.schema import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import tzinfo

    from appmetrica_frames.engine.plan import Window
    from appmetrica_frames.request.export import ExportRequest

log = logging.getLogger("appmetrica_frames")

# The first zone on Earth in which a day begins.
EARLIEST_ZONE = timezone(timedelta(hours=14))
INSTANT = pl.Datetime("us")  # without a zone: as the clocks of the application or of UTC show it


Bounds: TypeAlias = dict[str, tuple[pl.Series, pl.Series]]
"""Columns, each with its least and its greatest value in each window."""


def find_date_fields(request: ExportRequest) -> tuple[str, ...]:
    """Return the fields that hold the moment which the dates of a request are about."""
    dimension = dict(request.params).get("date_dimension", "default")
    return catalog.resource(request.resource).date_fields.get(dimension, ())


def prune_windows(
    windows: Sequence[Window],
    predicate: pl.Expr,
    schema: pl.Schema,
    find_zone: Callable[[int], tzinfo | None],
) -> list[Window]:
    """Return the windows that may have rows for which a predicate holds: all of them, where that cannot be told.

    Parameters
    ----------
    schema
        The columns that the predicate may name.
    find_zone
        Returns the time zone of an application, if it is known.
    """
    names = set(predicate.meta.root_names()).intersection(find_date_fields(windows[0].request))
    if not names:
        return list(windows)
    try:
        skipped = _evaluate(predicate, schema, _find_bounds(windows, names, schema, find_zone), len(windows))
    # The method of Polars is private: whatever it does one day, the rows are the same.
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001
        log.debug("no window is left out: %r", error)
        return list(windows)
    return [window for window, is_skipped in zip(windows, skipped, strict=True) if not is_skipped]


def _evaluate(predicate: pl.Expr, schema: pl.Schema, bounds: Bounds, count: int) -> list[bool]:
    """Return for each of so many windows whether a predicate holds for no row of it."""
    days = {name: f"the day of {name}" for name in bounds if _has_plain_days(schema[name])}
    predicate = _replace_days(predicate, days)
    types = pl.Schema({**schema, **{day: pl.Date() for day in days.values()}})
    skips = predicate._skip_batch_predicate(types)  # noqa: SLF001 - nothing public does it
    if skips is None:
        return [False] * count
    of_days: Bounds = {day: (bounds[name][0].dt.date(), bounds[name][1].dt.date()) for name, day in days.items()}
    statistics = _build_statistics(types, bounds | of_days, predicate.meta.root_names(), count)
    skipped = statistics.with_columns(skips=skips)["skips"]
    return [is_skipped is True for is_skipped in skipped]  # null where it is not known


def _build_statistics(schema: pl.Schema, bounds: Bounds, names: Sequence[str], count: int) -> pl.DataFrame:
    """Return a row for each window, as Polars wants it: the columns' bounds, and null for all that is not known."""
    unknown = pl.repeat(None, count, dtype=pl.UInt32, eager=True)
    columns = {"len": unknown}
    for name in names:
        nothing = pl.repeat(None, count, dtype=schema[name], eager=True)
        least, greatest = bounds.get(name, (nothing, nothing))
        columns |= {f"{name}_min": least, f"{name}_max": greatest, f"{name}_nc": unknown}
    return pl.DataFrame(columns)


def _has_plain_days(dtype: pl.DataType) -> bool:
    """Tell whether a later value never has an earlier day: where clocks go back at midnight, it can."""
    return dtype == pl.Date or getattr(dtype, "time_zone", None) in {None, "UTC"}


def _replace_days(predicate: pl.Expr, days: dict[str, str]) -> pl.Expr:
    """Replace the day of a column by a column of its own: Polars does not look into functions."""
    text = before = predicate.meta.serialize(format="json")
    for name, day in days.items():
        column, replacement = _to_json({"Column": name}), _to_json({"Column": day})
        text = text.replace(f'{{"Function":{{"input":[{column}],"function":{{"TemporalExpr":"Date"}}}}}}', replacement)
        for options in ("Strict", "NonStrict"):
            cast = f'{{"Cast":{{"expr":{column},"dtype":{{"Literal":"Date"}},"options":"{options}"}}}}'
            text = text.replace(cast, replacement)
    return predicate if text == before else pl.Expr.deserialize(io.StringIO(text), format="json")


def _to_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _find_bounds(
    windows: Sequence[Window], names: Iterable[str], schema: pl.Schema, find_zone: Callable[[int], tzinfo | None]
) -> Bounds:
    """Return the bounds of those columns that hold dates."""
    bounds: Bounds = {}
    for name in names:
        to_ends = _find_instants if _is_unix_time(windows[0].request.resource, name) else _find_local_times
        ends = [to_ends(window.request, find_zone) for window in windows]
        least, greatest = (_cast(pl.Series(values, dtype=INSTANT), schema[name]) for values in zip(*ends, strict=True))
        if least is not None and greatest is not None:
            bounds[name] = least, greatest
    return bounds


def _is_unix_time(resource: str, name: str) -> bool:
    return catalog.resource(resource).wire_type(name) == "unix_time"


def _find_local_times(request: ExportRequest, _: object) -> tuple[datetime, datetime]:
    """Return the first and the last second of a request's dates, as the clocks of the application show them."""
    params = dict(request.params)
    return datetime.fromisoformat(params["date_since"]), datetime.fromisoformat(params["date_until"])


def _find_instants(request: ExportRequest, find_zone: Callable[[int], tzinfo | None]) -> tuple[datetime, datetime]:
    """Return the first and the last second of a request's dates as clocks in UTC show them."""
    zone = find_zone(request.application_id)
    since, until = _find_local_times(request, None)
    first = min(_to_utc(since, zone or EARLIEST_ZONE, fold) for fold in (0, 1))
    return first, max(_to_utc(until, zone or LATEST_ZONE, fold) for fold in (0, 1))


def _to_utc(local: datetime, zone: tzinfo, fold: int) -> datetime:
    return local.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None)


def _cast(instants: pl.Series, dtype: pl.DataType) -> pl.Series | None:
    """Return instants as values of a column; None if it holds no dates, or not these."""
    if dtype == pl.Date:
        return instants.cast(pl.Date)
    if not isinstance(dtype, pl.Datetime):
        return None
    cast = instants.cast(pl.Datetime(dtype.time_unit))
    if not cast.cast(INSTANT).equals(instants):  # nanoseconds end in 2262
        return None
    if dtype.time_zone is None:
        return cast
    return cast.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
