"""``python -m benchmarks``: everything that is measured, from the data to the pictures."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from . import comparison, machine, report, startup, targets, waiting
from .cases import CASES, select_cases
from .exports import LARGEST, PreparedExport
from .runs import FAULTS, PRIMER_ROWS, ROOT, Measurement, build_measurements, measure

if TYPE_CHECKING:
    from .cases import Case
    from .exports import Key
    from .waiting import WaitOutcome

RESULTS = Path(__file__).parent / "results"
QUICK_ROWS = 20_000
MILLION = 1_000_000


def main() -> None:
    """Measure, report, and fail if a case is broken; never because of a time."""
    given, load = parse_arguments(), machine.load()
    sources = [ROOT, given.against] if given.against else [ROOT]
    keys, primer_keys = required_exports(given.only, given.rows)
    with TemporaryDirectory(prefix="benchmarks-") as temporary:
        files = given.data or Path(temporary) / "data"
        exports = prepare_exports(files, keys + primer_keys)
        measurements = build_measurements(given.only, exports[: len(keys)], sources)
        folder = Path(temporary) / "work"
        folder.mkdir()
        measure(measurements, exports[len(keys) :], runs=given.runs, files=files, folder=folder)
    if given.against:
        print(comparison.build_page(measurements, *sources))
    else:
        publish(measurements, exports[: len(keys)], runs=given.runs, load=load, out=given.out)
    sys.exit(any(one.status in FAULTS for one in measurements))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"every case once, at {QUICK_ROWS} rows, for CI")
    parser.add_argument("--rows", default="0.1,1,10", help="millions of rows, with commas (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="how often each case is run (default: %(default)s)")
    parser.add_argument("--only", default="", help="cases whose names match this regular expression")
    parser.add_argument("--data", type=Path, help="directory that keeps the prepared exports for the next time")
    parser.add_argument(
        "--out", type=Path, help="directory for the results (default: benchmarks/results, unless --quick)"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="measure our cases in turn with the package of another checkout",
    )
    given = parser.parse_args()
    given.only = select_cases(given.only)
    if not given.only:
        parser.error(f"--only matches none of {', '.join(case.name for case in CASES)}")
    if given.against:
        check_checkout(parser, given)
    if given.quick:
        given.rows, given.runs = [QUICK_ROWS], 1
    else:
        given.rows = [round(float(size) * MILLION) for size in given.rows.split(",")]
        given.out = given.out or RESULTS
    return given


def check_checkout(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    given.against = given.against.resolve()
    if given.against == ROOT.resolve() or not (given.against / "appmetrica_frames").is_dir():
        parser.error(f"--against takes another checkout of this repository, not {given.against}")
    given.only = [case for case in given.only if case.kind == "ours"]  # the stages are private, and may differ


def required_exports(cases: list[Case], sizes: list[int]) -> tuple[list[Key], list[Key]]:
    """Return the exports that the cases need, and those of their primers."""
    kinds = sorted({(resource, case.wire_format) for case in cases for resource in case.resources})
    keys = [(*kind, rows) for rows in sizes for kind in kinds if rows <= LARGEST[kind[0]]]
    return keys, [(*kind, PRIMER_ROWS) for kind in kinds]


def prepare_exports(files: Path, keys: list[Key]) -> list[PreparedExport]:
    """Prepare the exports in another process, so that this one, which starts the cases, stays small."""
    files.mkdir(parents=True, exist_ok=True)
    print("preparing the exports", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.exports", str(files.absolute()), json.dumps(keys)]
    ran = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)  # noqa: S603 - a module of our own
    return [PreparedExport(**one) for one in json.loads(ran.stdout)]


def publish(
    measurements: list[Measurement], exports: list[PreparedExport], *, runs: int, load: float | None, out: Path | None
) -> None:
    """Print the results, and write them with their pictures."""
    outcomes = waiting.simulate_policies()
    results = build_results(measurements, exports, outcomes, runs=runs, load=load)
    page = report.build_page(results)
    print(page)
    if out:
        write_results(out, results, page, outcomes)


def build_results(
    measurements: list[Measurement],
    exports: list[PreparedExport],
    outcomes: dict[str, list[WaitOutcome]],
    *,
    runs: int,
    load: float | None,
) -> dict[str, Any]:
    described = machine.describe_machine()
    summaries = [one.summary() for one in measurements]
    return {
        "machine": described,
        "runs": runs,
        "load_before": load,
        "exports": [asdict(export) for export in exports],
        "judged": targets.judge_targets(summaries, cores=described["cores"]),
        "measurements": summaries,
        "start_up": startup.measure_import(),
        "waiting": waiting.compare_policies(outcomes),
    }


def write_results(out: Path, results: dict[str, Any], page: str, outcomes: dict[str, list[WaitOutcome]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    names = []
    if find_spec("matplotlib"):
        from .pictures import draw

        names = draw(out, results, outcomes)
    else:
        print("matplotlib is not installed: no pictures (the extra `bench` brings it)", file=sys.stderr)
    shown = "".join(f"\n![{name.removesuffix('.png')}]({name})\n" for name in names)
    (out / "results.md").write_text(page + shown, encoding="utf-8")
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
