"""`expand_json` against `json.loads` row by row: ``python -m benchmarks.expansion --rows 1_000_000``.

The texts are the emulator's `event_json`, without those that are not JSON: first as they are, each text in six rows on
average; then with a number added to each and shuffled, so that no two are equal. Both ways return a Polars frame of
text columns; they take turns, and their results are compared.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

import polars as pl

from appmetrica_frames import expand_json

from .exports import Rows

FIELDS = ["sku", "name", "price", "currency", "quantity", "screen"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    plain = build_texts(given.rows)
    print(f"{plain.height:,} rows, {len(FIELDS)} keys, equal results, medians of {given.runs} runs")
    for name, frame in {"as they are": plain, "no two equal": make_distinct(plain)}.items():
        slow, fast = compare(frame, given.runs)
        print(f"{name}: json.loads row by row {slow:.2f} s, expand_json {fast:.2f} s: {slow / fast:.1f} times faster")


def compare(frame: pl.DataFrame, runs: int) -> tuple[float, float]:
    """Return the median times of both ways."""
    slow: list[float] = []
    fast: list[float] = []
    for _ in range(runs):
        expected = run_timed(slow, row_by_row, frame)
        result = run_timed(fast, expand, frame)
        if not result.equals(expected):
            raise SystemExit("The results differ.")
    return median(slow), median(fast)


def build_texts(rows: int) -> pl.DataFrame:
    """Return texts of the emulator, all of them JSON objects."""
    whole = pl.concat([part.select("event_json") for part in Rows("events", rows).frames], rechunk=True)
    valid = pl.col("event_json").str.starts_with("{") & pl.col("event_json").str.ends_with("}")
    whole = whole.filter(valid)
    return pl.concat([whole] * -(-rows // whole.height)).head(rows).rechunk()


def make_distinct(frame: pl.DataFrame) -> pl.DataFrame:
    """Add a number to each text, and shuffle them."""
    number = pl.int_range(pl.len()).cast(pl.String)
    numbered = pl.concat_str(pl.lit('{"number":'), number, pl.lit(","), pl.col("event_json").str.strip_prefix("{"))
    return frame.select(numbered.alias("event_json")).sample(fraction=1, shuffle=True, seed=1)


def run_timed(times: list[float], way: object, frame: pl.DataFrame) -> pl.DataFrame:
    start = time.perf_counter()
    result: pl.DataFrame = way(frame)  # type: ignore[operator]
    times.append(time.perf_counter() - start)
    return result


def expand(frame: pl.DataFrame) -> pl.DataFrame:
    return expand_json(frame, fields=FIELDS).drop("event_json")


def row_by_row(frame: pl.DataFrame) -> pl.DataFrame:
    columns: dict[str, list[str | None]] = {key: [] for key in FIELDS}
    for text in frame["event_json"].to_list():
        read = json.loads(text)
        for key, column in columns.items():
            value = read.get(key)
            column.append(value if value is None or isinstance(value, str) else json.dumps(value))
    return pl.DataFrame(columns, schema=dict.fromkeys(FIELDS, pl.String))


if __name__ == "__main__":
    main()
