"""What is measured.

A case is a generator. From its first yield to its second it is measured; then it yields a summary of its rows, so that
a wrong answer never counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from . import limit, ours, rivals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .job import Job, Summary

Steps: TypeAlias = "Callable[[Job], Iterator[Summary | None]]"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to get at the rows.

    Attributes
    ----------
    kind
        ``ours``; ``rival``, which may fail without a fault of ours; ``limit``, one stage alone.
    warm
        Whether the cache holds the export already.
    primed
        Whether the case is first run on a few rows, so that libraries are imported; if not, importing them counts.
    most
        Rows above which it is not tried.
    needs
        Modules without which it is not tried.
    """

    name: str
    title: str
    steps: Steps
    kind: str = "ours"
    wire_format: str = "csv"
    warm: bool = False
    primed: bool = True
    resources: tuple[str, ...] = ("events",)
    most: float = inf
    needs: tuple[str, ...] = ()


MILLION = 1_000_000
BOTH = ("events", "installations")
PYPI = ("appmetrica_logs_api", "requests", "pydantic")

CASES = (
    Case(name="cold-polars", title="`read_appmetrica` to Polars, cold", steps=ours.read_polars, resources=BOTH),
    Case(name="cold-pandas", title="`read_appmetrica` to pandas, cold", steps=ours.read_pandas, most=MILLION),
    Case(name="iterate", title="`iter_appmetrica`, cold, consumed", steps=ours.iterate),
    Case(name="download", title="`download_appmetrica`, cold", steps=ours.download, resources=BOTH),
    Case(
        name="json-polars",
        title='`read_appmetrica` to Polars, cold, `wire_format="json"`',
        steps=ours.read_polars,
        wire_format="json",
    ),
    Case(
        name="json-download",
        title='`download_appmetrica`, cold, `wire_format="json"`',
        steps=ours.download,
        wire_format="json",
    ),
    Case(
        name="httpx-polars",
        title="`httpx.get` → `pl.read_csv` → `write_parquet`",
        steps=rivals.httpx_polars,
        kind="rival",
        resources=BOTH,
    ),
    Case(
        name="httpx-pandas",
        title="`httpx.get` → `pd.read_csv` → `to_parquet`",
        steps=rivals.httpx_pandas,
        kind="rival",
        resources=BOTH,
        most=MILLION,
    ),
    Case(
        name="pypi-pandas",
        title="appmetrica-logs-api → `pd.read_csv`",
        steps=rivals.pypi_pandas,
        kind="rival",
        resources=BOTH,
        most=MILLION,
        needs=PYPI,
    ),
    Case(name="warm-polars", title="`read_appmetrica` to Polars, warm", steps=ours.read_polars, warm=True),
    Case(name="bare-polars", title="bare `pl.read_parquet`", steps=rivals.bare_polars, kind="rival", warm=True),
    Case(
        name="warm-pandas",
        title="`read_appmetrica` to pandas, warm",
        steps=ours.read_pandas,
        warm=True,
        most=MILLION,
    ),
    Case(
        name="bare-pandas",
        title="bare `pd.read_parquet`",
        steps=rivals.bare_pandas,
        kind="rival",
        warm=True,
        most=MILLION,
    ),
    Case(
        name="first-polars",
        title="`read_appmetrica` to Polars, cold, imports included",
        steps=ours.read_polars,
        primed=False,
        most=MILLION,
    ),
    Case(
        name="first-httpx-polars",
        title="`httpx.get` → `pl.read_csv` → `write_parquet`, imports included",
        steps=rivals.httpx_polars,
        kind="rival",
        primed=False,
        most=MILLION,
    ),
    Case(name="gunzip", title="gunzip alone, one thread", steps=limit.gunzip_alone, kind="limit", most=MILLION),
    Case(name="parse", title="parse alone, one thread", steps=limit.parse_alone, kind="limit", most=MILLION),
    Case(name="encode", title="encode alone, one thread", steps=limit.encode_alone, kind="limit", most=MILLION),
)
FILL = Case(name="fill", title="filling a cache for a warm case", steps=ours.download, primed=False)
BY_NAME = {case.name: case for case in (*CASES, FILL)}


def select_cases(pattern: str) -> list[Case]:
    """Return the cases whose names match a regular expression somewhere."""
    return [case for case in CASES if re.search(pattern, case.name)]
