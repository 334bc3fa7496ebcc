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
    from collections.abc import Iterator

    from .cases import Case
    from .exports import Prepared

ROOT = Path(__file__).parents[1]
FIGURES = ("wall_seconds", "cpu_seconds", "peak_mib", "server_cpu_seconds")
OK, NOT_INSTALLED, OUT_OF_MEMORY, BROKEN, WRONG = "ok", "not installed", "out of memory", "broken", "wrong answer"
FAULTS = (BROKEN, WRONG)
PATIENCE = 3600.0


@dataclass
class Measurement:
    """A case on one export, as often as it was run."""

    case: Case
    export: Prepared
    status: str = OK
    samples: list[dict[str, float]] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)

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
        return about | figures | self.said


def spread(values: list[float]) -> dict[str, float]:
    return {name: round(of(values), 4) for name, of in (("median", median), ("min", min), ("max", max))}


@dataclass(frozen=True)
class Filled:
    """A store that holds an export, if filling it went well."""

    room: Path
    status: str


class Bench:
    """The exports of one size behind a server, and rooms for the cases to work in."""

    def __init__(self, base_url: str, files: Path, rooms: Path) -> None:
        self._base_url = base_url
        self._files = files
        self._rooms = rooms
        self._numbers = count(1)
        self._filled: dict[str, Filled] = {}

    def run(self, measurement: Measurement) -> None:
        """Measure a case once more, unless it has failed before."""
        if measurement.status != OK:
            return
        if measurement.case.warm:
            filled = self._filled_with(measurement.export)
            measurement.status = filled.status
            if filled.status == OK:
                self._run(measurement, filled.room)
            return
        room = self._room()
        self._run(measurement, room)
        shutil.rmtree(room)
        os.sync()  # what this case leaves to be written is not the next one's burden

    def _run(self, measurement: Measurement, room: Path) -> None:
        case, export = measurement.case, measurement.export
        before = self._server_cpu_seconds()
        ran = in_a_fresh_process(case.name, self._job(export, room))
        if ran.returncode:
            measurement.status = fault(case, ran)
            print(f"{case.name}: {measurement.status}\n{ran.stderr}", file=sys.stderr)
            return
        said = json.loads(ran.stdout)
        if "missing" in said:
            measurement.status = NOT_INSTALLED
            return
        answer = said.pop("found")
        right = {"rows": export.rows, "columns": export.columns, "checksum": export.checksum}
        if {name: answer.pop(name) for name in right} != right:
            measurement.status = WRONG
            print(f"{case.name}: {said} is not {right}", file=sys.stderr)
            return
        measurement.samples.append(said | {"server_cpu_seconds": self._server_cpu_seconds() - before})
        measurement.said |= answer

    def _filled_with(self, export: Prepared) -> Filled:
        """Return the store that holds an export, downloaded if need be."""
        if export.name not in self._filled:
            filling, room = Measurement(BY_NAME["download"], export), self._room()
            self._run(filling, room)
            self._filled[export.name] = Filled(room, filling.status)
        return self._filled[export.name]

    def _room(self) -> Path:
        room = self._rooms / str(next(self._numbers))
        room.mkdir()
        return room

    def _job(self, export: Prepared, room: Path) -> Job:
        token = f"token-{next(self._numbers)}"
        return Job(export.resource, export.wire_format, self._base_url, token, self._files / export.name, room)

    def _server_cpu_seconds(self) -> float:
        link = HTTPConnection(urlsplit(self._base_url).netloc)
        try:
            link.request("GET", "/cost")
            seconds: float = json.loads(link.getresponse().read())["cpu_seconds"]
        finally:
            link.close()
        return seconds


def measure(cases: list[Case], exports: list[Prepared], *, runs: int, files: Path, rooms: Path) -> list[Measurement]:
    """Measure the cases on the exports of each size, interleaved."""
    done: list[Measurement] = []
    for rows in sorted({export.rows for export in exports}):
        of_size = [
            Measurement(case, export)
            for case in cases
            for export in exports
            if export.rows == rows <= case.most
            and export.wire_format == case.wire_format
            and export.resource in case.resources
        ]
        place = rooms / str(rows)
        place.mkdir()
        with served(files / str(rows)) as base_url:
            bench = Bench(base_url, files, place)
            for number in range(1, runs + 1):
                for measurement in of_size:
                    bench.run(measurement)
                print(f"{rows} rows: round {number} of {runs} is done", file=sys.stderr, flush=True)
        shutil.rmtree(place)
        done += of_size
    return done


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Run the server in a process of its own and give its address."""
    command = [sys.executable, "-m", "benchmarks.server", str(directory)]
    with subprocess.Popen(  # noqa: S603 - our own words
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout  # noqa: S101, PT018 - they are pipes
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def in_a_fresh_process(name: str, job: Job) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.measure", name, json.dumps(asdict(job), default=str)]
    return subprocess.run(  # noqa: S603 - our own words
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def environment() -> dict[str, str]:
    """Return the environment without what would lead a case elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith("APPMETRICA_")
    }


def fault(case: Case, ran: subprocess.CompletedProcess[str]) -> str:
    starved = ran.returncode == -SIGKILL or "MemoryError" in ran.stderr
    return OUT_OF_MEMORY if starved and case.kind == "rival" else BROKEN
