"""Run the cases: each in a fresh process, one after another, round after round."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from signal import SIGKILL
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .cases import BY_NAME
from .job import Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .cases import Case
    from .exports import PreparedExport

ROOT = Path(__file__).parents[1]
PRIMER_ROWS = 1000
FIGURES = ("wall_seconds", "cpu_seconds", "peak_mib", "server_cpu_seconds")
OK, NOT_INSTALLED, OUT_OF_MEMORY, BROKEN, WRONG = "ok", "not installed", "out of memory", "broken", "wrong answer"
FACTS = ("imported_before", "imported_late")
FAULTS = (BROKEN, WRONG)
TIMEOUT = 3600.0


@dataclass
class Measurement:
    """A case on one export, as often as it was run.

    Attributes
    ----------
    source
        The source tree whose package is measured.
    """

    case: Case
    export: PreparedExport
    source: Path = ROOT
    status: str = OK
    samples: list[dict[str, float]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Return the medians with their extremes, as plain values."""
        export = self.export
        about = {
            "case": self.case.name,
            "title": self.case.title,
            "kind": self.case.kind,
            "resource": export.resource,
            "wire_format": export.wire_format,
            "rows": export.rows,
            "status": self.status,
            "runs": len(self.samples),
        }
        if self.status != OK:
            return about
        figures = {name: spread([sample[name] for sample in self.samples]) for name in FIGURES}
        return about | figures | self.facts


def spread(values: list[float]) -> dict[str, float]:
    return {name: round(of(values), 4) for name, of in (("median", median), ("min", min), ("max", max))}


@dataclass(frozen=True)
class FilledCache:
    """A cache that holds an export, if filling it went well."""

    folder: Path
    status: str


class Site:
    """The exports of one size behind a server, and folders for the cases to work in."""

    def __init__(self, base_url: str, files: Path, folder: Path) -> None:
        self._base_url = base_url
        self._files = files
        self._folder = folder
        self._numbers = count(1)
        folder.mkdir()

    def new_folder(self) -> Path:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return folder

    def job(self, export: PreparedExport, folder: Path) -> Job:
        token = f"token-{next(self._numbers)}"
        return Job(export.resource, export.wire_format, self._base_url, token, self._files / export.name, folder)

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used."""
        connection = HTTPConnection(urlsplit(self._base_url).netloc)
        try:
            connection.request("GET", "/cost")
            seconds: float = json.loads(connection.getresponse().read())["cpu_seconds"]
        finally:
            connection.close()
        return seconds


class Runner:
    """Runs cases, each primed with an export of a few rows from a site of its own."""

    def __init__(self, site: Site, primer_site: Site, primers: list[PreparedExport]) -> None:
        self._site = site
        self._primer_site = primer_site
        self._primers = {(export.resource, export.wire_format): export for export in primers}
        self._filled: dict[tuple[str, Path], FilledCache] = {}

    def run(self, measurement: Measurement) -> None:
        """Measure a case once more, unless it has failed before."""
        if measurement.status != OK:
            return
        if measurement.case.warm:
            filled = self._fill(self._site, measurement.export, measurement.source)
            measurement.status = filled.status
            if filled.status == OK:
                self._run(measurement, self._site.job(measurement.export, filled.folder))
            return
        folder = self._site.new_folder()
        self._run(measurement, self._site.job(measurement.export, folder))
        shutil.rmtree(folder)
        os.sync()  # so that the next case does not pay for what this one leaves to be written

    def _fill(self, site: Site, export: PreparedExport, source: Path) -> FilledCache:
        """Return the cache that holds an export, downloaded if need be by the package of that source tree."""
        if (export.name, source) not in self._filled:
            folder = site.new_folder()
            download = Measurement(BY_NAME["fill"], export, source)
            self._run(download, site.job(export, folder))
            self._filled[export.name, source] = FilledCache(folder, download.status)
        return self._filled[export.name, source]

    def _primer(self, measurement: Measurement) -> Job | None:
        """Return the same job on a few rows, if the case is to be primed."""
        if not measurement.case.primed:
            return None
        export, site = self._primers[measurement.export.resource, measurement.export.wire_format], self._primer_site
        warm = measurement.case.warm
        folder = self._fill(site, export, measurement.source).folder if warm else site.new_folder()
        return site.job(export, folder)

    def _run(self, measurement: Measurement, job: Job) -> None:
        case, export = measurement.case, measurement.export
        primer = self._primer(measurement)
        before = self._site.cpu_seconds()
        ran = run_in_fresh_process(case, job, primer=primer, source=measurement.source)
        if ran.returncode:
            measurement.status = classify_failure(case, ran)
            print(f"{case.name}: {measurement.status}\n{ran.stderr}", file=sys.stderr)
            return
        answer = json.loads(ran.stdout)
        if "missing" in answer:
            measurement.status = NOT_INSTALLED
            return
        summary = answer.pop("summary")
        if summary != {"rows": export.rows, "columns": export.columns, "checksum": export.checksum}:
            measurement.status = WRONG
            print(f"{case.name}: {summary} is not that of {export}", file=sys.stderr)
            return
        measurement.facts |= {name: answer.pop(name) for name in FACTS}
        measurement.samples.append(answer | {"server_cpu_seconds": self._site.cpu_seconds() - before})


def measure(
    measurements: list[Measurement], primers: list[PreparedExport], *, runs: int, files: Path, folder: Path
) -> None:
    """Run measurements in turn, size by size, round after round."""
    with serve(files / str(PRIMER_ROWS)) as primer_url:
        primer_site = Site(primer_url, files, folder / "primers")
        for rows in sorted({measurement.export.rows for measurement in measurements}):
            of_size = [measurement for measurement in measurements if measurement.export.rows == rows]
            with serve(files / str(rows)) as base_url:
                runner = Runner(Site(base_url, files, folder / str(rows)), primer_site, primers)
                for number in range(1, runs + 1):
                    for measurement in of_size:
                        runner.run(measurement)
                    print(f"{rows} rows: round {number} of {runs} is done", file=sys.stderr, flush=True)
            shutil.rmtree(folder / str(rows))


def build_measurements(
    cases: list[Case], exports: list[PreparedExport], sources: Iterable[Path] = (ROOT,)
) -> list[Measurement]:
    """Return what there is to measure: each case on each export that it is for, by the package of each source tree."""
    return [
        Measurement(case, export, source)
        for case in cases
        for export in exports
        if export.rows <= case.most and export.wire_format == case.wire_format and export.resource in case.resources
        for source in sources
    ]


@contextmanager
def serve(directory: Path) -> Iterator[str]:
    """Run the server in a process of its own and give its address."""
    command = [sys.executable, "-m", "benchmarks.server", str(directory)]
    with subprocess.Popen(  # noqa: S603 - a module of our own
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout  # noqa: S101, PT018 - they are pipes
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def run_in_fresh_process(case: Case, job: Job, *, primer: Job | None, source: Path) -> subprocess.CompletedProcess[str]:
    order = {"case": case.name, "job": asdict(job), "primer": primer and asdict(primer), "source": source}
    command = [sys.executable, "-m", "benchmarks.measure", json.dumps(order, default=str)]
    return subprocess.run(  # noqa: S603 - a module of our own
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False, timeout=TIMEOUT
    )


def clean_environment() -> dict[str, str]:
    """Return the environment without proxies and without settings of the package."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith("APPMETRICA_")
    }


def classify_failure(case: Case, ran: subprocess.CompletedProcess[str]) -> str:
    out_of_memory = ran.returncode == -SIGKILL or "MemoryError" in ran.stderr
    return OUT_OF_MEMORY if out_of_memory and case.kind == "rival" else BROKEN
