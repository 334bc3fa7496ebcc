"""What is measured.

A case is a generator. Before its first yield it makes itself ready; from there to its second yield it is measured; then
it says what it has found, so that a wrong answer never counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from . import limit, ours, rivals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .job import Found, Job

Steps: TypeAlias = "Callable[[Job], Iterator[Found | None]]"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to get at the rows.

    Attributes
    ----------
    kind
        ``ours``; ``rival``, which may fail without a fault of ours; ``limit``, one stage alone.
    warm
        Whether it reads a store that holds the export already.
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
    resources: tuple[str, ...] = ("events",)
    most: float = inf
    needs: tuple[str, ...] = ()


MILLION = 1_000_000
BOTH = ("events", "installations")
PYPI = ("appmetrica_logs_api", "requests", "pydantic")

CASES = (
    Case(name="cold-polars", title="`read_appmetrica` to Polars, cold", steps=ours.to_polars, resources=BOTH),
    Case(name="cold-pandas", title="`read_appmetrica` to pandas, cold", steps=ours.to_pandas, most=MILLION),
    Case(name="iterate", title="`iter_appmetrica`, cold, consumed", steps=ours.iterated),
    Case(name="download", title="`download_appmetrica`, cold", steps=ours.downloaded, resources=BOTH),
    Case(
        name="json-polars",
        title='`read_appmetrica` to Polars, cold, `wire_format="json"`',
        steps=ours.to_polars,
        wire_format="json",
    ),
    Case(
        name="json-download",
        title='`download_appmetrica`, cold, `wire_format="json"`',
        steps=ours.downloaded,
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
    Case(name="warm-polars", title="`read_appmetrica` to Polars, warm", steps=ours.to_polars_again, warm=True),
    Case(name="bare-polars", title="bare `pl.read_parquet`", steps=rivals.bare_polars, kind="rival", warm=True),
    Case(
        name="warm-pandas",
        title="`read_appmetrica` to pandas, warm",
        steps=ours.to_pandas_again,
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
    Case(name="gunzip", title="gunzip alone, one thread", steps=limit.gunzipped, kind="limit", most=MILLION),
    Case(name="parse", title="parse alone, one thread", steps=limit.parsed, kind="limit", most=MILLION),
    Case(name="encode", title="encode alone, one thread", steps=limit.encoded, kind="limit", most=MILLION),
)
BY_NAME = {case.name: case for case in CASES}


def chosen(pattern: str) -> list[Case]:
    """Return the cases whose names match a regular expression somewhere."""
    return [case for case in CASES if re.search(pattern, case.name)]
