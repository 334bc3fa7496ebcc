"""What a full cache costs: a warm read and a refresh with ``max_bytes``, beside one cached export and beside many.

``python -m benchmarks.many_exports`` fills one cache with a single export and one with 10,000 of the same resource,
each by a read of its own. Then calls over the two caches take turns, in several processes one after another.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from .runs import ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

RESOURCE, FIELDS = "push_tokens", ["appmetrica_device_id", "token"]
BODY = b"appmetrica_device_id,token\n1,one\n2,two\n3,three\n"
YEAR = 365 * 86_400.0
MAX_BYTES = 1 << 40  # checked at each refresh, and never exceeded
CHUNK = 100  # exports that a process caches at a time
CALLS = 30  # of each kind over each cache, in each process
WARM, REFRESH = "warm read", "refresh with max_bytes"
LIMITS = {WARM: 1.3, REFRESH: 1.5}
MEASURE = "--measure"
Times: TypeAlias = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Server:
    """Where to read from, and with the package of which source tree."""

    base_url: str
    token: str
    application_id: int
    source: str


def main() -> None:
    given = parse_arguments()
    with TemporaryDirectory(prefix="benchmarks-") as temporary:
        folder = given.data or Path(temporary)
        caches = {"one": folder / "one", "many": folder / f"many-{given.exports}"}
        with serve(folder, given.source) as server:
            fill_caches(server, caches, given.exports)
            rounds = [run_round(server, caches) for _ in range(given.rounds)]
    print(build_page(rounds, given.exports))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_exports", description=__doc__)
    parser.add_argument("--exports", type=int, default=10_000, help="how many are cached (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="processes that measure (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="directory that keeps the filled caches for the next time")
    parser.add_argument("--source", type=Path, default=ROOT, help="checkout whose package is measured (default: this)")
    return parser.parse_args()


@contextmanager
def serve(folder: Path, source: Path) -> Iterator[Server]:
    """Start an emulator, at the address that the caches of a folder were filled from: it is part of their keys."""
    from appmetrica_frames.emulator import Emulator

    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "port"
    with Emulator(port=int(kept.read_text()) if kept.exists() else 0) as emulator:
        kept.write_text(emulator.base_url.rpartition(":")[2])
        emulator.answers[RESOURCE] = BODY
        yield Server(emulator.base_url, emulator.token, emulator.application_id, str(source.resolve()))


def fill_caches(server: Server, caches: dict[str, Path], exports: int) -> None:
    """Fill one cache with one export and the other with many, unless they are kept from the last time."""
    chunks = [range(exports)[start : start + CHUNK] for start in range(0, exports, CHUNK)]
    print(f"caching {exports} exports, each by a read", file=sys.stderr, flush=True)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(fill, server, caches["one"], range(1))]
        jobs += [pool.submit(fill, server, caches["many"], chunk) for chunk in chunks]
        for job in jobs:
            job.result()


def fill(server: Server, cache: Path, numbers: range) -> None:
    """Read exports so that they are cached; those that are cached already are only looked up."""
    for number in numbers:
        read(server, cache, number)


def read(server: Server, cache: Path, number: int, *, refresh: bool = False) -> None:
    """Read one of the tiny exports, which differ in their filters."""
    if sys.path[0] != server.source:
        sys.path.insert(0, server.source)
    from appmetrica_frames import Client, read_appmetrica

    client = Client(
        server.token,
        base_url=server.base_url,
        cache_dir=cache,
        max_bytes=MAX_BYTES if refresh else None,
        poll=(0.001, 0.001),
        progress=False,
    )
    read_appmetrica(
        RESOURCE,
        application_id=server.application_id,
        fields=FIELDS,
        filters={"token": str(number)},
        max_age=None if refresh else YEAR,
        refresh=refresh,
        client=client,
    )


def run_round(server: Server, caches: dict[str, Path]) -> Times:
    """Measure in a fresh process."""
    order = {"server": asdict(server), "caches": caches}
    ran = subprocess.run(  # noqa: S603 - a module of our own
        [sys.executable, "-m", "benchmarks.many_exports", MEASURE, json.dumps(order, default=str)],
        cwd=ROOT,
        env=clean_environment(),
        check=True,
        stdout=subprocess.PIPE,
    )
    times: Times = json.loads(ran.stdout)
    return times


def measure(server: Server, caches: dict[str, Path]) -> Times:
    """Return the seconds of each call, by what it does and by the cache; calls over both caches take turns."""
    times: Times = {call: {name: [] for name in caches} for call in LIMITS}
    with TemporaryDirectory(prefix="benchmarks-") as primer:
        read(server, Path(primer), 0)  # imports what the measured calls need
        read(server, Path(primer), 0, refresh=True)
    for _ in range(CALLS):
        for name, cache in caches.items():
            times[WARM][name].append(time_read(server, cache, refresh=False))
        for name, cache in caches.items():
            times[REFRESH][name].append(time_read(server, cache, refresh=True))
    return times


def time_read(server: Server, cache: Path, *, refresh: bool) -> float:
    start = time.perf_counter()
    read(server, cache, 0, refresh=refresh)
    return time.perf_counter() - start


def build_page(rounds: list[Times], exports: int) -> str:
    """Return the medians of all calls and of the first ones, with their ratios."""
    lines = [f"{exports:,} exports cached against 1; medians of {len(rounds)} processes, {CALLS} calls each."]
    for call, limit in LIMITS.items():
        for calls, part in (("the first of a process", slice(1)), ("all", slice(None))):
            one, many = (
                1000 * median(seconds for times in rounds for seconds in times[call][name][part])
                for name in ("one", "many")
            )
            lines.append(f"{call}, {calls}: {one:.2f} ms, {many:.2f} ms, {many / one:.2f} times; at most {limit}")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == [MEASURE]:
        order = json.loads(sys.argv[2])
        paths = {name: Path(path) for name, path in order["caches"].items()}
        sys.stdout.write(json.dumps(measure(Server(**order["server"]), paths)))
    else:
        main()
