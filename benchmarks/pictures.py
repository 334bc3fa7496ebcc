"""The results as pictures, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .waiting import summary

if TYPE_CHECKING:
    from pathlib import Path

    from .waiting import WaitOutcome

COLOURS = {"ours": "#1f6f8b", "rival": "#c9a227", "limit": "#9aa0a6"}
RANGE = 100  # preparation times that make one point of a line
LEGEND = {"ours": "appmetrica_frames", "rival": "other ways", "limit": "one stage alone"}
SHOWN = {"wall_seconds": "seconds, median with min and max", "peak_mib": "peak memory, MiB"}


def draw(directory: Path, results: dict[str, Any], waited: dict[str, list[WaitOutcome]]) -> list[str]:
    """Write the pictures and return their names."""
    import matplotlib as mpl

    mpl.use("Agg")
    events = [one for one in results["measurements"] if one["resource"] == "events" and one["status"] == "ok"]
    names = ["waiting.png"]
    _waiting(directory / names[0], waited)
    at_base = [one for one in events if one["rows"] == results["judged"]["rows"]]
    if at_base:
        _bars(directory / "wall.png", at_base)
        names.append("wall.png")
    if len({one["rows"] for one in events}) > 1:
        _memory(directory / "memory.png", events)
        names.append("memory.png")
    return names


def _bars(path: Path, measured: list[dict[str, Any]]) -> None:
    """Draw wall time and peak memory side by side, one bar a case."""
    from matplotlib import pyplot as plt

    figure, sides = plt.subplots(1, 2, figsize=(13, 0.42 * len(measured) + 1.6), sharey=True, layout="constrained")
    for side, (name, label) in zip(sides, SHOWN.items(), strict=True):
        for place, one in enumerate(measured):
            value = one[name]
            whiskers = [[value["median"] - value["min"]], [value["max"] - value["median"]]]
            side.barh(place, value["median"], xerr=whiskers, color=COLOURS[one["kind"]], label=LEGEND[one["kind"]])
        side.set_xlabel(label)
        side.grid(axis="x", alpha=0.3)
    sides[0].set_yticks(range(len(measured)), [one["title"].replace("`", "") for one in measured])
    sides[0].invert_yaxis()
    handles, labels = sides[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=len(unique))  # beside the bars
    figure.suptitle(f"{measured[0]['rows']:,} wide events")
    _save(figure, path)


def _memory(path: Path, measured: list[dict[str, Any]]) -> None:
    """Draw peak memory over the number of rows."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name in ("download", "iterate", "json-download", "cold-polars", "httpx-polars", "pypi-pandas"):
        points = sorted((one["rows"], one["peak_mib"]["median"]) for one in measured if one["case"] == name)
        if points:
            title = next(one["title"] for one in measured if one["case"] == name)
            axes.plot(*zip(*points, strict=True), marker="o", label=title.replace("`", ""))
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="peak memory, MiB")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="upper left")
    _save(figure, path)


def _waiting(path: Path, waited: dict[str, list[WaitOutcome]]) -> None:
    """Draw overshoot, its mean with its worst, and requests, over the time that the server takes."""
    from matplotlib import pyplot as plt

    figure, (late, often) = plt.subplots(2, 1, figsize=(9, 8), sharex=True, layout="constrained")
    for name, of_policy in waited.items():
        ranges = [of_policy[start : start + RANGE] for start in range(0, len(of_policy), RANGE)]
        middles = [waits[len(waits) // 2].preparation for waits in ranges]
        summaries = [summary(waits) for waits in ranges]
        (line,) = late.plot(middles, [one["mean_overshoot_seconds"] for one in summaries], label=name)
        worst = [one["worst_overshoot_seconds"] for one in summaries]
        late.plot(middles, worst, color=line.get_color(), linestyle=":", linewidth=1)
        often.plot(middles, [one["mean_requests"] for one in summaries])
    late.set(xscale="log", yscale="log", ylabel="overshoot: the file is ready, s (mean; dotted: worst)")
    often.set(xscale="log", yscale="log", ylabel="requests, mean", xlabel="the server prepares the file, s")
    for axes in (late, often):
        axes.grid(alpha=0.3, which="both")
    late.legend()
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    figure.savefig(path, dpi=110)
    plt.close(figure)
