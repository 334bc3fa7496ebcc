"""The targets, as ratios of medians of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MILLION = 1_000_000
AT_LEAST, AT_MOST = "at least", "at most"
STAGES = ("gunzip", "parse", "encode")


class Medians:
    """The medians of the wide events, by case; `KeyError` for what was not measured.

    Attributes
    ----------
    base
        The number of rows that ratios are taken at: a million, or the largest below it.
    """

    def __init__(self, measured: Iterable[dict[str, Any]], *, cores: int) -> None:
        self._of = {
            (one["case"], one["rows"]): one for one in measured if one["resource"] == "events" and one["status"] == "ok"
        }
        self._cores = cores
        sizes = {rows for _, rows in self._of}
        self.base = max((rows for rows in sizes if rows <= MILLION), default=min(sizes, default=MILLION))

    def __call__(self, figure: str, case: str, times: int = 1) -> float:
        median: float = self._of[case, self.base * times][figure]["median"]
        return median

    def wall(self, case: str, times: int = 1) -> float:
        return self("wall_seconds", case, times)

    def peak(self, case: str, times: int = 1) -> float:
        return self("peak_mib", case, times)

    def floor(self) -> float:
        """Return the seconds that the stages would take if they kept all cores busy."""
        return sum(self("cpu_seconds", stage) for stage in STAGES) / self._cores


Value: TypeAlias = "Callable[[Medians], float]"


@dataclass(frozen=True)
class Target:
    """One figure and its bound."""

    figure: str
    bound: str
    limit: float
    unit: str
    value: Value
    least: float = 0.0  # a value below it comes from a busy machine

    def is_reached(self, value: float) -> bool | None:
        if value < self.least:
            return None
        return value >= self.limit if self.bound == AT_LEAST else value <= self.limit


TARGETS = (
    Target(
        "cold to Polars, cache included: how much faster than httpx + `pl.read_csv` + `write_parquet`",
        AT_LEAST,
        1.8,
        "times",
        lambda of: of.wall("httpx-polars") / of.wall("cold-polars"),
    ),
    Target(
        "the same against the PyPI client + `pd.read_csv`",
        AT_LEAST,
        2.2,
        "times",
        lambda of: of.wall("pypi-pandas") / of.wall("cold-polars"),
    ),
    Target(
        "wall of `download_appmetrica` against the floor",
        AT_MOST,
        1.25,
        "times",
        lambda of: of.wall("download") / of.floor(),
        least=1.0,
    ),
    Target(
        "peak memory of `download_appmetrica`, ten times the rows",
        AT_MOST,
        1.1,
        "times",
        lambda of: of.peak("download", 10) / of.peak("download"),
    ),
    Target(
        "peak memory of `download_appmetrica` at ten times the rows",
        AT_MOST,
        400.0,
        "MiB",
        lambda of: of.peak("download", 10),
    ),
    Target(
        "peak memory of a cold read to Polars against httpx + `pl.read_csv` + `write_parquet`",
        AT_MOST,
        0.6,
        "times",
        lambda of: of.peak("cold-polars") / of.peak("httpx-polars"),
    ),
    Target(
        "warm read to Polars against bare `pl.read_parquet`",
        AT_MOST,
        1.1,
        "times",
        lambda of: of.wall("warm-polars") / of.wall("bare-polars"),
    ),
    Target(
        "wall of `download_appmetrica`, ten times the rows",
        AT_MOST,
        10.5,
        "times",
        lambda of: of.wall("download", 10) / of.wall("download"),
    ),
    Target(
        "wall of a cold read to Polars, ten times the rows",
        AT_MOST,
        10.5,
        "times",
        lambda of: of.wall("cold-polars", 10) / of.wall("cold-polars"),
    ),
    Target(
        'wall of `download_appmetrica`, `wire_format="json"` against CSV',
        AT_MOST,
        2.0,
        "times",
        lambda of: of.wall("json-download") / of.wall("download"),
    ),
    Target(
        'wall of a cold read to Polars, `wire_format="json"` against CSV',
        AT_MOST,
        2.0,
        "times",
        lambda of: of.wall("json-polars") / of.wall("cold-polars"),
    ),
    Target(
        'peak memory of `download_appmetrica` with `wire_format="json"`, ten times the rows',
        AT_MOST,
        1.1,
        "times",
        lambda of: of.peak("json-download", 10) / of.peak("json-download"),
    ),
)


def judge_targets(measured: list[dict[str, Any]], *, cores: int) -> dict[str, Any]:
    """Return every target with its value and whether that reaches it; None for what was not measured.

    The bounds are for a million rows: at fewer, nothing is judged, and nor is a value below the floor.
    """
    medians = Medians(measured, cores=cores)
    return {
        "rows": medians.base,
        "floor_seconds": _value_or_none(Medians.floor, medians),
        "targets": [_judge(target, _value_or_none(target.value, medians), at=medians.base) for target in TARGETS],
    }


def _value_or_none(value: Value, medians: Medians) -> float | None:
    try:
        return round(value(medians), 3)
    except KeyError:
        return None


def _judge(target: Target, value: float | None, *, at: int) -> dict[str, Any]:
    return {
        "figure": target.figure,
        "to_reach": f"{target.bound} {target.limit:g} {target.unit}",
        "value": value,
        "reached": None if value is None or at != MILLION else target.is_reached(value),
    }
