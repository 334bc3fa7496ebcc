"""The results as a Markdown page."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WARM_READS = ("warm-polars", "warm-pandas")
MEGA = 1e6
LONG = 10.0
REACHED = {True: "reached", False: "**not reached**", None: "not judged"}


def build_page(results: dict[str, Any]) -> str:
    parts = [
        ["# Results"],
        _conditions(results),
        ["## Targets", *_target_lines(results["judged"])],
        *(_size_lines(results, *of_size) for of_size in _sizes(results["measurements"])),
        ["## Imported before the clock", *_imports(results["measurements"])],
        ["## Start-up", *_start_up(results)],
        ["## Waiting", *_waiting(results["waiting"])],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def build_table(heads: Iterable[str], rows: Iterable[Iterable[str]], *, text_columns: int = 1) -> Iterator[str]:
    """Yield a Markdown table; its first columns are text, the others numbers."""
    heads = list(heads)
    yield _row(heads)
    yield _row("---" if number < text_columns else "---:" for number in range(len(heads)))
    yield from map(_row, rows)


def millions(rows: int) -> str:
    return f"{rows / MEGA:g} million"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _conditions(results: dict[str, Any]) -> list[str]:
    machine, libraries = results["machine"], results["machine"]["libraries"]
    conditions = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['os']}; "
        f"Python {machine['python']}; {', '.join(f'{name} {version}' for name, version in libraries.items())}."
    )
    method = (
        f"Medians (min to max). Runs of each case: {results['runs']}, each in a fresh process, all cases in turn. "
        "Every library is imported before the clock starts, on every side, unless a case says otherwise. The server's "
        "processor time is not part of the figures; the peak is that of the whole process. "
        f"Load of the machine before: {results['load_before']}."
    )
    return [conditions, "", method]


def _target_lines(judged: dict[str, Any]) -> Iterator[str]:
    yield f"Ratios of medians at {millions(judged['rows'])} wide events; the bounds are for a million."
    yield ""
    yield from build_table(
        ("figure", "target", "", "measured"),
        ((one["figure"], one["to_reach"], REACHED[one["reached"]], _number(one["value"])) for one in judged["targets"]),
        text_columns=3,
    )
    if judged["floor_seconds"] is not None:
        yield ""
        yield f"The floor, if the three stages kept all cores busy: {judged['floor_seconds']:.2f} s."


def _sizes(measurements: list[dict[str, Any]]) -> Iterator[tuple[str, int, list[dict[str, Any]]]]:
    def size(one: dict[str, Any]) -> tuple[str, int]:
        return one["resource"], one["rows"]

    for (resource, rows), of_size in groupby(sorted(measurements, key=size), key=size):
        yield resource, rows, list(of_size)


def _size_lines(results: dict[str, Any], resource: str, rows: int, measured: list[dict[str, Any]]) -> list[str]:
    heads = ("case", "wall, s", "CPU, s", "peak, MiB", "server's CPU, s")
    exports = [one for one in results["exports"] if (one["resource"], one["rows"]) == (resource, rows)]
    sizes = "; ".join(
        f"{one['wire_format'].upper()} {one['plain_bytes'] / MEGA:.1f} MB, {one['gzip_bytes'] / MEGA:.1f} MB as gzip"
        for one in exports
    )
    cells = ((one["title"], *_figures(one)) for one in measured)
    return [f"## {millions(rows)} rows of `{resource}`", "", f"{sizes}.", "", *build_table(heads, cells)]


def _figures(one: dict[str, Any]) -> Iterator[str]:
    if one["status"] != "ok":
        yield from (one["status"], "", "", "")
        return
    for name in ("wall_seconds", "cpu_seconds", "peak_mib"):
        figure = one[name]
        yield f"{_number(figure['median'])} ({_number(figure['min'])} to {_number(figure['max'])})"
    yield _number(one["server_cpu_seconds"]["median"])


def _imports(measurements: list[dict[str, Any]]) -> Iterator[str]:
    yield "Each way has run once on a few rows, so that nothing is imported after the clock has started."
    yield ""
    libraries = {one["title"]: one["imported_before"] for one in measurements if one["runs"]}
    shown = ((title, ", ".join(f"`{name}`" for name in names) or "nothing") for title, names in libraries.items())
    yield from build_table(("case", "libraries imported"), shown, text_columns=2)


def _start_up(results: dict[str, Any]) -> Iterator[str]:
    start = results["start_up"]
    yield (
        f"`import appmetrica_frames` takes {start['added_ms']:.0f} ms more than bare Python "
        f"({start['with_import_ms']['median']:.0f} against {start['bare_ms']['median']:.0f} ms, medians of "
        f"{start['starts']} starts)."
    )
    warm = [one["imported_before"] for one in results["measurements"] if one["case"] in WARM_READS and one["runs"]]
    if warm:
        imports = any("httpx" in libraries for libraries in warm)
        yield f"A warm read imports {'httpx' if imports else 'no HTTP client'}."


def _waiting(compared: list[dict[str, Any]]) -> Iterator[str]:
    yield "Simulated: how long a file is ready before a policy notices, and after how many requests."
    yield ""
    yield from build_table(
        ("preparation, s", "policy", "mean overshoot, s", "worst, s", "mean share of the preparation", "mean requests"),
        (
            (
                f"{one['from_seconds']:g} to {one['to_seconds']:g}",
                one["policy"],
                f"{one['mean_overshoot_seconds']:.1f}",
                f"{one['worst_overshoot_seconds']:.1f}",
                f"{one['mean_overshoot_share']:.0%}",
                f"{one['mean_requests']:.1f}",
            )
            for one in compared
        ),
        text_columns=2,
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= LONG * LONG else f"{value:.1f}" if value >= LONG else f"{value:.2f}"
