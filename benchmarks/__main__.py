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

from . import machine, report, startup, targets, waiting
from .cases import CASES, chosen
from .exports import LARGEST, Prepared
from .runs import FAULTS, ROOT, Measurement, measure

if TYPE_CHECKING:
    from .cases import Case
    from .exports import Key
    from .waiting import Waited

RESULTS = Path(__file__).parent / "results"
QUICK_ROWS = 20_000
MILLION = 1_000_000


def main() -> None:
    """Measure, report, and fail if a case is broken; never on a time."""
    words, load = arguments(), machine.load()
    with TemporaryDirectory(prefix="benchmarks-") as rooms:
        files = words.data or Path(rooms) / "data"
        exports = prepared(files, wanted(words.only, words.rows))
        place = Path(rooms) / "rooms"
        place.mkdir()
        measured = measure(words.only, exports, runs=words.runs, files=files, rooms=place)
    waited = waiting.waits()
    results = put_together(measured, exports, waited, runs=words.runs, load=load)
    page = report.page(results)
    print(page)
    if words.out:
        keep(words.out, results, page, waited)
    sys.exit(any(one.status in FAULTS for one in measured))


def arguments() -> argparse.Namespace:
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words.add_argument("--quick", action="store_true", help=f"every case once, at {QUICK_ROWS} rows, for CI")
    words.add_argument("--rows", default="0.1,1,10", help="millions of rows, with commas (default: %(default)s)")
    words.add_argument("--runs", type=int, default=5, help="how often each case is run (default: %(default)s)")
    words.add_argument("--only", default="", help="cases whose names match this regular expression")
    words.add_argument("--data", type=Path, help="directory that keeps the prepared exports for the next time")
    words.add_argument(
        "--out", type=Path, help="directory for the results (default: benchmarks/results, unless --quick)"
    )
    given = words.parse_args()
    if given.quick:
        given.rows, given.runs = [QUICK_ROWS], 1
    else:
        given.rows = [round(float(size) * MILLION) for size in given.rows.split(",")]
        given.out = given.out or RESULTS
    given.only = chosen(given.only)
    if not given.only:
        words.error(f"--only matches none of {', '.join(case.name for case in CASES)}")
    return given


def wanted(cases: list[Case], sizes: list[int]) -> list[Key]:
    """Return the exports that the cases need."""
    kinds = {(resource, case.wire_format) for case in cases for resource in case.resources}
    return [(*kind, rows) for rows in sizes for kind in sorted(kinds) if rows <= LARGEST[kind[0]]]


def prepared(files: Path, keys: list[Key]) -> list[Prepared]:
    """Prepare the exports in another process, so that this one, which starts the cases, stays small."""
    files.mkdir(parents=True, exist_ok=True)
    print("preparing the exports", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.exports", str(files.absolute()), json.dumps(keys)]
    ran = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own words
    return [Prepared(**one) for one in json.loads(ran.stdout)]


def put_together(
    measured: list[Measurement],
    exports: list[Prepared],
    waited: dict[str, list[Waited]],
    *,
    runs: int,
    load: float | None,
) -> dict[str, Any]:
    described = machine.described()
    summaries = [one.summary() for one in measured]
    return {
        "machine": described,
        "runs": runs,
        "load_before": load,
        "exports": [asdict(export) for export in exports],
        "judged": targets.judged(summaries, cores=described["cores"]),
        "measurements": summaries,
        "start_up": startup.measured(),
        "waiting": waiting.compared(waited),
    }


def keep(out: Path, results: dict[str, Any], page: str, waited: dict[str, list[Waited]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    names = []
    if find_spec("matplotlib"):
        from .pictures import draw

        names = draw(out, results, waited)
    else:
        print("matplotlib is not installed: no pictures (the extra `bench` brings it)", file=sys.stderr)
    shown = "".join(f"\n![{name.removesuffix('.png')}]({name})\n" for name in names)
    (out / "results.md").write_text(page + shown, encoding="utf-8")
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
